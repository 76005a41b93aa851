//! The report to leaf through: a strip of every event told, every event missed and every false alert at one budget, with
//! what was said.

use super::bench::{Bench, SHIPPED};
use super::fit::{Fit, cross_validated};
use super::operate::raised;
use super::rows::{Figures, KINDS};
use super::scene::{AFTER_S, BEFORE_S, Scene, of};
use super::{NONE, Set, Track};
use crate::model::Bundle;
use crate::pipeline::{Channel, channels};
use crate::strip::{self, LeadTrace, StripPicture};
use crate::workshop::WorkshopError;
use crate::workshop::evaluate::Interval;
use contract::Alert;
use rayon::prelude::*;
use std::fmt::Write;

/// What a strip shows, in seconds, and how much of it before the moment in question.
const STRIP_S: usize = 10;
const LEAD_IN_S: usize = 8;
/// Samples a second that are drawn: enough to see shapes, small enough to keep hundreds of strips.
const DRAWN_HZ: f64 = 62.5;

/// What became of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// An event, told in time.
    Told,
    /// An event, not told.
    Missed,
    /// An alert where no event is annotated.
    False,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Missed => "missed",
            Self::False => "false alert",
        }
    }
}

/// One moment with its strip.
pub struct Leaf {
    fate: Fate,
    /// Kind of the monitor's alarm, and whether it was true.
    alarm: String,
    name: String,
    at_s: usize,
    said: String,
    /// The strip's file and its bytes.
    pub file: String,
    /// SVG.
    pub svg: String,
}

fn said(fit: &Fit, channels: &[Channel], values: Option<&Vec<f32>>, score: f32, limit: f32) -> String {
    let Some(values) = values else { return "no verdict: signal not good or not read".into() };
    let mut parts = fit.parts(values, channels);
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    let parts = parts.iter().take(3).map(|(group, part)| format!("{} {part:+.1}", group.word()));
    format!("score {score:.1}, limit {limit:.1}; {}", parts.collect::<Vec<_>>().join(", "))
}

fn draw(scene: &Scene, title: Vec<String>, at_s: usize) -> Result<String, WorkshopError> {
    let recording = scene.record.read()?;
    let rate = recording.rate.as_f64();
    let from_s = at_s.saturating_sub(LEAD_IN_S);
    let lead =
        |(lead, mv): (&contract::LeadId, &Vec<f32>)| {
            let at = |i: usize| ((from_s as f64 + i as f64 / DRAWN_HZ) * rate) as usize;
            let samples =
                (0..(STRIP_S as f64 * DRAWN_HZ) as usize).map_while(|i| {
                    // The farthest sample from the middle of each piece, so that no narrow wave is lost.
                    let piece = mv.get(at(i)..at(i + 1).min(mv.len())).filter(|p| !p.is_empty())?;
                    let middle = piece[0];
                    Some(piece.iter().copied().fold(middle, |far, v| {
                        if (v - middle).abs() > (far - middle).abs() { v } else { far }
                    }))
                });
            LeadTrace { lead: *lead, samples_mv: samples.collect() }
        };
    let picture = StripPicture {
        title,
        start: format!("{from_s} s of the recording"),
        rate_hz: DRAWN_HZ as f32,
        leads: recording.leads.iter().zip(&recording.samples_mv).take(1).map(lead).collect(),
        note: Alert::LIMITS.into(),
        ..StripPicture::default()
    };
    Ok(strip::svg(&picture)?)
}

/// Every moment of the intensive-care recordings, judged by fits and limits that did not see the patient.
///
/// # Errors
/// [`WorkshopError`] if a recording cannot be read or drawn.
pub fn leaves(bundle: &Bundle, scenes: &[Scene]) -> Result<Vec<Leaf>, WorkshopError> {
    let channels = &channels(bundle.codebook.clusters);
    let scenes: Vec<&Scene> = of(scenes, Set::Cinc2015).collect();
    let all: Vec<usize> = (0..channels.len()).collect();
    let fits = cross_validated(&scenes, &all);
    let tracks: Vec<Track> = scenes.iter().zip(&fits).map(|(s, f)| s.track(|v| f.score(v))).collect();
    let raised = raised(&tracks, SHIPPED);
    let mut moments = Vec::new();
    for (i, (scene, (alerts, limit))) in scenes.iter().zip(raised).enumerate() {
        let Some(alarm) = scene.record.alarm else { continue };
        let window = alarm.at_s as usize - BEFORE_S..alarm.at_s as usize + AFTER_S;
        let told = alerts.iter().copied().find(|t| window.contains(t));
        if alarm.truth {
            // A missed one is shown at the alarm, with the best second of its window.
            let best = window.clone().max_by(|a, b| {
                let of = |t: &usize| tracks[i].scores.get(*t).copied().unwrap_or(NONE);
                of(a).total_cmp(&of(b)).then(b.cmp(a))
            });
            let fate = if told.is_some() { Fate::Told } else { Fate::Missed };
            moments.push((fate, i, told.or(best).unwrap_or(window.start), limit));
        }
        let wrong = alerts.iter().filter(|t| !window.contains(t) || !alarm.truth);
        moments.extend(wrong.map(|t| (Fate::False, i, *t, limit)));
    }
    let leaf = |&(fate, i, at_s, limit): &(Fate, usize, usize, f32)| {
        let (scene, alarm) = (scenes[i], scenes[i].record.alarm);
        let alarm = alarm.map_or_else(String::new, |a| {
            format!("{} ({})", a.kind.name(), if a.truth { "true alarm" } else { "false alarm" })
        });
        let score = tracks[i].scores.get(at_s).copied().unwrap_or(NONE);
        let values = scene.values.get(at_s).and_then(Option::as_ref);
        let said = said(&fits[i], channels, values, score, limit);
        let name = scene.record.name.clone();
        let title = vec![format!("{name}, second {at_s}: {}", fate.word()), alarm.clone()];
        let file = format!("{name}-{at_s}.svg");
        Ok(Leaf { fate, alarm, said, at_s, file, svg: draw(scene, title, at_s)?, name })
    };
    let mut leaves: Vec<Leaf> = moments.par_iter().map(leaf).collect::<Result<_, WorkshopError>>()?;
    leaves.sort_by(|a, b| (a.fate, &a.alarm, &a.name).cmp(&(b.fate, &b.alarm, &b.name)));
    Ok(leaves)
}

fn interval(i: Interval) -> String {
    format!("{:.2} ({:.2}–{:.2})", i.value, i.low, i.high)
}

fn rows(figures: &[Figures]) -> String {
    let mut html = String::from("<table><tr><th>score</th><th>AUROC all</th><th>AUROC VT</th>");
    for at in figures.first().map(|f| f.at.as_slice()).unwrap_or_default() {
        let _ = write!(html, "<th>{} an hour: all / VT [realised]</th>", at.per_hour);
    }
    html.push_str("</tr>\n");
    for row in figures {
        let auroc = |kind| row.auroc.get(kind).map_or_else(String::new, |s| interval(s.share));
        let _ = write!(html, "<tr><td>{}</td><td>{}</td><td>{}</td>", row.name, auroc("all"), auroc("vt"));
        for at in &row.at {
            let told = |kind| at.sensitivity.get(kind).map_or(f64::NAN, |s| s.share.value);
            let all = at.sensitivity.get("all").map_or_else(String::new, |s| interval(s.share));
            let _ = write!(html, "<td>{all} / {:.2} [{:.1}]</td>", told("vt"), at.realised);
        }
        html.push_str("</tr>\n");
    }
    html + "</table>\n"
}

fn by_kind(figures: &Figures) -> String {
    let mut html = String::from("<table><tr><th>event</th><th>number</th>");
    for at in &figures.at {
        let _ = write!(html, "<th>told at {} an hour</th>", at.per_hour);
    }
    html.push_str("</tr>\n");
    for (kind, _) in KINDS {
        let events = figures.auroc.get(kind).map_or(0, |s| s.events);
        let _ = write!(html, "<tr><td>{kind}</td><td>{events}</td>");
        for at in &figures.at {
            let _ = write!(
                html,
                "<td>{}</td>",
                at.sensitivity.get(kind).map_or_else(String::new, |s| interval(s.share))
            );
        }
        html.push_str("</tr>\n");
    }
    html + "</table>\n"
}

/// The page.
#[must_use]
pub fn page(bench: &Bench, leaves: &[Leaf]) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Wardbeat: alerts on recordings</title>\
         <style>body{{font:15px sans-serif;max-width:1200px;margin:2em auto}}table{{border-collapse:collapse}}\
         td,th{{border:1px solid #bbb;padding:3px 7px;text-align:left}}img{{width:100%;max-width:1000px;display:block}}\
         summary{{font-weight:bold;margin:.6em 0}}</style>\n<h1>Alerts on recordings with known events</h1>\n\
         <p>Bundle {}. {} recordings of the 2015 challenge, {:.1} bed-hours before their alarms; {} of them ({} true \
         alarms) never reach a verdict (leads that are not read, signal that is not good) and count as missed. Scores and limits never saw the patient \
         they judge; 95 % intervals by bootstrap over patients. {}</p>\n",
        bench.model,
        bench.recordings,
        bench.hours,
        bench.silent[0],
        bench.silent[1],
        Alert::LIMITS
    );
    html.push_str(&rows(&bench.rows));
    if let Some(fused) = bench.rows.first() {
        html.push_str("<h2>The fused score by kind of event</h2>\n");
        html.push_str(&by_kind(fused));
    }
    let _ = writeln!(html, "<h2>Strips at {SHIPPED} alert an hour</h2>");
    for fate in [Fate::Told, Fate::Missed, Fate::False] {
        let own: Vec<&Leaf> = leaves.iter().filter(|l| l.fate == fate).collect();
        let _ = writeln!(html, "<details><summary>{}: {}</summary>", fate.word(), own.len());
        for leaf in own {
            let _ = writeln!(
                html,
                "<p>{} · {} · second {} · {}</p><img loading=\"lazy\" src=\"strips/{}\" alt=\"{}\">",
                leaf.alarm, leaf.name, leaf.at_s, leaf.said, leaf.file, leaf.name
            );
        }
        html.push_str("</details>\n");
    }
    html + "</html>\n"
}
