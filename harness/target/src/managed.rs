//! Our broker as a child process with a data directory of its own.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cluster::{Cluster, Layout, Place, Software, answers, log_of, voters};
use crate::error::TargetError;
use crate::home::Home;
use crate::process::{Launch, Process, Starting, Stopped};

/// How nodes of ours are made.
#[derive(Debug)]
pub(crate) struct Ours {
    launch: Launch,
    config: BTreeMap<String, String>,
    single: bool,
    /// Of this cluster and no other.
    cluster_id: String,
}

impl Cluster {
    /// Starts nodes of ours in `dir`, which they keep, to be left alone with [`Cluster::leave`].
    ///
    /// # Errors
    /// [`TargetError`] says what to do about it.
    pub fn ours_in(
        mut launch: Launch,
        layout: Layout,
        config: &BTreeMap<String, String>,
        dir: &Path,
    ) -> Result<Cluster, TargetError> {
        launch.detached = true;
        let executable = launch.executable.clone();
        let ours = Ours::new(launch, layout, config);
        Cluster::start(Box::new(ours), layout, &executable, Home::at(dir.to_owned()))
    }

    /// Starts nodes of ours: `launch` with `--config FILE` added. `config` are further lines of their properties files;
    /// data goes to a fresh directory below `root`, which is removed afterwards unless `keep`.
    ///
    /// # Errors
    /// [`TargetError`] says what to do about it.
    pub fn ours(
        launch: Launch,
        layout: Layout,
        config: &BTreeMap<String, String>,
        root: &Path,
        keep: bool,
    ) -> Result<Cluster, TargetError> {
        let executable = launch.executable.clone();
        let ours = Ours::new(launch, layout, config);
        Cluster::start(Box::new(ours), layout, &executable, Home::create(root, keep)?)
    }
}

impl Ours {
    pub(crate) fn new(launch: Launch, layout: Layout, config: &BTreeMap<String, String>) -> Ours {
        let cluster_id = format!("plimsoll-{:016x}", crate::process::dice());
        Ours { launch, config: config.clone(), single: layout.is_single(), cluster_id }
    }

    /// The configured lines over what every node of ours needs: addresses of its own, its data directory, and among
    /// several its part in the quorum.
    fn lines(&self, place: &Place, all: &[&Place], home: &Home) -> BTreeMap<String, String> {
        let mut lines = BTreeMap::from([
            ("listeners", place.listeners(Some(place.controller).filter(|_| !self.single))),
            ("plimsoll.http.listener", place.http.to_string()),
            ("log.dirs", home.data_dir().to_string_lossy().into_owned()),
        ]);
        if !self.single {
            lines.extend([
                ("node.id", place.id.to_string()),
                ("process.roles", place.roles().to_owned()),
                ("controller.listener.names", "CONTROLLER".to_owned()),
                ("controller.quorum.voters", voters(all)),
                ("plimsoll.cluster.id", self.cluster_id.clone()),
            ]);
        }
        let lines = lines.into_iter().map(|(key, value)| (key.to_owned(), value));
        lines.chain(self.config.clone()).collect()
    }
}

impl Software for Ours {
    fn prepare(&self, place: &Place, all: &[&Place], home: &Home) -> Result<Launch, TargetError> {
        let file = home.write_config(&self.lines(place, all, home))?;
        let mut launch = self.launch.clone();
        launch.arguments.extend(["--config".into(), file.into_os_string()]);
        launch.log = log_of(&launch.log, place.id, self.single, home);
        if !self.single {
            launch.name = format!("{} {}", launch.name, place.id);
        }
        Ok(launch)
    }

    /// A node formats its own directory when it first starts.
    fn format(&self, _nodes: &[(Home, Launch)]) -> Result<(), TargetError> {
        Ok(())
    }

    fn start(&self, launch: Launch) -> Result<Starting, TargetError> {
        if launch.detached { Starting::silent(launch) } else { Starting::talking(launch) }
    }

    fn ready(&self, starting: Starting, place: &Place) -> Result<Process, TargetError> {
        if self.launch.detached { answers(starting, place) } else { starting.says_ready() }
    }

    fn judge(&self, stopped: Stopped) -> Stopped {
        stopped
    }

    /// Ours say it in their metadata.
    fn active_controller(&self, _homes: &[&Home]) -> Option<i32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::cluster::LOOPBACK;

    /// A "broker" that checks its configuration and says where it listens.
    fn launch(script: &str) -> Launch {
        Launch {
            name: "broker".into(),
            executable: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            log: PathBuf::new(),
            start_timeout: Duration::from_secs(20),
            stop_timeout: Duration::from_secs(20),
            detached: false,
        }
    }

    const SERVE: &str = r#"grep -q '^a.b=1$' "$1" && echo ready 127.0.0.1:7; exec sleep 100"#;

    fn config() -> BTreeMap<String, String> {
        BTreeMap::from([("a.b".to_owned(), "1".to_owned())])
    }

    fn single(root: &Path, keep: bool) -> Cluster {
        Cluster::ours(launch(SERVE), Layout::default(), &config(), root, keep).unwrap()
    }

    #[test]
    fn it_reads_its_configuration_and_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let cluster = single(root.path(), false);
        let data = cluster.data_dirs().remove(0);
        let text = std::fs::read_to_string(data.with_file_name("server.properties")).unwrap();
        assert!(text.contains("listeners=PLAINTEXT://127.0.0.1:") && text.contains("a.b=1\n"), "{text}");
        assert!(!text.contains("controller"), "one node needs no quorum: {text}");
        cluster.stop().unwrap();
        assert!(!data.exists() && root.path().read_dir().unwrap().next().is_none());
    }

    #[test]
    fn data_survives_kill_and_restart_and_is_kept_when_asked() {
        let root = tempfile::tempdir().unwrap();
        let mut cluster = single(root.path(), true);
        let first = cluster.nodes()[0].pid();
        std::fs::write(cluster.data_dirs()[0].join("kept"), "x").unwrap();
        cluster.node_mut(1).unwrap().kill().unwrap();
        assert_eq!(cluster.nodes()[0].pid(), None);
        cluster.restart(1).unwrap();
        assert!(cluster.nodes()[0].pid().is_some_and(|pid| Some(pid) != first));
        let kept = cluster.data_dirs()[0].join("kept");
        drop(cluster);
        assert!(kept.exists());
    }

    #[test]
    fn every_node_of_a_cluster_knows_its_part_and_the_voters() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::create(root.path(), false).unwrap();
        let layout = Layout::of(3);
        let (ours, places) = (Ours::new(launch(""), layout, &config()), layout.places(|_| LOOPBACK).unwrap());
        let all: Vec<&Place> = places.iter().collect();
        let lines: Vec<_> = all.iter().map(|place| ours.lines(place, &all, &home)).collect();
        assert_eq!(lines[1]["node.id"], "2");
        assert_eq!(lines[1]["process.roles"], "broker,controller");
        assert!(lines[1]["listeners"].contains(",CONTROLLER://127.0.0.1:"), "{:?}", lines[1]);
        assert_eq!(lines[0]["plimsoll.cluster.id"], lines[2]["plimsoll.cluster.id"]);
        assert_eq!(lines[0]["controller.quorum.voters"], lines[2]["controller.quorum.voters"]);
        assert_eq!(lines[0]["a.b"], "1");
    }

    #[test]
    fn a_node_is_asked_to_stop_once_since_twice_means_at_once() {
        let root = tempfile::tempdir().unwrap();
        let script = "n=0; trap 'n=$((n+1))' TERM; echo ready 127.0.0.1:7; \
                      while [ $n = 0 ]; do sleep 0.01; done; sleep 0.2; exit $((n-1))";
        let cluster =
            Cluster::ours(launch(script), Layout::default(), &config(), root.path(), false).unwrap();
        assert_eq!(cluster.stop().unwrap().code, Some(0));
    }

    #[test]
    fn a_node_that_is_paused_is_killed_and_stopped_like_any_other() {
        let root = tempfile::tempdir().unwrap();
        let mut cluster = single(root.path(), false);
        cluster.node_mut(1).unwrap().pause().unwrap();
        let state = |cluster: &Cluster| {
            let pid = cluster.nodes()[0].pid().unwrap();
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
        };
        let began = std::time::Instant::now();
        while state(&cluster) != 'T' && began.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(state(&cluster), 'T');
        let stopped = cluster.stop().unwrap();
        assert!(!stopped.killed, "it went on and heard the signal");
    }
}
