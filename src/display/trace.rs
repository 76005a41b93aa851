//! The braille rasteriser: envelope columns to dots, two by four a cell, and bars of one to four dots.
//!
//! A sweep is fixed in place and overwritten behind a blank bar, as on a bedside monitor: scrolling would change
//! every cell of a trace in every frame.

use super::theme::Glyphs;
use crate::snapshot::Column;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Columns of a snapshot each second (20 ms each).
pub(super) const COLUMNS_PER_S: u64 = 50;
/// The blank bar ahead of the sweep, in dots: two cells.
const ERASE_DOTS: u64 = 4;
/// Bits of a braille pattern, `[left or right][row from the top]`.
const DOT: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// A run of envelope columns and where it lies.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    /// The columns, oldest first.
    pub columns: &'a [Column],
    /// Index of the first one since the epoch began.
    pub first: u64,
    /// Index after the newest one to draw.
    pub head: u64,
}

/// How millivolts and seconds become dots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// Dots each second along the trace.
    pub dots_per_s: u64,
    /// mV at the upper edge.
    pub top_mv: f32,
    /// mV from edge to edge.
    pub span_mv: f32,
}

impl Scale {
    /// A scale that shows these columns: 1 to 8 (or 16) mV from edge to edge, by a ladder, divided by `zoom`, centred on them.
    pub fn fit(columns: &[Column], dots_per_s: u64, zoom: f32) -> Self {
        let (low, high) = reach(columns).unwrap_or((-0.5, 0.5));
        let room = (high - low) * 1.15;
        let full = [1.0_f32, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0].into_iter().find(|s| *s >= room).unwrap_or(16.0);
        // A coarse centre: the picture moves only when the signal really does.
        let centre = (f32::midpoint(low, high) / full * 8.0).round() * full / 8.0;
        let span = full / zoom;
        Self { dots_per_s, top_mv: centre + span / 2.0, span_mv: span }
    }

    /// The scale of paper, as far as a terminal has one: `gain` mm for a mV where 25 mm are `cells_25mm` cells, a cell
    /// being twice as high as wide. Centred on the columns; also says whether they fit.
    pub fn paper(columns: &[Column], dots_per_s: u64, rows: u16, cells_25mm: u64, gain: f32) -> (Self, bool) {
        let fitted = Self::fit(columns, dots_per_s, 1.0);
        let rows_per_mv = gain * cells_25mm as f32 / 50.0;
        let span = (f32::from(rows) * 4.0 - 1.0) / (4.0 * rows_per_mv);
        let (low, high) = reach(columns).unwrap_or((0.0, 0.0));
        // Centred as coarsely as `fit` does it, so that the picture moves only when the signal really does.
        let centre = (f32::midpoint(low, high) / span * 8.0).round() * span / 8.0;
        let scale = Self { top_mv: centre + span / 2.0, span_mv: span, ..fitted };
        (scale, low >= scale.top_mv - span && high <= scale.top_mv)
    }

    fn dot(&self, mv: f32, dots: i32) -> i32 {
        let at = (self.top_mv - mv) / self.span_mv * (dots - 1) as f32;
        (at.round() as i32).clamp(0, dots - 1)
    }

    /// Index of the dot that holds a column.
    fn dot_of(&self, column: u64) -> u64 {
        column * self.dots_per_s / COLUMNS_PER_S
    }

    /// The columns that a dot covers, at least one.
    fn columns_of(&self, dot: u64) -> std::ops::Range<u64> {
        let from = (dot * COLUMNS_PER_S).div_ceil(self.dots_per_s);
        let to = ((dot + 1) * COLUMNS_PER_S).div_ceil(self.dots_per_s);
        if to > from {
            return from..to;
        }
        let covering = dot * COLUMNS_PER_S / self.dots_per_s;
        covering..covering + 1
    }
}

/// Smallest and largest value; `None` where all are missing.
fn reach(columns: &[Column]) -> Option<(f32, f32)> {
    let known = columns.iter().filter(|c| c.min_mv.is_finite() && c.max_mv.is_finite());
    known.fold(None, |reach: Option<(f32, f32)>, c| {
        let (low, high) = reach.unwrap_or((c.min_mv, c.max_mv));
        Some((low.min(c.min_mv), high.max(c.max_mv)))
    })
}

/// An upright line of 1 mV in one column of cells, in the middle of `area`'s height; nothing where it does not fit.
pub(super) fn millivolt(buf: &mut Buffer, x: u16, area: Rect, scale: Scale, glyphs: Glyphs, style: Style) {
    let dots = i32::from(area.height) * 4;
    let long = (1.0 / scale.span_mv * (dots - 1) as f32).round() as i32;
    if long >= dots || long < 2 {
        return;
    }
    let from = (dots - long) / 2;
    for row in 0..i32::from(area.height) {
        let lit = (0..4).filter(|r| (from..=from + long).contains(&(row * 4 + r)));
        let bits = lit.fold(0u8, |bits, r| bits | DOT[0][r as usize]);
        let at = (x, area.y + row as u16);
        if bits != 0 && buf.area.contains(at.into()) {
            buf[at].set_char(glyph(bits, glyphs)).set_style(style);
        }
    }
}

/// Whether the picture sweeps in place or stands, its end at the right edge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Motion {
    Sweep,
    Still,
}

/// One dot column: envelope in mV and the cluster of its first column.
fn envelope(run: Run, columns: std::ops::Range<u64>) -> Option<(f32, f32, Option<u8>)> {
    let mut out: Option<(f32, f32, Option<u8>)> = None;
    for index in columns {
        let Some(c) = index.checked_sub(run.first).and_then(|i| run.columns.get(i as usize)) else {
            continue;
        };
        if index >= run.head || !c.min_mv.is_finite() || !c.max_mv.is_finite() {
            continue;
        }
        let (low, high, cluster) = out.unwrap_or((c.min_mv, c.max_mv, c.cluster));
        out = Some((low.min(c.min_mv), high.max(c.max_mv), cluster));
    }
    out
}

/// The dots on show and their place: `(absolute dot, x)`.
fn places(run: Run, scale: Scale, motion: Motion, width_dots: u64) -> impl Iterator<Item = (u64, u64)> {
    let end = scale.dot_of(run.head);
    let shown = width_dots.saturating_sub(if motion == Motion::Sweep { ERASE_DOTS } else { 0 });
    let from = end.saturating_sub(shown);
    (from..end).map(move |d| match motion {
        Motion::Sweep => (d, d % width_dots),
        Motion::Still => (d, d + width_dots - end),
    })
}

/// Draws a trace. `style` gives the colour of a cluster (`None` = not yet known).
pub(super) fn draw(
    buf: &mut Buffer,
    area: Rect,
    run: Run,
    scale: Scale,
    motion: Motion,
    glyphs: Glyphs,
    style: impl Fn(Option<u8>) -> Style,
) {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    let (w, h) = (usize::from(area.width), usize::from(area.height));
    let dots_high = i32::from(area.height) * 4;
    let mut bits = vec![0u8; w * h];
    let mut clusters: Vec<Option<Option<u8>>> = vec![None; w];
    let mut before: Option<(u64, i32, i32)> = None;
    for (dot, x) in places(run, scale, motion, w as u64 * 2) {
        let Some((low, high, cluster)) = envelope(run, scale.columns_of(dot)) else { continue };
        let (mut top, mut bottom) = (scale.dot(high, dots_high), scale.dot(low, dots_high));
        let own = (top, bottom);
        // Neighbouring columns are joined, missing ones never bridged.
        if let Some((_, above, below)) = before.filter(|(d, _, _)| d + 1 == dot) {
            top = top.min(below + 1);
            bottom = bottom.max(above - 1);
        }
        before = Some((dot, own.0, own.1));
        let column = (x / 2) as usize;
        if x % 2 == 0 || clusters[column].is_none() {
            clusters[column] = Some(cluster);
        }
        for y in top.max(0)..=bottom.min(dots_high - 1) {
            bits[(y / 4) as usize * w + column] |= DOT[(x % 2) as usize][(y % 4) as usize];
        }
    }
    for (i, &b) in bits.iter().enumerate().filter(|(_, b)| **b != 0) {
        let cell = &mut buf[(area.x + (i % w) as u16, area.y + (i / w) as u16)];
        cell.set_char(glyph(b, glyphs)).set_style(style(clusters[i % w].flatten()));
    }
}

/// The clusters under each cell of a trace, for the ribbon: `(x, cluster)` of cells that have one.
pub(super) fn ribbon(run: Run, scale: Scale, motion: Motion, width: u16) -> Vec<(u16, u8)> {
    let mut out: Vec<(u16, u8)> = Vec::new();
    for (dot, x) in places(run, scale, motion, u64::from(width) * 2) {
        if x % 2 == 1 {
            continue;
        }
        if let Some((_, _, Some(cluster))) = envelope(run, scale.columns_of(dot)) {
            out.push(((x / 2) as u16, cluster));
        }
    }
    out
}

fn glyph(bits: u8, glyphs: Glyphs) -> char {
    match glyphs {
        Glyphs::Braille => char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' '),
        Glyphs::Ascii => {
            let row = |r: usize| bits & (DOT[0][r] | DOT[1][r]) != 0;
            match (0..4).filter(|&r| row(r)).count() {
                0 => ' ',
                3 | 4 => '|',
                _ if row(0) => '\'',
                _ if row(3) && !row(2) => '.',
                _ => '-',
            }
        }
    }
}

/// How high a value stands against its limit: 4 over it, 3 at it (from 90 %), 2 from 70 %, else 1; 0 = no value.
pub(super) fn bar_level(value: Option<f32>, limit: Option<f32>) -> u8 {
    match (value, limit) {
        (Some(v), Some(limit)) if limit > 0.0 => match v / limit {
            r if r > 1.0 => 4,
            r if r >= 0.9 => 3,
            r if r >= 0.7 => 2,
            _ => 1,
        },
        (Some(_), _) => 1,
        (None, _) => 0,
    }
}

/// One cell of two bars, 0 to 4 dots each.
pub(super) fn bar_glyph(left: u8, right: u8, glyphs: Glyphs) -> char {
    if glyphs == Glyphs::Ascii {
        return [' ', '.', ':', '+', '#'][usize::from(left.max(right).min(4))];
    }
    let side = |side: usize, level: u8| (0..level.min(4)).fold(0u8, |b, i| b | DOT[side][3 - usize::from(i)]);
    match side(0, left) | side(1, right) {
        0 => ' ',
        bits => char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' '),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(n: usize, mv: f32) -> Vec<Column> {
        vec![Column { min_mv: mv, max_mv: mv, cluster: Some(0) }; n]
    }

    fn rows(buf: &Buffer) -> Vec<String> {
        let w = usize::from(buf.area.width);
        buf.content.chunks(w).map(|r| r.iter().map(ratatui::buffer::Cell::symbol).collect()).collect()
    }

    fn picture(columns: &[Column], head: u64, motion: Motion) -> Vec<String> {
        let area = Rect::new(0, 0, 10, 2);
        let mut buf = Buffer::empty(area);
        let scale = Scale { dots_per_s: 50, top_mv: 1.0, span_mv: 2.0 };
        let run = Run { columns, first: 0, head };
        draw(&mut buf, area, run, scale, motion, Glyphs::Braille, |_| Style::new());
        rows(&buf)
    }

    #[test]
    fn a_spike_of_one_column_stays_visible_at_any_scale() {
        let mut columns = flat(500, 0.0);
        columns[250].max_mv = 1.0;
        for dots_per_s in [5, 24, 28, 49, 50, 56, 100] {
            let area = Rect::new(0, 0, 500, 4);
            let mut buf = Buffer::empty(area);
            let scale = Scale { dots_per_s, top_mv: 1.0, span_mv: 2.0 };
            let run = Run { columns: &columns, first: 0, head: 500 };
            draw(&mut buf, area, run, scale, Motion::Still, Glyphs::Braille, |_| Style::new());
            assert!(rows(&buf)[0].trim() != "", "lost at {dots_per_s} dots/s");
        }
    }

    #[test]
    fn the_sweep_keeps_its_place_behind_a_blank_bar() {
        let columns = flat(100, 0.0);
        let (a, b) = (picture(&columns, 40, Motion::Sweep), picture(&columns, 42, Motion::Sweep));
        let changed: usize = a[0].chars().zip(b[0].chars()).filter(|(x, y)| x != y).count()
            + a[1].chars().zip(b[1].chars()).filter(|(x, y)| x != y).count();
        assert!(changed <= 2, "{a:?} {b:?}");
        let blanks = a.iter().map(|r| r.chars().filter(|c| *c == ' ').count()).max();
        assert!(blanks >= Some(2));
    }

    #[test]
    fn a_gap_is_blank_and_never_bridged() {
        let mut columns = flat(20, 0.0);
        for c in &mut columns[8..12] {
            (c.min_mv, c.max_mv) = (f32::NAN, f32::NAN);
        }
        let shown = picture(&columns, 20, Motion::Still);
        let joined: Vec<bool> =
            (0..10).map(|x| shown.iter().any(|r| r.chars().nth(x) != Some(' '))).collect();
        assert_eq!(joined, [true, true, true, true, false, false, true, true, true, true]);
    }

    #[test]
    fn bars_say_over_at_and_under_the_limit() {
        let level = |v| bar_level(Some(v), Some(0.64));
        assert_eq!([level(0.65), level(0.64), level(0.50), level(0.2)], [4, 3, 2, 1]);
        assert_eq!(bar_level(None, Some(0.64)), 0);
        assert_eq!(bar_glyph(4, 4, Glyphs::Braille), '\u{28ff}');
        assert_eq!(bar_glyph(1, 0, Glyphs::Braille), '\u{2840}');
        assert_eq!(bar_glyph(0, 4, Glyphs::Ascii), '#');
        assert_eq!(bar_glyph(0, 0, Glyphs::Braille), ' ');
    }
}
