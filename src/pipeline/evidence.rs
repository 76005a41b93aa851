//! What an alert rests on, as one document whose hash the alert carries (`docs/recorder.md`, evidence).
//!
//! The document names the signal by the digest of each hop, and holds the bed's baseline, what the deciding hop
//! showed, and the alert itself. It is made of the stream alone, so live, standby and replay write the same bytes.

use super::Saved;
use super::window::Due;
use crate::model::{hex, sha256, sha256_hex};
use contract::{Alert, BedId, Finding};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Hops named in a document: what an alert looks back on, with its window.
const HOPS: usize = 64;

/// One message about an alert and the document of its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The bed.
    pub bed: BedId,
    /// The alert's id.
    pub id: contract::AlertId,
    /// The message.
    pub rev: u32,
    /// The document, JSON.
    pub document: Vec<u8>,
}

/// One hop of the signal, by its digest.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Hop {
    epoch: u32,
    window: u64,
    from_n: u64,
    to_n: u64,
    digest: [u8; 32],
}

/// As the document names it.
#[derive(Debug, Clone, Serialize)]
struct Named {
    epoch: u32,
    window: u64,
    from_n: u64,
    to_n: u64,
    sha256: String,
}

/// The newest hops of a bed, by their digests.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Keeper {
    hops: VecDeque<Hop>,
}

/// The document. The order of its fields is the order of its bytes.
#[derive(Serialize)]
struct Document<'a> {
    v: u8,
    model: &'a str,
    config: &'a str,
    /// As it is sent, but without the hash of this document.
    alert: &'a Alert,
    baseline: Option<&'a Saved>,
    /// What the deciding hop showed, without classes.
    finding: &'a Finding,
    hops: &'a [Named],
}

impl Keeper {
    /// Names a hop that is about to be analysed; once, however often it is told.
    pub fn hop(&mut self, due: &Due) {
        if self.hops.back().is_some_and(|last| (last.epoch, last.window) == (due.epoch, due.window)) {
            return;
        }
        let digest = sha256(&due.to_bytes());
        let Due { epoch, window, from_n, to_n, .. } = *due;
        self.hops.push_back(Hop { epoch, window, from_n, to_n, digest });
        if self.hops.len() > HOPS {
            self.hops.pop_front();
        }
    }

    /// Gives the alerts that a finding raised the hash of their evidence, and returns the documents.
    pub fn seal(&self, alerts: &mut [Alert], finding: &Finding, baseline: Option<&Saved>) -> Vec<Evidence> {
        if alerts.is_empty() {
            return Vec::new();
        }
        let mut shown = finding.clone();
        if let Ok(reading) = &mut shown.reading {
            // Names and probabilities of classes are for research, never for the bedside.
            reading.evidence.clear();
            reading.class_logit.clear();
            reading.class_prob.clear();
            reading.surrogate_prob.clear();
        }
        let until = (finding.epoch, finding.window);
        let hops = self.hops.iter().filter(|h| h.epoch != until.0 || h.window <= until.1);
        let named = |h: &Hop| {
            let Hop { epoch, window, from_n, to_n, digest } = *h;
            Named { epoch, window, from_n, to_n, sha256: hex(&digest) }
        };
        let hops: Vec<Named> = hops.map(named).collect();
        let mut sealed = Vec::new();
        for alert in alerts {
            alert.evidence = String::new();
            let document = Document {
                v: 1,
                model: &alert.model,
                config: &alert.config,
                alert,
                baseline,
                finding: &shown,
                hops: &hops,
            };
            // Plain data with text keys: there is nothing that could fail.
            let document = serde_json::to_vec(&document).unwrap_or_default();
            let (id, rev) = (alert.id.clone(), alert.rev);
            alert.evidence = format!("sha256:{}", sha256_hex(&document));
            sealed.push(Evidence { bed: finding.bed.clone(), id, rev, document });
        }
        sealed
    }
}
