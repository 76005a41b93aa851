//! HTTPS: handshakes beside each other, so that a caller who dawdles keeps nobody waiting.

use crate::config::Http;
use crate::daemon::DaemonError;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Handshakes under way at a time.
const HANDSHAKES_MAX: usize = 64;
/// A handshake must be done within this.
const HANDSHAKE: Duration = Duration::from_secs(5);

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, DaemonError> {
    let told = |why: String| DaemonError::File { path: path.display().to_string(), why };
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|e| told(e.to_string()))?.collect();
    match found {
        Ok(found) if found.is_empty() => Err(told("holds no certificate in PEM form".into())),
        Ok(found) => Ok(found),
        Err(e) => Err(told(e.to_string())),
    }
}

/// What accepts handshakes, where the config names a certificate.
///
/// # Errors
/// [`DaemonError`] if a file cannot be read, holds nothing of its kind, or certificate and key do not fit.
pub fn acceptor(config: &Http) -> Result<Option<TlsAcceptor>, DaemonError> {
    let (Some(cert), Some(key)) = (&config.cert_file, &config.key_file) else { return Ok(None) };
    let told = |path: &Path, why: String| DaemonError::File { path: path.display().to_string(), why };
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| told(key, e.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| told(cert, e.to_string()))?;
    let builder = match &config.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(authorities)? {
                roots.add(authority).map_err(|e| told(authorities, e.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|e| told(authorities, e.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let server =
        builder.with_single_cert(certificates(cert)?, private).map_err(|e| told(cert, e.to_string()))?;
    Ok(Some(TlsAcceptor::from(Arc::new(server))))
}

/// Connections whose handshake is done.
pub struct Handshaken {
    address: io::Result<SocketAddr>,
    done: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Handshaken {
    /// Accepts on a task of its own.
    pub fn new(listener: TcpListener, acceptor: TlsAcceptor) -> Self {
        let address = listener.local_addr();
        let (give, done) = mpsc::channel(HANDSHAKES_MAX);
        let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        tokio::spawn(async move {
            while let Ok(place) = room.clone().acquire_owned().await {
                let (stream, from) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(fault) => {
                        // No file descriptor left, or the caller went away: others may still be served.
                        tracing::warn!(%fault, "http: a connection was not accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                };
                let (acceptor, give) = (acceptor.clone(), give.clone());
                tokio::spawn(async move {
                    let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
                    drop(place);
                    if let Ok(Ok(stream)) = handshake {
                        // The door closed in the meantime.
                        let _ = give.send((stream, from)).await;
                    }
                });
            }
        });
        Self { address, done }
    }
}

impl axum::serve::Listener for Handshaken {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.done.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.address.as_ref().copied().map_err(|e| io::Error::new(e.kind(), e.to_string()))
    }
}
