//! Stamps the commit and the compiler into the binary, so that a result says what measured it.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    set("PLIMSOLL_RUSTC", output(&rustc, &["--version"]));
    set("PLIMSOLL_PROFILE", env::var("PROFILE").ok());
    set("PLIMSOLL_GIT_SHA", output("git", &["rev-parse", "HEAD"]));
    let changed = output("git", &["status", "--porcelain", "--untracked-files=no"]);
    set("PLIMSOLL_GIT_DIRTY", changed.filter(|list| !list.is_empty()).map(|_| "true".to_owned()));
    for name in ["HEAD", "logs/HEAD"] {
        let path = output("git", &["rev-parse", "--path-format=absolute", "--git-path", name]);
        if let Some(path) = path.filter(|path| std::path::Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

fn set(name: &str, value: Option<String>) {
    if let Some(value) = value {
        println!("cargo::rustc-env={name}={value}");
    }
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let out = Command::new(program).args(args).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
