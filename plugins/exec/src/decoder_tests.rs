//! The decoder role against shell children.

use super::*;
use contract::limits::PLUGIN_LINE_BYTES_MAX;
use serde_json::json;

fn decoder(on_payload: &str, budget_ms: u64) -> ExecDecoder {
    let script = format!(
        r#"
say() {{ printf '%s\n' "$1"; }}
read -r hello
case $hello in *'"role":"decoder"'*) say '{{"op":"ready","proto":1}}' ;; *) exit 1 ;; esac
while read -r line; do n=${{line#*\"n\":}}; n=${{n%%,*}}
{on_payload}
done"#
    );
    let options = json!({
        "program": "/bin/sh", "args": ["-c", script], "budget_ms": budget_ms, "env": {"PATH": "/usr/bin:/bin"},
    });
    let pace = Pace { restart_first: Duration::ZERO, restart_max: Duration::ZERO, ..Pace::default() };
    ExecDecoder::paced(options.as_object().unwrap(), pace).unwrap()
}

fn refused(decoder: &mut ExecDecoder, why: &str) {
    let fault = decoder.decode("t", b"x", UtcMs(0)).unwrap_err().to_string();
    assert!(fault.contains(why), "{fault}");
}

#[test]
fn frames_come_back_checked() {
    let frame = |lead: &str| {
        format!(
            r#"{{\"v\":1,\"bed\":\"s/u/b\",\"epoch\":\"1\",\"n0\":0,\"rate_hz\":250,\"unit\":\"uV\",\"leads\":{{\"{lead}\":[500,null]}}}}"#
        )
    };
    let answer = |frame: &str| format!(r#"say "{{\"op\":\"frames\",\"n\":$n,\"frames\":[{frame}]}}""#);
    let mut good = decoder(&answer(&frame("II")), 60_000);
    let heard = good.decode("t", b"x", UtcMs(0)).unwrap();
    let [Heard::Frame(frame_found)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(frame_found.lead_mv(0)[0].to_bits(), 0.5_f32.to_bits());
    assert!(decoder(&answer(""), 60_000).decode("t", b"x", UtcMs(0)).unwrap().is_empty());
    refused(&mut decoder(&answer(&frame("II").replace("250", "9")), 60_000), "sampling rate 9");
    refused(&mut decoder(&answer(&frame("II").replace("500,null", "")), 60_000), "0 samples");
    refused(&mut decoder(&answer(&vec![frame("II"); 65].join(",")), 60_000), "65 frames");
}

#[test]
fn a_payload_that_the_child_cannot_read_is_refused_in_its_words() {
    let mut decoder = decoder(r#"say "{\"op\":\"undecodable\",\"n\":$n,\"why\":\"no ECG\"}""#, 60_000);
    refused(&mut decoder, "no ECG");
    let huge = vec![0; PLUGIN_LINE_BYTES_MAX];
    assert_eq!(decoder.decode("t", &huge, UtcMs(0)), Err(DecodeError::TooLarge(huge.len())));
}

#[test]
fn a_child_that_hangs_or_babbles_costs_the_payload_only() {
    let mut hangs = decoder("sleep 1000", 1_000);
    refused(&mut hangs, "");
    refused(&mut hangs, "");
    refused(&mut decoder("say babble", 60_000), "not a message");
}
