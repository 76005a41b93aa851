//! The shape of the house: who may use whom, and what only one room may touch. Each failure names file and line and
//! says what to use instead. `ARCHITECTURE.md` explains the rooms; a rule that meets a real need is changed there and
//! in `docs/decisions.md` first.

#[path = "architecture/table.rs"]
mod table;
#[path = "architecture/walk.rs"]
mod walk;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use table::{
    CONTRACT_OUTSIDE, CRATES, EVERYWHERE, FILE_LINES_MAX, MAIN_LINES_MAX, NEVER_IN_PLUGINS, ONLY, ROOMS, Room,
};
use walk::{Used, root, sources};

/// The room of a file below `src/`; `None` for `lib.rs` and `main.rs`.
fn room_of(path: &Path) -> Option<&'static Room> {
    let below = path.strip_prefix("src").ok()?;
    let name = below.iter().next()?.to_str()?.trim_end_matches(".rs");
    ROOMS.iter().find(|room| room.name == name)
}

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.no_deps().other_options(vec!["--offline".into()]).current_dir(root());
    command.exec().expect("cargo metadata answers")
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "\n  {}\n", faults.join("\n  "));
}

#[test]
fn every_folder_of_src_is_a_room_of_the_table() {
    let mut faults = Vec::new();
    for entry in fs::read_dir(root().join("src")).expect("src") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let known = ROOMS.iter().any(|room| room.name == name.trim_end_matches(".rs"));
        if !known && !matches!(name.as_str(), "lib.rs" | "main.rs") {
            faults.push(format!("src/{name}: not a room; give it a line in ROOMS and in ARCHITECTURE.md"));
        }
    }
    report(&faults);
}

/// Whether `room` may not use `path`; `crates` are those that the package depends on.
fn refuses(room: &Room, path: &[String], crates: &BTreeSet<String>) -> bool {
    let second = path.get(1).map(|s| s.trim_end_matches('!'));
    match (path[0].as_str(), second) {
        ("crate" | "wardbeat", Some(other)) => {
            let is_room = ROOMS.iter().any(|r| r.name == other);
            is_room && other != room.name && !room.rooms.contains(&other)
        }
        ("std", Some(part)) => room.never_std.contains(&part),
        (first, Some(_)) if crates.contains(first) => {
            !EVERYWHERE.contains(&first) && !room.crates.contains(&first) && !room.outside.contains(&first)
        }
        _ => false,
    }
}

#[test]
fn what_the_table_forbids_is_found_wherever_it_hides() {
    let crates: BTreeSet<String> = ["tokio", "ndarray"].map(String::from).into();
    let pipeline = ROOMS.iter().find(|r| r.name == "pipeline").expect("a room");
    for (code, found) in [
        ("use tokio::time;", 1),
        ("use std::{fmt, fs::File};", 1),
        ("fn f() { tokio::select! { _ = g() => {} } }", 1),
        ("fn f() { assert!(std::env::var(\"X\").is_ok()); }", 1),
        ("use crate::{daemon::Clock, model};", 1),
        ("use ndarray::Array2; use crate::config::Settings; use std::collections::BTreeMap;", 0),
        ("#[cfg(test)] mod tests { use std::fs; }", 0),
    ] {
        let paths = walk::paths(code.parse().expect("Rust"));
        let refused = paths.iter().filter(|used| refuses(pipeline, &used.path, &crates)).count();
        assert_eq!(refused, found, "{code}");
    }
}

#[test]
fn a_room_uses_only_what_the_table_allows() {
    let package = metadata().packages.into_iter().find(|p| p.name.as_str() == "wardbeat").expect("wardbeat");
    let crates: BTreeSet<String> = package.dependencies.iter().map(|d| d.name.replace('-', "_")).collect();
    let mut faults = Vec::new();
    for source in sources(&["src"]) {
        let Some(room) = room_of(&source.path) else { continue };
        for Used { path, line } in &source.used {
            let second = path.get(1).map(|s| s.trim_end_matches('!'));
            let refused = match (path[0].as_str(), second) {
                ("crate" | "wardbeat", Some(other)) => {
                    let is_room = ROOMS.iter().any(|r| r.name == other);
                    is_room && other != room.name && !room.rooms.contains(&other)
                }
                ("std", Some(part)) => room.never_std.contains(&part),
                (first, Some(_)) if crates.contains(first) => {
                    !EVERYWHERE.contains(&first)
                        && !room.crates.contains(&first)
                        && !room.outside.contains(&first)
                }
                _ => false,
            };
            if refused {
                let (file, name, what) = (source.path.display(), room.name, path.join("::"));
                faults.push(format!("{file}:{line}: {name} may not use {what}; {}", room.instead));
            }
        }
    }
    report(&faults);
}

#[test]
fn plugin_crates_are_named_in_the_registry_only() {
    let mut faults = Vec::new();
    for source in sources(&["src/daemon"]).iter().filter(|s| !s.path.ends_with("registry.rs")) {
        let plugin = |name: &str| {
            let known = table::CRATES.iter().any(|(of_ours, _)| of_ours.replace('-', "_") == name);
            known && (name == "exec" || name.starts_with("decoder_") || name.starts_with("sink_"))
        };
        for Used { path, line } in source.used.iter().filter(|u| plugin(&u.path[0])) {
            let (file, what) = (source.path.display(), &path[0]);
            faults.push(format!(
                "{file}:{line}: {what} outside the table; take its Entry from daemon/registry.rs"
            ));
        }
    }
    report(&faults);
}

#[test]
fn clocks_threads_and_standard_output_stay_in_their_places() {
    let mut faults = Vec::new();
    let mut spawning = BTreeMap::new();
    for source in sources(&["src"]) {
        let below = source.path.strip_prefix("src").expect("below src").to_string_lossy().into_owned();
        for (rule, used) in ONLY.iter().flat_map(|rule| source.used.iter().map(move |used| (rule, used))) {
            let path = used.path.join("::");
            let Some(what) = rule.what.iter().find(|w| path == **w || path.ends_with(&format!("::{w}")))
            else {
                continue;
            };
            if rule.allowed.iter().any(|place| below.starts_with(place)) {
                if *what == "spawn" {
                    spawning.insert(below.clone(), used.line);
                }
                continue;
            }
            faults.push(format!("{}:{}: {path}; {}", source.path.display(), used.line, rule.instead));
        }
    }
    spawning.retain(|file, _| file.starts_with("display/"));
    if spawning.len() > 1 {
        faults.push(format!("display has one writer thread, but these spawn: {spawning:?}"));
    }
    report(&faults);
}

#[test]
fn unsafe_stands_in_the_kernels_only() {
    let mut faults = Vec::new();
    for source in sources(&["src", "plugins", "simulators"]) {
        if source.path.starts_with("src/model/kernel") {
            continue;
        }
        for used in source.used.iter().filter(|u| u.path.iter().any(|segment| segment == "unsafe")) {
            let at = format!("{}:{}", source.path.display(), used.line);
            faults.push(format!(
                "{at}: unsafe; only src/model/kernel may, with its reason and a portable twin"
            ));
        }
    }
    report(&faults);
}

#[test]
fn reexports_stand_at_doors_only() {
    let mut faults = Vec::new();
    for source in sources(&["src", "plugins", "simulators"]) {
        if source.path.ends_with("mod.rs") || source.path.ends_with("lib.rs") {
            continue;
        }
        for item in &source.syntax.items {
            if let syn::Item::Use(u) = item
                && !matches!(u.vis, syn::Visibility::Inherited)
            {
                let line = u.use_token.span.start().line;
                let at = source.path.display();
                faults.push(format!("{at}:{line}: re-export outside a door; move it to mod.rs or lib.rs"));
            }
        }
    }
    report(&faults);
}

#[test]
fn files_stay_short() {
    let mut faults = Vec::new();
    for source in sources(&["src", "plugins", "simulators", "tests"]) {
        let is_main = source.path == Path::new("src/main.rs");
        let max = if is_main { MAIN_LINES_MAX } else { FILE_LINES_MAX };
        let lines = source.text.lines().take_while(|line| !line.starts_with("mod tests")).count();
        if lines > max {
            let at = source.path.display();
            faults.push(format!(
                "{at}:{max}: {lines} lines before `mod tests`; split it by what it does (at most {max})"
            ));
        }
    }
    report(&faults);
}

/// The text of `//!` at the head of a file.
fn inner_doc(file: &syn::File) -> String {
    let text = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(s), .. }) => Some(s.value()),
            _ => None,
        },
        _ => None,
    };
    file.attrs.iter().filter_map(text).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_room_says_what_it_does_and_what_it_never_does() {
    let mut faults = Vec::new();
    for source in sources(&["src", "plugins", "simulators"]) {
        let in_src = source.path.starts_with("src");
        let depth = source.path.components().count();
        let at_src = depth == 3 && source.path.ends_with("mod.rs");
        let is_room = if in_src { at_src } else { source.path.ends_with("src/lib.rs") };
        // A file without any code yet has nothing to promise.
        if !is_room || source.syntax.items.is_empty() {
            continue;
        }
        let doc = inner_doc(&source.syntax);
        let place = |words: &str| doc.find(words);
        let in_order = place("What it does:").zip(place("What it never does:")).is_some_and(|(a, b)| a < b);
        if !in_order {
            let at = source.path.display();
            faults.push(format!("{at}:1: the doc must say `What it does:` and then `What it never does:`"));
        }
    }
    report(&faults);
}

#[test]
fn crates_depend_downwards_only() {
    let metadata = metadata();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let mut faults = Vec::new();
    for package in metadata.packages.iter().filter(|p| p.name.as_str() != "wardbeat") {
        let name = package.name.as_str();
        let at = package
            .manifest_path
            .strip_prefix(root())
            .map_or_else(|_| package.manifest_path.clone(), Into::into);
        let Some((_, allowed)) = CRATES.iter().find(|(n, _)| *n == name) else {
            faults.push(format!("{at}:1: {name} is not in CRATES; give it a line there"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            let on = dependency.name.as_str();
            let refused = match ours.contains(on) {
                true => on != "contract" && !allowed.contains(&on),
                false if name == "contract" => !CONTRACT_OUTSIDE.contains(&on),
                false => at.starts_with("plugins") && NEVER_IN_PLUGINS.contains(&on),
            };
            if refused {
                faults
                    .push(format!("{at}:1: {name} may not depend on {on}; move what they share to contract"));
            }
        }
    }
    report(&faults);
}
