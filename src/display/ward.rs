//! The ward: a header, sectors that never move (or one row a bed), and the strip of what needs a look and what is
//! not watched.

use super::layout;
use super::lines;
use super::scene::{Scene, Standing, put, put_right};
use super::theme::Glyphs;
use super::trace::{self, Scale};
use super::words;
use crate::snapshot::{BedState, BedView, Second};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Dots a second along a ward trace, by the speed key.
const DOTS_PER_S: [u64; 3] = [12, 24, 48];

pub(super) fn draw(buf: &mut Buffer, scene: &Scene) {
    let size = (buf.area.width, buf.area.height);
    let beds = scene.snapshot.beds.len();
    let grid = layout::ward_grid(size, beds);
    let first = scene.ui.selected_index(scene.snapshot).unwrap_or(0) / grid.page * grid.page;
    let shown: Vec<Standing> = scene.standings().into_iter().skip(first).take(grid.page).collect();
    let pages = (beds.max(1)).div_ceil(grid.page);
    lines::header(buf, scene, (pages > 1).then_some((first / grid.page + 1, pages)));
    let strip = layout::strip_rows(size);
    let top = 1;
    let area = Rect::new(0, top, size.0, size.1.saturating_sub(top + strip));
    let label = label_cells(&shown);
    let mut foot = area.bottom();
    if beds == 0 {
        put(buf, 2, 3, &waiting(scene), size.0, scene.palette.text);
    } else if grid.columns == 0 {
        table(buf, scene, area, &shown, label);
        foot = area.y + 1 + shown.len() as u16;
    } else {
        for (i, standing) in shown.iter().enumerate() {
            sector(buf, scene, grid.sector(area, i), standing, label);
        }
    }
    let foot = Rect::new(0, foot, size.0, size.1.saturating_sub(foot));
    if strip == 7 { lines::wide_strip(buf, scene, foot) } else { lines::strip(buf, scene, foot) }
}

fn waiting(scene: &Scene) -> String {
    let node = &scene.snapshot.node;
    if node.broker_since.is_some() {
        format!("No bed has sent anything yet. Connected to {}, listening.", node.broker)
    } else {
        "No bed has sent anything yet.".into()
    }
}

/// Cells of the bed labels on this page: 2 to 8.
pub(super) fn label_cells(shown: &[Standing]) -> u16 {
    let widest = shown.iter().map(|s| words::width(&words::clean(&s.bed.label))).max().unwrap_or(2);
    widest.clamp(2, 8) as u16
}

/// Bed, mark, state, what, since: the heading of a sector.
fn heading(buf: &mut Buffer, scene: &Scene, area: Rect, standing: &Standing, label: u16) {
    let palette = &scene.palette;
    let mut x = area.x;
    put(buf, x, area.y, &words::fit(&standing.bed.label, usize::from(label)), label, palette.bold);
    x += label;
    if scene.ui.selected.as_ref() == Some(&standing.bed.bed) {
        put(buf, x, area.y, ">", 1, palette.bold);
    }
    x += 1;
    let chip = standing.chip(scene);
    let plain = standing.mark().is_empty();
    put(buf, x, area.y, &words::fit(standing.mark(), 2), 2, if plain { palette.text } else { chip });
    put(buf, x + 2, area.y, " ", 1, if plain { palette.text } else { chip });
    put(buf, x + 3, area.y, &words::fit(standing.word(), 8), 8, chip);
    x += 12;
    let since = standing.since(scene);
    let end = area.right();
    put_right(buf, end, area.y, &since, palette.text);
    let room = end.saturating_sub(x + since.len() as u16 + 1);
    let what = (0..3).rev().map(|l| standing.what(scene, l)).find(|w| words::width(w) <= usize::from(room));
    let what = what.unwrap_or_else(|| standing.what(scene, 0));
    put(buf, x, area.y, &what, room, palette.text);
}

fn sector(buf: &mut Buffer, scene: &Scene, area: Rect, standing: &Standing, label: u16) {
    if area.width < 20 || area.height < 3 {
        return;
    }
    heading(buf, scene, area, standing, label);
    let picture = Rect::new(area.x, area.y + 1, area.width, area.height - 2);
    picture_or_reason(buf, scene, picture, standing);
    entropy_row(buf, scene, Rect::new(area.x, area.bottom() - 1, area.width, 1), standing);
}

/// The trace, or in words why there is none.
pub(super) fn picture_or_reason(buf: &mut Buffer, scene: &Scene, area: Rect, standing: &Standing) {
    let since = scene.clock(standing.since);
    let reason = match standing.state {
        BedState::Stopped if scene.dead() => format!("no word since {since}"),
        BedState::Stopped => match (standing.age_ms(scene), scene.now) {
            (Some(age), Some(now)) => format!("nothing received since {}", scene.clock(now.after(-age))),
            _ => "nothing received yet".into(),
        },
        BedState::LeadOff => format!("no usable signal since {since}"),
        state => {
            let dim = matches!(state, BedState::Paused | BedState::Noisy);
            ward_trace(buf, scene, area, standing.bed, dim);
            return;
        }
    };
    put(buf, area.x + 4, area.y + area.height / 2, &reason, area.width.saturating_sub(4), scene.palette.dim);
}

fn ward_trace(buf: &mut Buffer, scene: &Scene, area: Rect, bed: &BedView, dim: bool) {
    let run = scene.run(bed);
    let zoom = 2.0_f32.powi(i32::from(scene.ui.gain));
    let scale = Scale::fit(run.columns, DOTS_PER_S[scene.ui.speed.min(2)], zoom);
    scene.trace(buf, area, run, scale, dim);
}

/// What the entropy row says: number against threshold and bars, or why there is none.
fn entropy_row(buf: &mut Buffer, scene: &Scene, area: Rect, standing: &Standing) {
    let palette = &scene.palette;
    let (bed, limit) = (standing.bed, standing.bed.thresholds.entropy);
    let value = bed.seconds.last().and_then(|s| s.entropy);
    match standing.state {
        BedState::Live | BedState::Delayed => {
            let value = value.map_or("--".into(), |v| format!("{v:.2}"));
            let limit_text = limit.map_or("--".into(), |v| format!("{v:.2}"));
            put(buf, area.x, area.y, &format!(" H {value}/{limit_text}"), 13, palette.text);
            let bars = Rect::new(area.x + 13, area.y, area.width.saturating_sub(13), 1);
            entropy_bars(buf, scene, bars, &bed.seconds, limit, palette.text);
        }
        BedState::Paused => {
            let value = value.map_or("--".into(), |v| format!("{v:.2}"));
            let left = bed.pause_left_ms.unwrap_or(0).saturating_sub(scene.age_ms);
            let until =
                scene.now.map_or_else(String::new, |now| scene.clock_min(now.after(words::signed(left))));
            put(
                buf,
                area.x,
                area.y,
                &format!(" H {value} no notices, resumes {until}"),
                area.width,
                palette.dim,
            );
        }
        BedState::Learning => {
            let cells = if area.width >= 60 { 16 } else { 10 };
            let text = format!(" H [{}] baseline {}", progress(bed, cells), standing.what(scene, 0));
            put(buf, area.x, area.y, &text, area.width, palette.text);
            let used = words::width(&text) as u16 + 3;
            let more = "no verdict yet";
            if used + more.len() as u16 <= area.width {
                put(buf, area.x + used, area.y, more, more.len() as u16, palette.text);
            }
        }
        _ => put(buf, area.x, area.y, " H  --", area.width, palette.text),
    }
}

fn progress(bed: &BedView, cells: usize) -> String {
    let [have, need] = bed.learnt_s;
    let done = (have.min(need) as usize * cells).checked_div(need as usize).unwrap_or(0);
    "#".repeat(done) + &".".repeat(cells - done)
}

/// Two seconds a cell, the newest at the right; the row moves on every second second only.
pub(super) fn entropy_bars(
    buf: &mut Buffer,
    scene: &Scene,
    area: Rect,
    seconds: &[Second],
    limit: Option<f32>,
    style: Style,
) {
    let levels = seconds.iter().map(|s| trace::bar_level(s.entropy, limit)).collect::<Vec<u8>>();
    let odd = scene.now.is_some_and(|n| n.0 / 1_000 % 2 == 0);
    bars(buf, area, &levels, odd, scene.palette.glyphs, style);
}

/// Levels as bars, two a cell, the newest at the right; `odd` leaves the last half cell free.
pub(super) fn bars(buf: &mut Buffer, area: Rect, levels: &[u8], odd: bool, glyphs: Glyphs, style: Style) {
    let halves = usize::from(area.width) * 2 - usize::from(odd && area.width > 0);
    let skip = levels.len().saturating_sub(halves);
    let shown = &levels[skip..];
    let mut row = vec![0u8; halves - shown.len()];
    row.extend_from_slice(shown);
    for (i, pair) in row.chunks(2).enumerate() {
        let glyph = trace::bar_glyph(pair[0], pair.get(1).copied().unwrap_or(0), glyphs);
        put(buf, area.x + i as u16, area.y, glyph.encode_utf8(&mut [0; 4]), 1, style);
    }
}

/// One row a bed: where sectors do not fit.
fn table(buf: &mut Buffer, scene: &Scene, area: Rect, shown: &[Standing], label: u16) {
    let palette = &scene.palette;
    let bars = (area.width / 5).clamp(8, 45);
    let trace_x = label + 33;
    let bars_x = area.width.saturating_sub(bars);
    let trace_cells = bars_x.saturating_sub(trace_x + 3);
    let seconds = f64::from(trace_cells) * 2.0 / DOTS_PER_S[scene.ui.speed.min(2)] as f64;
    let title = format!("{} state    what", words::fit("bed", usize::from(label) + 3));
    put(buf, 0, area.y, &title, area.width, palette.dim);
    put_right(buf, trace_x - 1, area.y, "since", palette.dim);
    put(buf, trace_x, area.y, &format!("trace {seconds:.0} s"), trace_cells, palette.dim);
    put(buf, bars_x - 2, area.y, &format!("H {} s full=over", bars * 2), bars + 2, palette.dim);
    for (i, standing) in shown.iter().enumerate() {
        let y = area.y + 1 + i as u16;
        if y >= area.bottom() {
            break;
        }
        heading(buf, scene, Rect::new(0, y, trace_x - 1, 1), standing, label);
        let fresh = matches!(standing.state, BedState::Live | BedState::Delayed);
        if !matches!(standing.state, BedState::Stopped | BedState::LeadOff) {
            ward_trace(buf, scene, Rect::new(trace_x, y, trace_cells, 1), standing.bed, !fresh);
        }
        put(buf, bars_x - 2, y, "H", 1, palette.dim);
        let row = Rect::new(bars_x, y, bars, 1);
        if fresh {
            let limit = standing.bed.thresholds.entropy;
            entropy_bars(buf, scene, row, &standing.bed.seconds, limit, palette.text);
        } else {
            put(buf, bars_x, y, "  --", 4, palette.text);
        }
    }
}
