//! One bed: trace with its clusters, the three rows against the bed's limits, what changed, signal, trend.

use super::lines;
use super::list;
use super::scene::{Scene, Standing, put, put_right};
use super::trace::{self, Motion, Scale};
use super::ui::SPANS_H;
use super::ward;
use super::words;
use crate::snapshot::{BedState, BedView, Family, LabelView, Second};
use contract::Signal;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Dots a second along the bed's trace, by the speed key.
const DOTS_PER_S: [u64; 3] = [14, 28, 50];
/// Cells before the bars of a row.
const LEAD_CELLS: u16 = 24;

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
        changed: take(4),
        signal: take(1),
        trend: take(2),
        note: take(u16::from(labels)),
        marks: take(1),
        frozen: take(if alert { 5 } else { 0 }),
    };
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
    lead_line(buf, scene, &standing);
    let elsewhere = u16::from(lines::elsewhere(buf, scene, Some(&bed.bed)));
    // Title, lead line, ribbon and footer are always there.
    let room = h.saturating_sub(4 + elsewhere);
    let rows = share(room, bed.shifts.len() as u16, !bed.labels.is_empty(), standing.alert.is_some());
    let mut y = 2;
    picture(buf, scene, &standing, Rect::new(1, y, w - 2, rows.trace));
    y += rows.trace + 1;
    if rows.legend > 0 {
        legend(buf, scene, y);
        y += 1;
    }
    if rows.values > 0 {
        value_rows(buf, scene, &standing, y);
        y += 3;
    }
    if rows.changed > 0 {
        changed(buf, scene, &standing, Rect::new(1, y, w - 2, rows.changed));
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
        signal(buf, scene, bed, y);
        y += 1;
    }
    if rows.trend > 0 {
        trend(buf, scene, bed, y);
        y += 2;
    }
    if rows.marks > 0 {
        marks(buf, scene, bed, y);
    }
    lines::footer(buf, scene, &["n", "?"]);
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

fn lead_line(buf: &mut Buffer, scene: &Scene, standing: &Standing) {
    let bed = standing.bed;
    let lead = bed.lead.map_or("none".to_owned(), |l| l.to_string());
    let age = standing.age_ms(scene).map_or("--".into(), |ms| format!("{:.1}s", ms as f64 / 1e3));
    let (scale, dots) = (scale(scene, bed), DOTS_PER_S[scene.ui.speed.min(2)]);
    let mut text = format!(
        " lead {lead}  {} {age}  {} col = 1 s  {} mV high",
        words::state_word(standing.state),
        dots / 2,
        scale.span_mv
    );
    if let Some(rate) = bed.heart_rate.filter(|_| standing.state != BedState::Stopped) {
        text += &format!("  HR {:.0} ({})", rate.per_min, if rate.theirs { "monitor" } else { "own" });
    }
    if bed.paced {
        text += "  PACED";
    }
    if let Some(s) = scene.ui.held_s() {
        text += &format!("  HELD {s}s");
    }
    put(buf, 0, 1, &text, buf.area.width, scene.palette.dim);
}

fn scale(scene: &Scene, bed: &BedView) -> Scale {
    let zoom = 2.0_f32.powi(i32::from(scene.ui.gain));
    Scale::fit(&bed.columns, DOTS_PER_S[scene.ui.speed.min(2)], zoom)
}

/// The trace, and one letter a cell under it.
fn picture(buf: &mut Buffer, scene: &Scene, standing: &Standing, area: Rect) {
    if matches!(standing.state, BedState::Stopped | BedState::LeadOff) {
        ward::picture_or_reason(buf, scene, area, standing);
        return;
    }
    let Some(bed) = scene.bed(&standing.bed.bed) else { return };
    let (run, scale, palette) = (scene.run(bed), scale(scene, bed), &scene.palette);
    let dim = matches!(standing.state, BedState::Paused | BedState::Noisy);
    trace::draw(buf, area, run, scale, Motion::Sweep, palette.glyphs, |cluster| {
        if dim { palette.dim } else { scene.cluster_style(cluster) }
    });
    for (x, cluster) in trace::ribbon(run, scale, Motion::Sweep, area.width) {
        let family = scene.family(cluster);
        put(buf, area.x + x, area.bottom(), letter(family), 1, palette.family(family));
    }
}

fn letter(family: Family) -> &'static str {
    match family {
        Family::Q => "Q",
        Family::S => "S",
        Family::T => "T",
        Family::P => "P",
        Family::Baseline => "b",
        Family::Mixed => "?",
    }
}

fn legend(buf: &mut Buffer, scene: &Scene, y: u16) {
    let mut x = 1;
    for (i, c) in scene.snapshot.clusters.iter().enumerate() {
        let same = |other: &&crate::snapshot::ClusterName| other.family == c.family;
        let alike = scene.snapshot.clusters.iter().filter(same).count();
        let number = scene.snapshot.clusters[..=i].iter().filter(same).count();
        let number = if alike > 1 { number.to_string() } else { String::new() };
        let text = format!("{}{number} {}", letter(c.family), words::clean(&c.name));
        let cells = words::width(&text) as u16;
        if x + cells > buf.area.width {
            break;
        }
        put(buf, x, y, &text, cells, scene.palette.family(c.family));
        x += cells + 2;
    }
}

/// Entropy, novelty and shift against the bed's limits, a second a bar.
fn value_rows(buf: &mut Buffer, scene: &Scene, standing: &Standing, y: u16) {
    type Pick = fn(&Second) -> Option<f32>;
    let bed = standing.bed;
    let limits = bed.thresholds;
    let rows: [(&str, Pick, Option<f32>); 3] = [
        ("H", |s| s.entropy, limits.entropy),
        ("novelty", |s| s.novelty, limits.novelty),
        ("mix shift", |s| s.shift, limits.shift),
    ];
    let fresh = matches!(standing.state, BedState::Live | BedState::Delayed);
    for (i, (name, pick, limit)) in rows.into_iter().enumerate() {
        let y = y + i as u16;
        let value = bed.seconds.last().and_then(pick).filter(|_| fresh);
        let text = |v: Option<f32>| v.map_or("--".to_owned(), |v| format!("{v:.2}"));
        let line = format!(" {name} {} / {}", text(value), text(limit));
        put(buf, 0, y, &line, LEAD_CELLS - 1, scene.palette.text);
        if standing.state != BedState::Stopped {
            let levels: Vec<u8> = bed.seconds.iter().map(|s| trace::bar_level(pick(s), limit)).collect();
            let area = Rect::new(LEAD_CELLS, y, buf.area.width.saturating_sub(LEAD_CELLS + 1).min(45), 1);
            let odd = scene.now.is_some_and(|n| n.0 / 1_000 % 2 == 0);
            ward::bars(buf, area, &levels, odd, scene.palette.glyphs, scene.palette.text);
        }
    }
}

fn changed(buf: &mut Buffer, scene: &Scene, standing: &Standing, area: Rect) {
    let (bed, palette) = (standing.bed, &scene.palette);
    let late = !matches!(standing.state, BedState::Live | BedState::Delayed);
    let heading = match standing.alert {
        Some(a) => format!(
            "WHAT CHANGED since {}  {}  {}",
            scene.clock(a.onset),
            words::clean(&a.evidence),
            list::k_of_n(a)
        ),
        None => "CLUSTERS now against this bed's usual".into(),
    };
    let age = bed.finding_age_ms.map(|ms| words::span(words::signed(ms.saturating_add(scene.age_ms))));
    let heading = match age.filter(|_| late) {
        Some(age) => format!("LAST KNOWN, {age} old: {heading}"),
        None => heading,
    };
    put(buf, area.x, area.y, &heading, area.width, palette.bold);
    let agree = match bed.agree {
        Some(true) => "network and surrogate: agree",
        Some(false) => "network and surrogate: DIFFER",
        None => "network and surrogate: --",
    };
    let split = (area.width / 2).min(44);
    let rows = usize::from(area.height - 1);
    for (i, s) in bed.shifts.iter().take(rows).enumerate() {
        let family = scene.family(s.cluster);
        let name = words::fit(
            &format!("{} {}", letter(family), scene.cluster_name(s)),
            usize::from(split.saturating_sub(20)),
        );
        let points = ((s.now - s.usual) * 100.0).round();
        let text = format!("{name} {:>3.0}% {:>3.0}% {points:>+4.0}", s.now * 100.0, s.usual * 100.0);
        put(buf, area.x, area.y + 1 + i as u16, &text, split, palette.text);
    }
    if bed.labels.is_empty() {
        put(buf, area.x + split, area.y + 1, agree, area.width - split, palette.text);
        return;
    }
    for (i, l) in bed.labels.iter().take(rows).enumerate() {
        let text = format!(
            "{} {:>4.2} {:>4.2}  {}",
            words::fit(&l.name, 12),
            l.network,
            l.surrogate,
            if agrees(&bed.labels, l) { "agree" } else { "DIFFER" }
        );
        put(buf, area.x + split, area.y + 1 + i as u16, &text, area.width - split, palette.text);
    }
}

/// Network and surrogate agree on a class when within 0.10 and of the same rank.
fn agrees(all: &[LabelView], one: &LabelView) -> bool {
    let rank = |pick: fn(&LabelView) -> f32| all.iter().filter(|l| pick(l) > pick(one)).count();
    (one.network - one.surrogate).abs() <= 0.10 && rank(|l| l.network) == rank(|l| l.surrogate)
}

fn signal(buf: &mut Buffer, scene: &Scene, bed: &BedView, y: u16) {
    let words_of = |s: Signal| match s {
        Signal::Good => "usable",
        Signal::Noisy => "noisy",
        Signal::Clipped => "at its limit",
        Signal::Flat => "flat",
        Signal::LeadOff => "off",
        Signal::Missing => "missing",
    };
    let usable = bed.leads.iter().filter(|l| l.signal == Signal::Good).count();
    let mut text = format!(" signal  {usable} of {} leads usable", bed.leads.len());
    for l in bed.leads.iter().filter(|l| l.signal != Signal::Good) {
        text += &format!("  {} {}", l.lead, words_of(l.signal));
    }
    let health = bed.health;
    let late = format!("gaps {}  late {}", health.gaps, health.late);
    put(buf, 0, y, &text, buf.area.width, scene.palette.text);
    if words::width(&text) + late.len() + 4 < usize::from(buf.area.width) {
        put_right(buf, buf.area.width - 1, y, &late, scene.palette.dim);
    }
}

/// Entropy over 1 to 24 h: each cell shows the largest median at its left and the maximum at its right.
fn trend(buf: &mut Buffer, scene: &Scene, bed: &BedView, y: u16) {
    let (w, palette) = (buf.area.width, &scene.palette);
    let hours = SPANS_H[scene.ui.span.min(SPANS_H.len() - 1)];
    put(buf, 0, y, &format!(" H median, max {hours} h"), LEAD_CELLS - 2, palette.text);
    let Some(now) = scene.now else { return };
    let cells = i64::from(w.saturating_sub(LEAD_CELLS + 1).max(1));
    let cell_ms = i64::from(hours) * 3_600_000 / cells;
    // Cells lie on the clock, not on "now": a minute keeps its cell.
    let last = now.0.div_euclid(cell_ms);
    let limit = bed.thresholds.entropy;
    let mut levels = vec![[0u8; 2]; cells as usize];
    let place = |at: i64| usize::try_from(cells - 1 - (last - at.div_euclid(cell_ms))).ok();
    for point in &bed.trend {
        let Some(level) = point.at.and_then(|t| place(t.0)).and_then(|i| levels.get_mut(i)) else { continue };
        level[0] = level[0].max(trace::bar_level(point.entropy, limit));
        level[1] = level[1].max(trace::bar_level(point.entropy_max, limit));
    }
    for (i, [median, max]) in levels.iter().enumerate() {
        let glyph = trace::bar_glyph(*median, *max, palette.glyphs);
        put(buf, LEAD_CELLS + i as u16, y, glyph.encode_utf8(&mut [0; 4]), 1, palette.text);
    }
    for quarter in 0..5 {
        let x = LEAD_CELLS + (quarter * (cells - 1) / 4) as u16;
        let at = contract::UtcMs(now.0 - i64::from(hours) * 3_600_000 * (4 - quarter) / 4);
        let text = scene.clock_min(at);
        put(buf, x.min(w.saturating_sub(6)), y + 1, &text, 5, palette.dim);
    }
    for mark in &bed.marks {
        if let Some(i) = place(mark.at.0).filter(|i| *i < levels.len()) {
            let letter = words::clean(&mark.letter.to_string());
            put(buf, LEAD_CELLS + i as u16, y, &letter, 1, palette.bold);
        }
    }
}

fn marks(buf: &mut Buffer, scene: &Scene, bed: &BedView, y: u16) {
    let ended: Vec<String> = scene
        .snapshot
        .alerts
        .iter()
        .filter(|a| a.ended.is_some() && a.bed.as_ref() == Some(&bed.bed))
        .map(|a| format!("{} {}", scene.clock_min(a.onset), words::code_words(a.code, 0)))
        .collect();
    let set =
        bed.marks.iter().rev().take(3).map(|m| format!("{} {} {}", scene.clock_min(m.at), m.letter, m.note));
    let mut parts = Vec::new();
    if !ended.is_empty() {
        parts.push(format!("ended unseen: {}", ended.join(" | ")));
    }
    parts.extend(set.map(|m| format!("mark {m}")));
    put(buf, 1, y, &parts.join("   "), buf.area.width.saturating_sub(1), scene.palette.text);
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

    #[test]
    fn agreement_needs_value_and_rank() {
        let label = |network, surrogate| LabelView { name: "x".into(), network, surrogate };
        let all = [label(0.41, 0.38), label(0.22, 0.05), label(0.09, 0.11)];
        assert_eq!(all.each_ref().map(|l| agrees(&all, l)), [true, false, false]);
    }
}
