//! The rehearsal as one page to leaf through: a row a bed and day, then every moment with its strip.

use super::{Day, Moment, Rehearsed};
use crate::workshop::report::html;
use contract::Alert;
use std::collections::BTreeMap;
use std::fmt::Write;

const STYLE: &str = "body{font:15px sans-serif;max-width:1200px;margin:2em auto;padding:0 1em}\
table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:3px 7px;text-align:left}\
svg{width:100%;max-width:1000px;height:auto;display:block}summary{font-weight:bold;margin:.6em 0;cursor:pointer}\
.held{color:#666}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn counts(of: &BTreeMap<String, u64>) -> String {
    let told: Vec<String> = of.iter().map(|(what, n)| format!("{n} {what}")).collect();
    if told.is_empty() { "–".into() } else { told.join(", ") }
}

fn row(bed: &Rehearsed, name: &str, day: &Day) -> Vec<String> {
    let hours = |seconds: u64| format!("{:.1}", seconds as f64 / 3_600.0);
    vec![
        escape(bed.bed.as_str()),
        name.into(),
        hours(day.seconds),
        hours(day.judged),
        counts(&day.said),
        counts(&day.listed),
        counts(&day.technical),
    ]
}

fn moment(html: &mut String, moment: &Moment) {
    let held = moment.held.as_ref().map_or_else(
        || "said".to_owned(),
        |why| format!("<span class=\"held\">listed only: {}</span>", escape(why)),
    );
    let _ = writeln!(
        html,
        "<p>{} · {} {} · {held}<br>{}</p>",
        moment.at,
        moment.code,
        moment.level,
        escape(&moment.text)
    );
    html.push_str(moment.strip.as_deref().unwrap_or(""));
}

/// The page; `about` says what was rehearsed: config, model.
#[must_use]
pub fn page(beds: &[Rehearsed], about: &str) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Wardbeat: rehearsal</title>\
         <style>{STYLE}</style>\n<h1>What would have been raised</h1>\n<p>{}</p>\n<p>{}</p>\n<p>Each bed begins \
         unknown: until its learning time is over nothing is said. Silence and clocks are not rehearsed. Listed only: on the \
         screen's review list, nobody is called (cap: beyond the hour's or day's number; below: below the budget; lesser: \
         beside a greater alert). Days are UTC.</p>\n",
        escape(about),
        Alert::LIMITS
    );
    let rows: Vec<Vec<String>> =
        beds.iter().flat_map(|bed| bed.days.iter().map(|(name, day)| row(bed, name, day))).collect();
    let head = ["bed", "day", "hours", "hours judged", "said", "listed only", "technical"];
    page.push_str(&html::table(&head, &rows));
    for bed in beds.iter().filter(|b| b.fault.is_some()) {
        let fault = escape(bed.fault.as_deref().unwrap_or_default());
        let _ = writeln!(page, "<p>{} ends early: {fault}</p>", escape(bed.bed.as_str()));
    }
    for bed in beds.iter().filter(|b| !b.moments.is_empty()) {
        let _ = writeln!(page, "<h2>{}</h2>", escape(bed.bed.as_str()));
        for day in bed.days.keys() {
            let own: Vec<&Moment> = bed.moments.iter().filter(|m| m.day == *day).collect();
            if own.is_empty() {
                continue;
            }
            let drawn = own.iter().filter(|m| m.strip.is_some()).count();
            let few =
                if drawn < own.len() { format!(", the first {drawn} with strips") } else { String::new() };
            let _ = writeln!(page, "<details><summary>{day}: {}{few}</summary>", own.len());
            for own in own {
                moment(&mut page, own);
            }
            page.push_str("</details>\n");
        }
    }
    page + "</html>\n"
}
