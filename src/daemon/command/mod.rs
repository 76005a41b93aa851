//! Commands: the one way by which a person changes anything (`docs/wire.md`, Commands).
//!
//! ```text
//!  MQTT cmd/VERB, HTTP ── signed ──┐
//!  terminal of this node ── act ───┼─▶ Desk ─ key, signature, age, counter ─▶ on disk ─▶ bed or node ─▶ answer
//!  nurse call (PCD-05, exec) back ─┘      └────────────── every one, refused ones too ─▶ audit log
//! ```
//!
//! What it does: reads and verifies commands, refuses repeats by a mark that is on disk before anything happens, hands
//! them to the bed's engine thread (or to the node), answers, and writes every one to the audit log.
//! What it never does: switch anything off for good, change a limit, delete, act twice on one id.
//! Door: [`Commands`], to be had from [`Running::commands`](super::Running::commands). A screen of this node calls
//! `commands.act("RN", &bed, Command::Pause { … })` and looks at [`Pending::answer`] until there is one; for the node
//! itself the bed is [`Commands::node`]. Nothing waits. A command of somebody else comes signed, by [`Commands::signed`].
//! Who calls it: `wire` (MQTT), destinations, `cli`; `keys` and [`send()`] serve the command line.

mod desk;
mod effects;
mod inbox;
mod keys;
mod send;
mod signed;

pub use desk::Acknowledged;
pub use effects::Reach;
pub use inbox::Inbox;
pub use keys::{Key, KeyFault, Keys, Secret, read_own};
pub use send::send;

use contract::{AlertId, Answer, BedId, Command, Verb};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Commands that may wait for the desk.
const ASKS_MAX: usize = 256;

/// What to do with an answer.
pub type Reply = Box<dyn FnOnce(&Answer) + Send>;

/// Who asks, and how it came.
pub enum From {
    /// Signed bytes; the bed and verb of the topic where there was one.
    Signed {
        /// What the topic says.
        topic: Option<(BedId, Verb)>,
        /// The object of `docs/wire.md`.
        bytes: Vec<u8>,
        /// The broker kept it, or was asked to.
        retained: bool,
    },
    /// A person at a terminal of this node.
    Person {
        /// Who.
        by: String,
        /// The bed, or the node.
        bed: BedId,
        /// What.
        command: Command,
    },
    /// A destination that reports that somebody has seen an alert.
    Sink {
        /// The destination's name.
        name: String,
        /// The alert.
        alert: AlertId,
        /// Who, as the destination says.
        by: String,
    },
}

/// One thing asked.
pub struct Ask {
    /// By whom.
    pub from: From,
    /// What to do with the answer.
    pub reply: Reply,
}

/// What waits for the desk; `None` closes it.
pub type Asks = Receiver<Option<Ask>>;

/// The door; cheap to clone.
#[derive(Clone)]
pub struct Commands {
    asks: SyncSender<Option<Ask>>,
    node: BedId,
}

/// The answer that is on its way.
pub struct Pending(Receiver<Answer>);

impl Pending {
    /// The answer, once it is there. Never waits; give up after 3 s and say that it is not confirmed.
    #[must_use]
    pub fn answer(&self) -> Option<Answer> {
        self.0.try_recv().ok()
    }

    /// Waits for the answer, at most `patience`.
    #[must_use]
    pub fn wait(&self, patience: std::time::Duration) -> Option<Answer> {
        self.0.recv_timeout(patience).ok()
    }
}

/// The door and what the desk takes from it. `node` stands for the node itself.
#[must_use]
pub fn door(node: BedId) -> (Commands, Asks) {
    let (asks, taken) = sync_channel(ASKS_MAX);
    (Commands { asks, node }, taken)
}

impl Commands {
    /// What stands for the node in place of a bed: `site/_node/NAME`.
    #[must_use]
    pub fn node(&self) -> &BedId {
        &self.node
    }

    /// A person at this node asks. The caller vouches for who it is.
    #[must_use]
    pub fn act(&self, by: &str, bed: &BedId, command: Command) -> Pending {
        let (told, pending) = sync_channel(1);
        let from = From::Person { by: by.into(), bed: bed.clone(), command };
        // A refused ask drops its reply, and with it the sender: there will be no answer.
        let _ = self.ask(Ask { from, reply: Box::new(move |answer| drop(told.try_send(answer.clone()))) });
        Pending(pending)
    }

    /// A signed command has come; `topic` where it came by one.
    ///
    /// # Errors
    /// There is no room; nothing happens and `reply` is not called.
    pub fn signed(
        &self,
        topic: Option<(BedId, Verb)>,
        bytes: Vec<u8>,
        retained: bool,
        reply: Reply,
    ) -> Result<(), &'static str> {
        self.ask(Ask { from: From::Signed { topic, bytes, retained }, reply })
    }

    /// A destination reports that somebody has seen an alert.
    ///
    /// # Errors
    /// There is no room.
    pub fn back(&self, name: &str, alert: AlertId, by: &str) -> Result<(), &'static str> {
        let from = From::Sink { name: name.into(), alert, by: by.into() };
        self.ask(Ask { from, reply: Box::new(|_| {}) })
    }

    fn ask(&self, ask: Ask) -> Result<(), &'static str> {
        self.asks.try_send(Some(ask)).map_err(|e| match e {
            TrySendError::Full(_) => "too many commands wait",
            TrySendError::Disconnected(_) => "the daemon stops",
        })
    }

    /// Lets the desk end once it has answered what came before.
    pub(super) fn close(&self) {
        // Where the desk is gone already there is nothing to end.
        let _ = self.asks.send(None);
    }
}
