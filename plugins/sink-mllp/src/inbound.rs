//! Acknowledgements from the nurse call: PCD-05 reports on a listening socket of our own, polled, never waited for.

use crate::answer::{Message, StatusReport, acknowledge};
use crate::frame::{Frames, framed};
use crate::wire::Wire;
use rustls::{ServerConfig, ServerConnection};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Connections held at a time; the oldest gives way.
const CALLERS_MAX: usize = 8;
/// Bytes taken from one caller at a time.
const TURN_BYTES_MAX: usize = 64 << 10;

struct Caller {
    wire: Wire,
    frames: Frames,
}

/// The listening socket and its callers. Bound at the first poll and not when built, for the config is also built to
/// be checked while another Wardbeat runs.
pub struct Inbound {
    address: String,
    tls: Option<Arc<ServerConfig>>,
    listener: Option<TcpListener>,
    callers: Vec<Caller>,
}

impl Inbound {
    pub fn new(address: String, tls: Option<Arc<ServerConfig>>) -> Self {
        Self { address, tls, listener: None, callers: Vec::new() }
    }

    /// The reports that have come since the last call; each is answered.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn poll(&mut self) -> std::io::Result<Vec<StatusReport>> {
        if self.listener.is_none() {
            let listener = TcpListener::bind(&self.address)?;
            listener.set_nonblocking(true)?;
            self.listener = Some(listener);
        }
        while let Some(Ok((socket, _))) = self.listener.as_ref().map(TcpListener::accept) {
            if let Some(wire) = self.welcome(socket) {
                if self.callers.len() == CALLERS_MAX {
                    self.callers.remove(0);
                }
                self.callers.push(Caller { wire, frames: Frames::default() });
            }
        }
        let mut reports = Vec::new();
        self.callers.retain_mut(|caller| caller.turn(&mut reports).is_some());
        Ok(reports)
    }

    fn welcome(&self, socket: TcpStream) -> Option<Wire> {
        socket.set_nonblocking(true).ok()?;
        match &self.tls {
            None => Some(Wire::Plain(socket)),
            Some(config) => Some(Wire::server(ServerConnection::new(Arc::clone(config)).ok()?, socket)),
        }
    }
}

impl Caller {
    /// Reads what has come; `None` once the connection is over or useless.
    fn turn(&mut self, reports: &mut Vec<StatusReport>) -> Option<()> {
        let mut bytes = [0; 4_096];
        for _ in 0..TURN_BYTES_MAX / bytes.len() {
            let n = match self.wire.read(&mut bytes) {
                Ok(0) => return None,
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Some(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return None,
            };
            for frame in self.frames.push(&bytes[..n]).ok()? {
                let message = Message::read(&frame)?;
                let report = StatusReport::of(&message);
                if let Some(answer) = acknowledge(&message, report.as_ref().err().copied()) {
                    self.wire.write_all(&framed(&answer)).ok()?;
                    self.wire.flush().ok()?;
                }
                reports.extend(report);
            }
        }
        Some(())
    }
}
