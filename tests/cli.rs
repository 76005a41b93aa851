//! The program as people meet it: words, exit codes, configs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn wardbeat(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Command::new(env!("CARGO_BIN_EXE_wardbeat"))
        .args(arguments)
        .current_dir(root)
        .output()
        .expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn configs(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    files.sort();
    files
}

#[test]
fn every_config_that_is_shipped_passes_check() {
    for file in configs("config") {
        let output = wardbeat(&["check", file.to_str().expect("a name")]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn a_broken_config_is_told_all_of_its_faults_at_once() {
    let mut told = String::new();
    for file in configs("tests/broken-configs") {
        let name =
            file.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("below the root").to_str().expect("a name");
        let output = wardbeat(&["check", name]);
        assert_eq!(output.status.code(), Some(2), "{name} was accepted");
        told.push_str(&text(&output.stderr));
        told.push('\n');
    }
    insta::assert_snapshot!(told);
}

#[test]
fn the_documented_config_is_the_one_that_the_program_prints() {
    let printed = text(&wardbeat(&["check", "--documented"]).stdout);
    let shipped = fs::read_to_string("config/wardbeat.toml").expect("config/wardbeat.toml");
    assert!(printed == shipped, "run `wardbeat check --documented > config/wardbeat.toml`");
}

#[test]
fn the_schema_knows_every_section_of_the_documented_config() {
    let schema: serde_json::Value =
        serde_json::from_slice(&wardbeat(&["check", "--schema"]).stdout).expect("JSON");
    let documented: toml::Table =
        fs::read_to_string("config/wardbeat.toml").expect("a file").parse().expect("TOML");
    for (name, value) in &documented {
        let known = &schema["properties"][name];
        assert!(known.is_object(), "{name} is not in the schema");
        for key in value.as_table().into_iter().flat_map(toml::Table::keys) {
            assert!(known["properties"][key].is_object(), "{name}.{key} is not in the schema");
        }
    }
}

#[test]
fn what_wardbeat_is_not_stands_in_version_and_readme() {
    let version = text(&wardbeat(&["--version"]).stdout);
    let readme = fs::read_to_string("README.md").expect("README.md");
    let flat = |text: &str| text.split_whitespace().filter(|word| *word != ">").collect::<Vec<_>>().join(" ");
    for place in [flat(&version), flat(&readme)] {
        assert!(place.contains(&flat(wardbeat::cli::INTENDED_USE)), "{place}");
    }
    for words in
        ["not a medical device", "sole or primary source of alarms", "not be used to diagnose or treat"]
    {
        assert!(version.contains(words) || flat(&version).contains(words), "{words}");
    }
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let help = text(&wardbeat(&["--help"]).stdout);
    let commands =
        help.split("Commands:").nth(1).and_then(|t| t.split("\n\n").next()).expect("a list of commands");
    for name in
        commands.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help")
    {
        let output = wardbeat(&[name, "--help"]);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("Example"), "`{name} --help` has no example");
    }
    assert!(help.contains("Exit codes"));
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    assert_eq!(wardbeat(&["dmo"]).status.code(), Some(2));
    assert_eq!(wardbeat(&["run", "--config", "no-such.toml"]).status.code(), Some(2));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = wardbeat(&["completions", shell]);
        assert!(text(&output.stdout).contains("check"), "{shell}");
    }
}

#[test]
fn a_folder_of_recordings_is_rehearsed_and_calibrated() {
    let folder = tempfile::tempdir().expect("a folder");
    let mv: Vec<f32> = (0..40 * 250)
        .map(|i| {
            let beat = (i as f32 / 250.0 * 1.2).fract() - 0.3;
            1.1 * (-beat * beat * 900.0).exp() + 0.01 * ((i * 7_919 % 101) as f32 / 101.0)
        })
        .collect();
    let draft = recordings::Draft {
        name: "r1",
        rate_hz: 250.0,
        gain_per_mv: 1_000.0,
        leads: &["II"],
        samples_mv: &[mv],
        comments: &[],
    };
    draft.write(folder.path()).expect("writes");
    let path = folder.path().to_str().expect("text");
    let config = folder.path().join("w.toml");
    fs::write(
        &config,
        "[analysis]\nlearn_s = 10\ndecide = \"channels\"\n[[source]]\ntopic = \"wardbeat/v1/+/+/+/wave/json\"\ndecoder = \"json\"\n",
    )
    .expect("writes");
    let config = config.to_str().expect("text");
    let page = folder.path().join("page.html");
    let output =
        wardbeat(&["rehearse", "--config", config, "--json", "--out", page.to_str().expect("text"), path]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told[0]["bed"], "rehearsal/wfdb/r1");
    assert_eq!(told[0]["days"]["day 1"]["seconds"], 40);
    assert!(told[0]["days"]["day 1"]["judged"].as_u64() > Some(5), "{told}");
    assert!(fs::read_to_string(&page).expect("a page").contains("rehearsal/wfdb/r1"));

    let output = wardbeat(&["calibrate", "--config", config, "--budget", "24", path]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("score_on = 1.60"), "{}", text(&output.stdout));
    let output = wardbeat(&["calibrate", "--decide", "fused", "--config", config, "--json", path]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["settings"][3], "alerts_per_bed_day = 24.0");

    let empty = tempfile::tempdir().expect("a folder");
    for wrong in [empty.path().to_str().expect("text"), "no-such-folder"] {
        assert_eq!(wardbeat(&["rehearse", "--config", config, wrong]).status.code(), Some(2), "{wrong}");
    }
    fs::write(folder.path().join("r1.dat"), b"cut").expect("writes");
    let output = wardbeat(&["rehearse", "--config", config, path]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("r1"), "{}", text(&output.stderr));
}
