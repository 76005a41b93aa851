//! The worked plugins of `plugins/examples`, run as a site would run them.

use contract::conformance::{SINK_CHECKS, alert, decoder_keeps_units, decoder_survives, sink_marks_mode};
use contract::{Alert, Code, Decoder, Mode, Phase, Sink, SinkError};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const PATIENT: Duration = Duration::from_mins(1);

fn example(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    path.canonicalize().expect("the example is there")
}

fn options(name: &str, args: &[&str], more: &Value) -> serde_json::Map<String, Value> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut options = json!({"program": example(name), "args": args, "env": {"PATH": path}});
    let map = options.as_object_mut().expect("a table");
    map.extend(more.as_object().expect("a table").clone());
    map.clone()
}

fn sink(name: &str, args: &[&str]) -> Box<dyn Sink> {
    (exec::SINK.build)(&options(name, args, &json!({}))).expect("the options are right")
}

fn no_python() -> bool {
    let missing = Command::new("python3").arg("--version").output().is_err();
    if missing {
        println!("skipped: no python3");
    }
    missing
}

fn judge(sink: &mut dyn Sink) {
    for (what, check) in SINK_CHECKS {
        check(sink, PATIENT).unwrap_or_else(|e| panic!("{what}: {e}"));
    }
}

#[test]
fn the_csv_writer_writes_each_alert_once() {
    if no_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("alerts.csv");
    let mut sink = sink("csv-writer.py", &[file.to_str().expect("text")]);
    judge(sink.as_mut());
    drop(sink);
    // Started again, it still knows what it has written.
    let mut again = self::sink("csv-writer.py", &[file.to_str().expect("text")]);
    let repeat = alert(Code::Changed, Phase::Start, Mode::Test);
    again.deliver(&repeat, PATIENT).expect("taken");
    let rows = fs::read_to_string(&file).expect("rows");
    assert_eq!(rows.matches(&repeat.key()).count(), 1, "{rows}");
    assert!(rows.starts_with("key,type,code,level,mode") && rows.contains("心電図"));
    assert!(rows.lines().any(|row| row.contains(",advisory,test,")), "the mode is a column");
}

#[test]
fn the_page_of_the_docs_shows_the_csv_writer_as_it_is() {
    let page =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plugins.md")).expect("page");
    let script = fs::read_to_string(example("csv-writer.py")).expect("script");
    assert!(page.contains(&script), "docs/plugins.md shows another csv-writer.py");
}

fn framed(after_stx: &str, pager: &str, text: &str) -> Vec<u8> {
    let mut command = Command::new(example("espa-pager.sh"));
    let shown =
        command.args(["--frame", pager, text]).env("ESPA_AFTER_STX", after_stx).output().expect("sh runs");
    shown.stdout
}

#[test]
fn the_pager_s_block_is_the_published_sample() {
    let sample = b"\x011\x02 1\x1f550\x1e2\x1fCALL ME 101\x1e3\x1f3\x1e4\x1f3\x1e5\x1f3\x1e6\x1f3\x03\x03";
    assert_eq!(framed(" ", "550", "CALL ME 101"), sample);
    let plain = framed("", "550", "CALL ME 101");
    assert_eq!(plain.last(), Some(&0x23));
}

#[test]
fn the_pager_pages_starts_only_and_marks_what_is_not_real() {
    let folder = tempfile::tempdir().expect("folder");
    let line = folder.path().join("line");
    fs::write(&line, "").expect("writes");
    let mut sink = sink("espa-pager.sh", &[line.to_str().expect("text"), "550"]);
    judge(sink.as_mut());
    fs::write(&line, "").expect("writes");
    let end = alert(Code::Uncertain, Phase::End, Mode::Real);
    sink.deliver(&end, PATIENT).expect("confirmed");
    assert_eq!(fs::read(&line).expect("reads"), b"", "an end is not paged");
    let mut arrived = || fs::read_to_string(&line).expect("reads");
    sink_marks_mode(sink.as_mut(), PATIENT, &mut arrived).expect("marked");
}

/// A pager system at the other end of a serial line, that answers each block with `answer`.
fn pager(answer: &[u8]) -> (Box<dyn Sink>, File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).expect("granted");
    unlockpt(&ours).expect("unlocked");
    let name = ptsname(&ours, Vec::new()).expect("a name").into_string().expect("text");
    let mut ours = File::from(ours);
    // Keeps the line open whether or not the plugin runs.
    let theirs = File::options().read(true).write(true).open(&name).expect("opens");
    let mut sink = sink("espa-pager.sh", &[&name, "550"]);
    sink.probe(PATIENT).expect("ready");
    ours.write_all(answer).expect("writes");
    (sink, ours, theirs)
}

#[test]
fn the_pager_waits_for_the_answer_of_the_pager_system() {
    let start =
        Alert { text: "pipe | \"quote\" \u{1f493}".into(), ..alert(Code::New, Phase::Start, Mode::Real) };
    let (mut sink, mut line, _open) = pager(b"\x06");
    sink.deliver(&start, PATIENT).expect("acknowledged");
    let mut block = [0; 256];
    let length = line.read(&mut block).expect("reads");
    let shown = String::from_utf8_lossy(&block[..length]).into_owned();
    assert!(shown.starts_with("\u{1}1\u{2}1\u{1f}550\u{1e}2\u{1f}ICU B07 PIPE |  QUOTE"), "{shown:?}");
    let said = |answer: &[u8]| {
        let (mut sink, _line, _open) = pager(answer);
        sink.deliver(&start, PATIENT).expect_err("not acknowledged")
    };
    assert_eq!(said(b"\x15"), SinkError::Retry("espa-pager: pager system said NAK".into()));
    assert_eq!(said(b""), SinkError::Retry("espa-pager: no answer from the pager system".into()));
}

#[test]
fn the_decoder_keeps_units_and_survives_any_bytes() {
    if no_python() {
        return;
    }
    let options = options("semicolon-decoder.py", &[], &json!({"budget_ms": 60_000}));
    let mut decoder: Box<dyn Decoder> = (exec::DECODER.build)(&options).expect("the options are right");
    let (topic, payload) = ("gateway/site1/icu/b07", b"1795386208250;250;II;-12;0;;150");
    let expected: &[f32] = &[-0.012, 0.0, f32::NAN, 0.15];
    let frame = decoder_keeps_units(decoder.as_mut(), topic, payload, &[expected]);
    assert_eq!(frame.parts().bed.as_str(), "site1/icu/b07");
    decoder_survives(decoder.as_mut(), topic, payload);
}
