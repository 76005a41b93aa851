//! A link of its own for one screen: subscribes, hears, and keeps the newest snapshot at hand.

use super::ward::Remote;
use crate::config::Settings;
use crate::daemon::clock::Clock;
use crate::daemon::command::{Secret, send};
use crate::daemon::wire::{self, LinkHealth, Watcher};
use crate::daemon::{DaemonError, shutdown};
use crate::snapshot::Snapshot;
use contract::{Answer, BedId, Command, topic};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish};
use rumqttc::v5::{AsyncClient, Event};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch as asked;

/// The longest wait for the answer to a command.
const ANSWER: Duration = Duration::from_secs(5);
/// What a screen subscribes to, below `wardbeat/v1/SITE/UNIT/BED`.
const LEAVES: [&str; 3] = [super::VIEW, super::TREND, super::RECENT];

/// The answer to a command that is on its way.
pub struct Asked(Receiver<Result<Answer, String>>);

impl Asked {
    /// The answer once it is there, or why there is none. Never waits.
    #[must_use]
    pub fn answer(&self) -> Option<Result<Answer, String>> {
        self.0.try_recv().ok()
    }
}

/// A screen's ear. Dropping it leaves the broker.
pub struct Watching {
    heard: Arc<Mutex<Remote>>,
    health: Arc<LinkHealth>,
    settings: Settings,
    clock: Clock,
    stop: asked::Sender<bool>,
    asked: Arc<AtomicBool>,
    runtime: Option<tokio::runtime::Runtime>,
}

/// Joins the broker of `settings` as a screen of its site (`+` = of any); `unit` is the one unit to show. Returns at once.
///
/// # Errors
/// [`DaemonError`] for what no waiting would mend: files of the login, threads.
pub fn watch(settings: &Settings, unit: Option<String>) -> Result<Watching, DaemonError> {
    let clock = Clock::start();
    // Several screens of one machine must not push each other off the broker.
    let name = format!("screen-{}-{}", std::process::id(), clock.utc().0 % 1_000_000);
    let site = settings.site.clone();
    let own = Settings { node: name, site: site.replace('+', "any"), ..settings.clone() };
    let (client, link) = wire::open(&own, "screen", None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let asked = Arc::new(AtomicBool::new(false));
    shutdown::watch(&runtime, asked.clone())?;
    let (heard, health) = (Arc::<Mutex<Remote>>::default(), Arc::<LinkHealth>::default());
    let ear = Ear { client, site, unit, heard: heard.clone(), health: health.clone(), clock };
    let (stop, stopped) = asked::channel(false);
    runtime.spawn(wire::drive(link, ear, "screen", stopped));
    Ok(Watching { heard, health, settings: settings.clone(), clock, stop, asked, runtime: Some(runtime) })
}

impl Watching {
    /// The ward as it was told last; a standing `beat` means that nothing came.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = (self.clock.mono(), self.clock.utc());
        let lost = self.health.since().is_none();
        let trouble =
            lost.then(|| format!("this screen has no connection to the broker {}", self.settings.broker.url));
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.snapshot(now, trouble.into_iter().collect())
    }

    /// Whether SIGINT or SIGTERM asked the screen to end.
    #[must_use]
    pub fn asked_to_stop(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Signs and sends a command for a bed, on a thread of its own. Never waits.
    #[must_use]
    pub fn ask(&self, (name, secret): (&str, &Secret), by: &str, bed: &BedId, command: Command) -> Asked {
        let (told, asked) = sync_channel(1);
        let settings = Settings { site: bed.site().into(), ..self.settings.clone() };
        let (name, secret, by, bed) = (name.to_owned(), secret.clone(), by.to_owned(), bed.clone());
        let ask = move || {
            let answer = send(&settings, (&name, &secret), &by, (&bed, &command), ANSWER);
            // Nobody may wait any more.
            let _ = told.try_send(answer.map_err(|e| e.to_string()));
        };
        // Where there is no thread the channel closes, and there will be no answer.
        let _ = std::thread::Builder::new().name("screen-ask".into()).spawn(ask);
        Asked(asked)
    }

    /// Messages that could not be read.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).refused
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // The link's task may have ended already.
        let _ = self.stop.send(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_millis(500));
        }
    }
}

struct Ear {
    client: AsyncClient,
    site: String,
    unit: Option<String>,
    heard: Arc<Mutex<Remote>>,
    health: Arc<LinkHealth>,
    clock: Clock,
}

impl Watcher for Ear {
    fn up(&mut self) -> bool {
        let unit = self.unit.as_deref().unwrap_or("+");
        let beds = LEAVES.iter().map(|leaf| format!("{}/{}/{unit}/+/{leaf}", topic::ROOT, self.site));
        let node = format!("{}/{}/_node/+/{}", topic::ROOT, self.site, super::VIEW);
        let filters = beds.chain([node]).map(|filter| Filter::new(filter, QoS::AtMostOnce));
        self.client.try_subscribe_many(filters).is_ok()
    }

    fn polled(&mut self, event: Event) {
        match event {
            Event::Incoming(Packet::Publish(publish)) => self.hear(&publish),
            Event::Incoming(Packet::SubAck(_)) => self.health.up(self.clock.utc()),
            _ => {}
        }
    }

    fn down(&mut self, forget: &mut dyn FnMut()) {
        self.health.down();
        forget();
    }
}

impl Ear {
    fn hear(&self, publish: &Publish) {
        let Ok(topic) = std::str::from_utf8(&publish.topic) else { return };
        let now = (self.clock.mono(), self.clock.utc());
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.hear(topic, &publish.payload, publish.retain, self.unit.as_deref(), now);
    }
}
