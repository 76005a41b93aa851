//! The telling end: one thread that looks at the engines' newest pictures and publishes what is new in them.

use super::pack::{Columns, Painted, Points, pack_seconds};
use super::{NodeMessage, RECENT, RecentMessage, TREND, TrendMessage, VIEW, ViewMessage};
use crate::config::Settings;
use crate::daemon::clock::Clock;
use crate::daemon::engine::{Picture, Slot};
use crate::daemon::node::NodeSlot;
use crate::daemon::publish::properties;
use crate::daemon::wire::LinkHealth;
use crate::snapshot::{AlertView, BedView, ClusterName};
use contract::{BedId, UtcMs, topic};
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(250);
/// Each bed, and the node, is told in full every so many ticks.
const FULL_TICKS: u64 = 4;
/// Seconds that a view is worth having.
const VIEW_EXPIRY_S: u32 = 5;
/// Beds that are told of at every tick; of twice as many each second time, of more once a second.
const BEDS_OFTEN: usize = 128;
/// Trends told in one tick, so that a large ward does not fill the link at the turn of a minute.
const TRENDS_A_TICK: usize = 16;
/// What is retained is told again after so many ticks, lost or not.
const AGAIN_TICKS: u64 = 4 * 600;

/// What a bed was told last.
#[derive(Default)]
struct Told {
    /// Index after the newest column told.
    column: u64,
    /// Index after the newest column told with its cluster.
    painted: u64,
    trend: Option<UtcMs>,
    marks: usize,
    /// What made up its alerts.
    recent: String,
    again: u64,
}

/// The telling end.
pub struct Teller {
    /// The listening link's client: alerts never wait behind traces.
    pub client: AsyncClient,
    /// That link's health: after a join everything retained is told again.
    pub health: Arc<LinkHealth>,
    /// The settings.
    pub settings: Arc<Settings>,
    /// The engines' pictures.
    pub slots: Vec<Arc<Slot>>,
    /// The node's view.
    pub node: Arc<NodeSlot>,
    /// Names of the clusters.
    pub clusters: Vec<ClusterName>,
    /// Time.
    pub clock: Clock,
}

struct Telling {
    teller: Teller,
    beds: BTreeMap<BedId, Told>,
    tick: u64,
    joins: u64,
    trends: usize,
    /// Ticks between two words about one bed.
    apart: u64,
}

/// The thread that tells, where the site wants it.
pub struct TellerThread(Option<(Arc<AtomicBool>, JoinHandle<()>)>);

impl TellerThread {
    /// Ends it.
    pub fn end(self) {
        if let Some((stop, thread)) = self.0 {
            stop.store(true, Ordering::Release);
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread that tells screens ended by a panic");
            }
        }
    }
}

impl Teller {
    /// Begins to tell, unless the site's config says `publish.view = false`.
    ///
    /// # Errors
    /// The system's, where it gives no thread.
    pub fn start(self) -> std::io::Result<TellerThread> {
        if !self.settings.publish.view {
            return Ok(TellerThread(None));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::Builder::new().name("teller".into()).spawn(move || self.run(&told))?;
        Ok(TellerThread(Some((stop, thread))))
    }

    fn run(self, stop: &AtomicBool) {
        let mut telling =
            Telling { teller: self, beds: BTreeMap::new(), tick: 0, joins: 0, trends: 0, apart: 1 };
        while !stop.load(Ordering::Acquire) {
            telling.tell();
            std::thread::park_timeout(TICK);
        }
    }
}

impl Telling {
    fn tell(&mut self) {
        if self.teller.health.since().is_none() {
            return;
        }
        let joins = self.teller.health.joins.load(Ordering::Relaxed);
        if joins != self.joins {
            self.joins = joins;
            self.beds.clear();
        }
        self.tick += 1;
        self.trends = 0;
        let pictures: Vec<Picture> = self.teller.slots.iter().map(|slot| slot.newest()).collect();
        self.apart = match pictures.iter().map(|p| p.0.len()).sum::<usize>() {
            0..=BEDS_OFTEN => 1,
            beds if beds <= 2 * BEDS_OFTEN => 2,
            _ => FULL_TICKS,
        };
        let mut place = 0;
        for picture in pictures {
            for bed in &picture.0 {
                place += 1;
                self.bed(bed, &picture.1, place);
            }
        }
        if self.tick.is_multiple_of(FULL_TICKS) {
            self.node();
        }
    }

    fn bed(&mut self, bed: &BedView, alerts: &[AlertView], place: u64) {
        let mut told = self.beds.remove(&bed.bed).unwrap_or_default();
        let turn = self.tick + place;
        if turn.is_multiple_of(self.apart) {
            let full = turn.is_multiple_of(FULL_TICKS);
            if let Some(message) = view(&self.teller.settings.node, bed, &mut told, full) {
                self.say(&topic::of(&bed.bed, VIEW), &message, Some(VIEW_EXPIRY_S));
            }
        }
        let again = told.again <= self.tick;
        if again {
            told.again = self.tick + AGAIN_TICKS;
        }
        let newest = bed.trend.last().and_then(|p| p.at);
        let changed = newest != told.trend || bed.marks.len() != told.marks;
        if (changed || again) && self.trends < TRENDS_A_TICK {
            self.trends += 1;
            let message = TrendMessage {
                v: 1,
                label: bed.label.clone(),
                points: Points::pack(&bed.trend),
                marks: bed.marks.clone(),
            };
            if self.say(&topic::of(&bed.bed, TREND), &message, None) {
                (told.trend, told.marks) = (newest, bed.marks.len());
            }
        }
        self.recent(bed, alerts, &mut told, again);
        self.beds.insert(bed.bed.clone(), told);
    }

    fn recent(&self, bed: &BedView, alerts: &[AlertView], told: &mut Told, again: bool) {
        let own = || alerts.iter().filter(|a| a.bed.as_ref() == Some(&bed.bed));
        let state = |a: &AlertView| {
            let shown = (&a.id, a.rev, a.level, a.ended, &a.seen, a.silent, &a.evidence, a.strip.is_empty());
            format!("{shown:?}")
        };
        let now = own().map(state).collect::<Vec<_>>().concat();
        if now == told.recent && !again {
            return;
        }
        let message = RecentMessage {
            v: 1,
            label: bed.label.clone(),
            alerts: own().map(|a| AlertView { strip: Vec::new(), ..a.clone() }).collect(),
            strips: own().map(|a| Columns::pack(0, &a.strip)).collect(),
        };
        if self.say(&topic::of(&bed.bed, RECENT), &message, None) {
            told.recent = now;
        }
    }

    fn node(&self) {
        let settings = &self.teller.settings;
        let (node, open) = self.teller.node.newest();
        let engines =
            self.teller.slots.iter().flat_map(|slot| {
                slot.newest().1.iter().filter(|a| a.bed.is_none()).cloned().collect::<Vec<_>>()
            });
        let message = NodeMessage {
            v: 1,
            beat: self.tick,
            now: self.teller.clock.utc(),
            timezone: settings.timezone.clone(),
            node,
            clusters: self.teller.clusters.clone(),
            alerts: engines.chain(open).collect(),
        };
        let topic = format!("{}/{}/_node/{}/{VIEW}", topic::ROOT, settings.site, settings.node);
        self.say(&topic, &message, Some(VIEW_EXPIRY_S));
    }

    /// Publishes, retained where nothing expires; whether there was room.
    fn say(&self, topic: &str, message: &impl Serialize, expiry_s: Option<u32>) -> bool {
        let Ok(payload) = serde_json::to_vec(message) else { return false };
        let properties = properties(&self.teller.settings.node, expiry_s);
        let retain = expiry_s.is_none();
        let sent = self.teller.client.try_publish_with_properties(
            topic,
            QoS::AtMostOnce,
            retain,
            payload,
            properties,
        );
        sent.is_ok()
    }
}

/// What is new of the trace; in full also the clusters that became known, and the bed.
fn view(node: &str, bed: &BedView, told: &mut Told, full: bool) -> Option<ViewMessage> {
    let end = bed.first_column + bed.columns.len() as u64;
    if told.column > end {
        // Another epoch begins anywhere.
        (told.column, told.painted) = (bed.first_column, bed.first_column);
    }
    let from = told.column.max(bed.first_column);
    let at = |index: u64| (index - bed.first_column) as usize;
    let fresh = &bed.columns[at(from)..];
    let columns = (!fresh.is_empty()).then(|| Columns::pack(from, fresh));
    let known = bed.columns.iter().rposition(|c| c.cluster.is_some()).map_or(0, |i| i as u64 + 1);
    let (first, known) = (told.painted.max(bed.first_column), bed.first_column + known);
    let painted = (full && known > first).then(|| Painted::pack(first, &bed.columns[at(first)..at(known)]));
    told.column = end;
    if painted.is_some() {
        told.painted = known;
    }
    if columns.is_none() && !full {
        return None;
    }
    let light =
        || BedView { seconds: bed.seconds.last().copied().into_iter().collect(), ..bed.without_history() };
    Some(ViewMessage {
        v: 1,
        node: node.into(),
        columns,
        painted,
        bed: full.then(|| Box::new(light())),
        seconds: if full { pack_seconds(&bed.seconds) } else { String::new() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::remote::ward::Remote;
    use crate::snapshot::{BedState, Column, Second};
    use contract::MonoMs;

    fn at(ms: u64) -> (MonoMs, UtcMs) {
        (MonoMs(ms), UtcMs(1_700_000_000_000 + ms as i64))
    }

    fn column(n: u64, known_to: u64) -> Column {
        let mv = (n as f32 * 0.37).sin();
        Column { min_mv: mv, max_mv: mv + 0.2, cluster: (n < known_to).then_some((n % 7) as u8) }
    }

    /// The bed when its trace has reached column `end`; clusters are known 100 columns later.
    fn bed(end: u64) -> BedView {
        let first = end.saturating_sub(500);
        let second = |i: usize| Second { entropy: Some(i as f32 / 100.0), novelty: None, shift: Some(0.5) };
        BedView {
            state: BedState::Live,
            sample_age_ms: Some(200),
            first_column: first,
            columns: (first..end).map(|n| column(n, end.saturating_sub(100))).collect(),
            seconds: (0..90).map(second).collect(),
            ..BedView::unheard(BedId::new("s/u/b").expect("valid"))
        }
    }

    fn hear(remote: &mut Remote, message: &ViewMessage, retained: bool, ms: u64) {
        let bytes = serde_json::to_vec(message).expect("JSON");
        remote.hear("wardbeat/v1/s/u/b/view", &bytes, retained, None, at(ms));
    }

    #[test]
    fn a_screen_elsewhere_has_the_same_trace_clusters_and_seconds() {
        let (mut remote, mut told) = (Remote::default(), Told::default());
        for tick in 0..60_u64 {
            if let Some(message) = view("n", &bed(300 + tick * 12), &mut told, tick % 4 == 0) {
                hear(&mut remote, &message, false, tick * 250);
            }
        }
        let snapshot = remote.snapshot(at(59 * 250), Vec::new());
        let (heard, own) = (&snapshot.beds[0], bed(300 + 59 * 12));
        assert_eq!(
            (heard.first_column, heard.columns.len(), heard.state),
            (own.first_column, 500, BedState::Live)
        );
        for (n, (a, b)) in heard.columns.iter().zip(&own.columns).enumerate() {
            assert!((a.min_mv - b.min_mv).abs() < 0.02 && (a.max_mv - b.max_mv).abs() < 0.02, "column {n}");
            // The newest clusters came after the last full word.
            assert!(a.cluster == b.cluster || (n > 350 && a.cluster.is_none()), "column {n}");
        }
        assert_eq!(heard.seconds.len(), 90);
        assert_eq!(heard.seconds.last(), own.seconds.last());
        assert!(heard.columns.iter().filter(|c| c.cluster.is_some()).count() > 360);
    }

    #[test]
    fn what_the_broker_kept_never_looks_live_and_silence_looks_dead() {
        let (mut remote, mut told) = (Remote::default(), Told::default());
        let message = view("n", &bed(300), &mut told, true).expect("in full");
        hear(&mut remote, &message, true, 0);
        assert!(remote.snapshot(at(0), Vec::new()).beds.is_empty());
        hear(&mut remote, &message, false, 1_000);
        let other = view("n", &bed(300), &mut Told::default(), true).expect("in full");
        let bytes = serde_json::to_vec(&other).expect("JSON");
        let mut state = |ms| {
            remote.hear("wardbeat/v1/s/u/other/view", &bytes, false, None, at(ms));
            let snapshot = remote.snapshot(at(ms), Vec::new());
            let bed = snapshot.beds.iter().find(|b| b.bed.place() == "b").expect("there").clone();
            (bed.state, bed.sample_age_ms)
        };
        assert_eq!(state(2_000), (BedState::Live, Some(1_200)));
        assert_eq!(state(5_000).0, BedState::Delayed);
        assert_eq!(state(12_000).0, BedState::Stopped);
    }

    #[test]
    fn a_lost_message_leaves_a_blank_and_a_new_epoch_begins_anew() {
        let (mut remote, mut told) = (Remote::default(), Told::default());
        hear(&mut remote, &view("n", &bed(100), &mut told, true).expect("one"), false, 0);
        let _lost = view("n", &bed(120), &mut told, false);
        hear(&mut remote, &view("n", &bed(140), &mut told, false).expect("one"), false, 500);
        let columns = remote.snapshot(at(500), Vec::new()).beds[0].columns.clone();
        let blank: Vec<bool> = columns.iter().map(|c| c.min_mv.is_nan()).collect();
        assert_eq!((blank.len(), blank.iter().filter(|b| **b).count()), (140, 20));
        assert!(blank[100..120].iter().all(|b| *b));
        hear(&mut remote, &view("n", &bed(50), &mut told, true).expect("one"), false, 750);
        let heard = remote.snapshot(at(750), Vec::new()).beds[0].clone();
        assert_eq!((heard.first_column, heard.columns.len()), (0, 50));
    }

    #[test]
    fn foreign_messages_are_counted_and_change_nothing() {
        let mut remote = Remote::default();
        for (topic, payload) in [
            ("wardbeat/v1/s/u/b/view", "{"),
            ("wardbeat/v1/s/u/b/view", "{\"v\":1}"),
            ("wardbeat/v1/s/u/b/trend", "[]"),
            ("wardbeat/v1/s/_node/n/view", "1"),
            ("nonsense", "1"),
        ] {
            remote.hear(topic, payload.as_bytes(), false, None, at(0));
        }
        assert_eq!(remote.refused, 5);
        assert_eq!(remote.snapshot(at(0), Vec::new()).beat, 0);
    }
}
