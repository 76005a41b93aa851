//! One running child and its three pipes. None of them blocks: every wait has an end.

use crate::launch::Launch;
use crate::stderr::Stderr;
use contract::limits::PLUGIN_LINE_BYTES_MAX;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io::{self, ErrorKind, Read, Write};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

const READ_BYTES: usize = 64 << 10;

/// A child, from its start to its end.
pub(crate) struct Child {
    spawned: std::process::Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    /// Written by us, not yet taken by the pipe.
    outgoing: Vec<u8>,
    /// Read, not yet given out as lines.
    incoming: Vec<u8>,
    /// How far `incoming` was searched for a line's end.
    searched: usize,
    /// Its output has ended.
    closed: bool,
    said: Stderr,
}

/// Reads once; `None` = nothing there now, `Some(0)` = closed.
fn read_some(from: &mut impl Read, buffer: &mut [u8]) -> Result<Option<usize>, String> {
    match from.read(buffer) {
        Ok(n) => Ok(Some(n)),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(e) => Err(format!("cannot be read: {e}")),
    }
}

impl Child {
    /// Starts the program.
    pub fn start(launch: &Launch) -> io::Result<Self> {
        let mut spawned = launch.spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let stdin = spawned.stdin.take().ok_or_else(missing)?;
        let stdout = spawned.stdout.take().ok_or_else(missing)?;
        let stderr = spawned.stderr.take().ok_or_else(missing)?;
        rustix::io::ioctl_fionbio(&stdin, true)?;
        rustix::io::ioctl_fionbio(&stdout, true)?;
        rustix::io::ioctl_fionbio(&stderr, true)?;
        Ok(Self {
            spawned,
            stdin: Some(stdin),
            stdout,
            stderr: Some(stderr),
            outgoing: Vec::new(),
            incoming: Vec::new(),
            searched: 0,
            closed: false,
            said: Stderr::new(launch.name(), Instant::now()),
        })
    }

    /// Queues one line; [`Child::line`] moves it.
    pub fn send(&mut self, line: &str) {
        self.outgoing.extend_from_slice(line.as_bytes());
    }

    /// The next line, without its end. `None` at `until`; the pipes are looked at once in any case.
    ///
    /// # Errors
    /// In words, if the child is gone or sends a line over the limit; it must be ended then.
    pub fn line(&mut self, until: Instant) -> Result<Option<Vec<u8>>, String> {
        loop {
            if let Some(line) = self.take_line()? {
                return Ok(Some(line));
            }
            let left = until.saturating_duration_since(Instant::now());
            self.wait(left)?;
            self.write()?;
            self.hear(Instant::now())?;
            let open = self.read()?;
            if let Some(line) = self.take_line()? {
                return Ok(Some(line));
            }
            if !open {
                return Err("closed its output".into());
            }
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    fn take_line(&mut self) -> Result<Option<Vec<u8>>, String> {
        let found =
            self.incoming[self.searched..].iter().position(|&b| b == b'\n').map(|i| i + self.searched);
        let length = found.unwrap_or(self.incoming.len());
        if length > PLUGIN_LINE_BYTES_MAX {
            return Err(format!("printed a line of more than {PLUGIN_LINE_BYTES_MAX} bytes"));
        }
        let Some(end) = found else {
            self.searched = self.incoming.len();
            return Ok(None);
        };
        let mut line: Vec<u8> = self.incoming.drain(..=end).collect();
        line.pop();
        self.searched = 0;
        Ok(Some(line))
    }

    /// Waits until a pipe is ready or the time is up.
    fn wait(&self, left: Duration) -> Result<(), String> {
        let mut pipes = vec![PollFd::new(&self.stdout, PollFlags::IN)];
        if let Some(stderr) = &self.stderr {
            pipes.push(PollFd::new(stderr, PollFlags::IN));
        }
        if let (Some(stdin), false) = (&self.stdin, self.outgoing.is_empty()) {
            pipes.push(PollFd::new(stdin, PollFlags::OUT));
        }
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut pipes, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(format!("cannot be waited for: {e}")),
        }
    }

    fn write(&mut self) -> Result<(), String> {
        let Some(stdin) = &mut self.stdin else { return Ok(()) };
        while !self.outgoing.is_empty() {
            match stdin.write(&self.outgoing) {
                Ok(n) => drop(self.outgoing.drain(..n)),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => break,
                Err(e) => return Err(format!("closed its input: {e}")),
            }
        }
        Ok(())
    }

    /// Reads stdout once; false when it is closed.
    fn read(&mut self) -> Result<bool, String> {
        let mut buffer = vec![0; READ_BYTES];
        match read_some(&mut self.stdout, &mut buffer)? {
            Some(0) => {
                self.closed = true;
                Ok(false)
            }
            Some(n) => {
                self.incoming.extend_from_slice(&buffer[..n]);
                Ok(true)
            }
            None => Ok(true),
        }
    }

    fn hear(&mut self, now: Instant) -> Result<(), String> {
        let Some(stderr) = &mut self.stderr else { return Ok(()) };
        let mut buffer = vec![0; READ_BYTES];
        match read_some(stderr, &mut buffer)? {
            Some(0) => self.stderr = None,
            Some(n) => self.said.hear(&buffer[..n], now),
            None => {}
        }
        Ok(())
    }

    /// Says `bye`, closes stdin and waits up to `patience` for the child to close its output.
    pub fn dismiss(&mut self, bye: &str, patience: Duration) {
        let until = Instant::now() + patience;
        self.send(bye);
        while Instant::now() < until {
            if self.outgoing.is_empty() {
                self.stdin = None;
            }
            // Late answers are of no use any more; an error means that it is gone.
            let soon = until.min(Instant::now() + Duration::from_millis(50));
            if self.line(soon).is_err() {
                return;
            }
        }
    }

    /// Ends the child and all that it started, and gives the last words in brackets.
    pub fn end(&mut self) -> String {
        let _ = self.hear(Instant::now());
        self.said.finish();
        let id = Pid::from_child(&self.spawned);
        if self.closed {
            await_exit(id, Duration::from_millis(100));
        }
        // Nobody has waited for the child yet, so the id is still its own even if it has gone.
        let _ = kill_process_group(id, Signal::KILL);
        let _ = self.spawned.kill();
        let status = self.spawned.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
        if self.said.last.is_empty() {
            format!(" ({status})")
        } else {
            format!(" ({status}; {})", self.said.last)
        }
    }
}

/// A child that closed its output is about to go: its own status says more than ours.
fn await_exit(id: Pid, patience: Duration) {
    let until = Instant::now() + patience;
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while matches!(waitid(WaitId::Pid(id), look), Ok(None)) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
}
