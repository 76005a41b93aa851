//! Wires the threads together, in the order of the picture.

use super::audit::Audit;
use super::clock::Clock;
use super::command::{self, Asks, Commands, Inbox, Reach};
use super::engine::{EngineHealth, EngineLoop, Slot};
use super::journal::{Journal, Reader};
use super::node::{NodeSlot, Parts, Watch};
use super::outlet::Outlet;
use super::publish::{self, MqttSink, Murmur};
use super::queue::{Bounds, Queues};
use super::registry::{DECODERS, SINKS, hear_children};
use super::remote::Teller;
use super::running::{Running, Shared, Threads};
use super::sink::{Delivery, SinkHealth};
use super::source::{Shard, Shards, Source};
use super::tally::Tally;
use super::wire::{self, LinkHealth, Listener, Route};
use super::{DaemonError, leftover, shutdown};
use crate::config::{self, Settings};
use crate::model::{Bundle, Engine};
use crate::pipeline::{Analyser, Now, Setup, Ward};
use crate::snapshot::NodeView;
use contract::limits::QUEUE_FRAMES_PER_BED_MAX;
use contract::{BedId, Entry, Sink};
use rumqttc::v5::{AsyncClient, EventLoop};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// Bytes that wait between the wire and the sources, and again between these and the engine threads.
const QUEUE_BYTES_MAX: usize = 256 << 20;

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, DaemonError> {
    Ok(std::thread::Builder::new().name(name.into()).spawn(body)?)
}

fn find<T: ?Sized>(
    table: &'static [&'static Entry<T>],
    kind: &str,
) -> Result<&'static Entry<T>, DaemonError> {
    table.iter().copied().find(|entry| entry.kind == kind).ok_or_else(|| {
        let known: Vec<_> = table.iter().map(|entry| entry.kind).collect();
        DaemonError::Config(format!("{kind:?} is not in this build; it has: {}", known.join(", ")))
    })
}

/// What most parts need.
struct Site {
    settings: Arc<Settings>,
    bundle: Arc<Bundle>,
    setup: Setup,
    clock: Clock,
    tally: Arc<Tally>,
    journal: Journal,
    shards: Shards,
    commands: Commands,
}

/// The two links before they are polled.
struct Links {
    client: AsyncClient,
    in_link: EventLoop,
    outlet: Outlet,
    out_link: EventLoop,
    health: [Arc<LinkHealth>; 2],
}

/// See [`super::start`].
pub(super) fn start(
    settings: Settings,
    bundle: Arc<Bundle>,
    engines: Vec<Box<dyn Engine>>,
) -> Result<Running, DaemonError> {
    hear_children();
    let settings = Arc::new(settings);
    let Some(family) = engines.first().map(|engine| engine.family()) else {
        return Err(DaemonError::Config("there is no engine to run the network".into()));
    };
    let node_place = node_place(&settings)?;
    let (commands, asks) = command::door(node_place);
    let (site, journal_thread) = site(settings, bundle, engines.len(), commands)?;
    begin_audit(&site);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let asked = Arc::new(AtomicBool::new(false));
    shutdown::watch(&runtime, asked.clone())?;
    let links = open_links(&site)?;
    let (outlet, health) = (links.outlet.clone(), links.health.clone());
    let node = Arc::new(NodeSlot::default());
    node.show(first_view(&site, family), None);

    let (routes, sources) = sources(&site)?;
    let queues = routes.iter().map(|route| route.queue.clone()).collect();
    let (slots, engine_threads, healths) = engine_threads(&site, engines, &links.client)?;
    let undelivering = Arc::new(AtomicBool::new(false));
    let (sinks, sink_threads) = sinks(&site, &links, &undelivering)?;
    let (watching, node_thread) = watch_node(&site, &links, &node, sinks, healths)?;
    let desk_thread = desk(&site, &links, &node, asks)?;
    let telling = teller(&site, &links, &node, &slots).start()?;
    let (hear_until, hear) = watch::channel(false);
    let (speak_until, speak) = watch::channel(false);
    let speaking = poll(&site, links, routes, &node, &runtime, [hear, speak]);

    let clusters = site.bundle.codebook.names.clone();
    let threads = slots.len();
    tracing::info!(
        engine = family,
        model = site.bundle.id,
        config = site.setup.config_id,
        threads,
        "started"
    );
    let threads = Threads {
        hear_until,
        commands: site.commands.clone(),
        desk: desk_thread,
        queues,
        sources,
        shards: site.shards,
        engines: engine_threads,
        telling,
        watching,
        node: node_thread,
        journal: site.journal,
        undelivering,
        sinks: sink_threads,
        speak_until,
        speaking,
        journal_thread,
        runtime,
    };
    let Site { settings, clock, tally, commands, .. } = site;
    let shared =
        Shared { settings, clock, tally, slots, node, clusters, links: health, outlet, asked, commands };
    Ok(Running::new(shared, threads))
}

fn site(
    settings: Arc<Settings>,
    bundle: Arc<Bundle>,
    engines: usize,
    commands: Commands,
) -> Result<(Site, JoinHandle<()>), DaemonError> {
    let mut names = vec![MqttSink::NAME.to_owned()];
    names.extend(settings.sinks.iter().map(|sink| sink.name.clone()));
    let (journal, journal_thread) = Journal::open(&settings.journal.path, &names)?;
    let bounds = Bounds { per_key: QUEUE_FRAMES_PER_BED_MAX, bytes: QUEUE_BYTES_MAX / engines };
    let shards = Shards((0..engines).map(|_| Shard::new(bounds)).collect());
    let setup = Setup::of(&settings, &bundle);
    let (clock, tally) = (Clock::start(), Arc::default());
    Ok((Site { settings, bundle, setup, clock, tally, journal, shards, commands }, journal_thread))
}

/// What stands for the node in place of a bed.
fn node_place(settings: &Settings) -> Result<BedId, DaemonError> {
    let place = format!("{}/_node/{}", settings.site, settings.node);
    BedId::new(&place).map_err(|e| DaemonError::Config(format!("site and node: {e}")))
}

/// The start stands in the audit log, with what can change an alert. A full disk must not keep a node from starting.
fn begin_audit(site: &Site) {
    let detail = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"), "config": site.setup.config_id, "model": site.bundle.id,
    });
    let audit = Audit::new(&site.settings.audit_path());
    if let Err(e) = audit.append("start", &site.settings.node, &detail, site.clock.utc()) {
        tracing::error!(fault = %e, "the start is not in the audit log");
    }
}

fn desk(site: &Site, links: &Links, slot: &Arc<NodeSlot>, asks: Asks) -> Result<JoinHandle<()>, DaemonError> {
    let reach = Reach {
        shards: site.shards.clone(),
        slot: slot.clone(),
        journal: site.journal.clone(),
        clock: site.clock,
        setup: site.setup.clone(),
        model: site.bundle.id.clone(),
        outlet: links.outlet.clone(),
        node: site.commands.node().clone(),
    };
    let audit = Audit::new(&site.settings.audit_path());
    let desk = reach.desk(site.settings.commands.keys_file.clone(), audit)?;
    thread("commands", move || desk.run(&asks))
}

fn open_links(site: &Site) -> Result<Links, DaemonError> {
    let (client, in_link) = wire::open(&site.settings, "in", None)?;
    let will = publish::last_will(&site.settings);
    let (out_client, out_link) = wire::open(&site.settings, "out", Some(will))?;
    Ok(Links { client, in_link, outlet: Outlet::new(out_client), out_link, health: Default::default() })
}

/// Begins to poll both links; gives the alerting one's task.
fn poll(
    site: &Site,
    links: Links,
    routes: Vec<Route>,
    node: &Arc<NodeSlot>,
    runtime: &tokio::runtime::Runtime,
    [hear, speak]: [watch::Receiver<bool>; 2],
) -> tokio::task::JoinHandle<()> {
    let clock = site.clock;
    let [listening, alerting] = links.health;
    let (node, settings) = (node.clone(), site.settings.clone());
    let birth = move || publish::status(&settings, "online", &node.newest().0, clock.utc());
    let inbox = Inbox {
        commands: site.commands.clone(),
        site: site.settings.site.clone(),
        node: site.settings.node.clone(),
    };
    let speaker = links.outlet.watcher(alerting, clock, birth, inbox);
    let listener =
        Listener { client: links.client, routes, health: listening, clock, topics: wire::Topics::default() };
    runtime.spawn(wire::drive(links.in_link, listener, "in", hear));
    runtime.spawn(wire::drive(links.out_link, speaker, "out", speak))
}

fn watch_node(
    site: &Site,
    links: &Links,
    node: &Arc<NodeSlot>,
    sinks: Vec<(String, Arc<SinkHealth>)>,
    engines: Vec<Arc<EngineHealth>>,
) -> Result<(Arc<AtomicBool>, JoinHandle<()>), DaemonError> {
    let place = format!("{}/_node/{}", site.settings.site, site.settings.node);
    let left_open = open_alerts(&site.journal.reader()?, &site.journal)?;
    let [listening, alerting] = links.health.clone();
    let parts = Parts {
        settings: site.settings.clone(),
        setup: site.setup.clone(),
        clock: site.clock,
        tally: site.tally.clone(),
        listening,
        alerting,
        outlet: links.outlet.clone(),
        journal: site.journal.clone(),
        sinks,
        engines,
    };
    let watch = Watch::new(parts, node.clone(), left_open.into_iter().find(|a| a.bed == place));
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    Ok((stop, thread("node", move || watch.run(&told))?))
}

fn first_view(site: &Site, family: &str) -> NodeView {
    NodeView {
        name: site.settings.node.clone(),
        timezone: site.settings.timezone.clone(),
        broker: site.settings.broker.url.to_string(),
        engine: family.into(),
        engine_delay_ms: site.setup.engine_delay_ms,
        model: site.bundle.id.clone(),
        config: site.setup.config_id.clone(),
        ..NodeView::default()
    }
}

fn open_alerts(reader: &Reader, journal: &Journal) -> Result<Vec<contract::Alert>, DaemonError> {
    let open = reader.open_alerts(i64::MAX).map_err(|e| journal.fault(&e))?;
    Ok(open.into_iter().map(|entry| entry.alert).collect())
}

/// One decoding thread a source. Where two filters match a topic, the first in the config has it.
fn sources(site: &Site) -> Result<(Vec<Route>, Vec<JoinHandle<()>>), DaemonError> {
    let (mut routes, mut threads) = (Vec::new(), Vec::new());
    for (i, source) in site.settings.sources.iter().enumerate() {
        let entry = find(DECODERS, &source.decoder)?;
        let decoder = (entry.build)(&source.options)
            .map_err(|e| DaemonError::Config(format!("source[{i}].options.{e}")))?;
        let bounds = Bounds { per_key: QUEUE_FRAMES_PER_BED_MAX, bytes: QUEUE_BYTES_MAX };
        let queue = Arc::new(Queues::new(bounds));
        routes.push(Route { filter: source.topic.clone(), queue: queue.clone(), tally: site.tally.clone() });
        let body = Source {
            entry,
            options: source.options.clone(),
            payloads: queue,
            shards: site.shards.clone(),
            tally: site.tally.clone(),
        };
        threads.push(thread(&format!("source-{i}"), move || body.run(decoder))?);
    }
    Ok((routes, threads))
}

type Engines = (Vec<Arc<Slot>>, Vec<JoinHandle<()>>, Vec<Arc<EngineHealth>>);

fn engine_threads(
    site: &Site,
    engines: Vec<Box<dyn Engine>>,
    client: &AsyncClient,
) -> Result<Engines, DaemonError> {
    let reader = site.journal.reader()?;
    let left = leftover::read(&reader, site.clock.utc()).map_err(|e| site.journal.fault(&e))?;
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

fn teller(site: &Site, links: &Links, node: &Arc<NodeSlot>, slots: &[Arc<Slot>]) -> Teller {
    Teller {
        client: links.client.clone(),
        health: links.health[0].clone(),
        settings: site.settings.clone(),
        slots: slots.to_vec(),
        node: node.clone(),
        clusters: site.bundle.codebook.names.clone(),
        clock: site.clock,
    }
}

type Sinks = (Vec<(String, Arc<SinkHealth>)>, Vec<JoinHandle<()>>);

fn sinks(site: &Site, links: &Links, stop: &Arc<AtomicBool>) -> Result<Sinks, DaemonError> {
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
        let plugin = (find(SINKS, &sink.kind)?.build)(&sink.options)
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
