//! A running daemon, as its caller sees it, and its orderly end.

use super::Counters;
use super::clock::Clock;
use super::command::Commands;
use super::engine::Slot;
use super::http::Address;
use super::journal::Journal;
use super::node::NodeSlot;
use super::outlet::Outlet;
use super::publish;
use super::recorder::Recorder;
use super::remote::TellerThread;
use super::sink::SinkHealth;
use super::source::Shards;
use super::tally::Tally;
use super::wire::{LinkHealth, Payloads};
use crate::config::Settings;
use crate::snapshot::{ClusterName, Snapshot};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// The last chance of the destinations and of the journal when the daemon ends.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// Everything that must end, in the order in which it does.
pub(super) struct Threads {
    pub hear_until: watch::Sender<bool>,
    pub commands: Commands,
    pub desk: JoinHandle<()>,
    pub queues: Vec<Arc<Payloads>>,
    pub sources: Vec<JoinHandle<()>>,
    pub shards: Shards,
    pub engines: Vec<JoinHandle<()>>,
    pub telling: TellerThread,
    pub watching: Arc<AtomicBool>,
    pub node: JoinHandle<()>,
    pub journal: Journal,
    pub recorder: Option<Recorder>,
    pub undelivering: Arc<AtomicBool>,
    pub sinks: Vec<JoinHandle<()>>,
    pub speak_until: watch::Sender<bool>,
    pub speaking: tokio::task::JoinHandle<()>,
    pub disks: Vec<JoinHandle<()>>,
    pub runtime: tokio::runtime::Runtime,
}

/// What of a daemon may be read while it runs; shared with the HTTP door.
pub(super) struct Shared {
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub tally: Arc<Tally>,
    pub slots: Vec<Arc<Slot>>,
    pub node: Arc<NodeSlot>,
    pub clusters: Vec<ClusterName>,
    pub links: [Arc<LinkHealth>; 2],
    pub outlet: Outlet,
    pub asked: Arc<AtomicBool>,
    pub commands: Commands,
    pub sinks: Vec<(String, Arc<SinkHealth>)>,
    pub sources: Vec<Arc<Payloads>>,
    pub shards: Shards,
    pub beat: AtomicU64,
}

impl Shared {
    /// See [`Running::snapshot`].
    pub fn snapshot(&self) -> Snapshot {
        let (mut beds, mut alerts) = (Vec::new(), Vec::new());
        for slot in &self.slots {
            let picture = slot.newest();
            beds.extend_from_slice(&picture.0);
            alerts.extend_from_slice(&picture.1);
        }
        let (node, open) = self.node.newest();
        alerts.extend(open);
        beds.sort_by(|a, b| (a.bed.unit(), &a.label, &a.bed).cmp(&(b.bed.unit(), &b.label, &b.bed)));
        alerts.sort_by(|a, b| (a.onset, &a.id).cmp(&(b.onset, &b.id)));
        Snapshot {
            beat: self.beat.fetch_add(1, Ordering::Relaxed),
            now: Some(self.clock.utc()),
            beds,
            alerts,
            clusters: self.clusters.clone(),
            node,
        }
    }

    /// See [`Running::counters`].
    pub fn counters(&self) -> Counters {
        let (mut beds, mut late) = (0, 0);
        for slot in &self.slots {
            let picture = slot.newest();
            beds += picture.0.len() as u64;
            late += picture.0.iter().map(|bed| bed.health.late).sum::<u64>();
        }
        self.tally.counters(beds, late)
    }
}

/// A running daemon. Dropping it stops it in order, as [`Running::stop`] does.
pub struct Running {
    shared: Arc<Shared>,
    threads: Option<Threads>,
    http: Address,
}

impl Running {
    pub(super) fn new(shared: Arc<Shared>, threads: Threads, http: Address) -> Self {
        Self { shared, threads: Some(threads), http }
    }

    /// Where the HTTP door is open; `None` while it is not.
    #[must_use]
    pub fn http(&self) -> Option<SocketAddr> {
        self.http.get()
    }

    /// The newest picture of the ward; never waits for an engine.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// Waits until the broker confirmed the subscriptions and took the node's status, at most `patience`; whether it
    /// did.
    #[must_use]
    pub fn joined(&self, patience: Duration) -> bool {
        self.shared.clock.wait(patience, || self.shared.links.iter().all(|link| link.since().is_some()))
    }

    /// The door for what a person at this node asks of a bed; see [`Commands::act`].
    #[must_use]
    pub fn commands(&self) -> Commands {
        self.shared.commands.clone()
    }

    /// Whether SIGINT or SIGTERM asked the daemon to stop.
    #[must_use]
    pub fn asked_to_stop(&self) -> bool {
        self.shared.asked.load(Ordering::Acquire)
    }

    /// Drains: hears no more, analyses what is queued, writes the journal, gives the destinations a last chance.
    #[must_use]
    pub fn stop(mut self) -> Counters {
        self.end();
        self.counters()
    }

    fn end(&mut self) {
        let Some(threads) = self.threads.take() else { return };
        // Nobody listens to these channels any more only if their task already ended.
        let _ = threads.hear_until.send(true);
        threads.commands.close();
        join(vec![threads.desk]);
        threads.queues.iter().for_each(|queue| queue.close());
        join(threads.sources);
        threads.shards.0.iter().for_each(|shard| shard.words.close());
        threads.telling.end();
        join(threads.engines);
        threads.watching.store(true, Ordering::Release);
        threads.node.thread().unpark();
        join(vec![threads.node]);
        if !threads.journal.flush(LAST_CHANCE) {
            tracing::error!("the journal is not written to its end");
        }
        threads.undelivering.store(true, Ordering::Release);
        threads.journal.committed.wake();
        self.wait_for_sinks(threads.sinks);
        self.leave(&threads.runtime, threads.speaking);
        let _ = threads.speak_until.send(true);
        threads.runtime.shutdown_timeout(Duration::from_secs(1));
        drop((threads.journal, threads.recorder));
        self.shared.clock.wait(LAST_CHANCE, || threads.disks.iter().all(JoinHandle::is_finished));
        tracing::info!("stopped");
    }

    /// A stuck destination does not hold up the end: its alerts wait in the journal.
    fn wait_for_sinks(&self, sinks: Vec<JoinHandle<()>>) {
        self.shared.clock.wait(LAST_CHANCE, || sinks.iter().all(JoinHandle::is_finished));
        let (ended, stuck): (Vec<_>, Vec<_>) = sinks.into_iter().partition(JoinHandle::is_finished);
        join(ended);
        for thread in stuck {
            tracing::warn!(thread = thread.thread().name(), "left behind; its alerts wait in the journal");
        }
    }

    /// Tells the broker that this end is meant, so that the last will is not needed.
    fn leave(&self, runtime: &tokio::runtime::Runtime, speaking: tokio::task::JoinHandle<()>) {
        let shared = &self.shared;
        let message =
            publish::status(&shared.settings, "stopped", &shared.node.newest().0, shared.clock.utc());
        let said = shared.outlet.send(message).and_then(|told| told.wait(Duration::from_secs(1)));
        if said.is_err() {
            return;
        }
        shared.outlet.leave();
        let ended = async { tokio::time::timeout(Duration::from_secs(1), speaking).await };
        if runtime.block_on(ended).is_err() {
            tracing::warn!("the broker did not see us off");
        }
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        let name = thread.thread().name().unwrap_or_default().to_owned();
        if thread.join().is_err() {
            tracing::error!(thread = name, "ended by a panic");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
