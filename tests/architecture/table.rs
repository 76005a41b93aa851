//! Who may use whom, as data. To change a line here is to change the house: say why in `docs/decisions.md`.

/// One room of `src/`: what it may use. Everything else is refused.
pub struct Room {
    pub name: &'static str,
    /// Other rooms.
    pub rooms: &'static [&'static str],
    /// Crates of this workspace, beside `contract`, which all may use.
    pub crates: &'static [&'static str],
    /// Crates from outside.
    pub outside: &'static [&'static str],
    /// Parts of the standard library it may not touch.
    pub never_std: &'static [&'static str],
    /// What to do instead.
    pub instead: &'static str,
}

/// Words and errors, which every room may use.
pub const EVERYWHERE: &[&str] = &["contract", "serde", "serde_json", "thiserror"];
pub const IMPURE: &[&str] = &["fs", "net", "thread", "process", "env", "os"];

/// Who may use whom.
pub const ROOMS: &[Room] = &[
    Room {
        name: "config",
        rooms: &[],
        crates: &[],
        outside: &["toml", "strsim", "sha2", "jiff"],
        never_std: &["net", "thread", "process"],
        instead: "config turns text into settings; let daemon act on them",
    },
    Room {
        name: "model",
        rooms: &["snapshot"],
        crates: &[],
        outside: &[
            "candle_core",
            "candle_nn",
            "safetensors",
            "half",
            "ndarray",
            "prost",
            "rayon",
            "sha2",
            "libm",
            "rand",
            "rand_chacha",
        ],
        never_std: &["net", "thread", "process"],
        instead: "model computes on slices; pass what it needs as an argument",
    },
    Room {
        name: "strip",
        rooms: &[],
        crates: &[],
        outside: &["png", "tiny_skia", "noto_sans_mono_bitmap"],
        never_std: IMPURE,
        instead: "strip turns plain shapes into bytes; let the caller write the file",
    },
    Room {
        name: "snapshot",
        rooms: &[],
        crates: &[],
        outside: &[],
        never_std: IMPURE,
        instead: "snapshot is plain data; compute in pipeline or daemon",
    },
    Room {
        name: "pipeline",
        rooms: &["config", "model", "snapshot"],
        crates: &[],
        outside: &["ndarray", "ringbuf", "libm", "sha2", "rmp_serde"],
        never_std: IMPURE,
        instead: "pipeline is pure: take it as an argument, and let daemon touch the world",
    },
    Room {
        name: "workshop",
        rooms: &["config", "model", "pipeline", "snapshot", "strip"],
        crates: &["recordings"],
        outside: &[
            "candle_core",
            "candle_nn",
            "safetensors",
            "ndarray",
            "rayon",
            "sha2",
            "libm",
            "rand",
            "rand_chacha",
            "csv",
            "indicatif",
            "plotters",
            "rust_hdf5",
            "smartcore",
        ],
        never_std: &["net", "thread"],
        instead: "the workshop works on files through model and pipeline; nothing in it is live",
    },
    Room {
        name: "display",
        rooms: &["snapshot", "strip"],
        crates: &[],
        outside: &["ratatui", "crossterm", "jiff", "signal_hook", "unicode_normalization"],
        never_std: &["fs", "net", "process"],
        instead: "display draws a Snapshot; put what it needs into the snapshot",
    },
    Room {
        name: "daemon",
        rooms: &["config", "model", "pipeline", "snapshot", "strip"],
        crates: &[
            "decoder_json",
            "decoder_packed",
            "decoder_mapped",
            "exec",
            "sink_mllp",
            "sink_webhook",
            "recordings",
        ],
        outside: &[
            "tokio",
            "rumqttc",
            "tracing",
            "rusqlite",
            "rustix",
            "sha2",
            "hmac",
            "base64",
            "jiff",
            "axum",
            "futures_util",
            "prometheus_client",
            "rustls",
            "tokio_rustls",
            "crc32fast",
            "tar",
        ],
        never_std: &[],
        instead: "daemon moves plain values; let model and pipeline compute, and cli join it with display",
    },
    Room {
        name: "cli",
        rooms: &["config", "model", "daemon", "display", "workshop", "snapshot"],
        crates: &["broker", "monitor", "patient", "recordings"],
        outside: &["clap", "clap_complete", "anyhow", "tracing", "tracing_subscriber", "toml", "indicatif"],
        never_std: &["net"],
        instead: "cli parses and calls a room; put the work into that room",
    },
];

/// A thing that only some places may touch.
pub struct Only {
    /// Path ends (`Instant::now`) or single segments (`mpsc`); `!` at the end means a macro.
    pub what: &'static [&'static str],
    /// Folders or files below `src/` that may.
    pub allowed: &'static [&'static str],
    pub instead: &'static str,
}

pub const ONLY: &[Only] = &[
    Only {
        what: &["Instant::now", "SystemTime::now", "Utc::now", "Zoned::now", "Timestamp::now"],
        allowed: &["daemon/clock.rs"],
        instead: "take `now` as the last argument; daemon::Clock reads it once a turn",
    },
    Only {
        what: &[
            "spawn",
            "spawn_blocking",
            "scope",
            "mpsc",
            "oneshot",
            "broadcast",
            "sync_channel",
            "channel",
        ],
        allowed: &["daemon/", "display/"],
        instead: "threads and channels are made in daemon (and the one writer of display)",
    },
    Only {
        what: &["println!", "eprintln!", "print!", "eprint!", "dbg!"],
        allowed: &["cli/"],
        instead: "return the text to cli, or log with tracing in daemon",
    },
    Only {
        what: &["thread_rng", "rand::rng", "from_os_rng", "from_entropy", "rand::random"],
        allowed: &[],
        instead: "seed every draw: ChaCha8Rng::seed_from_u64(seed), with the seed printed or stored",
    },
    Only { what: &["super::super"], allowed: &[], instead: "name the room from the top: crate::room::Thing" },
];

/// Crates of the workspace: of ours, what they may depend on beside `contract`.
pub const CRATES: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("decoder-json", &[]),
    ("decoder-packed", &[]),
    ("decoder-mapped", &[]),
    ("exec", &[]),
    ("sink-mllp", &[]),
    ("sink-webhook", &[]),
    ("recordings", &[]),
    ("patient", &[]),
    ("broker", &[]),
    ("monitor", &["decoder-json", "decoder-packed", "decoder-mapped", "patient", "recordings"]),
    ("nurse-call", &[]),
];
/// All that `contract` may use from outside.
pub const CONTRACT_OUTSIDE: &[&str] = &["serde", "serde_json", "thiserror"];
/// What no plugin may use: a plugin does not spawn, retry, queue or log.
pub const NEVER_IN_PLUGINS: &[&str] = &["tokio", "tracing", "rumqttc", "rayon", "candle-core"];
pub const FILE_LINES_MAX: usize = 400;
pub const MAIN_LINES_MAX: usize = 40;
