//! The alerting link: messages out, each confirmed by the broker's PUBACK; commands in, never behind a waveform.
//!
//! rumqttc names a packet id only when it writes the message, so tickets wait in the order of writing, then under
//! their id. When the link breaks every ticket fails and everything inside rumqttc is dropped: the journal's cursor
//! decides what is sent again, in order.

use super::clock::Clock;
use super::command::Inbox;
use super::wire::{LinkHealth, Watcher};
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, PubAckReason, PublishProperties, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event};
use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Ticket = SyncSender<Result<(), String>>;

/// One message out.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its bytes; empty clears a retained one.
    pub payload: Vec<u8>,
    /// Kept by the broker.
    pub retain: bool,
    /// Expiry, content type, user properties.
    pub properties: PublishProperties,
}

#[derive(Default)]
struct Flight {
    joined: bool,
    /// Given to rumqttc, not yet written.
    queued: VecDeque<Ticket>,
    /// Written, not yet acknowledged, by packet id.
    written: HashMap<u16, Ticket>,
}

/// The sending end of the alerting link.
#[derive(Clone)]
pub struct Outlet {
    client: AsyncClient,
    flight: Arc<Mutex<Flight>>,
}

/// The wait for one PUBACK.
pub struct Confirmation(Receiver<Result<(), String>>);

impl Confirmation {
    /// Waits for the broker's word, at most `patience`.
    ///
    /// # Errors
    /// What went wrong, in words; trying again may help.
    pub fn wait(&self, patience: Duration) -> Result<(), String> {
        self.0.recv_timeout(patience).unwrap_or_else(|e| match e {
            RecvTimeoutError::Timeout => Err("the broker does not confirm".into()),
            RecvTimeoutError::Disconnected => Err("the link to the broker broke".into()),
        })
    }
}

impl Outlet {
    /// The sending end for a client whose link will be polled with [`Outlet::watcher`].
    #[must_use]
    pub fn new(client: AsyncClient) -> Self {
        Self { client, flight: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message at quality of service 1.
    ///
    /// # Errors
    /// Where there is no link, or no room in it.
    pub fn send(&self, message: Message) -> Result<Confirmation, String> {
        let mut flight = self.lock();
        if !flight.joined {
            return Err("no link to the broker".into());
        }
        let (ticket, confirmation) = sync_channel(1);
        let Message { topic, payload, retain, properties } = message;
        // Under the lock: the order of tickets is the order of messages.
        self.client
            .try_publish_with_properties(topic, QoS::AtLeastOnce, retain, payload, properties)
            .map_err(|e| format!("the link to the broker is full: {e}"))?;
        flight.queued.push_back(ticket);
        Ok(Confirmation(confirmation))
    }

    /// What follows the link; `birth` is published at each join, and `inbox` is listened to.
    pub fn watcher<F: FnMut() -> Message>(
        &self,
        health: Arc<LinkHealth>,
        clock: Clock,
        birth: F,
        inbox: Inbox,
    ) -> impl Watcher + use<F> {
        Alerting { outlet: self.clone(), health, clock, birth, inbox }
    }

    /// Listens to `filter`; the retain flag stays as its sender set it.
    fn listen(&self, filter: &str) -> bool {
        let filter = Filter { preserve_retain: true, ..Filter::new(filter, QoS::AtLeastOnce) };
        self.client.try_subscribe_many([filter]).is_ok()
    }

    /// Leaves in order: the broker then keeps the last will to itself.
    pub fn leave(&self) {
        // A full link is a broken one; the last will then says the rest.
        let _ = self.client.try_disconnect();
    }
}

struct Alerting<F> {
    outlet: Outlet,
    health: Arc<LinkHealth>,
    clock: Clock,
    birth: F,
    inbox: Inbox,
}

impl<F: FnMut() -> Message> Watcher for Alerting<F> {
    fn up(&mut self) -> bool {
        self.outlet.lock().joined = true;
        let born = self.outlet.send((self.birth)()).is_ok() && self.outlet.listen(&self.inbox.filter());
        if born {
            self.health.up(self.clock.utc());
        }
        born
    }

    fn polled(&mut self, event: Event) {
        match event {
            Event::Outgoing(Outgoing::Publish(id)) => {
                let mut flight = self.outlet.lock();
                if let Some(ticket) = flight.queued.pop_front() {
                    flight.written.insert(id, ticket);
                }
            }
            Event::Incoming(Packet::Publish(publish)) => self.inbox.heard(&publish, &self.outlet),
            Event::Incoming(Packet::SubAck(ack)) => {
                let taken = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
                if !ack.return_codes.iter().all(taken) {
                    tracing::error!(filter = self.inbox.filter(), "the broker refuses to hand us commands");
                }
            }
            Event::Incoming(Packet::PubAck(ack)) => {
                let Some(ticket) = self.outlet.lock().written.remove(&ack.pkid) else { return };
                let taken = matches!(ack.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers);
                // Nobody may wait any more: the message went out all the same.
                let _ = ticket.try_send(if taken {
                    Ok(())
                } else {
                    Err(format!("the broker does not take it: {:?}", ack.reason))
                });
            }
            _ => {}
        }
    }

    fn down(&mut self, forget: &mut dyn FnMut()) {
        self.health.down();
        let mut flight = self.outlet.lock();
        // Dropped tickets tell their waiters; under the lock nothing new can slip between.
        *flight = Flight::default();
        forget();
    }
}
