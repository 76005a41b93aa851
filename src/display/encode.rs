//! A frame as bytes: the cells that differ from the last one, those of one style together.

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// Writes what turns `before` into `next`.
pub(super) fn difference(before: &Buffer, next: &Buffer, out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    let _ = CrosstermBackend::new(out).draw(in_order(before.diff(next)).into_iter());
}

/// Cells of one style together: colours are the longest part of what is written.
fn in_order(mut changed: Vec<(u16, u16, &Cell)>) -> Vec<(u16, u16, &Cell)> {
    let mut styles: Vec<(Color, Color, Modifier)> = Vec::new();
    changed.sort_by_cached_key(|(x, y, cell)| {
        let style = (cell.fg, cell.bg, cell.modifier);
        let at = styles.iter().position(|s| *s == style).unwrap_or_else(|| {
            styles.push(style);
            styles.len() - 1
        });
        (at, *y, *x)
    });
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    /// What a terminal shows after these bytes: cursor addresses and printed characters.
    fn shown(bytes: &[u8], size: (u16, u16)) -> Vec<Vec<char>> {
        let mut cells = vec![vec![' '; usize::from(size.0)]; usize::from(size.1)];
        let (mut x, mut y) = (0, 0);
        let mut text = std::str::from_utf8(bytes).expect("text").chars();
        while let Some(c) = text.next() {
            if c != '\x1b' {
                cells[y][x] = c;
                x += 1;
                continue;
            }
            assert_eq!(text.next(), Some('['));
            let mut sequence = String::new();
            let end = text.by_ref().find(|c| {
                sequence.push(*c);
                c.is_ascii_alphabetic()
            });
            if end == Some('H') {
                let (row, column) = sequence.trim_end_matches('H').split_once(';').expect("an address");
                (y, x) =
                    (row.parse::<usize>().expect("row") - 1, column.parse::<usize>().expect("column") - 1);
            }
        }
        cells
    }

    proptest! {
        #[test]
        fn cells_in_the_order_of_their_styles_give_the_same_screen(
            cells in proptest::collection::vec((0u16..30, 0u16..8, "[a-z \u{2801}-\u{28ff}]", 0u8..5), 1..120),
        ) {
            let area = Rect::new(0, 0, 30, 8);
            let mut next = Buffer::empty(area);
            for (x, y, symbol, colour) in &cells {
                next.set_string(*x, *y, symbol, Style::new().fg(Color::Indexed(*colour)));
            }
            let before = Buffer::empty(area);
            let mut out = Vec::new();
            difference(&before, &next, &mut out);
            let expected: Vec<Vec<char>> = next.content.chunks(30)
                .map(|row| row.iter().map(|cell| cell.symbol().chars().next().unwrap_or(' ')).collect()).collect();
            prop_assert_eq!(shown(&out, (30, 8)), expected);
        }
    }
}
