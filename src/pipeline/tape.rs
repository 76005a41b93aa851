//! One hop as bytes: what the recorder keeps and what evidence is a hash of (`docs/recorder.md`, hop).
//!
//! Lossless: a lead whose samples are whole microvolts is kept as differences, any other as it is. Equal hops give
//! equal bytes, so a digest of them names the signal.

use super::window::{Due, Part};
use contract::limits::{LEADS_MAX, RATE_HZ_MAX};
use contract::{BedId, LeadId, Mode, Ratio, UtcMs};
use ndarray::Array2;

const VERSION: u8 = 1;
const PACED: u8 = 1;
const LEAD_OFF: u8 = 2;
/// Samples as f32.
const PLAIN: u8 = 1;
/// Differences of whole microvolts.
const STEPS: u8 = 2;
/// A hop is one second; a rate that is no whole number of Hz makes it a sample longer at times.
const SAMPLES_MAX: usize = RATE_HZ_MAX as usize + 1;
/// Beyond this a sample is kept as it is.
const MICROVOLTS_MAX: f32 = 8e6;

impl Due {
    /// The hop as bytes, without the bed's name.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (leads, samples) = self.samples_mv.dim();
        let mut out = Vec::with_capacity(64 + leads * samples * 2);
        let mode = match self.mode {
            Mode::Real => 0,
            Mode::Test => 1,
            Mode::Demo => 2,
        };
        let flags = (u8::from(self.paced) * PACED) | (u8::from(self.lead_off) * LEAD_OFF);
        out.extend_from_slice(&[VERSION, flags, mode, leads as u8]);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.window.to_le_bytes());
        out.extend_from_slice(&self.from_n.to_le_bytes());
        let (numerator, denominator) = self.rate.parts();
        for number in [samples as u32, numerator, denominator] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.end.0.to_le_bytes());
        for (lead, row) in self.leads.iter().zip(self.samples_mv.rows()) {
            let name = lead.as_str().as_bytes();
            out.push(name.len() as u8);
            out.extend_from_slice(name);
            let row = row.to_vec();
            if let Some(steps) = steps(&row) {
                out.push(STEPS);
                out.extend_from_slice(&steps);
            } else {
                out.push(PLAIN);
                // One NaN for all: which one it was says nothing.
                let plain = row.iter().map(|v| if v.is_nan() { f32::NAN } else { *v });
                out.extend(plain.flat_map(f32::to_le_bytes));
            }
        }
        out
    }

    /// The hop of `bed` that these bytes hold; `None` where they hold none.
    #[must_use]
    pub fn from_bytes(bed: &BedId, bytes: &[u8]) -> Option<Self> {
        let mut from = Bytes(bytes);
        let [version, flags, mode, leads] = from.take::<4>()?;
        let mode = match mode {
            0 => Mode::Real,
            1 => Mode::Test,
            2 => Mode::Demo,
            _ => return None,
        };
        let epoch = u32::from_le_bytes(from.take()?);
        let window = u64::from_le_bytes(from.take()?);
        let from_n = u64::from_le_bytes(from.take()?);
        let samples = u32::from_le_bytes(from.take()?) as usize;
        let rate = Ratio::new(u32::from_le_bytes(from.take()?), u32::from_le_bytes(from.take()?)).ok()?;
        let end = UtcMs(i64::from_le_bytes(from.take()?));
        let leads = usize::from(leads);
        if version != VERSION || leads > LEADS_MAX || samples > SAMPLES_MAX || from_n > u64::MAX >> 16 {
            return None;
        }
        let (mut names, mut flat) = (Vec::with_capacity(leads), Vec::with_capacity(leads * samples));
        for _ in 0..leads {
            let [length] = from.take::<1>()?;
            let name = std::str::from_utf8(from.slice(usize::from(length))?).ok()?;
            names.push(LeadId::new(name).ok()?);
            match from.take::<1>()? {
                [PLAIN] => {
                    for _ in 0..samples {
                        flat.push(f32::from_le_bytes(from.take()?));
                    }
                }
                [STEPS] => from.steps(samples, &mut flat)?,
                _ => return None,
            }
        }
        let samples_mv = Array2::from_shape_vec((leads, samples), flat).ok()?;
        from.0.is_empty().then(|| Self {
            bed: bed.clone(),
            epoch,
            window,
            from_n,
            to_n: from_n + samples as u64,
            rate,
            end,
            mode,
            paced: flags & PACED != 0,
            lead_off: flags & LEAD_OFF != 0,
            leads: names,
            samples_mv,
            part: Part::Live,
        })
    }
}

fn millivolts(microvolts: i32) -> f32 {
    (f64::from(microvolts) / 1_000.0) as f32
}

/// Samples as differences of whole microvolts: 0 = missing, else 1 + the zigzag of the difference to the last sample
/// that was there, seven bits a byte. `None` where a sample is no whole number of microvolts.
fn steps(row: &[f32]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(row.len() + 16);
    let mut last = 0_i32;
    for &mv in row {
        if mv.is_nan() {
            out.push(0);
            continue;
        }
        let microvolts = (mv * 1_000.0).round();
        if microvolts.abs() > MICROVOLTS_MAX || millivolts(microvolts as i32).to_bits() != mv.to_bits() {
            return None;
        }
        let step = microvolts as i32 - last;
        last = microvolts as i32;
        let mut rest = ((step << 1) ^ (step >> 31)) as u32 + 1;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
    Some(out)
}

/// Bytes read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.slice(N)?.try_into().ok()
    }

    fn steps(&mut self, samples: usize, out: &mut Vec<f32>) -> Option<()> {
        let mut last = 0_i32;
        for _ in 0..samples {
            let mut rest = 0_u32;
            for shift in (0..).step_by(7) {
                let [byte] = self.take::<1>()?;
                rest |= u32::from(byte & 0x7f).checked_shl(shift)?;
                if byte < 0x80 {
                    break;
                }
            }
            let Some(zigzag) = rest.checked_sub(1) else {
                out.push(f32::NAN);
                continue;
            };
            last = last.checked_add((zigzag >> 1) as i32 ^ -((zigzag & 1) as i32))?;
            out.push(millivolts(last));
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hop(rows: &[Vec<f32>]) -> Due {
        let samples = rows[0].len();
        let flat: Vec<f32> = rows.concat();
        Due {
            bed: BedId::new("s/u/b").expect("valid"),
            epoch: 0x5eed_0001,
            window: 7,
            from_n: 1_750,
            to_n: 1_750 + samples as u64,
            rate: Ratio::new(125, 2).expect("valid"),
            end: UtcMs(1_795_386_208_000),
            mode: Mode::Test,
            paced: true,
            lead_off: false,
            leads: (0..rows.len()).map(|i| LeadId::new(&format!("L{i}")).expect("valid")).collect(),
            samples_mv: Array2::from_shape_vec((rows.len(), samples), flat).expect("one length"),
            part: Part::Live,
        }
    }

    fn bits(due: &Due) -> Vec<u32> {
        due.samples_mv.iter().map(|v| if v.is_nan() { u32::MAX } else { v.to_bits() }).collect()
    }

    fn returns(due: &Due) {
        let bytes = due.to_bytes();
        let back = Due::from_bytes(&due.bed, &bytes).expect("readable");
        assert_eq!(bits(&back), bits(due));
        assert_eq!(back.to_bytes(), bytes, "equal hops give equal bytes");
        let plain = |d: &Due| Due { samples_mv: Array2::zeros((0, 0)), ..d.clone() };
        assert_eq!(plain(&back), plain(due));
    }

    #[test]
    fn whole_microvolts_cost_about_a_byte_each() {
        let row: Vec<f32> = (0..250).map(|i| millivolts((40.0 * f64::from(i).sin()) as i32)).collect();
        let due = hop(&[row]);
        returns(&due);
        assert!(due.to_bytes().len() < 350, "{}", due.to_bytes().len());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_hop_comes_back_bit_by_bit(
            rows in (1_usize..5, 1_usize..80).prop_flat_map(|(leads, n)| {
                let sample = prop_oneof![
                    3 => (-9_000_000_i32..9_000_000).prop_map(millivolts),
                    1 => Just(f32::NAN),
                    1 => -1_000.0_f32..1_000.0,
                    1 => Just(-0.0_f32),
                ];
                prop::collection::vec(prop::collection::vec(sample, n), leads)
            })
        ) {
            returns(&hop(&rows));
        }

        #[test]
        fn bytes_of_any_kind_are_read_or_refused(
            noise in prop::collection::vec(any::<u8>(), 0..200),
            at in 0_usize..120,
            byte in any::<u8>(),
        ) {
            let due = hop(&[vec![0.001, f32::NAN, 0.5], vec![0.1, 0.2, 0.3]]);
            let mut bytes = due.to_bytes();
            let _ = Due::from_bytes(&due.bed, &noise);
            let _ = Due::from_bytes(&due.bed, &bytes[..at.min(bytes.len())]);
            if let Some(old) = bytes.get_mut(at) {
                *old = byte;
            }
            let _ = Due::from_bytes(&due.bed, &bytes);
        }
    }
}
