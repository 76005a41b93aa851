//! Words, marks and times: everything the screen says about a state is said here, once.

use crate::snapshot::BedState;
use contract::{Code, Level, UtcMs};
use jiff::{Timestamp, tz::TimeZone};
use ratatui::text::Span;
use unicode_normalization::UnicodeNormalization;

/// The line that stands at the foot of every ward view.
pub(super) const NOT_AN_ALARM: &str = "Not an alarm system; bedside monitors stay primary.";

/// A hill where the font has braille: the test line of the glyphs.
pub(super) const HILL: &str = "\u{2880}\u{28e0}\u{28f4}\u{28fe}\u{28ff}\u{28f7}\u{28e6}\u{28c4}\u{2840}";

/// The mark of a data state: `x` not watched, `~` delayed, `=` paused, `o` learning.
pub(super) fn state_mark(state: BedState) -> &'static str {
    match state {
        BedState::Live => "",
        BedState::Delayed => "~",
        BedState::Stopped | BedState::LeadOff | BedState::Noisy => "x",
        BedState::Learning => "o",
        BedState::Paused => "=",
    }
}

/// The word of a data state.
pub(super) fn state_word(state: BedState) -> &'static str {
    match state {
        BedState::Live => "LIVE",
        BedState::Delayed => "DELAYED",
        BedState::Stopped => "STOPPED",
        BedState::LeadOff => "LEAD OFF",
        BedState::Noisy => "NOISY",
        BedState::Learning => "LEARNING",
        BedState::Paused => "PAUSED",
    }
}

/// `!!` or `!`.
pub(super) fn level_mark(level: Level) -> &'static str {
    match level {
        Level::Alert => "!!",
        Level::Advisory => "!",
    }
}

/// `ALERT` or `ADVISORY`.
pub(super) fn level_word(level: Level) -> &'static str {
    match level {
        Level::Alert => "ALERT",
        Level::Advisory => "ADVISORY",
    }
}

/// What a code says, in three lengths: 0 short, 1 middle, 2 long.
pub(super) fn code_words(code: Code, length: usize) -> &'static str {
    let words = match code {
        Code::Uncertain => ["more mixed", "more mixed than usual", "more mixed than this bed's usual"],
        Code::New => ["new shapes", "shapes not seen in learning", "shapes not seen while learning"],
        Code::Changed => ["mix shifted", "cluster mix shifted", "cluster mix shifted from the usual"],
        Code::Signal => ["signal", "signal unusable", "signal unusable"],
        Code::NoData => ["no data", "no data from monitor", "no data from monitor"],
        Code::Clock => ["clock", "time stamps unreliable", "time stamps unreliable"],
        Code::Node => ["wardbeat", "wardbeat itself", "wardbeat itself"],
    };
    words[length.min(2)]
}

/// Which of the bed's three rows a code is about.
pub(super) fn rule(code: Code) -> &'static str {
    match code {
        Code::Uncertain => "entropy",
        Code::New => "novelty",
        Code::Changed => "mix shift",
        _ => "signal",
    }
}

/// Milliseconds as a signed number, held at the largest.
pub(super) fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// A span of time: `40s`, `2m13`, `6h12`, `3d04`.
pub(super) fn span(ms: i64) -> String {
    let s = ms.max(0) / 1_000;
    match s {
        0..60 => format!("{s}s"),
        60..3_600 => format!("{}m{:02}", s / 60, s % 60),
        3_600..86_400 => format!("{}h{:02}", s / 3_600, s / 60 % 60),
        _ => format!("{}d{:02}", s / 86_400, s / 3_600 % 24),
    }
}

fn local(at: UtcMs, zone: &TimeZone) -> Option<jiff::Zoned> {
    Some(Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone.clone()))
}

/// Time of day at the site with seconds, `--:--:--` outside the calendar.
pub(super) fn clock(at: UtcMs, zone: &TimeZone) -> String {
    local(at, zone)
        .map_or_else(|| "--:--:--".into(), |t| format!("{:02}:{:02}:{:02}", t.hour(), t.minute(), t.second()))
}

/// Time of day at the site without seconds.
pub(super) fn clock_min(at: UtcMs, zone: &TimeZone) -> String {
    local(at, zone).map_or_else(|| "--:--".into(), |t| format!("{:02}:{:02}", t.hour(), t.minute()))
}

/// Cells that a text takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// Foreign text made harmless: control, zero-width and direction-changing characters are dropped; an accent that stands
/// by itself joins its letter first.
pub(super) fn clean(text: &str) -> String {
    let mut cell = [0u8; 4];
    text.nfc().filter(|c| !c.is_control() && width(c.encode_utf8(&mut cell)) > 0).collect()
}

/// Cleans a text and cuts it to `cells`, the last one a `~` where something was lost.
pub(super) fn cut(text: &str, cells: usize) -> String {
    let text = clean(text);
    if width(&text) <= cells {
        return text;
    }
    let mut out = String::new();
    let mut used = 0;
    let mut cell = [0u8; 4];
    for c in text.chars() {
        let w = width(c.encode_utf8(&mut cell));
        if used + w + 1 > cells {
            break;
        }
        used += w;
        out.push(c);
    }
    if cells > 0 {
        out.push('~');
    }
    out
}

/// Cuts and pads a text to exactly `cells`.
pub(super) fn fit(text: &str, cells: usize) -> String {
    let mut out = cut(text, cells);
    let used = width(&out);
    out.extend(std::iter::repeat_n(' ', cells.saturating_sub(used)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_and_never_negative() {
        for (ms, text) in
            [(-5_000, "0s"), (40_000, "40s"), (133_000, "2m13"), (22_320_000, "6h12"), (273_600_000, "3d04")]
        {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn hostile_labels_are_cleaned_and_cut_by_width() {
        assert_eq!(cut("\u{1b}[31mBay\u{202e}7\u{0301}", 20), "[31mBay7");
        assert_eq!(clean("Zu\u{308}rich"), "Z\u{fc}rich");
        assert_eq!(cut("Zimmer sieben", 8), "Zimmer ~");
        assert_eq!(cut("\u{6d77}\u{6d77}\u{6d77}", 4), "\u{6d77}~");
        assert_eq!(fit("\u{6d77}\u{6d77}\u{6d77}", 4), "\u{6d77}~ ");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(fit("7", 3), "7  ");
    }

    #[test]
    fn the_clock_is_the_sites_own() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let at = UtcMs::parse("2026-11-22T22:15:12.250Z").unwrap();
        assert_eq!(clock(at, &zone), "23:15:12");
        assert_eq!(clock_min(at, &TimeZone::UTC), "22:15");
        assert_eq!(clock(UtcMs(i64::MAX), &TimeZone::UTC), "--:--:--");
    }
}
