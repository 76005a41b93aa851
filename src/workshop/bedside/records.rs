//! The recordings of the bench: whose they are, how long, and what happens in them.

use crate::pipeline::Recording;
use crate::workshop::dataset::DatasetError;
use contract::{BedId, LeadId};
use recordings::{Annotation, annotations};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where a recording comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Set {
    /// Alarms of intensive-care monitors, true and false.
    Cinc2015,
    /// Holter recordings with rhythms annotated.
    Mitdb,
    /// One Holter recording with noise added.
    Nstdb,
    /// Quiet recordings of 15 minutes.
    Qtdb,
}

impl Set {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cinc2015, Self::Mitdb, Self::Nstdb, Self::Qtdb];

    /// Its folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cinc2015 => "cinc2015",
            Self::Mitdb => "mitdb",
            Self::Nstdb => "nstdb",
            Self::Qtdb => "qtdb",
        }
    }
}

/// What happens. The names serve the workshop's tables and never a bedside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// No beat for 4 s.
    Asystole,
    /// Slow.
    Brady,
    /// Fast.
    Tachy,
    /// Ventricular flutter or fibrillation.
    Vf,
    /// Ventricular tachycardia.
    Vt,
    /// Atrial fibrillation or flutter.
    Af,
    /// Noise that was added.
    Noise,
}

impl Kind {
    /// The alarm types of the intensive-care recordings.
    pub const ALARMS: [Self; 5] = [Self::Asystole, Self::Vf, Self::Vt, Self::Brady, Self::Tachy];

    /// As in the keys of the summary.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Asystole => "asystole",
            Self::Brady => "brady",
            Self::Tachy => "tachy",
            Self::Vf => "vf",
            Self::Vt => "vt",
            Self::Af => "af",
            Self::Noise => "noise",
        }
    }
}

/// A stretch of a recording in which something happens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What.
    pub kind: Kind,
    /// Its beginning, in seconds from the recording's.
    pub from_s: f64,
    /// Its end.
    pub to_s: f64,
}

/// The monitor's alarm of an intensive-care recording.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// What the monitor said.
    pub kind: Kind,
    /// When, in seconds from the recording's beginning; what it is about began up to 10 s before.
    pub at_s: f64,
    /// Whether experts found it true.
    pub truth: bool,
}

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Where from.
    pub set: Set,
    /// Its name.
    pub name: String,
    /// Whose: equal numbers are one person, in whatever set.
    pub patient: u32,
    /// Its files, without extension.
    pub path: PathBuf,
    /// The monitor's alarm, if that is what it was recorded for.
    pub alarm: Option<Alarm>,
    /// What happens in it.
    pub events: Vec<Event>,
    /// Whether its rhythm is annotated as normal throughout.
    pub normal: bool,
}

/// Holter leads without a standard name stand for these.
const UNNAMED: [&str; 2] = ["II", "V5"];
/// The alarm of `cinc2015` is at this second of the cut recordings.
const ALARM_S: f64 = 120.0;

fn table(folder: &Path) -> Result<Vec<(String, Alarm)>, DatasetError> {
    let path = folder.join("alarms.csv");
    let fault = |why: String| DatasetError::Table { path: path.clone(), why };
    let mut reader = csv::Reader::from_path(&path).map_err(|e| fault(e.to_string()))?;
    let mut rows = Vec::new();
    for (line, row) in reader.records().enumerate() {
        let row = row.map_err(|e| fault(e.to_string()))?;
        let cell = |at: usize| row.get(at).unwrap_or_default();
        let kind = match cell(1) {
            "Asystole" => Kind::Asystole,
            "Bradycardia" => Kind::Brady,
            "Tachycardia" => Kind::Tachy,
            "Ventricular_Flutter_Fib" => Kind::Vf,
            "Ventricular_Tachycardia" => Kind::Vt,
            other => return Err(fault(format!("line {}: alarm {other:?} is not known", line + 2))),
        };
        rows.push((cell(0).to_string(), Alarm { kind, at_s: ALARM_S, truth: cell(2) == "1" }));
    }
    Ok(rows)
}

fn alarms(folder: &Path) -> Result<Vec<Record>, DatasetError> {
    let record = |(i, (name, alarm)): (usize, (String, Alarm))| Record {
        set: Set::Cinc2015,
        path: folder.join(&name),
        name,
        // Nobody says which of them are one person's: each counts as one.
        patient: 10_000 + i as u32,
        alarm: Some(alarm),
        events: Vec::new(),
        normal: false,
    };
    Ok(table(folder)?.into_iter().enumerate().map(record).collect())
}

/// The rhythm of a mark that tells one.
fn rhythm(mark: &Annotation) -> Option<&str> {
    mark.aux.starts_with('(').then_some(mark.aux.as_str())
}

fn kind(rhythm: &str) -> Option<Kind> {
    match rhythm {
        "(AFIB" | "(AFL" => Some(Kind::Af),
        "(VT" => Some(Kind::Vt),
        "(VFL" => Some(Kind::Vf),
        _ => None,
    }
}

/// Events and whether all is normal, from rhythm marks.
fn rhythms(marks: &[Annotation], rate_hz: f64, length_s: f64) -> (Vec<Event>, bool) {
    let told: Vec<(f64, &str)> =
        marks.iter().filter_map(|m| Some((m.sample as f64 / rate_hz, rhythm(m)?))).collect();
    let ends = told.iter().skip(1).map(|t| t.0).chain([length_s]);
    let events = told.iter().zip(ends);
    let events =
        events.filter_map(|(&(from_s, r), to_s)| Some(Event { kind: kind(r)?, from_s, to_s })).collect();
    (events, !told.is_empty() && told.iter().all(|t| t.1 == "(N"))
}

/// The person of a record: excerpts in other sets are of the same one.
fn person(set: Set, name: &str) -> u32 {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    let number: u32 = digits.parse().unwrap_or(0);
    match set {
        Set::Nstdb => 118,
        Set::Qtdb if name.starts_with("sele") => 20_000 + number,
        Set::Qtdb if number >= 300 => 30_000 + number,
        _ => number,
    }
}

fn annotated(set: Set, folder: &Path) -> Result<Vec<Record>, DatasetError> {
    let mut all = Vec::new();
    for path in recordings::list(folder)? {
        let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let noise_alone = set == Set::Nstdb && !name.starts_with("118e");
        if noise_alone {
            continue;
        }
        let record = recordings::Record::read(&path)?;
        let length_s = record.length as f64 / record.rate_hz;
        let (events, normal) = match set {
            Set::Mitdb => rhythms(&annotations(&path, "atr")?, record.rate_hz, length_s),
            Set::Nstdb => (noisy(length_s), true),
            _ => (Vec::new(), false),
        };
        all.push(Record { patient: person(set, &name), set, name, path, alarm: None, events, normal });
    }
    Ok(all)
}

/// Noise begins 5 min in, two minutes on, two off.
fn noisy(length_s: f64) -> Vec<Event> {
    let from = (0..).map(|k| 300.0 + 240.0 * f64::from(k)).take_while(|from| *from < length_s);
    from.map(|from_s| Event { kind: Kind::Noise, from_s, to_s: (from_s + 120.0).min(length_s) }).collect()
}

/// All recordings below `data`, of the sets that are there.
///
/// # Errors
/// [`DatasetError`] names the file and what is wrong with it.
pub fn records(data: &Path) -> Result<Vec<Record>, DatasetError> {
    let mut all = Vec::new();
    for set in Set::ALL {
        let folder = data.join(set.name());
        if folder.is_dir() {
            all.extend(if set == Set::Cinc2015 { alarms(&folder)? } else { annotated(set, &folder)? });
        }
    }
    Ok(all)
}

impl Record {
    /// Its ECG leads as a bed.
    ///
    /// # Errors
    /// [`DatasetError`] names the file and what is wrong with it.
    pub fn read(&self) -> Result<Recording, DatasetError> {
        let record = recordings::Record::read(&self.path)?;
        let fault = |why: String| DatasetError::Record { path: self.path.clone(), why };
        let rate = record.rate().map_err(|e| fault(e.to_string()))?;
        let (mut leads, mut samples_mv) = (Vec::new(), Vec::new());
        let mut nameless = UNNAMED.iter();
        for (i, signal) in record.signals.iter().enumerate() {
            let Some(mv) = record.signal_mv(i) else { continue };
            let named = LeadId::new(&signal.name).ok().filter(|lead| lead.standard().is_some());
            let unnamed =
                || nameless.next().filter(|_| self.set == Set::Qtdb).and_then(|n| LeadId::new(n).ok());
            let Some(lead) = named.or_else(unnamed) else { continue };
            if !leads.contains(&lead) {
                leads.push(lead);
                samples_mv.push(mv);
            }
        }
        let bed = BedId::new(&format!("bench/{}/{}", self.set.name(), self.name));
        let bed = bed.map_err(|e| fault(e.to_string()))?;
        Ok(Recording { bed, leads, rate, samples_mv })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(sample: u64, aux: &str) -> Annotation {
        Annotation { sample, code: 28, aux: aux.into(), ..Annotation::default() }
    }

    #[test]
    fn a_rhythm_lasts_until_the_next_is_told() {
        let (events, normal) =
            rhythms(&[mark(0, "(N"), mark(3_600, "(AFIB"), mark(7_200, "(N")], 360.0, 60.0);
        assert_eq!(events, [Event { kind: Kind::Af, from_s: 10.0, to_s: 20.0 }]);
        assert!(!normal && rhythms(&[mark(5, "(N")], 360.0, 60.0).1 && !rhythms(&[], 360.0, 60.0).1);
    }

    #[test]
    fn excerpts_of_one_recording_are_one_person() {
        assert_eq!(person(Set::Qtdb, "sel100"), person(Set::Mitdb, "100"));
        assert_eq!(person(Set::Nstdb, "118e06"), person(Set::Mitdb, "118"));
        assert_ne!(person(Set::Qtdb, "sele0104"), person(Set::Mitdb, "104"));
    }

    #[test]
    fn noise_comes_in_stretches_of_two_minutes() {
        let starts: Vec<f64> = noisy(800.0).iter().map(|e| e.from_s).collect();
        assert_eq!(starts, [300.0, 540.0, 780.0]);
    }
}
