//! The loop that shows snapshots on a terminal until somebody leaves.

use super::asks::Wish;
use super::encode;
use super::export::{Export, Exporter};
use super::theme::Look;
use super::tty::Open;
use super::ui::{Action, Bell, Link, Ui};
use super::words;
use super::writer::{Governor, Late, Writer};
use super::{screen_svg, view};
use crate::snapshot::{BedState, Snapshot};
use contract::{BedId, MonoMs};
use crossterm::event::{self as input, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// A resize is drawn when the size has stood still for this long.
const RESIZE_MS: u64 = 50;
/// The bell rings at most this often, and again this long after while an ALERT is unseen.
const BELL_MS: [u64; 2] = [10_000, 60_000];
/// A whole frame is drawn before the link is asked to carry the next one; at leaving we wait this long for it.
const PATIENCE: Duration = Duration::from_millis(500);
/// Frames a second: the ward, one bed, and where nothing moves.
const FPS: [u32; 3] = [10, 15, 1];
/// A frame that took so long to write says that the picture was old, and for how long it is said.
const SLOW_MS: u64 = 2_000;
const SLOW_TOLD_MS: u64 = 30_000;

/// How the screen opens.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Theme, colours and glyphs; see [`Look::from_environment`].
    pub look: Look,
    /// The site's time zone as an IANA name; `None` = what the snapshot says, until then the machine's own.
    pub zone: Option<String>,
    /// Who may acknowledge, pause, mark and relearn here; `None` = nobody, and no such key is bound.
    pub operator: Option<String>,
    /// Ctrl-Z stops this process; not where the daemon lives in it.
    pub suspend: bool,
    /// No key ends or suspends the screen: for a corridor.
    pub kiosk: bool,
}

/// What the screen gets from outside: it owns no clock and knows no daemon.
pub trait Feed {
    /// The newest snapshot, the same one again if nothing came.
    fn latest(&mut self) -> Option<Arc<Snapshot>>;
    /// The monotonic clock.
    fn now(&self) -> MonoMs;
    /// Whether the screen should end (SIGTERM, end of the demo).
    fn closing(&mut self) -> bool;
    /// The operator asks something of a bed; `id` counts what was asked.
    fn ask(&mut self, id: u64, bed: &BedId, wish: Wish);
    /// The bell rings: beside the terminal's own, the ward may have another.
    fn ring(&mut self);
    /// What was refused since the last call, and why. What is done shows in the snapshot.
    fn refused(&mut self) -> Vec<(u64, String)>;
    /// Writes the files of an exported strip; says where.
    ///
    /// # Errors
    /// Why not, in words.
    fn save(&mut self, export: &Export) -> Result<String, String>;
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

/// The site's time zone.
fn zone(options: &Options) -> Result<TimeZone, ScreenError> {
    let zone = match &options.zone {
        Some(name) => TimeZone::get(name).map_err(|e| ScreenError::Zone(name.clone(), e.to_string()))?,
        None => TimeZone::system(),
    };
    Ok(zone)
}

/// One picture of the ward without a terminal, as an SVG document, after these keys were pressed (a line feed is Enter).
///
/// # Errors
/// [`ScreenError`] if the time zone is unknown.
pub fn picture(
    snapshot: &Snapshot,
    options: &Options,
    size: (u16, u16),
    keys: &str,
) -> Result<String, ScreenError> {
    let zoned =
        Options { zone: options.zone.clone().or(Some(snapshot.node.timezone.clone())), ..options.clone() };
    let zone = zone(&zoned).or_else(|_| zone(options))?;
    let (snapshot, now) = (Arc::new(snapshot.clone()), MonoMs(1_000));
    let mut ui = Ui::new(options.look, zone).for_operator(options.operator.clone());
    ui.advance(&snapshot, now);
    for key in keys.chars() {
        let code = if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) };
        ui.press(code, &snapshot, size);
    }
    ui.advance(&snapshot, now);
    Ok(screen_svg(&view(&snapshot, &ui, 0, size), ui.affordable_look()))
}

/// Shows the ward until somebody leaves or the feed closes. Blocks; call it on the main thread.
///
/// # Errors
/// [`ScreenError`] if there is no terminal, it goes away, or the time zone is unknown.
pub fn run(options: &Options, feed: &mut impl Feed) -> Result<Ended, ScreenError> {
    let zone = zone(options)?;
    let open = Open::new()?;
    let writer = Writer::start(std::io::stdout())?;
    let mut ui = Ui::new(options.look, zone).for_operator(options.operator.clone());
    ui.kiosk = options.kiosk;
    ui.welcome();
    let mut screen = Screen::new(ui, terminal::size().unwrap_or((80, 24)), feed.now());
    screen.follow_zone = options.zone.is_none();
    let may_sleep = options.suspend && !options.kiosk;
    let ended = screen.show(feed, &writer, may_sleep.then_some(&open));
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
    /// The next frame brings the bell.
    rings: bool,
    next_frame: MonoMs,
    /// The site's zone comes with the snapshot.
    follow_zone: bool,
    exporter: Exporter,
    /// When the frame that is being written was given to the writer.
    put_at: Option<MonoMs>,
    /// A frame took this long to write, and when that was seen.
    slow: Option<(u64, MonoMs)>,
    skipped: u64,
    late: Late,
    suspend: bool,
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
            rings: false,
            next_frame: now,
            follow_zone: false,
            exporter: Exporter::default(),
            put_at: None,
            slow: None,
            skipped: 0,
            late: Late::default(),
            suspend: false,
        }
    }

    fn show(&mut self, feed: &mut impl Feed, writer: &Writer, open: Option<&Open>) -> std::io::Result<Ended> {
        loop {
            if feed.closing() {
                return Ok(Ended::Closed);
            }
            if let Some(kind) = writer.failed() {
                return Err(kind.into());
            }
            let wait = self.next_frame.since(feed.now()).min(100);
            if input::poll(Duration::from_millis(wait))? && self.heard(&input::read()?, feed) {
                return Ok(Ended::Left);
            }
            if let Some(open) = open.filter(|_| std::mem::take(&mut self.suspend)) {
                self.sleep(open, feed, writer)?;
            }
            let now = feed.now();
            if now < self.next_frame {
                continue;
            }
            self.late.note(now.since(self.next_frame), now);
            self.next_frame = now.after(1_000 / u64::from(self.governor.fps(self.full_fps())));
            self.receive(feed, now);
            self.export(feed);
            let fresh = self.ui.advance(&self.snapshot, now);
            if self.rings_now(fresh, now) {
                self.rings = true;
                feed.ring();
            }
            if self.written(writer, now) {
                let frame = self.frame(now);
                self.governor.note(frame.len(), now);
                self.put_at = Some(now);
                writer.put(frame);
            } else {
                self.skipped += 1;
            }
        }
    }

    fn full_fps(&self) -> u32 {
        let moves = |state| !matches!(state, BedState::Stopped | BedState::LeadOff);
        let still = !self.snapshot.beds.iter().any(|b| moves(b.state));
        FPS[if still { 2 } else { usize::from(self.ui.shows_bed()) }]
    }

    /// Whether the last frame is out; notes how long that took.
    fn written(&mut self, writer: &Writer, now: MonoMs) -> bool {
        let idle = writer.idle();
        if let Some(at) = self.put_at.filter(|_| idle) {
            self.put_at = None;
            let took = now.since(at);
            if took >= SLOW_MS {
                self.slow = Some((took, now));
            }
        }
        idle
    }

    /// Ctrl-Z: the terminal goes back to the shell until somebody continues this process.
    fn sleep(&mut self, open: &Open, feed: &impl Feed, writer: &Writer) -> std::io::Result<()> {
        let until = feed.now().after(PATIENCE.as_millis() as u64);
        while !writer.idle() && feed.now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        open.suspend()?;
        self.size = terminal::size().unwrap_or(self.size);
        (self.shown, self.next_frame, self.put_at) = (None, feed.now(), None);
        Ok(())
    }

    fn receive(&mut self, feed: &mut impl Feed, now: MonoMs) {
        for (id, why) in feed.refused() {
            self.ui.asks.refused(id, &why);
        }
        if let Some(Action::Ask { id, bed, wish }) = self.ui.due() {
            feed.ask(id, &bed, wish);
        }
        let Some(latest) = feed.latest() else { return };
        if latest.beat != self.snapshot.beat || latest.now != self.snapshot.now {
            self.fresh_at = now;
        }
        if self.follow_zone && latest.node.timezone != self.snapshot.node.timezone {
            // An unknown name leaves the zone as it is.
            self.ui.zone = TimeZone::get(&latest.node.timezone).unwrap_or_else(|_| self.ui.zone.clone());
        }
        self.exporter.hear(&latest, now);
        self.snapshot = latest;
    }

    fn export(&mut self, feed: &mut impl Feed) {
        let Some(done) = self.exporter.take(&self.snapshot, &self.ui.zone, feed.now()) else { return };
        let told = match done.and_then(|export| feed.save(&export)) {
            Ok(place) => format!("strip written to {place}"),
            Err(why) => format!("STRIP NOT WRITTEN: {why}"),
        };
        self.ui.asks.notice(told);
    }

    /// Takes one input; `true` = leave. A key is answered at once, not with the next frame.
    fn heard(&mut self, heard: &Input, feed: &mut impl Feed) -> bool {
        match heard {
            Input::Key(key) if key.kind != KeyEventKind::Release => {
                self.next_frame = feed.now();
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                let code = match key.code {
                    KeyCode::Char('c') if control => return !self.ui.kiosk,
                    KeyCode::Char('z') if control => {
                        self.suspend = true;
                        return false;
                    }
                    KeyCode::Char('l') if control => KeyCode::F(5),
                    KeyCode::Char(_) if control => return false,
                    code => code,
                };
                self.ui.asks.tick(feed.now());
                match self.ui.press(code, &self.snapshot, self.size) {
                    Some(Action::Leave) => return true,
                    Some(Action::Ask { id, bed, wish }) => feed.ask(id, &bed, wish),
                    Some(Action::Export { bed }) => self.exporter.begin(bed, feed.now()),
                    None => {}
                }
                false
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
        if std::mem::take(&mut self.rings) {
            out.push(0x07);
        }
        self.ui.link = self.link(now);
        let next = view(&self.snapshot, &self.ui, now.since(self.fresh_at), self.size);
        let before = self.shown.take().unwrap_or_else(|| {
            out.extend_from_slice(b"\x1b[0m\x1b[2J");
            Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1))
        });
        encode::difference(&before, &next, &mut out);
        self.shown = Some(next);
        out.extend_from_slice(b"\x1b[?2026l");
        out
    }

    fn link(&self, now: MonoMs) -> Link {
        let slow = self.slow.filter(|(_, at)| now.since(*at) < SLOW_TOLD_MS);
        Link {
            fps: self.governor.fps(self.full_fps()),
            slowed: self.governor.slow(),
            economy: self.governor.economy(),
            bytes_per_s: self.governor.rate(),
            skipped: self.skipped,
            late_ms: self.late.most_ms(),
            slow_s: slow.map(|(took, _)| took.div_ceil(1_000)),
        }
    }

    /// One bell for a new ALERT, another each minute while one is unseen, never two within 10 s. A terminal that takes
    /// nothing holds up its own bell only.
    fn rings_now(&mut self, fresh: bool, now: MonoMs) -> bool {
        let quiet = self.rang.map_or(u64::MAX, |at| now.since(at));
        let due = (fresh && quiet >= BELL_MS[0]) || (self.ui.rings() && quiet >= BELL_MS[1]);
        let rings = due && self.ui.bell != Bell::Off;
        if rings {
            self.rang = Some(now);
        }
        rings
    }
}
