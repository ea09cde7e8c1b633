//! Our broker as a child process with a data directory of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::TargetError;
use crate::process::{Launch, Process, Stopped};

/// A managed broker: process, configuration, data.
#[derive(Debug)]
pub struct Managed {
    process: Process,
    home: Home,
}

/// The directory of a managed broker: `server.properties`, `broker.log`, `data/`.
#[derive(Debug)]
struct Home {
    path: PathBuf,
    /// Removes the directory when dropped; `None` when it is kept.
    temporary: Option<TempDir>,
}

impl Managed {
    /// Starts `launch` with `--config FILE` added. `config` are the lines of its properties file; data goes
    /// to a fresh directory below `root`, which is removed afterwards unless `keep`.
    ///
    /// # Errors
    /// [`TargetError`] says what to do about it.
    pub fn start(
        launch: Launch,
        config: &BTreeMap<String, String>,
        root: &Path,
        keep: bool,
    ) -> Result<Managed, TargetError> {
        let home = Home::create(root, keep)?;
        let file = home.write_config(config)?;
        let process = Process::start(with_config(launch, &file, &home))?;
        Ok(Managed { process, home })
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The process, to look whether it still runs.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where its data is.
    pub fn data_dir(&self) -> PathBuf {
        self.home.path.join("data")
    }

    /// Stops it gracefully; its data goes with it unless kept.
    ///
    /// # Errors
    /// Only when it cannot be signalled.
    pub fn stop(self) -> Result<Stopped, TargetError> {
        self.process.stop()
    }

    /// `kill -9`. What remains can be started again with [`Crashed::restart`].
    ///
    /// # Errors
    /// Only when it cannot be signalled.
    pub fn kill(self) -> Result<Crashed, TargetError> {
        Ok(Crashed { launch: self.process.kill()?, home: self.home })
    }
}

/// A killed broker: its data and its command line.
#[derive(Debug)]
pub struct Crashed {
    launch: Launch,
    home: Home,
}

impl Crashed {
    /// Starts it again on the same data.
    ///
    /// # Errors
    /// When it does not come up again.
    pub fn restart(self) -> Result<Managed, TargetError> {
        let process = Process::start(self.launch)?;
        Ok(Managed { process, home: self.home })
    }
}

fn with_config(mut launch: Launch, file: &Path, home: &Home) -> Launch {
    launch.arguments.extend(["--config".into(), file.as_os_str().to_owned()]);
    if launch.log.as_os_str().is_empty() {
        launch.log = home.path.join("broker.log");
    }
    launch
}

impl Home {
    fn create(root: &Path, keep: bool) -> Result<Home, TargetError> {
        let failed = |source| TargetError::Prepare { path: root.to_owned(), source };
        std::fs::create_dir_all(root).map_err(failed)?;
        let made = tempfile::Builder::new().prefix("plimsoll-").tempdir_in(root).map_err(failed)?;
        let path = made.path().to_owned();
        let temporary = if keep {
            let _kept: PathBuf = made.keep();
            None
        } else {
            Some(made)
        };
        Ok(Home { path, temporary })
    }

    /// Writes `server.properties` with `config` over what every managed broker needs: an address of its own
    /// and its data directory.
    fn write_config(&self, config: &BTreeMap<String, String>) -> Result<PathBuf, TargetError> {
        let data = self.path.join("data");
        let mut lines = BTreeMap::from([
            ("listeners".to_owned(), "PLAINTEXT://127.0.0.1:0".to_owned()),
            ("log.dirs".to_owned(), data.to_string_lossy().into_owned()),
        ]);
        lines.extend(config.iter().map(|(key, value)| (key.clone(), value.clone())));
        let mut text = String::new();
        for (key, value) in lines {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{key}={value}");
        }
        let file = self.path.join("server.properties");
        let written = std::fs::create_dir_all(&data).and_then(|()| std::fs::write(&file, text));
        written.map_err(|source| TargetError::Prepare { path: file.clone(), source })?;
        Ok(file)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take()
            && let Err(error) = temporary.close()
        {
            eprintln!("cannot remove {}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A "broker" that checks its configuration and says where it listens.
    fn launch(script: &str) -> Launch {
        Launch {
            name: "broker".into(),
            executable: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            log: PathBuf::new(),
            start_timeout: Duration::from_secs(20),
            stop_timeout: Duration::from_secs(20),
        }
    }

    const SERVE: &str = r#"grep -q '^a.b=1$' "$1" && echo ready 127.0.0.1:7; exec sleep 100"#;

    fn config() -> BTreeMap<String, String> {
        BTreeMap::from([("a.b".to_owned(), "1".to_owned())])
    }

    #[test]
    fn it_reads_its_configuration_and_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let managed = Managed::start(launch(SERVE), &config(), root.path(), false).unwrap();
        let data = managed.data_dir();
        let text = std::fs::read_to_string(data.with_file_name("server.properties")).unwrap();
        assert!(text.contains("listeners=PLAINTEXT://127.0.0.1:0\n") && text.contains("a.b=1\n"), "{text}");
        managed.stop().unwrap();
        assert!(!data.exists() && root.path().read_dir().unwrap().next().is_none());
    }

    #[test]
    fn data_survives_kill_and_restart_and_is_kept_when_asked() {
        let root = tempfile::tempdir().unwrap();
        let managed = Managed::start(launch(SERVE), &config(), root.path(), true).unwrap();
        let first = managed.process().pid();
        std::fs::write(managed.data_dir().join("kept"), "x").unwrap();
        let managed = managed.kill().unwrap().restart().unwrap();
        assert_ne!(managed.process().pid(), first);
        let kept = managed.data_dir().join("kept");
        drop(managed);
        assert!(kept.exists());
    }
}
