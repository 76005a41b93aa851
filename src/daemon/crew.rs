//! The threads that come in numbers: one a source, one an engine, one a destination.

use super::engine::{EngineHealth, EngineLoop, Slot};
use super::journal::{Journal, Reader};
use super::publish::{MqttSink, Murmur};
use super::queue::{Bounds, Queues};
use super::recorder::Feed;
use super::registry::{self, SINKS};
use super::sink::{Delivery, SinkHealth};
use super::source::Source;
use super::start::{Links, QUEUE_BYTES_MAX, Site};
use super::wire::Route;
use super::{DaemonError, leftover};
use crate::config;
use crate::model::Engine;
use crate::pipeline::{Analyser, Now, Ward};
use contract::limits::QUEUE_FRAMES_PER_BED_MAX;
use contract::{BedId, Sink};
use rumqttc::v5::AsyncClient;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

/// A named thread.
pub fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, DaemonError> {
    Ok(std::thread::Builder::new().name(name.into()).spawn(body)?)
}

/// The alerts that the journal shows as open.
pub fn open_alerts(reader: &Reader, journal: &Journal) -> Result<Vec<contract::Alert>, DaemonError> {
    let open = reader.open_alerts(i64::MAX).map_err(|e| journal.fault(&e))?;
    Ok(open.into_iter().map(|entry| entry.alert).collect())
}

/// One decoding thread a source. Where two filters match a topic, the first in the config has it.
pub fn sources(site: &Site) -> Result<(Vec<Route>, Vec<JoinHandle<()>>), DaemonError> {
    let (mut routes, mut threads) = (Vec::new(), Vec::new());
    for (i, source) in site.settings.sources.iter().enumerate() {
        let (entry, options) = registry::decoder(&site.settings, source)?;
        let decoder = (entry.build)(options)
            .map_err(|e| DaemonError::Config(format!("decoder {} of source[{i}]: {e}", source.decoder)))?;
        let bounds = Bounds { per_key: QUEUE_FRAMES_PER_BED_MAX, bytes: QUEUE_BYTES_MAX };
        let queue = Arc::new(Queues::new(bounds));
        routes.push(Route { filter: source.topic.clone(), queue: queue.clone(), tally: site.tally.clone() });
        let body = Source {
            entry,
            options: options.clone(),
            payloads: queue,
            shards: site.shards.clone(),
            tally: site.tally.clone(),
            clock: site.clock,
        };
        threads.push(thread(&format!("source-{i}"), move || body.run(decoder))?);
    }
    Ok((routes, threads))
}

/// The engines' pictures, threads and how each engine fares.
type Engines = (Vec<Arc<Slot>>, Vec<JoinHandle<()>>, Vec<Arc<EngineHealth>>);

/// The engine threads, each with its beds' baselines and the alerts that an earlier run left open.
pub fn engine_threads(
    site: &Site,
    engines: Vec<Box<dyn Engine>>,
    client: &AsyncClient,
) -> Result<Engines, DaemonError> {
    let reader = site.journal.reader()?;
    let left =
        leftover::read(&reader, &site.bundle.id, site.clock.utc()).map_err(|e| site.journal.fault(&e))?;
    let baselines = reader.baselines(&site.bundle.id).map_err(|e| site.journal.fault(&e))?;
    let (mut slots, mut threads, mut healths) = (Vec::new(), Vec::new(), Vec::new());
    for (index, engine) in engines.into_iter().enumerate() {
        let mine = |bed: &BedId| std::ptr::eq(site.shards.of(Some(bed)), &raw const site.shards.0[index]);
        let mut ward = Ward::new(site.setup.clone(), &site.bundle);
        let now = Now { mono: site.clock.mono(), utc: site.clock.utc() };
        for (bed, body) in &baselines {
            let Ok(bed) = BedId::new(bed) else { continue };
            match serde_json::from_str(body) {
                Ok(saved) if mine(&bed) => drop(ward.restore(&bed, saved, now)),
                Ok(_) => {}
                Err(e) => tracing::warn!(%bed, fault = %e, "baseline cannot be read, learning anew"),
            }
        }
        let outbox = leftover::take_up(&mut ward, left.iter().filter(|left| mine(&left.bed)), now);
        let (slot, health) = (Arc::<Slot>::default(), Arc::<EngineHealth>::default());
        let body = EngineLoop {
            ward,
            analyser: Analyser::new(site.bundle.clone(), engine),
            shards: site.shards.clone(),
            index,
            clock: site.clock,
            journal: site.journal.clone(),
            murmur: Murmur {
                client: client.clone(),
                settings: site.settings.clone(),
                dropped: Arc::default(),
            },
            tally: site.tally.clone(),
            feed: site.recorder.clone().map(Feed::new),
            slot: slot.clone(),
            outbox,
            health: health.clone(),
            ids: [site.bundle.id.clone(), site.setup.config_id.clone()],
        };
        slots.push(slot);
        healths.push(health);
        threads.push(thread(&format!("engine-{index}"), move || body.run_or_exit())?);
    }
    Ok((slots, threads, healths))
}

/// Each destination's health, and the threads.
type Sinks = (Vec<(String, Arc<SinkHealth>)>, Vec<JoinHandle<()>>);

/// One delivering thread a destination, MQTT first.
pub fn sinks(site: &Site, links: &Links, stop: &Arc<AtomicBool>) -> Result<Sinks, DaemonError> {
    let mqtt = MqttSink {
        outlet: links.outlet.clone(),
        health: links.health[1].clone(),
        seen_join: 0,
        reader: site.journal.reader()?,
        node: site.settings.node.clone(),
    };
    let itself = config::Sink { name: MqttSink::NAME.into(), ..config::Sink::default() };
    let mut built: Vec<(config::Sink, Box<dyn Sink>, u64)> = vec![(itself, Box::new(mqtt), 2)];
    for (i, sink) in site.settings.sinks.iter().enumerate() {
        if built.iter().any(|(other, ..)| other.name == sink.name) {
            return Err(DaemonError::Config(format!("sink[{i}].name {:?} is taken", sink.name)));
        }
        let plugin = (registry::find(SINKS, &sink.kind)?.build)(&sink.options)
            .map_err(|e| DaemonError::Config(format!("sink[{i}].options.{e}")))?;
        built.push((sink.clone(), plugin, 60));
    }
    let (mut healths, mut threads) = (Vec::new(), Vec::new());
    for (wanted, sink, longest_s) in built {
        let name = wanted.name;
        let health = Arc::<SinkHealth>::default();
        let body = Delivery {
            name: name.clone(),
            journal: site.journal.clone(),
            health: health.clone(),
            clock: site.clock,
            longest_wait: Duration::from_secs(longest_s),
            stop: stop.clone(),
            commands: Some(site.commands.clone()),
            expire_ms: i64::from(wanted.expire_h) * 3_600_000,
            after_outage: wanted.after_outage,
        };
        threads.push(thread(&format!("sink-{name}"), move || body.run(sink))?);
        healths.push((name, health));
    }
    Ok((healths, threads))
}
