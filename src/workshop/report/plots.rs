//! Plots as SVG text.

use crate::workshop::WorkshopError;
use plotters::prelude::*;

/// Size in pixels.
const SIZE: (u32, u32) = (680, 360);

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
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 17))
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(range(all().map(|p| p.0)), range(all().map(|p| p.1)))
            .map_err(|e| fault(&e))?;
        chart.configure_mesh().x_desc(x).y_desc(y).light_line_style(WHITE).draw().map_err(|e| fault(&e))?;
        for (i, s) in series.iter().enumerate() {
            let colour = Palette99::pick(i).to_rgba();
            chart
                .draw_series(LineSeries::new(s.points.iter().copied(), colour.stroke_width(2)))
                .map_err(|e| fault(&e))?
                .label(s.name.as_str())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
            let dots = s.points.iter().map(|p| Circle::new(*p, 3, colour.filled()));
            chart.draw_series(dots).map_err(|e| fault(&e))?;
        }
        if series.len() > 1 {
            let labels = &mut chart.configure_series_labels();
            let labels = labels.background_style(WHITE.mix(0.85)).border_style(BLACK.mix(0.3));
            labels.draw().map_err(|e| fault(&e))?;
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
