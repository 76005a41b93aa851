//! The plot of docs/performance.md: what a bed costs, against the number of beds.

use crate::summary::{Summary, folder};
use crate::ward::Row;
use anyhow::{Result, anyhow};
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (760, 380);
const INK: RGBColor = RGBColor(51, 51, 51);
const COLOURS: [(&str, RGBColor); 3] = [
    ("daemon", RGBColor(0, 114, 178)),
    ("broker", RGBColor(213, 94, 0)),
    ("monitors", RGBColor(0, 158, 115)),
];

/// Draws `target/bench/cost-per-bed.svg` from the last ward measured.
pub fn write(summary: &Summary) -> Result<()> {
    let Some(ward) = summary.get("ward") else { return Ok(()) };
    let mut rows: Vec<Row> = serde_json::from_value(ward.clone())?;
    rows.retain(|row| !row.burst);
    rows.sort_by_key(|row| row.beds);
    draw(&rows, &folder().join("cost-per-bed.svg")).map_err(|e| anyhow!("the plot: {e}"))
}

fn draw(rows: &[Row], file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let share = |row: &Row, i: usize| [row.daemon, row.broker, row.monitors][i] * 1e3 / row.beds as f64;
    let most = rows.iter().map(|row| share(row, 0)).fold(0.1, f64::max) * 1.1;
    let widest = rows.iter().map(|row| row.beds).max().unwrap_or(1_000) as f64 * 1.3;
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d((0.8..widest).log_scale(), 0.0..most)?;
    chart
        .configure_mesh()
        .x_desc("beds")
        .y_desc("CPU ms a bed and second")
        .x_label_formatter(&|v| format!("{v:.0}"))
        .y_label_formatter(&|v| format!("{v:.1}"))
        .label_style(("sans-serif", 13, &INK))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (i, (name, colour)) in COLOURS.into_iter().enumerate() {
        let points: Vec<(f64, f64)> = rows.iter().map(|row| (row.beds as f64, share(row, i))).collect();
        chart.draw_series(points.iter().map(|p| Circle::new(*p, 3, colour.filled())))?;
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .label_font(("sans-serif", 13, &INK))
        .border_style(INK.mix(0.3))
        .background_style(WHITE)
        .draw()?;
    root.present()?;
    Ok(())
}
