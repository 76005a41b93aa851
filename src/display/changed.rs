//! What changed on a bed: the three rows against its limits, the cluster mix against its usual, the signal.

use super::list;
use super::scene::{Scene, Standing, put, put_right};
use super::trace;
use super::trend::LEAD_CELLS;
use super::ward;
use super::words;
use crate::snapshot::{BedState, BedView, LabelView, Second};
use contract::Signal;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Entropy, novelty and shift against the bed's limits, a second a bar.
pub(super) fn value_rows(buf: &mut Buffer, scene: &Scene, standing: &Standing, y: u16) {
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
        let line = format!(" {name} {} / {}{}", text(value), text(limit), if i == 0 { "  90 s" } else { "" });
        put(buf, 0, y, &line, LEAD_CELLS - 1, scene.palette.text);
        if standing.state != BedState::Stopped {
            let levels: Vec<u8> = bed.seconds.iter().map(|s| trace::bar_level(pick(s), limit)).collect();
            let area = Rect::new(LEAD_CELLS, y, buf.area.width.saturating_sub(LEAD_CELLS + 1).min(45), 1);
            let odd = scene.now.is_some_and(|n| n.0 / 1_000 % 2 == 0);
            ward::bars(buf, area, &levels, odd, scene.palette.glyphs, scene.palette.text);
        }
    }
}

pub(super) fn draw(buf: &mut Buffer, scene: &Scene, standing: &Standing, area: Rect) {
    let (bed, palette) = (standing.bed, &scene.palette);
    let late = !matches!(standing.state, BedState::Live | BedState::Delayed);
    let heading = match standing.alert {
        Some(a) => {
            let until = scene.now.map_or_else(String::new, |now| scene.clock(now));
            format!(
                "WHAT CHANGED {}-{until} ({})  {} {}  {}",
                scene.clock(a.onset),
                scene.span(a.onset),
                words::rule(a.code),
                words::clean(&a.evidence),
                list::k_of_n(a)
            )
        }
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
    let split = (area.width / 2).min(52);
    let name_cells = usize::from(split.saturating_sub(20));
    let columns = format!("{}  now usual", words::fit("cluster", name_cells));
    put(buf, area.x, area.y + 1, &columns, split, palette.dim);
    let rows = usize::from(area.height.saturating_sub(2));
    for (i, s) in bed.shifts.iter().take(rows).enumerate() {
        let doubt = if bed.doubted.contains(&s.cluster) { "?" } else { "" };
        let name = format!("{}{doubt} {}", scene.family(s.cluster).letter(), scene.cluster_name(s));
        let points = ((s.now - s.usual) * 100.0).round();
        let name = words::fit(&name, name_cells);
        let text = format!("{name} {:>3.0}%  {:>3.0}% {points:>+4.0}", s.now * 100.0, s.usual * 100.0);
        put(buf, area.x, area.y + 2 + i as u16, &text, split, palette.text);
    }
    let (x, room) = (area.x + split, area.width - split);
    if bed.labels.is_empty() {
        put(buf, x, area.y + 2, agree, room, palette.text);
        return;
    }
    put(buf, x, area.y + 1, "label     network surrogate", room, palette.dim);
    for (i, l) in bed.labels.iter().take(rows).enumerate() {
        let text = format!(
            "{} {:>6.2} {:>8.2}  {}",
            words::fit(&l.name, 10),
            l.network,
            l.surrogate,
            if agrees(&bed.labels, l) { "agree" } else { "DIFFER" }
        );
        put(buf, x, area.y + 2 + i as u16, &text, room, palette.text);
    }
}

/// Network and surrogate agree on a class when within 0.10 and of the same rank.
fn agrees(all: &[LabelView], one: &LabelView) -> bool {
    let rank = |pick: fn(&LabelView) -> f32| all.iter().filter(|l| pick(l) > pick(one)).count();
    (one.network - one.surrogate).abs() <= 0.10 && rank(|l| l.network) == rank(|l| l.surrogate)
}

pub(super) fn signal(buf: &mut Buffer, scene: &Scene, bed: &BedView, y: u16) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_needs_value_and_rank() {
        let label = |network, surrogate| LabelView { name: "x".into(), network, surrogate };
        let all = [label(0.41, 0.38), label(0.22, 0.05), label(0.09, 0.11)];
        assert_eq!(all.each_ref().map(|l| agrees(&all, l)), [true, false, false]);
    }
}
