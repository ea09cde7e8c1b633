//! The shape of the project, held by tests: who imports whom, which licences come in, which files the
//! documents point to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Who may import whom. A crate that is not here may not exist; an edge that is not here may not either.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("records", &[]),
    ("io", &[]),
    ("log", &["records", "io"]),
    ("wire", &["records"]),
    ("controller", &["log", "io", "wire"]),
    ("broker", &["records", "io", "log", "wire", "controller"]),
    ("fuzz", &["records", "io", "log", "wire", "controller", "broker"]),
    ("client", &["records", "wire"]),
    ("load", &["client", "results"]),
    ("target", &["client", "results"]),
    ("sim", &["records", "io", "log", "wire", "controller", "broker"]),
    ("storage", &["records", "io", "log", "results"]),
    ("lag", &["client", "results"]),
    ("codecs", &["records", "io", "log", "results"]),
    ("probe", &["results"]),
    ("results", &[]),
    ("report", &["results"]),
    (
        "cli",
        &[
            "records",
            "io",
            "log",
            "wire",
            "controller",
            "broker",
            "client",
            "load",
            "target",
            "storage",
            "codecs",
            "probe",
            "results",
            "report",
        ],
    ),
];

/// Licences that may come in with a dependency. `deny.toml` says the same to cargo-deny.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_path_buf()
}

/// From what is downloaded already, if all of it is: packages for other systems are not needed to build here.
fn metadata() -> Value {
    let run = |more: &[&str]| {
        let arguments = ["metadata", "--format-version", "1", "--locked"].iter().chain(more);
        Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs")
    };
    let offline = run(&["--offline"]);
    let output = if offline.status.success() { offline } else { run(&[]) };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A crate's folder name, for those of this workspace.
fn folder(package: &str) -> Option<&str> {
    if package == "plimsoll" { Some("cli") } else { package.strip_prefix("plimsoll-") }
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let metadata = metadata();
    let table: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut edges = 0;
    for package in list(&metadata, "packages") {
        let Some(name) = folder(text(package, "name")) else { continue };
        let Some(allowed) = table.get(name) else {
            wrong.push(format!("`{name}` is not in the table"));
            continue;
        };
        for dependency in list(package, "dependencies") {
            // Tests may reach further: they need a broker to talk to, or a double.
            let Some(target) = folder(text(dependency, "name")) else { continue };
            if text(dependency, "kind") == "dev" {
                continue;
            }
            edges += 1;
            if !allowed.contains(&target) {
                wrong.push(format!("`{name}` must not import `{target}`"));
            }
        }
    }
    assert!(edges > 10, "only {edges} edges were seen; the test looks at the wrong thing");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_dependency_has_a_permissive_licence() {
    let metadata = metadata();
    let allowed: BTreeSet<_> = LICENCES.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in list(&metadata, "packages") {
        // Some write the operator small, which is not SPDX but means the same.
        let licence = text(package, "license").replace('/', " OR ").replace(" or ", " OR ");
        // An expression is satisfied when each `AND` part has an allowed `OR` alternative.
        let fine = !licence.is_empty()
            && licence
                .replace(['(', ')'], "")
                .split(" AND ")
                .all(|part| part.split(" OR ").any(|l| allowed.contains(l.trim())));
        if !fine {
            wrong.push(format!("{} {}: {licence:?}", text(package, "name"), text(package, "version")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let reasons = std::fs::read_to_string(root().join("docs/dependencies.md")).expect("docs/dependencies.md");
    let metadata = metadata();
    let mut missing = BTreeSet::new();
    for package in list(&metadata, "packages").iter().filter(|p| folder(text(p, "name")).is_some()) {
        for dependency in list(package, "dependencies") {
            let name = text(dependency, "name");
            if folder(name).is_none() && !reasons.contains(&format!("| `{name}` |")) {
                missing.insert(name.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "docs/dependencies.md lacks a line for {missing:?}");
}

#[test]
fn documents_point_to_files_that_exist() {
    let mut links = 0;
    let mut broken = Vec::new();
    for document in documents() {
        let content = std::fs::read_to_string(&document).expect("readable");
        let folder = document.parent().expect("a folder");
        for target in content.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            links += 1;
            if !folder.join(path).exists() {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(links > 20, "only {links} links were seen");
    assert!(broken.is_empty(), "{broken:#?}");
}

fn documents() -> Vec<PathBuf> {
    let root = root();
    let mut documents: Vec<_> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"]
        .iter()
        .map(|d| root.join(d))
        .collect();
    let more =
        std::fs::read_dir(root.join("docs")).expect("docs").filter_map(Result::ok).map(|entry| entry.path());
    documents.extend(more.filter(|path| path.extension().is_some_and(|e| e == "md")));
    documents
}

#[test]
fn unsafe_code_lives_in_the_io_backends_alone() {
    for entry in
        ["engine", "harness"].iter().flat_map(|half| std::fs::read_dir(root().join(half)).expect("half"))
    {
        let manifest = entry.expect("entry").path().join("Cargo.toml");
        let Ok(content) = std::fs::read_to_string(&manifest) else { continue };
        let inherits = content.contains("[lints]\nworkspace = true");
        let is_io = manifest.ends_with("engine/io/Cargo.toml");
        assert!(inherits || is_io, "{} must inherit the workspace's lints", manifest.display());
    }
}

/// Latencies are made in these crates. A wall clock may name a file or stamp a record; it is never subtracted.
#[test]
fn b7_latencies_come_from_one_monotonic_clock() {
    let mut wrong = Vec::new();
    for folder in ["harness/load/src", "harness/client/src", "harness/probe/src"] {
        for path in sources(&root().join(folder)) {
            let content = std::fs::read_to_string(&path).expect("readable");
            let reads = ["SystemTime::now", "ClockId::Realtime", "Timestamp::now"];
            if reads.iter().any(|call| content.contains(call)) && !path.ends_with("load/src/clock.rs") {
                wrong.push(path.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "a wall clock is read in {wrong:#?}");
    let clock = std::fs::read_to_string(root().join("harness/load/src/clock.rs")).expect("clock.rs");
    assert_eq!(clock.matches("ClockId::Realtime").count(), 1, "only for the time of day");
}

/// Every guard that the page about measuring names is a test that exists.
#[test]
fn b7_every_pitfall_has_its_guard() {
    let page = std::fs::read_to_string(root().join("docs/trials.md")).expect("docs/trials.md");
    let table = page.split("## Pitfalls").nth(1).expect("the table");
    let all: String = ["harness", "engine/io"]
        .iter()
        .flat_map(|half| sources(&root().join(half)))
        .map(|path| std::fs::read_to_string(path).expect("readable"))
        .collect();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut guards = 0;
    for row in rows {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let named = last.split('`').skip(1).step_by(2).collect::<Vec<_>>();
        assert!(!named.is_empty() || last.contains("](.."), "{row}");
        let missing: Vec<_> = named.iter().filter(|name| !all.contains(&format!("fn {name}("))).collect();
        assert!(missing.is_empty(), "{missing:?} is not there");
        guards += 1;
    }
    assert!(guards > 20, "only {guards} rows were seen");
}

/// Every Rust file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok).map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|path| sources(path));
    let rust =
        files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")).cloned();
    below.chain(rust).collect()
}
