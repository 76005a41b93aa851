//! Processes of one ward, each with its CPU time and memory as the system counts them.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Ticks of the system's process accounting in a second, on every Linux of our day.
const TICKS_PER_S: f64 = 100.0;

/// A process of ours; killed when dropped.
pub struct Process {
    child: Child,
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Process {
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", name.display()))?;
        let lines = child.stdout.take().map(|out| BufReader::new(out).lines());
        Ok(Self { child, lines })
    }

    /// This program in a role.
    pub fn role(arguments: &[&str]) -> Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).args(arguments))
    }

    /// Its next line of output.
    pub fn line(&mut self) -> Result<String> {
        Ok(self.lines.as_mut().and_then(Iterator::next).context("the process ended early")??)
    }

    /// Waits for a line; what comes before it is passed over.
    pub fn until(&mut self, wanted: &str) -> Result<()> {
        while self.line()? != wanted {}
        Ok(())
    }

    /// Closes its input, which ends it, and gives the rest of its output.
    pub fn end(mut self) -> Result<String> {
        drop(self.child.stdin.take());
        self.rest()
    }

    /// Asks it to end as a service manager would, and gives the rest of its output.
    pub fn terminate(mut self) -> Result<String> {
        let told = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status()?;
        anyhow::ensure!(told.success(), "the process is gone");
        self.rest()
    }

    /// Waits for its end.
    pub fn rest(&mut self) -> Result<String> {
        let lines = self.lines.take().context("its output was read before")?;
        let text = lines.collect::<std::io::Result<Vec<_>>>()?.join("\n");
        let status = self.child.wait()?;
        if !status.success() {
            bail!("a process ended with {status}");
        }
        Ok(text)
    }

    /// CPU seconds so far.
    pub fn cpu_s(&self) -> f64 {
        cpu_s(Path::new(&format!("/proc/{}/stat", self.child.id())))
    }

    /// CPU seconds so far of its threads by name; numbers at the end of a name are left out.
    pub fn threads_s(&self) -> BTreeMap<String, f64> {
        let mut by_name = BTreeMap::new();
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.child.id())) else { return by_name };
        for task in tasks.flatten() {
            let name = read_to_string(task.path().join("comm")).unwrap_or_default();
            let name = name.trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned();
            *by_name.entry(name).or_default() += cpu_s(&task.path().join("stat"));
        }
        by_name
    }

    /// Resident memory in MB: now, and the most so far.
    pub fn memory_mb(&self) -> [f64; 2] {
        let status = read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        ["VmRSS:", "VmHWM:"].map(|key| {
            let line = status.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default();
            line.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
        })
    }
}

fn cpu_s(stat: &Path) -> f64 {
    let text = read_to_string(stat).unwrap_or_default();
    // The name, in brackets, may hold anything; fields 14 and 15 are user and system time.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields.iter().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_S
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The broker of a ward: mosquitto where it is installed, as a site would have it, else the embedded one.
pub struct Broker {
    pub process: Process,
    pub name: &'static str,
    pub port: u16,
}

impl Broker {
    pub fn start(folder: &Path) -> Result<Self> {
        if let Ok(broker) = Self::mosquitto(folder) {
            return Ok(broker);
        }
        let mut process = Process::role(&["broker"])?;
        let port = process.line()?.parse()?;
        Ok(Self { process, name: "rumqttd", port })
    }

    fn mosquitto(folder: &Path) -> Result<Self> {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let config = folder.join("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\npersistence false\n"
        );
        std::fs::write(&config, text)?;
        let quiet = Stdio::null();
        let process = Process::start(Command::new("mosquitto").arg("-c").arg(&config).stderr(quiet))?;
        let deadline = Instant::now() + Duration::from_secs(5);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            anyhow::ensure!(Instant::now() < deadline, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { process, name: "mosquitto", port })
    }
}

/// The daemon as it is shipped, beside that broker, with all of its defaults.
pub fn daemon(folder: &Path, port: u16) -> Result<Process> {
    let config = folder.join("ward.toml");
    let text = format!(
        "[broker]\nurl = \"mqtt://127.0.0.1:{port}\"\n\n[journal]\npath = \"{}\"\n\n\
         [[source]]\ntopic = \"wardbeat/v1/site1/+/+/wave/bin\"\ndecoder = \"packed\"\n\n\
         [[source]]\ntopic = \"wardbeat/v1/site1/#\"\ndecoder = \"json\"\n",
        folder.join("journal.sqlite").display()
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardbeat"));
    command.args(["run", "--config"]).arg(&config).env("RUST_LOG", "warn").stderr(Stdio::null());
    Process::start(&mut command)
}
