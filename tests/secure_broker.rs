//! A broker that asks who is there: certificates on both sides, user name and password from a file. Real mosquitto,
//! certificates made by openssl; where either is missing the tests say so and pass.

mod ward;

use rumqttc::Transport;
use rumqttc::v5::MqttOptions;
use std::path::Path;
use std::sync::Arc;
use ward::certificates;
use ward::process::{Daemon, config};
use ward::{Monitor, Mosquitto, PATIENCE, Voice, free_port, until};
use wardbeat::model::Bundle;
use wardbeat::{config as settings, daemon};

const PASSWORD: &str = "correct horse, battery: staple";

/// Certificates, and mosquitto's password file.
fn secrets(folder: &Path) -> bool {
    std::fs::write(folder.join("password"), format!("{PASSWORD}\nwhat follows the first line is ignored\n"))
        .expect("writes");
    std::fs::write(folder.join("wrong"), "guessed\n").expect("writes");
    certificates::make(folder)
        && certificates::run("mosquitto_passwd", &["-c", "-b", "users", "wardbeat", PASSWORD], folder)
}

struct Site {
    folder: tempfile::TempDir,
    port: u16,
    _broker: Mosquitto,
}

/// A broker that wants a certificate of `ca` and a password.
fn site() -> Option<Site> {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let listener = format!(
        "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\nallow_anonymous false\npassword_file {}\n",
        at("ca.pem"),
        at("server.pem"),
        at("server.key"),
        at("users")
    );
    let broker = secrets(folder.path()).then(|| Mosquitto::with(port, folder.path(), &listener)).flatten();
    let Some(broker) = broker else {
        println!("skipped: no mosquitto or no openssl");
        return None;
    };
    Some(Site { folder, port, _broker: broker })
}

impl Site {
    /// The config's keys for a login with these files.
    fn keys(&self, ca: &str, own: Option<&str>, password: &str) -> String {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let mut keys = format!(
            "username = \"wardbeat\"\npassword_file = \"{}\"\nca_file = \"{}\"\n",
            at(password),
            at(&format!("{ca}.pem"))
        );
        if let Some(own) = own {
            let [cert, key] = ["pem", "key"].map(|kind| at(&format!("{own}.{kind}")));
            keys = format!("{keys}client_cert_file = \"{cert}\"\nclient_key_file = \"{key}\"\n");
        }
        keys
    }

    fn config(&self, keys: &str) -> String {
        config(self.folder.path(), &format!("mqtts://127.0.0.1:{}", self.port), keys, "")
    }

    /// A gateway's own connection, with the same certificate and password.
    fn voice(&self) -> Voice {
        let read = |name: &str| std::fs::read(self.folder.path().join(name)).expect("made");
        let mut options = MqttOptions::new("gateway", "127.0.0.1", self.port);
        let own = (read("client.pem"), read("client.key"));
        options.set_transport(Transport::tls(read("ca.pem"), Some(own), None));
        options.set_credentials("wardbeat", PASSWORD);
        Voice::over(options)
    }
}

#[test]
fn with_the_right_certificates_and_password_it_joins_both_links_and_hears_frames() {
    let Some(site) = site() else { return };
    let file = site.folder.path().join("ward.toml");
    std::fs::write(&file, site.config(&site.keys("ca", Some("client"), "password"))).expect("writes");
    let settings = settings::load(&file, &daemon::plugins()).unwrap_or_else(|faults| panic!("{faults}"));
    let running = daemon::start(settings, Arc::new(Bundle::tiny(7))).expect("starts");
    assert!(running.joined(PATIENCE), "it does not join");
    let mut monitor = Monitor::new("b01", 3);
    site.voice().say(&monitor.topic(), monitor.frame());
    until("the frame comes through", || running.counters().frames_in == 1);
}

#[test]
fn without_them_it_stays_outside_and_the_log_says_why_without_the_secret() {
    let Some(site) = site() else { return };
    let cases = [
        // (authority, own certificate, password file, what the log must name)
        ("ca", Some("client"), "wrong", ["refuses us", "NotAuthorized"]),
        ("other", Some("client"), "password", ["no link to the broker", "certificate"]),
        ("ca", Some("stranger"), "password", ["no link to the broker", "trying again"]),
        ("ca", None, "password", ["no link to the broker", "trying again"]),
    ];
    for (ca, own, password, words) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = site.keys(ca, own, password);
        let text = config(folder.path(), &format!("mqtts://127.0.0.1:{}", site.port), &keys, "");
        let mut daemon = Daemon::start(folder.path(), &text);
        until(&format!("the log says {words:?}"), || words.iter().all(|word| daemon.log().contains(word)));
        let log = daemon.log();
        assert!(!log.contains("joined the broker"), "{ca} {own:?} {password}: {log}");
        assert!(!log.contains(PASSWORD) && !log.contains("guessed"), "a secret in the log: {log}");
        // Away from the broker it still ends in order.
        daemon.signal("TERM");
        assert_eq!(daemon.ended().code(), Some(0), "{ca} {own:?} {password}");
    }
}
