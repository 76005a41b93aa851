//! The keys of what runs beside the analysis: commands, the recorder, the HTTP door.

use super::keys::{Form, Rule, Section, key};
use contract::Kind;

pub(super) const HTTP: Section = Section {
    name: "http",
    form: Form::Single,
    doc: "Health, metrics, beds, alerts and events over HTTP. Without a certificate only this machine can reach it.",
    fields: &[
        key(
            "listen",
            Kind::Text,
            "\"\"",
            Rule::Listen,
            "Address and port such as 127.0.0.1:8790; \"\" = no HTTP. Beyond this machine it needs a certificate, and a token or client_ca_file.",
        ),
        key(
            "token_file",
            Kind::Path,
            "",
            Rule::File,
            "File whose first line is the bearer token that every request but /healthz must carry.",
        ),
        key(
            "page",
            Kind::Flag,
            "false",
            Rule::Any,
            "The read-only page for corridor screens and phones, at /ward; it asks for the token as /ward#token=TOKEN.",
        ),
        key(
            "cert_file",
            Kind::Path,
            "",
            Rule::File,
            "PEM file of the certificate chain; with it the door speaks HTTPS.",
        ),
        key("key_file", Kind::Path, "", Rule::File, "PEM file of that certificate's key."),
        key(
            "client_ca_file",
            Kind::Path,
            "",
            Rule::File,
            "PEM file of the authorities whose client certificates are asked for.",
        ),
    ],
    sample: "",
};

pub(super) const RECORDER: Section = Section {
    name: "recorder",
    form: Form::Single,
    doc: "The accepted stream on disk, hop by hop, for replay and evidence. It is a patient's signal: guard the folder.",
    fields: &[
        key("enabled", Kind::Flag, "false", Rule::Any, "Whether anything is recorded."),
        key(
            "path",
            Kind::Path,
            "",
            Rule::InFolder,
            "The folder; without it, beside the journal under its name with the ending .recorder.",
        ),
        key(
            "keep_hours",
            Kind::Integer,
            "72",
            Rule::Between(1.0, 87_600.0),
            "Hours that the stream is kept; evidence is kept as long as its alert (journal.retention_days).",
        ),
        key(
            "size_gb",
            Kind::Number,
            "20.0",
            Rule::Between(0.001, 1_000_000.0),
            "Gigabytes of stream and evidence together; beyond it the oldest goes. One lead at 250 Hz takes about 30 MB a day.",
        ),
    ],
    sample: "",
};

pub(super) const COMMANDS: Section = Section {
    name: "commands",
    form: Form::Single,
    doc: "Who may acknowledge, pause, mark and relearn over MQTT and HTTP.",
    fields: &[key(
        "keys_file",
        Kind::Path,
        "",
        Rule::InFolder,
        "The file of command keys that `wardbeat keys` writes; absent = no signed command is taken.",
    )],
    sample: "",
};
