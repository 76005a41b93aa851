//! What the desk does to the world: beds through their engine threads, the node through its slot.

use super::desk::{Acknowledged, Desk, Effects};
use crate::daemon::DaemonError;
use crate::daemon::audit::Audit;
use crate::daemon::clock::Clock;
use crate::daemon::journal::{Journal, Order};
use crate::daemon::node::NodeSlot;
use crate::daemon::outlet::Outlet;
use crate::daemon::publish;
use crate::daemon::source::Shards;
use crate::pipeline::{Setup, test_alerts};
use contract::{BedId, Command, Ruling, Status};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// The parts of the daemon that commands reach.
pub struct Reach {
    /// The beds' engine threads.
    pub shards: Shards,
    /// The node's view and its open alert.
    pub slot: Arc<NodeSlot>,
    /// The journal, for test alerts.
    pub journal: Journal,
    /// Time.
    pub clock: Clock,
    /// For test alerts.
    pub setup: Setup,
    /// The model's id.
    pub model: String,
    /// Where acknowledgements are told.
    pub outlet: Outlet,
    /// What stands for the node in place of a bed.
    pub node: BedId,
}

impl Reach {
    /// The desk that reaches them.
    ///
    /// # Errors
    /// [`DaemonError::Journal`] where the marks of earlier commands cannot be read.
    pub fn desk(self, keys_file: Option<PathBuf>, audit: Audit) -> Result<Desk, DaemonError> {
        let (journal, clock) = (self.journal.clone(), self.clock);
        let reader = journal.reader()?;
        let marks = reader.marks().map_err(|e| journal.fault(&e))?;
        let (effects, unsaid, refused) = (self.effects(), VecDeque::new(), (clock.mono(), 0));
        Ok(Desk { keys_file, journal, reader, audit, clock, effects, marks, unsaid, refused })
    }

    fn effects(self) -> Effects {
        let (outlet, name) = (self.outlet.clone(), self.setup.node.clone());
        Effects {
            obey: Box::new(move |bed, command, by| self.obey(bed, command, by)),
            tell: Box::new(move |ack: &Acknowledged| outlet.send(publish::seen(ack, &name)).is_ok()),
        }
    }

    fn obey(&self, bed: &BedId, command: &Command, by: &str) -> Ruling {
        if bed.site() != self.node.site() {
            return Ruling::refused(Status::Unknown, "another site's bed");
        }
        match command {
            _ if *bed != self.node => self.shards.ask(bed, command, by),
            Command::Acknowledge { alert, rev } => self.slot.acknowledge(alert, *rev, by, self.clock.utc()),
            Command::Test => self.test(by),
            _ => Ruling::refused(Status::Invalid, "a node can be asked to acknowledge and to test only"),
        }
    }

    /// Start and end of a test alert, through the journal to every destination.
    fn test(&self, by: &str) -> Ruling {
        let now = self.clock.utc();
        for alert in test_alerts(&self.setup, &self.model, by, now) {
            if self.journal.put(Order::Alert(Box::new(alert), now)).is_err() {
                return Ruling::refused(Status::Denied, "the journal has no room");
            }
        }
        Ruling::applied(None)
    }
}
