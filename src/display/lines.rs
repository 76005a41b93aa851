//! Header, footer, and the strip of what needs a look and what is not watched.

use super::keys;
use super::lost;
use super::scene::{SILENT_MS, Scene, put, put_right};
use super::ui::Bell;
use super::words;
use super::writer::Economy;
use crate::snapshot::{AlertView, BedState};
use contract::Level;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A piece of a line.
pub(super) type Piece = (String, Style);
/// A bed's first finding, and how many more it has.
type Look<'a> = (&'a AlertView, usize);

fn clock_and_beat(scene: &Scene) -> String {
    let clock = scene.now.map_or_else(|| "--:--:--".into(), |now| scene.clock(now));
    // The daemon's own beat turns the mark: standing still, it says that the daemon does.
    let beat = ['|', '/', '-', '\\'][(scene.snapshot.beat % 4) as usize];
    format!("{clock} {beat}")
}

/// `watching n of N: 1 ALERT 2 advisory`: beds, each by its strongest finding.
fn counts(scene: &Scene) -> String {
    let standings = scene.standings();
    let watched = standings.iter().filter(|s| s.watched()).count();
    let open = scene.looks_by_bed();
    let alerts = open.iter().filter(|(a, _)| a.level == Level::Alert).count();
    let advisories = open.len() - alerts;
    let mut text = format!("watching {watched} of {}", standings.len());
    if alerts > 0 {
        text += &format!(": {alerts} ALERT");
    }
    if advisories > 0 {
        text += &format!("{} {advisories} advisory", if alerts > 0 { "" } else { ":" });
    }
    text
}

/// A banner over the whole line, or `None` while all is as it should be.
pub(super) fn banner(scene: &Scene) -> Option<String> {
    if scene.age_ms > SILENT_MS {
        let age = words::span(words::signed(scene.age_ms));
        let why = scene
            .troubles()
            .into_iter()
            .find(|t| t.starts_with("this screen"))
            .unwrap_or_else(|| "this screen is not watching".into());
        return Some(format!(" WARDBEAT DAEMON SILENT for {age}: {why}"));
    }
    let trouble = scene.troubles();
    let first = trouble.first()?;
    let more = if trouble.len() > 1 { format!(" (+{})", trouble.len() - 1) } else { String::new() };
    Some(format!(" WARDBEAT TROUBLE: {first}{more}"))
}

/// The first line of the ward view.
pub(super) fn header(buf: &mut Buffer, scene: &Scene, page: Option<(usize, usize)>) {
    let wide = buf.area.width;
    let clock = clock_and_beat(scene);
    let clock_x = wide.saturating_sub(clock.len() as u16 + 1);
    if let Some(text) = banner(scene) {
        put(buf, 0, 0, &" ".repeat(usize::from(wide)), wide, scene.palette.banner);
        put(buf, 0, 0, &text, clock_x.saturating_sub(1), scene.palette.banner);
        put(buf, clock_x, 0, &clock, wide, scene.palette.banner);
        return;
    }
    put(buf, clock_x, 0, &clock, wide, scene.palette.bold);
    let mode = scene.mode_word().map_or_else(String::new, |m| format!(" {m}"));
    let mut left = format!(" WARDBEAT{mode} {}", counts(scene));
    if let Some((at, of)) = page {
        left += &format!("  page {at}/{of}");
    }
    let right = right_words(scene, wide >= 100);
    let right_x = clock_x.saturating_sub(right.len() as u16 + 1);
    put(buf, right_x, 0, &right, clock_x.saturating_sub(right_x), scene.palette.dim);
    put(buf, 0, 0, &left, right_x.saturating_sub(1), scene.palette.bold);
    let used = words::width(&left) as u16 + 3;
    let lost = lost::labels(scene);
    if wide >= 100 && !lost.is_empty() && used < right_x {
        let text = format!("not watched: {}", lost.join(" "));
        put(buf, used, 0, &text, right_x.saturating_sub(used + 1), scene.palette.dim);
    }
}

/// What this screen itself is at: held, slowed, bell, operator.
fn right_words(scene: &Scene, wide: bool) -> String {
    let (link, mut right) = (scene.ui.link, Vec::new());
    if let Some(s) = scene.ui.held_s() {
        right.push(format!("HELD {s}s"));
    }
    if let Some(s) = link.slow_s {
        right.push(format!("SLOW LINK, picture up to {s} s old"));
    } else if link.slowed {
        right.push(match link.economy {
            Economy::None => format!("{} fps", link.fps),
            Economy::Depth => "256 colours".into(),
            Economy::Clusters => "plain traces".into(),
            Economy::Traces => "text only".into(),
        });
    }
    right.push(scene.ui.bell.words().into());
    if let Some(name) = scene.ui.operator.as_ref().filter(|_| wide) {
        right.push(format!("operator {}", words::cut(name, 12)));
    }
    right.join("  ")
}

/// The title line of the other views: a title, or the banner, and the clock.
pub(super) fn title(buf: &mut Buffer, scene: &Scene, text: &str, style: Style) {
    let wide = buf.area.width;
    let clock = clock_and_beat(scene);
    let clock_x = wide.saturating_sub(clock.len() as u16 + 1);
    let (text, style, clock_style) = match banner(scene) {
        Some(banner) => {
            put(buf, 0, 0, &" ".repeat(usize::from(wide)), wide, scene.palette.banner);
            (banner, scene.palette.banner, scene.palette.banner)
        }
        None => (text.to_owned(), style, scene.palette.bold),
    };
    // A bell that is off and a slow link are never out of sight; beds that are paused, where there is room.
    let must = scene.ui.bell == Bell::Off || scene.ui.link.slow_s.is_some() || wide >= 100;
    let mut told = if must { vec![right_words(scene, wide >= 120)] } else { Vec::new() };
    let standings = scene.standings();
    let paused = standings.iter().filter(|s| s.state == BedState::Paused);
    let paused: Vec<String> = paused.map(|s| words::cut(&s.bed.label, 4)).collect();
    let paused = format!("= {}", words::cut(&paused.join(" "), 12));
    let used = words::width(&text) + told.iter().map(|t| t.len() + 2).sum::<usize>() + paused.len() + 3;
    if paused.len() > 2 && used < usize::from(clock_x) {
        told.insert(0, paused);
    }
    let told = told.join("  ");
    let told_x = clock_x.saturating_sub(words::width(&told) as u16 + 2);
    let end = if told.is_empty() { clock_x } else { told_x };
    put(buf, 0, 0, &text, end.saturating_sub(1), style);
    put(buf, told_x, 0, &told, clock_x.saturating_sub(told_x + 1), clock_style);
    put(buf, clock_x, 0, &clock, wide, clock_style);
}

/// One open finding in words, 0 = as short as can be, 3 = in full with the time of day.
fn look_text(scene: &Scene, (a, more): Look, length: usize) -> String {
    let (label, mark) = (words::cut(&a.label, 8), words::level_mark(a.level));
    if length == 0 {
        return format!("{label} {mark}");
    }
    let more = if more > 0 { format!(" (+{more} more)") } else { String::new() };
    let stopped = a.bed.as_ref().and_then(|id| scene.bed(id)).is_some_and(|b| !scene.standing(b).watched());
    let mut text = format!("{label} {mark} {}{more}", words::code_words(a.code, (length - 1).min(1)));
    if length > 1 {
        text += &a.k_of_n.map_or_else(String::new, |[k, n]| format!("  {k} of last {n} s"));
    }
    if length > 2 {
        text += &format!("  since {}", scene.clock(a.onset));
    }
    text += &format!("  {}", scene.span(a.onset));
    if stopped {
        text += if length > 1 { " open when data stopped" } else { " (stopped)" };
    }
    if a.silent {
        text += " (review only)";
    }
    if let Some((who, at)) = &a.seen {
        text += &format!(" seen {} {}", words::cut(who, 8), scene.clock_min(*at));
    }
    text
}

fn look_style(scene: &Scene, a: &AlertView) -> Style {
    match a.level {
        Level::Alert if a.seen.is_none() => scene.palette.alert,
        Level::Alert => scene.palette.bold,
        Level::Advisory => scene.palette.text,
    }
}

/// All open findings on one line: in full if they fit, else shorter, at last by bed and mark only.
pub(super) fn look_pieces(scene: &Scene, looks: &[Look], cells: usize) -> Vec<Piece> {
    let lengths: [&dyn Fn(usize) -> usize; 5] =
        [&|_| 3, &|_| 2, &|i| if i == 0 { 2 } else { 1 }, &|_| 1, &|_| 0];
    for length in lengths {
        let pieces: Vec<Piece> = looks
            .iter()
            .enumerate()
            .map(|(i, look)| (look_text(scene, *look, length(i)), look_style(scene, look.0)))
            .collect();
        if joined(&pieces) <= cells {
            return pieces;
        }
    }
    let crowd = |(a, _): &Look| format!("{}{}", words::cut(&a.label, 8), words::level_mark(a.level));
    let crowd = looks.iter().map(crowd).collect::<Vec<String>>().join(" ");
    if words::width(&crowd) <= cells {
        return vec![(crowd, looks.first().map_or_else(Style::new, |look| look_style(scene, look.0)))];
    }
    let short = looks.iter().map(|look| (look_text(scene, *look, 0), look_style(scene, look.0))).collect();
    fit_pieces(short, cells)
}

pub(super) fn joined(pieces: &[Piece]) -> usize {
    pieces.iter().map(|(t, _)| words::width(t) + 3).sum::<usize>().saturating_sub(3)
}

/// Keeps what fits and says how many do not.
pub(super) fn fit_pieces(mut pieces: Vec<Piece>, cells: usize) -> Vec<Piece> {
    let all = pieces.len();
    while joined(&pieces) + if pieces.len() < all { 6 } else { 0 } > cells && !pieces.is_empty() {
        pieces.pop();
    }
    let lost = all - pieces.len();
    if lost > 0 {
        pieces.push((format!("+{lost}"), Style::new()));
    }
    pieces
}

fn put_pieces(buf: &mut Buffer, x: u16, y: u16, pieces: &[Piece], dim: Style) {
    let mut x = x;
    for (i, (text, style)) in pieces.iter().enumerate() {
        if i > 0 {
            put(buf, x, y, " | ", 3, dim);
            x = x.saturating_add(3);
        }
        put(buf, x, y, text, u16::MAX, *style);
        x = x.saturating_add(words::width(&words::clean(text)) as u16);
    }
}

/// The open findings in `rows` lines, one each where there is room.
fn look_lines(buf: &mut Buffer, scene: &Scene, area: Rect, lead: &str) {
    let looks = scene.looks_by_bed();
    let (rows, lead_cells) = (usize::from(area.height), lead.len() as u16);
    let cells = usize::from(area.width.saturating_sub(lead_cells));
    if rows == 0 {
        return;
    }
    let single = if looks.len() <= rows { looks.len() } else { rows - 1 };
    let rest = &looks[single..];
    let groups = looks[..single].iter().map(std::slice::from_ref).chain((!rest.is_empty()).then_some(rest));
    for (i, group) in groups.enumerate() {
        let y = area.y + i as u16;
        put(buf, area.x, y, lead, lead_cells, scene.palette.bold);
        put_pieces(buf, area.x + lead_cells, y, &look_pieces(scene, group, cells), scene.palette.dim);
    }
    if looks.is_empty() {
        put(buf, area.x, area.y, lead, lead_cells, scene.palette.dim);
        put(buf, area.x + lead_cells, area.y, "--", 2, scene.palette.dim);
    }
}

/// The strip on small screens: open findings, beds not watched, footer.
pub(super) fn strip(buf: &mut Buffer, scene: &Scene, area: Rect) {
    if area.height < 3 {
        return;
    }
    let area = area.intersection(buf.area);
    look_lines(buf, scene, Rect { height: area.height - 2, ..area }, " LOOK  ");
    let looks = scene.looks_by_bed().len().clamp(1, usize::from(area.height - 2)) as u16;
    let lead = " NOT WATCHED  ";
    let lost = lost::pieces(scene, usize::from(area.width).saturating_sub(lead.len()));
    if !lost.is_empty() {
        put(buf, 0, area.y + looks, lead, lead.len() as u16, scene.palette.bold);
        put_pieces(buf, lead.len() as u16, area.y + looks, &lost, scene.palette.dim);
    }
    footer(buf, scene, &["n", "a", "l", "?"]);
}

/// The strip on large screens: two columns.
pub(super) fn wide_strip(buf: &mut Buffer, scene: &Scene, area: Rect) {
    let area = area.intersection(buf.area);
    if area.height < 3 {
        return;
    }
    let palette = &scene.palette;
    let split = area.width * 3 / 4;
    put(buf, 0, area.y, " NEEDS A LOOK (oldest first)", split, palette.bold);
    put(buf, split, area.y, "NOT WATCHED", area.width, palette.bold);
    let ended = scene.ended_tonight();
    let rows = area.height - 2 - u16::from(!ended.is_empty());
    look_lines(buf, scene, Rect::new(0, area.y + 1, split - 1, rows), " ");
    if !ended.is_empty() {
        let pieces = ended.iter().map(|a| (ended_text(scene, a), palette.text)).collect();
        put(buf, 1, area.bottom() - 2, "ended:", 6, palette.dim);
        put_pieces(buf, 8, area.bottom() - 2, &fit_pieces(pieces, usize::from(split) - 9), palette.dim);
    }
    let column = Rect::new(split, area.y + 1, area.width - split, area.height - 2);
    lost::column(buf, scene, column);
    footer(buf, scene, &["n", "Enter", "a", "p", "m", "l", "d", "?"]);
}

fn ended_text(scene: &Scene, a: &AlertView) -> String {
    let until = a.ended.map_or_else(String::new, |t| scene.clock_min(t));
    let mark = words::level_mark(a.level);
    let seen = a.seen.as_ref().map_or("unseen".into(), |(who, _)| format!("seen {}", words::cut(who, 8)));
    format!("{} {mark} {}-{until} {seen}", words::cut(&a.label, 8), scene.clock_min(a.onset))
}

/// The last line: what is being typed, or what this screen is not, and the keys.
pub(super) fn footer(buf: &mut Buffer, scene: &Scene, wanted: &[&str]) {
    let (wide, y) = (buf.area.width, buf.area.height.saturating_sub(1));
    let palette = &scene.palette;
    let room = usize::from(wide).saturating_sub(if wide < 60 { 0 } else { words::NOT_AN_ALARM.len() + 3 });
    let hints = keys::footer(wanted, scene.ui.operator.is_some(), room);
    let (text, style) = if scene.ui.leaving {
        ("Leave this screen? y = leave, any other key = stay".to_owned(), palette.bold)
    } else if let Some((text, urgent)) = scene.ui.asks.line() {
        (text, if urgent { palette.banner } else { palette.bold })
    } else if scene.ui.filtering {
        (
            format!("show beds: {}_  (Enter keeps, Esc shows all)", words::clean(&scene.ui.filter)),
            palette.bold,
        )
    } else if !scene.ui.typed.is_empty() {
        (format!("go to bed {}_  (Enter opens, Esc drops)", scene.ui.typed), palette.bold)
    } else if wide < 60 {
        (hints, palette.dim)
    } else {
        (format!("{}  {hints}", words::NOT_AN_ALARM), palette.dim)
    };
    let indent = u16::from(wide >= 60);
    put(buf, indent, y, &text, wide.saturating_sub(indent), style);
}

/// In views other than the ward: unseen ALERTs of any bed but `shown`, on the line above the footer.
pub(super) fn elsewhere(buf: &mut Buffer, scene: &Scene, shown: Option<&contract::BedId>) -> bool {
    let looks: Vec<Look> = scene
        .looks_by_bed()
        .into_iter()
        .filter(|(a, _)| {
            a.level == Level::Alert && a.seen.is_none() && (shown.is_none() || a.bed.as_ref() != shown)
        })
        .collect();
    if looks.is_empty() || buf.area.height < 4 {
        return false;
    }
    let y = buf.area.height - 2;
    put(buf, 0, y, " LOOK  ", 7, scene.palette.bold);
    let cells = usize::from(buf.area.width.saturating_sub(7));
    put_pieces(buf, 7, y, &look_pieces(scene, &looks, cells), scene.palette.dim);
    true
}

/// Clock and beat at the right of a short line.
pub(super) fn put_clock(buf: &mut Buffer, scene: &Scene, style: Style) {
    put_right(buf, buf.area.width, 0, &clock_and_beat(scene), style);
}

/// The counts in words, for the narrow views.
pub(super) fn count_text(scene: &Scene) -> String {
    counts(scene)
}
