//! The settings of the HTTP door.

use serde::{Deserialize, Serialize};
// Addresses as values; `core::net` has no sockets.
use core::net::SocketAddr;
use std::path::PathBuf;

/// Health, metrics, beds, alerts and events over HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address and port; empty = no HTTP.
    pub listen: String,
    /// File whose first line is the bearer token that every request but `/healthz` must carry.
    pub token_file: Option<PathBuf>,
    /// The read-only page for corridor screens and phones, at `/ward`.
    pub page: bool,
    /// PEM file of the certificate chain; with it the door speaks HTTPS.
    pub cert_file: Option<PathBuf>,
    /// PEM file of that certificate's key.
    pub key_file: Option<PathBuf>,
    /// PEM file of the authorities whose client certificates open the door.
    pub client_ca_file: Option<PathBuf>,
}

impl Http {
    /// The address to listen at; `None` = no HTTP.
    ///
    /// # Errors
    /// Says what to write instead.
    pub fn address(&self) -> Result<Option<SocketAddr>, String> {
        if self.listen.is_empty() {
            return Ok(None);
        }
        let what = |_| format!("{:?} is not an address and port such as 127.0.0.1:8790", self.listen);
        self.listen.parse().map(Some).map_err(what)
    }
}
