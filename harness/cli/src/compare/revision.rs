//! A git revision as a broker: checked out beside the user's tree, built once, kept in the cache directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::exit::UsageError;
use crate::measure::plan::Broker;

/// The release build of `rev`, from the cache if it was built before. With `planned` nothing is built and the
/// executable is the one that would be.
pub(crate) fn built(rev: &str, planned: bool) -> anyhow::Result<Broker> {
    let repository = git(Path::new("."), &["rev-parse", "--show-toplevel"])
        .map_err(|_| UsageError(format!("rev={rev}: this is not a git repository")))?;
    let repository = PathBuf::from(repository);
    let sha = git(&repository, &["rev-parse", "--verify", "--quiet", &format!("{rev}^{{commit}}")])
        .map_err(|_| UsageError(format!("rev={rev}: there is no such revision")))?;
    let builds = builds()?;
    let executable = builds.join(&sha).join("plimsoll");
    if !planned && !executable.is_file() {
        build(&repository, &sha, &builds, &executable).with_context(|| format!("building revision {rev}"))?;
    }
    Ok(Broker { executable, git_sha: Some(sha) })
}

/// `$XDG_CACHE_HOME/plimsoll/builds`, or the same under `~/.cache`.
fn builds() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let base = base.context("neither XDG_CACHE_HOME nor HOME is set: there is no place for builds")?;
    Ok(base.join("plimsoll/builds"))
}

fn build(repository: &Path, sha: &str, builds: &Path, executable: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(builds.join(sha))?;
    let source = builds.join(sha).join("source");
    let source_text = source.to_string_lossy().into_owned();
    if source.exists() {
        // Left by a build that was killed.
        fs::remove_dir_all(&source)?;
        git(repository, &["worktree", "prune"])?;
    }
    git(repository, &["worktree", "add", "--force", "--detach", &source_text, sha])?;
    eprintln!("building revision {sha}");
    let target = builds.join("target");
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "--package", "plimsoll"])
        .current_dir(&source)
        .env("CARGO_TARGET_DIR", &target)
        .stdin(Stdio::null())
        // Stdout is the result's alone.
        .stdout(std::io::stderr())
        .status();
    let removed = git(repository, &["worktree", "remove", "--force", &source_text]);
    let status = status.context("cargo cannot be started; it is needed to build a revision")?;
    if !status.success() {
        bail!("cargo ended with {status}");
    }
    removed?;
    let fresh = executable.with_extension("new");
    fs::copy(target.join("release/plimsoll"), &fresh)?;
    Ok(fs::rename(&fresh, executable)?)
}

/// The first line that git prints.
fn git(dir: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").args(arguments).current_dir(dir).stdin(Stdio::null()).output();
    let output = output.context("git cannot be started")?;
    if !output.status.success() {
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}
