//! A page as SVG: one user unit is one millimetre.

use super::page::{CHARACTER_MM, Page, Shape};
use std::fmt::Write as _;

/// Writes the document.
pub(super) fn write(page: &Page) -> String {
    let (w, h) = (page.width, page.height);
    // Monospaced fonts advance 0.6 em.
    let size = CHARACTER_MM / 0.6;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.2}mm\" height=\"{h:.2}mm\" \
         viewBox=\"0 0 {w:.2} {h:.2}\" font-family=\"'DejaVu Sans Mono',Menlo,Consolas,monospace\" \
         font-size=\"{size:.2}\">\n<rect width=\"{w:.2}\" height=\"{h:.2}\" fill=\"#ffffff\"/>\n"
    );
    for shape in &page.shapes {
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{}", element(shape));
    }
    out.push_str("</svg>\n");
    out
}

fn element(shape: &Shape) -> String {
    match shape {
        Shape::Fill { at: [x, y, w, h], colour } => {
            format!(
                "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{w:.2}\" height=\"{h:.2}\" fill=\"#{colour:06x}\"/>"
            )
        }
        Shape::Lines { lines, width, colour } => {
            let pieces = lines.iter().map(|[a, b, c, d]| format!("M{a:.2} {b:.2}L{c:.2} {d:.2}"));
            let path = pieces.collect::<Vec<_>>().concat();
            format!("<path d=\"{path}\" stroke=\"#{colour:06x}\" stroke-width=\"{width}\" fill=\"none\"/>")
        }
        Shape::Path { points, width, colour } => {
            let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.2},{y:.2}")).collect();
            format!(
                "<polyline points=\"{}\" stroke=\"#{colour:06x}\" stroke-width=\"{width}\" fill=\"none\" \
                 stroke-linejoin=\"round\"/>",
                points.join(" ")
            )
        }
        Shape::Text { at: [x, y], text, colour, bold } => {
            let weight = if *bold { " font-weight=\"bold\"" } else { "" };
            format!("<text x=\"{x:.2}\" y=\"{y:.2}\" fill=\"#{colour:06x}\"{weight}>{}</text>", escape(text))
        }
    }
}

/// Text that any XML reader takes: markup escaped, control characters dropped.
fn escape(text: &str) -> String {
    let text: String =
        text.chars().filter(|c| !c.is_control() && *c != '\u{fffe}' && *c != '\u{ffff}').collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        let text = "<script>&\u{1b}\"".to_owned();
        let shape = Shape::Text { at: [1.0, 2.0], text, colour: 0, bold: false };
        assert_eq!(
            element(&shape),
            "<text x=\"1.00\" y=\"2.00\" fill=\"#000000\">&lt;script&gt;&amp;\"</text>"
        );
    }
}
