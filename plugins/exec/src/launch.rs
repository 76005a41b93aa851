//! The options: which program, with what.

use contract::{Key, Kind, Options, OptionsError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const PROGRAM: Key = Key {
    name: "program",
    kind: Kind::Path,
    required: true,
    default: "",
    doc: "absolute path of the program; it is started without a shell, in /",
};
const ARGS: Key = Key {
    name: "args",
    kind: Kind::Texts,
    required: false,
    default: "[]",
    doc: "its arguments, passed as they are",
};
const ENV: Key = Key {
    name: "env",
    kind: Kind::Table,
    required: false,
    default: "{}",
    doc: "its whole environment; nothing else is passed on",
};
const NODE: Key = Key {
    name: "node",
    kind: Kind::Text,
    required: false,
    default: "\"wardbeat\"",
    doc: "the node's name, told to the program",
};

/// The options of `sink = "exec"`.
pub(crate) const SINK_KEYS: &[Key] = &[
    PROGRAM,
    ARGS,
    ENV,
    NODE,
    Key {
        name: "allow_ack",
        kind: Kind::Flag,
        required: false,
        default: "false",
        doc: "whether the program may acknowledge alerts",
    },
];

/// The options of `decoder = "exec"`.
pub(crate) const DECODER_KEYS: &[Key] = &[
    PROGRAM,
    ARGS,
    ENV,
    NODE,
    Key {
        name: "budget_ms",
        kind: Kind::Integer,
        required: false,
        default: "1000",
        doc: "the program is ended if it decodes one payload for longer",
    },
];

/// How to start the program.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub node: String,
}

pub(crate) fn refuse(key: &str, why: impl Into<String>) -> OptionsError {
    OptionsError { key: key.into(), why: why.into() }
}

/// A text option; `otherwise` where it is absent.
fn text(options: &Options, key: &str, otherwise: &str) -> Result<String, OptionsError> {
    match options.get(key) {
        None => Ok(otherwise.into()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(refuse(key, "a text is expected")),
    }
}

impl Launch {
    /// Reads what both roles share; `keys` are those of the role.
    pub fn read(options: &Options, keys: &[Key]) -> Result<Self, OptionsError> {
        if let Some(unknown) = options.keys().find(|k| keys.iter().all(|known| known.name != k.as_str())) {
            return Err(refuse(unknown, "unknown key"));
        }
        let program = PathBuf::from(text(options, "program", "")?);
        if !program.is_absolute() {
            return Err(refuse("program", format!("{} must be an absolute path", program.display())));
        }
        let about = std::fs::metadata(&program)
            .map_err(|e| refuse("program", format!("{}: {e}", program.display())))?;
        if !about.is_file() || about.permissions().mode() & 0o111 == 0 {
            let why = format!("{} is not an executable file; chmod +x makes it one", program.display());
            return Err(refuse("program", why));
        }
        let list = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|v| v.as_str().map(Into::into)).collect()
        };
        let table = |value: &Value| -> Option<BTreeMap<String, String>> {
            value.as_object()?.iter().map(|(k, v)| Some((k.clone(), v.as_str()?.into()))).collect()
        };
        let args = options.get("args").map_or(Some(Vec::new()), list);
        let env = options.get("env").map_or(Some(BTreeMap::new()), table);
        Ok(Self {
            program,
            args: args.ok_or_else(|| refuse("args", "a list of texts is expected"))?,
            env: env.ok_or_else(|| refuse("env", "a table of texts is expected"))?,
            node: text(options, "node", "wardbeat")?,
        })
    }

    /// Starts the program in a process group of its own, so that what it started ends with it.
    pub fn spawn(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
    }

    /// The program's name in texts for people.
    pub fn name(&self) -> String {
        self.program.file_name().unwrap_or(self.program.as_os_str()).to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(options: &Value, key: &str, why: &str) {
        let fault = Launch::read(options.as_object().unwrap(), SINK_KEYS).unwrap_err();
        assert!(fault.key == key && fault.why.contains(why), "{fault}");
    }

    #[test]
    fn an_option_that_cannot_work_is_refused_before_the_ward_relies_on_it() {
        refused(&json!({}), "program", "absolute path");
        refused(&json!({"program": "sh"}), "program", "absolute path");
        refused(&json!({"program": "/no/such/program"}), "program", "No such file");
        refused(&json!({"program": "/"}), "program", "not an executable file");
        refused(&json!({"program": "/etc/passwd"}), "program", "chmod +x");
        refused(&json!({"program": "/bin/sh", "args": "-c"}), "args", "list of texts");
        refused(&json!({"program": "/bin/sh", "env": {"A": 1}}), "env", "table of texts");
        refused(&json!({"program": "/bin/sh", "shell": true}), "shell", "unknown key");
    }
}
