//! The screen, cell by cell: text and styles of every view, state, level, size and theme, and what must hold at any
//! size with any label.
#![allow(clippy::unwrap_used)] // A test stops at a surprise.

#[path = "display/fixture.rs"]
mod fixture;

use contract::{AlertClass, Code, Level};
use crossterm::event::KeyCode;
use fixture::{alert, columns, now, ward};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use std::fmt::Write as _;
use std::sync::Arc;
use wardbeat::display::{Depth, Glyphs, Look, Theme, Ui, screen_svg, view};
use wardbeat::snapshot::{LabelView, Snapshot};

const SIZES: [(u16, u16); 4] = [(40, 12), (80, 24), (120, 40), (200, 60)];

fn ui(look: Look) -> Ui {
    Ui::new(look, TimeZone::UTC)
}

fn text(buf: &Buffer) -> String {
    let row = |cells: &[ratatui::buffer::Cell]| {
        let row: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        row.trim_end().to_owned()
    };
    buf.content.chunks(usize::from(buf.area.width)).map(row).collect::<Vec<_>>().join("\n")
}

fn style_name(style: Style) -> String {
    let colour = |c: Option<Color>| match c {
        None | Some(Color::Reset) => "-".to_owned(),
        Some(c) => format!("{c}"),
    };
    let marks =
        [(Modifier::BOLD, "bold"), (Modifier::REVERSED, "reverse"), (Modifier::UNDERLINED, "underline")];
    let marks: Vec<&str> =
        marks.iter().filter(|(m, _)| style.add_modifier.contains(*m)).map(|(_, n)| *n).collect();
    format!("{} on {} {}", colour(style.fg), colour(style.bg), marks.join(" "))
}

/// One letter a style, in the order of appearance, and what each letter is.
fn styles(buf: &Buffer) -> String {
    let mut known: Vec<Style> = Vec::new();
    let mut out = String::new();
    for row in buf.content.chunks(usize::from(buf.area.width)) {
        let mut line = String::new();
        for cell in row {
            let style = cell.style();
            let blank =
                cell.symbol() == " " && style.bg == Some(Color::Reset) && style.add_modifier.is_empty();
            if blank {
                line.push(' ');
                continue;
            }
            let at = known.iter().position(|s| *s == style).unwrap_or_else(|| {
                known.push(style);
                known.len() - 1
            });
            line.push(char::from(b'a' + at as u8));
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for (i, style) in known.iter().enumerate() {
        let _ = writeln!(out, "{}: {}", char::from(b'a' + i as u8), style_name(*style).trim_end());
    }
    out
}

fn both(buf: &Buffer) -> String {
    format!("{}\n--- styles\n{}", text(buf), styles(buf))
}

fn pressed(snapshot: &Snapshot, look: Look, size: (u16, u16), keys: &[KeyCode]) -> Ui {
    let (mut ui, shared) = (ui(look), Arc::new(snapshot.clone()));
    for key in keys {
        ui.press(*key, &shared, size);
    }
    ui
}

fn keys(text: &str) -> Vec<KeyCode> {
    text.chars().map(|c| if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) }).collect()
}

#[test]
fn the_ward_at_every_size_and_number_of_beds() {
    for (w, h) in SIZES {
        for beds in [0, 1, 8, 16, 40] {
            let buf = view(&ward(beds), &ui(Look::default()), 100, (w, h));
            insta::assert_snapshot!(format!("ward-{beds}-{w}x{h}"), both(&buf));
        }
    }
}

#[test]
fn the_other_views() {
    let (snapshot, look) = (ward(16), Look::default());
    for (name, typed) in
        [("list", "l"), ("health", "d"), ("help", "?"), ("bed-alert", "06"), ("bed-stopped", "07")]
    {
        for size in SIZES {
            let buf = view(&snapshot, &pressed(&snapshot, look, size, &keys(typed)), 100, size);
            insta::assert_snapshot!(format!("{name}-{}x{}", size.0, size.1), both(&buf));
        }
    }
    let mut labelled = snapshot.clone();
    let label = |name: &str, network, surrogate| LabelView { name: name.into(), network, surrogate };
    labelled.beds[5].labels = vec![label("N-like", 0.41, 0.38), label("V-like", 0.22, 0.05)];
    let buf = view(&labelled, &pressed(&labelled, look, (80, 24), &keys("06")), 100, (80, 24));
    insta::assert_snapshot!("bed-labels-80x24", both(&buf));
}

#[test]
fn a_bed_in_every_state() {
    let (snapshot, look) = (ward(16), Look::default());
    for (state, typed) in [
        ("live", "01"),
        ("advisory", "03"),
        ("lead-off", "04"),
        ("paused", "05"),
        ("delayed", "08"),
        ("learning", "12"),
        ("noisy", "13"),
    ] {
        for size in SIZES {
            let buf = view(&snapshot, &pressed(&snapshot, look, size, &keys(typed)), 100, size);
            insta::assert_snapshot!(format!("bed-{state}-{}x{}", size.0, size.1), both(&buf));
        }
    }
}

#[test]
fn a_node_in_trouble_at_every_size() {
    let mut lost = ward(8);
    lost.node.broker_since = None;
    let mut failing = ward(8);
    failing.node.troubles.push("alerts undelivered at pager".into());
    for size in SIZES {
        for (name, snapshot, age) in [
            ("broker-lost", &lost, 100),
            ("sink-failing", &failing, 100),
            ("stale", &ward(8), 4_000),
            ("dead", &ward(8), 11_000),
        ] {
            let buf = view(snapshot, &ui(Look::default()), age, size);
            insta::assert_snapshot!(format!("{name}-{}x{}", size.0, size.1), both(&buf));
        }
    }
}

#[test]
fn every_theme_and_the_ascii_glyphs() {
    for theme in Theme::ALL {
        let look = Look { theme, depth: Depth::True, ..Look::default() };
        for size in SIZES {
            let buf = view(&ward(16), &ui(look), 100, size);
            insta::assert_snapshot!(format!("theme-{theme:?}-{}x{}", size.0, size.1), styles(&buf));
        }
    }
    let white = Look { depth: Depth::True, white_advisory: true, ..Look::default() };
    let chip = |look| {
        let buf = view(&ward(8), &ui(look), 100, (80, 24));
        let at = buf.content.iter().position(|cell| cell.symbol() == "!").expect("an advisory");
        buf.content[at].bg
    };
    assert_eq!(
        (chip(white), chip(Look { depth: Depth::True, ..Look::default() })),
        (Color::Rgb(255, 255, 255), Color::Rgb(0x5F, 0xD7, 0xFF))
    );
    let ascii = Look { glyphs: Glyphs::Ascii, depth: Depth::None, ..Look::default() };
    let buf = view(&ward(8), &ui(ascii), 100, (80, 24));
    assert!(text(&buf).is_ascii());
    insta::assert_snapshot!("ascii-80x24", both(&buf));
}

#[test]
fn mono_says_in_characters_all_that_colour_says() {
    let of = |theme| {
        let look = Look { theme, depth: Depth::True, ..Look::default() };
        text(&view(&ward(16), &ui(look), 100, (120, 40)))
    };
    assert_eq!(of(Theme::Mono), of(Theme::Dark));
    for word in [
        "!! ALERT",
        "!  ADVISORY",
        "x  LEAD OFF",
        "x  STOPPED",
        "=  PAUSED",
        "~  DELAYED",
        "o  LEARNING",
        "x  NOISY",
    ] {
        assert!(of(Theme::Mono).contains(word), "{word}");
    }
}

#[test]
fn a_silent_daemon_is_told_and_then_everything_looks_dead() {
    let at = |age| text(&view(&ward(8), &ui(Look::default()), age, (80, 24)));
    assert!(!at(2_900).contains("DAEMON SILENT"));
    assert!(at(4_000).contains("WARDBEAT DAEMON SILENT for 4s") && at(4_000).contains("LIVE"));
    let dead = at(11_000);
    assert!(dead.contains("DAEMON SILENT for 11s") && !dead.contains("LIVE"));
    assert_eq!(dead.matches("STOPPED").count(), 8);
    assert!(!dead.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "a dead screen shows no trace");
}

#[test]
fn a_lost_broker_is_a_banner_over_the_whole_line() {
    let mut snapshot = ward(8);
    snapshot.node.broker_since = None;
    let buf = view(&snapshot, &ui(Look::default()), 100, (80, 24));
    assert!(text(&buf).starts_with(" WARDBEAT TROUBLE: no connection to the broker localhost:1883"));
    assert!((0..80).all(|x| buf[(x, 0)].bg != Color::Reset));
}

#[test]
fn a_stopped_sector_has_no_trace_and_no_value() {
    let buf = view(&ward(8), &ui(Look::default()), 100, (80, 24));
    // Bed 07: left sector of the fourth row, rows 16 to 20.
    let rows: Vec<String> =
        text(&buf).lines().skip(16).take(5).map(|r| r.chars().take(40).collect()).collect();
    assert!(rows[0].starts_with("07 x  STOPPED"));
    assert!(rows.iter().all(|r| !r.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c))));
    assert!(rows[2].contains("nothing received since 02:12:3"));
    assert_eq!(rows[4].trim(), "H  --");
}

#[test]
fn digits_open_beds_and_leaving_needs_two_keys() {
    let snapshot = Arc::new(ward(16));
    let size = (80, 24);
    let mut ui = ui(Look::default());
    let shows = |ui: &Ui| text(&view(&snapshot, ui, 100, size)).lines().next().unwrap_or_default().to_owned();
    for key in keys("06") {
        assert_eq!(ui.press(key, &snapshot, size), None);
    }
    assert!(shows(&ui).starts_with(" 06 !! ALERT"));
    ui.press(KeyCode::Esc, &snapshot, size);
    for key in keys("3\n") {
        ui.press(key, &snapshot, size);
    }
    assert!(shows(&ui).starts_with(" 03 ! ADVISORY"));
    assert_eq!(ui.press(KeyCode::Char('q'), &snapshot, size), None);
    assert_eq!(ui.press(KeyCode::Char('q'), &snapshot, size), None, "a repeated q leaves nothing");
    ui.press(KeyCode::Char('q'), &snapshot, size);
    assert!(ui.press(KeyCode::Char('y'), &snapshot, size).is_some());
}

#[test]
fn a_held_picture_stands_until_a_new_alert_comes() {
    let mut snapshot = ward(8);
    let mut ui = ui(Look::default());
    ui.advance(&snapshot, contract::MonoMs(1_000));
    ui.press(KeyCode::Char('z'), &Arc::new(snapshot.clone()), (80, 24));
    let first = |s: &Snapshot, ui: &Ui| text(&view(s, ui, 100, (80, 24)));
    let before = first(&snapshot, &ui);
    for b in &mut snapshot.beds {
        b.first_column += 25;
    }
    ui.advance(&snapshot, contract::MonoMs(1_500));
    let trace = |t: &str| t.lines().skip(2).take(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(trace(&before), trace(&first(&snapshot, &ui)));
    assert!(first(&snapshot, &ui).contains("HELD 59s"));
    snapshot.alerts.push(alert(0, Code::New, Level::Alert, 1));
    assert!(ui.advance(&snapshot, contract::MonoMs(2_000)), "a new ALERT rings");
    assert!(!first(&snapshot, &ui).contains("HELD"));
}

#[test]
fn the_sweep_redraws_few_cells_a_frame() {
    let mut snapshot = ward(16);
    let mut ui = ui(Look::default());
    let mut at = contract::MonoMs(0);
    let mut before: Option<Buffer> = None;
    let mut changed = 0;
    for frame in 0..40u64 {
        at = at.after(100);
        if frame % 5 == 0 {
            for (i, b) in snapshot.beds.iter_mut().enumerate() {
                b.first_column += 25;
                b.columns = columns(40 + i as u64 % 5, b.first_column);
            }
        }
        ui.advance(&snapshot, at);
        let next = view(&snapshot, &ui, 0, (120, 40));
        changed += before.map_or(0, |b: Buffer| b.diff(&next).len());
        before = Some(next);
    }
    // A full redraw would be 4,800 cells a frame.
    assert!(changed / 39 < 250, "{} cells a frame", changed / 39);
}

#[test]
fn a_screen_becomes_a_picture_without_fonts_for_dots() {
    let look = Look { depth: Depth::True, ..Look::default() };
    let svg = screen_svg(&view(&ward(8), &ui(look), 100, (80, 24)), look);
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert!(!svg.chars().any(|c| ('\u{2800}'..='\u{28ff}').contains(&c)));
    assert!(svg.contains("ADVISORY") && svg.contains("<path"));
}

/// Words that the screen must never say (docs/ward.md, section 6).
const FORBIDDEN: [&str; 8] =
    ["abnormal", "normal", "critical", " ok ", "stable", "safe", "fibrillation", "diagnos"];

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("\u{1b}[2J\u{7}".to_owned()),
        Just("\u{202e}\u{200b}\u{301}\u{301}".to_owned()),
        Just("\u{6d77}\u{6d77}\u{6d77}\u{6d77}\u{6d77}\u{6d77}".to_owned()),
        Just("\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}".to_owned()),
        "\\PC{0,40}",
        ".{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_size_and_no_label_breaks_the_screen(
        w in 1u16..300, h in 1u16..120, beds in 0usize..40, label in hostile(), typed in "[nwldtgszB?0-9\\[\\]+-]{0,6}",
        age in prop_oneof![Just(0u64), Just(5_000), Just(60_000), Just(u64::MAX)],
    ) {
        let mut snapshot = ward(beds);
        for b in &mut snapshot.beds {
            b.label.clone_from(&label);
            b.state_detail.clone_from(&label);
            b.pause_reason.clone_from(&label);
        }
        for a in &mut snapshot.alerts {
            a.label.clone_from(&label);
            a.text.clone_from(&label);
            a.seen = Some((label.clone(), now()));
        }
        snapshot.node.troubles.push(label);
        let ui = pressed(&snapshot, Look::default(), (w, h), &keys(&typed));
        let buf = view(&snapshot, &ui, age, (w, h));
        prop_assert_eq!((buf.area.width, buf.area.height), (w, h));
        prop_assert!(!text(&buf).replace('\n', "").chars().any(char::is_control));
    }

    #[test]
    fn a_dead_ward_shows_no_trace_and_no_value_at_any_size(w in 40u16..300, h in 12u16..120, beds in 1usize..40) {
        let dead = text(&view(&ward(beds), &ui(Look::default()), 11_000, (w, h)));
        prop_assert!(!dead.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{}", dead);
        prop_assert!(!dead.contains("H 0.") && !dead.contains("LIVE"), "{}", dead);
        prop_assert!(dead.contains("DAEMON SILENT"));
    }

    #[test]
    fn every_unseen_alert_is_visible_and_no_forbidden_word_is(
        w in 40u16..300, h in 12u16..120, beds in 1usize..40, alerting in proptest::collection::btree_set(0usize..40, 0..7),
        typed in prop_oneof![Just(""), Just("l"), Just("d"), Just("?"), Just("01"), Just("n")],
    ) {
        let mut snapshot = ward(beds);
        snapshot.alerts = alerting.iter().filter(|i| **i < beds)
            .map(|i| alert(*i, Code::Uncertain, Level::Alert, 10 + *i as i64)).collect();
        let ui = pressed(&snapshot, Look::default(), (w, h), &keys(typed));
        let shown = text(&view(&snapshot, &ui, 100, (w, h)));
        for a in &snapshot.alerts {
            // In the line of looks, in a sector, in a list or in the bed's own title.
            let marked = shown.lines().any(|l| l.contains(&format!("{} !!", a.label)) || l.contains(&format!("{}>!!", a.label))
                || l.contains(&format!("{}!!", a.label)) || l.contains(&format!("{}   !!", a.label)) || l.contains(&format!("{}     !!", a.label)));
            prop_assert!(marked, "{}x{} {:?}: {} is not there\n{}", w, h, typed, a.label, shown);
        }
        let low = shown.to_lowercase();
        for word in FORBIDDEN {
            prop_assert!(!low.contains(word), "{}", word);
        }
        prop_assert_eq!(low.matches("alarm").count(), low.matches("not an alarm system").count());
    }
}

#[test]
fn an_alert_of_the_node_itself_has_a_class_of_its_own() {
    assert_eq!(alert(0, Code::Node, Level::Advisory, 1).class, AlertClass::Technical);
}
