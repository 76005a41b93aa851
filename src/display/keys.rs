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
}

/// Every key.
pub(super) const TABLE: &[Key] = &[
    Key {
        shown: "n",
        codes: &[(KeyCode::Char('n'), Step::Next)],
        text: "next bed needing a look",
        footer: "n next",
    },
    Key {
        shown: "arrows",
        codes: &[
            (KeyCode::Up, Step::Move(0, -1)),
            (KeyCode::Down, Step::Move(0, 1)),
            (KeyCode::Left, Step::Move(-1, 0)),
            (KeyCode::Right, Step::Move(1, 0)),
        ],
        text: "move",
        footer: "",
    },
    Key { shown: "Enter", codes: &[(KeyCode::Enter, Step::Open)], text: "open bed", footer: "Enter bed" },
    Key {
        shown: "Esc",
        codes: &[(KeyCode::Esc, Step::Back), (KeyCode::Backspace, Step::Back)],
        text: "back",
        footer: "",
    },
    Key { shown: "07", codes: &[], text: "go to bed 07 (one digit, then Enter)", footer: "" },
    Key {
        shown: "PgUp PgDn",
        codes: &[(KeyCode::PageUp, Step::Page(-1)), (KeyCode::PageDown, Step::Page(1))],
        text: "page of beds",
        footer: "",
    },
    Key { shown: "w", codes: &[(KeyCode::Char('w'), Step::Ward)], text: "ward", footer: "" },
    Key { shown: "l", codes: &[(KeyCode::Char('l'), Step::List)], text: "alert list", footer: "l list" },
    Key { shown: "d", codes: &[(KeyCode::Char('d'), Step::Health)], text: "data health", footer: "d health" },
    Key {
        shown: "[ ]",
        codes: &[(KeyCode::Char('['), Step::Span(-1)), (KeyCode::Char(']'), Step::Span(1))],
        text: "trend over 1/4/8/24 h",
        footer: "",
    },
    Key {
        shown: "+ -",
        codes: &[
            (KeyCode::Char('+'), Step::Gain(1)),
            (KeyCode::Char('='), Step::Gain(1)),
            (KeyCode::Char('-'), Step::Gain(-1)),
        ],
        text: "trace size",
        footer: "",
    },
    Key { shown: "s", codes: &[(KeyCode::Char('s'), Step::Speed)], text: "sweep speed", footer: "" },
    Key { shown: "z", codes: &[(KeyCode::Char('z'), Step::Hold)], text: "hold the traces 60 s", footer: "" },
    Key { shown: "t", codes: &[(KeyCode::Char('t'), Step::Theme)], text: "theme", footer: "" },
    Key {
        shown: "g",
        codes: &[(KeyCode::Char('g'), Step::Glyphs)],
        text: "glyphs (braille, ASCII)",
        footer: "",
    },
    Key { shown: "B", codes: &[(KeyCode::Char('B'), Step::Bell)], text: "bell off / on ALERT", footer: "" },
    Key { shown: "Ctrl-L", codes: &[(KeyCode::F(5), Step::Repaint)], text: "draw all anew", footer: "" },
    Key { shown: "q", codes: &[(KeyCode::Char('q'), Step::Leave)], text: "leave (then y)", footer: "" },
    Key { shown: "?", codes: &[(KeyCode::Char('?'), Step::Help)], text: "keys", footer: "? keys" },
];

/// What a key does, by the table.
pub(super) fn step(code: KeyCode) -> Option<Step> {
    if let KeyCode::Char(c) = code
        && c.is_ascii_digit()
    {
        return Some(Step::Digit(c));
    }
    TABLE.iter().flat_map(|k| k.codes).find(|(c, _)| *c == code).map(|(_, step)| *step)
}

/// The footer's hints, from the table.
pub(super) fn footer(wanted: &[&str]) -> String {
    let texts = TABLE.iter().filter(|k| !k.footer.is_empty() && wanted.contains(&k.shown)).map(|k| k.footer);
    texts.collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_bound_twice_and_every_key_explains_itself() {
        let mut codes: Vec<KeyCode> = TABLE.iter().flat_map(|k| k.codes.iter().map(|(c, _)| *c)).collect();
        let all = codes.len();
        codes.dedup();
        let mut unique: Vec<String> = codes.iter().map(|c| format!("{c:?}")).collect();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), all);
        assert!(TABLE.iter().all(|k| !k.text.is_empty() && !k.shown.is_empty()));
    }

    #[test]
    fn hints_name_only_keys_of_the_table() {
        assert_eq!(footer(&["n", "?"]), "n next  ? keys");
        assert_eq!(footer(&["a"]), "");
    }
}
