//! `wardbeat explain`: one recording, its clusters and how sure the analysis is.

use super::Failure;
use crate::model::{Bundle, arrays};
use crate::workshop::explain::{Format, explain, read_recording};
use std::path::PathBuf;
use std::sync::Arc;

/// Explains a stretch of a WFDB recording.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wardbeat explain mitdb/200 --from 62 --seconds 10 --out strip.svg\n  wardbeat explain ptbxl/records100/00000/00001_lr --out strip.png"
)]
pub(super) struct Args {
    /// The record: path without extension, or its .hea file.
    record: PathBuf,
    /// Where the picture goes; its extension chooses SVG, PNG or JSON.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Begin of the stretch, in seconds.
    #[arg(long, default_value_t = 0.0)]
    from: f32,
    /// Length of the stretch, in seconds.
    #[arg(long, default_value_t = 10.0)]
    seconds: f32,
    /// Folder of the bundle; by default the one in the program.
    #[arg(long)]
    model: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let format = args.out.as_deref().map(Format::of);
    if format == Some(None) {
        return Err(Failure::Usage("--out must end in .svg, .png or .json".into()));
    }
    let bundle = Arc::new(match &args.model {
        Some(folder) => Bundle::read(folder)?,
        None => Bundle::embedded()?,
    });
    let recording = read_recording(&args.record)?;
    let name = args.record.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let title = vec![format!("{name}, model {}", bundle.id)];
    let explained = explain(&bundle, &recording, title, args.from, args.seconds)?;
    for entry in &explained.picture.legend {
        println!("{:>3} {} {:>5.1} %  {}", entry.cluster, entry.family, entry.share * 100.0, entry.name);
    }
    if let Some(reading) = &explained.reading {
        println!("entropy {:.2}, novelty {:.2}", reading.window_entropy, reading.window_novelty);
        println!("labels of the training set; not findings about the patient (network, from clusters alone)");
        for (i, class) in bundle.manifest.classes.iter().enumerate() {
            let surrogate = reading.surrogate_prob.get(i).map_or(String::new(), |p| format!(" {p:.2}"));
            println!("  {class:<5} {:.2}{surrogate}", reading.class_prob[i]);
        }
    }
    if let (Some(path), Some(Some(format))) = (&args.out, format) {
        arrays::write(path, &explained.draw(format)?)?;
    }
    Ok(())
}
