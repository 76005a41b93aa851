//! A screen as SVG, for pictures in documents: text as text, dots as circles, so that no braille font is needed.

use super::theme::{self, Look};
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use std::fmt::Write as _;

/// Width and height of a cell in the picture.
const CELL: (f64, f64) = (8.4, 18.0);

/// Draws a buffer as one SVG document in the colours of `look`'s theme.
#[must_use]
pub fn screen_svg(buf: &Buffer, look: Look) -> String {
    let spec = theme::spec(look.theme);
    let (w, h) = (f64::from(buf.area.width) * CELL.0, f64::from(buf.area.height) * CELL.1);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.0}\" height=\"{h:.0}\" viewBox=\"0 0 {w:.1} {h:.1}\" \
         font-family=\"'DejaVu Sans Mono',Menlo,Consolas,monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#{:06x}\"/>\n",
        spec.background
    );
    for y in 0..buf.area.height {
        let mut x = 0;
        while x < buf.area.width {
            let cell = &buf[(x, y)];
            let colours = colours(cell, spec);
            let mut end = x + 1;
            let kind = dots(cell).is_some();
            while end < buf.area.width
                && !kind
                && dots(&buf[(end, y)]).is_none()
                && self::colours(&buf[(end, y)], spec) == colours
            {
                end += 1;
            }
            let symbols: String = (x..end).map(|i| buf[(i, y)].symbol()).collect();
            piece(&mut out, (x, y, end - x), &symbols, dots(cell), colours);
            x = end;
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Foreground, background (`None` = the theme's) and bold.
type Colours = (u32, Option<u32>, bool);

fn colours(cell: &Cell, spec: &theme::Spec) -> Colours {
    let (mut fg, mut bg) = (rgb(cell.fg).unwrap_or(spec.text), rgb(cell.bg));
    if cell.modifier.contains(Modifier::REVERSED) {
        (fg, bg) = (bg.unwrap_or(spec.background), Some(fg));
    }
    (fg, bg, cell.modifier.contains(Modifier::BOLD))
}

fn rgb(color: Color) -> Option<u32> {
    let of = |[r, g, b]: [u8; 3]| u32::from(r) << 16 | u32::from(g) << 8 | u32::from(b);
    Some(match color {
        Color::Reset => return None,
        Color::Rgb(r, g, b) => of([r, g, b]),
        Color::Indexed(i) => of(theme::indexed_rgb(i)),
        Color::Black => 0x00_0000,
        Color::Yellow => 0xB5_8900,
        Color::LightYellow => 0xFF_E066,
        Color::Cyan => 0x5F_D7FF,
        Color::Gray => 0xBB_BBBB,
        Color::Green => 0x2F_A86B,
        Color::LightBlue | Color::Blue => 0x56_B4E9,
        Color::Magenta | Color::LightMagenta => 0xCC_79A7,
        Color::DarkGray => 0x66_6666,
        _ => 0xFF_FFFF,
    })
}

/// The bits of a braille cell.
fn dots(cell: &Cell) -> Option<u8> {
    let code = u32::from(cell.symbol().chars().next()?);
    (0x2801..=0x28ff).contains(&code).then_some((code - 0x2800) as u8)
}

fn piece(out: &mut String, (x, y, cells): (u16, u16, u16), text: &str, bits: Option<u8>, colours: Colours) {
    let (fg, bg, bold) = colours;
    let (left, top) = (f64::from(x) * CELL.0, f64::from(y) * CELL.1);
    let wide = f64::from(cells) * CELL.0;
    // Writing into a String cannot fail.
    if let Some(bg) = bg {
        let (width, height) = (wide, CELL.1);
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"#{bg:06x}\"/>"
        );
    }
    if let Some(bits) = bits {
        let _ = writeln!(out, "<path fill=\"#{fg:06x}\" d=\"{}\"/>", dot_path(left, top, bits));
        return;
    }
    let shown = text.trim_end();
    if shown.trim().is_empty() {
        return;
    }
    let escaped = shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let length = f64::from(super::words::width(shown) as u16) * CELL.0;
    let weight = if bold { " font-weight=\"bold\"" } else { "" };
    let _ = writeln!(
        out,
        "<text x=\"{left:.1}\" y=\"{:.1}\" fill=\"#{fg:06x}\"{weight} textLength=\"{length:.1}\" \
         lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">{escaped}</text>",
        top + 13.5
    );
}

/// The dots of one cell as small circles.
fn dot_path(left: f64, top: f64, bits: u8) -> String {
    const BITS: [(u8, u8, u8); 8] = [
        (0x01, 0, 0),
        (0x02, 0, 1),
        (0x04, 0, 2),
        (0x40, 0, 3),
        (0x08, 1, 0),
        (0x10, 1, 1),
        (0x20, 1, 2),
        (0x80, 1, 3),
    ];
    let mut out = String::new();
    for (_, column, row) in BITS.iter().filter(|(bit, _, _)| bits & bit != 0) {
        let x = left + CELL.0 * (f64::from(*column) + 0.5) / 2.0 - 1.5;
        let y = top + CELL.1 * (f64::from(*row) + 0.5) / 4.0;
        let _ = write!(out, "M{x:.1} {y:.1}a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0 -3 0");
    }
    out
}
