//! The keys of what runs beside the analysis: the HTTP door.

use super::keys::{Rule, Section, key};
use contract::Kind;

pub(super) const HTTP: Section = Section {
    name: "http",
    list: false,
    doc: "Health, metrics, beds, alerts and events over HTTP. Without a certificate only this machine can reach it.",
    fields: &[
        key(
            "listen",
            Kind::Text,
            "\"127.0.0.1:8790\"",
            Rule::Listen,
            "Address and port; \"\" = no HTTP. Beyond this machine it needs a certificate, and a token or client_ca_file.",
        ),
        key(
            "token_file",
            Kind::Path,
            "",
            Rule::File,
            "File whose first line is the bearer token that every request but /healthz must carry.",
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
