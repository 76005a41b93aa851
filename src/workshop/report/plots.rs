//! Plots as SVG text.

use crate::workshop::WorkshopError;
use plotters::prelude::*;

/// Size in pixels, and how much of the width the names of several series take.
const SIZE: (u32, u32) = (680, 360);
const NAMES: u32 = 150;

/// Named points, joined by a line.
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Points (x, y).
    pub points: Vec<(f64, f64)>,
}

fn fault<E: std::error::Error + Send + Sync>(e: &DrawingAreaErrorKind<E>) -> WorkshopError {
    WorkshopError::Plot(e.to_string())
}

/// Smallest and largest value with a margin of a twentieth.
fn range(values: impl Iterator<Item = f64> + Clone) -> std::ops::Range<f64> {
    let low = values.clone().filter(|v| v.is_finite()).fold(f64::INFINITY, f64::min);
    let high = values.filter(|v| v.is_finite()).fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return 0.0..1.0;
    }
    let margin = ((high - low) / 20.0).max(1e-3);
    low - margin..high + margin
}

/// Lines with points.
///
/// # Errors
/// [`WorkshopError::Plot`] if the plot cannot be drawn.
pub fn lines(title: &str, x: &str, y: &str, series: &[Series]) -> Result<String, WorkshopError> {
    let all = || series.iter().flat_map(|s| s.points.iter().copied());
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(|e| fault(&e))?;
        let names = if series.len() > 1 { NAMES } else { 0 };
        let (left, right) = root.split_horizontally(SIZE.0 - names);
        let mut chart = ChartBuilder::on(&left)
            .caption(title, ("sans-serif", 17))
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(range(all().map(|p| p.0)), range(all().map(|p| p.1)))
            .map_err(|e| fault(&e))?;
        chart.configure_mesh().x_desc(x).y_desc(y).light_line_style(WHITE).draw().map_err(|e| fault(&e))?;
        for (i, s) in series.iter().enumerate() {
            let colour = Palette99::pick(i).to_rgba();
            let line = LineSeries::new(s.points.iter().copied(), colour.stroke_width(2));
            chart.draw_series(line).map_err(|e| fault(&e))?;
            let dots = s.points.iter().map(|p| Circle::new(*p, 3, colour.filled()));
            chart.draw_series(dots).map_err(|e| fault(&e))?;
        }
        if names > 0 {
            for (i, s) in series.iter().enumerate() {
                let (y, colour) = (40 + 18 * i as i32, Palette99::pick(i).stroke_width(3));
                right.draw(&PathElement::new([(4, y), (20, y)], colour)).map_err(|e| fault(&e))?;
                let name = Text::new(s.name.as_str(), (26, y - 6), ("sans-serif", 12));
                right.draw(&name).map_err(|e| fault(&e))?;
            }
        }
        root.present().map_err(|e| fault(&e))?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_its_names_and_a_line_for_each_series() {
        let series = ["a", "b"].map(|n| Series { name: n.into(), points: vec![(8.0, 0.9), (16.0, 0.95)] });
        let svg = lines("Agreement", "K", "share", &series).expect("drawn");
        assert!(svg.starts_with("<svg") && svg.contains("Agreement"));
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(lines("nothing", "x", "y", &[]).is_ok(), "no points, no panic");
    }
}
