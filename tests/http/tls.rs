//! The HTTP door beyond this machine: a certificate, and a token or a certificate of the caller.

use super::scene;
use crate::ward::certificates;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const TOKEN: &str = "correct-horse-battery-staple";

/// The status of `GET path`; `None` where no answer comes through. `own` is the caller's certificate.
fn ask(folder: &Path, address: SocketAddr, own: Option<&str>, path: &str, more: &str) -> Option<u16> {
    let pem = |name: &str| CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).expect("made");
    let mut roots = RootCertStore::empty();
    roots.add(pem("ca")).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).expect("made");
            builder.with_client_auth_cert(vec![pem(name)], key).expect("they fit")
        }
    };
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let socket = TcpStream::connect(address).expect("the door is open");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
    let mut stream = StreamOwned::new(tls, socket);
    let text = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).ok()?;
    String::from_utf8(answer).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok()
}

#[test]
fn beyond_this_machine_a_caller_is_told_nothing_without_its_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    if !certificates::make(folder.path()) {
        println!("skipped: no openssl");
        return;
    }
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("token"), TOKEN).expect("writes");
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let by_token = scene(|settings, _| {
        settings.http.listen = "0.0.0.0:0".into();
        (settings.http.cert_file, settings.http.key_file) = (Some(at("server.pem")), Some(at("server.key")));
        settings.http.token_file = Some(at("token"));
    });
    let address = SocketAddr::from(([127, 0, 0, 1], by_token.address.port()));
    let asked = |own, path: &str, more: &str| ask(folder.path(), address, own, path, more);
    assert_eq!(asked(None, "/v1/beds", &bearer), Some(200));
    assert_eq!(asked(None, "/v1/beds", ""), Some(401));
    assert_eq!(asked(None, "/v1/beds", "Authorization: Bearer guessed\r\n"), Some(401));
    assert_eq!(asked(None, "/healthz", ""), Some(200), "the pulse needs no token");
    let mut plain = TcpStream::connect(address).expect("the door is open");
    plain.write_all(format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{bearer}\r\n").as_bytes()).expect("sent");
    let mut told = Vec::new();
    let _ = plain.read_to_end(&mut told);
    assert!(!String::from_utf8_lossy(&told).contains("HTTP/1.1 200"), "answered without TLS");

    let by_certificate = scene(|settings, _| {
        settings.http.listen = "0.0.0.0:0".into();
        (settings.http.cert_file, settings.http.key_file) = (Some(at("server.pem")), Some(at("server.key")));
        settings.http.client_ca_file = Some(at("ca.pem"));
    });
    let address = SocketAddr::from(([127, 0, 0, 1], by_certificate.address.port()));
    let asked = |own| ask(folder.path(), address, own, "/v1/beds", "");
    assert_eq!(asked(Some("client")), Some(200));
    assert_eq!(asked(Some("stranger")), None, "another authority's certificate");
    assert_eq!(asked(None), None, "no certificate");
}
