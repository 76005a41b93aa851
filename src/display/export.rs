//! A strip to take away: 30 s before the key and 10 s after it, to scale, with the clusters' colours.
//!
//! The screen knows the trace as the smallest and largest value of each 20 ms; the strip is drawn from these and says
//! so. Nothing in it names a patient: only the bed's label.

use super::words;
use crate::snapshot::{BedView, Column, Second, Snapshot};
use crate::strip::{self, LeadTrace, LegendEntry, StepMark, StripPicture};
use contract::{Alert, BedId, LeadId, MonoMs};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, VecDeque};

const COLUMNS_HZ: usize = 50;
/// Before and after the key.
const BEFORE: usize = 30 * COLUMNS_HZ;
const AFTER_MS: u64 = 10_000;
const COLUMNS_MAX: usize = BEFORE + 10 * COLUMNS_HZ;
/// Samples a second of the strip: the two values of each column.
const RATE_HZ: f32 = 100.0;

/// The files of one strip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Name without extension: bed and time.
    pub name: String,
    /// Extension and bytes: SVG, PNG, CSV, JSON.
    pub files: Vec<(&'static str, Vec<u8>)>,
}

/// The last 40 s of one bed.
#[derive(Debug, Clone, Default)]
struct Memory {
    first: u64,
    columns: VecDeque<Column>,
    /// Of each column, the second it lies in.
    seconds: VecDeque<Second>,
}

/// Remembers traces and makes strips.
#[derive(Debug, Clone, Default)]
pub(super) struct Exporter {
    beds: BTreeMap<BedId, Memory>,
    asked: Option<(BedId, MonoMs)>,
    heard: Option<MonoMs>,
}

impl Exporter {
    /// Takes what is new of the traces. Beds that are gone are forgotten.
    pub fn hear(&mut self, snapshot: &Snapshot, now: MonoMs) {
        // Twice a second is often enough: a snapshot holds ten seconds.
        if self.heard.is_some_and(|at| now.since(at) < 500) {
            return;
        }
        self.heard = Some(now);
        self.beds.retain(|bed, _| snapshot.beds.iter().any(|b| b.bed == *bed));
        for bed in &snapshot.beds {
            self.beds.entry(bed.bed.clone()).or_default().hear(bed);
        }
    }

    /// Somebody wants a strip of this bed.
    pub fn begin(&mut self, bed: BedId, now: MonoMs) {
        self.asked.get_or_insert((bed, now));
    }

    /// The strip, once the seconds after the key have passed.
    pub fn take(
        &mut self,
        snapshot: &Snapshot,
        zone: &TimeZone,
        now: MonoMs,
    ) -> Option<Result<Export, String>> {
        let (bed, _) = self.asked.take_if(|(_, at)| now.since(*at) >= AFTER_MS)?;
        self.heard = None;
        self.hear(snapshot, now);
        let view = snapshot.beds.iter().find(|b| b.bed == bed);
        let made = view.zip(self.beds.get(&bed)).ok_or_else(|| "the bed is gone".to_owned());
        Some(made.and_then(|(view, memory)| memory.draw(view, snapshot, zone)))
    }
}

impl Memory {
    fn hear(&mut self, bed: &BedView) {
        let end = self.first + self.columns.len() as u64;
        let newest = bed.first_column + bed.columns.len() as u64;
        if self.columns.is_empty() || bed.first_column > end || newest < end {
            *self = Self { first: bed.first_column, ..Self::default() };
        }
        // The snapshot's columns replace ours: their clusters have become known since.
        let known = bed.first_column.saturating_sub(self.first) as usize;
        self.columns.truncate(known);
        self.columns.extend(&bed.columns);
        let new = self.columns.len() - self.seconds.len().min(self.columns.len());
        let second = |age: usize| bed.seconds.iter().rev().nth(age).copied().unwrap_or_default();
        self.seconds.extend((0..new).rev().map(|behind| second(behind / COLUMNS_HZ)));
        let over = self.columns.len().saturating_sub(COLUMNS_MAX);
        self.columns.drain(..over);
        self.seconds.drain(..over);
        self.first += over as u64;
    }

    fn draw(&self, bed: &BedView, snapshot: &Snapshot, zone: &TimeZone) -> Result<Export, String> {
        let lead = bed.lead.or(LeadId::new("II").ok()).ok_or("no lead is drawn")?;
        let now = snapshot.now.ok_or("the time is not known")?;
        let length_ms = (self.columns.len() / COLUMNS_HZ * 1_000) as i64;
        let began = now.after(-length_ms - words::signed(bed.sample_age_ms.unwrap_or(0)));
        let label = words::clean(&bed.label);
        let picture = StripPicture {
            title: vec![
                format!("bed {label}, lead {lead}"),
                "drawn from the screen's trace: smallest and largest value of each 20 ms".into(),
            ],
            start: words::clock(began, zone),
            rate_hz: RATE_HZ,
            leads: vec![LeadTrace { lead, samples_mv: self.samples() }],
            steps: self.steps(snapshot),
            step_s: 0.04,
            first_step_s: 0.0,
            entropy_band: bed.thresholds.entropy.map(|limit| [0.0, limit]),
            novelty_threshold: bed.thresholds.novelty,
            legend: self.legend(snapshot),
            evidence: Vec::new(),
            note: Alert::LIMITS.into(),
        };
        let said = |e: strip::StripError| e.to_string();
        let name: String = label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        Ok(Export {
            name: format!("strip-{name}-{}", words::clock(began, zone).replace(':', "")),
            files: vec![
                ("svg", strip::svg(&picture).map_err(said)?.into_bytes()),
                ("png", strip::png(&picture).map_err(said)?),
                ("csv", self.csv(&picture, snapshot).into_bytes()),
                ("json", strip::json(&picture).map_err(said)?.into_bytes()),
            ],
        })
    }

    fn samples(&self) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.columns.len() * 2);
        let mut before = f32::NAN;
        for c in &self.columns {
            // The nearer one first, so that the line does not jump back and forth.
            let rising = (before - c.min_mv).abs() <= (before - c.max_mv).abs() || before.is_nan();
            let pair = if rising { [c.min_mv, c.max_mv] } else { [c.max_mv, c.min_mv] };
            before = pair[1];
            out.extend(pair);
        }
        out
    }

    fn steps(&self, snapshot: &Snapshot) -> Vec<StepMark> {
        let pairs = (0..self.columns.len() / 2).map(|i| (&self.columns[2 * i], &self.seconds[2 * i]));
        let known = pairs.take_while(|(c, _)| c.cluster.is_some());
        known
            .map(|(c, second)| {
                let cluster = c.cluster.unwrap_or_default();
                let family = snapshot.clusters.get(usize::from(cluster)).map_or('?', |c| c.family.letter());
                StepMark {
                    cluster,
                    family,
                    entropy: second.entropy.unwrap_or(0.0),
                    novelty: second.novelty.unwrap_or(0.0),
                }
            })
            .collect()
    }

    fn legend(&self, snapshot: &Snapshot) -> Vec<LegendEntry> {
        let known: Vec<u8> = self.columns.iter().filter_map(|c| c.cluster).collect();
        let entry = |(k, name): (usize, &crate::snapshot::ClusterName)| {
            let count = known.iter().filter(|c| usize::from(**c) == k).count();
            (count > 0).then(|| LegendEntry {
                cluster: k as u8,
                family: name.family.letter(),
                name: words::clean(&name.name),
                share: count as f32 / known.len() as f32,
            })
        };
        snapshot.clusters.iter().enumerate().filter_map(entry).collect()
    }

    fn csv(&self, picture: &StripPicture, snapshot: &Snapshot) -> String {
        let mut out = format!("# {}\n", picture.title.join("\n# "));
        out += &format!(
            "# from {}; {}\nseconds,min_mv,max_mv,cluster,family,entropy,novelty\n",
            picture.start, picture.note
        );
        let number =
            |v: Option<f32>| v.filter(|v| v.is_finite()).map_or_else(String::new, |v| format!("{v:.3}"));
        for (i, (c, s)) in self.columns.iter().zip(&self.seconds).enumerate() {
            let family =
                c.cluster.and_then(|k| snapshot.clusters.get(usize::from(k))).map(|c| c.family.letter());
            out += &format!(
                "{:.2},{},{},{},{},{},{}\n",
                i as f64 / COLUMNS_HZ as f64,
                number(Some(c.min_mv)),
                number(Some(c.max_mv)),
                c.cluster.map_or_else(String::new, |k| k.to_string()),
                family.map_or_else(String::new, String::from),
                number(s.entropy),
                number(s.novelty)
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{BedState, ClusterName, Family};
    use contract::UtcMs;

    /// The ward when the trace has reached column `end`; clusters are known 100 columns later.
    fn ward(end: u64) -> Snapshot {
        let first = end.saturating_sub(500);
        let column = |n: u64| Column {
            min_mv: n as f32 / 1e4,
            max_mv: n as f32 / 1e4 + 0.1,
            cluster: (n + 100 < end).then_some((n % 2) as u8),
        };
        let bed = BedView {
            label: "Bay 7/<x>".into(),
            state: BedState::Live,
            sample_age_ms: Some(200),
            first_column: first,
            columns: (first..end).map(column).collect(),
            seconds: (0..90)
                .map(|i| Second { entropy: Some(i as f32 / 100.0), ..Second::default() })
                .collect(),
            ..BedView::unheard(BedId::new("s/u/b").expect("valid"))
        };
        let named = |family, name: &str| ClusterName { family, name: name.into() };
        Snapshot {
            now: Some(UtcMs(1_700_000_000_000 + end as i64 * 20)),
            beds: vec![bed],
            clusters: vec![named(Family::Q, "mostly QRS"), named(Family::T, "mostly T")],
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_strip_has_thirty_seconds_before_the_key_and_ten_after_it() {
        let mut exporter = Exporter::default();
        let bed = BedId::new("s/u/b").expect("valid");
        let (mut made, mut end) = (None, 500);
        for tick in 0..300_u64 {
            let now = MonoMs(tick * 200);
            end = 500 + tick * 10;
            exporter.hear(&ward(end), now);
            if tick == 200 {
                exporter.begin(bed.clone(), now);
            }
            made = made.or_else(|| exporter.take(&ward(end), &TimeZone::UTC, now));
            assert_eq!(made.is_some(), tick >= 250, "tick {tick}");
        }
        let export = made.expect("made").expect("drawn");
        assert!(export.name.starts_with("strip-Bay-7--x--"), "{}", export.name);
        let kinds: Vec<&str> = export.files.iter().map(|f| f.0).collect();
        assert_eq!(kinds, ["svg", "png", "csv", "json"]);
        let csv = String::from_utf8(export.files[2].1.clone()).expect("text");
        let rows: Vec<&str> = csv.lines().filter(|l| l.starts_with(|c: char| c.is_ascii_digit())).collect();
        assert_eq!(rows.len(), 2_000);
        // Clusters that became known later are in it; the newest two seconds are not known yet.
        let known = rows.iter().filter(|r| r.contains(",Q,") || r.contains(",T,")).count();
        assert_eq!(known, 1_900);
        assert!(rows[0].starts_with("0.00,") && rows[1_999].starts_with("39.98,"));
        let svg = String::from_utf8(export.files[0].1.clone()).expect("text");
        assert!(svg.contains("25 mm/s  10 mm/mV") && svg.contains("bed Bay 7/&lt;x&gt;"));
        assert!(end > 3_000);
    }

    #[test]
    fn a_bed_that_went_gives_no_strip() {
        let mut exporter = Exporter::default();
        exporter.begin(BedId::new("s/u/gone").expect("valid"), MonoMs(0));
        let told = exporter.take(&ward(600), &TimeZone::UTC, MonoMs(10_000));
        assert_eq!(told, Some(Err("the bed is gone".into())));
    }
}
