//! One bed: trace with its clusters, the three rows against the bed's limits, what changed, signal, trend.

use super::changed;
use super::lines;
use super::list;
use super::scene::{Scene, Standing, put, put_right};
use super::trace::{self, Motion, Scale};
use super::trend;
use super::ward;
use super::words;
use crate::snapshot::{BedState, BedView, Column};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Speeds by their key: mm/s as on paper, and tenths of the usual 25 mm/s.
const SPEEDS: [(&str, u64); 3] = [("12.5", 5), ("25", 10), ("50", 20)];
/// mm for a mV; the usual one is used where the trace fits.
const GAINS: [f32; 6] = [1.25, 2.5, 5.0, 10.0, 20.0, 40.0];
const GAIN_USUAL: usize = 3;

/// Rows of each block; 0 = left out for want of room.
#[derive(Debug, Default, Clone, Copy)]
struct Rows {
    trace: u16,
    legend: u16,
    values: u16,
    changed: u16,
    signal: u16,
    trend: u16,
    marks: u16,
    note: u16,
    frozen: u16,
}

/// Shares `height` rows out: the trace keeps four, then by weight.
fn share(height: u16, clusters: u16, labels: bool, alert: bool) -> Rows {
    let mut room = height.saturating_sub(4);
    let mut take = |want: u16| {
        let got = if room >= want { want } else { 0 };
        room -= got;
        got
    };
    let mut rows = Rows {
        trace: 4.min(height),
        legend: take(1),
        values: take(3),
        changed: take(5),
        signal: take(1),
        trend: take(2),
        note: take(u16::from(labels)),
        marks: take(1),
        frozen: take(if alert { 5 } else { 0 }),
    };
    // New shapes and minutes over the limit, where there is room.
    rows.trend += if room >= 6 && rows.trend > 0 { 2 } else { 0 };
    room -= rows.trend.saturating_sub(2);
    let more = (room / 3).min(clusters.saturating_sub(3));
    if rows.changed > 0 {
        rows.changed += more;
        room -= more;
    }
    rows.trace += room.min(24);
    rows
}

pub(super) fn draw(buf: &mut Buffer, scene: &Scene, bed: &BedView) {
    let Some(bed) = scene.bed(&bed.bed) else { return };
    let (w, h) = (buf.area.width, buf.area.height);
    let standing = scene.standing(bed);
    title(buf, scene, &standing);
    let elsewhere = u16::from(lines::elsewhere(buf, scene, Some(&bed.bed)));
    // Title, lead line, ribbon and footer are always there.
    let room = h.saturating_sub(4 + elsewhere);
    let rows = share(room, bed.shifts.len() as u16, !bed.labels.is_empty(), standing.alert.is_some());
    let mut y = 2;
    let paper = Paper::of(scene, &bed.columns, w, rows.trace);
    lead_line(buf, scene, &standing, &paper);
    picture(buf, scene, &standing, Rect::new(1, y, w - 2, rows.trace), &paper);
    y += rows.trace + 1;
    if rows.legend > 0 {
        legend(buf, scene, bed, y);
        y += 1;
    }
    if rows.values > 0 {
        changed::value_rows(buf, scene, &standing, y);
        y += 3;
    }
    if rows.changed > 0 {
        changed::draw(buf, scene, &standing, Rect::new(1, y, w - 2, rows.changed));
        y += rows.changed;
    }
    if rows.note > 0 {
        let note = "   labels: the training set's names for shapes; not findings about the patient";
        put(buf, 0, y, note, w, scene.palette.dim);
        y += 1;
    }
    if let Some(alert) = standing.alert.filter(|_| rows.frozen > 0) {
        put(buf, 1, y, &format!("when it rose, {}", scene.clock(alert.onset)), w, scene.palette.dim);
        list::frozen(buf, scene, alert, Rect::new(1, y + 1, w - 2, rows.frozen - 1));
        y += rows.frozen;
    }
    if rows.signal > 0 {
        changed::signal(buf, scene, bed, y);
        y += 1;
    }
    if rows.trend > 0 {
        trend::draw(buf, scene, bed, Rect::new(0, y, w, rows.trend));
        y += rows.trend;
    }
    if rows.marks > 0 {
        trend::earlier(buf, scene, bed, y);
    }
    lines::footer(buf, scene, &["n", "a", "p", "m", "e", "[ ]", "+ -", "?"]);
}

fn title(buf: &mut Buffer, scene: &Scene, standing: &Standing) {
    let label = words::cut(&standing.bed.label, 12);
    let mut text = format!(" {label} {} {}", standing.mark(), standing.word());
    let what = standing.what(scene, 2);
    if !what.is_empty() {
        text += &format!("  {what}");
    }
    let since = match standing.named() {
        Some(a) => format!("  since {}  {}", scene.clock(a.onset), scene.span(a.onset)),
        None => format!("  {}", standing.since(scene)),
    };
    lines::title(buf, scene, &(text + &since), standing.chip(scene));
}

fn lead_line(buf: &mut Buffer, scene: &Scene, standing: &Standing, paper: &Paper) {
    let (bed, wide) = (standing.bed, buf.area.width);
    let lead = bed.lead.map_or("none".to_owned(), |l| l.to_string());
    let age = standing.age_ms(scene).map_or("--".into(), |ms| format!("{:.1}s", ms as f64 / 1e3));
    let mut text = format!(
        " lead {lead}  {} {age}  {} col = 1 s",
        words::state_word(standing.state),
        paper.dots_per_s / 2
    );
    if wide >= 100 {
        text += &format!(" ({} mm/s equiv)", paper.mm_per_s);
    }
    text += &format!("  {} mm/mV equiv  1 mV =|", paper.gain);
    if !paper.fits {
        text += " OFF SCALE";
    }
    if let Some(rate) = bed.heart_rate.filter(|_| standing.state != BedState::Stopped) {
        text += &format!("  HR {:.0} ({})", rate.per_min, if rate.theirs { "monitor" } else { "own" });
    }
    if bed.paced {
        text += "  PACED";
    }
    if let Some(s) = scene.ui.held_s() {
        text += &format!("  HELD {s}s");
    }
    put(buf, 0, 1, &text, wide, scene.palette.dim);
    if words::width(&text) + 14 < usize::from(wide) {
        put_right(buf, wide - 1, 1, "not filtered", scene.palette.dim);
    }
}

/// How the trace lies on the screen's paper.
struct Paper {
    scale: Scale,
    dots_per_s: u64,
    mm_per_s: &'static str,
    /// mm for a mV.
    gain: f32,
    fits: bool,
}

impl Paper {
    /// The usual gain of 10 mm/mV, less where the trace is too high for it, and what the keys make of that.
    fn of(scene: &Scene, columns: &[Column], width: u16, rows: u16) -> Self {
        let cells = if width >= 110 { 20 } else { 14 };
        let (mm_per_s, tenths) = SPEEDS[scene.ui.speed.min(2)];
        let dots_per_s = cells * 2 * tenths / 10;
        let at = |step: usize| Scale::paper(columns, dots_per_s, rows, cells, GAINS[step]);
        let usual = (0..=GAIN_USUAL).rev().find(|&step| at(step).1).unwrap_or(0);
        let step = usual.saturating_add_signed(isize::from(scene.ui.gain)).min(GAINS.len() - 1);
        let (scale, fits) = at(step);
        Self { scale, dots_per_s, mm_per_s, gain: GAINS[step], fits }
    }
}

/// The trace, one letter a cell under it, and 1 mV at its left.
fn picture(buf: &mut Buffer, scene: &Scene, standing: &Standing, area: Rect, paper: &Paper) {
    if matches!(standing.state, BedState::Stopped | BedState::LeadOff) {
        ward::picture_or_reason(buf, scene, area, standing);
        return;
    }
    let Some(bed) = scene.bed(&standing.bed.bed) else { return };
    let (run, scale, palette) = (scene.run(bed), paper.scale, &scene.palette);
    trace::millivolt(buf, area.x - 1, area, scale, palette.glyphs, palette.dim);
    let dim = matches!(standing.state, BedState::Paused | BedState::Noisy);
    scene.trace(buf, area, run, scale, dim);
    for (x, cluster) in trace::ribbon(run, scale, Motion::Sweep, area.width) {
        let family = scene.family(cluster);
        let letter = family.letter();
        put(buf, area.x + x, area.bottom(), letter.encode_utf8(&mut [0; 4]), 1, palette.family(family));
    }
}

/// What the legend says where a letter carries a question mark.
const DOUBT: &str = "?: name uncertain here";

/// The clusters that the trace shows, the most frequent first; those of one family are told apart by numbers.
fn legend(buf: &mut Buffer, scene: &Scene, bed: &BedView, y: u16) {
    let clusters = &scene.snapshot.clusters;
    let count = |k: usize| bed.columns.iter().filter(|c| c.cluster == Some(k as u8)).count();
    let mut shown: Vec<(usize, usize)> =
        (0..clusters.len()).map(|k| (count(k), k)).filter(|c| c.0 > 0).collect();
    shown.sort_by_key(|(count, k)| (std::cmp::Reverse(*count), *k));
    let (mut x, mut end) = (1, buf.area.width);
    if shown.iter().any(|(_, k)| bed.doubted.contains(&(*k as u8))) {
        end = end.saturating_sub(DOUBT.len() as u16 + 2);
        put(buf, end, y, DOUBT, buf.area.width, scene.palette.dim);
    }
    for (_, k) in shown {
        let c = &clusters[k];
        let alike = |upto: usize| clusters[..upto].iter().filter(|other| other.family == c.family).count();
        let number = if alike(clusters.len()) > 1 { alike(k + 1).to_string() } else { String::new() };
        let doubt = if bed.doubted.contains(&(k as u8)) { "?" } else { "" };
        let text = format!("{}{number}{doubt} {}", c.family.letter(), words::clean(&c.name));
        let cells = words::width(&text) as u16;
        if x + cells > end {
            break;
        }
        put(buf, x, y, &text, cells, scene.palette.family(c.family));
        x += cells + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_fill_the_height_and_never_overrun_it() {
        for height in 0..100 {
            for clusters in [0, 3, 8, 16] {
                let r = share(height, clusters, true, true);
                let sum = r.trace
                    + r.legend
                    + r.values
                    + r.changed
                    + r.signal
                    + r.trend
                    + r.marks
                    + r.note
                    + r.frozen;
                assert!(sum <= height, "{height}: {r:?}");
                assert!(height < 4 || r.trace >= 4);
            }
        }
    }
}
