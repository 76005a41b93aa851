//! The sink role against shell children that behave in every wrong way.

use super::*;
use contract::conformance::{SINK_CHECKS, alert, sink_honours_budget, sink_refuses, sink_retries};
use contract::limits::PLUGIN_LINE_BYTES_MAX;
use contract::{Code, Mode, Phase};
use serde_json::json;
use std::fs;
use std::path::Path;

/// Long enough for a busy machine; nothing waits for it where all is well.
const PATIENT: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(300);

fn pace() -> Pace {
    Pace {
        restart_first: Duration::from_millis(10),
        restart_max: Duration::from_millis(50),
        patience: PATIENT,
        ping_every: PATIENT,
        farewell: PATIENT,
    }
}

/// A child that greets, logs each alert's key in `$LOG` and then does `on_alert`.
fn talks(on_alert: &str) -> String {
    format!(
        r#"
say() {{ printf '%s\n' "$1"; }}
read -r hello; say '{{"op":"ready","proto":1,"name":"t"}}'
while read -r line; do case $line in
'{{"op":"alert"'*) key=${{line#*\"key\":\"}}; key=${{key%%\"*}}; say "$key" >> "$LOG"
  {on_alert} ;;
'{{"op":"ping"'*) n=${{line##*:}}; say "{{\"op\":\"pong\",\"n\":${{n%\}}}}}}" ;;
'{{"op":"bye"'*) say bye >> "$LOG"; exit 0 ;;
esac; done"#
    )
}

const DONE: &str = r#"say "{\"op\":\"done\",\"key\":\"$key\"}""#;

struct Bench {
    folder: tempfile::TempDir,
    sink: ExecSink,
}

impl Bench {
    fn new(script: &str, pace: Pace, allow_ack: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = json!({
            "program": "/bin/sh", "args": ["-c", script], "allow_ack": allow_ack,
            "env": {"LOG": folder.path().join("log"), "DIR": folder.path(), "PATH": "/usr/bin:/bin"},
        });
        let sink = ExecSink::paced(options.as_object().unwrap(), pace).unwrap();
        Self { folder, sink }
    }

    fn talking(on_alert: &str) -> Self {
        Self::new(&talks(on_alert), pace(), false)
    }

    fn log(&self) -> String {
        read(&self.folder.path().join("log"))
    }

    /// Delivers as the daemon does: again and again until it is taken.
    fn persist(&mut self) -> Vec<String> {
        let mut reasons = Vec::new();
        let until = Instant::now() + PATIENT;
        loop {
            match self.sink.deliver(&start(), PATIENT) {
                Ok(_) => return reasons,
                Err(SinkError::Retry(why)) if Instant::now() < until => reasons.push(why),
                Err(e) => panic!("{e}, after {reasons:?}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn start() -> Alert {
    alert(Code::Uncertain, Phase::Start, Mode::Test)
}

#[test]
fn a_well_behaved_child_passes_the_kit() {
    let mut bench = Bench::talking(DONE);
    for (what, check) in SINK_CHECKS {
        check(&mut bench.sink, PATIENT).unwrap_or_else(|e| panic!("{what}: {e}"));
    }
    assert!(bench.log().lines().count() > 10);
}

#[test]
fn retry_and_refusal_are_the_child_s_to_say() {
    let mut bench = Bench::talking(r#"say "{\"op\":\"retry\",\"key\":\"$key\",\"why\":\"line busy\"}""#);
    sink_retries(&mut bench.sink, PATIENT).unwrap();
    let mut bench = Bench::talking(r#"say "{\"op\":\"fail\",\"key\":\"$key\",\"why\":\"unknown bed\"}""#);
    sink_refuses(&mut bench.sink, PATIENT).unwrap();
    let refused = bench.sink.deliver(&start(), PATIENT);
    assert_eq!(refused, Err(SinkError::Refused("t: unknown bed".into())));
}

#[test]
fn a_child_that_asks_to_wait_is_not_asked_again_before() {
    let later = r#"say "{\"op\":\"retry\",\"key\":\"$key\",\"after_ms\":3000000,\"why\":\"busy\"}""#;
    let mut bench = Bench::talking(later);
    for _ in 0..3 {
        assert!(matches!(bench.sink.deliver(&start(), PATIENT), Err(SinkError::Retry(_))));
    }
    assert_eq!(bench.log().lines().count(), 1);
}

#[test]
fn an_answer_to_another_key_is_no_answer_to_this_one() {
    let mut bench = Bench::talking(&format!(r#"say '{{"op":"fail","key":"other:0"}}'; {DONE}"#));
    bench.sink.deliver(&start(), PATIENT).unwrap();
}

/// The first child breaks, the second behaves: the alert arrives, under the same key.
fn recovers(breaks: &str, why: &str) {
    let script =
        talks(&format!("if [ ! -e \"$DIR/again\" ]; then : > \"$DIR/again\"; {breaks}; fi\n  {DONE}"));
    let mut bench = Bench::new(&script, pace(), false);
    let reasons = bench.persist();
    assert!(reasons.first().is_some_and(|r| r.contains(why)), "{reasons:?}");
    let key = start().key();
    assert_eq!(bench.log().lines().collect::<Vec<_>>(), [&key, &key]);
}

#[test]
fn a_child_that_breaks_the_protocol_is_started_again_and_gets_the_alert_again() {
    recovers("say garbage", "not a message");
    recovers("printf '\\377\\376\\000\\n'", "not a message");
    recovers("say '{\"op\":\"reboot\"}'", "not a message");
    recovers("echo the line is cut >&2; exit 3", "exit status: 3; the line is cut");
    recovers("kill -9 $$", "signal: 9");
    recovers("exec >&-; sleep 1000", "closed its output");
}

#[test]
fn a_hundred_megabytes_on_one_line_cost_one_restart() {
    recovers("head -c 100000000 /dev/zero | tr '\\0' x", "printed a line of more than");
}

#[test]
fn a_flood_on_stderr_neither_blocks_nor_ends_the_child() {
    let mut bench = Bench::talking(&format!("head -c 20000000 /dev/zero >&2; {DONE}"));
    bench.sink.deliver(&start(), PATIENT).unwrap();
}

#[test]
fn a_flood_of_other_messages_is_no_answer() {
    let mut bench = Bench::talking(r#"while :; do say '{"op":"ack","alert":"a","by":"b"}'; done"#);
    bench.sink.probe(PATIENT).unwrap();
    sink_honours_budget(&mut bench.sink, SHORT).unwrap();
}

/// Whether the process has ended; one that nobody has waited for counts as ended.
fn ended(pid: &str) -> bool {
    let stat = read(&Path::new("/proc").join(pid.trim()).join("stat"));
    stat.is_empty() || stat.contains(") Z ")
}

#[test]
fn a_child_that_overstays_is_ended_with_all_it_started() {
    let mut bench = Bench::talking(r#"sleep 1000 & say $! > "$DIR/sleep"; say $$ > "$DIR/self"; wait"#);
    bench.sink.probe(PATIENT).unwrap();
    let until = Instant::now() + PATIENT;
    let late = bench.sink.deliver(&start(), Duration::from_secs(3)).unwrap_err();
    assert!(late.to_string().contains("gave no answer in time"), "{late}");
    for name in ["self", "sleep"] {
        let pid = read(&bench.folder.path().join(name));
        while !ended(&pid) {
            assert!(Instant::now() < until, "{name} {pid} still runs");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!pid.is_empty());
    }
}

#[test]
fn a_child_that_never_reads_costs_no_more_than_the_budget() {
    let greets = r#"printf '{"op":"ready","proto":1}\n'; exec sleep 1000"#;
    let mut bench = Bench::new(greets, pace(), false);
    bench.sink.probe(PATIENT).unwrap();
    // Larger than any pipe.
    let large = Alert { text: "x".repeat(PLUGIN_LINE_BYTES_MAX - 2_000), ..start() };
    let began = Instant::now();
    assert!(matches!(bench.sink.deliver(&large, SHORT), Err(SinkError::Retry(_))));
    assert!(began.elapsed() < Duration::from_secs(20));
    let too_large = Alert { text: "x".repeat(PLUGIN_LINE_BYTES_MAX), ..start() };
    assert!(matches!(bench.sink.deliver(&too_large, SHORT), Err(SinkError::Refused(_))));
}

#[test]
fn a_child_that_never_says_ready_or_speaks_another_version_says_so() {
    let mut quick = pace();
    quick.patience = Duration::from_millis(50);
    let why =
        |script: &str, pace| Bench::new(script, pace, false).sink.probe(PATIENT).unwrap_err().to_string();
    assert!(why("exec sleep 1000", quick).contains("did not say ready"));
    assert!(why(r#"printf '{"op":"ready","proto":2}\n'; cat >/dev/null"#, pace()).contains("version 2"));
    assert!(why(r#"printf '{"op":"pong","n":1}\n'; cat >/dev/null"#, pace()).contains("before ready"));
}

#[test]
fn a_child_that_stops_answering_pings_is_ended() {
    let pace = Pace { patience: Duration::from_secs(2), ping_every: Duration::ZERO, ..pace() };
    let script = r#"read -r hello; printf '{"op":"ready","proto":1}\n'; cat > "$LOG""#;
    let mut bench = Bench::new(script, pace, false);
    let until = Instant::now() + PATIENT;
    let why = loop {
        match bench.sink.tick(SHORT) {
            Ok(_) => std::thread::sleep(Duration::from_millis(20)),
            Err(why) if why.to_string().contains("no pong") => break why.to_string(),
            Err(_) => {}
        }
        assert!(Instant::now() < until, "never ended");
    };
    assert!(why.contains("gave no pong") && bench.log().contains("{\"op\":\"ping\",\"n\":1}"), "{why}");
}

#[test]
fn acknowledgements_come_back_only_where_the_config_allows_them() {
    let acks = format!(r#"say '{{"op":"ack","alert":"2500","by":"pager 12"}}'; {DONE}"#);
    for allow in [true, false] {
        let mut bench = Bench::new(&talks(&acks), pace(), allow);
        bench.sink.deliver(&start(), PATIENT).unwrap();
        let back = Back::Acknowledged { alert: AlertId("2500".into()), by: "pager 12".into() };
        assert_eq!(bench.sink.tick(PATIENT).unwrap(), if allow { vec![back] } else { Vec::new() });
    }
}

#[test]
fn a_child_is_told_goodbye_and_sees_no_environment_but_its_own() {
    let bench_log = tempfile::tempdir().unwrap();
    let path = bench_log.path().join("log");
    let mut bench = Bench::talking(&format!("env > {}; {DONE}", path.display()));
    bench.sink.deliver(&start(), PATIENT).unwrap();
    let environment = read(&path);
    assert!(environment.contains("LOG=") && !environment.contains("CARGO"), "{environment}");
    let Bench { folder, sink } = bench;
    drop(sink);
    assert!(read(&folder.path().join("log")).ends_with("bye\n"));
}
