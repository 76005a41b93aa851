//! Bounded queues by key between two threads: one that must never wait and one that may.
//!
//! Each key (a topic, a bed) has its own bound, so that a flood on one never evicts another's frames; all together
//! are bounded by weight in bytes. Values leave in the order in which they came.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The bounds of [`Queues`].
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Values of one key.
    pub per_key: usize,
    /// Bytes of all keys together.
    pub bytes: usize,
}

/// Queues by key; see the file's head.
pub struct Queues<K, T> {
    bounds: Bounds,
    state: Mutex<State<K, T>>,
    ready: Condvar,
}

struct Waiting<T> {
    value: T,
    bytes: usize,
    may_go: bool,
}

struct State<K, T> {
    /// One entry for each waiting value: whose turn it is.
    turns: VecDeque<K>,
    waiting: HashMap<K, VecDeque<Waiting<T>>>,
    bytes: usize,
    closed: bool,
}

impl<K: Hash + Eq + Clone, T> Queues<K, T> {
    /// Empty queues.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let state = State { turns: VecDeque::new(), waiting: HashMap::new(), bytes: 0, closed: false };
        Self { bounds, state: Mutex::new(state), ready: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<K, T>> {
        // A panic elsewhere leaves counts at worst one off: going on is better than stopping a ward.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a value of `bytes`; where the key or the whole is full, the key's oldest values that `may_go` are evicted.
    /// Returns how many values were lost, the new one included if nothing could make room for it. Never waits.
    pub fn push(&self, key: K, value: T, bytes: usize, may_go: bool) -> usize {
        let mut state = self.lock();
        let mut lost = 0;
        let full = |state: &State<K, T>, bounds: Bounds| {
            state.waiting.get(&key).map_or(0, VecDeque::len) >= bounds.per_key
                || state.bytes + bytes > bounds.bytes
        };
        while full(&state, self.bounds) {
            if !state.evict(&key) {
                return lost + 1;
            }
            lost += 1;
        }
        state.bytes += bytes;
        state.turns.push_back(key.clone());
        state.waiting.entry(key).or_default().push_back(Waiting { value, bytes, may_go });
        drop(state);
        self.ready.notify_one();
        lost
    }

    /// Takes up to `max` values, waiting up to `patience` for the first. `None` once closed and empty.
    pub fn take(&self, max: usize, patience: Duration) -> Option<Vec<T>> {
        let mut state = self.lock();
        if state.turns.is_empty() && !state.closed {
            state = self.ready.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        let taken: Vec<T> = std::iter::from_fn(|| state.next()).take(max).collect();
        (!taken.is_empty() || !state.closed).then_some(taken)
    }

    /// As [`Queues::take`], but after the first value it lets others gather for a while: one turn for many values costs
    /// fewer changes of threads than a turn for each, and an engine works best on many beds at once.
    pub fn gather(&self, max: usize, patience: Duration, linger: Duration) -> Option<Vec<T>> {
        let state = self.lock();
        if state.turns.is_empty() && !state.closed {
            drop(self.ready.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner));
        } else {
            drop(state);
        }
        if self.gathers(max) {
            // Not on the condition: each value would wake us.
            std::thread::sleep(linger);
        }
        self.take(max, Duration::ZERO)
    }

    fn gathers(&self, max: usize) -> bool {
        let state = self.lock();
        !state.closed && (1..max).contains(&state.turns.len())
    }

    /// Values and bytes that wait.
    #[must_use]
    pub fn standing(&self) -> (usize, usize) {
        let state = self.lock();
        (state.turns.len(), state.bytes)
    }

    /// Lets [`Queues::take`] end once everything was taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_all();
    }
}

impl<K: Hash + Eq + Clone, T> State<K, T> {
    fn next(&mut self) -> Option<T> {
        let key = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&key)?;
        let oldest = queue.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&key);
        }
        self.bytes -= oldest.bytes;
        Some(oldest.value)
    }

    /// Drops the key's oldest value that may go, and its latest turn: those before it keep theirs.
    fn evict(&mut self, key: &K) -> bool {
        let Some(queue) = self.waiting.get_mut(key) else { return false };
        let Some(at) = queue.iter().position(|w| w.may_go) else { return false };
        let gone = queue.remove(at);
        if queue.is_empty() {
            self.waiting.remove(key);
        }
        self.bytes -= gone.map_or(0, |w| w.bytes);
        if let Some(turn) = self.turns.iter().rposition(|k| k == key) {
            self.turns.remove(turn);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(per_key: usize, bytes: usize) -> Queues<&'static str, u32> {
        Queues::new(Bounds { per_key, bytes })
    }

    fn all(queues: &Queues<&'static str, u32>) -> Vec<u32> {
        queues.take(100, Duration::ZERO).expect("open")
    }

    #[test]
    fn a_flood_on_one_key_evicts_its_own_oldest_only() {
        let q = queues(2, 100);
        assert_eq!(q.push("quiet", 1, 1, true), 0);
        let lost: usize = (10..20).map(|v| q.push("flood", v, 1, true)).sum();
        assert_eq!(lost, 8);
        assert_eq!(all(&q), [1, 18, 19]);
    }

    #[test]
    fn what_may_not_go_stays_and_order_is_kept() {
        let q = queues(2, 100);
        q.push("bed", 1, 1, false);
        q.push("bed", 2, 1, true);
        assert_eq!(q.push("bed", 3, 1, true), 1);
        q.push("bed", 4, 1, false);
        assert_eq!(q.push("bed", 5, 1, true), 1, "nothing of the bed may go: the new one is lost");
        assert_eq!(all(&q), [1, 4]);
    }

    #[test]
    fn bytes_bound_the_whole() {
        let q = queues(100, 10);
        for key in ["a", "b", "c"] {
            q.push(key, 0, 3, true);
        }
        assert_eq!(q.push("d", 1, 3, true), 1, "no room and nothing of its own to evict");
        assert_eq!(q.push("a", 2, 4, true), 1);
        assert_eq!(all(&q).len(), 3);
        assert_eq!(q.push("d", 1, 3, true), 0);
    }

    #[test]
    fn gathering_takes_in_order_what_came_and_ends_like_taking() {
        let q = queues(9, 100);
        q.push("a", 1, 1, true);
        q.push("b", 2, 1, true);
        let linger = Duration::from_millis(1);
        assert_eq!(q.gather(9, Duration::ZERO, linger), Some(vec![1, 2]));
        assert_eq!(q.gather(9, Duration::ZERO, linger), Some(vec![]));
        q.push("a", 3, 1, true);
        q.close();
        assert_eq!(q.gather(9, Duration::from_secs(9), Duration::from_secs(9)), Some(vec![3]));
        assert_eq!(q.gather(9, Duration::from_secs(9), Duration::from_secs(9)), None);
    }

    #[test]
    fn closed_queues_end_when_empty() {
        let q = queues(2, 10);
        q.push("a", 1, 1, true);
        q.close();
        assert_eq!(q.take(9, Duration::ZERO), Some(vec![1]));
        assert_eq!(q.take(9, Duration::from_secs(9)), None);
    }
}
