//! The terminal itself: taken once, given back on every way out, a panic and a suspension included.

use crossterm::terminal;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread::ThreadId;

/// Alternate screen, cleared, no cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[0m\x1b[2J\x1b[?25l";
/// The reverse, also after a frame cut in half.
const LEAVE: &[u8] = b"\x18\x1b[?2026l\x1b[0m\x1b[?25h\x1b[?1049l";

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
            let _ = writeln!(std::io::stderr(), "WARDBEAT SCREEN ENDED, not watching");
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
pub(super) struct Open;

impl Open {
    pub fn new() -> std::io::Result<Self> {
        install_hook();
        *OWNER.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current().id());
        let open = Self;
        enter()?;
        Ok(open)
    }

    /// Gives the terminal back, stops this process until somebody continues it, and takes the terminal again.
    #[allow(clippy::unused_self)] // Only who holds the open terminal may give it away.
    pub fn suspend(&self) -> std::io::Result<()> {
        restore();
        signal_hook::low_level::raise(signal_hook::consts::SIGTSTP)?;
        enter()
    }
}

fn enter() -> std::io::Result<()> {
    terminal::enable_raw_mode()?;
    ACTIVE.store(true, Ordering::SeqCst);
    let mut out = std::io::stdout();
    out.write_all(ENTER)?;
    out.flush()
}

impl Drop for Open {
    fn drop(&mut self) {
        restore();
    }
}
