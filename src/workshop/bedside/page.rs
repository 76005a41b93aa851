//! The report to leaf through: the tables, what the signal gate does, what a budget means, and every moment with its strip.

use super::bench::{Bench, SHIPPED};
use super::budget::{Budget, Spread};
use super::gate::Gate;
use super::leaf::{Fate, Leaf};
use super::operate::Sensitivity;
use super::rows::{Figures, KINDS};
use crate::workshop::evaluate::Interval;
use contract::Alert;
use std::fmt::Write;

fn interval(i: Interval) -> String {
    format!("{:.2} ({:.2}–{:.2})", i.value, i.low, i.high)
}

fn rows(figures: &[Figures]) -> String {
    let mut html = String::from(
        "<table><tr><th>score</th><th>AUROC all</th><th>VT</th><th>with a verdict: all</th><th>VT</th>",
    );
    for at in figures.first().map(|f| f.at.as_slice()).unwrap_or_default() {
        let _ = write!(html, "<th>{} an hour: all / VT [realised]</th>", at.per_hour);
    }
    html.push_str("</tr>\n");
    for row in figures {
        let _ = write!(html, "<tr><td>{}</td>", row.name);
        for auroc in [&row.auroc, &row.auroc_read] {
            for kind in ["all", "vt"] {
                let share = auroc.get(kind).map_or_else(String::new, |s| interval(s.share));
                let _ = write!(html, "<td>{share}</td>");
            }
        }
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

/// What the signal gate removes, hides and leaves without a verdict, in plain sentences.
#[must_use]
pub fn gate_told(gate: &Gate) -> Vec<String> {
    let mut told = vec![
        format!(
            "The signal gate removes {} of {} false advisories at {} an hour ({:.1} bed-hours).",
            gate.removed(),
            gate.alerts.ungated,
            gate.per_hour,
            gate.hours
        ),
        format!(
            "It hides {} of {} true events; {} are told with it, {} without.",
            gate.hidden, gate.events, gate.told.gated, gate.told.ungated
        ),
        format!(
            "In {:.0} min of added noise (nstdb): {} advisories with it, {} without.",
            gate.noise_minutes, gate.noise.gated, gate.noise.ungated
        ),
    ];
    for (set, silence) in &gate.silence {
        let share = |n: usize| 100.0 * n as f64 / silence.seconds.max(1) as f64;
        told.push(format!(
            "{set}: {:.1} % of {} judged seconds have no verdict, {:.1} % because of the gate.",
            share(silence.without_verdict),
            silence.seconds,
            share(silence.held_by_gate)
        ));
    }
    told
}

/// What the clusters add, in plain sentences.
#[must_use]
pub fn gains_told(bench: &Bench) -> Vec<String> {
    let both = [
        ("the fused score", bench.gain_at_1),
        ("boosted trees on the same channels", bench.gain_of_trees_at_1),
    ];
    let line = |(what, gain): (&str, Option<Sensitivity>)| {
        let g = gain?.share;
        Some(format!(
            "At {SHIPPED} an hour the clusters add {:+.2} ({:+.2} to {:+.2}) to {what}, against the same without them.",
            g.value, g.low, g.high
        ))
    };
    both.into_iter().filter_map(line).collect()
}

fn gate(gate: &Gate) -> String {
    let lines: Vec<String> = gate_told(gate).iter().map(|line| format!("<li>{line}</li>")).collect();
    format!("<h2>Artefact</h2>\n<ul>\n{}\n</ul>\n", lines.join("\n"))
}

fn budgets(budgets: &[Budget]) -> String {
    let Some(first) = budgets.first() else { return String::new() };
    let mut html = format!(
        "<h2>Does a budget mean the same on every bed?</h2>\n<p>{} long recordings (mitdb, qtdb), {:.1} bed-hours, that the \
         score never saw: alerts an hour, in brackets the standard deviation over beds, the highest bed, and the share of \
         beds above twice the budget.</p>\n<table><tr><th>budget an hour</th><th>population's limit</th><th>with the \
         bed's own tail (shipped: only upward)</th><th>both ways</th></tr>\n",
        first.beds, first.hours
    );
    let cell = |s: &Spread| {
        format!("{:.2} [{:.1}; {:.1}; {:.0} %]", s.per_hour, s.sd, s.highest, 100.0 * s.above_twice)
    };
    for b in budgets {
        let [population, own, both] = [&b.population, &b.own, &b.both_ways].map(cell);
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{population}</td><td>{own}</td><td>{both}</td></tr>",
            b.per_hour
        );
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
    let _ = writeln!(html, "<p>{}</p>", gains_told(bench).join("<br>"));
    if let Some(fused) = bench.rows.first() {
        html.push_str("<h2>The fused score by kind of event</h2>\n");
        html.push_str(&by_kind(fused));
    }
    html.push_str(&gate(&bench.gate));
    html.push_str(&budgets(&bench.budgets));
    let _ = writeln!(
        html,
        "<h2>Strips at {SHIPPED} alert an hour</h2>\n<p>Under each trace its clusters by their family's letter, entropy \
         and novelty. In mitdb and nstdb the score never saw the patient; what is annotated is the rhythm.</p>"
    );
    for fate in [Fate::Told, Fate::Missed, Fate::False] {
        let own: Vec<&Leaf> = leaves.iter().filter(|l| l.fate == fate).collect();
        let _ = writeln!(html, "<details><summary>{}: {}</summary>", fate.word(), own.len());
        for leaf in own {
            let _ = writeln!(
                html,
                "<p>{} · {} · second {} · {}</p><img loading=\"lazy\" src=\"strips/{}\" alt=\"{}\">",
                leaf.what, leaf.name, leaf.at_s, leaf.said, leaf.file, leaf.name
            );
        }
        html.push_str("</details>\n");
    }
    html + "</html>\n"
}
