//! Where everything stands on the paper, in millimetres from the upper left corner.

use super::{ClassEvidence, LeadTrace, StripError, StripPicture};

/// Paper speed and gain of every ECG.
pub(super) const MM_PER_S: f32 = 25.0;
pub(super) const MM_PER_MV: f32 = 10.0;
/// Advance of a character; the raster font's.
pub(super) const CHARACTER_MM: f32 = super::raster::CHARACTER_PX / super::raster::PX_PER_MM;
/// Height of a line of text.
pub(super) const LINE_MM: f32 = 4.0;

const MARGIN: f32 = 6.0;
/// Lead name and calibration pulse.
const LEFT: f32 = 24.0;
const PAGE_MIN: f32 = 150.0;
const RIBBON: f32 = 5.0;
const ENTROPY: f32 = 20.0;
const NOVELTY: f32 = 14.0;
const EVIDENCE: f32 = 9.0;
const LEGEND_COLUMN: f32 = 66.0;

const INK: u32 = 0x16_191D;
const DIM: u32 = 0x4A_5560;
const GRID_FINE: u32 = 0xF8_DADA;
const GRID_BOLD: u32 = 0xEE_AFAF;
const LIMIT: u32 = 0xC0_2C8A;
const BAND: u32 = 0xE9_EEF4;

/// One mark on the paper; the unit is the millimetre.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// A filled rectangle: x, y, width, height.
    Fill { at: [f32; 4], colour: u32 },
    /// Separate straight lines: x0, y0, x1, y1.
    Lines { lines: Vec<[f32; 4]>, width: f32, colour: u32 },
    /// A joined line.
    Path { points: Vec<[f32; 2]>, width: f32, colour: u32 },
    /// A line of text; `at` is the left end of its base line.
    Text { at: [f32; 2], text: String, colour: u32, bold: bool },
}

/// A laid-out strip.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    pub width: f32,
    pub height: f32,
    pub shapes: Vec<Shape>,
}

/// The colour of a family on white paper: the light theme's (docs/ward.md, section 4).
pub(super) fn family_colour(family: char) -> u32 {
    match family {
        'Q' => 0x8A_6100,
        'S' => 0x6A_2B00,
        'T' => 0x00_63B8,
        'P' => 0x00_7A55,
        'b' => 0x3F_4A54,
        _ => 0xC0_2C8A,
    }
}

struct Sheet<'a> {
    picture: &'a StripPicture,
    seconds: f32,
    y: f32,
    shapes: Vec<Shape>,
}

pub(super) fn lay_out(picture: &StripPicture) -> Result<Page, StripError> {
    let seconds = picture.seconds()?;
    let mut sheet = Sheet { picture, seconds, y: MARGIN, shapes: Vec::new() };
    sheet.titles();
    sheet.leads();
    sheet.ribbon();
    sheet.curves();
    sheet.evidence();
    sheet.legend();
    sheet.notes();
    let width = (MARGIN * 2.0 + LEFT + seconds * MM_PER_S).max(PAGE_MIN);
    Ok(Page { width, height: sheet.y + MARGIN, shapes: sheet.shapes })
}

impl Sheet<'_> {
    const X0: f32 = MARGIN + LEFT;

    fn wide(&self) -> f32 {
        self.seconds * MM_PER_S
    }

    fn text(&mut self, x: f32, y: f32, text: impl Into<String>, colour: u32, bold: bool) {
        self.shapes.push(Shape::Text { at: [x, y], text: text.into(), colour, bold });
    }

    fn titles(&mut self) {
        for (i, line) in self.picture.title.iter().enumerate() {
            self.y += LINE_MM;
            self.text(MARGIN, self.y, line, INK, i == 0);
        }
        self.y += LINE_MM;
        let scale = format!("25 mm/s  10 mm/mV  from {}", self.picture.start);
        self.text(MARGIN, self.y, scale, DIM, false);
        self.y += 2.0;
    }

    fn leads(&mut self) {
        let top = self.y;
        let heights: Vec<[f32; 2]> = self.picture.leads.iter().map(reach_mv).collect();
        let tall: f32 = heights.iter().map(|[up, down]| (up - down) * MM_PER_MV).sum();
        self.grid(top, tall);
        for (lead, [up, down]) in self.picture.leads.iter().zip(heights) {
            let zero = self.y + up * MM_PER_MV;
            self.text(MARGIN, zero - 6.5, lead.lead.to_string(), INK, true);
            self.calibration(zero);
            self.trace(lead, zero, [up, down]);
            self.y += (up - down) * MM_PER_MV;
        }
        for second in 0..=self.seconds as usize {
            let x = Self::X0 + second as f32 * MM_PER_S;
            self.text(x - CHARACTER_MM / 2.0, self.y + 3.2, second.to_string(), DIM, false);
        }
        self.y += LINE_MM;
    }

    fn grid(&mut self, top: f32, tall: f32) {
        let wide = self.wide();
        for (step, colour, width) in [(1.0, GRID_FINE, 0.1), (5.0, GRID_BOLD, 0.2)] {
            let upright = (0..=(wide / step) as usize).map(|i| {
                let x = Self::X0 + i as f32 * step;
                [x, top, x, top + tall]
            });
            let level = (0..=(tall / step) as usize).map(|i| {
                let y = top + i as f32 * step;
                [Self::X0, y, Self::X0 + wide, y]
            });
            self.shapes.push(Shape::Lines { lines: upright.chain(level).collect(), width, colour });
        }
    }

    /// 1 mV for 0.2 s, as every recorder draws it.
    fn calibration(&mut self, zero: f32) {
        let (x, high) = (Self::X0 - 9.0, zero - MM_PER_MV);
        let points = vec![
            [x, zero],
            [x + 1.5, zero],
            [x + 1.5, high],
            [x + 6.5, high],
            [x + 6.5, zero],
            [x + 8.0, zero],
        ];
        self.shapes.push(Shape::Path { points, width: 0.25, colour: INK });
    }

    fn trace(&mut self, lead: &LeadTrace, zero: f32, [up, down]: [f32; 2]) {
        let rate = self.picture.rate_hz;
        let point = |(i, mv): (usize, &f32)| {
            mv.is_finite()
                .then(|| [Self::X0 + i as f32 / rate * MM_PER_S, zero - mv.clamp(down, up) * MM_PER_MV])
        };
        let points: Vec<_> = lead.samples_mv.iter().enumerate().map(point).collect();
        self.pieces(&points, 0.25, INK);
    }

    /// Joins neighbours and leaves gaps blank.
    fn pieces(&mut self, points: &[Option<[f32; 2]>], width: f32, colour: u32) {
        for piece in points.split(Option::is_none).filter(|p| p.len() > 1) {
            let points = piece.iter().copied().flatten().collect();
            self.shapes.push(Shape::Path { points, width, colour });
        }
    }

    fn step_x(&self, step: usize) -> f32 {
        let at = self.picture.first_step_s + step as f32 * self.picture.step_s;
        Self::X0 + at.clamp(0.0, self.seconds) * MM_PER_S
    }

    fn ribbon(&mut self) {
        if self.picture.steps.is_empty() {
            return;
        }
        let steps = &self.picture.steps;
        let mut from = 0;
        while from < steps.len() {
            let same = steps[from..].iter().take_while(|s| s.cluster == steps[from].cluster).count();
            let (left, right) = (self.step_x(from), self.step_x(from + same));
            let family = steps[from].family;
            let at = [left, self.y, right - left, RIBBON];
            self.shapes.push(Shape::Fill { at, colour: family_colour(family) });
            if right - left >= CHARACTER_MM * 1.2 {
                let middle = f32::midpoint(left, right) - CHARACTER_MM / 2.0;
                self.text(middle, self.y + 3.4, family, 0xFF_FFFF, true);
            }
            from += same;
        }
        self.text(MARGIN, self.y + 3.4, "clusters", INK, false);
        self.y += RIBBON + 2.0;
    }

    fn curves(&mut self) {
        if self.picture.steps.is_empty() {
            return;
        }
        let entropy: Vec<f32> = self.picture.steps.iter().map(|s| s.entropy).collect();
        let novelty: Vec<f32> = self.picture.steps.iter().map(|s| s.novelty).collect();
        let band = self.picture.entropy_band;
        self.curve("entropy", &entropy, ENTROPY, [0.0, 1.0], band);
        let most = novelty.iter().copied().filter(|v| v.is_finite()).fold(1.5f32, f32::max).min(10.0).ceil();
        let limit = self.picture.novelty_threshold.map(|t| [0.0, t]);
        self.curve("novelty", &novelty, NOVELTY, [0.0, most], limit);
    }

    /// One value a step in a frame of `tall` mm, with the usual band behind it and its upper limit as a line.
    fn curve(
        &mut self,
        name: &str,
        values: &[f32],
        tall: f32,
        [low, high]: [f32; 2],
        band: Option<[f32; 2]>,
    ) {
        let (top, wide) = (self.y, self.wide());
        let place = |v: f32| top + tall - (v.clamp(low, high) - low) / (high - low) * tall;
        if let Some([lower, upper]) = band {
            let (y, bottom) = (place(upper), place(lower));
            self.shapes.push(Shape::Fill { at: [Self::X0, y, wide, bottom - y], colour: BAND });
            self.shapes.push(Shape::Lines {
                lines: vec![[Self::X0, y, Self::X0 + wide, y]],
                width: 0.3,
                colour: LIMIT,
            });
            self.text(MARGIN, top + 7.0, format!("limit {upper:.2}"), LIMIT, false);
        }
        let right = Self::X0 + wide;
        let frame = vec![[Self::X0, top, right, top], [Self::X0, top + tall, right, top + tall]];
        self.shapes.push(Shape::Lines { lines: frame, width: 0.15, colour: DIM });
        let half = self.picture.step_s * MM_PER_S / 2.0;
        let points: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(i, v)| v.is_finite().then(|| [self.step_x(i) + half, place(*v)]))
            .collect();
        self.pieces(&points, 0.3, INK);
        self.text(MARGIN, top + 3.0, name, INK, false);
        self.text(MARGIN, top + tall, format!("{low:.0} to {high:.0}"), DIM, false);
        self.y += tall + 3.0;
    }

    fn evidence(&mut self) {
        if self.picture.evidence.is_empty() {
            return;
        }
        let values = |e: &ClassEvidence| {
            e.per_step.iter().copied().filter(|v| v.is_finite()).fold(0f32, |m, v| m.max(v.abs()))
        };
        let most = self.picture.evidence.iter().map(values).fold(1f32, f32::max);
        self.y += 2.0;
        let head = "class evidence along the strip, upward = for; network and surrogate probability. The training \
                    set's names for shapes; not findings about the patient";
        self.text(MARGIN, self.y, head, DIM, false);
        self.y += 2.0;
        for class in &self.picture.evidence {
            let middle = self.y + EVIDENCE / 2.0;
            let line = [Self::X0, middle, Self::X0 + self.wide(), middle];
            self.shapes.push(Shape::Lines { lines: vec![line], width: 0.1, colour: DIM });
            let half = self.picture.step_s * MM_PER_S / 2.0;
            let points: Vec<_> = class
                .per_step
                .iter()
                .enumerate()
                .map(|(i, v)| {
                    v.is_finite().then(|| [self.step_x(i) + half, middle - v / most * EVIDENCE / 2.0])
                })
                .collect();
            self.pieces(&points, 0.25, INK);
            self.text(MARGIN, middle - 0.8, &class.name, INK, true);
            let surrogate = class.surrogate.map_or("--".into(), |v| format!("{v:.2}"));
            self.text(MARGIN, middle + 2.6, format!("{:.2} | {surrogate}", class.network), INK, false);
            self.y += EVIDENCE;
        }
    }

    fn legend(&mut self) {
        let columns = ((self.wide() + LEFT) / LEGEND_COLUMN).floor().max(1.0) as usize;
        self.y += 2.0;
        let legend = &self.picture.legend;
        for (i, entry) in legend.iter().enumerate() {
            let x = MARGIN + (i % columns) as f32 * LEGEND_COLUMN;
            if i % columns == 0 {
                self.y += LINE_MM;
            }
            let at = [x, self.y - 2.6, 3.0, 3.0];
            self.shapes.push(Shape::Fill { at, colour: family_colour(entry.family) });
            let room = ((LEGEND_COLUMN - 6.0) / CHARACTER_MM) as usize;
            let text = format!("{} {:.0}% {}", entry.family, entry.share * 100.0, entry.name);
            self.text(x + 4.5, self.y, text.chars().take(room).collect::<String>(), INK, false);
        }
    }

    fn notes(&mut self) {
        if !self.picture.note.is_empty() {
            self.y += LINE_MM + 1.0;
            let note = self.picture.note.clone();
            self.text(MARGIN, self.y, note, DIM, false);
        }
    }
}

/// Upper and lower edge of a lead's row in mV, in halves, at least 1 to -0.5 and at most 3 beyond its median.
fn reach_mv(lead: &LeadTrace) -> [f32; 2] {
    let mut seen: Vec<f32> = lead.samples_mv.iter().copied().filter(|v| v.is_finite()).collect();
    if seen.is_empty() {
        return [1.0, -0.5];
    }
    seen.sort_by(f32::total_cmp);
    let median = seen[seen.len() / 2];
    let up = seen[seen.len() - 1].min(median + 3.0);
    let down = seen[0].max(median - 3.0);
    [(((up + 0.1) * 2.0).ceil() / 2.0).max(1.0), (((down - 0.1) * 2.0).floor() / 2.0).min(-0.5)]
}
