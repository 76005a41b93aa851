//! Trends over 1 to 24 h, the marks that people set, and what was earlier.

use super::scene::{Scene, put};
use super::trace;
use super::ui::SPANS_H;
use super::words;
use crate::snapshot::{BedView, TrendPoint};
use contract::UtcMs;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Cells before the bars of a row.
pub(super) const LEAD_CELLS: u16 = 24;

/// Two bars a cell.
type Levels = Vec<[u8; 2]>;

/// Where minutes lie: cells on the clock, not on "now", so that a minute keeps its cell.
struct Axis {
    cells: i64,
    cell_ms: i64,
    last: i64,
}

impl Axis {
    fn of(width: u16, hours: u32, now: UtcMs) -> Self {
        let cells = i64::from(width.saturating_sub(LEAD_CELLS + 1).max(1));
        let cell_ms = i64::from(hours) * 3_600_000 / cells;
        Self { cells, cell_ms, last: now.0.div_euclid(cell_ms) }
    }

    fn place(&self, at: UtcMs) -> Option<usize> {
        let cell = self.cells - 1 - (self.last - at.0.div_euclid(self.cell_ms));
        usize::try_from(cell).ok().filter(|i| (*i as i64) < self.cells)
    }

    fn levels(&self, points: &[TrendPoint], mut level: impl FnMut(&TrendPoint) -> [u8; 2]) -> Levels {
        let mut out = vec![[0; 2]; self.cells as usize];
        for point in points {
            if let Some(cell) = point.at.and_then(|at| self.place(at)).and_then(|i| out.get_mut(i)) {
                let new = level(point);
                *cell = [cell[0].max(new[0]), cell[1].max(new[1])];
            }
        }
        out
    }
}

/// Seconds of a minute as 0 to 4 dots.
fn share(seconds: u8) -> [u8; 2] {
    let dots = match seconds {
        0 => 0,
        1..=5 => 1,
        6..=15 => 2,
        16..=35 => 3,
        _ => 4,
    };
    [dots, dots]
}

/// Entropy (median at a cell's left, maximum at its right), in four rows also new shapes and time over the limit; then
/// the times and marks. Minutes without a verdict are blank.
pub(super) fn draw(buf: &mut Buffer, scene: &Scene, bed: &BedView, area: Rect) {
    let Some(now) = scene.now else { return };
    let hours = SPANS_H[scene.ui.span.min(SPANS_H.len() - 1)];
    let axis = Axis::of(area.width, hours, now);
    let limit = bed.thresholds.entropy;
    let level = |p: &TrendPoint| [trace::bar_level(p.entropy, limit), trace::bar_level(p.entropy_max, limit)];
    let mut rows = vec![(format!("H median, max {hours} h"), axis.levels(&bed.trend, level))];
    if area.height >= 4 {
        rows.push((format!("new shapes {hours} h"), axis.levels(&bed.trend, |p| share(p.new_s))));
        rows.push((format!("over the limit {hours} h"), axis.levels(&bed.trend, |p| share(p.over_s))));
    }
    let palette = &scene.palette;
    for (i, (name, levels)) in rows.iter().enumerate() {
        let y = area.y + i as u16;
        put(buf, area.x + 1, y, name, LEAD_CELLS - 2, palette.text);
        for (x, [left, right]) in levels.iter().enumerate() {
            let glyph = trace::bar_glyph(*left, *right, palette.glyphs);
            put(buf, LEAD_CELLS + x as u16, y, glyph.encode_utf8(&mut [0; 4]), 1, palette.text);
        }
    }
    let y = area.y + rows.len() as u16;
    for quarter in 0..5 {
        let x = LEAD_CELLS + (quarter * (axis.cells - 1) / 4) as u16;
        let at = UtcMs(now.0 - i64::from(hours) * 3_600_000 * (4 - quarter) / 4);
        put(buf, x.min(area.width.saturating_sub(6)), y, &scene.clock_min(at), 5, palette.dim);
    }
    for mark in &bed.marks {
        if let Some(i) = axis.place(mark.at) {
            let letter = words::clean(&mark.letter.to_string());
            put(buf, LEAD_CELLS + i as u16, area.y, &letter, 1, palette.bold);
        }
    }
}

/// What this bed's alerts and marks were earlier, the newest first.
pub(super) fn earlier(buf: &mut Buffer, scene: &Scene, bed: &BedView, y: u16) {
    let mut told: Vec<(UtcMs, String)> = Vec::new();
    for a in scene.snapshot.alerts.iter().filter(|a| a.bed.as_ref() == Some(&bed.bed)) {
        let Some(ended) = a.ended else { continue };
        let long = words::span(ended.0.saturating_sub(a.onset.0));
        let seen = match &a.seen {
            Some((who, _)) => format!("seen {}", words::cut(who, 8)),
            None => "unseen".into(),
        };
        let text = format!("{} {} {long} {seen}", scene.clock_min(a.onset), words::code_words(a.code, 0));
        told.push((a.onset, text));
    }
    for m in &bed.marks {
        told.push((m.at, format!("{} mark {} {}", scene.clock_min(m.at), m.letter, words::cut(&m.note, 12))));
    }
    told.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let told: Vec<String> = told.into_iter().take(8).map(|(_, text)| text).collect();
    let text =
        if told.is_empty() { "earlier: --".to_owned() } else { format!("earlier: {}", told.join(" | ")) };
    put(buf, 1, y, &text, buf.area.width.saturating_sub(1), scene.palette.text);
}
