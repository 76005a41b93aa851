//! What an operator asks of a bed: prompts, guards and echoes. Pure.
//!
//! A key never acts while it repeats, a risky wish needs the bed's number typed, and nothing counts as done before the
//! daemon's own state shows it.

use super::words;
use crate::snapshot::{AlertView, BedState, BedView, Snapshot};
use contract::{AlertId, BedId, MonoMs, UtcMs};
use crossterm::event::KeyCode;

/// The same key within this time is one that repeats by itself.
const REPEAT_MS: u64 = 400;
/// Without an echo for this long a wish is not confirmed.
const ECHO_MS: u64 = 3_000;
/// A mark may be taken back for this long; then it is sent.
const MARK_MS: u64 = 10_000;
/// An outcome is told for this long.
const TOLD_MS: u64 = 6_000;
/// Wishes that wait for their echo.
const ASKED_MAX: usize = 16;
/// The minutes of a pause, by its key.
const PAUSES_MIN: [u32; 3] = [2, 5, 10];

/// What a mark or the reason of a pause may be.
pub(super) const LETTERS: [(char, &str); 6] =
    [('c', "care"), ('t', "turned"), ('s', "suction"), ('d', "drug"), ('l', "leads"), ('o', "other")];

/// What the operator wants of a bed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// This alert was seen, at this revision.
    Acknowledge(AlertId, u32),
    /// No notices for some minutes.
    Pause {
        /// 2, 5 or 10.
        minutes: u32,
        /// Why, one word.
        reason: String,
    },
    /// Notices again, now.
    Resume,
    /// A mark at a moment of the bed.
    Mark {
        /// When the key was pressed.
        at: UtcMs,
        /// Its letter.
        letter: char,
        /// Its word.
        note: String,
    },
    /// The bed's usual is learnt anew.
    Relearn,
}

/// A question on the last line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Prompt {
    Minutes,
    Reason(u32),
    Mark,
    Relearn(String),
}

/// Where a wish stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Echo {
    Sent,
    Done,
    Refused(String),
    NotConfirmed,
}

#[derive(Debug, Clone)]
struct Asked {
    id: u64,
    bed: BedId,
    words: String,
    wish: Wish,
    /// Seconds learnt when it was asked.
    learnt_s: u32,
    at: MonoMs,
    echo: Echo,
    told_at: MonoMs,
}

/// The bed that a prompt is about: held from the key that opened it.
#[derive(Debug, Clone)]
struct Target {
    bed: BedId,
    label: String,
    learnt_s: u32,
}

/// Everything asked on this screen.
#[derive(Debug, Clone, Default)]
pub(super) struct Asks {
    next: u64,
    prompt: Option<(Target, Prompt)>,
    asked: Vec<Asked>,
    /// A mark that may still be taken back.
    mark: Option<(Target, Wish, MonoMs)>,
    pressed: Option<(KeyCode, MonoMs)>,
    notice: Option<(String, MonoMs)>,
    now: MonoMs,
}

/// A wish on its way: its number, its bed, what.
pub(super) type Sent = (u64, BedId, Wish);

impl Asks {
    /// Moves the clock and looks for echoes.
    pub fn advance(&mut self, snapshot: &Snapshot, now: MonoMs) {
        self.now = now;
        for asked in &mut self.asked {
            let open = matches!(asked.echo, Echo::Sent | Echo::NotConfirmed);
            if open && asked.shows_in(snapshot) {
                (asked.echo, asked.told_at) = (Echo::Done, now);
            } else if asked.echo == Echo::Sent && now.since(asked.at) >= ECHO_MS {
                (asked.echo, asked.told_at) = (Echo::NotConfirmed, now);
            }
        }
        self.asked.retain(|a| a.echo == Echo::Sent || now.since(a.told_at) < TOLD_MS);
        self.notice = self.notice.take().filter(|(_, at)| now.since(*at) < TOLD_MS);
    }

    /// Moves the clock only.
    pub fn tick(&mut self, now: MonoMs) {
        self.now = self.now.max(now);
    }

    /// Notes a key; whether it repeats by itself.
    pub fn repeats(&mut self, code: KeyCode) -> bool {
        let before = self.pressed.replace((code, self.now));
        before.is_some_and(|(key, at)| key == code && self.now.since(at) < REPEAT_MS)
    }

    /// Whether a question is open: keys belong to it, and lists keep their order.
    pub fn asks(&self) -> bool {
        self.prompt.is_some()
    }

    /// Says something on the last line for a while.
    pub fn notice(&mut self, text: String) {
        self.notice = Some((text, self.now));
    }

    /// A wish was refused.
    pub fn refused(&mut self, id: u64, why: &str) {
        let now = self.now;
        if let Some(asked) = self.asked.iter_mut().find(|a| a.id == id) {
            (asked.echo, asked.told_at) = (Echo::Refused(why.to_owned()), now);
        }
    }

    /// Opens the question of a pause.
    pub fn ask_pause(&mut self, bed: &BedView) {
        self.prompt = Some((Target::of(bed), Prompt::Minutes));
    }

    /// Opens the question of a mark.
    pub fn ask_mark(&mut self, bed: &BedView) {
        self.prompt = Some((Target::of(bed), Prompt::Mark));
    }

    /// Opens the question of learning anew.
    pub fn ask_relearn(&mut self, bed: &BedView) {
        self.prompt = Some((Target::of(bed), Prompt::Relearn(String::new())));
    }

    /// Takes a key for the open question. `now` is the daemon's wall time.
    pub fn answer(&mut self, code: KeyCode, now: Option<UtcMs>) -> Option<Sent> {
        let (target, prompt) = self.prompt.take()?;
        let letter = |c: char| LETTERS.iter().find(|(l, _)| *l == c);
        match (prompt, code) {
            (_, KeyCode::Esc) => None,
            (Prompt::Minutes, KeyCode::Char(c @ '1'..='3')) => {
                let minutes = PAUSES_MIN[c as usize - '1' as usize];
                self.prompt = Some((target, Prompt::Reason(minutes)));
                None
            }
            (Prompt::Reason(minutes), KeyCode::Char(c)) if letter(c).is_some() => {
                let reason = letter(c).map_or_else(String::new, |l| l.1.to_owned());
                Some(self.send(target, Wish::Pause { minutes, reason }))
            }
            (Prompt::Mark, KeyCode::Char(c)) if letter(c).is_some() => {
                let note = letter(c).map_or_else(String::new, |l| l.1.to_owned());
                let wish = now.map(|at| Wish::Mark { at, letter: c, note });
                self.mark = wish.map(|wish| (target, wish, self.now));
                None
            }
            (Prompt::Relearn(typed), KeyCode::Enter) if target.is_named(&typed) => {
                Some(self.send(target, Wish::Relearn))
            }
            (Prompt::Relearn(mut typed), code) => {
                match code {
                    KeyCode::Char(c) if typed.chars().count() < 20 => typed.push(c),
                    KeyCode::Backspace => drop(typed.pop()),
                    _ => {}
                }
                self.prompt = Some((target, Prompt::Relearn(typed)));
                None
            }
            (prompt, _) => {
                self.prompt = Some((target, prompt));
                None
            }
        }
    }

    /// Acknowledges at once; a second time while the first waits is none.
    pub fn acknowledge(&mut self, bed: &BedView, alert: &AlertView) -> Option<Sent> {
        let wish = Wish::Acknowledge(alert.id.clone(), alert.rev);
        let waits = self.asked.iter().any(|a| a.wish == wish && a.echo == Echo::Sent);
        (!waits).then(|| self.send(Target::of(bed), wish))
    }

    /// Ends a pause at once.
    pub fn resume(&mut self, bed: &BedView) -> Sent {
        self.send(Target::of(bed), Wish::Resume)
    }

    /// Takes back a mark that waits; whether there was one.
    pub fn take_back(&mut self) -> bool {
        self.mark.take().is_some()
    }

    /// A mark whose time to be taken back is over.
    pub fn due(&mut self) -> Option<Sent> {
        let now = self.now;
        let (target, wish, _) = self.mark.take_if(|(_, _, at)| now.since(*at) >= MARK_MS)?;
        Some(self.send(target, wish))
    }

    fn send(&mut self, target: Target, wish: Wish) -> Sent {
        self.next += 1;
        let label = words::cut(&target.label, 8);
        let words = match &wish {
            Wish::Acknowledge(..) => format!("acknowledge {label}"),
            Wish::Pause { minutes, reason } => format!("pause {label} for {minutes} min ({reason})"),
            Wish::Resume => format!("resume {label}"),
            Wish::Mark { note, .. } => format!("mark {label} {note}"),
            Wish::Relearn => format!("relearn {label}"),
        };
        let sent = (self.next, target.bed.clone(), wish.clone());
        if self.asked.len() >= ASKED_MAX {
            self.asked.remove(0);
        }
        self.asked.push(Asked {
            id: self.next,
            bed: target.bed,
            words,
            wish,
            learnt_s: target.learnt_s,
            at: self.now,
            echo: Echo::Sent,
            told_at: self.now,
        });
        sent
    }

    /// What the last line says of all this; `true` = it needs somebody.
    pub fn line(&self) -> Option<(String, bool)> {
        if let Some((target, prompt)) = &self.prompt {
            return Some((target.question(prompt), true));
        }
        if let Some((target, Wish::Mark { note, .. }, at)) = &self.mark {
            let left = MARK_MS.saturating_sub(self.now.since(*at)).div_ceil(1_000);
            let label = words::cut(&target.label, 8);
            return Some((format!("mark {label} {note}: sent in {left} s, Esc takes it back"), true));
        }
        let newest = self.asked.last();
        if let Some(asked) = newest {
            let words = &asked.words;
            return Some(match &asked.echo {
                Echo::Sent => (format!("sent: {words}"), false),
                Echo::Done => (format!("done: {words}"), false),
                Echo::Refused(why) => (format!("REFUSED: {words}: {}", words::clean(why)), true),
                Echo::NotConfirmed => (format!("NOT CONFIRMED: {words}; look before you try again"), true),
            });
        }
        self.notice.as_ref().map(|(text, _)| (words::clean(text), text.contains("NOT ")))
    }
}

impl Asked {
    /// Whether the daemon's own state shows that it was done.
    fn shows_in(&self, snapshot: &Snapshot) -> bool {
        let bed = snapshot.beds.iter().find(|b| b.bed == self.bed);
        match &self.wish {
            Wish::Acknowledge(id, _) => {
                snapshot.alerts.iter().find(|a| a.id == *id).is_none_or(|a| a.seen.is_some())
            }
            Wish::Pause { .. } => bed.is_some_and(|b| b.pause_left_ms.is_some()),
            Wish::Resume => bed.is_some_and(|b| b.pause_left_ms.is_none()),
            Wish::Mark { at, letter, .. } => bed.is_some_and(|b| {
                b.marks.iter().any(|m| m.letter == *letter && m.at.0.abs_diff(at.0) < 2_000)
            }),
            Wish::Relearn => bed.is_some_and(|b| {
                b.learnt_s[0] < self.learnt_s || (self.learnt_s == 0 && b.state == BedState::Learning)
            }),
        }
    }
}

impl Target {
    fn of(bed: &BedView) -> Self {
        Self { bed: bed.bed.clone(), label: bed.label.clone(), learnt_s: bed.learnt_s[0] }
    }

    /// Whether somebody typed this bed: its label, or the number in it.
    fn is_named(&self, typed: &str) -> bool {
        let digits: String = self.label.chars().filter(char::is_ascii_digit).collect();
        typed.eq_ignore_ascii_case(&self.label) || (!digits.is_empty() && typed == digits)
    }

    fn question(&self, prompt: &Prompt) -> String {
        let label = words::cut(&self.label, 8);
        let letters = LETTERS.map(|(c, word)| format!("{c} {word}")).join("  ");
        match prompt {
            Prompt::Minutes => {
                format!("PAUSE NOTICES of {label}: 1 = 2 min  2 = 5 min  3 = 10 min  Esc drops")
            }
            Prompt::Reason(minutes) => format!("PAUSE {label} {minutes} min, why?  {letters}"),
            Prompt::Mark => format!("MARK {label}:  {letters}"),
            Prompt::Relearn(typed) => format!(
                "RELEARN {label}: its usual ({}) is set aside; type {label} and Enter: {typed}_",
                words::span(i64::from(self.learnt_s) * 1_000)
            ),
        }
    }
}
