//! Certificates made by openssl.

use std::path::Path;
use std::process::Command;

/// Runs a program in a folder; whether it is there and succeeds.
pub fn run(program: &str, args: &[&str], folder: &Path) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
    let ran = Command::new(program).env("PATH", path).args(args).current_dir(folder).output();
    ran.is_ok_and(|out| out.status.success())
}

/// An authority `ca`, certificates of it for `server` (127.0.0.1) and `client`, another authority `other` with a
/// certificate `stranger`, each as `.pem` and `.key`; false where there is no openssl.
pub fn make(folder: &Path) -> bool {
    let openssl = |args: &str| run("openssl", &args.split(' ').collect::<Vec<_>>(), folder);
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let extension = "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    std::fs::write(folder.join("ext"), extension).expect("writes");
    let authority = |name: &str| {
        openssl(&format!("req -x509 {key} -keyout {name}.key -out {name}.pem -days 30 -subj /CN={name}"))
    };
    let certificate = |name: &str, by: &str| {
        openssl(&format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"))
            && openssl(&format!(
                "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -out {name}.pem -days 30 -extfile ext"
            ))
    };
    authority("ca")
        && authority("other")
        && certificate("server", "ca")
        && certificate("client", "ca")
        && certificate("stranger", "other")
}
