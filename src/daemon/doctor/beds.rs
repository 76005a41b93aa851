//! What the frames of a bed say of its gateway: leads, rate, pace, clock.

use super::{Health, Tell};
use contract::{BedId, Frame, LeadId, UtcMs};
use std::collections::BTreeMap;

/// Vocera and its like drop what is further ahead; WB-CLK watches the rest.
const CLOCK_OFF_MS: i64 = 2_000;

#[derive(Debug, Default)]
struct Seen {
    leads: Vec<LeadId>,
    rate_hz: f64,
    frames: u64,
    samples: u64,
    holes: u64,
    next: Option<(u32, u64)>,
    first: Option<UtcMs>,
    last: UtcMs,
    /// Clock of the gateway against ours, in ms: the nearest that was seen.
    off_ms: Option<i64>,
}

/// What was seen of each bed.
#[derive(Debug, Default)]
pub struct Beds(BTreeMap<BedId, Seen>);

impl Beds {
    /// Takes one frame.
    pub fn take(&mut self, frame: &Frame, now: UtcMs) {
        let seen = self.0.entry(frame.bed().clone()).or_default();
        let parts = frame.parts();
        seen.leads.clone_from(&parts.leads);
        seen.rate_hz = parts.rate.as_f64();
        seen.frames += 1;
        seen.samples += frame.length() as u64;
        seen.holes += u64::from(seen.next.is_some_and(|(epoch, n)| epoch == parts.epoch && parts.n0 > n));
        seen.next = Some((parts.epoch, frame.end()));
        seen.first.get_or_insert(now);
        seen.last = now;
        if let Some(t0) = parts.t0 {
            let end = t0.after(parts.rate.ms_at(frame.length() as u64));
            let off = end.0.saturating_sub(now.0);
            seen.off_ms =
                Some(seen.off_ms.map_or(off, |least| if off.abs() < least.abs() { off } else { least }));
        }
    }

    /// Tells each bed.
    pub fn tell(&self, tell: Tell<'_>) {
        for (bed, seen) in &self.0 {
            let part = format!("bed {bed}");
            let names: Vec<&str> = seen.leads.iter().map(LeadId::as_str).collect();
            let what = format!("{} frames, {} at {} Hz", seen.frames, names.join(" "), seen.rate_hz);
            tell(Health::Well, &part, what);
            seen.doubts(|health, what| tell(health, &part, what));
        }
    }
}

impl Seen {
    fn doubts(&self, mut tell: impl FnMut(Health, String)) {
        let unread: Vec<&str> =
            self.leads.iter().filter(|l| l.standard().is_none()).map(LeadId::as_str).collect();
        if unread.len() == self.leads.len() {
            tell(
                Health::Ill,
                format!("none of its leads is one of I II III aVR aVL aVF V1…V6: {}", unread.join(" ")),
            );
        } else if !unread.is_empty() {
            tell(Health::Doubtful, format!("not analysed: {}", unread.join(" ")));
        }
        if self.holes > 0 {
            tell(
                Health::Doubtful,
                format!("{} holes in the sample index: frames are lost on the way", self.holes),
            );
        }
        let heard_s = self.first.map_or(0.0, |first| (self.last.0 - first.0) as f64 / 1_000.0);
        // The first frame's samples were there before it came.
        let sent_s = (self.samples as f64 - self.samples as f64 / self.frames.max(1) as f64) / self.rate_hz;
        if heard_s > 5.0 && !(0.8..1.25).contains(&(sent_s / heard_s)) {
            let what =
                format!("{sent_s:.1} s of signal in {heard_s:.1} s: is rate_hz right, or is it a replay?");
            tell(Health::Doubtful, what);
        }
        match self.off_ms {
            None => tell(Health::Doubtful, "no time stamps: the drift of its clock is not watched".into()),
            Some(off) if off.abs() > CLOCK_OFF_MS => {
                let way = if off > 0 { "ahead of" } else { "behind" };
                let what =
                    format!("its clock is {:.1} s {way} ours; look at NTP on both", (off as f64 / 1e3).abs());
                tell(Health::Doubtful, what);
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Flags, FrameParts, Mode, Ratio};

    fn told(lead: &str, n0s: &[u64], stamp: Option<i64>) -> Vec<(Health, String)> {
        let mut beds = Beds::default();
        for (i, &n0) in n0s.iter().enumerate() {
            let now = UtcMs(1_000_000 + i as i64 * 1_000);
            let frame = Frame::new(FrameParts {
                bed: BedId::new("s/u/b").expect("valid"),
                epoch: 1,
                seq: 0,
                n0,
                rate: Ratio::hz(250).expect("valid"),
                t0: stamp.map(|off| now.after(off - 1_000)),
                flags: Flags::default(),
                mode: Mode::Test,
                leads: vec![LeadId::new(lead).expect("valid")],
                samples_mv: vec![0.0; 250],
            });
            beds.take(&frame.expect("valid"), now);
        }
        let mut lines = Vec::new();
        beds.tell(&mut |health, _, what| lines.push((health, what)));
        lines
    }

    fn says(lines: &[(Health, String)], health: Health, word: &str) {
        assert!(lines.iter().any(|l| l.0 == health && l.1.contains(word)), "{word}: {lines:?}");
    }

    #[test]
    fn each_trouble_of_a_gateway_has_its_words() {
        let steady: Vec<u64> = (0..8).map(|i| i * 250).collect();
        let well = told("II", &steady, Some(0));
        assert_eq!(well.len(), 1, "a good bed is one line: {well:?}");
        says(&told("PLETH", &steady, Some(0)), Health::Ill, "PLETH");
        says(&told("II", &[0, 250, 750], Some(0)), Health::Doubtful, "1 holes");
        says(&told("II", &steady, None), Health::Doubtful, "no time stamps");
        says(&told("II", &steady, Some(60_000)), Health::Doubtful, "60.0 s ahead");
        says(&told("II", &steady, Some(-5_000)), Health::Doubtful, "5.0 s behind");
        let slow: Vec<u64> = (0..8).map(|i| i * 250).collect();
        assert!(told("II", &slow, Some(0)).iter().all(|l| !l.1.contains("rate_hz")));
    }
}
