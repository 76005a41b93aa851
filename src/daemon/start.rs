//! Wires the threads together, in the order of the picture.

use super::audit::Audit;
use super::clock::Clock;
use super::command::{self, Asks, Commands, Inbox, Reach};
use super::crew::{engine_threads, open_alerts, sinks, sources, thread};
use super::engine::{EngineHealth, Slot};
use super::http::{self, Address, App};
use super::journal::{Journal, Reader};
use super::node::{NodeSlot, Parts, Watch};
use super::outlet::Outlet;
use super::publish::{self, MqttSink};
use super::queue::Bounds;
use super::recorder::{self, Recorder, Tapes};
use super::registry::hear_children;
use super::remote::Teller;
use super::running::{Running, Shared, Threads};
use super::sink::SinkHealth;
use super::source::{Shard, Shards};
use super::tally::Tally;
use super::wire::{self, LinkHealth, Listener, Payloads, Route};
use super::{DaemonError, shutdown};
use crate::config::Settings;
use crate::model::{Bundle, Engine};
use crate::pipeline::Setup;
use crate::snapshot::NodeView;
use contract::BedId;
use contract::limits::QUEUE_FRAMES_PER_BED_MAX;
use rumqttc::v5::{AsyncClient, EventLoop};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::sync::watch;

/// Bytes that wait between the wire and the sources, and again between these and the engine threads.
pub(super) const QUEUE_BYTES_MAX: usize = 256 << 20;

/// What most parts need.
pub(super) struct Site {
    pub settings: Arc<Settings>,
    pub bundle: Arc<Bundle>,
    pub setup: Setup,
    pub clock: Clock,
    pub tally: Arc<Tally>,
    pub journal: Journal,
    pub shards: Shards,
    pub commands: Commands,
    pub recorder: Option<Recorder>,
}

/// The two links before they are polled.
pub(super) struct Links {
    pub client: AsyncClient,
    pub in_link: EventLoop,
    pub outlet: Outlet,
    pub out_link: EventLoop,
    pub health: [Arc<LinkHealth>; 2],
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
    let (site, disks) = site(settings, bundle, engines.len(), commands)?;
    begin_audit(&site);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let asked = Arc::new(AtomicBool::new(false));
    shutdown::watch(&runtime, asked.clone())?;
    let links = open_links(&site)?;
    let node = Arc::new(NodeSlot::default());
    node.show(first_view(&site, family), None);

    let (routes, sources) = sources(&site)?;
    let queues: Vec<_> = routes.iter().map(|route| route.queue.clone()).collect();
    let (slots, engine_threads, healths) = engine_threads(&site, engines, &links.client)?;
    let undelivering = Arc::new(AtomicBool::new(false));
    let (sinks, sink_threads) = sinks(&site, &links, &undelivering)?;
    let (watching, node_thread) = watch_node(&site, &links, &node, sinks.clone(), healths)?;
    let desk_thread = desk(&site, &links, &node, asks)?;
    let telling = teller(&site, &links, &node, &slots).start()?;
    let (hear_until, hear) = watch::channel(false);
    let (speak_until, speak) = watch::channel(false);
    let shared = share(&site, &links, sinks, slots, &node, &queues, asked);
    let asking = speak.clone();
    let speaking = poll(&site, links, routes, &node, &runtime, [hear, speak]);

    let threads = shared.slots.len();
    tracing::info!(
        engine = family,
        model = site.bundle.id,
        config = site.setup.config_id,
        threads,
        "started"
    );
    let http = open_http(&site, &shared, &runtime, asking)?;
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
        recorder: site.recorder,
        undelivering,
        sinks: sink_threads,
        speak_until,
        speaking,
        disks,
        runtime,
    };
    Ok(Running::new(shared, threads, http))
}

/// What a screen and the HTTP door may read.
fn share(
    site: &Site,
    links: &Links,
    sinks: Vec<(String, Arc<SinkHealth>)>,
    slots: Vec<Arc<Slot>>,
    node: &Arc<NodeSlot>,
    sources: &[Arc<Payloads>],
    asked: Arc<AtomicBool>,
) -> Arc<Shared> {
    Arc::new(Shared {
        settings: site.settings.clone(),
        clock: site.clock,
        tally: site.tally.clone(),
        slots,
        node: node.clone(),
        clusters: site.bundle.codebook.names.clone(),
        links: links.health.clone(),
        outlet: links.outlet.clone(),
        asked,
        commands: site.commands.clone(),
        sinks,
        sources: sources.to_vec(),
        shards: site.shards.clone(),
        beat: AtomicU64::new(0),
    })
}

fn open_http(
    site: &Site,
    shared: &Arc<Shared>,
    runtime: &tokio::runtime::Runtime,
    stop: watch::Receiver<bool>,
) -> Result<Address, DaemonError> {
    let app = App::new(http::Parts {
        shared: shared.clone(),
        reader: Arc::new(Mutex::new(Reader::open(&site.settings.journal.path)?)),
        card: site.bundle.card.clone(),
        tapes: site.recorder.is_some().then(|| Tapes::new(recorder::folder(&site.settings))),
    });
    http::open(&site.settings.http, app, runtime, stop)
}

fn site(
    settings: Arc<Settings>,
    bundle: Arc<Bundle>,
    engines: usize,
    commands: Commands,
) -> Result<(Site, Vec<JoinHandle<()>>), DaemonError> {
    let mut names = vec![MqttSink::NAME.to_owned()];
    names.extend(settings.sinks.iter().map(|sink| sink.name.clone()));
    let (journal, journal_thread) = Journal::open(&settings.journal.path, &names)?;
    let bounds = Bounds { per_key: QUEUE_FRAMES_PER_BED_MAX, bytes: QUEUE_BYTES_MAX / engines };
    let shards = Shards((0..engines).map(|_| Shard::new(bounds)).collect());
    let setup = Setup::of(&settings, &bundle);
    let (clock, tally) = (Clock::start(), Arc::default());
    let (recorder, recorder_thread) = recorder::start(&settings, clock)?.unzip();
    let threads = [Some(journal_thread), recorder_thread].into_iter().flatten().collect();
    Ok((Site { settings, bundle, setup, clock, tally, journal, shards, commands, recorder }, threads))
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
        recorder: site.recorder.as_ref().map(|r| r.health.clone()),
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
