//! Health: whether Wardbeat itself is watching, link by link and bed by bed.

use super::lines;
use super::scene::{Scene, Standing, put};
use super::words;
use ratatui::buffer::Buffer;

/// Columns of [`bed_line`]: they fit 80 cells.
const BED_HEAD: &str = "bed      data       last     rate     lag  gaps  late refused blind/h  learnt";

pub(super) fn draw(buf: &mut Buffer, scene: &Scene) {
    let (w, h) = (buf.area.width, buf.area.height);
    let palette = &scene.palette;
    let standings = scene.standings();
    let watched = standings.iter().filter(|s| s.watched()).count();
    let says = if watched > 0 { "YES, " } else { "NO: " };
    let title =
        format!(" HEALTH  is Wardbeat itself watching?   {says}{watched} of {} beds", standings.len());
    lines::title(buf, scene, &title, palette.bold);
    let mut y = 1;
    for (name, text) in node_lines(scene) {
        put(buf, 1, y, &name, 10, palette.dim);
        put(buf, 12, y, &text, w.saturating_sub(12), palette.text);
        y += 1;
    }
    y += 1;
    put(buf, 1, y, BED_HEAD, w, palette.dim);
    let rows = usize::from(h.saturating_sub(y + 3));
    let first = (scene.ui.line + 1).saturating_sub(rows.max(1)).min(standings.len().saturating_sub(1));
    for (i, s) in standings.iter().skip(first).take(rows).enumerate() {
        if first + i == scene.ui.line {
            put(buf, 0, y + 1 + i as u16, ">", 1, palette.bold);
        }
        put(buf, 1, y + 1 + i as u16, &bed_line(scene, s), w, palette.text);
    }
    lines::elsewhere(buf, scene, None);
    lines::footer(buf, scene, &["Enter", "?"]);
}

fn node_lines(scene: &Scene) -> Vec<(String, String)> {
    let node = &scene.snapshot.node;
    let broker = match node.broker_since {
        Some(at) => format!("CONNECTED {} to {}", scene.span(at), node.broker),
        None if node.broker.is_empty() => "none".into(),
        None => format!("NOT CONNECTED to {}", node.broker),
    };
    let [p50, p99] = node.latency_ms;
    let disk = node.disk_free_bytes.map_or("unknown".into(), |b| format!("{:.1} GB free", b as f64 / 1e9));
    let mut out = vec![
        (
            "broker".to_owned(),
            format!(
                "{broker}   in {:.1} kB/s   reconnects {}",
                node.in_bytes_per_s as f64 / 1e3,
                node.reconnects
            ),
        ),
        (
            "daemon".to_owned(),
            format!(
                "snapshot {:.1} s old   frame to finding p50 {p50:.0} ms, p99 {p99:.0} ms",
                scene.age_ms as f64 / 1e3
            ),
        ),
        (
            "frames".to_owned(),
            format!(
                "{} in   {} refused   {} evicted   {} findings",
                node.frames, node.refused, node.evicted, node.findings
            ),
        ),
        (
            "model".to_owned(),
            format!(
                "{} on {}   {} clusters   config {}",
                node.model,
                node.engine,
                scene.snapshot.clusters.len(),
                node.config
            ),
        ),
        ("disk".to_owned(), format!("{disk}   {} alerts not yet delivered everywhere", node.undelivered)),
    ];
    for (name, trouble) in &node.sinks {
        let state = if trouble.is_empty() { "answering" } else { trouble };
        out.push((format!("sink {name}"), state.to_owned()));
    }
    out.extend(scene.troubles().into_iter().map(|t| ("TROUBLE".to_owned(), t)));
    let link = scene.ui.link;
    let view = format!(
        "{} fps   {:.1} kB/s   skipped frames {}   late at most {} ms",
        link.fps,
        link.bytes_per_s as f64 / 1e3,
        link.skipped,
        link.late_ms
    );
    out.extend([("this view".into(), view), ("its look".into(), look(scene))]);
    out
}

fn bed_line(scene: &Scene, s: &Standing) -> String {
    let bed = s.bed;
    let last = s.age_ms(scene).map_or("--".into(), |ms| format!("{:.1} s", ms as f64 / 1e3));
    let rate = bed.rate_hz.map_or("--".into(), |r| format!("{r:.0} Hz"));
    let lag = bed.health.lag_ms.map_or("--".into(), |ms| format!("{:.2} s", ms as f64 / 1e3));
    let [have, need] = bed.learnt_s;
    let health = bed.health;
    format!(
        "{} {:<8} {last:>6}  {rate:>7}  {lag:>6}  {:>4}  {:>4}  {:>6} {:>7}  {}",
        words::fit(&bed.label, 8),
        words::state_word(s.state),
        health.gaps,
        health.late,
        health.refused,
        blind(scene, bed),
        if have >= need { "all".into() } else { format!("{have}/{need}") },
    )
}

/// Minutes of the last hour without a verdict.
fn blind(scene: &Scene, bed: &crate::snapshot::BedView) -> String {
    let recent = |at: contract::UtcMs| scene.since_ms(at) < 3_600_000;
    let seconds = bed.trend.iter().filter(|p| p.at.is_some_and(recent)).map(|p| u32::from(p.blind_s));
    format!("{} min", seconds.sum::<u32>() / 60)
}

fn look(scene: &Scene) -> String {
    let look = scene.ui.affordable_look();
    let depth = match look.depth {
        super::Depth::True => "24-bit colour",
        super::Depth::Indexed => "256 colours",
        super::Depth::Named => "16 colours",
        super::Depth::None => "no colour",
    };
    let glyphs = match look.glyphs {
        super::Glyphs::Braille => format!("braille {}", words::HILL),
        super::Glyphs::Ascii => "ASCII".into(),
    };
    format!("theme {}   {depth}   {glyphs}", look.theme.name())
}
