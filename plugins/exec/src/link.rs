//! The conversation with the child, and its restarts.
//!
//! ```text
//!          start                    ready
//!   DOWN ────────▶ UP, not ready ────────▶ UP ──┐ ask, answer, ping, pong
//!    ▲ back-off           │                │ ◀──┘
//!    └────────────────────┴── malformed, late, silent, gone: ended
//! ```

use crate::child::Child;
use crate::launch::Launch;
use contract::protocol::{FromPlugin, PROTO, Role, ToPlugin};
use std::time::{Duration, Instant};

/// The times of the conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Wait before the first restart; doubles with each that follows.
    pub restart_first: Duration,
    /// The longest wait.
    pub restart_max: Duration,
    /// From the start to `ready`, and from `ping` to `pong`.
    pub patience: Duration,
    /// From one `ping` to the next.
    pub ping_every: Duration,
    /// From `bye` to the end.
    pub farewell: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            restart_first: Duration::from_secs(1),
            restart_max: Duration::from_mins(1),
            patience: Duration::from_secs(10),
            ping_every: Duration::from_secs(5),
            farewell: Duration::from_secs(5),
        }
    }
}

/// Messages looked at in one idle turn; a flood waits in its pipe.
const IDLE_MESSAGES_MAX: usize = 256;

enum State {
    /// Not running until then; in words, why.
    Down {
        until: Instant,
        why: String,
    },
    Up(Box<Running>),
}

struct Running {
    child: Child,
    /// Its name for people, once it is ready.
    ready: Option<String>,
    since: Instant,
    /// The ping that is not answered yet: number, when.
    pinged: Option<(u64, Instant)>,
    pinged_last: Instant,
}

/// The link to one program.
pub(crate) struct Link {
    launch: Launch,
    role: Role,
    pace: Pace,
    state: State,
    wait: Duration,
    pings: u64,
}

impl Link {
    pub fn new(launch: Launch, role: Role, pace: Pace) -> Self {
        let state = State::Down { until: Instant::now(), why: "not started yet".into() };
        Self { launch, role, pace, state, wait: pace.restart_first, pings: 0 }
    }

    /// The child's own name; the program's where it gave none.
    pub fn name(&self) -> String {
        match &self.state {
            State::Up(running) => running.ready.clone().filter(|n| !n.is_empty()),
            State::Down { .. } => None,
        }
        .unwrap_or_else(|| self.launch.name())
    }

    /// Starts the child where needed and waits for its `ready`, at most until `until`.
    ///
    /// # Errors
    /// In words: it is down, or not ready yet.
    pub fn ready(&mut self, until: Instant) -> Result<(), String> {
        self.start()?;
        while let State::Up(running) = &mut self.state {
            if running.ready.is_some() {
                return Ok(());
            }
            let give_up = running.since + self.pace.patience;
            match running.child.line(until.min(give_up)) {
                Ok(Some(line)) => self.greeted(&line)?,
                Ok(None) if Instant::now() < give_up => {
                    return Err(format!("{} has not said ready yet", self.launch.name()));
                }
                Ok(None) => return Err(self.end("did not say ready")),
                Err(why) => return Err(self.end(&why)),
            }
        }
        Err(self.down())
    }

    fn start(&mut self) -> Result<(), String> {
        let State::Down { until, .. } = &self.state else { return Ok(()) };
        if Instant::now() < *until {
            return Err(self.down());
        }
        let hello =
            ToPlugin::Hello { proto: PROTO, node: self.launch.node.clone(), window: 1, role: self.role };
        let started = hello.line().map_err(|e| e.to_string()).and_then(|hello| {
            let mut child = Child::start(&self.launch).map_err(|e| format!("cannot be started: {e}"))?;
            child.send(&hello);
            Ok(child)
        });
        match started {
            Ok(child) => {
                let now = Instant::now();
                let running = Running { child, ready: None, since: now, pinged: None, pinged_last: now };
                self.state = State::Up(Box::new(running));
                Ok(())
            }
            Err(why) => Err(self.end(&why)),
        }
    }

    fn greeted(&mut self, line: &[u8]) -> Result<(), String> {
        match FromPlugin::parse(line) {
            Ok(FromPlugin::Ready { proto: PROTO, name }) => {
                if let State::Up(running) = &mut self.state {
                    running.ready = Some(name.chars().filter(|c| !c.is_control()).take(64).collect());
                }
                Ok(())
            }
            Ok(FromPlugin::Ready { proto, .. }) => {
                Err(self
                    .end(&format!("speaks version {proto} of the protocol, this Wardbeat version {PROTO}")))
            }
            Ok(_) => Err(self.end("sent something before ready")),
            Err(e) => Err(self.end(&e.to_string())),
        }
    }

    /// Sends one line and gives every message to `answer` until it finds its answer. The child is ended if it gives
    /// none until `until`.
    ///
    /// # Errors
    /// In words, if there is no answer; what was asked may or may not have been done.
    pub fn ask<T>(
        &mut self,
        line: &str,
        until: Instant,
        mut answer: impl FnMut(FromPlugin) -> Option<T>,
    ) -> Result<T, String> {
        self.ready(until)?;
        if let State::Up(running) = &mut self.state {
            running.child.send(line);
        }
        while let Some(message) = self.message(until)? {
            if let Some(found) = answer(message) {
                self.wait = self.pace.restart_first;
                return Ok(found);
            }
            if Instant::now() >= until {
                break; // A flood of other messages is no answer.
            }
        }
        Err(self.end("gave no answer in time"))
    }

    /// The next message that is not about the link itself.
    fn message(&mut self, until: Instant) -> Result<Option<FromPlugin>, String> {
        loop {
            let State::Up(running) = &mut self.state else { return Err(self.down()) };
            let line = match running.child.line(until) {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(why) => return Err(self.end(&why)),
            };
            match FromPlugin::parse(&line) {
                Ok(FromPlugin::Pong { n }) => {
                    if running.pinged.is_some_and(|(asked, _)| asked == n) {
                        running.pinged = None;
                    }
                    if Instant::now() >= until {
                        return Ok(None);
                    }
                }
                Ok(message) => return Ok(Some(message)),
                Err(e) => return Err(self.end(&e.to_string())),
            }
        }
    }

    /// Reads what has come meanwhile, and pings. Does not wait.
    ///
    /// # Errors
    /// In words, if the child is down.
    pub fn idle(&mut self, mut heard: impl FnMut(FromPlugin)) -> Result<(), String> {
        let now = Instant::now();
        self.start()?;
        let State::Up(running) = &self.state else { return Err(self.down()) };
        if running.ready.is_none() {
            let starting = running.since.elapsed() < self.pace.patience;
            return self.ready(now).or_else(|why| {
                let up = matches!(self.state, State::Up(_));
                if up && starting { Ok(()) } else { Err(why) }
            });
        }
        for _ in 0..IDLE_MESSAGES_MAX {
            let Some(message) = self.message(now)? else { break };
            heard(message);
        }
        self.ping(now)
    }

    fn ping(&mut self, now: Instant) -> Result<(), String> {
        let State::Up(running) = &mut self.state else { return Err(self.down()) };
        match running.pinged {
            Some((_, since)) if now.duration_since(since) > self.pace.patience => {
                Err(self.end("gave no pong"))
            }
            None if now.duration_since(running.pinged_last) >= self.pace.ping_every => {
                self.pings += 1;
                (running.pinged, running.pinged_last) = (Some((self.pings, now)), now);
                let line = ToPlugin::Ping { n: self.pings }.line().map_err(|e| e.to_string())?;
                running.child.send(&line);
                // One more look at the pipes moves the line.
                self.message(now).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Ends the child, sets the time of its restart and says why, in words.
    fn end(&mut self, why: &str) -> String {
        let last_words = match &mut self.state {
            State::Up(running) => running.child.end(),
            State::Down { .. } => String::new(),
        };
        let why = format!("{} {why}{last_words}", self.launch.name());
        self.state = State::Down { until: Instant::now() + self.wait, why: why.clone() };
        self.wait = (self.wait * 2).min(self.pace.restart_max);
        why
    }

    fn down(&self) -> String {
        match &self.state {
            State::Down { until, why } => {
                let left = until.saturating_duration_since(Instant::now());
                format!("{why}; it is started again in {:.1} s", left.as_secs_f32())
            }
            State::Up(_) => format!("{} is not ready", self.launch.name()),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let (State::Up(running), Ok(bye)) = (&mut self.state, ToPlugin::Bye.line()) {
            running.child.dismiss(&bye, self.pace.farewell);
            running.child.end();
        }
    }
}
