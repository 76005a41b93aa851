//! A ward's own bell: a command that a screen starts when it rings.

use std::process::{Child, Command, ExitStatus, Stdio};

/// The command, and the last one started.
pub struct Bell {
    line: String,
    rings: Option<Child>,
    trouble: Option<String>,
}

impl Bell {
    /// A bell that is rung by `sh -c LINE`.
    #[must_use]
    pub fn new(line: &str) -> Self {
        Self { line: line.into(), rings: None, trouble: None }
    }

    /// Starts the command and waits for nothing; while the last one still rings nothing is started.
    pub fn ring(&mut self) {
        self.look();
        if self.rings.is_some() {
            return;
        }
        let mut command = Command::new("sh");
        command.arg("-c").arg(&self.line);
        // The terminal belongs to the screen.
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match quiet.spawn() {
            Ok(child) => self.rings = Some(child),
            Err(e) => self.trouble = Some(e.to_string()),
        }
    }

    /// Why it did not ring the last time, in words.
    pub fn trouble(&mut self) -> Option<&str> {
        self.look();
        self.trouble.as_deref()
    }

    fn look(&mut self) {
        let ended = self.rings.as_mut().map(Child::try_wait);
        let told = |ended: ExitStatus| (!ended.success()).then(|| format!("it ended with {ended}"));
        match ended {
            Some(Ok(Some(status))) => self.trouble = told(status),
            Some(Err(e)) => self.trouble = Some(e.to_string()),
            Some(Ok(None)) | None => return,
        }
        self.rings = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::Clock;
    use std::cell::RefCell;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_bell_rings_once_at_a_time_and_says_when_it_cannot() {
        let folder = tempfile::tempdir().expect("folder");
        let (heard, gate) = (folder.path().join("heard"), folder.path().join("gate"));
        let line =
            format!("echo x >> {}; until [ -e {} ]; do sleep 0.01; done", heard.display(), gate.display());
        let bell = RefCell::new(Bell::new(&line));
        let strokes = || std::fs::read_to_string(&heard).map_or(0, |text| text.lines().count());
        let until = |what, met: &dyn Fn() -> bool| assert!(Clock::start().wait(PATIENCE, met), "{what}");
        bell.borrow_mut().ring();
        until("it does not ring", &|| strokes() == 1);
        bell.borrow_mut().ring();
        std::fs::write(&gate, "").expect("written");
        until("it does not end", &|| {
            bell.borrow_mut().look();
            bell.borrow().rings.is_none()
        });
        assert_eq!((strokes(), bell.borrow_mut().trouble()), (1, None));
        let broken = RefCell::new(Bell::new("exit 3"));
        broken.borrow_mut().ring();
        until("nothing is said", &|| broken.borrow_mut().trouble().is_some_and(|why| why.contains('3')));
    }
}
