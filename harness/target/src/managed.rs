//! Our broker as a child process with a data directory of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::TargetError;
use crate::home::Home;
use crate::process::{Launch, Process, Stopped};

/// A managed broker: process, configuration, data.
#[derive(Debug)]
pub struct Managed {
    process: Process,
    home: Home,
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
        let file = home.write_config(&ours(&home, config))?;
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
        self.home.data_dir()
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
        launch.log = home.log();
    }
    launch
}

/// `config` over what every broker of ours needs: addresses of its own and its data directory.
fn ours(home: &Home, config: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::from([
        ("listeners".to_owned(), "PLAINTEXT://127.0.0.1:0".to_owned()),
        ("plimsoll.http.listener".to_owned(), "127.0.0.1:0".to_owned()),
        ("log.dirs".to_owned(), home.data_dir().to_string_lossy().into_owned()),
    ]);
    lines.extend(config.iter().map(|(key, value)| (key.clone(), value.clone())));
    lines
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
