//! The one table of keys: dispatch, footer and help are read from it, so none of them can lie.

use crossterm::event::KeyCode;

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Digit(char),
    Move(i16, i16),
    Page(i16),
    Open,
    Back,
    Ward,
    List,
    Health,
    Next,
    Help,
    Span(i8),
    Gain(i8),
    Speed,
    Hold,
    Theme,
    Glyphs,
    Bell,
    Repaint,
    Leave,
    Unseen,
    Filter,
    Export,
    Acknowledge,
    Pause,
    Resume,
    Mark,
    Relearn,
}

/// Who has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Everybody.
    All,
    /// A screen opened with `--operator NAME`; elsewhere the key is not bound at all.
    Operator,
}

/// One line of the table.
pub(super) struct Key {
    /// As help and footer print it.
    pub shown: &'static str,
    /// What the terminal sends, and what each does.
    pub codes: &'static [(KeyCode, Step)],
    /// What it does, in words.
    pub text: &'static str,
    /// A shorter text where the footer names it; empty = not in the footer.
    pub footer: &'static str,
    /// Who has it.
    pub role: Role,
    /// What keeps it from acting by mistake; empty = it changes nothing but this screen.
    pub guard: &'static str,
}

impl Key {
    /// Whether it ends the screen.
    pub fn leaves(&self) -> bool {
        self.codes.iter().any(|(_, step)| *step == Leave)
    }

    const fn all(
        shown: &'static str,
        codes: &'static [(KeyCode, Step)],
        text: &'static str,
        footer: &'static str,
    ) -> Self {
        Self { shown, codes, text, footer, role: Role::All, guard: "" }
    }

    const fn operator(
        shown: &'static str,
        codes: &'static [(KeyCode, Step)],
        text: &'static str,
        footer: &'static str,
        guard: &'static str,
    ) -> Self {
        Self { shown, codes, text, footer, role: Role::Operator, guard }
    }
}

use Step::{
    Acknowledge, Back, Bell, Export, Filter, Gain, Glyphs, Health, Help, Hold, Leave, List, Mark, Move, Next,
    Open, Page, Pause, Relearn, Repaint, Resume, Span, Speed, Theme, Unseen, Ward,
};

const fn char(c: char) -> KeyCode {
    KeyCode::Char(c)
}

const ARROWS: &[(KeyCode, Step)] = &[
    (KeyCode::Up, Move(0, -1)),
    (KeyCode::Down, Move(0, 1)),
    (KeyCode::Left, Move(-1, 0)),
    (KeyCode::Right, Move(1, 0)),
    (char('k'), Move(0, -1)),
    (char('j'), Move(0, 1)),
];
const GAINS: &[(KeyCode, Step)] = &[(char('+'), Gain(1)), (char('='), Gain(1)), (char('-'), Gain(-1))];
const BACK: &[(KeyCode, Step)] = &[(KeyCode::Esc, Back), (KeyCode::Backspace, Back)];
const PAGES: &[(KeyCode, Step)] = &[(KeyCode::PageUp, Page(-1)), (KeyCode::PageDown, Page(1))];

/// Every key.
pub(super) const TABLE: &[Key] = &[
    Key::all("n", &[(char('n'), Next)], "next bed needing a look", "n next"),
    Key::operator(
        "a",
        &[(char('a'), Acknowledge)],
        "seen: acknowledge",
        "a ack",
        "not while the key repeats",
    ),
    Key::operator(
        "p",
        &[(char('p'), Pause)],
        "pause a bed's notices",
        "p pause",
        "2, 5 or 10 min and a reason",
    ),
    Key::operator("r", &[(char('r'), Resume)], "notices again, now", "", "not while the key repeats"),
    Key::operator(
        "m",
        &[(char('m'), Mark)],
        "mark: care, turned, ...",
        "m mark",
        "sent after 10 s, Esc takes it back",
    ),
    Key::operator("R", &[(char('R'), Relearn)], "learn a bed's usual anew", "", "the bed must be typed"),
    Key::all("arrows", ARROWS, "move (also j k)", ""),
    Key::all("Enter", &[(KeyCode::Enter, Open)], "open bed", "Enter bed"),
    Key::all("Esc", BACK, "back", ""),
    Key::all("07", &[], "go to bed 07 (or 7, Enter)", ""),
    Key::all("PgUp PgDn", PAGES, "page of beds", ""),
    Key::all("w", &[(char('w'), Ward)], "ward", ""),
    Key::all("l", &[(char('l'), List)], "alert list", "l list"),
    Key::all("u", &[(char('u'), Unseen)], "list unseen alerts only", "u unseen only"),
    Key::all("/", &[(char('/'), Filter)], "list some beds' alerts", "/ filter"),
    Key::all("d", &[(char('d'), Health)], "data health", "d health"),
    Key::all("[ ]", &[(char('['), Span(-1)), (char(']'), Span(1))], "trend over 1/4/8/24 h", "[ ] span"),
    Key::all("+ -", GAINS, "trace size", "+ - size"),
    Key::all("s", &[(char('s'), Speed)], "sweep speed", ""),
    Key::all("z", &[(char('z'), Hold)], "hold the traces 60 s", ""),
    Key::all("e", &[(char('e'), Export)], "write a strip (SVG, PNG, CSV)", "e strip"),
    Key::all("t", &[(char('t'), Theme)], "theme", ""),
    Key::all("g", &[(char('g'), Glyphs)], "glyphs (braille, ASCII)", ""),
    Key::all("B", &[(char('B'), Bell)], "bell off / ALERT / all", ""),
    Key::all("Ctrl-L", &[(KeyCode::F(5), Repaint)], "draw all anew", ""),
    Key::all("q", &[(char('q'), Leave)], "leave (then y)", ""),
    Key::all("?", &[(char('?'), Help)], "keys", "? keys"),
];

/// The keys that a screen has.
pub(super) fn bound(operator: bool) -> impl Iterator<Item = &'static Key> {
    TABLE.iter().filter(move |key| operator || key.role == Role::All)
}

/// What a key does, by the table.
pub(super) fn step(code: KeyCode, operator: bool) -> Option<Step> {
    if let KeyCode::Char(c) = code
        && c.is_ascii_digit()
    {
        return Some(Step::Digit(c));
    }
    bound(operator).flat_map(|k| k.codes).find(|(c, _)| *c == code).map(|(_, step)| *step)
}

/// The footer's hints, from the table: as many as `cells` hold, and always the last one.
pub(super) fn footer(wanted: &[&str], operator: bool, cells: usize) -> String {
    let named = |shown: &&str| bound(operator).find(|k| k.shown == *shown && !k.footer.is_empty());
    let mut hints: Vec<&str> = wanted.iter().filter_map(named).map(|k| k.footer).collect();
    while hints.len() > 1 && hints.join("  ").len() > cells {
        hints.remove(hints.len() - 2);
    }
    hints.join("  ")
}

/// The table for the manual, as Markdown.
#[must_use]
pub fn manual() -> String {
    let mut out = String::from("| Key | Does | Who | Guard |\n|---|---|---|---|\n");
    for key in TABLE {
        let who = if key.role == Role::All { "all" } else { "operator" };
        let guard = if key.guard.is_empty() { "-" } else { key.guard };
        out += &format!("| `{}` | {} | {who} | {guard} |\n", key.shown, key.text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_bound_twice_and_every_key_explains_itself() {
        let mut codes: Vec<String> =
            TABLE.iter().flat_map(|k| k.codes.iter().map(|(c, _)| format!("{c:?}"))).collect();
        let all = codes.len();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), all);
        assert!(TABLE.iter().all(|k| !k.text.is_empty() && !k.shown.is_empty()));
        assert!(TABLE.iter().all(|k| k.role == Role::All || !k.guard.is_empty()));
    }

    #[test]
    fn hints_name_only_keys_of_the_table_and_a_watcher_has_no_actions() {
        assert_eq!(footer(&["n", "?"], false, 80), "n next  ? keys");
        assert_eq!(footer(&["a", "?"], false, 80), "? keys");
        assert_eq!(footer(&["a", "?"], true, 80), "a ack  ? keys");
        assert_eq!(footer(&["n", "a", "p", "?"], true, 21), "n next  a ack  ? keys");
        for c in ['a', 'p', 'r', 'm', 'R'] {
            assert_eq!(step(KeyCode::Char(c), false), None);
            assert!(step(KeyCode::Char(c), true).is_some());
        }
    }
}
