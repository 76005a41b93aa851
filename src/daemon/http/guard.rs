//! Who may ask. On loopback without TLS the name in `Host` must be this machine's, so that no web page of elsewhere
//! can reach the door through a browser here by a name that points to 127.0.0.1. Where the config names a token,
//! every request but `/healthz` and the page's empty document must carry it.

use super::problem::Problem;
use crate::config::Http;
use crate::daemon::{DaemonError, secret};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Characters that a token must have at least.
const TOKEN_CHARS_MIN: usize = 16;

/// What a request must show.
pub struct Guard {
    /// SHA-256 of the token: equal lengths, so that a comparison says nothing about the token.
    token: Option<[u8; 32]>,
    /// Only names of this machine in `Host`.
    only_here: bool,
}

impl Guard {
    /// Reads the token.
    ///
    /// # Errors
    /// [`DaemonError`] if its file cannot be read or holds too little.
    pub fn new(config: &Http, listen: SocketAddr) -> Result<Self, DaemonError> {
        let token = match &config.token_file {
            None => None,
            Some(path) => {
                let token = secret::read(path)?.trim().to_owned();
                if token.len() < TOKEN_CHARS_MIN {
                    let why = format!(
                        "the first line must be a token of at least {TOKEN_CHARS_MIN} characters; \
                         `head -c 32 /dev/urandom | base64` makes one"
                    );
                    return Err(DaemonError::File { path: path.display().to_string(), why });
                }
                Some(Sha256::digest(&token).into())
            }
        };
        Ok(Self { token, only_here: listen.ip().is_loopback() && config.cert_file.is_none() })
    }

    fn refusal(&self, request: &Request) -> Option<Problem> {
        let text = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
        let host = text(header::HOST).or(request.uri().host()).unwrap_or_default();
        if self.only_here && !names_this_machine(host) {
            let what = "this door is for this machine: ask for it as 127.0.0.1 or localhost";
            return Some(Problem::new(StatusCode::FORBIDDEN, what));
        }
        let wanted = self.token?;
        let given = text(header::AUTHORIZATION).and_then(|a| a.strip_prefix("Bearer "));
        let same = given.is_some_and(|token| <[u8; 32]>::from(Sha256::digest(token.trim())) == wanted);
        (!same && !matches!(request.uri().path(), "/healthz" | super::page::PAGE)).then(|| {
            Problem::new(StatusCode::UNAUTHORIZED, "send the token as `Authorization: Bearer TOKEN`")
        })
    }
}

/// Whether a `Host` names this machine by loopback address or as localhost.
fn names_this_machine(host: &str) -> bool {
    let name = host.strip_prefix('[').and_then(|h| h.split(']').next()).unwrap_or_else(|| {
        let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
        if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host }
    });
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Lets a request pass or refuses it in words.
pub async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.refusal(&request) {
        None => next.run(request).await,
        Some(problem) => {
            let mut response = problem.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                let challenge = header::HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_does_not_open_the_door_of_this_machine() {
        for here in ["localhost", "LOCALHOST:8790", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8790"] {
            assert!(names_this_machine(here), "{here}");
        }
        for elsewhere in
            ["", "example.org", "127.0.0.1.example.org:80", "192.168.1.2", "[fe80::1]:1", "localhost.x"]
        {
            assert!(!names_this_machine(elsewhere), "{elsewhere}");
        }
    }
}
