//! An alert once more, from its evidence: whether the same bytes come out, and where they differ.

use super::Past;
use crate::daemon::DaemonError;
use crate::daemon::journal::Entry;
use crate::daemon::recorder::{self, Kind, Reading, Seen};
use crate::model::{Bundle, open_engine, sha256_hex};
use crate::pipeline::{Due, Replay, Replayed};
use contract::Alert;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Differences told of one message, at most.
const DIFFERENCES_MAX: usize = 12;

/// What came of one message about an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `id:rev`.
    pub key: String,
    /// `alert.start`, `alert.update` or `alert.end`.
    pub kind: String,
    /// Bytes of the message.
    pub bytes: usize,
    /// Hops that were analysed for it.
    pub hops: usize,
    /// What came of it.
    pub outcome: Outcome,
}

/// Whether a message came out of the recorded signal again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The same bytes, alert and evidence.
    Same,
    /// What differs, or is missing.
    Differs(Vec<String>),
    /// It depends on arrival or on a person, not on the signal alone: nothing is promised.
    NotPromised,
}

impl Past {
    /// Derives every message about an alert anew from its evidence. `id` may be the beginning of an id.
    ///
    /// # Errors
    /// [`DaemonError`] where there is no such alert or no engine.
    pub fn alert(&self, id: &str, bundle: &Arc<Bundle>) -> Result<Vec<Verdict>, DaemonError> {
        let mut verdicts = Vec::new();
        for Entry { alert, body, .. } in self.messages(id)? {
            let (outcome, hops) = if alert.evidence.is_empty() {
                (Outcome::NotPromised, 0)
            } else {
                match self.derive(&alert, &body, bundle) {
                    Ok((differs, hops)) if differs.is_empty() => (Outcome::Same, hops),
                    Ok((differs, hops)) => (Outcome::Differs(differs), hops),
                    Err(Missing::Engine(e)) => return Err(e),
                    Err(Missing::Evidence(why)) => (Outcome::Differs(vec![why]), 0),
                }
            };
            let (key, kind, bytes) = (alert.key(), alert.kind, body.len());
            verdicts.push(Verdict { key, kind, bytes, hops, outcome });
        }
        Ok(verdicts)
    }

    fn derive(
        &self,
        alert: &Alert,
        body: &str,
        bundle: &Arc<Bundle>,
    ) -> Result<(Vec<String>, usize), Missing> {
        let path = self.tapes.evidence(&alert.id, alert.rev);
        let off = if self.settings.recorder.enabled { "" } else { "; recorder.enabled is false" };
        let reading = recorder::read(&path).map_err(|why| Missing::Evidence(format!("{why}{off}")))?;
        let document = reading.records.iter().rev().find(|r| r.kind == Kind::Evidence);
        let document =
            document.ok_or_else(|| Missing::Evidence(format!("{} is torn: no document", path.display())))?;
        let mut differs = Vec::new();
        let hash = format!("sha256:{}", sha256_hex(&document.body));
        if hash != alert.evidence {
            differs.push(format!("the document on disk is {hash}, the alert names {}", alert.evidence));
        }
        let engine = open_engine(bundle, "cpu").map_err(|e| Missing::Engine(e.into()))?;
        let mut setup = self.setup(bundle);
        if setup.config_id != alert.config {
            differs.push(format!("the config is {} now, it was {}", setup.config_id, alert.config));
            setup.config_id.clone_from(&alert.config);
        }
        if bundle.id != alert.model {
            differs.push(format!(
                "the model is {} now, it was {}; give the old one with --model",
                bundle.id, alert.model
            ));
            return Ok((differs, 0));
        }
        let mut replay = Replay::new(setup, bundle, engine, &reading.bed);
        let mut hops = 0;
        let found = run(&mut replay, &reading, &mut differs, |replayed| {
            hops += 1;
            replayed.alerts.iter().position(|a| a.id == alert.id && a.rev == alert.rev).map(|i| {
                let evidence = replayed.evidence.get(i).map(|e| e.document.clone()).unwrap_or_default();
                (serde_json::to_string(&replayed.alerts[i]).unwrap_or_default(), evidence)
            })
        });
        match found {
            None => differs.push("the message does not come out of the recorded signal".into()),
            Some((again, evidence)) => {
                if again != body {
                    compare("alert", body.as_bytes(), again.as_bytes(), &mut differs);
                }
                if evidence != document.body {
                    compare("evidence", &document.body, &evidence, &mut differs);
                }
            }
        }
        Ok((differs, hops))
    }
}

enum Missing {
    Evidence(String),
    Engine(DaemonError),
}

/// Feeds a recording's hops to a replay until `look` finds what it looks for.
fn run<T>(
    replay: &mut Replay,
    reading: &Reading,
    differs: &mut Vec<String>,
    mut look: impl FnMut(&Replayed) -> Option<T>,
) -> Option<T> {
    let (mut begun, mut seen_otherwise) = (false, 0_u64);
    let mut seen = BTreeMap::new();
    for record in &reading.records {
        match record.kind {
            Kind::Checkpoint => match replay.load(&record.body) {
                Ok(_) => begun = true,
                Err(e) => differs.push(e.to_string()),
            },
            Kind::Hop => {
                let Some(due) = Due::from_bytes(&reading.bed, &record.body) else {
                    differs.push("a hop cannot be read".into());
                    continue;
                };
                let replayed = replay.hop(due);
                let now = Seen::of(&replayed.finding);
                seen.insert((now.epoch, now.window), now.to_bytes());
                if let Some(found) = look(&replayed) {
                    if !begun {
                        differs
                            .push("the evidence holds no checkpoint: the analysis began from nothing".into());
                    }
                    return Some(found);
                }
            }
            Kind::Seen => {
                let then = Seen::from_bytes(&record.body);
                let same =
                    then.is_none_or(|s| seen.get(&(s.epoch, s.window)).is_none_or(|now| *now == record.body));
                seen_otherwise += u64::from(!same);
                if !same && seen_otherwise == 1 {
                    differs.push("the analysis of a hop differs from what was seen then".into());
                }
            }
            Kind::Hole => differs.push("the recording has a hole here: the disk was full or slow".into()),
            Kind::Evidence => {}
        }
    }
    None
}

/// Names the places where two JSON texts differ.
fn compare(what: &str, then: &[u8], now: &[u8], differs: &mut Vec<String>) {
    let [then, now] = [then, now].map(|bytes| serde_json::from_slice::<Value>(bytes).unwrap_or_default());
    let before = differs.len();
    places(what, &then, &now, differs);
    if differs.len() == before {
        differs.push(format!("{what}: the same values, but other bytes"));
    }
}

fn places(at: &str, then: &Value, now: &Value, differs: &mut Vec<String>) {
    if then == now || differs.len() >= DIFFERENCES_MAX {
        return;
    }
    match (then, now) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let value = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                places(&format!("{at}.{key}"), &value(a), &value(b), differs);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                places(&format!("{at}[{i}]"), a, b, differs);
            }
        }
        _ => {
            let short = |v: &Value| v.to_string().chars().take(60).collect::<String>();
            differs.push(format!("{at}: then {}, now {}", short(then), short(now)));
        }
    }
}
