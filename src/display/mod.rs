//! Draws a snapshot of the ward on a terminal, nothing else.
//!
//! What it does: turns a [`Snapshot`] and the screen's own state into cells ([`view`], pure), and shows them at ten
//! frames a second until somebody leaves ([`run`]). Sweeps stay in place, colours are the clusters' families, and
//! everything that is dead looks dead.
//! What it never does: read a clock, reach the pipeline or the daemon, change a bed, say what is not in the snapshot.
//! Door: [`run`] with a [`Feed`]; [`picture`], [`view`] and [`screen_svg`] for pictures; [`manual`] for the keys.
//! Who calls it: `cli` (`demo`, `run --tui`, `watch`).

#![allow(clippy::format_push_string)] // Lines are short; `write!` would ignore a result at each of them.

mod asks;
mod bed;
mod changed;
mod encode;
mod export;
mod health;
mod help;
mod keys;
mod layout;
mod lines;
mod list;
mod lost;
mod narrow;
mod navigate;
mod scene;
mod screen;
mod svg;
mod theme;
mod trace;
mod trend;
mod tty;
mod ui;
mod ward;
mod words;
mod writer;

pub use asks::Wish;
pub use export::Export;
pub use keys::manual;
pub use screen::{Ended, Feed, Options, ScreenError, picture, run};
pub use svg::screen_svg;
pub use theme::{Depth, Glyphs, Look, Theme};
pub use tty::restore;
pub use ui::{Action, Ui};

use crate::snapshot::Snapshot;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws one frame. Pure: the same arguments give the same cells.
///
/// `age_ms` is the snapshot's age by the screen's own clock: from 3 s a banner says that the daemon is silent, from
/// 10 s every bed is STOPPED. `size` is width and height in cells.
#[must_use]
pub fn view(snapshot: &Snapshot, ui: &Ui, age_ms: u64, size: (u16, u16)) -> Buffer {
    let mut buf = Buffer::empty(Rect::new(0, 0, size.0, size.1));
    if buf.area.is_empty() {
        return buf;
    }
    let scene = scene::Scene::new(snapshot, ui, age_ms, theme::Palette::new(ui.affordable_look()));
    if size.0 < 40 || size.1 < 12 {
        narrow::line(&mut buf, &scene);
        return buf;
    }
    let shown = match &ui.view {
        ui::View::Bed(id) => scene.bed(id),
        _ => None,
    };
    match &ui.view {
        ui::View::List => list::draw(&mut buf, &scene),
        ui::View::Health => health::draw(&mut buf, &scene),
        ui::View::Help => help::draw(&mut buf, &scene),
        ui::View::Bed(_) if shown.is_some() => {
            if let Some(bed) = shown {
                bed::draw(&mut buf, &scene, bed);
            }
        }
        _ if size.0 < 76 || size.1 < 16 => narrow::draw(&mut buf, &scene),
        _ => ward::draw(&mut buf, &scene),
    }
    buf
}
