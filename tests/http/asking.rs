//! A plain HTTP/1.1 client: one request a connection.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: String,
    headers: BTreeMap<String, String>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

fn request(
    address: SocketAddr,
    (method, body): (&str, &str),
    path: &str,
    headers: &[(&str, &str)],
) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).expect("the door is open");
    stream.set_read_timeout(Some(Duration::from_secs(40))).expect("a time");
    let host = address.to_string();
    let host = headers.iter().find(|h| h.0 == "Host").map_or(host.as_str(), |h| h.1);
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers.iter().filter(|h| h.0 != "Host") {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    Write::write_all(&mut stream, format!("{text}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())
        .expect("sent");
    BufReader::new(stream)
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    line.trim_end().into()
}

fn head(reader: &mut impl BufRead) -> (u16, BTreeMap<String, String>) {
    let status = line(reader).split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    let lines = std::iter::from_fn(|| Some(line(reader)).filter(|l| !l.is_empty()));
    let pair = |line: String| {
        let (name, value) = line.split_once(':').expect("a header");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    (status, lines.map(pair).collect())
}

/// Asks and reads the whole answer as bytes.
pub fn ask_bytes(address: SocketAddr, path: &str) -> Vec<u8> {
    let (status, _, body) = whole(address, ("GET", ""), path, &[]);
    assert_eq!(status, 200, "{path}");
    body
}

/// Asks and reads the whole answer as text.
pub fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let (status, headers, body) = whole(address, (method, ""), path, headers);
    Answer { status, body: String::from_utf8(body).expect("text"), headers }
}

/// Posts a body of that type.
pub fn post(address: SocketAddr, path: &str, kind: &str, body: &str) -> Answer {
    let (status, headers, body) = whole(address, ("POST", body), path, &[("content-type", kind)]);
    Answer { status, body: String::from_utf8(body).expect("text"), headers }
}

type Whole = (u16, BTreeMap<String, String>, Vec<u8>);

fn whole(address: SocketAddr, how: (&str, &str), path: &str, headers: &[(&str, &str)]) -> Whole {
    let mut reader = request(address, how, path, headers);
    let (status, headers) = head(&mut reader);
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|t| t == "chunked") {
        loop {
            let length = usize::from_str_radix(&line(&mut reader), 16).expect("a length");
            let mut chunk = vec![0; length + 2];
            reader.read_exact(&mut chunk).expect("a chunk");
            body.extend_from_slice(&chunk[..length]);
            if length == 0 {
                break;
            }
        }
    } else if let Some(length) = headers.get("content-length").and_then(|l| l.parse().ok()) {
        // Some servers leave the connection open all the same.
        body.resize(length, 0);
        reader.read_exact(&mut body).expect("a body");
    } else {
        reader.read_to_end(&mut body).expect("a body");
    }
    (status, headers, body)
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, &[])
}

/// One server-sent event.
#[derive(Debug, Default, Clone)]
pub struct Event {
    pub id: String,
    pub kind: String,
    pub data: String,
}

/// A stream of server-sent events.
pub struct Events {
    pub status: u16,
    reader: BufReader<TcpStream>,
}

impl Events {
    pub fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut reader = request(address, ("GET", ""), path, headers);
        let (status, _) = head(&mut reader);
        Self { status, reader }
    }

    /// The next event; the lengths of chunks are passed over, for no field looks like one.
    pub fn next(&mut self) -> Event {
        let mut event = Event::default();
        loop {
            let line = line(&mut self.reader);
            match line.split_once(':') {
                Some(("id", value)) => event.id = value.trim().into(),
                Some(("event", value)) => event.kind = value.trim().into(),
                Some(("data", value)) => event.data = value.trim().into(),
                _ if line.is_empty() && !event.data.is_empty() => return event,
                _ => {}
            }
        }
    }
}
