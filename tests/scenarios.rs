//! Hours of ward in seconds of test: `tests/scenarios/*.toml` say what happens at each bed and which alerts may come.
//!
//! A bed's seconds are either a generated patient, read by the embedded model, or scripted readings, which test the
//! decisions alone. Every start must be expected, and every expectation must be met. `decisions` and `stories` are
//! scripted, `patients` are generated; a story is one thing that happens on a ward.

#[path = "scenarios/script.rs"]
mod script;

use contract::{AlertId, Code, Command, Heard, Level, MarkAt, Phase, Status, UtcMs};
use script::{AskScript, BedScript, Expect, Look, Played, Player, Scenario, Wall, bed_id, stamp};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wardbeat::model::{Bundle, open_engine};
use wardbeat::pipeline::{Analyser, Left, Now, Setup, Ward};
use wardbeat::snapshot::AlertView;

/// Who has seen what, as the journal would know it.
type Seen = Vec<(AlertId, String, UtcMs)>;

fn setup(scenario: &Scenario) -> Setup {
    let base = &scenario.analysis;
    let units: BTreeMap<_, _> =
        scenario.unit.iter().map(|(unit, own)| (unit.clone(), base.with(own))).collect();
    let own = scenario.bed.iter().filter(|b| !b.analysis.is_empty());
    let beds = own.map(|b| (bed_id(b), units.get(&b.unit).unwrap_or(base).with(&b.analysis))).collect();
    let (analysis, engine_delay_ms) = (base.clone(), 1_470);
    Setup { analysis, unit_analysis: units, bed_analysis: beds, engine_delay_ms, ..Setup::default() }
}

/// The listed alert of a code.
fn listed(ward: &Ward, script: &BedScript, code: Code, now: Now) -> Option<AlertView> {
    let (_, alerts) = ward.snapshot(now);
    alerts.into_iter().find(|a| a.code == code && a.bed == Some(bed_id(script)))
}

fn ask(
    ward: &mut Ward,
    script: &BedScript,
    ask: &AskScript,
    seen: &mut Seen,
    now: Now,
) -> Result<(), String> {
    let reason = || "scripted".to_owned();
    let command = match ask {
        AskScript { ack: Some(code), .. } => {
            let Some(alert) = listed(ward, script, *code, now) else {
                return Err(format!("{}: no {code} to acknowledge at {} s", script.name, ask.at));
            };
            let rev = if ask.stale { alert.rev.wrapping_sub(1) } else { alert.rev };
            if ask.answer == Status::Applied {
                seen.push((alert.id.clone(), "RN".into(), now.utc));
            }
            Command::Acknowledge { alert: alert.id, rev: Some(rev) }
        }
        AskScript { pause: Some(minutes), .. } => Command::Pause { minutes: *minutes, reason: reason() },
        AskScript { mark: Some(note), .. } => {
            Command::Mark { at: MarkAt::Now, letter: 'o', note: note.clone() }
        }
        AskScript { resume: true, .. } => Command::Resume,
        AskScript { relearn: true, .. } => Command::Relearn { reason: reason(), undo: false },
        AskScript { undo: true, .. } => Command::Relearn { reason: reason(), undo: true },
        _ => return Err(format!("{}: nothing is asked at {} s", script.name, ask.at)),
    };
    let ruling = ward.obey(&bed_id(script), &command, "RN", now);
    let as_wanted = ruling.status == ask.answer;
    as_wanted.then_some(()).ok_or_else(|| format!("{} at {} s: {ruling:?}", script.name, ask.at))
}

fn look(ward: &Ward, script: &BedScript, look: &Look, now: Now) -> Result<(), String> {
    let (beds, alerts) = ward.snapshot(now);
    let Some(bed) = beds.iter().find(|b| b.bed == bed_id(script)) else {
        return Err(format!("{}: not on the screen at {} s", script.name, look.at));
    };
    let alerts: Vec<_> = alerts.iter().filter(|a| a.bed == Some(bed_id(script))).collect();
    let count = |of: &dyn Fn(&AlertView) -> bool| alerts.iter().filter(|a| of(a)).count();
    let found = [
        ("open", look.open, count(&|a| a.ended.is_none())),
        ("unseen", look.unseen, count(&|a| a.seen.is_none())),
        ("silent", look.silent, count(&|a| a.silent)),
        ("marks", look.marks, bed.marks.len()),
    ];
    for (what, wanted, found) in found {
        if wanted.is_some_and(|wanted| wanted != found) {
            return Err(format!("{} at {} s: {what} is {found}, not {wanted:?}", script.name, look.at));
        }
    }
    match look.state {
        Some(wanted) if wanted != bed.state => {
            Err(format!("{} at {} s: {:?}, not {wanted:?}", script.name, look.at, bed.state))
        }
        _ => Ok(()),
    }
}

/// What the journal would know of a bed.
fn left(script: &BedScript, played: &[Played], seen: &[(AlertId, String, UtcMs)], second: u64) -> Left {
    let mine: Vec<&Played> = played.iter().filter(|p| p.bed == script.name && p.held.is_none()).collect();
    let last = |p: &&&Played| !mine.iter().any(|q| q.alert.id == p.alert.id && q.alert.rev > p.alert.rev);
    let open = mine.iter().filter(last).filter(|p| p.alert.phase != Phase::End).map(|p| p.alert.clone());
    let started =
        mine.iter().filter(|p| p.alert.phase == Phase::Start && p.alert.code.class() == Code::New.class());
    let ended = mine.iter().filter(|p| p.alert.phase == Phase::End);
    Left {
        bed: bed_id(script),
        open: open.collect(),
        seen: seen.to_vec(),
        let_out_s_ago: started.map(|p| second - p.second).collect(),
        ended_s_ago: ended.map(|p| (p.alert.code, second - p.second)).collect(),
        marks: Vec::new(),
        trend: Vec::new(),
    }
}

fn restart(
    ward: &Ward,
    scenario: &Scenario,
    bundle: &Bundle,
    played: &[Played],
    seen: &[(AlertId, String, UtcMs)],
    (second, now): (u64, Now),
) -> Ward {
    let mut anew = Ward::new(setup(scenario), bundle);
    for bed in ward.beds() {
        let Some(saved) = ward.baseline(bed) else { continue };
        let text = serde_json::to_string(&saved).expect("a baseline");
        assert!(anew.restore(bed, serde_json::from_str(&text).expect("a baseline"), now));
    }
    for script in &scenario.bed {
        let ends = anew.reopen(&left(script, played, seen, second), now);
        assert!(ends.is_empty(), "the model is the same: {ends:?}");
    }
    anew
}

fn play(scenario: &Scenario, bundle: &Arc<Bundle>, wall: Wall) -> (Vec<Played>, Vec<String>) {
    let mut ward = Ward::new(setup(scenario), bundle);
    let mut analyser = Analyser::new(Arc::clone(bundle), open_engine(bundle, "cpu").expect("a CPU"));
    let mut players: Vec<Player> = scenario.bed.iter().map(Player::new).collect();
    let (mut played, mut faults, mut seen) = (Vec::<Played>::new(), Vec::new(), Seen::new());
    for second in 0..scenario.seconds {
        let now = wall.now(second);
        if scenario.restart.contains(&second) {
            ward = restart(&ward, scenario, bundle, &played, &seen, (second, now));
        }
        for script in &scenario.bed {
            for patient in script.patient.iter().filter(|p| p.at == second) {
                ward.hear(Heard::Birth(script::birth(script, &patient.token)), now);
            }
        }
        for frame in players.iter_mut().filter_map(|p| p.frame(second)) {
            ward.hear(Heard::Frame(frame), now);
        }
        let mut findings: Vec<_> = players.iter().filter_map(|p| p.scripted(second)).collect();
        loop {
            let due = ward.take_due(now);
            if due.is_empty() {
                break;
            }
            let scripted = |d: &&wardbeat::pipeline::Due| {
                players.iter().any(|p| p.bed == d.bed && !p.readings.is_empty())
            };
            let read: Vec<_> = due.iter().filter(|d| !scripted(d)).cloned().collect();
            findings.extend(analyser.analyse(&read));
        }
        let said = ward.conclude(&findings, now).into_iter().map(|alert| (alert, None));
        let said: Vec<_> = said.collect();
        let held = ward.take_held().into_iter().map(|(alert, why)| (alert, Some(why)));
        played.extend(said.into_iter().chain(held).map(|(alert, held)| Played {
            bed: alert.bed.rsplit('/').next().unwrap_or_default().into(),
            second,
            alert,
            held,
        }));
        for script in &scenario.bed {
            for one in script.ask.iter().filter(|a| a.at == second) {
                faults.extend(ask(&mut ward, script, one, &mut seen, now).err());
            }
            faults.extend(
                script
                    .look
                    .iter()
                    .filter(|l| l.at == second)
                    .filter_map(|l| look(&ward, script, l, now).err()),
            );
        }
    }
    (played, faults)
}

/// What the later messages of an alert have against an expectation.
fn later(script: &BedScript, expect: &Expect, start: &Played, played: &[Played]) -> Vec<String> {
    let (name, code) = (&script.name, start.alert.code);
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            faults.push(format!("{name}: {code} {what}"));
        }
    };
    let later: Vec<&Played> =
        played.iter().filter(|p| p.alert.id == start.alert.id && p.held.is_none()).collect();
    let within = |p: &&&Played, [from, to]: [u64; 2]| (from..=to).contains(&p.second);
    let end = |p: &&&Played| p.alert.phase == Phase::End;
    if let Some(span) = expect.ends {
        must(later.iter().any(|p| end(&p) && within(&p, span)), format!("does not end from {span:?} s"));
    }
    must(!expect.stays || !later.iter().any(|p| end(&p)), "ends".into());
    if let Some(span) = expect.rises {
        let rises =
            |p: &&&Played| p.alert.phase == Phase::Update && p.alert.level == Level::Alert && within(p, span);
        must(later.iter().filter(rises).count() == 1, format!("does not rise once from {span:?} s"));
    }
    if let Some(level) = expect.level {
        must(later.iter().any(|p| p.alert.level == level), format!("is never {level:?}"));
    }
    let times =
        [("began", expect.onset, start.alert.onset), ("was decided", expect.decided, start.alert.decided)];
    for (what, span, at) in times {
        let second = (at.0 - stamp(0).0) / 1_000;
        let within = span.is_none_or(|[from, to]| (from as i64..=to as i64).contains(&second));
        must(within, format!("{what} at {second} s, not from {span:?} s"));
    }
    let revs: Vec<u32> = later.iter().map(|p| p.alert.rev).collect();
    must(revs.is_sorted_by(|a, b| a < b), format!("has revisions {revs:?}"));
    faults
}

/// What the alerts of one bed have against its expectations.
fn faults(script: &BedScript, played: &[Played]) -> Vec<String> {
    let mut faults = Vec::new();
    let mine = played.iter().filter(|p| p.bed == script.name && p.alert.phase == Phase::Start);
    let mut starts: Vec<&Played> = mine.collect();
    for expect in &script.expect {
        let fits = |p: &&Played| {
            expect.codes.contains(&p.alert.code)
                && (expect.from..=expect.to).contains(&p.second)
                && p.held == expect.held.as_deref()
        };
        let Some(at) = starts.iter().position(fits) else {
            let (codes, held) = (&expect.codes, expect.held.as_deref().unwrap_or("said"));
            faults.push(format!(
                "{}: none of {codes:?} from {} to {} s ({held})",
                script.name, expect.from, expect.to
            ));
            continue;
        };
        let start = starts.remove(at);
        if expect.more {
            starts.retain(|p| !(expect.codes.contains(&p.alert.code) && p.second >= expect.from));
        }
        faults.extend(later(script, expect, start, played));
    }
    let held = |p: &&Played| p.held.map_or_else(String::new, |why| format!(" (held back: {why})"));
    // What was held back without being expected is no fault of a scenario that does not speak of it.
    let speaks = script.expect.iter().any(|e| e.held.is_some());
    starts.retain(|p| p.held.is_none() || speaks);
    let unexpected = starts
        .iter()
        .map(|p| format!("{}: unexpected at {} s: {}{}", p.bed, p.second, p.alert.text, held(p)));
    faults.extend(unexpected);
    faults
}

fn scenario(path: &Path) -> Scenario {
    let text = std::fs::read_to_string(path).expect("a scenario");
    toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn check(path: &Path, bundle: &Arc<Bundle>) -> Vec<String> {
    let scenario = scenario(path);
    let (played, mut wrong) = play(&scenario, bundle, Wall { late_ms: 0 });
    for p in &played {
        let held = p.held.unwrap_or_default();
        println!(
            "{} {:>5} s {:?} {:?} {} {held}",
            p.bed, p.second, p.alert.phase, p.alert.level, p.alert.text
        );
        assert!(p.alert.onset <= p.alert.decided, "{:?}", p.alert);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    wrong.extend(scenario.bed.iter().flat_map(|b| faults(b, &played)));
    wrong.into_iter().map(|f| format!("{name}: {f}")).collect()
}

fn scenarios(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(folder);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("scenarios").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

#[test]
fn decisions_follow_the_script() {
    let bundle = Arc::new(Bundle::tiny(1));
    let faults: Vec<String> = scenarios("decisions").iter().flat_map(|p| check(p, &bundle)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn generated_patients_raise_what_they_should_and_nothing_else() {
    let bundle = Arc::new(Bundle::embedded().expect("the embedded model"));
    let faults: Vec<String> = scenarios("patients").iter().flat_map(|p| check(p, &bundle)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_happens_on_a_ward_is_told_as_the_stories_say() {
    let bundle = Arc::new(Bundle::tiny(1));
    let stories = scenarios("stories");
    assert!(stories.len() >= 25, "{} stories", stories.len());
    let faults: Vec<String> = stories.iter().flat_map(|p| check(p, &bundle)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What follows from samples and commands alone: an alert held back or said, in its very bytes.
fn promised(scenario: &Scenario, bundle: &Arc<Bundle>, wall: Wall) -> Vec<(Option<&'static str>, String)> {
    let (played, _) = play(scenario, bundle, wall);
    let timed = |p: &Played| matches!(p.alert.code, Code::NoData | Code::Clock | Code::Node);
    let told = played.iter().filter(|p| !timed(p));
    told.map(|p| (p.held, serde_json::to_string(&p.alert).expect("plain"))).collect()
}

#[test]
fn the_same_samples_make_the_same_alerts_whatever_the_wall_clock_says() {
    let bundle = Arc::new(Bundle::tiny(1));
    let mut compared = 0;
    for path in scenarios("stories") {
        let scenario = scenario(&path);
        let on_time = promised(&scenario, &bundle, Wall { late_ms: 0 });
        compared += on_time.len();
        assert_eq!(on_time, promised(&scenario, &bundle, Wall { late_ms: 437 }), "{}", path.display());
    }
    assert!(compared > 50, "{compared} alerts");
}
