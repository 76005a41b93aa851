//! The loop that shows snapshots on a terminal until somebody leaves, and gives the terminal back on every way out.

use super::theme::Look;
use super::ui::{Action, Ui};
use super::words;
use super::writer::{Governor, Writer};
use super::{screen_svg, view};
use crate::snapshot::Snapshot;
use contract::MonoMs;
use crossterm::event::{self as input, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal;
use jiff::tz::TimeZone;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

/// Alternate screen, cleared, no cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[0m\x1b[2J\x1b[?25l";
/// The reverse, also after a frame cut in half.
const LEAVE: &[u8] = b"\x18\x1b[?2026l\x1b[0m\x1b[?25h\x1b[?1049l";
/// A resize is drawn when the size has stood still for this long.
const RESIZE_MS: u64 = 50;
/// The bell rings at most this often, and again this long after while an ALERT is unseen.
const BELL_MS: [u64; 2] = [10_000, 60_000];
/// A whole frame is drawn before the link is asked to carry the next one; at leaving we wait this long for it.
const PATIENCE: Duration = Duration::from_millis(500);

/// How the screen opens.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Theme, colours and glyphs; see [`Look::from_environment`].
    pub look: Look,
    /// The site's time zone as an IANA name; `None` = the machine's own.
    pub zone: Option<String>,
}

/// What the screen gets from outside: it owns no clock and knows no daemon.
pub trait Feed {
    /// The newest snapshot, the same one again if nothing came.
    fn latest(&mut self) -> Option<Arc<Snapshot>>;
    /// The monotonic clock.
    fn now(&self) -> MonoMs;
    /// Whether the screen should end (SIGTERM, end of the demo).
    fn closing(&mut self) -> bool;
    /// Somebody asked for something.
    fn act(&mut self, action: Action);
}

/// Why the screen ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Somebody left it.
    Left,
    /// [`Feed::closing`] said so.
    Closed,
}

/// Why there is no screen.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// The terminal refused or went away.
    #[error("the terminal does not answer: {0}; use --headless where there is none")]
    Terminal(#[from] std::io::Error),
    /// Not a time zone.
    #[error("{0:?} is not a time zone such as Europe/Berlin: {1}")]
    Zone(String, String),
}

static ACTIVE: AtomicBool = AtomicBool::new(false);
static OWNER: Mutex<Option<ThreadId>> = Mutex::new(None);
static LAST_WORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HOOK: Once = Once::new();

/// Gives the terminal back, once, whoever calls it; nothing happens where no screen is open.
pub fn restore() {
    if !ACTIVE.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = std::io::stdout();
    // Nothing is left to do if the terminal is gone.
    let _ = out.write_all(LEAVE).and_then(|()| out.flush());
    let _ = terminal::disable_raw_mode();
    for words in LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let _ = writeln!(std::io::stderr(), "{words}");
    }
}

/// A panic in the screen's thread gives the terminal back before it is told; one elsewhere is told after the screen.
fn install_hook() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if ACTIVE.load(Ordering::SeqCst) && !owns_screen() {
                keep_for_later(&panic.to_string());
                return;
            }
            restore();
            before(panic);
        }));
    });
}

fn owns_screen() -> bool {
    *OWNER.lock().unwrap_or_else(PoisonError::into_inner) == Some(std::thread::current().id())
}

fn keep_for_later(panic: &str) {
    let name = std::thread::current().name().unwrap_or("unnamed").to_owned();
    let mut words = LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    // The first ones tell most; a thread that panics again and again must not fill the memory.
    words.truncate(100);
    words.push(format!("thread {name}: {panic}"));
}

/// The open terminal; dropping it gives it back.
struct Open;

impl Open {
    fn new() -> std::io::Result<Self> {
        install_hook();
        *OWNER.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current().id());
        terminal::enable_raw_mode()?;
        ACTIVE.store(true, Ordering::SeqCst);
        let open = Self;
        let mut out = std::io::stdout();
        out.write_all(ENTER)?;
        out.flush()?;
        Ok(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        restore();
    }
}

/// The site's time zone.
fn zone(options: &Options) -> Result<TimeZone, ScreenError> {
    let zone = match &options.zone {
        Some(name) => TimeZone::get(name).map_err(|e| ScreenError::Zone(name.clone(), e.to_string()))?,
        None => TimeZone::system(),
    };
    Ok(zone)
}

/// One picture of the ward without a terminal, as an SVG document.
///
/// # Errors
/// [`ScreenError`] if the time zone is unknown.
pub fn picture(snapshot: &Snapshot, options: &Options, size: (u16, u16)) -> Result<String, ScreenError> {
    let mut ui = Ui::new(options.look, zone(options)?);
    ui.advance(snapshot, MonoMs(1_000));
    Ok(screen_svg(&view(snapshot, &ui, 0, size), options.look))
}

/// Shows the ward until somebody leaves or the feed closes. Blocks; call it on the main thread.
///
/// # Errors
/// [`ScreenError`] if there is no terminal, it goes away, or the time zone is unknown.
pub fn run(options: &Options, feed: &mut impl Feed) -> Result<Ended, ScreenError> {
    let zone = zone(options)?;
    let open = Open::new()?;
    let writer = Writer::start(std::io::stdout())?;
    let mut screen =
        Screen::new(Ui::new(options.look, zone), terminal::size().unwrap_or((80, 24)), feed.now());
    let ended = screen.show(feed, &writer);
    writer.close(PATIENCE);
    drop(open);
    if let Some(now) = screen.snapshot.now {
        let at = words::clock(now, &screen.ui.zone);
        let _ = writeln!(std::io::stdout(), "WARDBEAT SCREEN ENDED {at}, not watching");
    }
    Ok(ended?)
}

struct Screen {
    ui: Ui,
    size: (u16, u16),
    resized: Option<((u16, u16), MonoMs)>,
    snapshot: Arc<Snapshot>,
    /// When a snapshot with a new beat came last.
    fresh_at: MonoMs,
    shown: Option<Buffer>,
    governor: Governor,
    rang: Option<MonoMs>,
    next_frame: MonoMs,
}

impl Screen {
    fn new(ui: Ui, size: (u16, u16), now: MonoMs) -> Self {
        Self {
            ui,
            size,
            resized: None,
            snapshot: Arc::new(Snapshot::default()),
            fresh_at: now,
            shown: None,
            governor: Governor::new(),
            rang: None,
            next_frame: now,
        }
    }

    fn show(&mut self, feed: &mut impl Feed, writer: &Writer) -> std::io::Result<Ended> {
        loop {
            if feed.closing() {
                return Ok(Ended::Closed);
            }
            if let Some(kind) = writer.failed() {
                return Err(kind.into());
            }
            let wait = self.next_frame.since(feed.now()).min(100);
            if input::poll(Duration::from_millis(wait))? && self.heard(&input::read()?, feed) {
                feed.act(Action::Leave);
                return Ok(Ended::Left);
            }
            let now = feed.now();
            if now < self.next_frame {
                continue;
            }
            self.next_frame = now.after(1_000 / u64::from(self.governor.fps()));
            self.receive(feed, now);
            if writer.idle() {
                let frame = self.frame(now);
                self.governor.note(frame.len(), now);
                writer.put(frame);
            }
        }
    }

    fn receive(&mut self, feed: &mut impl Feed, now: MonoMs) {
        if let Some(latest) =
            feed.latest().filter(|s| s.beat != self.snapshot.beat || s.now != self.snapshot.now)
        {
            self.snapshot = latest;
            self.fresh_at = now;
        }
    }

    /// Takes one input; `true` = leave. A key is answered at once, not with the next frame.
    fn heard(&mut self, heard: &Input, feed: &impl Feed) -> bool {
        match heard {
            Input::Key(key) if key.kind != KeyEventKind::Release => {
                self.next_frame = feed.now();
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                let code = match key.code {
                    KeyCode::Char('c') if control => return true,
                    KeyCode::Char('l') if control => KeyCode::F(5),
                    KeyCode::Char(_) if control => return false,
                    code => code,
                };
                self.ui.press(code, &self.snapshot, self.size).is_some()
            }
            Input::Resize(width, height) => {
                self.resized = Some(((*width, *height), feed.now()));
                false
            }
            _ => false,
        }
    }

    /// One frame: what differs from the last one, in one piece.
    fn frame(&mut self, now: MonoMs) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 << 14);
        out.extend_from_slice(b"\x1b[?2026h");
        if self.resized.is_some_and(|(_, at)| now.since(at) >= RESIZE_MS) {
            self.size = self.resized.take().map_or(self.size, |(size, _)| size);
            self.shown = None;
        }
        if std::mem::take(&mut self.ui.repaint) {
            self.shown = None;
        }
        let fresh = self.ui.advance(&self.snapshot, now);
        self.ring(fresh, now, &mut out);
        self.ui.slow_fps = self.governor.slow().then(|| self.governor.fps());
        let next = view(&self.snapshot, &self.ui, now.since(self.fresh_at), self.size);
        let before = self.shown.take().unwrap_or_else(|| {
            out.extend_from_slice(b"\x1b[0m\x1b[2J");
            Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1))
        });
        let changed = before.diff(&next);
        // Writing into memory cannot fail.
        let _ = CrosstermBackend::new(&mut out).draw(changed.into_iter());
        self.shown = Some(next);
        out.extend_from_slice(b"\x1b[?2026l");
        out
    }

    /// One BEL for a new ALERT, another each minute while one is unseen, never two within 10 s.
    fn ring(&mut self, fresh: bool, now: MonoMs, out: &mut Vec<u8>) {
        let quiet = self.rang.map_or(u64::MAX, |at| now.since(at));
        let due = (fresh && quiet >= BELL_MS[0]) || (self.ui.unseen_alerts() > 0 && quiet >= BELL_MS[1]);
        if self.ui.bell && due {
            out.push(0x07);
            self.rang = Some(now);
        }
    }
}
