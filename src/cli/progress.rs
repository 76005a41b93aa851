//! One look for progress bars; lines instead where standard error is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `length` pieces of work; length 0 is set later.
pub(super) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) =
        ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg} {elapsed} left {eta}")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(what);
    bar
}

/// Lines beside a bar.
pub(super) trait Progress {
    /// Prints a line above the bar, or alone where there is no terminal.
    fn say(&self, line: &str);
}

impl Progress for ProgressBar {
    fn say(&self, line: &str) {
        if self.is_hidden() {
            eprintln!("{line}");
        } else {
            self.println(line);
        }
    }
}
