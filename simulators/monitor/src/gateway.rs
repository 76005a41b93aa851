//! The beds of one connection: waits for each frame's moment, publishes, and leaves nothing in a queue at the end.

use crate::link::{Announcement, Link, State, announce, wave_properties};
use crate::options::{Dialect, Error, Options};
use crate::report::Part;
use crate::stream::{Anchor, Stream};
use contract::topic;
use rumqttc::v5::mqttbytes::{QoS, v5::PublishProperties};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a frame waits for room in the queue before it is given up.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the end waits for the broker's confirmations.
const FLUSH: Duration = Duration::from_secs(5);

/// What is due next; ordered by time, then by the order in which it was planned.
enum Due {
    /// The next frame of this bed.
    Bed(usize),
    /// A copy of a frame that was held back.
    Late { bed: usize, payload: Vec<u8>, samples: u64, repeat: bool },
}

/// One connection and its beds.
pub(crate) struct Gateway {
    streams: Vec<Stream>,
    topics: Vec<String>,
    link: Link,
    broker: String,
    properties: PublishProperties,
    qos: QoS,
    last_words: Vec<Announcement>,
    part: Part,
    /// After the anchor, and a counter that keeps the order of equal times.
    agenda: BTreeMap<(Duration, u64), Due>,
    planned: u64,
}

impl Gateway {
    pub fn connect(streams: Vec<Stream>, options: &Options, number: usize) -> Self {
        let client = client_name(number);
        let on_link = |topic: String, payload: &str| Announcement { topic, payload: payload.into() };
        let link_of = |s: &Stream| topic::of(s.bed(), topic::LINK);
        let gateway = (streams.len() > 1).then(|| client.clone());
        let mut births = Vec::new();
        for stream in &streams {
            let more = decoder_json::Announcement { gateway: gateway.as_deref() };
            let payload = decoder_json::encode_birth(&stream.birth(), more);
            births.push(Announcement { topic: topic::of(stream.bed(), topic::META), payload });
            births.push(on_link(link_of(stream), "online"));
        }
        let mut last_words: Vec<_> = streams.iter().map(|s| on_link(link_of(s), "offline")).collect();
        let own = match &gateway {
            None => link_of(&streams[0]),
            Some(name) => {
                format!(
                    "{}/{}/{}/{name}/{}",
                    topic::ROOT,
                    streams[0].bed().site(),
                    topic::GATEWAY_UNIT,
                    topic::LINK
                )
            }
        };
        if gateway.is_some() {
            births.push(on_link(own.clone(), "online"));
            last_words.push(on_link(own.clone(), "offline"));
        }
        let link = Link::open(options, &client, &on_link(own, "offline"), births);
        Self {
            topics: streams.iter().map(Stream::wave_topic).collect(),
            streams,
            link,
            broker: format!("{}:{}", options.host, options.port),
            properties: wave_properties(matches!(options.dialect, Dialect::Packed | Dialect::PackedInteger)),
            qos: if options.confirmed { QoS::AtLeastOnce } else { QoS::AtMostOnce },
            last_words,
            part: Part::default(),
            agenda: BTreeMap::new(),
            planned: 0,
        }
    }

    /// Waits until the link stands.
    pub async fn connected(&mut self) -> Result<(), Error> {
        let stands = timeout(CONNECT, self.link.state.wait_for(|s| *s == State::Up)).await;
        if stands.is_ok_and(|s| s.is_ok()) {
            return Ok(());
        }
        let why = match &*self.link.state.borrow() {
            State::Down(why) => why.clone(),
            _ => "no answer".into(),
        };
        Err(Error::Connect { broker: self.broker.clone(), why })
    }

    /// Publishes until the signals end or `stop`, then flushes and disconnects.
    pub async fn run(mut self, anchor: Anchor, mut stop: watch::Receiver<bool>) -> Part {
        for bed in 0..self.streams.len() {
            self.plan_next(bed);
        }
        while let Some(((after, _), due)) = self.agenda.pop_first() {
            let at = anchor.instant + after;
            tokio::select! {
                biased;
                // An error means that nobody is left to say stop.
                _ = stop.wait_for(|stop| *stop) => break,
                () = sleep_until(at) => {}
            }
            let late = Instant::now().saturating_duration_since(at);
            self.part.late_ms_max = self.part.late_ms_max.max(late.as_millis() as u64);
            match due {
                Due::Bed(bed) => self.measure(bed, after, anchor).await,
                Due::Late { bed, payload, samples, repeat } => {
                    self.publish(bed, payload, samples, repeat).await;
                }
            }
        }
        self.finish().await
    }

    fn plan(&mut self, after: Duration, due: Due) {
        self.planned += 1;
        self.agenda.insert((after, self.planned), due);
    }

    fn plan_next(&mut self, bed: usize) {
        if let Some(after) = self.streams[bed].next_due() {
            self.plan(after, Due::Bed(bed));
        }
    }

    async fn measure(&mut self, bed: usize, after: Duration, anchor: Anchor) {
        let sending = self.streams[bed].advance(anchor);
        self.plan_next(bed);
        let Some(sending) = sending else { return };
        let mut now = None;
        for (i, delay) in sending.delays.iter().enumerate() {
            let copy =
                Due::Late { bed, payload: sending.payload.clone(), samples: sending.samples, repeat: i > 0 };
            if i == 0 && delay.is_zero() {
                now = Some(copy);
            } else {
                self.plan(after + *delay, copy);
            }
        }
        if let Some(Due::Late { bed, payload, samples, repeat }) = now {
            self.publish(bed, payload, samples, repeat).await;
        }
    }

    async fn publish(&mut self, bed: usize, payload: Vec<u8>, samples: u64, repeat: bool) {
        let bytes = payload.len() as u64;
        let topic = self.topics[bed].clone();
        let sent = self.link.up() && {
            let queued = self.link.client.publish_with_properties(
                topic,
                self.qos,
                false,
                payload,
                self.properties.clone(),
            );
            matches!(timeout(PATIENCE, queued).await, Ok(Ok(())))
        };
        let report = &mut self.streams[bed].report;
        match (sent, repeat) {
            (true, false) => {
                report.frames_sent += 1;
                report.samples_sent += samples;
            }
            (true, true) => report.frames_duplicated += 1,
            (false, false) => report.frames_unsent += 1,
            (false, true) => {}
        }
        if sent {
            self.part.bytes += bytes;
        }
    }

    /// Sends what was held back, says goodbye, and waits until the broker has confirmed the goodbyes: they come
    /// after every frame on the same connection.
    async fn finish(mut self) -> Part {
        let held: Vec<_> = std::mem::take(&mut self.agenda).into_values().collect();
        for due in held {
            if let Due::Late { bed, payload, samples, repeat } = due {
                self.publish(bed, payload, samples, repeat).await;
            }
        }
        let counters = self.link.counters.clone();
        let deadline = Instant::now() + FLUSH;
        let mut words = std::mem::take(&mut self.last_words).into_iter().peekable();
        while self.link.up() && Instant::now() < deadline {
            // `words` goes into the queue as room appears; then every confirmation is awaited.
            while words.peek().is_some_and(|w| announce(&self.link.client, &counters, w)) {
                words.next();
            }
            if words.peek().is_none() && self.confirmed() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.part.accepted = match self.qos {
            QoS::AtMostOnce => counters.written.load(SeqCst),
            _ => counters.confirmed.load(SeqCst).saturating_sub(counters.announced.load(SeqCst)),
        };
        self.part.reconnects = counters.connects.load(SeqCst).saturating_sub(1);
        self.part.beds = self.streams.into_iter().map(|s| s.report).collect();
        self.link.close().await;
        self.part
    }

    /// Whether the broker has confirmed everything that it can confirm.
    fn confirmed(&self) -> bool {
        let counters = &self.link.counters;
        let sum = |f: fn(&crate::BedReport) -> u64| self.streams.iter().map(|s| f(&s.report)).sum::<u64>();
        let frames = match self.qos {
            QoS::AtMostOnce => 0,
            _ => sum(|r| r.frames_sent + r.frames_duplicated),
        };
        counters.confirmed.load(SeqCst) >= frames + counters.announced.load(SeqCst)
    }
}

/// Unique on the broker, also for two runs at once; fit for a topic level.
fn client_name(number: usize) -> String {
    use std::sync::atomic::AtomicU64;
    static RUNS: AtomicU64 = AtomicU64::new(0);
    format!("monitor-{}-{}-{number}", std::process::id(), RUNS.fetch_add(1, SeqCst))
}
