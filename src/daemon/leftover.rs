//! What an earlier run left in the journal, bed by bed, for the wards to take up.

use super::journal::{Asked, Order, Reader};
use crate::pipeline::{Left, Now, Ward};
use crate::snapshot::Mark;
use contract::{AlertClass, AlertId, BedId, Code, Command, MarkAt, Phase, UtcMs, Verb};
use std::collections::{BTreeMap, VecDeque};

/// Caps and marks look back so far.
const DAY_MS: i64 = 24 * 3_600_000;

/// Reads what was left, but for the node's own alert, which `node` takes up. A trend counts for its model only.
///
/// # Errors
/// The disk's.
pub fn read(reader: &Reader, model: &str, now: UtcMs) -> rusqlite::Result<Vec<Left>> {
    let mut beds = BTreeMap::<BedId, Left>::new();
    let mut of = |bed: BedId, change: &dyn Fn(&mut Left)| {
        let empty = Left {
            bed: bed.clone(),
            open: Vec::new(),
            seen: Vec::new(),
            let_out_s_ago: Vec::new(),
            ended_s_ago: Vec::new(),
            marks: Vec::new(),
            trend: Vec::new(),
        };
        change(beds.entry(bed).or_insert(empty));
    };
    let s_ago = |at: UtcMs| (now.0 - at.0).max(0).unsigned_abs() / 1_000;
    for alert in reader.open_alerts(i64::MAX)?.into_iter().map(|e| e.alert).filter(|a| a.code != Code::Node) {
        let Some(bed) = alert.bed_id() else { continue };
        of(bed, &|left| left.open.push(alert.clone()));
    }
    let since = now.after(-DAY_MS);
    for entry in reader.since(since, i64::MAX)? {
        let (alert, ago) = (&entry.alert, s_ago(entry.at));
        let Some(bed) = alert.bed_id() else { continue };
        match alert.phase {
            Phase::Start if alert.class == AlertClass::Analysis => {
                of(bed, &|left| left.let_out_s_ago.push(ago));
            }
            Phase::End => of(bed, &|left| {
                left.ended_s_ago.retain(|e| e.0 != alert.code);
                left.ended_s_ago.push((alert.code, ago));
            }),
            _ => {}
        }
    }
    for asked in reader.asked(since)? {
        let Ok(bed) = BedId::new(&asked.bed) else { continue };
        match asked.verb {
            Verb::Ack => {
                of(bed, &|left| left.seen.push((AlertId(asked.alert.clone()), asked.by.clone(), asked.at)));
            }
            Verb::Mark => {
                let Some(mark) = mark(&bed, &asked) else { continue };
                of(bed, &|left| left.marks.push(mark.clone()));
            }
            _ => {}
        }
    }
    for (bed, point) in reader.trend(model, since)? {
        let Ok(bed) = BedId::new(&bed) else { continue };
        of(bed, &|left| left.trend.push(point));
    }
    Ok(beds.into_values().filter(|left| !left.bed.unit().starts_with('_')).collect())
}

fn mark(bed: &BedId, asked: &Asked) -> Option<Mark> {
    let Command::Mark { at, letter, note } = Command::read(asked.verb, bed, &asked.args).ok()? else {
        return None;
    };
    let at = if let MarkAt::Time(time) = at { time } else { asked.at };
    Some(Mark { at, letter, note })
}

/// Gives a ward what was left of its beds; gives the orders that follow.
pub fn take_up<'a>(ward: &mut Ward, left: impl Iterator<Item = &'a Left>, now: Now) -> VecDeque<Order> {
    let ends = left.flat_map(|left| ward.reopen(left, now)).collect::<Vec<_>>();
    ends.into_iter().map(|end| Order::Alert(Box::new(end), now.utc)).collect()
}
