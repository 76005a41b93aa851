//! The alert list: open findings and technical conditions, then what ended unseen, with the strip of the chosen one.

use super::lines;
use super::scene::{NIGHT_MS, Scene, put, put_right};
use super::trace::{self, Motion, Run, Scale};
use super::words;
use crate::snapshot::{AlertView, Snapshot};
use contract::{AlertClass, Code, Level};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The alerts of the list, in its order: open findings (unseen ALERTs first), technical conditions, what ended unseen,
/// what ended and was seen, each oldest first but the last. `filter` is a part of a bed's label.
pub(super) fn listed<'a>(snapshot: &'a Snapshot, unseen_only: bool, filter: &str) -> Vec<&'a AlertView> {
    let wanted = filter.to_lowercase();
    let shown = |a: &&AlertView| {
        (!unseen_only || a.seen.is_none()) && (wanted.is_empty() || a.label.to_lowercase().contains(&wanted))
    };
    let mut out: Vec<&AlertView> = snapshot.alerts.iter().filter(shown).collect();
    out.sort_by_key(|a| {
        let technical = a.class == AlertClass::Technical;
        let group = match (a.ended, &a.seen) {
            (None, _) if technical => 2,
            (None, None) if !a.silent => 0,
            (None, _) => 1,
            (Some(_), None) if !technical => 3,
            _ => 4,
        };
        let newest_first = if group == 4 { -a.onset.0 } else { a.onset.0 };
        (group, std::cmp::Reverse(a.level), newest_first)
    });
    out
}

pub(super) fn draw(buf: &mut Buffer, scene: &Scene) {
    let (w, h) = (buf.area.width, buf.area.height);
    let palette = &scene.palette;
    let all = &scene.snapshot.alerts;
    let alerts = listed(scene.snapshot, scene.ui.unseen_only, &scene.ui.filter);
    lines::title(buf, scene, &title(scene, w), palette.bold);
    put(buf, 0, 1, if w < 76 { "  bed      what" } else { "  bed    level        what" }, w, palette.dim);
    if w >= EVIDENCE_FROM {
        put(buf, evidence_column(w), 1, "evidence", w, palette.dim);
    }
    if w >= 76 {
        put(buf, since_column(w) - 1, 1, "since     state", w, palette.dim);
    }
    let at = scene.ui.line.min(alerts.len().saturating_sub(1));
    let detail = if h >= 20 { 6 } else { 0 };
    let rows = usize::from(h.saturating_sub(4 + detail));
    let first = (at + 1).saturating_sub(rows);
    for (i, alert) in alerts.iter().enumerate().skip(first).take(rows) {
        row(buf, scene, alert, 2 + (i - first) as u16, i == at);
    }
    if alerts.is_empty() {
        let text =
            if all.is_empty() { "Nothing open, nothing ended." } else { "Nothing that this list shows." };
        put(buf, 3, 3, text, w, palette.text);
    }
    if let Some(alert) = alerts.get(at).filter(|_| detail > 0) {
        detail_of(buf, scene, alert, Rect::new(1, h - 2 - detail, w - 2, detail));
    }
    lines::elsewhere(buf, scene, None);
    lines::footer(buf, scene, &["a", "Enter", "/", "u", "?"]);
}

fn title(scene: &Scene, width: u16) -> String {
    let all = &scene.snapshot.alerts;
    let open = all.iter().filter(|a| a.ended.is_none()).count();
    let review = all.iter().filter(|a| a.silent).count();
    let tonight = |a: &&AlertView| a.class == AlertClass::Analysis && scene.since_ms(a.onset) < NIGHT_MS;
    let tonight = all.iter().filter(tonight).count();
    let mut text =
        format!(" ALERT LIST  {open} open  {} ended unseen  {tonight} tonight", scene.ended_unseen().len());
    if review > 0 {
        text += &format!("  {review} for review only");
    }
    let filter = match (scene.ui.unseen_only, scene.ui.filter.is_empty()) {
        (false, true) if width < 88 => return text,
        (false, true) => "all".to_owned(),
        (true, true) => "unseen".into(),
        (false, false) => words::cut(&scene.ui.filter, 10),
        (true, false) => format!("unseen, {}", words::cut(&scene.ui.filter, 10)),
    };
    text + &format!("   filter: {filter}")
}

/// From this width on the list has a column for the evidence.
const EVIDENCE_FROM: u16 = 110;
const EVIDENCE_CELLS: u16 = 26;

fn evidence_column(width: u16) -> u16 {
    since_column(width) - 1 - EVIDENCE_CELLS
}

/// Where the time of an alert begins: the words before it get what the screen has beyond 80 cells.
fn since_column(width: u16) -> u16 {
    52 + width.saturating_sub(80).min(60)
}

fn row(buf: &mut Buffer, scene: &Scene, a: &AlertView, y: u16, chosen: bool) {
    let (w, palette) = (buf.area.width, &scene.palette);
    let technical = a.class == AlertClass::Technical;
    let (mark, word, chip) = match (technical, a.level) {
        (true, _) => ("x", "TECHNICAL", palette.unwatched),
        (false, Level::Alert) => ("!!", "ALERT", palette.alert),
        (false, Level::Advisory) => ("!", "ADVISORY", palette.advisory),
    };
    let chip = if a.ended.is_some() { palette.text } else { chip };
    put(buf, 0, y, if chosen { ">" } else { " " }, 1, palette.bold);
    put(buf, 2, y, &words::cut(&a.label, 6), 6, palette.bold);
    if w < 76 {
        let what = if technical { matter(a) } else { words::code_words(a.code, 0).into() };
        let state = if a.ended.is_some() { "ended".into() } else { scene.span(a.onset) };
        put(buf, 9, y, &words::fit(mark, 2), 2, chip);
        put(buf, 12, y, &what, w.saturating_sub(18), palette.text);
        put_right(buf, w, y, &state, palette.text);
        return;
    }
    put(buf, 9, y, &format!("{} {}", words::fit(mark, 2), words::fit(word, 9)), 12, chip);
    let what = if technical { matter(a) } else { words::code_words(a.code, 1).into() };
    let split = since_column(w);
    let end = if w >= EVIDENCE_FROM { evidence_column(w) } else { split - 1 };
    put(buf, 22, y, &what, end - 23, palette.text);
    if w >= EVIDENCE_FROM {
        let evidence = if technical {
            "technical".into()
        } else {
            format!("{} {}", words::clean(&a.evidence), short_k_of_n(a))
        };
        put(buf, end, y, &evidence, EVIDENCE_CELLS - 1, palette.text);
    }
    put(buf, split - 1, y, &scene.clock(a.onset), 8, palette.text);
    let state = match (a.ended, &a.seen) {
        (None, None) => format!("OPEN {}", scene.span(a.onset)),
        (None, Some((who, at))) => {
            format!("OPEN {} seen {} {}", scene.span(a.onset), who, scene.clock_min(*at))
        }
        (Some(_), None) => "ended unseen".into(),
        (Some(_), Some((who, _))) => format!("ended, seen {who}"),
    };
    let silent = if a.silent { "  (review only)" } else { "" };
    put(buf, split + 9, y, &format!("{state}{silent}"), w.saturating_sub(split + 9), palette.text);
}

fn detail_of(buf: &mut Buffer, scene: &Scene, a: &AlertView, area: Rect) {
    let palette = &scene.palette;
    let mut text = format!("> {} {}", words::cut(&a.label, 8), words::code_words(a.code, 2));
    for part in [words::clean(&a.evidence), k_of_n(a)] {
        if !part.is_empty() {
            text += &format!("   {part}");
        }
    }
    put(buf, area.x, area.y, &text, area.width, palette.bold);
    let shifts: Vec<String> = a.shifts.iter().take(3).map(|s| shift_text(scene, s)).collect();
    let what =
        if shifts.is_empty() { words::clean(&a.text) } else { format!("changed: {}", shifts.join("   ")) };
    put(buf, area.x, area.y + 1, &what, area.width, palette.text);
    let picture = Rect::new(area.x, area.y + 2, area.width, area.height.saturating_sub(2));
    frozen(buf, scene, a, picture);
}

pub(super) fn k_of_n(a: &AlertView) -> String {
    a.k_of_n.map_or_else(String::new, |[k, n]| format!("{k} of last {n} s"))
}

/// What is the matter in a technical alert: the middle of "Signal unusable: lead V1 off. Look at the leads."
fn matter(a: &AlertView) -> String {
    let text = words::clean(&a.text);
    match (a.code, text.split_once(": ")) {
        (Code::Signal, Some((_, rest))) => {
            rest.split(". ").next().unwrap_or(rest).trim_end_matches('.').into()
        }
        (Code::NoData, _) => words::code_words(a.code, 1).into(),
        _ => text,
    }
}

fn short_k_of_n(a: &AlertView) -> String {
    a.k_of_n.map_or_else(String::new, |[k, n]| format!("{k}of{n}"))
}

fn shift_text(scene: &Scene, s: &contract::ClusterShift) -> String {
    format!("{} {:.0}%->{:.0}%", scene.cluster_name(s), s.usual * 100.0, s.now * 100.0)
}

/// The trace around the moment an alert rose, standing.
pub(super) fn frozen(buf: &mut Buffer, scene: &Scene, a: &AlertView, area: Rect) {
    if a.strip.is_empty() || area.is_empty() {
        return;
    }
    let run = Run { columns: &a.strip, first: 0, head: a.strip.len() as u64 };
    // As many dots as fit: the whole strip is shown.
    let dots_per_s = (u64::from(area.width) * 2 * trace::COLUMNS_PER_S / a.strip.len() as u64).clamp(2, 50);
    let scale = Scale::fit(&a.strip, dots_per_s, 1.0);
    trace::draw(buf, area, run, scale, Motion::Still, scene.palette.glyphs, |c| scene.cluster_style(c));
}
