//! Every kind of message, read by hl7apy, which knows nothing of Wardbeat.

use super::{BUDGET, PATIENCE, alert, sink_to};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// hl7apy 1.3.5 has no table of `ORU_R40`, so the message is parsed as such and each segment validated strictly.
const SCRIPT: &str = r"
import sys
from hl7apy.parser import parse_message, parse_segment
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import ValidationError
for frame in sys.stdin.buffer.read().split(b'\x0b')[1:]:
    text = frame.split(b'\x1c')[0].decode('utf-8')
    message = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
    assert message.msh.msh_9.value == 'ORU^R40^ORU_R40', message.msh.msh_9.value
    assert message.to_er7() + '\r' == text, (message.to_er7(), text)
    for line in text.split('\r')[:-1]:
        segment = parse_segment(line, version='2.6', validation_level=VALIDATION_LEVEL.STRICT)
        try:
            segment.validate()
        except ValidationError as fault:
            # No patient is named by default; the place stands in PV1-3.
            assert (line, str(fault)) == ('PID|||||^^^^^^U', 'Missing required child PID.PID_3'), (line, fault)
        assert segment.to_er7() == line, (segment.to_er7(), line)
    print(message.msh.msh_10.value)
";

/// Takes the sink's messages and answers each with CA; gives the raw bytes.
fn tape(listener: &TcpListener, messages: usize) -> Vec<u8> {
    let (mut socket, _) = listener.accept().expect("a caller");
    let (mut all, mut bytes) = (Vec::new(), [0; 8_192]);
    for _ in 0..messages {
        let begun = all.len();
        while !all[begun..].ends_with(b"\x1c\r") {
            let n = socket.read(&mut bytes).expect("a message");
            assert!(n > 0, "closed");
            all.extend_from_slice(&bytes[..n]);
        }
        let text = String::from_utf8_lossy(&all[begun..]).into_owned();
        let id = text.split('|').nth(9).expect("MSH-10").to_owned();
        let answer = format!("\x0bMSH|^~\\&|A|B|||1||ACK|1|P|2.6\rMSA|CA|{id}\r\x1c\r");
        socket.write_all(answer.as_bytes()).expect("answered");
    }
    all
}

#[test]
fn an_independent_reader_validates_every_kind_of_message() {
    let there = Command::new("python3").args(["-c", "import hl7apy"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        println!("skipped: no python3 with hl7apy");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let profiles = [
        json!({"watchdog_s": 60, "station": "ICU^DESK^&|", "application": "W&B"}),
        json!({"codes": "legacy", "obx11": "F", "patients": {"site1/icu/b01": "P|1"}}),
        json!({"codes": "ge-mixed", "locations": {"site1/icu/b01": "ÄMT&1^R~2^B07"}}),
    ];
    let mut all = Vec::new();
    for options in profiles {
        let watchdog = usize::from(options.get("watchdog_s").is_some());
        let listener = listener.try_clone().expect("cloned");
        let taping = std::thread::spawn(move || tape(&listener, 3 + 2 * watchdog));
        let mut given = options;
        given["answer_timeout_ms"] = json!(30_000);
        let mut sink = sink_to(&address, &given);
        sink.tick(PATIENCE).expect("well");
        for rev in 0..3 {
            sink.deliver(&alert(1, rev, 2), BUDGET).expect("taken");
        }
        drop(sink);
        all.extend(taping.join().expect("taped"));
    }
    let mut python = Command::new("python3");
    python.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = python.spawn().expect("python3");
    running.stdin.take().expect("piped").write_all(&all).expect("fed");
    let read = running.wait_with_output().expect("ends");
    assert!(read.status.success(), "hl7apy refuses a message");
    assert_eq!(String::from_utf8_lossy(&read.stdout).lines().count(), 11);
}
