//! What the child writes on stderr: lines for the log, cut at a rate.

use contract::limits::PLUGIN_STDERR_BYTES_PER_S_MAX;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Takes the program's name and one line.
type Log = fn(program: &str, line: &str);

static LOG: OnceLock<Log> = OnceLock::new();

/// Longest line passed on, in bytes.
const LINE_BYTES_MAX: usize = 1 << 10;

/// Says where the lines go that plugins write on stderr; without it they are dropped. The first call counts.
pub fn log_stderr_to(log: Log) {
    let _ = LOG.set(log);
}

/// One child's stderr.
pub(crate) struct Stderr {
    program: String,
    line: Vec<u8>,
    second: Instant,
    bytes: usize,
    cut: usize,
    /// The last line, for the reason given when the child ends.
    pub last: String,
}

impl Stderr {
    pub fn new(program: String, now: Instant) -> Self {
        Self { program, line: Vec::new(), second: now, bytes: 0, cut: 0, last: String::new() }
    }

    /// Takes what was read at `now`.
    pub fn hear(&mut self, bytes: &[u8], now: Instant) {
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            self.report_cut();
            (self.second, self.bytes) = (now, 0);
        }
        let room = PLUGIN_STDERR_BYTES_PER_S_MAX - self.bytes;
        let taken = bytes.len().min(room);
        self.cut += bytes.len() - taken;
        self.bytes += taken;
        for &byte in &bytes[..taken] {
            if byte == b'\n' || self.line.len() == LINE_BYTES_MAX {
                self.say();
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
    }

    /// Passes on what is left when the child is gone.
    pub fn finish(&mut self) {
        self.say();
        self.report_cut();
    }

    fn say(&mut self) {
        let line: String = String::from_utf8_lossy(&self.line)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        self.line.clear();
        if line.trim().is_empty() {
            return;
        }
        if let Some(log) = LOG.get() {
            log(&self.program, &line);
        }
        self.last = line;
    }

    fn report_cut(&mut self) {
        if let (Some(log), true) = (LOG.get(), self.cut > 0) {
            log(&self.program, &format!("{} bytes of stderr cut", self.cut));
        }
        self.cut = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stderr_is_cut_at_its_rate_and_comes_back_the_next_second() {
        let began = Instant::now();
        let mut stderr = Stderr::new("p".into(), began);
        stderr.hear(&vec![b'x'; 3 * PLUGIN_STDERR_BYTES_PER_S_MAX], began);
        assert_eq!(stderr.cut, 2 * PLUGIN_STDERR_BYTES_PER_S_MAX);
        assert!(stderr.last.len() <= LINE_BYTES_MAX && stderr.line.len() <= LINE_BYTES_MAX);
        stderr.hear(b"\nwell again\x1b[2J\n", began + Duration::from_secs(1));
        assert_eq!((stderr.last.as_str(), stderr.cut), ("well again [2J", 0));
    }
}
