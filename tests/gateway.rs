//! The worked gateway: HL7 waveforms in, a watched bed out.

mod ward;

use patient::{Lead, Patient, Profile};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use ward::{PATIENCE, settings, until};
use wardbeat::daemon;
use wardbeat::model::Bundle;

struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the gateway on a free port; `None` where there is no Python.
fn start(broker_port: u16) -> Option<(Gateway, String)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/plugins/examples/hl7-gateway.py");
    let child = Command::new("python3")
        .arg(script)
        .args(["--site", "site1", "--listen", "127.0.0.1:0", "--mode", "test"])
        .args(["--broker", &format!("127.0.0.1:{broker_port}")])
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: no python3");
        return None;
    };
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("listening at ").expect("its address").to_owned();
    Some((Gateway(child), address))
}

/// One second of lead II and V1 as `ORU^W01`, in microvolts, beginning at `second` seconds past 22:00.
fn message(patient: &mut Patient, second: u64, control: &str) -> String {
    let rows = patient.samples(500.0, second * 500, 500, &[Lead::II, Lead::V1]);
    let values = |row: &[f32]| {
        let text: Vec<String> = row.iter().map(|mv| format!("{:.0}", mv * 1_000.0)).collect();
        text.join("^")
    };
    let at = format!("202611222200{second:02}.000+0000");
    [
        format!("MSH|^~\\&|MON|SITE1|GW|SITE1|{at}||ORU^W01^ORU_W01|{control}|P|2.4"),
        "PV1||I|ICU^^B07^SITE1".into(),
        format!("OBR|1|||69121^MDC_OBS_WAVE_CTS^MDC|||{at}"),
        format!(
            "OBX|1|NA|131330^MDC_ECG_ELEC_POTL_II^MDC|1.1.1.1|{}|266419^MDC_DIM_MICRO_VOLT^MDC|||||F",
            values(&rows[0])
        ),
        "OBX|2|NM|0^MDC_ATTR_SAMP_RATE^MDC|1.1.1.1.1|500|264608^MDC_DIM_PER_SEC^MDC|||||F".into(),
        format!(
            "OBX|3|NA|131331^MDC_ECG_ELEC_POTL_V1^MDC|1.1.1.2|{}|266419^MDC_DIM_MICRO_VOLT^MDC|||||F",
            values(&rows[1])
        ),
        "OBX|4|NM|0^MDC_ATTR_SAMP_RATE^MDC|1.1.1.2.1|500|264608^MDC_DIM_PER_SEC^MDC|||||F".into(),
    ]
    .join("\r")
        + "\r"
}

fn ask(link: &mut TcpStream, message: &str) -> String {
    link.write_all(&[b"\x0b".as_slice(), message.as_bytes(), b"\x1c\r"].concat()).expect("sent");
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while byte[0] != 0x1c {
        link.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    link.read_exact(&mut byte).expect("the end of the frame");
    String::from_utf8(answer).expect("text")
}

#[test]
fn hl7_waveforms_become_a_watched_bed() {
    let broker = broker::Broker::start().expect("a broker");
    let folder = tempfile::tempdir().expect("a folder");
    let running =
        daemon::start(settings(broker.port(), folder.path()), Arc::new(Bundle::tiny(7))).expect("starts");
    assert!(running.joined(PATIENCE), "the daemon does not join");
    let Some((_gateway, address)) = start(broker.port_v311()) else { return };
    let mut link = TcpStream::connect(&address).expect("it listens");
    link.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut patient = Patient::new(3, Profile::default());
    until("the first message is taken", || {
        // The gateway may still be joining the broker; it says so.
        ask(&mut link, &message(&mut patient, 0, "A0")).contains("MSA|AA|A0")
    });
    for second in 1..12 {
        let answer = ask(&mut link, &message(&mut patient, second, &format!("A{second}")));
        assert!(answer.contains(&format!("MSA|AA|A{second}")), "{answer}");
    }
    // Two messages are lost: a hole, not a shift.
    assert!(ask(&mut link, &message(&mut patient, 14, "A14")).contains("MSA|AA|A14"));
    let unreadable =
        ask(&mut link, "MSH|^~\\&|MON|S|GW|S|20261122220000||ORU^W01|B1|P|2.4\rPV1||I|ICU^^B07\r");
    assert!(unreadable.contains("MSA|AE|B1|no ECG waveform"), "{unreadable}");
    let bed = ward::bed("b07");
    let view = || running.snapshot().beds.into_iter().find(|view| view.bed == bed);
    until("the bed's seconds", || running.counters().windows >= 14);
    until("the bed's picture", || view().is_some_and(|view| view.health.frames >= 13));
    let view = view().expect("known");
    assert_eq!((view.rate_hz, view.mode), (Some(500.0), contract::Mode::Test));
    assert_eq!(view.leads.iter().map(|l| l.lead.as_str().to_owned()).collect::<Vec<_>>(), ["II", "V1"]);
    assert_eq!((view.health.gaps, view.health.refused, view.health.late), (1, 0, 0));
    let highest = view.columns.iter().map(|c| c.max_mv).fold(f32::NEG_INFINITY, f32::max);
    assert!((0.3..3.0).contains(&highest), "an R wave of {highest} mV: the unit is wrong");
}
