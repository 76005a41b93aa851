//! The broker: its address and login.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The broker and how to log in. Secrets are named by file, never written in the config.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Broker {
    /// Where it is.
    pub url: BrokerUrl,
    /// User name; empty = none.
    pub username: String,
    /// File whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// PEM file of the authorities that may vouch for the broker; `None` = those of the Mozilla list or the system.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate chain.
    pub client_cert_file: Option<PathBuf>,
    /// PEM file of the certificate's key.
    pub client_key_file: Option<PathBuf>,
}

/// `mqtt://host:1883` or `mqtts://host:8883`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BrokerUrl {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port; 1883 or 8883 where the URL names none.
    pub port: u16,
    /// Whether the link is encrypted (`mqtts`).
    pub tls: bool,
}

impl Default for BrokerUrl {
    fn default() -> Self {
        Self { host: "localhost".into(), port: 1883, tls: false }
    }
}

impl BrokerUrl {
    /// Parses `mqtt://host[:port]` or `mqtts://host[:port]`.
    ///
    /// # Errors
    /// Says what is wrong and what to write instead. A user name or password in the URL is refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (tls, rest) = if let Some(rest) = text.strip_prefix("mqtts://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("mqtt://") {
            (false, rest)
        } else {
            return Err("must begin with mqtt:// or mqtts://".into());
        };
        if rest.contains('@') {
            return Err("must not hold a login; use username and password_file".into());
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| format!("{port:?} is not a port from 1 to 65535"))?)
            }
            _ => (rest, if tls { 8883 } else { 1883 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let clean = |c: char| c.is_ascii_alphanumeric() || "._-:%".contains(c);
        if host.is_empty() || !host.chars().all(clean) || port == 0 {
            return Err("must have the form mqtt://host:1883 or mqtts://host:8883".into());
        }
        Ok(Self { host: host.into(), port, tls })
    }
}

impl TryFrom<String> for BrokerUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<BrokerUrl> for String {
    fn from(url: BrokerUrl) -> Self {
        url.to_string()
    }
}

impl std::fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{scheme}://{host}:{}", self.port)
    }
}
