//! What `run` and `demo` share: log lines, the terminal, and the wait while the daemon works.

use crate::config::Settings;
use crate::daemon::{Clock, Running};
use crate::display::{self, Depth, Glyphs, Look, Theme};
use crate::model::{Bundle, ModelError};
use crate::snapshot::Snapshot;
use contract::MonoMs;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};
use tracing_subscriber::EnvFilter;

/// How often the wait looks whether it is over.
const LOOK: Duration = Duration::from_millis(100);
/// A picture is asked for at most this often.
const PICTURE_MS: u64 = 100;

/// The bundle of that folder, else the one in this program.
pub(super) fn bundle(folder: Option<&Path>) -> Result<Bundle, ModelError> {
    folder.map_or_else(Bundle::embedded, Bundle::read)
}

/// Log lines on standard error; `RUST_LOG` chooses, else Wardbeat's own from `info` on.
pub(super) fn log() {
    let ours = || EnvFilter::new("warn,wardbeat=info,rumqttd=off");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| ours());
    // A second subscriber in one process (tests) is no reason to fail.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init();
}

/// Waits until a signal asks to stop or `over` says so.
pub(super) fn watch(running: &Running, mut over: impl FnMut() -> bool) {
    while !running.asked_to_stop() && !over() {
        thread::sleep(LOOK);
    }
}

/// Opens the terminal until somebody leaves it, a signal asks to stop or `over` says so.
pub(super) fn screen(
    running: &Running,
    settings: &Settings,
    over: impl FnMut() -> bool,
) -> Result<(), display::ScreenError> {
    let options = display::Options { look: look(settings), zone: Some(settings.timezone.clone()) };
    let mut feed = Window { running, clock: Clock::start(), newest: None, over };
    display::run(&options, &mut feed).map(drop)
}

/// The ward as the terminal shows it, as SVG.
pub(super) fn picture(snapshot: &Snapshot, settings: &Settings) -> Result<String, display::ScreenError> {
    let look = Look { depth: Depth::True, ..look(settings) };
    display::picture(snapshot, &display::Options { look, zone: Some(settings.timezone.clone()) }, (120, 40))
}

/// The config's words where it has any, else what the environment says.
fn look(settings: &Settings) -> Look {
    let mut look = Look::from_environment(|name| env::var(name).ok());
    look.theme = match settings.display.theme.as_str() {
        "dark" => Theme::Dark,
        "light" => Theme::Light,
        "high-contrast" => Theme::HighContrast,
        "okabe-ito" => Theme::OkabeIto,
        "mono" => Theme::Mono,
        _ => look.theme,
    };
    look.glyphs = match settings.display.glyphs.as_str() {
        "braille" => Glyphs::Braille,
        "ascii" => Glyphs::Ascii,
        _ => look.glyphs,
    };
    look
}

/// What the screen gets of the daemon.
struct Window<'a, F> {
    running: &'a Running,
    clock: Clock,
    newest: Option<(Arc<Snapshot>, MonoMs)>,
    over: F,
}

impl<F: FnMut() -> bool> display::Feed for Window<'_, F> {
    fn latest(&mut self) -> Option<Arc<Snapshot>> {
        let now = self.clock.mono();
        let stale = self.newest.as_ref().is_none_or(|(_, at)| now.since(*at) >= PICTURE_MS);
        if stale {
            self.newest = Some((Arc::new(self.running.snapshot()), now));
        }
        self.newest.as_ref().map(|(snapshot, _)| snapshot.clone())
    }

    fn now(&self) -> MonoMs {
        self.clock.mono()
    }

    fn closing(&mut self) -> bool {
        self.running.asked_to_stop() || (self.over)()
    }

    fn act(&mut self, action: display::Action) {
        // Leaving ends the screen by itself; there is nothing else to ask for yet.
        tracing::debug!(?action, "asked on the screen");
    }
}
