//! The beds without verdicts: by label, one by one with their times, or by state where there are many.

use super::lines::{Piece, fit_pieces, joined};
use super::scene::{Scene, put};
use super::words;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A bed: label, state and time, chip.
type Lost = (String, String, Style);

fn each(scene: &Scene) -> Vec<Lost> {
    let lost = scene.standings().into_iter().filter(|s| !s.watched());
    lost.map(|s| {
        let since = s.since(scene);
        let word = words::state_word(s.state).to_ascii_lowercase();
        (words::cut(&s.bed.label, 8), format!("{word} {since}"), s.chip(scene))
    })
    .collect()
}

/// One text a state: "learning 01 02 05".
fn by_state(scene: &Scene) -> Vec<String> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for s in scene.standings().into_iter().filter(|s| !s.watched()) {
        let (word, label) = (words::state_word(s.state).to_ascii_lowercase(), words::cut(&s.bed.label, 8));
        match groups.iter_mut().find(|group| group.0 == word) {
            Some(group) => group.1.push(label),
            None => groups.push((word, vec![label])),
        }
    }
    groups.into_iter().map(|(word, labels)| format!("{word} {}", labels.join(" "))).collect()
}

/// A text in lines of so many cells, those after the first set in.
fn wrapped(text: &str, cells: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().filter(|l| l.is_empty() || words::width(l) + words::width(word) < cells);
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => *line += &format!(" {word}"),
            None => lines.push(format!("  {word}")),
        }
    }
    lines
}

/// Their labels.
pub(super) fn labels(scene: &Scene) -> Vec<String> {
    each(scene).into_iter().map(|lost| lost.0).collect()
}

/// On one line of so many cells.
pub(super) fn pieces(scene: &Scene, cells: usize) -> Vec<Piece> {
    let text = |text| (text, scene.palette.text);
    let single: Vec<Piece> =
        each(scene).into_iter().map(|(label, words, _)| text(format!("{label} {words}"))).collect();
    if joined(&single) <= cells {
        return single;
    }
    fit_pieces(by_state(scene).into_iter().map(text).collect(), cells)
}

/// One below the other; by state where they are more than the rows.
pub(super) fn column(buf: &mut Buffer, scene: &Scene, area: Rect) {
    let lost = each(scene);
    let rows = usize::from(area.height);
    if lost.len() > rows {
        let mut lines: Vec<String> =
            by_state(scene).iter().flat_map(|text| wrapped(text, usize::from(area.width))).collect();
        if lines.len() > rows {
            let rest = lines.split_off(rows.saturating_sub(1)).join(" ");
            lines.push(rest);
        }
        for (y, text) in (area.y..).zip(lines) {
            put(buf, area.x, y, &text, area.width, scene.palette.text);
        }
        return;
    }
    for (y, (label, text, chip)) in (area.y..).zip(lost) {
        put(buf, area.x, y, &label, 8, scene.palette.bold);
        let x = area.x + words::width(&label) as u16 + 1;
        put(buf, x, y, &text, area.width.saturating_sub(x - area.x), chip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_labels_take_as_many_lines_as_they_need() {
        assert_eq!(wrapped("learning 01 02 03", 14), ["learning 01 02", "  03"]);
        assert_eq!(wrapped("learning 01 02 03", 17), ["learning 01 02 03"]);
        assert_eq!(wrapped("stopped Wandbettplatz", 10), ["stopped", "  Wandbettplatz"]);
    }
}
