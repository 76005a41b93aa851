//! What an operator's keys do and what keeps them from doing it by mistake; and that a watcher has none of them.
#![allow(clippy::unwrap_used)] // A test stops at a surprise.

#[allow(dead_code)] // The other display test uses the rest.
#[path = "display/fixture.rs"]
mod fixture;

use contract::{Code, Level, MonoMs};
use crossterm::event::KeyCode;
use fixture::{alert, now, ward};
use jiff::tz::TimeZone;
use std::sync::Arc;
use wardbeat::display::{Action, Look, Ui, Wish, manual, view};
use wardbeat::snapshot::{Mark, Snapshot};

const SIZE: (u16, u16) = (120, 40);

struct Desk {
    ui: Ui,
    snapshot: Snapshot,
    now: MonoMs,
}

impl Desk {
    fn of(operator: Option<&str>) -> Self {
        let ui = Ui::new(Look::default(), TimeZone::UTC).for_operator(operator.map(str::to_owned));
        let mut desk = Self { ui, snapshot: ward(8), now: MonoMs(10_000) };
        desk.wait(0);
        desk
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.after(ms);
        self.ui.advance(&self.snapshot, self.now);
    }

    /// Presses one key, half a second after the last.
    fn press(&mut self, key: KeyCode) -> Option<Action> {
        self.wait(500);
        self.ui.press(key, &Arc::new(self.snapshot.clone()), SIZE)
    }

    /// Presses keys and gives what the last one asked.
    fn type_in(&mut self, keys: &str) -> Option<Action> {
        let code = |c| match c {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        keys.chars().map(|c| self.press(code(c))).last().flatten()
    }

    fn shows(&mut self) -> String {
        self.wait(0);
        let buf = view(&self.snapshot, &self.ui, 0, SIZE);
        let row =
            |r: &[ratatui::buffer::Cell]| r.iter().map(ratatui::buffer::Cell::symbol).collect::<String>();
        buf.content.chunks(usize::from(SIZE.0)).map(row).collect::<Vec<_>>().join("\n")
    }
}

fn wish(action: Option<Action>) -> Option<(String, Wish)> {
    match action? {
        Action::Ask { bed, wish, .. } => Some((bed.place().to_owned(), wish)),
        _ => None,
    }
}

#[test]
fn a_watcher_has_no_key_that_changes_anything() {
    let mut desk = Desk::of(None);
    for keys in ["06a", "p1c", "r", "mt", "R06\n"] {
        assert_eq!(desk.type_in(keys), None, "{keys}");
    }
    let help = {
        desk.type_in("w?");
        desk.shows()
    };
    assert!(!help.contains("acknowledge") && !help.contains("notices"), "{help}");
    let mut desk = Desk::of(Some("RN"));
    desk.type_in("?");
    assert!(desk.shows().contains("seen: acknowledge"));
}

#[test]
fn an_acknowledgement_is_done_when_the_wards_own_state_says_so() {
    let mut desk = Desk::of(Some("RN"));
    let id = desk.snapshot.alerts.iter().find(|a| a.label == "06").unwrap().id.clone();
    assert_eq!(wish(desk.type_in("06a")), Some(("b06".into(), Wish::Acknowledge(id.clone(), 0))));
    assert!(desk.shows().contains("sent: acknowledge 06"));
    assert_eq!(desk.type_in("a"), None, "it is on its way already");
    desk.wait(2_900);
    assert!(desk.shows().contains("NOT CONFIRMED: acknowledge 06"), "{}", desk.shows());
    let seen = desk.snapshot.alerts.iter_mut().find(|a| a.id == id).unwrap();
    seen.seen = Some(("RN".into(), now()));
    assert!(desk.shows().contains("done: acknowledge 06"));
    desk.wait(7_000);
    assert!(!desk.shows().contains("acknowledge 06"));
    assert_eq!(desk.type_in("a"), None, "nothing is unseen any more");
}

#[test]
fn a_key_that_repeats_by_itself_does_nothing() {
    let mut desk = Desk::of(Some("RN"));
    desk.type_in("06");
    let snapshot = Arc::new(desk.snapshot.clone());
    desk.wait(500);
    assert!(desk.ui.press(KeyCode::Char('r'), &snapshot, SIZE).is_some());
    for _ in 0..20 {
        desk.wait(30);
        assert_eq!(desk.ui.press(KeyCode::Char('r'), &snapshot, SIZE), None);
    }
}

#[test]
fn a_pause_needs_its_length_and_a_reason_and_keeps_its_bed() {
    let mut desk = Desk::of(Some("RN"));
    assert_eq!(desk.type_in("06p"), None);
    assert!(desk.shows().contains("PAUSE NOTICES of 06"));
    assert_eq!(desk.type_in("9x"), None);
    // The alert of another bed comes to the front meanwhile.
    desk.snapshot.alerts.insert(0, alert(0, Code::New, Level::Alert, 1));
    assert_eq!(desk.type_in("2"), None);
    assert!(desk.shows().contains("PAUSE 06 5 min, why?"));
    let asked = wish(desk.type_in("s"));
    assert_eq!(asked, Some(("b06".into(), Wish::Pause { minutes: 5, reason: "suction".into() })));
    assert_eq!(desk.type_in("p\u{1b}"), None);
    assert!(!desk.shows().contains("PAUSE NOTICES"));
    desk.snapshot.beds[5].pause_left_ms = Some(290_000);
    assert!(desk.shows().contains("done: pause 06 for 5 min (suction)"));
}

#[test]
fn learning_anew_needs_the_bed_typed() {
    let mut desk = Desk::of(Some("RN"));
    assert_eq!(desk.type_in("06R07\n"), None);
    assert!(desk.shows().contains("RELEARN 06") && desk.shows().contains("15m00"), "{}", desk.shows());
    assert_eq!(desk.type_in("\u{1b}R\n"), None);
    assert_eq!(wish(desk.type_in("06\n")), Some(("b06".into(), Wish::Relearn)));
}

#[test]
fn a_mark_may_be_taken_back_for_ten_seconds() {
    let mut desk = Desk::of(Some("RN"));
    assert_eq!(desk.type_in("06mt"), None);
    assert!(desk.shows().contains("mark 06 turned: sent in 10 s"));
    desk.type_in("\u{1b}");
    assert!(!desk.shows().contains("turned: sent in"));
    assert!(desk.shows().contains("mm/mV"), "the bed stays open");
    desk.wait(20_000);
    assert_eq!(desk.ui.due(), None);
    desk.type_in("mt");
    desk.wait(10_500);
    let due = desk.ui.due();
    let Some((bed, Wish::Mark { at, letter: 't', .. })) = wish(due) else { panic!("no mark") };
    assert_eq!((bed.as_str(), at), ("b06", now()));
    desk.snapshot.beds[5].marks.push(Mark { at, letter: 't', note: "turned".into() });
    assert!(desk.shows().contains("done: mark 06 turned"));
}

#[test]
fn the_list_shows_unseen_or_some_beds_only() {
    let mut desk = Desk::of(None);
    desk.type_in("l");
    assert!(desk.shows().contains("filter: all") && desk.shows().contains("lead II off"));
    desk.type_in("/06\n");
    let shown = desk.shows();
    assert!(shown.contains("filter: 06") && !shown.contains("lead II off"), "{shown}");
    desk.type_in("/\u{1b}");
    desk.snapshot.alerts[0].seen = Some(("RN".into(), now()));
    desk.type_in("u");
    let shown = desk.shows();
    assert!(shown.contains("filter: unseen") && !shown.contains("seen RN"), "{shown}");
}

#[test]
fn the_manual_has_the_table_of_keys() {
    let page = include_str!("../docs/terminal.md");
    assert!(page.contains(&manual()), "docs/terminal.md must hold this:\n{}", manual());
}
