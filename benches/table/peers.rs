//! Engines in other processes that take turns with ours: a line in, the cost of each call out.

use crate::measure::Spent;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A process that serves one or more engines; ended when dropped.
pub struct Peer {
    child: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
    /// What it has, and how far each one's results are from ours.
    pub engines: Vec<(String, f64)>,
}

impl Peer {
    /// Starts the process and waits until it is ready.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let (to, from) = (to.context("its input")?, BufReader::new(from.context("its output")?).lines());
        let mut peer = Self { child, to, from, engines: Vec::new() };
        loop {
            let line = peer.line()?;
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["ready"] => return Ok(peer),
                ["engine", name, error] => peer.engines.push((name.into(), error.parse()?)),
                _ => println!("  {line}"),
            }
        }
    }

    fn line(&mut self) -> Result<String> {
        Ok(self.from.next().context("the peer ended")??)
    }

    /// One turn.
    pub fn turn(&mut self, order: &str) -> Result<Vec<Spent>> {
        writeln!(self.to, "{order}")?;
        self.to.flush()?;
        let line = self.line()?;
        let call = |pair: &str| {
            let (wall, cpu) = pair.split_once('/').with_context(|| format!("the peer said {line:?}"))?;
            Ok(Spent { wall_ms: wall.parse()?, cpu_ms: cpu.parse()? })
        };
        line.split_whitespace().map(call).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The interpreter of `target/peers/venv`, made by `benches/peers/setup.sh` where it is missing.
pub fn python() -> Result<PathBuf> {
    let python = root().join("target/peers/venv/bin/python");
    if !python.exists() {
        println!("  making target/peers/venv (ONNX Runtime, OpenVINO), once");
        let made = Command::new("bash").arg("benches/peers/setup.sh").current_dir(root()).status()?;
        if !made.success() {
            bail!(
                "benches/peers/setup.sh failed; cargo bench --bench table -- --no-peers measures without them"
            );
        }
    }
    Ok(python)
}

/// `serve.py` with these arguments.
pub fn serve(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(root().join("benches/peers/serve.py"));
    command
}
