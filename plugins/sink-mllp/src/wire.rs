//! A socket, plain or under TLS, on either side.

use crate::options::TlsFiles;
use contract::OptionsError;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Result, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// One connection.
pub enum Wire {
    Plain(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    pub fn client(session: ClientConnection, socket: TcpStream) -> Self {
        Self::Client(Box::new(StreamOwned::new(session, socket)))
    }

    pub fn server(session: ServerConnection, socket: TcpStream) -> Self {
        Self::Server(Box::new(StreamOwned::new(session, socket)))
    }

    /// The socket below, for timeouts.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Client(stream) => &stream.sock,
            Self::Server(stream) => &stream.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Client(stream) => stream.read(buffer),
            Self::Server(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Client(stream) => stream.write(bytes),
            Self::Server(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Client(stream) => stream.flush(),
            Self::Server(stream) => stream.flush(),
        }
    }
}

fn fault(key: &str, why: &impl ToString) -> OptionsError {
    OptionsError { key: key.into(), why: why.to_string() }
}

type Chain = Vec<CertificateDer<'static>>;

fn certificates(key: &str, path: &str) -> std::result::Result<Chain, OptionsError> {
    let unreadable = |e: rustls::pki_types::pem::Error| fault(key, &format!("{path}: {e}"));
    let chain = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let chain: Chain = chain.collect::<std::result::Result<_, _>>().map_err(unreadable)?;
    if chain.is_empty() {
        return Err(fault(key, &format!("{path} holds no certificate")));
    }
    Ok(chain)
}

fn roots(files: &TlsFiles) -> std::result::Result<RootCertStore, OptionsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates("tls_ca", &files.ca)? {
        store.add(certificate).map_err(|e| fault("tls_ca", &e))?;
    }
    Ok(store)
}

fn own(files: &TlsFiles) -> std::result::Result<Option<(Chain, PrivateKeyDer<'static>)>, OptionsError> {
    let Some((cert, key)) = &files.own else { return Ok(None) };
    let chain = certificates("tls_cert", cert)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| fault("tls_key", &format!("{key}: {e}")))?;
    Ok(Some((chain, key)))
}

/// TLS towards the receiver: only the given authority is trusted; our certificate is shown if there is one.
///
/// # Errors
/// [`OptionsError`] names the file that cannot be used.
pub fn client_config(files: &TlsFiles) -> std::result::Result<Arc<ClientConfig>, OptionsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| fault("tls_ca", &e))?.with_root_certificates(roots(files)?);
    let config = match own(files)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|e| fault("tls_cert", &e))?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// TLS for those who report back: they must show a certificate of the same authority.
///
/// # Errors
/// [`OptionsError`] names the file that cannot be used.
pub fn server_config(files: &TlsFiles) -> std::result::Result<Arc<ServerConfig>, OptionsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(files)?), Arc::clone(&provider));
    let verifier = verifier.build().map_err(|e| fault("tls_ca", &e))?;
    let (chain, key) = own(files)?.ok_or_else(|| fault("tls_cert", &"must be given"))?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| fault("tls_ca", &e))?.with_client_cert_verifier(verifier);
    Ok(Arc::new(builder.with_single_cert(chain, key).map_err(|e| fault("tls_cert", &e))?))
}
