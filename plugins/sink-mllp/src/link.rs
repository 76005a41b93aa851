//! One connection to the receiver: made when needed, one message in flight, closed at the first doubt.

use crate::answer::{Answer, Message, StatusReport, Verdict};
use crate::frame::{Frames, framed};
use crate::message::Report;
use crate::wire::Wire;
use contract::SinkError;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// TLS towards the receiver.
pub struct Tls {
    pub config: Arc<ClientConfig>,
    pub name: ServerName<'static>,
}

/// The connection and what it heard.
pub struct Link {
    address: String,
    tls: Option<Tls>,
    /// Plain TCP to another machine is allowed.
    insecure_tcp: bool,
    wire: Option<Wire>,
    frames: Frames,
    /// Connections made so far: a change means that the receiver may have forgotten what was said before.
    pub connections: u64,
    /// PCD-05 reports that came on this socket, as some receivers send them.
    pub reports: Vec<StatusReport>,
}

fn retry(why: impl Into<String>) -> SinkError {
    SinkError::Retry(why.into())
}

/// What is left until `deadline`; never zero, which sockets take for endless.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

impl Link {
    pub fn new(address: String, tls: Option<Tls>, insecure_tcp: bool) -> Self {
        let (wire, frames) = (None, Frames::default());
        Self { address, tls, insecure_tcp, wire, frames, connections: 0, reports: Vec::new() }
    }

    /// Whether the connection stands, looking for a close that came while nothing was said.
    pub fn is_up(&mut self) -> bool {
        let Some(mut wire) = self.wire.take() else { return false };
        let alive = self.quiet(&mut wire).is_some();
        self.wire = alive.then_some(wire);
        alive
    }

    /// Reads what lies in the socket without waiting; `None` if it is closed or no longer MLLP. Answers found here
    /// come too late to count.
    fn quiet(&mut self, wire: &mut Wire) -> Option<()> {
        let mut bytes = [0; 4_096];
        wire.socket().set_nonblocking(true).ok()?;
        loop {
            match wire.read(&mut bytes) {
                Ok(0) => return None,
                Ok(n) => {
                    let late = self.frames.push(&bytes[..n]).ok()?;
                    for frame in late {
                        self.keep_report(&frame);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        wire.socket().set_nonblocking(false).ok()
    }

    fn keep_report(&mut self, frame: &[u8]) {
        let report = Message::read(frame).and_then(|message| StatusReport::of(&message).ok());
        // A flood of reports must not fill the memory; the receiver repeats what matters.
        self.reports.extend(report.filter(|_| self.reports.len() < 1_000));
    }

    pub fn close(&mut self) {
        self.wire = None;
    }

    /// Connects if there is no sound connection.
    ///
    /// # Errors
    /// [`SinkError`] says what stands in the way.
    pub fn ready(&mut self, deadline: Instant) -> Result<(), SinkError> {
        if self.is_up() {
            return Ok(());
        }
        let address = &self.address;
        let no_host = |e: std::io::Error| retry(format!("{address}: {e}"));
        let targets: Vec<_> = address.to_socket_addrs().map_err(no_host)?.collect();
        let mut last = retry(format!("{address}: no such host"));
        for target in targets {
            if self.tls.is_none() && !self.insecure_tcp && !target.ip().is_loopback() {
                return Err(SinkError::Refused(format!(
                    "{address} is {target}, not this machine: needs TLS"
                )));
            }
            let opened = TcpStream::connect_timeout(&target, left(deadline)).and_then(|socket| {
                socket.set_nodelay(true)?;
                self.secured(socket, deadline)
            });
            match opened {
                Ok(wire) => {
                    self.wire = Some(wire);
                    self.frames = Frames::default();
                    self.connections += 1;
                    return Ok(());
                }
                Err(e) => last = retry(format!("{target}: {e}")),
            }
        }
        Err(last)
    }

    fn secured(&self, mut socket: TcpStream, deadline: Instant) -> std::io::Result<Wire> {
        let Some(tls) = &self.tls else { return Ok(Wire::Plain(socket)) };
        let mut session = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone())
            .map_err(std::io::Error::other)?;
        while session.is_handshaking() {
            if Instant::now() >= deadline {
                return Err(ErrorKind::TimedOut.into());
            }
            socket.set_read_timeout(Some(left(deadline)))?;
            socket.set_write_timeout(Some(left(deadline)))?;
            if session.wants_write() {
                session.write_tls(&mut socket)?;
            } else if session.read_tls(&mut socket)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            } else {
                session.process_new_packets().map_err(std::io::Error::other)?;
            }
        }
        Ok(Wire::client(session, socket))
    }

    /// Sends one message and waits for its answer. Without one the connection is closed, so that no late answer can
    /// be taken for that of the next message.
    ///
    /// # Errors
    /// [`SinkError::Retry`] if it is not known to have arrived or the receiver reports an error,
    /// [`SinkError::Refused`] if it rejects these bytes.
    pub fn exchange(
        &mut self,
        report: &Report,
        timeout: Duration,
        deadline: Instant,
    ) -> Result<Answer, SinkError> {
        self.ready(deadline)?;
        let Some(mut wire) = self.wire.take() else { return Err(retry("not connected")) };
        let until = deadline.min(Instant::now() + timeout);
        let answer = self.ask(&mut wire, report, until)?;
        self.wire = Some(wire);
        match answer.verdict {
            Verdict::Accepted => Ok(answer),
            Verdict::Error => Err(retry(format!("{}: {}", answer.code, answer.text))),
            Verdict::Rejected => Err(SinkError::Refused(format!("{}: {}", answer.code, answer.text))),
        }
    }

    fn ask(&mut self, wire: &mut Wire, report: &Report, until: Instant) -> Result<Answer, SinkError> {
        let began = Instant::now();
        let socket_fault = |e: std::io::Error| retry(format!("connection lost: {e}"));
        wire.socket().set_write_timeout(Some(left(until))).map_err(socket_fault)?;
        wire.write_all(&framed(&report.text)).and_then(|()| wire.flush()).map_err(socket_fault)?;
        let mut bytes = [0; 4_096];
        let mut strays = 0_u32;
        loop {
            if Instant::now() >= until {
                let waited = began.elapsed().as_millis();
                return Err(retry(format!("no answer in {waited} ms ({strays} to other messages)")));
            }
            wire.socket().set_read_timeout(Some(left(until))).map_err(socket_fault)?;
            let n = match wire.read(&mut bytes) {
                Ok(0) => return Err(retry("closed before the answer")),
                Ok(n) => n,
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) =>
                {
                    continue;
                }
                Err(e) => return Err(socket_fault(e)),
            };
            let mut found = None;
            for frame in self.frames.push(&bytes[..n]).map_err(|fault| retry(fault.to_string()))? {
                let answer = Message::read(&frame).and_then(|message| Answer::of(&message));
                match answer {
                    Some(answer) if answer.control_id == report.control_id => found = found.or(Some(answer)),
                    Some(_) => strays += 1,
                    None => self.keep_report(&frame),
                }
            }
            if let Some(answer) = found {
                return Ok(answer);
            }
        }
    }
}
