//! The one thread that owns the terminal's output: one slot, one write a frame. While it is busy nothing is drawn,
//! so a stalled terminal loses frames and never delays the loop.

use contract::MonoMs;
use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Default)]
struct Slot {
    frame: Option<Vec<u8>>,
    writing: bool,
    closed: bool,
    failed: Option<std::io::ErrorKind>,
}

/// Hands frames to the writing thread.
pub(super) struct Writer {
    slot: Arc<(Mutex<Slot>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread that owns `out`.
    pub fn start(out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let slot = Arc::new((Mutex::new(Slot::default()), Condvar::new()));
        let inner = Arc::clone(&slot);
        let thread = std::thread::Builder::new()
            .name("screen-writer".into())
            .spawn(move || write_frames(&inner, out))?;
        Ok(Self { slot, thread: Some(thread) })
    }

    /// Whether the last frame is written: only then may the next one be drawn.
    pub fn idle(&self) -> bool {
        let slot = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.frame.is_none() && !slot.writing
    }

    /// Why the terminal no longer takes output.
    pub fn failed(&self) -> Option<std::io::ErrorKind> {
        self.slot.0.lock().unwrap_or_else(PoisonError::into_inner).failed
    }

    /// Puts one frame into the slot.
    pub fn put(&self, frame: Vec<u8>) {
        self.slot.0.lock().unwrap_or_else(PoisonError::into_inner).frame = Some(frame);
        self.slot.1.notify_all();
    }

    /// Lets the last frame out, waiting at most `patience`, and ends the thread. A stuck terminal keeps its thread.
    pub fn close(mut self, patience: Duration) {
        let mut slot = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.closed = true;
        self.slot.1.notify_all();
        let waiting = |s: &mut Slot| (s.frame.is_some() || s.writing) && s.failed.is_none();
        let (slot, waited) =
            self.slot.1.wait_timeout_while(slot, patience, waiting).unwrap_or_else(PoisonError::into_inner);
        drop(slot);
        if let Some(thread) = self.thread.take().filter(|_| !waited.timed_out()) {
            // The thread holds no lock of ours and ends by itself; a panic in it has nothing left to tell.
            let _ = thread.join();
        }
    }
}

fn write_frames(slot: &(Mutex<Slot>, Condvar), mut out: impl Write) {
    loop {
        let mut held = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        while held.frame.is_none() && !held.closed {
            held = slot.1.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        let Some(frame) = held.frame.take() else { return };
        held.writing = true;
        drop(held);
        let result = out.write_all(&frame).and_then(|()| out.flush());
        let mut held = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.writing = false;
        held.failed = result.err().map(|e| e.kind());
        slot.1.notify_all();
        if held.failed.is_some() {
            return;
        }
    }
}

/// Bytes a second that a link may be given.
const BUDGET: usize = 20_000;

/// What a slow link leaves out, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Economy {
    /// Nothing.
    #[default]
    None,
    /// 24-bit colours.
    Depth,
    /// The clusters' colours.
    Clusters,
    /// The traces.
    Traces,
}

/// Frames a second as a share of the full rate in tenths, and what is left out.
const STEPS: [(u32, Economy); 7] = [
    (10, Economy::None),
    (6, Economy::None),
    (4, Economy::None),
    (2, Economy::None),
    (2, Economy::Depth),
    (2, Economy::Clusters),
    (2, Economy::Traces),
];

/// Slows the frames down, then leaves things out, while the screen writes more than the link should carry.
pub(super) struct Governor {
    step: usize,
    sent: VecDeque<(MonoMs, usize)>,
    changed: MonoMs,
}

impl Governor {
    pub fn new() -> Self {
        Self { step: 0, sent: VecDeque::new(), changed: MonoMs(0) }
    }

    /// Frames a second now, where `full` would be the rate of a fast link.
    pub fn fps(&self, full: u32) -> u32 {
        (full * STEPS[self.step].0 / 10).max(1)
    }

    /// What is left out now.
    pub fn economy(&self) -> Economy {
        STEPS[self.step].1
    }

    /// Whether the frames are slower than they should be.
    pub fn slow(&self) -> bool {
        self.step > 0
    }

    /// Bytes a second over the last 2 s.
    pub fn rate(&self) -> usize {
        self.sent.iter().map(|(_, b)| b).sum::<usize>() / 2
    }

    /// Notes a frame of `bytes`; at most one step in 2 s down and in 10 s up.
    pub fn note(&mut self, bytes: usize, now: MonoMs) {
        self.sent.push_back((now, bytes));
        while self.sent.front().is_some_and(|(at, _)| now.since(*at) > 2_000) {
            self.sent.pop_front();
        }
        let (rate, settled) = (self.rate(), now.since(self.changed));
        if rate > BUDGET && settled >= 2_000 && self.step + 1 < STEPS.len() {
            self.step += 1;
            self.changed = now;
        } else if rate < BUDGET / 3 && settled >= 10_000 && self.step > 0 {
            self.step -= 1;
            self.changed = now;
        }
    }
}

/// For how long a late turn of the loop is told, at least.
const LATE_MS: u64 = 5_000;

/// How late the loop was of late: the most of this and the last five seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Late {
    since: MonoMs,
    /// Of the stretch before, and of this one.
    most_ms: [u64; 2],
}

impl Late {
    /// Notes by how much a turn was late.
    pub fn note(&mut self, ms: u64, now: MonoMs) {
        if now.since(self.since) >= LATE_MS {
            (self.since, self.most_ms) = (now, [self.most_ms[1], 0]);
        }
        self.most_ms[1] = self.most_ms[1].max(ms);
    }

    /// The most, in ms.
    pub fn most_ms(self) -> u64 {
        self.most_ms[0].max(self.most_ms[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_stream_is_slowed_and_a_light_one_recovers() {
        let mut governor = Governor::new();
        let mut now = MonoMs(0);
        while now.0 < 8_500 {
            now = now.after(1_000 / u64::from(governor.fps(10)));
            governor.note(11_000, now);
        }
        assert_eq!((governor.fps(10), governor.economy()), (2, Economy::Depth));
        while now.0 < 20_000 {
            now = now.after(1_000 / u64::from(governor.fps(10)));
            governor.note(30_000, now);
        }
        assert_eq!((governor.fps(15), governor.economy()), (3, Economy::Traces));
        while now.0 < 120_000 {
            now = now.after(1_000 / u64::from(governor.fps(10)));
            governor.note(500, now);
        }
        assert_eq!((governor.fps(10), governor.economy()), (10, Economy::None));
    }

    #[test]
    fn a_stalled_terminal_never_blocks_the_caller() {
        struct Stuck(Arc<(Mutex<bool>, Condvar)>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let open = self.0.0.lock().unwrap();
                drop(self.0.1.wait_while(open, |open| !*open).unwrap());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let writer = Writer::start(Stuck(Arc::clone(&gate))).unwrap();
        assert!(writer.idle());
        writer.put(vec![1; 10]);
        // The slot is taken: the caller sees it and draws nothing.
        assert!(!writer.idle());
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        writer.close(Duration::from_secs(5));
    }

    #[test]
    fn a_broken_terminal_is_told() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let writer = Writer::start(Broken).unwrap();
        writer.put(vec![1]);
        let patience = Duration::from_secs(5);
        let slot = writer.slot.0.lock().unwrap();
        let (slot, _) = writer.slot.1.wait_timeout_while(slot, patience, |s| s.failed.is_none()).unwrap();
        drop(slot);
        assert_eq!(writer.failed(), Some(std::io::ErrorKind::BrokenPipe));
    }

    #[test]
    fn a_late_turn_is_forgotten_after_a_while() {
        let mut late = Late::default();
        late.note(40, MonoMs(6_000));
        late.note(1, MonoMs(10_900));
        assert_eq!(late.most_ms(), 40);
        late.note(2, MonoMs(11_100));
        assert_eq!(late.most_ms(), 40);
        late.note(3, MonoMs(16_200));
        assert_eq!(late.most_ms(), 3);
    }
}
