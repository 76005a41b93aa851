//! The story of Wardbeat in one loop body: hear, take what is due, analyse, decide, put on disk, show.
//!
//! Each engine thread owns its beds; nothing is shared between them but counts. A panic here ends the process: the
//! journal is read again at the next start.

use super::DaemonError;
use super::clock::Clock;
use super::journal::{Journal, Order};
use super::publish::Murmur;
use super::recorder::Feed;
use super::source::{Shards, Word};
use super::tally::{Stage, Tally};
use crate::config::{Device, Settings};
use crate::model::{Bundle, Engine, open_engine};
use crate::pipeline::{Analyser, Now, Ward};
use crate::snapshot::{AlertView, BedView};
use contract::{Alert, AlertClass, BedId, Code, Finding, Heard, Phase};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The exit code after a panic in an engine thread.
const PANICKED: i32 = 101;
/// Words taken at a time.
const WORDS_MAX: usize = 256;
/// How long words gather for one turn: no person sees it, and the network runs over many beds at once.
const GATHER: Duration = Duration::from_millis(20);
/// Signal of one bed heard before it is analysed, in seconds: well inside the ring.
const HEARD_S_MAX: f64 = 5.0;
/// Baselines are saved this often.
const SAVE_MS: u64 = 60_000;
const SAVES_A_TURN: usize = 8;
/// Pictures are at least this far apart, and at least so far that they cost a twentieth of the time.
const PICTURE_MS: u64 = 100;
/// The longest sleep: pictures carry ages.
const SLEEP_MS: u64 = 200;

/// For each bed heard in this turn: when its first frame came in (microseconds) and how many seconds it brought.
type Arrivals = HashMap<BedId, (u64, f64)>;

/// One engine thread's part of the picture: replaced, never queued.
pub type Picture = Arc<(Vec<BedView>, Vec<AlertView>)>;

/// Where an engine thread leaves its newest picture.
#[derive(Default)]
pub struct Slot(Mutex<Picture>);

impl Slot {
    /// The newest picture.
    #[must_use]
    pub fn newest(&self) -> Picture {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, picture: Picture) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = picture;
    }
}

/// One engine a thread; a device that is not the CPU takes all beds in one batch. Where none answers, the CPU does, and
/// the log says so.
pub fn open(settings: &Settings, bundle: &Bundle) -> Result<Vec<Box<dyn Engine>>, DaemonError> {
    if settings.device != Device::Cpu {
        match open_engine(bundle, "cuda") {
            Ok(engine) => return Ok(vec![engine]),
            // A build without a GPU's code that nobody asked for one has nothing to explain.
            Err(_) if settings.device == Device::Auto && !cfg!(feature = "cuda") => {}
            Err(why) => tracing::warn!(%why, "the network runs on the CPU"),
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = if settings.threads == 0 { cores } else { settings.threads };
    (0..wanted).map(|_| Ok(open_engine(bundle, "cpu")?)).collect()
}

/// How one thread's engine fares.
#[derive(Debug, Default)]
pub struct EngineHealth {
    /// It gives no readings.
    pub fails: AtomicBool,
    /// Its device is lost; the family that computes in its place.
    pub instead: OnceLock<&'static str>,
}

/// Everything one engine thread owns.
pub struct EngineLoop {
    /// Its beds.
    pub ward: Ward,
    /// Its network.
    pub analyser: Analyser,
    /// All ears; its own is at `index`.
    pub shards: Shards,
    /// Which one it is.
    pub index: usize,
    /// Time.
    pub clock: Clock,
    /// The journal.
    pub journal: Journal,
    /// State and explanations.
    pub murmur: Murmur,
    /// What is counted.
    pub tally: Arc<Tally>,
    /// Its end of the recorder, where there is one.
    pub feed: Option<Feed>,
    /// Its picture.
    pub slot: Arc<Slot>,
    /// Alerts and baselines that the journal had no room for yet; never dropped.
    pub outbox: VecDeque<Order>,
    /// How its engine fares, for the node's watch.
    pub health: Arc<EngineHealth>,
    /// The model's and the config's id, for baselines.
    pub ids: [String; 2],
}

impl EngineLoop {
    /// As [`EngineLoop::run`]; a panic ends the process.
    pub fn run_or_exit(self) {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.run())).is_err() {
            tracing::error!("an engine thread panicked; the journal is read again at the next start");
            std::process::exit(PANICKED);
        }
    }

    /// Runs until its ear is closed and empty, then saves the baselines.
    pub fn run(mut self) {
        let (mut saved, mut shown) = (self.clock.mono(), self.clock.mono());
        let mut to_save: Vec<BedId> = Vec::new();
        let mut apart_ms = PICTURE_MS;
        while let Some(words) = self.shards.0[self.index].words.gather(WORDS_MAX, self.patience(), GATHER) {
            self.turn(words);
            let now = self.now();
            if now.mono.since(shown) >= apart_ms {
                let began = self.clock.micros();
                self.slot.show(Arc::new(self.ward.snapshot(now)));
                apart_ms = PICTURE_MS.max((self.clock.micros() - began) / 50);
                shown = now.mono;
            }
            // While the disk takes nothing, baselines would only pile up before the alerts that wait for it.
            if now.mono.since(saved) >= SAVE_MS && self.journal.committed.trouble().is_empty() {
                to_save = self.ward.beds().cloned().collect();
                saved = now.mono;
            }
            // A few at a time: a ward's baselines are long, and a turn is short.
            if self.outbox.is_empty() {
                to_save.drain(to_save.len().saturating_sub(SAVES_A_TURN)..).for_each(|bed| self.save(&bed));
            }
        }
        let beds: Vec<BedId> = self.ward.beds().cloned().collect();
        for bed in &beds {
            self.save(bed);
        }
        self.slot.show(Arc::new(self.ward.snapshot(self.now())));
        for order in std::mem::take(&mut self.outbox) {
            self.journal.put_waiting(order);
        }
    }

    fn now(&self) -> Now {
        Now { mono: self.clock.mono(), utc: self.clock.utc() }
    }

    /// Until the next deadline, but not so long that the picture grows old.
    fn patience(&self) -> Duration {
        let deadline = self.ward.next_deadline().map_or(u64::MAX, |d| d.since(self.clock.mono()));
        Duration::from_millis(deadline.clamp(1, SLEEP_MS))
    }

    fn turn(&mut self, words: Vec<Word>) {
        let now = self.now();
        for (bed, count) in self.shards.0[self.index].take_evicted() {
            self.ward.evicted(&bed, count, now);
        }
        let (mut arrivals, refused) = (Arrivals::new(), self.ward.counts().beds_refused);
        for word in words {
            match word {
                Word::Refused(bed, why) => self.ward.refuse(bed.as_ref(), &why, now),
                Word::Heard(heard, arrived_us) => {
                    let waited_us = self.clock.micros().saturating_sub(arrived_us);
                    self.tally.stage(Stage::Queue).record(waited_us);
                    self.make_room(&heard, arrived_us, &mut arrivals);
                    self.ward.hear(*heard, now);
                }
                Word::Asked(asked, told) => {
                    let (bed, command, by) = *asked;
                    // Nobody may wait any more; the effect stands, and the screen shows it.
                    let _ = told.try_send(self.ward.obey(&bed, &command, &by, now));
                }
            }
        }
        self.tally.beds_refused.fetch_add(self.ward.counts().beds_refused - refused, Ordering::Relaxed);
        self.analyse(&arrivals);
    }

    /// Hands over to the journal what there is room for.
    fn hand_over(&mut self) {
        while let Some(order) = self.outbox.pop_front() {
            if let Err(order) = self.journal.put(order) {
                self.outbox.push_front(*order);
                break;
            }
        }
    }

    /// Analyses first where one bed has already brought as much as its ring may hold.
    fn make_room(&mut self, heard: &Heard, arrived_us: u64, arrivals: &mut Arrivals) {
        let Heard::Frame(frame) = heard else { return };
        let signal_s = frame.length() as f64 / frame.parts().rate.as_f64();
        let heard_s = arrivals.get(frame.bed()).map_or(0.0, |(_, s)| *s);
        if heard_s > 0.0 && heard_s + signal_s > HEARD_S_MAX {
            self.analyse(arrivals);
            arrivals.clear();
        }
        arrivals.entry(frame.bed().clone()).or_insert((arrived_us, 0.0)).1 += signal_s;
    }

    /// Analyses every complete hop, then decides; decides also when nothing is due, since silence has deadlines too.
    fn analyse(&mut self, arrivals: &Arrivals) {
        loop {
            let due = self.ward.take_due(self.now());
            let last = due.is_empty();
            if let Some(feed) = &mut self.feed {
                feed.hops(&due, &mut self.ward, &self.analyser);
            }
            let began_us = self.clock.micros();
            let findings = if last { Vec::new() } else { self.analyser.analyse(&due) };
            let analysed_us = self.clock.micros();
            self.count(&findings, arrivals);
            self.watch_device();
            let now = self.now();
            let alerts = self.ward.conclude(&findings, now);
            if !last {
                self.tally.stage(Stage::Analyse).record(analysed_us - began_us);
                self.tally.stage(Stage::Decide).record(self.clock.micros() - analysed_us);
            }
            let evidence = self.ward.take_evidence();
            if let Some(feed) = &mut self.feed {
                feed.seen(&findings, evidence);
            }
            for alert in alerts {
                self.decided(alert, now);
            }
            let held = self.ward.take_held().into_iter();
            self.outbox.extend(held.map(|(alert, why)| Order::Held(Box::new(alert), why, now.utc)));
            // At once: the next batch of beds may take a while.
            self.hand_over();
            if last {
                return;
            }
        }
    }

    /// Says once that the device is lost; the findings go on without a gap.
    fn watch_device(&self) {
        let engine = self.analyser.engine();
        let Some(why) = engine.lost() else { return };
        if self.health.instead.set(engine.family()).is_ok() {
            tracing::error!(why, engine = engine.family(), "the GPU is lost; the CPU runs the network");
        }
    }

    fn decided(&mut self, alert: Alert, now: Now) {
        if alert.code == Code::Node {
            // One alert about the node at a time: `node.rs` words it.
            return self.health.fails.store(alert.phase != Phase::End, Ordering::Relaxed);
        }
        self.outbox.push_back(self.alert(alert, now));
    }

    fn count(&self, findings: &[Finding], arrivals: &Arrivals) {
        let done_us = self.clock.micros();
        for finding in findings {
            self.tally.windows.fetch_add(1, Ordering::Relaxed);
            let lag_us = arrivals.get(&finding.bed).map(|(arrived, _)| done_us.saturating_sub(*arrived));
            if let Some(lag_us) = lag_us {
                self.tally.latency.record(lag_us);
                self.tally.worst_us.fetch_max(lag_us, Ordering::Relaxed);
            }
            if finding.reading.is_ok() {
                self.tally.findings.fetch_add(1, Ordering::Relaxed);
            }
            self.murmur.hop(finding, lag_us.unwrap_or(0) / 1_000);
        }
    }

    fn alert(&self, alert: Alert, now: Now) -> Order {
        if alert.phase == Phase::Start {
            let count = match alert.class {
                AlertClass::Analysis => &self.tally.alerts,
                AlertClass::Technical => &self.tally.technical,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        tracing::info!(bed = alert.bed, code = %alert.code, phase = ?alert.phase, id = %alert.id, text = alert.text, "alert");
        Order::Alert(Box::new(alert), now.utc)
    }

    /// Hands what a bed has learnt, and the minutes of its trend that closed, to the journal.
    fn save(&mut self, bed: &BedId) {
        let [model, config] = self.ids.clone();
        for point in self.ward.take_minutes(bed) {
            self.outbox.push_back(Order::Minute { bed: bed.as_str().into(), model: model.clone(), point });
        }
        let Some(saved) = self.ward.baseline(bed) else { return };
        match serde_json::to_string(&saved) {
            Ok(body) => self.outbox.push_back(Order::Baseline {
                bed: bed.as_str().into(),
                model,
                config,
                at: self.clock.utc(),
                body,
            }),
            Err(e) => tracing::error!(%bed, fault = %e, "baseline not saved"),
        }
    }
}
