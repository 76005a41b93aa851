//! One thread a source: payloads of one dialect become frames, and each goes to the engine thread that owns its bed.

use super::clock::Clock;
use super::queue::Queues;
use super::tally::{Stage, Tally};
use super::wire::{Payload, Payloads};
use contract::{BedId, Command, DecodeError, Decoder, Entry, Heard, Options, Ruling, Status, topic};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Payloads taken at a time.
const BATCH_MAX: usize = 256;
/// How long payloads gather for one turn.
const GATHER: Duration = Duration::from_millis(5);
/// An engine thread must say within this what became of a command.
const RULING: Duration = Duration::from_secs(5);
/// Topics whose faults are told apart in the log.
const FAULTY_TOPICS_MAX: usize = 1_024;

/// What a source tells an engine thread.
#[derive(Debug)]
pub enum Word {
    /// Something a monitor or gateway said, and when it came in (monotonic microseconds).
    Heard(Box<Heard>, u64),
    /// A payload that was refused.
    Refused(Option<BedId>, DecodeError),
    /// What a person asks of a bed, by whom, and where the ruling goes.
    Asked(Box<(BedId, Command, String)>, SyncSender<Ruling>),
}

/// One engine thread's ear.
pub struct Shard {
    /// Words by bed.
    pub words: Queues<Option<BedId>, Word>,
    evicted: Mutex<BTreeMap<BedId, u64>>,
}

impl Shard {
    /// An ear with these bounds.
    #[must_use]
    pub fn new(bounds: super::queue::Bounds) -> Self {
        Self { words: Queues::new(bounds), evicted: Mutex::default() }
    }

    /// Words evicted since the last call, by bed.
    pub fn take_evicted(&self) -> BTreeMap<BedId, u64> {
        std::mem::take(&mut self.evicted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The engine threads' ears; each bed belongs to one of them for good.
#[derive(Clone)]
pub struct Shards(pub Arc<[Shard]>);

impl Shards {
    /// The ear of a bed, by a hash that no restart changes.
    #[must_use]
    pub fn of(&self, bed: Option<&BedId>) -> &Shard {
        // FNV-1a, then MurmurHash3's last mixing: the names of a ward's beds differ in one character only.
        let mut hash = bed
            .map_or("", BedId::as_str)
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
            hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
        }
        &self.0[(hash >> 32) as usize % self.0.len()]
    }

    /// Asks the engine thread that owns the bed, and waits for its ruling.
    pub fn ask(&self, bed: &BedId, command: &Command, by: &str) -> Ruling {
        let (told, ruling) = sync_channel(1);
        let word = Word::Asked(Box::new((bed.clone(), command.clone(), by.into())), told);
        let late =
            |_| Ruling::refused(Status::Unconfirmed, "the engine has not said in time what became of it");
        if self.of(Some(bed)).words.push(Some(bed.clone()), word, 1_024, false) > 0 {
            return Ruling::refused(Status::Denied, "the bed's queue is full");
        }
        ruling.recv_timeout(RULING).unwrap_or_else(late)
    }

    fn tell(&self, bed: Option<BedId>, word: Word, bytes: usize, tally: &Tally) {
        let shard = self.of(bed.as_ref());
        let may_go = matches!(&word, Word::Refused(..))
            || matches!(&word, Word::Heard(heard, _) if matches!(**heard, Heard::Frame(_)));
        let lost = shard.words.push(bed.clone(), word, bytes, may_go) as u64;
        if lost > 0 {
            tally.evicted.fetch_add(lost, Ordering::Relaxed);
            if let Some(bed) = bed {
                let mut evicted = shard.evicted.lock().unwrap_or_else(PoisonError::into_inner);
                *evicted.entry(bed).or_default() += lost;
            }
        }
    }
}

/// Everything one source needs.
pub struct Source {
    /// The decoder's kind and constructor.
    pub entry: &'static Entry<dyn Decoder>,
    /// The decoder's options.
    pub options: Options,
    /// Its payloads.
    pub payloads: Arc<Payloads>,
    /// Where frames go.
    pub shards: Shards,
    /// What is counted.
    pub tally: Arc<Tally>,
    /// For latencies.
    pub clock: Clock,
}

/// What Wardbeat itself publishes below a bed, and what it answers commands with; a wide subscription hears it back.
#[must_use]
pub fn our_own(topic: &str) -> bool {
    let below = topic.strip_prefix(topic::ROOT).and_then(|t| t.strip_prefix('/'));
    if below.and_then(|t| t.split('/').nth(1)) == Some("_reply") {
        return true;
    }
    topic::split_any(topic).is_ok_and(|(place, leaf)| {
        place.unit() == "_node"
            || matches!(leaf, "state" | "view" | "explain" | "event" | "trend" | "recent")
            || leaf.starts_with("alert/")
            || leaf.starts_with("cmd/")
    })
}

fn bed_of(heard: &Heard) -> BedId {
    match heard {
        Heard::Frame(frame) => frame.bed(),
        Heard::Birth(birth) => &birth.bed,
        Heard::Link(link) => &link.bed,
        Heard::Numeric(numeric) => &numeric.bed,
    }
    .clone()
}

impl Source {
    /// Decodes until the queue is closed and empty.
    pub fn run(self, mut decoder: Box<dyn Decoder>) {
        let mut faults = HashMap::new();
        while let Some(payloads) = self.payloads.gather(BATCH_MAX, Duration::from_secs(1), GATHER) {
            for payload in payloads {
                match self.decode(&mut decoder, &payload) {
                    Ok(heard) => {
                        let took_us = self.clock.micros().saturating_sub(payload.arrived_us);
                        self.tally.stage(Stage::Decode).record(took_us);
                        self.heard(heard, &payload, &mut faults);
                    }
                    Err(why) => self.refused(&payload, why, &mut faults),
                }
            }
        }
    }

    /// One payload. A decoder that panics is built anew, and its payload refused.
    fn decode(&self, decoder: &mut Box<dyn Decoder>, payload: &Payload) -> Result<Vec<Heard>, DecodeError> {
        let call = || decoder.decode(&payload.topic, &payload.bytes, payload.arrived);
        if let Ok(decoded) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)) {
            return decoded;
        }
        tracing::error!(decoder = self.entry.kind, topic = &*payload.topic, "decoder panicked");
        match (self.entry.build)(&self.options) {
            Ok(anew) => *decoder = anew,
            Err(e) => tracing::error!(fault = %e, "decoder cannot be built anew"),
        }
        Err(DecodeError::Form("the decoder failed on this payload".into()))
    }

    fn heard(&self, heard: Vec<Heard>, payload: &Payload, faults: &mut HashMap<Arc<str>, u64>) {
        for one in heard {
            if payload.retained && !matches!(one, Heard::Birth(_) | Heard::Link(_)) {
                // A kept frame is of unknown age: it must never look live.
                let why =
                    DecodeError::Form("a retained frame or number is refused; publish without retain".into());
                self.refused(payload, why, faults);
                continue;
            }
            if matches!(one, Heard::Frame(_)) {
                self.tally.frames_in.fetch_add(1, Ordering::Relaxed);
            }
            let bed = bed_of(&one);
            let word = Word::Heard(Box::new(one), payload.arrived_us);
            self.shards.tell(Some(bed), word, payload.bytes.len() + 512, &self.tally);
        }
    }

    fn refused(&self, payload: &Payload, why: DecodeError, faults: &mut HashMap<Arc<str>, u64>) {
        if our_own(&payload.topic) {
            return;
        }
        self.tally.refused.fetch_add(1, Ordering::Relaxed);
        let known = faults.len() < FAULTY_TOPICS_MAX || faults.contains_key(&payload.topic);
        let count = faults.entry(if known { payload.topic.clone() } else { "".into() }).or_default();
        *count += 1;
        if count.is_power_of_two() {
            let (topic, count) = (&*payload.topic, *count);
            tracing::warn!(topic, count, fault = %why, "payload refused");
        }
        let bed = topic::split(&payload.topic).ok().map(|(bed, _)| bed);
        self.shards.tell(bed.clone(), Word::Refused(bed, why), 256, &self.tally);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_messages_are_not_faults_of_a_monitor() {
        for (topic, ours) in [
            ("wardbeat/v1/s/u/b/state", true),
            ("wardbeat/v1/s/u/b/alert/WB-UNC", true),
            ("wardbeat/v1/s/_node/n/status", true),
            ("wardbeat/v1/s/_reply/console-1", true),
            ("wardbeat/v1/s/_reply", true),
            ("wardbeat/v1/s/u/b/wave/json", false),
            ("other/thing", false),
        ] {
            assert_eq!(our_own(topic), ours, "{topic}");
        }
    }

    #[test]
    fn a_bed_keeps_its_engine_thread_and_beds_spread() {
        let bounds = crate::daemon::queue::Bounds { per_key: 1, bytes: 1 };
        let shards = Shards((0..4).map(|_| Shard::new(bounds)).collect());
        let place = |i: u32| {
            let bed = BedId::new(&format!("site1/icu/b{i:02}")).expect("valid");
            let found: *const Shard = shards.of(Some(&bed));
            assert!(std::ptr::eq(found, shards.of(Some(&bed))));
            shards.0.iter().position(|s| std::ptr::eq(s, found)).expect("one of them")
        };
        let mut count = [0; 4];
        (0..200).for_each(|i| count[place(i)] += 1);
        assert!(count.iter().all(|c| *c > 20), "{count:?}");
    }
}
