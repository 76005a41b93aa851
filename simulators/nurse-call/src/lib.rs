//! A nurse call to test against: it takes alerts over MLLP and as webhooks, and behaves badly when asked to.
//!
//! What it does: reads each message with a reader of its own, writes it into a ledger (id, revision, phase, key, hash
//! of the bytes, time), and answers by a schedule: well, slowly, with errors, in the wrong frame, half, not at all.
//! It also reports back what became of an alert (PCD-05).
//! What it never does: forget what arrived, call anybody, know Wardbeat's own code.
//! Door: [`mllp::receive`], [`webhook::receive`], [`mllp::report_status`], [`Ledger`], [`Schedule`].
//! Who calls it: tests, integrators without a nurse call at hand (`nurse-call mllp`, `nurse-call webhook`).

mod behaviour;
mod hl7;
mod ledger;
pub mod mllp;
mod server;
pub mod signature;
pub mod webhook;

pub use behaviour::{Behaviour, Schedule};
pub use hl7::AlertMessage;
pub use ledger::{Arrival, Ledger};
pub use server::Receiver;
