//! The destination: one message, one answer; refresh and sign of life between them.

use crate::answer::StatusReport;
use crate::frame::framed;
use crate::inbound::Inbound;
use crate::link::{Link, Tls};
use crate::message::Wire;
use crate::options::{Profile, Settings};
use crate::wire::{client_config, server_config};
use contract::{Alert, AlertId, Back, OptionsError, Phase, Receipt, Sink, SinkError, UtcMs};
use rustls::pki_types::ServerName;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

/// Open alerts remembered for the refresh.
const OPEN_MAX: usize = 10_000;
/// Between two attempts to connect while there is nothing to deliver.
const CONNECT_EVERY: Duration = Duration::from_secs(5);
/// Time for the last sign of life when the sink is dropped.
const FAREWELL: Duration = Duration::from_millis(500);

/// A nurse-call receiver of PCD-04.
pub struct MllpSink {
    settings: Settings,
    link: Link,
    inbound: Option<Inbound>,
    /// Alerts that were delivered and have not ended.
    open: BTreeMap<AlertId, Alert>,
    /// Those of them that the present connection has not heard of.
    unsaid: BTreeSet<AlertId>,
    /// `link.connections` when `unsaid` was filled last.
    seen: u64,
    connect_after: Option<Instant>,
    trouble: String,
    watchdog_at: Option<Instant>,
}

impl MllpSink {
    /// Reads the files for TLS; opens no socket.
    ///
    /// # Errors
    /// [`OptionsError`] names a file that cannot be used.
    pub fn new(settings: Settings) -> Result<Self, OptionsError> {
        let tls = match &settings.tls {
            None => None,
            Some(files) => {
                let name = ServerName::try_from(files.name.clone()).map_err(|e| OptionsError {
                    key: "tls_name".into(),
                    why: format!("{:?}: {e}", files.name),
                })?;
                Some(Tls { config: client_config(files)?, name })
            }
        };
        let listen_tls = match (&settings.tls, &settings.acks_listen) {
            (Some(files), Some(_)) => Some(server_config(files)?),
            _ => None,
        };
        let inbound = settings.acks_listen.clone().map(|address| Inbound::new(address, listen_tls));
        let link = Link::new(settings.address.clone(), tls, settings.insecure_tcp);
        Ok(Self {
            link,
            inbound,
            open: BTreeMap::new(),
            unsaid: BTreeSet::new(),
            seen: 0,
            connect_after: None,
            trouble: String::new(),
            watchdog_at: None,
            settings,
        })
    }

    fn profile(&self) -> &Profile {
        &self.settings.profile
    }

    /// After a new connection every open alert is unsaid again.
    fn notice_reconnect(&mut self) {
        if self.link.connections != self.seen {
            self.seen = self.link.connections;
            if self.settings.refresh && self.seen > 1 {
                self.unsaid = self.open.keys().cloned().collect();
            }
        }
    }

    /// Keeps what a refresh would say: alerts that were taken and have not ended.
    fn remember(&mut self, alert: &Alert, taken: bool) {
        self.unsaid.remove(&alert.id);
        if alert.phase == Phase::End {
            self.open.remove(&alert.id);
        } else if taken && self.settings.refresh && self.open.len() < OPEN_MAX {
            self.open.insert(alert.id.clone(), alert.clone());
        }
    }

    /// What the receiver reported, as far as the site lets it acknowledge.
    fn heard(&mut self, reports: Vec<StatusReport>) -> Vec<Back> {
        let accepted = reports.into_iter().filter(|r| self.settings.acks_accept.contains(&r.status));
        accepted.map(|r| Back::Acknowledged { alert: r.alert, by: r.by }).collect()
    }

    /// Connects if need be, but not at every tick.
    fn keep_up(&mut self, deadline: Instant) -> Result<(), SinkError> {
        if !self.link.is_up() {
            if self.connect_after.is_some_and(|after| Instant::now() < after) {
                return Err(SinkError::Retry(self.trouble.clone()));
            }
            if let Err(fault) = self.link.ready(deadline) {
                self.connect_after = Some(Instant::now() + CONNECT_EVERY);
                self.trouble = fault.to_string();
                return Err(fault);
            }
            self.connect_after = None;
        }
        self.notice_reconnect();
        Ok(())
    }

    fn refresh(&mut self, deadline: Instant) -> Result<(), SinkError> {
        while let Some(id) = self.unsaid.first().cloned() {
            if Instant::now() >= deadline {
                return Ok(());
            }
            let report =
                self.open.get(&id).and_then(|alert| self.profile().report(alert, Wire::Continue).ok());
            if let Some(report) = report {
                match self.link.exchange(&report, self.settings.answer_timeout, deadline) {
                    Err(SinkError::Retry(why)) => return Err(SinkError::Retry(why)),
                    // A receiver that wants no refresh still has the alert itself.
                    Ok(_) | Err(SinkError::Refused(_)) => {}
                }
            }
            self.unsaid.remove(&id);
        }
        Ok(())
    }

    fn watchdog(&mut self, deadline: Instant, last: bool) -> Result<(), SinkError> {
        let every_s = self.settings.watchdog_s;
        let due = self.watchdog_at.is_none_or(|at| Instant::now() >= at);
        if every_s == 0 || !(due || last) {
            return Ok(());
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let report = self.profile().watchdog(UtcMs(now.as_millis() as i64), every_s, last);
        self.link.exchange(&report, self.settings.answer_timeout, deadline)?;
        self.watchdog_at = Some(Instant::now() + Duration::from_secs(u64::from(every_s)));
        Ok(())
    }
}

impl Sink for MllpSink {
    fn probe(&mut self, budget: Duration) -> Result<(), SinkError> {
        self.link.ready(Instant::now() + budget)
    }

    fn deliver(&mut self, alert: &Alert, budget: Duration) -> Result<Receipt, SinkError> {
        let deadline = Instant::now() + budget;
        let report = self.profile().report(alert, Wire::Transition).map_err(SinkError::Refused)?;
        let answer = self.link.exchange(&report, self.settings.answer_timeout, deadline);
        self.notice_reconnect();
        if !matches!(answer, Err(SinkError::Retry(_))) {
            self.remember(alert, answer.is_ok());
        }
        let answer = answer?;
        Ok(Receipt(format!("{} {}", answer.code, answer.control_id)))
    }

    fn preview(&self, alert: &Alert) -> Result<Vec<u8>, SinkError> {
        let report = self.profile().report(alert, Wire::Transition).map_err(SinkError::Refused)?;
        Ok(framed(&report.text))
    }

    fn tick(&mut self, budget: Duration) -> Result<Vec<Back>, SinkError> {
        let deadline = Instant::now() + budget;
        let listening = self.inbound.as_mut().map_or(Ok(Vec::new()), Inbound::poll);
        let kept = self
            .keep_up(deadline)
            .and_then(|()| self.refresh(deadline))
            .and_then(|()| self.watchdog(deadline, false));
        let mut reports = std::mem::take(&mut self.link.reports);
        let listening = listening.map(|more| reports.extend(more)).map_err(|e| {
            let address = self.settings.acks_listen.as_deref().unwrap_or_default();
            SinkError::Retry(format!("acks_listen {address}: {e}"))
        });
        let back = self.heard(reports);
        // Acknowledgements are not lost because the way out is broken; the fault shows at the next tick.
        if back.is_empty() { kept.and(listening).map(|()| back) } else { Ok(back) }
    }
}

impl Drop for MllpSink {
    /// Tells a receiver that watches for the sign of life that the silence is meant.
    fn drop(&mut self) {
        if self.watchdog_at.is_some() && self.link.is_up() {
            let _ = self.watchdog(Instant::now() + FAREWELL, true);
        }
        self.link.close();
    }
}
