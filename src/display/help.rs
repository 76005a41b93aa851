//! Help: the table of keys and what marks and bars mean.

use super::keys::{self, Role};
use super::lines;
use super::scene::{Scene, put};
use super::theme::Glyphs;
use super::words;
use ratatui::buffer::Buffer;

const MARKS: [&str; 6] = [
    "MARKS  !! alert  ! advisory  x not watched  ~ delayed  = paused  o learning",
    "H bar: 4 dots = over this bed's threshold, 3 dots = at it (from 90 %)",
    "Colours and letters: Q QRS  S ST part  T T wave  P P wave  b baseline  ? mixed",
    "LIVE < 3 s old   DELAYED from 3 s   STOPPED from 8 s without samples",
    "A trace stands a little behind the newest sample; its age is in the bed view.",
    "If the clock top right stands still, this screen is dead.",
];

pub(super) fn draw(buf: &mut Buffer, scene: &Scene) {
    let (w, h) = (buf.area.width, buf.area.height);
    let palette = &scene.palette;
    lines::title(buf, scene, " KEYS", palette.bold);
    let columns = (w / 40).clamp(1, 3);
    let here = |key: &&keys::Key| !(scene.ui.kiosk && key.leaves());
    let bound: Vec<_> = keys::bound(scene.ui.operator.is_some()).filter(here).collect();
    let rows = bound.len().div_ceil(usize::from(columns)) as u16;
    for (i, key) in bound.into_iter().enumerate() {
        let (column, row) = (i as u16 / rows, i as u16 % rows);
        let (x, y) = (1 + column * 40, 2 + row);
        if y + 2 < h {
            put(buf, x, y, key.shown, 10, palette.bold);
            put(buf, x + 10, y, key.text, 29, palette.text);
            let risky = key.role == Role::Operator && columns == 1 && w >= 80;
            if risky {
                put(buf, x + 40, y, key.guard, w, palette.dim);
            }
        }
    }
    let hill = format!("Dots: {} must be a hill; if it is not, press g.", words::HILL);
    let hill = (palette.glyphs == Glyphs::Braille).then_some(hill.as_str());
    for (i, text) in MARKS.into_iter().chain(hill).enumerate() {
        let y = 3 + rows + i as u16;
        if y + 2 < h {
            put(buf, 1, y, text, w, palette.text);
        }
    }
    lines::elsewhere(buf, scene, None);
    put(buf, 0, h - 1, &format!(" Esc close   {}", words::NOT_AN_ALARM), w, palette.dim);
}
