//! A page as PNG: shapes by tiny-skia, text from a bitmap font that is part of the binary.

use super::StripError;
use super::page::{Page, Shape};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use tiny_skia::{Color, FillRule, Paint, PathBuilder, Pixmap, Rect, Stroke, Transform};

/// Pixels in a millimetre (about 203 dots an inch).
pub(super) const PX_PER_MM: f32 = 8.0;
const HEIGHT: RasterHeight = RasterHeight::Size24;
/// Advance of a character.
pub(super) const CHARACTER_PX: f32 = get_raster_width(FontWeight::Regular, HEIGHT) as f32;
/// From the top of a character's picture to its base line.
const ASCENT_PX: f32 = 19.0;

/// Draws and encodes the page.
pub(super) fn write(page: &Page) -> Result<Vec<u8>, StripError> {
    let (w, h) = ((page.width * PX_PER_MM).ceil(), (page.height * PX_PER_MM).ceil());
    let refused = |why: &str| StripError::Encode(format!("{w} by {h} pixels: {why}"));
    let mut image = Pixmap::new(w as u32, h as u32).ok_or_else(|| refused("no such size"))?;
    image.fill(Color::WHITE);
    for shape in &page.shapes {
        draw(&mut image, shape);
    }
    image.encode_png().map_err(|e| refused(&e.to_string()))
}

fn rgb(colour: u32) -> [u8; 3] {
    [(colour >> 16) as u8, (colour >> 8) as u8, colour as u8]
}

fn paint(colour: u32) -> Paint<'static> {
    let [r, g, b] = rgb(colour);
    let mut paint = Paint::default();
    paint.set_color_rgba8(r, g, b, 255);
    paint
}

fn draw(image: &mut Pixmap, shape: &Shape) {
    let scale = Transform::from_scale(PX_PER_MM, PX_PER_MM);
    match shape {
        Shape::Fill { at: [x, y, w, h], colour } => {
            if let Some(rect) = Rect::from_xywh(*x, *y, *w, *h) {
                let path = PathBuilder::from_rect(rect);
                image.fill_path(&path, &paint(*colour), FillRule::Winding, scale, None);
            }
        }
        Shape::Lines { lines, width, colour } => {
            let mut path = PathBuilder::new();
            for [a, b, c, d] in lines {
                path.move_to(*a, *b);
                path.line_to(*c, *d);
            }
            stroke(image, path, *width, *colour, scale);
        }
        Shape::Path { points, width, colour } => {
            let mut path = PathBuilder::new();
            for (i, [x, y]) in points.iter().enumerate() {
                if i == 0 { path.move_to(*x, *y) } else { path.line_to(*x, *y) }
            }
            stroke(image, path, *width, *colour, scale);
        }
        Shape::Text { at: [x, y], text, colour, .. } => {
            let mut left = x * PX_PER_MM;
            for c in text.chars().filter(|c| !c.is_control()) {
                character(image, c, left.round() as i64, (y * PX_PER_MM - ASCENT_PX).round() as i64, *colour);
                left += CHARACTER_PX;
            }
        }
    }
}

fn stroke(image: &mut Pixmap, path: PathBuilder, width: f32, colour: u32, scale: Transform) {
    if let Some(path) = path.finish() {
        let stroke = Stroke { width, ..Stroke::default() };
        image.stroke_path(&path, &paint(colour), &stroke, scale, None);
    }
}

/// Blends one character in; one that the font lacks becomes `?`.
fn character(image: &mut Pixmap, c: char, left: i64, top: i64, colour: u32) {
    let raster = |c| get_raster(c, FontWeight::Regular, HEIGHT);
    let Some(picture) = raster(c).or_else(|| raster('?')) else { return };
    let (w, h) = (i64::from(image.width()), i64::from(image.height()));
    let ink = rgb(colour);
    for (y, row) in (top..).zip(picture.raster()) {
        for (x, strength) in (left..).zip(row.iter()) {
            if *strength > 0 && (0..w).contains(&x) && (0..h).contains(&y) {
                blend(image, (y * w + x) as usize * 4, ink, u16::from(*strength));
            }
        }
    }
}

fn blend(image: &mut Pixmap, at: usize, ink: [u8; 3], strength: u16) {
    for (paper, ink) in image.data_mut()[at..at + 3].iter_mut().zip(ink) {
        let mixed = u16::from(*paper) * (255 - strength) + u16::from(ink) * strength;
        *paper = (mixed / 255) as u8;
    }
}
