//! Small screens: from 40 by 12 a list of the beds that ask for something, below that a line or a few.

use super::lines;
use super::scene::{Scene, Standing, put, put_right};
use super::ui::Bell;
use super::ward;
use super::words;
use crate::snapshot::BedState;
use contract::Level;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// What asks first: ALERT, advisory, not watched, delayed, learning, live.
fn urgency(s: &Standing) -> u8 {
    match (s.state, s.alert.map(|a| a.level)) {
        (_, Some(Level::Alert)) => 0,
        (_, Some(Level::Advisory)) => 1,
        (BedState::Stopped | BedState::LeadOff | BedState::Noisy, _) => 2,
        (BedState::Paused, _) => 3,
        (BedState::Delayed, _) => 4,
        (BedState::Learning, _) => 5,
        (BedState::Live, _) => 6,
    }
}

/// 40 by 12 and more: one row for each bed that is not plainly LIVE, one trace, the live beds by label.
pub(super) fn draw(buf: &mut Buffer, scene: &Scene) {
    let (w, h) = (buf.area.width, buf.area.height);
    let palette = &scene.palette;
    let mut standings = scene.standings();
    standings.sort_by_key(urgency);
    let asking = standings.iter().filter(|s| urgency(s) < 6).count();
    let live: Vec<String> = standings[asking..].iter().map(|s| words::cut(&s.bed.label, 6)).collect();
    if let Some(text) = lines::banner(scene) {
        put(buf, 0, 0, &words::fit("", usize::from(w)), w, palette.banner);
        put(buf, 0, 0, text.trim_start(), w.saturating_sub(11), palette.banner);
        lines::put_clock(buf, scene, palette.banner);
    } else {
        let mode = scene.mode_word().map_or_else(String::new, |m| format!(" {m}"));
        put(buf, 0, 0, &format!("WARDBEAT{mode} {} beds", scene.snapshot.beds.len()), w, palette.bold);
        lines::put_clock(buf, scene, palette.bold);
    }
    let rows = usize::from(h.saturating_sub(5));
    let shown = if asking > rows { rows.saturating_sub(1) } else { asking };
    for (i, s) in standings.iter().take(shown).enumerate() {
        row(buf, scene, s, 1 + i as u16);
    }
    if asking > shown {
        let rest: Vec<String> = standings[shown..asking]
            .iter()
            .map(|s| {
                format!(
                    "{}{}",
                    words::cut(&s.bed.label, 6),
                    s.alert.map_or(s.mark(), |a| words::level_mark(a.level))
                )
            })
            .collect();
        put(buf, 0, 1 + shown as u16, &format!("+{}: {}", rest.len(), rest.join(" ")), w, palette.bold);
    }
    let text = format!("{} live: {}", live.len(), live.join(" "));
    put(buf, 0, h.saturating_sub(4), &text, w, palette.text);
    if let Some(s) = standings.first() {
        let y = h.saturating_sub(3);
        let label = words::cut(&s.bed.label, 6);
        put(buf, 0, y, &label, 6, palette.bold);
        let x = words::width(&label) as u16 + 1;
        ward::picture_or_reason(buf, scene, Rect::new(x, y, w.saturating_sub(x), 1), s);
    }
    put(buf, 0, h.saturating_sub(2), "Not an alarm system", w, palette.dim);
    if scene.ui.bell == Bell::Off {
        put_right(buf, w, h.saturating_sub(2), "BELL OFF", palette.bold);
    }
    lines::footer(buf, scene, &["n", "a", "Enter", "?"]);
}

fn row(buf: &mut Buffer, scene: &Scene, s: &Standing, y: u16) {
    let (w, palette) = (buf.area.width, &scene.palette);
    let label = words::fit(&s.bed.label, 6);
    let label = label.trim_end();
    let cells = words::width(label).max(2) as u16;
    put(buf, 0, y, label, cells, palette.bold);
    let chip = s.chip(scene);
    let mark = s.alert.map_or(s.mark(), |a| words::level_mark(a.level));
    put(buf, cells + 1, y, &words::fit(mark, 2), 2, chip);
    put(buf, cells + 3, y, " ", 1, chip);
    put(buf, cells + 4, y, &words::fit(s.word(), 8), 8, chip);
    let since = s.since(scene);
    put_right(buf, w, y, &since, palette.text);
    let x = cells + 13;
    put(buf, x, y, &s.what(scene, 0), w.saturating_sub(x + since.len() as u16 + 1), palette.text);
}

/// Less than 40 by 12: counts, then the unseen ALERTs, as far as there is room.
pub(super) fn line(buf: &mut Buffer, scene: &Scene) {
    let (w, h) = (buf.area.width, buf.area.height);
    let palette = &scene.palette;
    let looks = scene.looks();
    let alerts: Vec<String> = looks
        .iter()
        .filter(|a| a.level == Level::Alert && a.seen.is_none())
        .map(|a| format!("{} !!", words::cut(&a.label, 8)))
        .collect();
    let banner = lines::banner(scene).map(|b| b.trim_start().to_owned());
    let style = if banner.is_some() { palette.banner } else { palette.bold };
    let first = banner.unwrap_or_else(|| format!("WARDBEAT {}", lines::count_text(scene)));
    put(buf, 0, 0, &first, w, style);
    for (i, text) in alerts.iter().enumerate().take(usize::from(h.saturating_sub(2))) {
        put(buf, 0, 1 + i as u16, text, w, palette.alert);
    }
    if h > 1 {
        put(buf, 0, h - 1, &scene.now.map_or_else(String::new, |n| scene.clock(n)), w, palette.dim);
    }
}
