//! The webhook receiver: HTTP/1.1 POST, signature checked.

use crate::behaviour::{Behaviour, Schedule};
use crate::ledger::{Arrival, Ledger};
use crate::server::{Desk, Receiver};
use crate::signature::verify;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::time::SystemTime;

const HEAD_BYTES_MAX: usize = 16 << 10;
const BODY_BYTES_MAX: usize = 1 << 20;

/// Starts a webhook receiver on `address` (port 0 = any). With `key` (`whsec_…`) a message without a right and fresh
/// signature is refused with 401.
///
/// # Errors
/// If it cannot listen there.
pub fn receive(
    address: &str,
    key: Option<String>,
    schedule: Schedule,
    ledger: Ledger,
) -> io::Result<Receiver> {
    Receiver::start(address, schedule, ledger, move |socket, desk| serve(socket, desk, key.as_deref()))
}

struct Request {
    method: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// What is wrong with it, as status and words.
    fn fault(&self, key: Option<&str>) -> Option<(u16, String)> {
        if self.method != "POST" {
            return Some((405, format!("{} instead of POST", self.method)));
        }
        let id = self.header("webhook-id");
        if id.is_empty() || self.header("idempotency-key") != id {
            return Some((400, "webhook-id and Idempotency-Key must be there and equal".into()));
        }
        let key = key?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let (time, signature) = (self.header("webhook-timestamp"), self.header("webhook-signature"));
        verify(key, id, time, &self.body, signature, now).err().map(|why| (401, why))
    }
}

fn serve(mut socket: TcpStream, desk: &Desk, key: Option<&str>) {
    let mut pending = Vec::new();
    while let Some(request) = next_request(&mut socket, desk, &mut pending) {
        if meet(&mut socket, &request, desk, key).is_none() {
            return;
        }
    }
}

fn next_request(socket: &mut TcpStream, desk: &Desk, pending: &mut Vec<u8>) -> Option<Request> {
    let head_end = loop {
        if let Some(at) = pending.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if pending.len() > HEAD_BYTES_MAX {
            return None;
        }
        pending.extend(desk.read(socket)?);
    };
    let head: Vec<u8> = pending.drain(..head_end + 4).collect();
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.split("\r\n");
    let method = lines.next()?.split(' ').next()?.to_owned();
    let pair = |line: &str| line.split_once(':').map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_owned()));
    let headers: BTreeMap<_, _> = lines.filter_map(pair).collect();
    let length: usize = headers.get("content-length").map_or(Some(0), |l| l.parse().ok())?;
    if length > BODY_BYTES_MAX || headers.contains_key("transfer-encoding") {
        let _ = socket.write_all(&response(411, "Content-Length of at most 1 MiB"));
        return None;
    }
    if headers.get("expect").is_some_and(|e| e == "100-continue") {
        socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    while pending.len() < length {
        pending.extend(desk.read(socket)?);
    }
    Some(Request { method, headers, body: pending.drain(..length).collect() })
}

fn arrival(request: &Request, behaviour: Behaviour) -> Arrival {
    let mut arrival = Arrival::of("webhook", &request.body, behaviour);
    arrival.key = request.header("webhook-id").into();
    match serde_json::from_slice::<Value>(&request.body) {
        Ok(alert) => {
            let text = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
            arrival.id = text("id");
            arrival.rev = alert["rev"].as_u64().unwrap_or_default() as u32;
            arrival.phase = text("type").trim_start_matches("alert.").into();
            arrival.place = text("bed");
            arrival.mode = text("mode");
            arrival.text = text("text");
        }
        Err(e) => arrival.fault = format!("body: {e}"),
    }
    arrival
}

/// Writes the message down and answers as the schedule says; `None` ends the connection.
fn meet(socket: &mut TcpStream, request: &Request, desk: &Desk, key: Option<&str>) -> Option<()> {
    let fault = request.fault(key);
    let behaviour = if fault.is_some() { Behaviour::Reject } else { desk.next() };
    let mut arrival = arrival(request, behaviour);
    if let Some((_, why)) = &fault {
        arrival.fault.clone_from(why);
    }
    desk.ledger.put(arrival);
    if let Some((status, why)) = fault {
        return socket.write_all(&response(status, &why)).ok();
    }
    let good = response(204, "");
    match behaviour {
        Behaviour::Well => socket.write_all(&good).ok(),
        Behaviour::Slow => {
            desk.be_slow();
            socket.write_all(&good).ok()
        }
        Behaviour::Error => socket.write_all(&response(503, "try again")).ok(),
        Behaviour::Reject => socket.write_all(&response(400, "unknown bed")).ok(),
        Behaviour::Gone => socket.write_all(&response(410, "no longer taken here")).ok(),
        Behaviour::WrongId => {
            let elsewhere =
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n";
            socket.write_all(elsewhere.as_bytes()).ok()
        }
        Behaviour::HalfFrame => {
            socket.write_all(&good[..good.len() / 2]).ok()?;
            desk.ignore(socket);
            None
        }
        Behaviour::TwoFrames => socket.write_all(&[good.as_slice(), good.as_slice()].concat()).ok(),
        Behaviour::Pieces => good.chunks(7).try_for_each(|piece| socket.write_all(piece)).ok(),
        Behaviour::Drop => None,
        Behaviour::CloseAfter => {
            let _ = socket.write_all(&good);
            None
        }
        Behaviour::HalfClose => {
            socket.shutdown(Shutdown::Write).ok()?;
            desk.ignore(socket);
            None
        }
        Behaviour::Silent => {
            desk.ignore(socket);
            None
        }
        Behaviour::Garbage => socket.write_all(b"\x0bMSH|^~\\&|\x1c\r\r\n\r\n").ok(),
    }
}

fn response(status: u16, text: &str) -> Vec<u8> {
    let reason = match status {
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        405 => "Method Not Allowed",
        410 => "Gone",
        411 => "Length Required",
        _ => "Service Unavailable",
    };
    format!("HTTP/1.1 {status} {reason}\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes()
}
