//! HL7's escapes: no text can end a field, a segment or a frame.

use std::fmt::Write as _;

/// Writes `text` so that it is one component, whatever it holds. Control characters, which would end a segment or
/// an MLLP frame, become `\Xhh\`.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' => out.push_str(r"\F\"),
            '^' => out.push_str(r"\S\"),
            '~' => out.push_str(r"\R\"),
            '\\' => out.push_str(r"\E\"),
            '&' => out.push_str(r"\T\"),
            c if c.is_ascii_control() => {
                let _ = write!(out, r"\X{:02X}\", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// Escapes each component of a field written with `^` between them (`ICU^^B07^SITE1`).
#[must_use]
pub fn components(field: &str) -> String {
    field.split('^').map(escape).collect::<Vec<_>>().join("^")
}

/// Undoes [`escape`]; a sequence that it does not know stays as it is.
#[must_use]
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let known = tail.find('\\').and_then(|end| Some((plain(&tail[..end])?, end)));
        if let Some((c, end)) = known {
            out.push(c);
            rest = &tail[end + 1..];
        } else {
            out.push('\\');
            rest = tail;
        }
    }
    out.push_str(rest);
    out
}

/// The character that a sequence between two backslashes stands for.
fn plain(sequence: &str) -> Option<char> {
    match sequence {
        "F" => Some('|'),
        "S" => Some('^'),
        "R" => Some('~'),
        "E" => Some('\\'),
        "T" => Some('&'),
        hex => u8::from_str_radix(hex.strip_prefix('X')?, 16).ok().filter(u8::is_ascii).map(char::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_delimiter_has_its_sequence() {
        assert_eq!(escape(r"a|b^c~d\e&f"), r"a\F\b\S\c\R\d\E\e\T\f");
        assert_eq!(escape("\u{b}\u{1c}\r\n"), r"\X0B\\X1C\\X0D\\X0A\");
        assert_eq!(components("ICU^^B|7^S&1"), r"ICU^^B\F\7^S\T\1");
        assert_eq!(unescape(r"\H\bold\N\ 5\ \Xzz\"), r"\H\bold\N\ 5\ \Xzz\");
    }

    proptest! {
        #[test]
        fn any_text_survives_the_round_trip_as_one_component(
            text in r"([|^~\\&\r\n\x0b\x1c\x00äß心\u{1F493}]|[ -~]|\PC){0,60}",
        ) {
            let wire = escape(&text);
            prop_assert_eq!(unescape(&wire), text);
            let ends = wire.contains(['|', '^', '~', '&', '\r', '\n', '\u{b}', '\u{1c}', '\0']);
            prop_assert!(!ends, "{}", wire);
        }
    }
}
