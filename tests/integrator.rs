//! What an integrator does on the command line before the first night: the doctor, the kit for plugins, a test of each
//! destination.

mod ward;

use nurse_call::{Ledger, Schedule, mllp, webhook};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ward::process::config;
use ward::{Monitor, Voice, free_port, now_ms};

/// What the doctor says of a site, and whether all works.
fn examined(folder: &Path, port: u16, more: &str) -> (String, Option<i32>) {
    let file = folder.join("ward.toml");
    std::fs::write(&file, config(folder, &format!("mqtt://127.0.0.1:{port}"), "", more)).expect("writes");
    let output = wardbeat(&["doctor", "--seconds", "2", "--config", text(&file)]);
    (said(&output), output.status.code())
}

fn wardbeat(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wardbeat")).args(args).output().expect("runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain name")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn example(name: &str) -> String {
    format!("{}/plugins/examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Says something ten times a second until it is dropped.
struct Speaker(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Speaker {
    fn new(port: u16, mut say: impl FnMut(&Voice) + Send + 'static) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let thread = std::thread::spawn(move || {
            let voice = Voice::new(port, "gateway");
            while !told.load(Ordering::Acquire) {
                say(&voice);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self(over, Some(thread))
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        if let Some(thread) = self.1.take() {
            let _ = thread.join();
        }
    }
}

fn says(told: &str, begins: &str, word: &str) {
    let found = told.lines().any(|line| line.starts_with(begins) && line.contains(word));
    assert!(found, "no line {begins:?} with {word:?}:\n{told}");
}

#[test]
fn each_dumb_link_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let (told, code) = examined(folder.path(), free_port(), "");
    says(&told, "! broker", "firewall");
    assert_eq!(code, Some(1), "{told}");

    let broker = broker::Broker::start().expect("a broker");
    let sink = format!(
        "[[sink]]\nname = \"desk\"\nkind = \"mllp\"\n[sink.options]\naddress = \"127.0.0.1:{}\"\nunmapped = \"derive\"\n",
        free_port()
    );
    let numbers = Speaker::new(broker.port(), |voice| {
        let number =
            format!("{{\"v\":1,\"bed\":\"site1/icu/b01\",\"t0\":{},\"heart_rate_per_min\":72}}", now_ms());
        voice.say("wardbeat/v1/site1/icu/b01/numeric", number);
        voice.say("wardbeat/v1/site1/icu/b02/wave/json", "{\"v\":1}");
    });
    let (told, code) = examined(folder.path(), broker.port(), &sink);
    drop(numbers);
    says(&told, ". broker", "joined");
    says(&told, "? source wardbeat/v1/site1/#", " 0 frames");
    says(&told, "? source wardbeat/v1/site1/+/+/wave/bin", "sniff");
    says(&told, "! source wardbeat/v1/site1/#", "b02/wave/json is refused");
    says(&told, "! sink desk", "refused");
    assert_eq!(code, Some(1), "{told}");

    let mut monitor = Monitor::new("b01", 1);
    let waves = Speaker::new(broker.port(), move |voice| voice.say(&monitor.topic(), monitor.frame()));
    let (told, code) = examined(folder.path(), broker.port(), "");
    drop(waves);
    says(&told, ". bed site1/icu/b01", "II at 250 Hz");
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn the_kit_passes_the_shipped_plugins_and_says_what_another_program_does_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let (table, sample) = (folder.path().join("alerts.csv"), folder.path().join("sample"));
    std::fs::write(&sample, "1795635890000;250;II;100;200;-50\n").expect("writes");
    let (csv, pager, decoder) =
        (example("csv-writer.py"), example("espa-pager.sh"), example("semicolon-decoder.py"));
    let mut cases = vec![vec![pager.as_str(), "/dev/null", "101"]];
    if Command::new("python3").arg("--version").output().is_ok() {
        cases.push(vec![&csv, text(&table)]);
        cases.push(vec!["--decoder", "--topic", "gateway/s/u/b", "--payload", text(&sample), &decoder]);
    } else {
        println!("skipped: no python3");
    }
    for case in cases {
        let output = wardbeat(&[&["plugin", "test"][..], &case].concat());
        let told = said(&output) + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.contains("ok      "), "{case:?}: {told}");
    }
    let output = wardbeat(&["plugin", "test", "/bin/true"]);
    assert_eq!(output.status.code(), Some(1));
    says(&said(&output), "FAILED  it can be probed", "without an alert");
    assert!(said(&output).contains("true closed its "), "{}", said(&output));
}

const KEY: &str = "whsec_d2FyZGJlYXQtZXhhbXBsZS1rZXktMDEyMzQ1Njc4OWFi";

#[test]
fn the_set_ups_of_the_readme_take_a_test_that_is_marked_as_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = "127.0.0.1:0";
    let hl7 = mllp::receive(here, Schedule::well(), Ledger::default()).expect("listens");
    let hook =
        webhook::receive(here, Some(KEY.into()), Schedule::well(), Ledger::default()).expect("listens");
    let (key, table) = (folder.path().join("hook.key"), folder.path().join("alerts.csv"));
    std::fs::write(&key, KEY).expect("writes");
    let path = std::env::var("PATH").unwrap_or_default();
    let sinks = format!(
        "[[sink]]\nname = \"nurse-call\"\nkind = \"mllp\"\n[sink.options]\naddress = \"{}\"\n\
         station = \"ICU^^DESK^SITE1\"\nlocations = {{ \"site1/icu/b07\" = \"ICU^^B07^SITE1\" }}\n\
         [[sink]]\nname = \"alarm-server\"\nkind = \"webhook\"\n\
         options = {{ url = \"http://{}/alerts\", key_files = [\"{}\"] }}\n\
         [[sink]]\nname = \"table\"\nkind = \"exec\"\n\
         options = {{ program = \"{}\", args = [\"{}\"], env = {{ PATH = \"{path}\" }} }}\n",
        hl7.address(),
        hook.address(),
        text(&key),
        example("csv-writer.py"),
        text(&table)
    );
    let file = folder.path().join("ward.toml");
    std::fs::write(&file, config(folder.path(), "mqtt://127.0.0.1:1", "", &sinks)).expect("writes");
    let test = ["alerts", "test", "--config", text(&file), "--bed", "site1/icu/b07", "--by", "RN"];

    let dumped = wardbeat(&[&test[..], &["--sink", "nurse-call", "--dump"]].concat());
    assert!(said(&dumped).contains("|T|2.6|") && said(&dumped).contains("ICU^^B07^SITE1"), "{dumped:?}");
    assert!(hl7.ledger().arrivals().is_empty(), "a dump sends nothing");

    for sink in ["nurse-call", "alarm-server", "table"] {
        let output = wardbeat(&[&test[..], &["--sink", sink]].concat());
        if sink == "table" && Command::new("python3").arg("--version").output().is_err() {
            println!("skipped: no python3");
            continue;
        }
        assert!(output.status.success(), "{sink}: {output:?}");
        says(&said(&output), sink, "alert.start");
        says(&said(&output), sink, "alert.end");
    }
    for (ledger, mode, place) in
        [(hl7.ledger(), "T", "ICU^^B07^SITE1"), (hook.ledger(), "test", "site1/icu/b07")]
    {
        let came = ledger.arrivals();
        let phases: Vec<&str> = came.iter().map(|a| a.phase.as_str()).collect();
        assert_eq!(phases, ["start", "end"], "{came:?}");
        assert!(came.iter().all(|a| a.fault.is_empty() && a.mode == mode && a.place == place), "{came:?}");
        assert!(came.iter().all(|a| a.text.contains("TEST")), "{came:?}");
    }
    let rows = std::fs::read_to_string(&table).unwrap_or_default();
    assert!(rows.is_empty() || rows.lines().filter(|row| row.contains(",test,")).count() == 2, "{rows}");

    let unknown = wardbeat(&[&test[..], &["--sink", "nurse-cal"]].concat());
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}
