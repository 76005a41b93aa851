//! The words of the page: tables, and figures with their spread.

use crate::workshop::evaluate::{Interval, OverFolds};
use std::fmt::Write;

/// A table from its head and rows of cells (HTML).
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = String::from("<table><tr>");
    for cell in head {
        let _ = write!(html, "<th>{cell}</th>");
    }
    html.push_str("</tr>\n");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            let _ = write!(html, "<td>{cell}</td>");
        }
        html.push_str("</tr>\n");
    }
    html + "</table>\n"
}

/// Mean and deviation of shares, in percent.
pub fn percent(f: &OverFolds) -> String {
    format!("{:.1} ± {:.1} %", f.mean * 100.0, f.sd * 100.0)
}

/// Mean and deviation.
pub fn score(f: &OverFolds) -> String {
    format!("{:.3} ± {:.3}", f.mean, f.sd)
}

/// A figure with its interval.
pub fn interval(i: Interval) -> String {
    format!("{:.3} ({:.3} to {:.3})", i.value, i.low, i.high)
}
