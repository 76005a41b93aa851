//! The waves of a beat: bell curves of the heart vector with their borders.

use crate::body::Body;
use crate::lead::Vector;
use crate::random::normal;
use crate::rhythm::BeatKind;

/// One bell of the heart vector; its sides may differ in width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bell {
    /// Its peak, in seconds from sample 0.
    pub(crate) at_s: f64,
    /// Width (sigma) of the rising and the falling side, in seconds.
    pub(crate) rise_s: f64,
    pub(crate) fall_s: f64,
    /// Its peak in Frank's axes, in mV.
    pub(crate) peak_mv: Vector,
}

/// Where a bell is cut off, in sigmas: below 0.04 % of its peak.
pub(crate) const REACH: f64 = 4.0;
/// Where a reader puts a wave's border, in sigmas: 8 % of its peak.
const BORDER: f64 = 2.25;

/// Shift of a wave against its beat, in seconds for a relative spread of its size of 1.
const SHIFT_S: f64 = 0.015;

/// A wave's onset and offset, in seconds.
pub(crate) type Borders = (f64, f64);

/// The waves of one beat.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Waves {
    /// P, QRS and T, in that order.
    pub(crate) bells: Vec<Bell>,
    pub(crate) p: Option<Borders>,
    pub(crate) qrs: Borders,
    pub(crate) t: Borders,
    /// Centre of the pacemaker's spike, if there is one, and its size.
    pub(crate) spike: Option<(f64, Vector)>,
}

/// One bell of a template: peak and widths in seconds, vector in mV.
type Part = (f64, f64, f64, [f64; 3]);

/// Right, then left atrium, from the onset of P.
const P: [Part; 2] =
    [(0.041, 0.018, 0.020, [0.030, 0.085, -0.055]), (0.071, 0.020, 0.018, [0.065, 0.080, 0.045])];
/// Onset of the QRS template before its fiducial point, in seconds.
const QRS_ONSET_S: f64 = 0.041;
/// P and a short isoelectric line fit into this.
const PR_S_MIN: f64 = 0.132;
/// Septum, apex, free wall, base; 0 is the fiducial point, near the R peak of lead II.
const QRS: [Part; 4] = [
    (-0.024, 0.0075, 0.008, [-0.16, 0.02, -0.30]),
    (-0.003, 0.0095, 0.010, [1.00, 0.78, -0.18]),
    (0.010, 0.0095, 0.0105, [0.48, 0.46, 0.80]),
    (0.029, 0.0085, 0.0095, [-0.20, -0.16, 0.38]),
];
/// Peak of T in the template's direction.
const T_MV: [f64; 3] = [0.24, 0.20, -0.15];

/// A stimulus in the apex of the right ventricle runs left, up and back.
const PACED_MV: Vector = [1.6, -2.3, 1.0];

/// Turns a vector by `a` in the frontal plane (x, y) and by `b` in the horizontal one (x, z).
fn turn([x, y, z]: [f64; 3], [a, b]: [f64; 2]) -> [f64; 3] {
    let (sa, ca, sb, cb) = (libm::sin(a), libm::cos(a), libm::sin(b), libm::cos(b));
    let (x, y) = (x * ca - y * sa, x * sa + y * ca);
    [x * cb - z * sb, y, x * sb + z * cb]
}

/// What varies from beat to beat.
struct Sway {
    seed: u64,
    drawn: u64,
    turn: f64,
    scale: f64,
    jitter: f64,
}

impl Sway {
    fn new(body: &Body, count: u64, at_s: f64) -> Self {
        let breath = body.breath(at_s);
        Self {
            seed: body.beat_seed ^ 0xbea7,
            drawn: count.wrapping_mul(64),
            turn: body.breath_turn * breath,
            scale: 1.0 + body.breath_scale * breath,
            jitter: body.shape_jitter,
        }
    }

    fn draw(&mut self) -> f64 {
        self.drawn += 1;
        normal(self.seed, self.drawn)
    }

    fn bell(&mut self, at_s: f64, widths_s: [f64; 2], peak_mv: [f64; 3], turned: [f64; 2]) -> Bell {
        let scale = self.scale * (1.0 + self.jitter * self.draw());
        let wider = 1.0 + 0.5 * self.jitter * self.draw();
        let turned = [turned[0] + self.turn, turned[1] + 0.6 * self.turn + 0.3 * self.jitter * self.draw()];
        let peak_mv = turn(peak_mv, turned).map(|v| (v * scale) as f32);
        let at_s = at_s + SHIFT_S * self.jitter * self.draw();
        Bell { at_s, rise_s: widths_s[0] * wider, fall_s: widths_s[1] * wider, peak_mv }
    }
}

fn borders(bells: &[Bell]) -> Borders {
    let on = bells.iter().map(|b| b.at_s - BORDER * b.rise_s).fold(f64::INFINITY, f64::min);
    let off = bells.iter().map(|b| b.at_s + BORDER * b.fall_s).fold(f64::NEG_INFINITY, f64::max);
    (on, off)
}

/// The waves of beat `count` of `kind` at `at_s`, whose interval before is `rr_s`.
pub(crate) fn waves(body: &Body, kind: BeatKind, count: u64, at_s: f64, rr_s: f64) -> Waves {
    let sway = &mut Sway::new(body, count, at_s);
    if matches!(kind, BeatKind::Ventricular { .. }) {
        // The wave takes another way from a focus each time.
        sway.jitter *= 2.2;
    }
    let mut bells = Vec::with_capacity(8);
    match kind {
        BeatKind::Sinus => {
            atria(body, sway, at_s, rr_s, &mut bells);
            conducted(body, sway, at_s, rr_s, &mut bells);
        }
        BeatKind::Conducted => conducted(body, sway, at_s, rr_s, &mut bells),
        BeatKind::Ventricular { focus } => {
            // The heart recovers by its usual interval, not by how early one beat comes.
            let usual_s = if focus == 0 { rr_s.max(0.75) } else { rr_s };
            ventricular(
                sway,
                (body.foci[focus.min(1)], body.focus_width),
                body.qtc_s,
                at_s,
                usual_s,
                &mut bells,
            );
        }
        BeatKind::Paced => {
            ventricular(sway, (PACED_MV, 1.25 * body.focus_width), body.qtc_s, at_s, rr_s, &mut bells);
        }
    }
    let atrial = if kind == BeatKind::Sinus { P.len() } else { 0 };
    let last = bells.len() - 1;
    let qrs = borders(&bells[atrial..last]);
    Waves {
        p: (atrial > 0).then(|| borders(&bells[..atrial])),
        qrs,
        t: borders(&bells[last..]),
        spike: (kind == BeatKind::Paced).then(|| {
            let size = body.spike_mv as f32;
            (qrs.0 - 0.004, [0.35 * size, 0.8 * size, -0.1 * size])
        }),
        bells,
    }
}

fn atria(body: &Body, sway: &mut Sway, at_s: f64, rr_s: f64, bells: &mut Vec<Bell>) {
    // PR shortens a little at high rates.
    let pr_s = (body.pr_s * (rr_s / 0.85).clamp(0.75, 1.1)).max(PR_S_MIN);
    let onset_s = at_s - QRS_ONSET_S * body.qrs_width - pr_s;
    for (part_s, rise_s, fall_s, mv) in P {
        let mv = mv.map(|v| v * body.p_size);
        bells.push(sway.bell(onset_s + part_s, [rise_s, fall_s], mv, [0.5 * body.qrs_turn[0], 0.0]));
    }
}

fn conducted(body: &Body, sway: &mut Sway, at_s: f64, rr_s: f64, bells: &mut Vec<Bell>) {
    let width = body.qrs_width;
    for ((part_s, rise_s, fall_s, mv), own) in QRS.into_iter().zip(body.qrs_parts) {
        let mv = mv.map(|v| v * body.qrs_size * own);
        bells.push(sway.bell(at_s + part_s * width, [rise_s * width, fall_s * width], mv, body.qrs_turn));
    }
    // T ends at QT after the onset of QRS (Fridericia).
    let qt_s = body.qtc_s * libm::cbrt(rr_s.clamp(0.3, 1.6));
    let (rise_s, fall_s) = (0.155 * qt_s, 0.085 * qt_s);
    let turned = [body.qrs_turn[0] * 0.6 + body.t_turn[0], body.qrs_turn[1] * 0.5 + body.t_turn[1]];
    let mv = T_MV.map(|v| v * body.t_size);
    bells.push(sway.bell(at_s + qt_s - QRS_ONSET_S * width - BORDER * fall_s, [rise_s, fall_s], mv, turned));
}

/// A wide beat from a focus of a direction (in mV) and a width relative to the template's.
fn ventricular(
    sway: &mut Sway,
    (focus, width): (Vector, f64),
    qtc_s: f64,
    at_s: f64,
    rr_s: f64,
    bells: &mut Vec<Bell>,
) {
    let [x, y, z] = focus.map(f64::from);
    let part = |scale: f64, turned: [f64; 2]| turn([x * scale, y * scale, z * scale], turned);
    // Slow from muscle cell to muscle cell: three overlapping bells, the last one turned back.
    for (part_s, rise_s, fall_s, scale, turned) in [
        (-0.018, 0.0145, 0.018, 0.45, [0.35, -0.5]),
        (0.006, 0.017, 0.019, 0.72, [0.0; 2]),
        (0.043, 0.0155, 0.018, -0.28, [0.5, 0.6]),
    ] {
        let widths_s = [rise_s * width, fall_s * width];
        bells.push(sway.bell(at_s + part_s * width, widths_s, part(scale, turned), [0.0; 2]));
    }
    // Repolarisation runs the same way as depolarisation: T points against QRS.
    let qt_s = (qtc_s + 0.045) * libm::cbrt(rr_s.clamp(0.3, 1.4));
    let fall_s = 0.11 * qt_s;
    let at_s = at_s + qt_s - 0.06 * width - BORDER * fall_s;
    bells.push(sway.bell(at_s, [0.155 * qt_s, fall_s], part(-0.22, [0.2, 0.1]), [0.0; 2]));
}
