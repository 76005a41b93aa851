//! The MLLP receiver, and the other way round: reports on what became of an alert (PCD-05).

use crate::behaviour::{Behaviour, Schedule};
use crate::hl7::AlertMessage;
use crate::ledger::{Arrival, Ledger};
use crate::server::{Desk, Receiver};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

/// Longest message taken.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Starts an MLLP receiver on `address` (port 0 = any).
///
/// # Errors
/// If it cannot listen there.
pub fn receive(address: &str, schedule: Schedule, ledger: Ledger) -> io::Result<Receiver> {
    Receiver::start(address, schedule, ledger, serve)
}

fn serve(mut socket: TcpStream, desk: &Desk) {
    let mut pending = Vec::new();
    loop {
        let Some(bytes) = desk.read(&mut socket) else { return };
        pending.extend_from_slice(&bytes);
        if pending.len() > MESSAGE_BYTES_MAX {
            return;
        }
        while let Some(end) = pending.windows(2).position(|w| w == [0x1C, 0x0D]) {
            let frame: Vec<u8> = pending.drain(..end + 2).collect();
            let Some(start) = frame.iter().position(|&b| b == 0x0B) else { return };
            if meet(&mut socket, &frame[start + 1..end], desk).is_none() {
                return;
            }
        }
    }
}

/// Writes the message down and answers as the schedule says; `None` ends the connection.
fn meet(socket: &mut TcpStream, message: &[u8], desk: &Desk) -> Option<()> {
    let behaviour = desk.next();
    let mut arrival = Arrival::of("mllp", message, behaviour);
    let read = AlertMessage::read(message);
    match &read {
        Ok(alert) => {
            arrival.id.clone_from(&alert.id);
            arrival.rev = alert.rev;
            arrival.phase = alert.phase().unwrap_or_default().into();
            arrival.key.clone_from(&alert.control_id);
            arrival.place.clone_from(&alert.place);
            arrival.mode.clone_from(&alert.mode);
            arrival.text = alert.facets.get(&1).cloned().unwrap_or_default();
        }
        Err(fault) => arrival.fault.clone_from(fault),
    }
    desk.ledger.put(arrival);
    let Ok(alert) = read else {
        return socket.write_all(&answer("AR", "0", "unreadable")).ok();
    };
    let id = alert.control_id.as_str();
    let good = answer("CA", id, "");
    match behaviour {
        Behaviour::Well => socket.write_all(&good).ok(),
        Behaviour::Slow => {
            desk.be_slow();
            socket.write_all(&good).ok()
        }
        Behaviour::Error => socket.write_all(&answer("AE", id, "try again")).ok(),
        Behaviour::Reject => socket.write_all(&answer("AR", id, "unknown location")).ok(),
        Behaviour::Gone => socket.write_all(&answer("CR", id, "no longer taken here")).ok(),
        Behaviour::WrongId => socket.write_all(&answer("CA", "WB0000000000000-000", "")).ok(),
        Behaviour::HalfFrame => {
            socket.write_all(&good[..good.len() / 2]).ok()?;
            desk.ignore(socket);
            None
        }
        Behaviour::TwoFrames => {
            let both = [answer("CA", "WB0000000000000-000", ""), good].concat();
            socket.write_all(&both).ok()
        }
        Behaviour::Pieces => in_pieces(socket, &good).ok(),
        Behaviour::Drop => None,
        Behaviour::CloseAfter => {
            let _ = socket.write_all(&good);
            None
        }
        Behaviour::HalfClose => {
            socket.shutdown(Shutdown::Write).ok()?;
            desk.ignore(socket);
            None
        }
        Behaviour::Silent => {
            desk.ignore(socket);
            None
        }
        Behaviour::Garbage => socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok(),
    }
}

fn in_pieces(socket: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    socket.write_all(&[0, 0])?;
    for piece in answer[..answer.len() - 1].chunks(7) {
        socket.write_all(piece)?;
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn answer(code: &str, id: &str, text: &str) -> Vec<u8> {
    let head = r"MSH|^~\&|AM_GATEWAY|SITE1|WARDBEAT^0200000000000001^EUI-64|SITE1|20261122222328||ACK^R40^ACK|A77|P|2.6";
    let text = if text.is_empty() { String::new() } else { format!("|{text}") };
    format!("\x0b{head}\rMSA|{code}|{id}{text}\r\x1c\r").into_bytes()
}

/// Reports what became of alert `id` to the address where Wardbeat listens (PCD-05), as `status` (`Delivered`, `Read`,
/// `Accepted`, `Rejected`) by `person`. Gives the answer's MSA-1.
///
/// # Errors
/// If nobody listens there or no answer comes within `patience`.
pub fn report_status(
    to: &str,
    id: &str,
    status: &str,
    person: &str,
    patience: Duration,
) -> io::Result<String> {
    let mut socket = TcpStream::connect(to)?;
    socket.set_read_timeout(Some(patience))?;
    let head = r"MSH|^~\&|AM_GATEWAY|SITE1|WARDBEAT^0200000000000001^EUI-64|SITE1|20261122222340||ORA^R41^ORA_R41|R1|P|2.6|||AL|NE";
    let named = format!("{id}-0^WARDBEAT^0200000000000001^EUI-64");
    let status = format!("PRT|1|UC|{status}|AAP^Alert Acknowledging Provider^HL70912|{person}");
    socket.write_all(format!("\x0b{head}\rOBR|1|{named}|{named}\r{status}\r\x1c\r").as_bytes())?;
    let mut heard = Vec::new();
    let mut bytes = [0; 1_024];
    while !heard.ends_with(&[0x1C, 0x0D]) {
        match socket.read(&mut bytes)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => heard.extend_from_slice(&bytes[..n]),
        }
    }
    let text = String::from_utf8_lossy(&heard).into_owned();
    let code = text.split('\r').find_map(|line| line.strip_prefix("MSA|")).and_then(|l| l.split('|').next());
    code.map(String::from).ok_or_else(|| io::Error::other("the answer has no MSA"))
}
