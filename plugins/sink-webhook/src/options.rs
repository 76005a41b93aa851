//! The options: where to, signed with what, trusting whom.

use crate::sign::SigningKey;
use contract::{Key, Kind, Options, OptionsError};
use serde_json::Value;
use std::sync::Arc;
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// The options of `sink = "webhook"`.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "url",
        kind: Kind::Text,
        required: true,
        default: "",
        doc: "the receiver; https, or http on this machine (127.0.0.1, localhost)",
    },
    Key {
        name: "key_files",
        kind: Kind::Texts,
        required: true,
        default: "",
        doc: "files with one signing key each (whsec_ and base64); two while keys change, the new one first",
    },
    Key {
        name: "ca_file",
        kind: Kind::Path,
        required: false,
        default: "",
        doc: "PEM certificates to trust instead of the machine's own",
    },
];

/// Keys that may be live at a time.
const KEYS_MAX: usize = 2;

pub(crate) struct Settings {
    pub url: String,
    /// The receiver's name in texts for people: the address without its path, which may hold a secret.
    pub host: String,
    pub keys: Vec<SigningKey>,
    pub tls: TlsConfig,
}

fn refuse(key: &str, why: impl Into<String>) -> OptionsError {
    OptionsError { key: key.into(), why: why.into() }
}

fn text<'a>(options: &'a Options, key: &str) -> Result<Option<&'a str>, OptionsError> {
    match options.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(refuse(key, "a text is expected")),
    }
}

/// Whether the host is this machine.
fn loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn host(url: &str) -> Result<String, OptionsError> {
    let uri: Uri = url.parse().map_err(|e| refuse("url", format!("{url:?}: {e}")))?;
    let host = uri.host().filter(|h| !h.is_empty()).ok_or_else(|| refuse("url", "a host is missing"))?;
    let authority = uri.authority().map_or(host, |a| a.as_str());
    if authority.contains('@') {
        return Err(refuse("url", "no name or password belongs there; the receiver checks the signature"));
    }
    match uri.scheme_str() {
        Some("https") => Ok(authority.into()),
        Some("http") if loopback(host) => Ok(authority.into()),
        _ => Err(refuse("url", format!("{host}: only https leaves this machine; write https://"))),
    }
}

fn keys(options: &Options) -> Result<Vec<SigningKey>, OptionsError> {
    let files: Option<Vec<&str>> = options
        .get("key_files")
        .and_then(Value::as_array)
        .and_then(|a| a.iter().map(Value::as_str).collect());
    let files = files.filter(|f| (1..=KEYS_MAX).contains(&f.len()));
    let files =
        files.ok_or_else(|| refuse("key_files", format!("a list of 1 to {KEYS_MAX} files is expected")))?;
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).map_err(|e| e.to_string());
            let key = text.and_then(|text| SigningKey::parse(&text));
            key.map_err(|why| refuse("key_files", format!("{file}: {why}")))
        })
        .collect()
}

/// The certificates to trust; an `http` receiver needs none.
fn roots(options: &Options, url: &str) -> Result<Vec<Certificate<'static>>, OptionsError> {
    if let Some(file) = text(options, "ca_file")? {
        let why = |why: String| refuse("ca_file", format!("{file}: {why}"));
        let pem = std::fs::read(file).map_err(|e| why(e.to_string()))?;
        let found: Vec<_> = parse_pem(&pem)
            .filter_map(|piece| match piece {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        return if found.is_empty() { Err(why("no certificate in it".into())) } else { Ok(found) };
    }
    if !url.starts_with("https:") {
        return Ok(Vec::new());
    }
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return Err(refuse("ca_file", "this machine trusts no certificate; name a PEM file"));
    }
    Ok(found.iter().map(|der| Certificate::from_der(der).to_owned()).collect())
}

impl Settings {
    pub fn read(options: &Options) -> Result<Self, OptionsError> {
        if let Some(unknown) = options.keys().find(|k| KEYS.iter().all(|known| known.name != k.as_str())) {
            return Err(refuse(unknown, "unknown key"));
        }
        let url = text(options, "url")?.ok_or_else(|| refuse("url", "missing"))?.to_string();
        let roots = roots(options, &url)?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        Ok(Self { host: host(&url)?, keys: keys(options)?, tls, url })
    }
}
