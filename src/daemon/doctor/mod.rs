//! Which link is dumb: broker, topics, frames, clocks, destinations, disk, one after the other, each in words.
//!
//! It listens and probes; it sends no alert and publishes nothing.

mod beds;

use super::DaemonError;
use super::clock::Clock;
use super::eavesdrop::{Deaf, listen};
use super::registry::{self, SINKS};
use super::wire::matches;
use super::{http, recorder};
use crate::config::Settings;
use beds::Beds;
use contract::{DecodeError, Decoder};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

/// What a destination may take for a probe.
const PROBE: Duration = Duration::from_secs(5);

/// How one part fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It works.
    Well,
    /// It works, but somebody should look.
    Doubtful,
    /// It does not work.
    Ill,
}

/// One line of the doctor's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How it fares.
    pub health: Health,
    /// The part.
    pub part: String,
    /// What was found, and what to do.
    pub what: String,
}

/// Examines a site. `say` is told each line as it is known.
///
/// # Errors
/// [`DaemonError`] where a file of the login cannot be read.
pub fn examine(
    settings: &Settings,
    patience: Duration,
    mut say: impl FnMut(Line),
) -> Result<(), DaemonError> {
    let mut tell = |health, part: &str, what: String| say(Line { health, part: part.into(), what });
    disk(settings, &mut tell);
    let mut heard = Sources::new(settings);
    let filters: Vec<String> = settings.sources.iter().map(|s| s.topic.clone()).collect();
    let clock = Clock::start();
    let part = format!("broker {}", settings.broker.url);
    let found = listen(settings, &filters, patience, |publish| {
        heard.take(&String::from_utf8_lossy(&publish.topic), &publish.payload, publish.retain, clock);
    })?;
    match found {
        Ok(()) => {
            tell(Health::Well, &part, "joined, subscribed".into());
            heard.tell(settings, patience, &mut tell);
            heard.beds.tell(&mut tell);
        }
        Err(deaf) => {
            let advice = match &deaf {
                Deaf::Link(_) => "is it running, is the port right, does a firewall stand between?",
                Deaf::Login(_) => "look at username and password_file, and at the broker's list of users",
            };
            tell(Health::Ill, &part, format!("{deaf}; {advice}"));
        }
    }
    destinations(settings, &mut tell);
    Ok(())
}

type Tell<'a> = &'a mut dyn FnMut(Health, &str, String);

fn writable(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".wardbeat-doctor-{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(probe)
}

fn disk(settings: &Settings, tell: Tell<'_>) {
    let folder_of = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => ".".into(),
    };
    let journal = folder_of(&settings.journal.path);
    let recordings = folder_of(&recorder::folder(settings));
    for (part, folder) in [("journal", journal), ("recorder", recordings)] {
        if part == "recorder" && !settings.recorder.enabled {
            continue;
        }
        match writable(&folder) {
            Ok(()) => tell(Health::Well, part, format!("{} can be written", folder.display())),
            Err(e) => tell(Health::Ill, part, format!("{} cannot be written: {e}", folder.display())),
        }
    }
    match settings.http.address() {
        Ok(Some(address)) => match TcpListener::bind(address) {
            Ok(_) => tell(Health::Well, "http", format!("{address} is free")),
            Err(e) => {
                let what = format!("{address}: {e}; if it is Wardbeat itself that runs there, all is well");
                tell(Health::Doubtful, "http", what);
            }
        },
        Ok(None) => {}
        Err(e) => tell(Health::Ill, "http", e),
    }
    if let Err(e) = http::usable(&settings.http) {
        tell(Health::Ill, "http", e.to_string());
    }
}

fn destinations(settings: &Settings, tell: Tell<'_>) {
    for sink in &settings.sinks {
        let part = format!("sink {}", sink.name);
        let Some(entry) = SINKS.iter().find(|s| s.kind == sink.kind) else { continue };
        let probed = (entry.build)(&sink.options).map_err(|e| e.to_string());
        match probed.and_then(|mut sink| sink.probe(PROBE).map_err(|e| e.to_string())) {
            Ok(()) => tell(Health::Well, &part, format!("{} answers", sink.kind)),
            Err(why) => tell(Health::Ill, &part, why),
        }
    }
}

/// What came of each source.
struct Sources {
    decoders: Vec<Option<Box<dyn Decoder>>>,
    messages: Vec<u64>,
    frames: Vec<u64>,
    /// The first refusals, by topic.
    refused: Vec<BTreeMap<String, DecodeError>>,
    beds: Beds,
    filters: Vec<String>,
}

impl Sources {
    fn new(settings: &Settings) -> Self {
        let build = |source: &crate::config::Source| {
            let (entry, options) = registry::decoder(settings, source).ok()?;
            (entry.build)(options).ok()
        };
        let count = settings.sources.len();
        Self {
            decoders: settings.sources.iter().map(build).collect(),
            messages: vec![0; count],
            frames: vec![0; count],
            refused: vec![BTreeMap::new(); count],
            beds: Beds::default(),
            filters: settings.sources.iter().map(|s| s.topic.clone()).collect(),
        }
    }

    fn take(&mut self, topic: &str, payload: &[u8], retained: bool, clock: Clock) {
        // The first filter that matches has it, as in the daemon.
        let Some(i) = self.filters.iter().position(|filter| matches(filter, topic)) else { return };
        let Some(decoder) = &mut self.decoders[i] else { return };
        if super::source::our_own(topic) {
            return;
        }
        self.messages[i] += 1;
        let now = clock.utc();
        match decoder.decode(topic, payload, now) {
            Ok(heard) => {
                for one in heard {
                    if let contract::Heard::Frame(frame) = one
                        && !retained
                    {
                        self.frames[i] += 1;
                        self.beds.take(&frame, now);
                    }
                }
            }
            Err(why) => {
                let known = &mut self.refused[i];
                if known.len() < 3 {
                    known.entry(topic.to_owned()).or_insert(why);
                }
            }
        }
    }

    fn tell(&self, settings: &Settings, patience: Duration, tell: Tell<'_>) {
        for (i, source) in settings.sources.iter().enumerate() {
            let part = format!("source {}", source.topic);
            let (messages, frames) = (self.messages[i], self.frames[i]);
            if messages == 0 {
                let what = format!(
                    "silent for {} s; does the gateway publish below this topic? `wardbeat sniff` shows what is there",
                    patience.as_secs()
                );
                tell(Health::Doubtful, &part, what);
            } else {
                let health = if frames > 0 { Health::Well } else { Health::Doubtful };
                tell(
                    health,
                    &part,
                    format!("{messages} messages, {frames} frames by decoder {}", source.decoder),
                );
            }
            for (topic, why) in &self.refused[i] {
                tell(Health::Ill, &part, format!("{topic} is refused: {why}"));
            }
        }
    }
}
