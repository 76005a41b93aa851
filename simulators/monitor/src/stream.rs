//! One bed as a stream of frames: what is measured when, and what becomes of it. Pure but for the anchor in time.

use crate::options::{Dialect, Error, Faults, Options};
use crate::plan::{BedPlan, Trouble};
use crate::random::Random;
use crate::report::BedReport;
use contract::{BedId, Birth, Flags, Frame, FrameParts, LeadId, UtcMs, topic};
use std::time::Duration;

/// The moment at which every bed measures its sample 0.
#[derive(Clone, Copy)]
pub(crate) struct Anchor {
    pub instant: tokio::time::Instant,
    pub utc_ms: i64,
}

/// What becomes of one frame on its way.
pub(crate) struct Sending {
    pub payload: Vec<u8>,
    /// One for each copy, after the moment the frame is due.
    pub delays: Vec<Duration>,
    /// Samples in the payload, all leads.
    pub samples: u64,
}

/// One bed while it runs.
pub(crate) struct Stream {
    plan: BedPlan,
    leads: Vec<LeadId>,
    place: usize,
    /// Wall time of the first frame's due moment is one frame and this share of a frame after the anchor.
    phase: f64,
    speed: f64,
    frame_ms: u32,
    end: Option<u64>,
    dialect: Dialect,
    faults: Faults,
    frame: u64,
    /// Clock error from jumps so far.
    jumped_ms: i64,
    silent_until_s: f64,
    off: Option<(usize, f64)>,
    gap: bool,
    pub report: BedReport,
}

impl Stream {
    pub fn new(plan: BedPlan, place: usize, beds: usize, options: &Options) -> Result<Self, Error> {
        let refuse = |why: String| Error::Bed(plan.bed.clone(), why);
        let rate = plan.signal.rate();
        if rate.as_f64() * f64::from(options.frame_ms) < 1_000.0 {
            return Err(refuse(format!("has no sample in {} ms at {rate} Hz", options.frame_ms)));
        }
        let packed = matches!(options.dialect, Dialect::Packed | Dialect::PackedInteger);
        let leads = plan.signal.leads();
        let leads = if packed { carried(leads) } else { leads.to_vec() };
        let unknown = plan.script.iter().find_map(|a| match &a.trouble {
            Trouble::LeadOff(lead) if !plan.signal.leads().contains(lead) => Some(*lead),
            _ => None,
        });
        if let Some(lead) = unknown {
            return Err(refuse(format!("has no lead {lead} to fall off")));
        }
        let limit = options.seconds.map(|s| rate.samples_in(s));
        let end = match (plan.signal.length(), limit) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let epoch = options.epoch.unwrap_or_else(|| fresh_epoch(place));
        Ok(Self {
            leads,
            place,
            phase: if options.spread { place as f64 / beds as f64 } else { 0.0 },
            speed: options.speed,
            frame_ms: options.frame_ms,
            end,
            dialect: options.dialect,
            faults: options.faults.clone(),
            frame: 0,
            jumped_ms: 0,
            silent_until_s: 0.0,
            off: None,
            gap: false,
            report: BedReport::new(&plan.bed, epoch),
            plan,
        })
    }

    pub fn bed(&self) -> &BedId {
        &self.plan.bed
    }

    pub fn birth(&self) -> Birth {
        Birth {
            bed: self.plan.bed.clone(),
            epoch: Some(self.report.epoch_number),
            leads: self.leads.clone(),
            rate: Some(self.plan.signal.rate()),
            patient: self.plan.patient.clone(),
            monitor: Some(format!("simulated-{}", self.plan.bed.place())),
            clock: Some("ntp".into()),
            paced: self.plan.paced,
            mode: self.plan.mode,
        }
    }

    pub fn wave_topic(&self) -> String {
        let binary = matches!(self.dialect, Dialect::Packed | Dialect::PackedInteger);
        topic::of(&self.plan.bed, if binary { topic::WAVE_BIN } else { topic::WAVE_JSON })
    }

    /// How long after the anchor the next frame has been measured; `None` at the end of the signal.
    pub fn next_due(&self) -> Option<Duration> {
        if self.end.is_some_and(|end| self.index_at(self.frame) >= end) {
            return None;
        }
        let frames = (self.frame + 1) as f64 + self.phase;
        Some(Duration::from_secs_f64(frames * f64::from(self.frame_ms) / 1_000.0 / self.speed))
    }

    /// First sample of frame `k`.
    fn index_at(&self, k: u64) -> u64 {
        let (n, d) = self.plan.signal.rate().parts();
        (u128::from(k) * u128::from(self.frame_ms) * u128::from(n) / (1_000 * u128::from(d))) as u64
    }

    /// Measures the next frame and draws its fate. `None` where nothing leaves: silence or loss.
    pub fn advance(&mut self, anchor: Anchor) -> Option<Sending> {
        let k = self.frame;
        self.frame += 1;
        let end = self.end.unwrap_or(u64::MAX);
        let (n0, n1) = (self.index_at(k), self.index_at(k + 1).min(end));
        // By frame, not by sample: at an odd rate the first sample lies a little before the frame's nominal start.
        let at_s = k as f64 * f64::from(self.frame_ms) / 1_000.0;
        let mut random = Random::of(self.faults.seed, self.place, k);
        // Always the same number of draws in the same order, so that one fault's share leaves the others alone.
        let draws: [f64; 8] = std::array::from_fn(|_| random.unit());
        self.report.frames_measured += 1;
        self.report.end_n = n1;
        self.begin_troubles(at_s, draws[0], draws[1], draws[2], draws[3]);
        if at_s < self.silent_until_s || self.scripted(at_s).any(|t| *t == Trouble::Silent) {
            self.report.frames_silent += 1;
            self.gap = true;
            return None;
        }
        let frame = self.measure(k, n0, (n1 - n0) as usize, at_s, anchor);
        self.gap = false;
        if draws[4] < self.faults.loss {
            self.report.frames_lost += 1;
            return None;
        }
        let samples = frame.parts().samples_mv.len() as u64;
        let delays = self.delays(draws[5], draws[6], draws[7]);
        Some(Sending { payload: self.encode(&frame), delays, samples })
    }

    fn begin_troubles(&mut self, at_s: f64, jump: f64, back: f64, silence: f64, lead_off: f64) {
        let f = &self.faults;
        if jump < f.jump {
            let sign = if back < 0.5 { -1 } else { 1 };
            self.jumped_ms += sign * i64::from(f.jump_ms);
            self.report.clock_jumps += 1;
        }
        if silence < f.silence {
            self.silent_until_s = self.silent_until_s.max(at_s + f.silence_s);
        }
        if lead_off < f.lead_off {
            // The same draw picks the lead: it is uniform below the share.
            let lead = (lead_off / f.lead_off * self.leads.len() as f64) as usize;
            self.off = Some((lead.min(self.leads.len() - 1), at_s + f.lead_off_s));
        }
    }

    fn scripted(&self, at_s: f64) -> impl Iterator<Item = &Trouble> {
        self.plan.script.iter().filter(move |a| a.covers(at_s)).map(|a| &a.trouble)
    }

    fn measure(&mut self, k: u64, n0: u64, length: usize, at_s: f64, anchor: Anchor) -> Frame {
        let mut samples_mv = vec![f32::NAN; self.leads.len() * length];
        self.plan.signal.read(n0, length, &mut samples_mv);
        let off = self.leads_off(at_s);
        for &lead in &off {
            samples_mv[lead * length..(lead + 1) * length].fill(f32::NAN);
        }
        // What the source itself knows to be off keeps the samples that it gives.
        let lead_off = !off.is_empty() || !self.plan.signal.leads_off(n0).is_empty();
        self.report.frames_lead_off += u64::from(lead_off);
        let parts = FrameParts {
            bed: self.plan.bed.clone(),
            epoch: self.report.epoch_number,
            seq: k as u32,
            n0,
            rate: self.plan.signal.rate(),
            t0: Some(self.clock(n0, anchor)),
            flags: Flags {
                first: k == 0,
                gap_before: self.gap,
                lead_off,
                clock_unsynchronised: false,
                paced: self.plan.paced,
            },
            mode: self.plan.mode,
            leads: self.leads.clone(),
            samples_mv,
        };
        Frame::new(parts).expect("signals give finite samples, checked lengths and distinct leads")
    }

    fn leads_off(&self, at_s: f64) -> Vec<usize> {
        let named = self.plan.signal.leads();
        let mut off: Vec<usize> = self
            .scripted(at_s)
            .filter_map(|t| match t {
                Trouble::LeadOff(lead) => named.iter().position(|l| l == lead),
                Trouble::Silent => None,
            })
            .collect();
        off.extend(self.off.filter(|(_, until)| at_s < *until).map(|(lead, _)| lead));
        off.sort_unstable();
        off.dedup();
        off
    }

    /// What the monitor's clock shows at sample `n0`: signal time, so that speed alone is no drift.
    fn clock(&self, n0: u64, anchor: Anchor) -> UtcMs {
        let signal_ms = self.plan.signal.rate().ms_at(n0);
        let drift_ms = (signal_ms as f64 * self.faults.drift_ppm / 1e6).round() as i64;
        UtcMs(anchor.utc_ms + signal_ms + drift_ms + self.jumped_ms)
    }

    fn delays(&mut self, delay: f64, reorder: f64, duplicate: f64) -> Vec<Duration> {
        let mut first = Duration::from_secs_f64(delay * f64::from(self.faults.delay_ms_max) / 1_000.0);
        let frame = Duration::from_secs_f64(f64::from(self.frame_ms) / 1_000.0 / self.speed);
        if reorder < self.faults.reorder {
            first += frame.mul_f64(1.5);
            self.report.frames_reordered += 1;
        }
        let mut delays = vec![first];
        if duplicate < self.faults.duplicate {
            delays.push(first + frame.mul_f64(0.5));
        }
        delays
    }

    fn encode(&self, frame: &Frame) -> Vec<u8> {
        use decoder_json::Unit;
        use decoder_packed::Sample;
        let packed = |sample, nv| decoder_packed::encode(frame, sample, nv).ok();
        match self.dialect {
            Dialect::Json => decoder_json::encode(frame, Unit::Millivolt),
            Dialect::JsonMicrovolt => decoder_json::encode(frame, Unit::Microvolt),
            // 16 bits of 1 µV end at ±32 mV: what does not fit goes out as floats.
            Dialect::PackedInteger if let Some(payload) = packed(Sample::I16, 1_000) => payload,
            Dialect::Packed | Dialect::PackedInteger => {
                packed(Sample::F32, 1_000_000).expect("leads were renamed to ones with codes")
            }
        }
    }
}

/// The leads under names that the binary frame can carry, each once.
fn carried(leads: &[LeadId]) -> Vec<LeadId> {
    let mut out: Vec<LeadId> = Vec::with_capacity(leads.len());
    for (place, lead) in leads.iter().enumerate() {
        let name = decoder_packed::carried_lead(lead, place);
        let own = || LeadId::new(&format!("S{}", 64 + place)).expect("a short name");
        out.push(if out.contains(&name) { own() } else { name });
    }
    out
}

/// A number that differs at each start and bed.
fn fresh_epoch(place: usize) -> u32 {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    Random::of(now, place, u64::from(std::process::id())).bits() as u32
}
