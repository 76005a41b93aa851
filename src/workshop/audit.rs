//! `wardbeat audit`: the entries of a label table that are most likely wrong, with their strips.

use super::WorkshopError;
use super::dataset::{CLASSES, PtbXl};
use super::explain::{Format, explain, read_recording};
use super::leads::LEAD_SETS;
use super::mislabel::{Noted, suspicion};
use super::reading::summaries;
use crate::model::Bundle;
use std::fmt::Write;
use std::sync::Arc;

/// Fewest records that an audit can learn from.
const RECORDS_MIN: usize = 100;
/// Leads on a strip: limb, right chest, left chest.
const SHOWN: [usize; 3] = [1, 6, 10];
/// Length of a strip in seconds.
const STRIP_S: f32 = 10.0;

/// One doubtful entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// The record, as an index into the set.
    pub record: usize,
    /// The class.
    pub class: usize,
    /// Whether the table says yes.
    pub noted: bool,
    /// Probability that the entry is wrong.
    pub wrong: f64,
    /// The network's probability of the class.
    pub network: f32,
}

/// An audit of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// All entries, the most doubtful first.
    pub suspects: Vec<Suspect>,
    /// Records read.
    pub records: usize,
    /// Estimated share of wrong entries.
    pub rate: f64,
}

/// Audits the records of `folds` that have a superclass (docs/method.md, label audit).
///
/// # Errors
/// [`WorkshopError`] if there are too few records or the engine fails.
pub fn audit(bundle: &Bundle, set: &PtbXl, folds: &[u8]) -> Result<Audit, WorkshopError> {
    let records: Vec<usize> =
        set.in_folds(folds).into_iter().filter(|&r| set.labels[r].has_class()).collect();
    if records.len() < RECORDS_MIN {
        return Err(WorkshopError::TooFew { need: RECORDS_MIN, have: records.len() });
    }
    let read = summaries(bundle, &records, |r| set.signal(r), LEAD_SETS[0].1);
    let noted = |(&r, s): (&usize, &super::reading::Summary)| Noted {
        patient: set.labels[r].patient_id,
        logits: s.logits.clone(),
        classes: set.labels[r].classes,
    };
    let table: Vec<Noted> = records.iter().zip(&read).map(noted).collect();
    let found = suspicion(&table);
    let mut suspects = Vec::new();
    for (i, (noted, wrong)) in table.iter().zip(&found.wrong).enumerate() {
        for (class, (&wrong, &noted_yes)) in wrong.iter().zip(&noted.classes).enumerate() {
            let network = 1.0 / (1.0 + (-noted.logits[class]).exp());
            suspects.push(Suspect { record: records[i], class, noted: noted_yes, wrong, network });
        }
    }
    suspects.sort_by(|a, b| b.wrong.total_cmp(&a.wrong));
    Ok(Audit { suspects, records: records.len(), rate: found.rate })
}

impl Audit {
    /// One line an entry, the most doubtful first.
    #[must_use]
    pub fn csv(&self, set: &PtbXl, top: usize) -> String {
        let mut text = String::from("rank,ecg_id,patient_id,fold,class,noted,wrong,network,file\n");
        for (i, s) in self.suspects.iter().take(top).enumerate() {
            let l = &set.labels[s.record];
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{:.4},{:.4},{}",
                i + 1,
                l.ecg_id,
                l.patient_id,
                l.fold,
                CLASSES[s.class],
                u8::from(s.noted),
                s.wrong,
                s.network,
                set.file(s.record).display()
            );
        }
        text
    }

    /// A page with the strips of the most doubtful entries.
    ///
    /// # Errors
    /// [`WorkshopError`] if a record cannot be read again.
    pub fn html(&self, bundle: &Arc<Bundle>, set: &PtbXl, top: usize) -> Result<String, WorkshopError> {
        let mut html = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>Label audit</title>\n<style>body{{font:15px/1.4 \
             sans-serif;max-width:70rem;margin:2rem auto}}section{{border-top:1px solid #ccc;padding:1rem 0}}svg{{max-width:100%;height:auto}}</style>\n\
             <h1>Label audit</h1><p>{} records, model {}. Estimated share of wrong entries: {:.1} %. An entry on this list \
             deserves a second look by a person; it is not thereby wrong, and nothing here is a diagnosis.</p>\n",
            self.records,
            bundle.id,
            self.rate * 100.0
        );
        for (i, s) in self.suspects.iter().take(top).enumerate() {
            let l = &set.labels[s.record];
            let of = |flags: [bool; 5]| {
                let names: Vec<&str> = CLASSES.iter().zip(flags).filter(|c| c.1).map(|c| *c.0).collect();
                names.join(" ")
            };
            let recording = read_recording(set.file(s.record))?;
            let mut strip = explain(bundle, &recording, vec![format!("record {}", l.ecg_id)], 0.0, STRIP_S)?;
            strip.picture.leads.retain(|t| t.lead.standard().is_some_and(|i| SHOWN.contains(&i)));
            let drawn = String::from_utf8_lossy(&strip.draw(Format::Svg)?).into_owned();
            let _ = writeln!(
                html,
                "<section><h2>{}. record {}: {} noted as {}</h2><p>Noted: {}. Probability that this entry is wrong {:.3}; the \
                 network gives {} {:.3}.</p>{drawn}</section>",
                i + 1,
                l.ecg_id,
                CLASSES[s.class],
                if s.noted { "present" } else { "absent" },
                of(l.classes),
                s.wrong,
                CLASSES[s.class],
                s.network
            );
        }
        Ok(html + "</html>\n")
    }
}
