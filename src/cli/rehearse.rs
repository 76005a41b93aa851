//! `wardbeat rehearse`: what a site's recordings would have raised under a config, before the config is used.

use super::progress::bar;
use super::{Failure, live};
use crate::config::Settings;
use crate::daemon::{DaemonError, Past};
use crate::model::arrays;
use crate::workshop::WorkshopError;
use crate::workshop::rehearse::{self, Hops, Rehearsed, Source};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  wardbeat rehearse --config config/ward.toml /var/lib/wardbeat/wardbeat.recorder
      a node's own archive: what the last days would have raised, a page with every strip
  wardbeat rehearse --config config/ward.toml --json --out /tmp/mitdb.html mitdb
      a folder of WFDB records, each a bed; the counts as JSON on standard output

Every hop goes through the analysis and the decision that run live; each bed begins unknown, so its learning time comes
first. Silence and clocks follow from arrival and are not rehearsed.

Exit codes: 0 done; 1 no recording could be read; 2 wrong usage or a faulty config.";

/// Shows what recordings would have raised under a config, by bed and day.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Folder of WFDB records, or of a recorder's archive (docs/recorder.md).
    folder: PathBuf,
    /// The config to try.
    #[arg(long, short)]
    config: PathBuf,
    /// Folder of the bundle; by default the one in the program.
    #[arg(long)]
    model: Option<PathBuf>,
    /// The page with every strip.
    #[arg(long, default_value = "rehearsal.html")]
    out: PathBuf,
    /// Prints all as JSON, without strips, in place of lines.
    #[arg(long)]
    json: bool,
}

/// The recordings in a folder: a recorder's archive where there is one, else WFDB records.
pub(super) struct Tapes(Past, PathBuf);

impl Tapes {
    /// Those in `folder`, for a site with these settings.
    pub(super) fn new(settings: Settings, folder: &Path) -> Result<Self, Failure> {
        if !folder.is_dir() {
            return Err(Failure::Usage(format!("{}: there is no such folder", folder.display())));
        }
        Ok(Self(Past::at(settings, folder), folder.into()))
    }

    /// Each bed's.
    pub(super) fn sources(&self) -> Result<Vec<Source<'_>>, Failure> {
        let Self(past, folder) = self;
        let told = |e: DaemonError| WorkshopError::Recording(e.to_string());
        let mut found = Vec::new();
        for bed in past.beds().into_iter().map(|held| held.bed) {
            let of = bed.clone();
            let open = move || -> Hops<'_> { Box::new(past.hops(&of).map(move |hop| hop.map_err(told))) };
            found.push(Source { bed, open: Box::new(open) });
        }
        let found = if found.is_empty() { rehearse::wfdb(folder)? } else { found };
        if found.is_empty() {
            let what = "neither WFDB records (.hea) nor a recorder's archive (SITE/UNIT/BED/*.wbr)";
            return Err(Failure::Usage(format!("{}: {what}", folder.display())));
        }
        Ok(found)
    }
}

/// Fails where nothing at all could be read.
pub(super) fn some_read<'a>(faults: impl Iterator<Item = (f64, Option<&'a String>)>) -> Result<(), Failure> {
    let (mut read, mut last) = (false, None);
    for (amount, fault) in faults {
        if let Some(fault) = fault {
            eprintln!("{fault}");
            last = Some(fault.clone());
        }
        read |= amount > 0.0;
    }
    match last {
        Some(fault) if !read => Err(Failure::Other(anyhow::anyhow!("no recording could be read: {fault}"))),
        _ => Ok(()),
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let settings = super::settings(&args.config)?;
    let bundle = Arc::new(live::bundle(args.model.as_deref())?);
    let tapes = Tapes::new(settings.clone(), &args.folder)?;
    let progress = bar(0, "beds");
    let beds = rehearse::rehearse(&bundle, &settings, &tapes.sources()?, &progress)?;
    progress.finish_and_clear();
    some_read(beds.iter().map(|b| (b.days.values().map(|d| d.seconds as f64).sum(), b.fault.as_ref())))?;
    let about = format!(
        "Recordings in {}, config {} ({}), model {}.",
        args.folder.display(),
        args.config.display(),
        settings.id(),
        bundle.id
    );
    arrays::write(&args.out, rehearse::page(&beds, &about).as_bytes())?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&beds)?);
    } else {
        told(&beds);
        println!("{}", args.out.display());
    }
    Ok(())
}

fn told(beds: &[Rehearsed]) {
    for bed in beds {
        for (name, day) in &bed.days {
            let sum = |of: &std::collections::BTreeMap<String, u64>| of.values().sum::<u64>();
            println!(
                "{} {name}: {:.1} h, {:.1} h judged; {} said, {} listed only, {} technical",
                bed.bed,
                day.seconds as f64 / 3_600.0,
                day.judged as f64 / 3_600.0,
                sum(&day.said),
                sum(&day.listed),
                sum(&day.technical)
            );
        }
    }
}
