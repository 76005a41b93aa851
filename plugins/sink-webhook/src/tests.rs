//! The sink against a small receiver that answers in every way.

use super::*;
use contract::conformance::{
    SINK_CHECKS, alert, sink_honours_budget, sink_marks_mode, sink_refuses, sink_retries,
};
use contract::{Code, Mode, Phase};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

const KEY: &str = "whsec_d2FyZGJlYXQtZXhhbXBsZS1rZXktMDEyMzQ1Njc4OWFi";
const NEW_KEY: &str = "whsec_YW5vdGhlci1leGFtcGxlLWtleS0wMTIzNDU2Nzg5YWI=";
/// Long enough for a busy machine; nothing waits for it where all is well.
const PATIENT: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(300);

/// One request as it arrived; names of headers in lower case.
#[derive(Default)]
struct Request {
    first: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

fn request(from: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(from);
    let mut found = Request::default();
    reader.read_line(&mut found.first).ok().filter(|n| *n > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        found.headers.insert(name.to_lowercase(), value.trim().into());
    }
    let length = found.headers.get("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
    found.body.resize(length, 0);
    reader.read_exact(&mut found.body).ok()?;
    Some(found)
}

/// A receiver that reads each request and lets `answer` write what it likes; what came is kept.
struct Bench {
    sink: Webhook,
    came: Receiver<Request>,
    _folder: tempfile::TempDir,
}

fn bench(answer: fn(&mut TcpStream)) -> Bench {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, came): (Sender<Request>, _) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let sender = sender.clone();
            std::thread::spawn(move || {
                if let Some(request) = request(&stream) {
                    let _ = sender.send(request);
                    answer(&mut stream);
                }
            });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let files = [("new", NEW_KEY), ("old", KEY)].map(|(name, key)| {
        let file = folder.path().join(name);
        fs::write(&file, key).unwrap();
        file
    });
    let options = json!({"url": format!("http://127.0.0.1:{port}/hook"), "key_files": files});
    let settings = Settings::read(options.as_object().unwrap()).unwrap();
    Bench { sink: Webhook::new(settings), came, _folder: folder }
}

fn write(to: &mut TcpStream, text: &str) {
    let _ = to.write_all(text.as_bytes());
}

fn done(to: &mut TcpStream) {
    write(to, "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
}

#[test]
fn a_receiver_that_takes_alerts_passes_the_kit() {
    let mut bench = bench(done);
    for (what, check) in SINK_CHECKS {
        check(&mut bench.sink, PATIENT).unwrap_or_else(|e| panic!("{what}: {e}"));
    }
    bench.came.try_iter().for_each(drop);
    let mut arrived = || bench.came.try_iter().map(|r| String::from_utf8(r.body).unwrap()).collect();
    sink_marks_mode(&mut bench.sink, PATIENT, &mut arrived).unwrap();
}

#[test]
fn the_body_is_the_alert_s_own_bytes_signed_with_every_live_key() {
    let mut bench = bench(done);
    let alert = alert(Code::Uncertain, Phase::Start, Mode::Real);
    let receipt = bench.sink.deliver(&alert, PATIENT).unwrap();
    assert!(receipt.0.contains("answered 204"), "{}", receipt.0);
    let came = bench.came.recv().unwrap();
    assert_eq!(came.first, "POST /hook HTTP/1.1\r\n");
    assert_eq!(came.body, serde_json::to_vec(&alert).unwrap());
    let id = format!("wbe_{}_0", alert.id);
    assert_eq!((&came.headers["webhook-id"], &came.headers["idempotency-key"]), (&id, &id));
    let at: u64 = came.headers["webhook-timestamp"].parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(at) < 300);
    let expected = [NEW_KEY, KEY].map(|key| signature(&SigningKey::parse(key).unwrap(), &id, at, &came.body));
    assert_eq!(came.headers["webhook-signature"], expected.join(" "));
}

#[test]
fn each_status_says_what_happens_next() {
    macro_rules! answers {
        ($status:literal) => {
            bench(|to| write(to, concat!("HTTP/1.1 ", $status, " X\r\ncontent-length: 4\r\n\r\nbusy")))
        };
    }
    for mut bench in [answers!("200"), answers!("201"), answers!("202"), answers!("299")] {
        bench.sink.deliver(&alert(Code::Signal, Phase::End, Mode::Real), PATIENT).unwrap();
    }
    for mut bench in
        [answers!("408"), answers!("429"), answers!("500"), answers!("502"), answers!("503"), answers!("599")]
    {
        sink_retries(&mut bench.sink, PATIENT).unwrap();
    }
    for mut bench in [answers!("400"), answers!("401"), answers!("404"), answers!("413"), answers!("422")] {
        sink_refuses(&mut bench.sink, PATIENT).unwrap();
        sink_refuses(&mut bench.sink, PATIENT).unwrap();
        assert_eq!(bench.came.try_iter().count(), 2, "the next alert is sent");
    }
    let mut bench = answers!("404");
    let why = bench.sink.deliver(&alert(Code::Signal, Phase::End, Mode::Real), PATIENT).unwrap_err();
    assert!(why.to_string().ends_with("answered 404: busy"), "{why}");
}

#[test]
fn gone_stops_the_sink() {
    let mut bench = bench(|to| write(to, "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"));
    sink_refuses(&mut bench.sink, PATIENT).unwrap();
    sink_refuses(&mut bench.sink, PATIENT).unwrap();
    assert_eq!(bench.came.try_iter().count(), 1, "nothing is sent after 410");
}

#[test]
fn a_redirect_is_refused_not_followed() {
    let mut bench = bench(|to| {
        write(to, "HTTP/1.1 307 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    });
    let why = bench.sink.deliver(&alert(Code::Signal, Phase::End, Mode::Real), PATIENT).unwrap_err();
    assert!(matches!(&why, SinkError::Refused(w) if w.contains("/elsewhere")), "{why}");
    assert_eq!(bench.came.try_iter().count(), 1);
}

#[test]
fn an_answer_that_is_cut_off_or_garbage_means_try_again() {
    let answers: [fn(&mut TcpStream); 4] = [
        |_| {},
        |to| write(to, "HTTP/1.1 20"),
        |to| write(to, "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        // A header without end: the limit on the header cuts it.
        |to| {
            write(to, "HTTP/1.1 200 OK\r\nx: ");
            (0..64).for_each(|_| write(to, &"x".repeat(4 << 10)));
        },
    ];
    for answer in answers {
        sink_retries(&mut bench(answer).sink, PATIENT).unwrap();
    }
}

#[test]
fn a_huge_answer_is_not_read() {
    // 1 GB is promised and sent until the sink hangs up.
    let mut taken = bench(|to| {
        write(to, "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
        let block = "x".repeat(64 << 10);
        while to.write_all(block.as_bytes()).is_ok() {}
    });
    taken.sink.deliver(&alert(Code::Signal, Phase::End, Mode::Real), PATIENT).unwrap();
    let mut busy = bench(|to| {
        write(to, "HTTP/1.1 503 X\r\ncontent-length: 1000000000\r\n\r\n");
        let block = "x".repeat(64 << 10);
        while to.write_all(block.as_bytes()).is_ok() {}
    });
    let why =
        busy.sink.deliver(&alert(Code::Signal, Phase::End, Mode::Real), PATIENT).unwrap_err().to_string();
    assert!(why.len() < 2 * REASON_CHARS, "{why}");
}

#[test]
fn a_slow_or_silent_receiver_costs_no_more_than_the_budget() {
    let answers: [fn(&mut TcpStream); 3] = [
        // Says nothing.
        |to| drop(to.read(&mut [0])),
        // One byte of the header every 50 ms.
        |to| {
            for byte in "HTTP/1.1 200 OK\r\n".bytes().cycle().take(200) {
                let _ = to.write_all(&[byte]);
                std::thread::sleep(Duration::from_millis(50));
            }
        },
        // The status at once, the reason never.
        |to| {
            write(to, "HTTP/1.1 503 X\r\ncontent-length: 10\r\n\r\n");
            drop(to.read(&mut [0]));
        },
    ];
    for answer in answers {
        let mut bench = bench(answer);
        sink_honours_budget(&mut bench.sink, SHORT).unwrap();
        sink_retries(&mut bench.sink, SHORT).unwrap();
    }
}

#[test]
fn a_receiver_that_is_not_there_means_try_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut absent = bench(done);
    absent.sink.settings.url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    drop(listener);
    let began = Instant::now();
    sink_retries(&mut absent.sink, PATIENT).unwrap();
    assert!(absent.sink.probe(PATIENT).is_err() && began.elapsed() < PATIENT);
}

#[test]
fn an_option_that_would_leak_or_not_work_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, KEY).unwrap();
    let refused = |url: &str, more: serde_json::Value, key: &str| {
        let mut options = json!({"url": url, "key_files": [file]});
        let map = options.as_object_mut().unwrap();
        map.extend(more.as_object().unwrap().clone());
        let fault = Settings::read(map).err().map(|e| e.key);
        assert_eq!(fault.as_deref(), Some(key), "{url}");
    };
    let local = "http://[::1]:8080/hook";
    refused("http://nurse-call.example/hook", json!({}), "url");
    refused("http://127.0.0.1.example/hook", json!({}), "url");
    refused("ftp://127.0.0.1/hook", json!({}), "url");
    refused("http://user:secret@127.0.0.1/hook", json!({}), "url");
    refused("/hook", json!({}), "url");
    refused(local, json!({"key_files": []}), "key_files");
    refused(local, json!({"key_files": ["/no/such/file"]}), "key_files");
    refused(local, json!({"ca_file": file}), "ca_file");
    refused(local, json!({"retries": 3}), "retries");
    let options = json!({"url": local, "key_files": [file]});
    assert_eq!(
        Settings::read(options.as_object().unwrap()).ok().map(|s| s.host).as_deref(),
        Some("[::1]:8080")
    );
}
