//! HTTPS: only a receiver that the named authority vouches for, under its own name, gets an alert.

use contract::conformance::{alert, sink_retries};
use contract::{Code, Mode, Phase, Sink};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

const KEY: &str = "whsec_d2FyZGJlYXQtZXhhbXBsZS1rZXktMDEyMzQ1Njc4OWFi";
const PATIENT: Duration = Duration::from_mins(1);

/// An authority and its certificate for 127.0.0.1, made with openssl; `None` where that is missing.
fn authority() -> Option<TempDir> {
    let folder = TempDir::new().expect("folder");
    std::fs::write(folder.path().join("ext"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        .expect("writes");
    std::fs::write(folder.path().join("hook.key"), KEY).expect("writes");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let made = [
        format!("req -x509 {key} -keyout ca.key -out ca.pem -days 30 -subj /CN=authority"),
        format!("req {key} -keyout server.key -out server.csr -subj /CN=server"),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 30 -extfile ext"
            .into(),
    ]
    .iter()
    .all(|args| {
        let run = Command::new("openssl").args(args.split(' ')).current_dir(folder.path()).output();
        run.is_ok_and(|out| out.status.success())
    });
    if !made {
        println!("skipped: no openssl");
    }
    made.then_some(folder)
}

/// Reads one whole request; gives its first line.
fn request(from: &mut impl BufRead) -> Option<String> {
    let (mut first, mut length) = (String::new(), 0);
    from.read_line(&mut first).ok().filter(|n| *n > 0)?;
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    from.read_exact(&mut vec![0; length]).ok()?;
    Some(first)
}

/// A receiver with the certificate of `folder`; gives its port and the first line of each request.
fn receiver(folder: &Path) -> (u16, Receiver<String>) {
    let chain = vec![CertificateDer::from_pem_file(folder.join("server.pem")).expect("PEM")];
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("PEM");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config =
        builder.expect("versions").with_no_client_auth().with_single_cert(chain, key).expect("a key");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let (sender, came) = channel();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
            let mut stream = BufReader::new(StreamOwned::new(session, socket));
            if let Some(first) = request(&mut stream) {
                let _ = sender.send(first);
                let _ = stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
            }
        }
    });
    (port, came)
}

fn sink(url: &str, folder: &Path) -> Box<dyn Sink> {
    let options =
        json!({"url": url, "key_files": [folder.join("hook.key")], "ca_file": folder.join("ca.pem")});
    (sink_webhook::ENTRY.build)(options.as_object().expect("a table")).expect("the options are right")
}

#[test]
fn only_the_receiver_that_the_authority_vouches_for_gets_the_alert() {
    let (Some(ours), Some(other)) = (authority(), authority()) else { return };
    let (port, came) = receiver(ours.path());
    let start = alert(Code::Uncertain, Phase::Start, Mode::Real);
    sink(&format!("https://127.0.0.1:{port}/hook"), ours.path()).deliver(&start, PATIENT).expect("taken");
    assert_eq!(came.recv_timeout(PATIENT).as_deref(), Ok("POST /hook HTTP/1.1\r\n"));
    for (url, folder) in [
        (format!("https://127.0.0.1:{port}/hook"), other.path()),
        (format!("https://localhost:{port}/hook"), ours.path()),
    ] {
        sink_retries(sink(&url, folder).as_mut(), PATIENT).expect("not trusted");
    }
    assert!(came.try_recv().is_err(), "nothing is said before the certificate is checked");
}
