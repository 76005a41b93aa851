//! What a person may ask of a bed, and what is answered (`docs/wire.md`, Commands). There is no "off", no change of a
//! limit and nothing that deletes.

use crate::limits::{NOTE_BYTES_MAX, PAUSE_MIN_MAX};
use crate::{AlertId, BedId, UtcMs};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The word of a command, as it stands in the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Somebody has seen an alert.
    Ack,
    /// No notices of this bed for a few minutes.
    Pause,
    /// The pause ends now.
    Resume,
    /// A note at a moment of the bed.
    Mark,
    /// The bed's usual is learnt anew.
    Relearn,
    /// A test alert to every destination.
    Test,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Ack, Self::Pause, Self::Resume, Self::Mark, Self::Relearn, Self::Test];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Mark => "mark",
            Self::Relearn => "relearn",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Verb {
    type Err = CommandFault;

    fn from_str(word: &str) -> Result<Self, CommandFault> {
        let known = Self::ALL.into_iter().find(|v| v.as_str() == word);
        known.ok_or_else(|| CommandFault(format!("{:?} is no command", short(word))))
    }
}

/// Where in a bed's stream a mark stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkAt {
    /// When the command takes effect.
    Now,
    /// A wall time.
    Time(UtcMs),
    /// A sample of the present epoch.
    Sample(u64),
}

/// What a person may ask of a bed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// I have seen this alert: it holds until its end, and asks again when its level rises. `rev` is the revision that
    /// was seen; where the alert has moved on since, the command is refused as stale.
    Acknowledge {
        /// The alert.
        alert: AlertId,
        /// The revision that the person saw.
        rev: Option<u32>,
    },
    /// No notices of this bed for 1 to 10 minutes; computing and the log go on, and it ends by itself.
    Pause {
        /// Minutes.
        minutes: u32,
        /// Why, for the screen and the log.
        reason: String,
    },
    /// Ends a pause.
    Resume,
    /// A note at a moment of the bed.
    Mark {
        /// Which moment.
        at: MarkAt,
        /// One letter: c care, t turned, s suction, d drug, l leads, o other.
        letter: char,
        /// Free text.
        note: String,
    },
    /// Learns the bed's usual anew; the old one is kept, and `undo` takes the last time back.
    Relearn {
        /// Why, for the log.
        reason: String,
        /// Take the last time back.
        undo: bool,
    },
    /// A test alert to every destination, marked as one: the check at the change of a shift.
    Test,
}

/// What is wrong with a command, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CommandFault(pub String);

/// The arguments as they stand in JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<AlertId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<UtcMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    letter: Option<char>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm: Option<BedId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undo: Option<bool>,
}

impl Args {
    /// The names of what is given.
    fn given(&self) -> Vec<&'static str> {
        let names = [
            ("alert", self.alert.is_some()),
            ("rev", self.rev.is_some()),
            ("minutes", self.minutes.is_some()),
            ("n", self.n.is_some()),
            ("time", self.time.is_some()),
            ("letter", self.letter.is_some()),
            ("note", self.note.is_some()),
            ("reason", self.reason.is_some()),
            ("confirm", self.confirm.is_some()),
            ("undo", self.undo.is_some()),
        ];
        names.into_iter().filter(|n| n.1).map(|n| n.0).collect()
    }
}

fn fault<T>(why: impl Into<String>) -> Result<T, CommandFault> {
    Err(CommandFault(why.into()))
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Free text of a person: one line, bounded.
fn line(what: &str, text: Option<String>, needed: bool) -> Result<String, CommandFault> {
    let text = text.unwrap_or_default().trim().to_owned();
    if needed && text.is_empty() {
        return fault(format!("{what} is missing"));
    }
    if text.len() > NOTE_BYTES_MAX {
        return fault(format!("{what} has {} bytes; at most {NOTE_BYTES_MAX}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return fault(format!("{what} must be one line without control characters"));
    }
    Ok(text)
}

impl Command {
    /// Reads the arguments of a command for `bed`.
    ///
    /// # Errors
    /// [`CommandFault`] says what is missing, too much or out of range.
    pub fn read(verb: Verb, bed: &BedId, args: &str) -> Result<Self, CommandFault> {
        let read: Args = serde_json::from_str(if args.is_empty() { "{}" } else { args })
            .map_err(|e| CommandFault(format!("args: {e}")))?;
        let known: &[&str] = match verb {
            Verb::Ack => &["alert", "rev"],
            Verb::Pause => &["minutes", "reason"],
            Verb::Resume | Verb::Test => &[],
            Verb::Mark => &["n", "time", "letter", "note"],
            Verb::Relearn => &["reason", "confirm", "undo"],
        };
        if let Some(name) = read.given().into_iter().find(|name| !known.contains(name)) {
            return fault(format!("{verb} knows no {name:?}"));
        }
        match verb {
            Verb::Ack => {
                let Some(alert) = read.alert else { return fault("alert is missing") };
                if alert.0.is_empty() || alert.0.len() > 64 {
                    return fault(format!("alert {:?} is no id", short(&alert.0)));
                }
                Ok(Self::Acknowledge { alert, rev: read.rev })
            }
            Verb::Pause => {
                let minutes = read.minutes.unwrap_or(0);
                if !(1..=PAUSE_MIN_MAX).contains(&minutes) {
                    return fault(format!("minutes must be 1 to {PAUSE_MIN_MAX}; a pause is never endless"));
                }
                Ok(Self::Pause { minutes, reason: line("reason", read.reason, true)? })
            }
            Verb::Resume => Ok(Self::Resume),
            Verb::Test => Ok(Self::Test),
            Verb::Mark => {
                let at = match (read.n, read.time) {
                    (Some(_), Some(_)) => return fault("n and time are two words for one thing: give one"),
                    (Some(n), None) => MarkAt::Sample(n),
                    (None, Some(time)) => MarkAt::Time(time),
                    (None, None) => MarkAt::Now,
                };
                let letter = read.letter.unwrap_or('o');
                if !"ctsdlo".contains(letter) {
                    return fault(format!("letter {letter:?} must be one of c t s d l o"));
                }
                Ok(Self::Mark { at, letter, note: line("note", read.note, false)? })
            }
            Verb::Relearn => {
                if read.confirm.as_ref() != Some(bed) {
                    return fault(format!("confirm must name the bed, {bed}"));
                }
                let undo = read.undo.unwrap_or(false);
                Ok(Self::Relearn { reason: line("reason", read.reason, true)?, undo })
            }
        }
    }

    /// Its word.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Acknowledge { .. } => Verb::Ack,
            Self::Pause { .. } => Verb::Pause,
            Self::Resume => Verb::Resume,
            Self::Mark { .. } => Verb::Mark,
            Self::Relearn { .. } => Verb::Relearn,
            Self::Test => Verb::Test,
        }
    }

    /// Its arguments as JSON, the other way round of [`Command::read`].
    #[must_use]
    pub fn args(&self, bed: &BedId) -> String {
        let args = match self.clone() {
            Self::Acknowledge { alert, rev } => Args { alert: Some(alert), rev, ..Args::default() },
            Self::Pause { minutes, reason } => {
                Args { minutes: Some(minutes), reason: Some(reason), ..Args::default() }
            }
            Self::Resume | Self::Test => Args::default(),
            Self::Mark { at, letter, note } => {
                let (n, time) = match at {
                    MarkAt::Now => (None, None),
                    MarkAt::Time(time) => (None, Some(time)),
                    MarkAt::Sample(n) => (Some(n), None),
                };
                Args { n, time, letter: Some(letter), note: Some(note), ..Args::default() }
            }
            Self::Relearn { reason, undo } => Args {
                reason: Some(reason),
                confirm: Some(bed.clone()),
                undo: undo.then_some(true),
                ..Args::default()
            },
        };
        // Texts, numbers and flags have no form that JSON cannot hold.
        serde_json::to_string(&args).unwrap_or_default()
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It has taken effect.
    Applied,
    /// It came before; this is the answer of then.
    Stored,
    /// Too old, or from the future.
    Expired,
    /// Its counter is not above the last one of its key.
    Replayed,
    /// The key, the signature or the topic does not allow it, or it cannot be recorded.
    Denied,
    /// There is no such bed or alert.
    Unknown,
    /// The alert has moved on since the revision that was seen.
    Stale,
    /// It cannot be read, or asks for what does not exist.
    Invalid,
    /// It was handed on, but nothing confirmed in time that it took effect.
    Unconfirmed,
}

/// What is answered to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Version of this object: 1.
    pub v: u8,
    /// The command's id.
    pub id: String,
    /// Whether it has taken effect, now or earlier.
    pub ok: bool,
    /// How it ended.
    pub status: Status,
    /// The alert's present revision, where the command names an alert that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rev: Option<u32>,
    /// Why not, in words.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub why: String,
}

/// What a bed says to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// How it ended.
    pub status: Status,
    /// The alert's present revision.
    pub rev: Option<u32>,
    /// Why not, in words; empty where it took effect.
    pub why: String,
}

impl Ruling {
    /// It took effect.
    #[must_use]
    pub fn applied(rev: Option<u32>) -> Self {
        Self { status: Status::Applied, rev, why: String::new() }
    }

    /// It did not.
    #[must_use]
    pub fn refused(status: Status, why: impl Into<String>) -> Self {
        Self { status, rev: None, why: why.into() }
    }

    /// The answer to the command of that id.
    #[must_use]
    pub fn answer(self, id: &str) -> Answer {
        let ok = self.status == Status::Applied;
        Answer { v: 1, id: id.into(), ok, status: self.status, rev: self.rev, why: self.why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bed() -> BedId {
        BedId::new("site1/icu/b07").unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = |t: &str| t.to_owned();
        for command in [
            Command::Acknowledge { alert: AlertId("25".into()), rev: Some(1) },
            Command::Pause { minutes: 10, reason: text("care") },
            Command::Resume,
            Command::Mark { at: MarkAt::Sample(7), letter: 's', note: text("suction") },
            Command::Mark { at: MarkAt::Time(UtcMs(1_795_386_220_000)), letter: 'o', note: text("") },
            Command::Mark { at: MarkAt::Now, letter: 'c', note: text("\u{fc}") },
            Command::Relearn { reason: text("new leads"), undo: true },
            Command::Test,
        ] {
            assert_eq!(Command::read(command.verb(), &bed(), &command.args(&bed())), Ok(command));
        }
    }

    #[test]
    fn the_arguments_of_the_published_command_are_those_of_an_acknowledgement() {
        let command =
            Command::Acknowledge { alert: AlertId("2500be5134ba93ff8ae3d893580d3c33".into()), rev: None };
        assert_eq!(command.args(&bed()), r#"{"alert":"2500be5134ba93ff8ae3d893580d3c33"}"#);
    }

    #[test]
    fn what_must_not_be_asked_is_refused_in_words() {
        let refused = |verb: &str, args: &str, why: &str| {
            let fault = Command::read(verb.parse().unwrap(), &bed(), args).unwrap_err().to_string();
            assert!(fault.contains(why), "{verb} {args}: {fault}");
        };
        refused("ack", "{}", "alert is missing");
        refused("ack", r#"{"alert":""}"#, "no id");
        refused("pause", r#"{"minutes":11,"reason":"care"}"#, "1 to 10");
        refused("pause", r#"{"minutes":0,"reason":"care"}"#, "never endless");
        refused("pause", r#"{"minutes":5}"#, "reason is missing");
        refused("pause", r#"{"minutes":5,"reason":"care","bed":"all"}"#, "unknown field");
        refused("resume", r#"{"minutes":5}"#, "knows no \"minutes\"");
        refused("mark", r#"{"n":1,"time":1}"#, "give one");
        refused("mark", r#"{"letter":"x"}"#, "must be one of");
        refused("mark", &format!(r#"{{"note":"{}"}}"#, "n".repeat(201)), "at most 200");
        refused("mark", r#"{"note":"a\nb"}"#, "one line");
        refused("relearn", r#"{"reason":"r","confirm":"site1/icu/b08"}"#, "name the bed");
        refused("relearn", r#"{"confirm":"site1/icu/b07"}"#, "reason is missing");
        refused("test", "[", "args");
        assert!("off".parse::<Verb>().is_err() && "ACK".parse::<Verb>().is_err());
    }
}
