//! Listening and threads, the same for both channels.

use crate::behaviour::{Behaviour, Schedule};
use crate::ledger::Ledger;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a thread looks whether it shall end.
const GLANCE: Duration = Duration::from_millis(10);
/// A silent receiver forgets a connection after this.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// What one connection shares with the receiver.
#[derive(Clone)]
pub struct Desk {
    /// Where arrivals are written down.
    pub ledger: Ledger,
    schedule: Arc<Mutex<Schedule>>,
    stop: Arc<AtomicBool>,
}

impl Desk {
    /// The behaviour for the next message.
    pub fn next(&self) -> Behaviour {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner).draw()
    }

    /// Waits as a slow receiver does.
    pub fn be_slow(&self) {
        let slow = self.schedule.lock().unwrap_or_else(PoisonError::into_inner).slow();
        let until = Instant::now() + slow;
        while Instant::now() < until && !self.stopped() {
            thread::sleep(GLANCE.min(until.saturating_duration_since(Instant::now())));
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Some bytes; `None` at the end of the connection or of the receiver.
    pub fn read(&self, socket: &mut TcpStream) -> Option<Vec<u8>> {
        let mut bytes = [0; 8_192];
        while !self.stopped() {
            match socket.read(&mut bytes) {
                Ok(0) => return None,
                Ok(n) => return Some(bytes[..n].to_vec()),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Reads on without a word until the sender gives up.
    pub fn ignore(&self, socket: &mut TcpStream) {
        let until = Instant::now() + SILENCE_MAX;
        while Instant::now() < until && self.read(socket).is_some() {}
    }
}

/// A running receiver; ends when dropped.
pub struct Receiver {
    address: SocketAddr,
    desk: Desk,
    listening: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Listens on `address` and hands each connection to `serve` on a thread of its own.
    pub(crate) fn start(
        address: &str,
        schedule: Schedule,
        ledger: Ledger,
        serve: impl Fn(TcpStream, &Desk) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let desk = Desk { ledger, schedule: Arc::new(Mutex::new(schedule)), stop };
        let shared = desk.clone();
        let listening = thread::spawn(move || listen(&listener, &shared, &Arc::new(serve)));
        Ok(Self { address, desk, listening: Some(listening) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What arrived.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.desk.ledger
    }

    /// Changes how the next messages are met.
    pub fn behave(&self, schedule: Schedule) {
        *self.desk.schedule.lock().unwrap_or_else(PoisonError::into_inner) = schedule;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.desk.stop.store(true, Ordering::Release);
        // Wakes the thread that waits for a caller; one that cannot be reached would not be waited for.
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok();
        if let Some(listening) = self.listening.take().filter(|_| woken) {
            let _ = listening.join();
        }
    }
}

fn listen<S: Fn(TcpStream, &Desk) + Send + Sync + 'static>(
    listener: &TcpListener,
    desk: &Desk,
    serve: &Arc<S>,
) {
    let mut connections = Vec::new();
    while !desk.stopped() {
        let Ok((socket, _)) = listener.accept() else {
            // No file descriptor left, or the caller went away.
            thread::sleep(GLANCE);
            continue;
        };
        let ready = socket.set_read_timeout(Some(GLANCE)).and_then(|()| socket.set_nodelay(true));
        if ready.is_err() {
            continue;
        }
        let (desk, serve) = (desk.clone(), Arc::clone(serve));
        connections.retain(|c: &JoinHandle<()>| !c.is_finished());
        connections.push(thread::spawn(move || serve(socket, &desk)));
    }
    for connection in connections {
        let _ = connection.join();
    }
}
