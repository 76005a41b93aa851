//! TLS with certificates on both sides.

use super::{PATIENCE, alert, sink_to};
use contract::{Receipt, SinkError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// An authority, and a certificate of it for each of `names`, made with openssl; false where that is missing.
fn certificates(folder: &Path, names: &[&str]) -> bool {
    let openssl = |args: &str| {
        let run = Command::new("openssl").args(args.split(' ')).current_dir(folder).output();
        run.is_ok_and(|out| out.status.success())
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let extension = "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n";
    std::fs::write(folder.join("ext"), extension).expect("written");
    let mut ok = openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 30 -subj /CN=authority"));
    for name in names {
        ok &= openssl(&format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        ok &= openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 30 -extfile ext"
        ));
    }
    ok
}

fn server_config(folder: &Path) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).expect("PEM")).expect("a certificate");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let chain = vec![CertificateDer::from_pem_file(folder.join("server.pem")).expect("PEM")];
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("PEM");
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("versions").with_client_cert_verifier(verifier.build().expect("roots"));
    Arc::new(builder.with_single_cert(chain, key).expect("a key"))
}

/// Takes one connection and answers every message on it with CA; gives how many there were.
fn serve_once(listener: &TcpListener, config: Arc<ServerConfig>) -> usize {
    let (socket, _) = listener.accept().expect("a caller");
    let mut stream = StreamOwned::new(ServerConnection::new(config).expect("a session"), socket);
    let (mut pending, mut bytes, mut count) = (Vec::new(), [0; 8_192], 0);
    while let Ok(n @ 1..) = stream.read(&mut bytes) {
        pending.extend_from_slice(&bytes[..n]);
        if pending.ends_with(b"\x1c\r") {
            let text = String::from_utf8_lossy(&pending).into_owned();
            let id = text.split('|').nth(9).expect("MSH-10").to_owned();
            pending.clear();
            count += 1;
            let answer = format!("\x0bMSH|^~\\&|A|B|||1||ACK|1|P|2.6\rMSA|AA|{id}\r\x1c\r");
            stream.write_all(answer.as_bytes()).expect("answered");
        }
    }
    count
}

struct Ward {
    folder: TempDir,
    other: TempDir,
}

/// Two authorities with their certificates; `None` where openssl is missing.
fn two_authorities() -> Option<Ward> {
    let (folder, other) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let made = certificates(folder.path(), &["server", "ours"]) && certificates(other.path(), &["ours"]);
    if !made {
        println!("skipped: no openssl");
    }
    made.then_some(Ward { folder, other })
}

/// Delivers two messages with the given authority and certificate; gives the outcomes and how many were read.
fn attempt(ward: &Ward, ca: &TempDir, own: Option<&TempDir>) -> ([Result<Receipt, SinkError>; 2], usize) {
    let path = |folder: &TempDir, name: &str| json!(folder.path().join(name).to_str().expect("UTF-8"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let config = server_config(ward.folder.path());
    let serving = std::thread::spawn(move || serve_once(&listener, config));
    let mut options = json!({"tls_ca": path(ca, "ca.pem"), "answer_timeout_ms": 30_000});
    if let Some(own) = own {
        options["tls_cert"] = path(own, "ours.pem");
        options["tls_key"] = path(own, "ours.key");
    }
    let mut sink = sink_to(&address, &options);
    let first = sink.deliver(&alert(1, 0, 2), PATIENCE);
    let second = if first.is_ok() { sink.deliver(&alert(1, 1, 2), PATIENCE) } else { first.clone() };
    drop(sink);
    ([first, second], serving.join().expect("ends"))
}

#[test]
fn with_certificates_on_both_sides_one_connection_carries_all() {
    let Some(ward) = two_authorities() else { return };
    let (outcomes, served) = attempt(&ward, &ward.folder, Some(&ward.folder));
    assert!(outcomes.iter().all(|o| o.as_ref().is_ok_and(|r| r.0.starts_with("AA "))), "{outcomes:?}");
    assert_eq!(served, 2);
}

#[test]
fn without_the_right_certificates_nothing_is_sent() {
    let Some(ward) = two_authorities() else { return };
    for (ca, own) in
        [(&ward.folder, None), (&ward.folder, Some(&ward.other)), (&ward.other, Some(&ward.folder))]
    {
        let (outcomes, served) = attempt(&ward, ca, own);
        assert!(matches!(outcomes[0], Err(SinkError::Retry(_))), "{outcomes:?}");
        assert_eq!(served, 0, "a message was read");
    }
    let missing = json!({"address": "127.0.0.1:1", "tls_ca": "/nowhere/ca.pem"});
    let refused = (sink_mllp::ENTRY.build)(missing.as_object().expect("a table"));
    assert!(refused.is_err_and(|e| e.key == "tls_ca"));
}
