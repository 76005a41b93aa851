//! The terminal of `run`, `demo` and `watch`: joins a ward, from this process or from a broker, with the display.

use super::Failure;
use super::dress::Dress;
use crate::config::Settings;
use crate::daemon::{Bell, Clock, Running, Secret, Watching, read_own};
use crate::display::{self, Depth, Export, Wish};
use crate::snapshot::Snapshot;
use contract::{Answer, BedId, Command, MarkAt, MonoMs};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

/// A picture is asked for at most this often.
const PICTURE_MS: u64 = 100;
/// A line of JSON comes this often.
const LINE: Duration = Duration::from_secs(1);

/// Who may act on a screen.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Person {
    /// Who stands here: binds the keys that acknowledge, pause, mark and relearn. Without it nobody can change anything.
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// Where exported strips go.
    #[arg(long, value_name = "DIR", default_value = ".")]
    strips: PathBuf,
    /// Runs a command of the shell each time the bell rings, such as a sound on this machine.
    #[arg(long, value_name = "COMMAND")]
    bell_cmd: Option<String>,
    /// No key ends or suspends the screen: for a corridor.
    #[arg(long)]
    kiosk: bool,
}

/// The answer that is on its way, to be looked at again and again.
type Pending = Box<dyn Fn() -> Option<Result<Answer, String>>>;

/// Where a screen gets its ward from.
pub(super) trait Ward {
    /// The newest picture.
    fn snapshot(&self) -> Snapshot;
    /// Whether a signal asks to stop.
    fn asked_to_stop(&self) -> bool;
    /// The operator asks something of a bed. Never waits.
    fn ask(&self, by: &str, bed: &BedId, command: Command) -> Pending;
    /// Whether Ctrl-Z may stop the process.
    fn may_sleep(&self) -> bool;
}

impl Ward for Running {
    fn snapshot(&self) -> Snapshot {
        Running::snapshot(self)
    }

    fn asked_to_stop(&self) -> bool {
        Running::asked_to_stop(self)
    }

    fn ask(&self, by: &str, bed: &BedId, command: Command) -> Pending {
        let pending = self.commands().act(by, bed, command);
        Box::new(move || pending.answer().map(Ok))
    }

    fn may_sleep(&self) -> bool {
        false
    }
}

/// A screen's ear and the key with which it may ask.
pub(super) struct Elsewhere {
    watching: Watching,
    key: Option<(String, Secret)>,
}

impl Elsewhere {
    /// A screen without (`None`) or with a key of its own.
    pub(super) fn new(watching: Watching, key: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self { watching, key: key.map(read_own).transpose()? })
    }
}

impl Ward for Elsewhere {
    fn snapshot(&self) -> Snapshot {
        self.watching.snapshot()
    }

    fn asked_to_stop(&self) -> bool {
        self.watching.asked_to_stop()
    }

    fn ask(&self, by: &str, bed: &BedId, command: Command) -> Pending {
        match &self.key {
            Some((name, secret)) => {
                let asked = self.watching.ask((name, secret), by, bed, command);
                Box::new(move || asked.answer())
            }
            None => Box::new(|| Some(Err("this screen holds no key (--key)".into()))),
        }
    }

    fn may_sleep(&self) -> bool {
        true
    }
}

/// Opens the terminal until somebody leaves it, a signal asks to stop or `over` says so.
pub(super) fn open(
    ward: &impl Ward,
    settings: &Settings,
    (dress, person): (&Dress, &Person),
    over: impl FnMut() -> bool,
) -> Result<(), display::ScreenError> {
    let mut feed = Window {
        ward,
        clock: Clock::start(),
        newest: None,
        by: person.operator.clone().unwrap_or_default(),
        strips: person.strips.clone(),
        bell: person.bell_cmd.as_deref().map(Bell::new),
        pending: Vec::new(),
        over,
    };
    let options = display::Options {
        operator: person.operator.clone(),
        suspend: ward.may_sleep(),
        kiosk: person.kiosk,
        ..options(settings, dress)
    };
    display::run(&options, &mut feed).map(drop)
}

/// The ward as JSON, a line a second, until a signal asks to stop or nobody reads any more.
pub(super) fn lines(ward: &impl Ward) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    while !ward.asked_to_stop() {
        thread::sleep(LINE);
        match writeln!(out, "{}", serde_json::to_string(&ward.snapshot())?).and_then(|()| out.flush()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
}

/// The ward as the terminal shows it, as SVG.
pub(super) fn picture(
    snapshot: &Snapshot,
    settings: &Settings,
    dress: &Dress,
) -> Result<String, display::ScreenError> {
    let mut options = options(settings, dress);
    options.look.depth = Depth::True;
    display::picture(snapshot, &options, (120, 40), "")
}

pub(super) fn options(settings: &Settings, dress: &Dress) -> display::Options {
    let zone = Some(settings.timezone.clone()).filter(|zone| !zone.is_empty());
    display::Options { look: dress.look(settings), zone, ..display::Options::default() }
}

/// What the screen gets.
struct Window<'a, W, F> {
    ward: &'a W,
    clock: Clock,
    newest: Option<(Arc<Snapshot>, MonoMs)>,
    by: String,
    strips: PathBuf,
    bell: Option<Bell>,
    pending: Vec<(u64, Pending)>,
    over: F,
}

impl<W: Ward, F: FnMut() -> bool> display::Feed for Window<'_, W, F> {
    fn latest(&mut self) -> Option<Arc<Snapshot>> {
        let now = self.clock.mono();
        let stale = self.newest.as_ref().is_none_or(|(_, at)| now.since(*at) >= PICTURE_MS);
        if stale {
            let mut snapshot = self.ward.snapshot();
            if let Some(why) = self.bell.as_mut().and_then(Bell::trouble) {
                snapshot.node.troubles.push(format!("the bell command of this screen did not ring: {why}"));
            }
            self.newest = Some((Arc::new(snapshot), now));
        }
        self.newest.as_ref().map(|(snapshot, _)| snapshot.clone())
    }

    fn now(&self) -> MonoMs {
        self.clock.mono()
    }

    fn closing(&mut self) -> bool {
        self.ward.asked_to_stop() || (self.over)()
    }

    fn ask(&mut self, id: u64, bed: &BedId, wish: Wish) {
        self.pending.push((id, self.ward.ask(&self.by, bed, command(wish))));
    }

    fn ring(&mut self) {
        if let Some(bell) = &mut self.bell {
            bell.ring();
        }
    }

    fn refused(&mut self) -> Vec<(u64, String)> {
        let mut refused = Vec::new();
        self.pending.retain(|(id, pending)| match pending() {
            None => true,
            // What is done shows in the ward's own state.
            Some(Ok(answer)) if answer.ok => false,
            Some(Ok(answer)) => {
                refused.push((*id, answer.why));
                false
            }
            Some(Err(why)) => {
                refused.push((*id, why));
                false
            }
        });
        refused
    }

    fn save(&mut self, export: &Export) -> Result<String, String> {
        let path = self.strips.join(&export.name);
        for (extension, bytes) in &export.files {
            let file = path.with_extension(extension);
            fs::write(&file, bytes).map_err(|e| format!("{}: {e}", file.display()))?;
        }
        let kinds: Vec<&str> = export.files.iter().map(|f| f.0).collect();
        Ok(format!("{}.{{{}}}", path.display(), kinds.join(",")))
    }
}

fn command(wish: Wish) -> Command {
    match wish {
        Wish::Acknowledge(alert, rev) => Command::Acknowledge { alert, rev: Some(rev) },
        Wish::Pause { minutes, reason } => Command::Pause { minutes, reason },
        Wish::Resume => Command::Resume,
        Wish::Mark { at, letter, note } => Command::Mark { at: MarkAt::Time(at), letter, note },
        Wish::Relearn => Command::Relearn { reason: "asked at the screen".into(), undo: false },
    }
}
