//! `cluster up`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use plimsoll_broker::config::Settings;
use plimsoll_load::workload::SystemKind;
use plimsoll_results::Exit;
use plimsoll_target::{Cluster, KafkaOptions, Launch, Layout};

use super::options::UpOptions;
use super::state::{self, State};
use crate::exit::UsageError;

const BACKEND_KEY: &str = "plimsoll.storage.backend";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Quorums of an even number bear no more losses than the next smaller one.
const CONTROLLERS: [u16; 4] = [0, 1, 3, 5];

pub(super) fn run(options: &UpOptions) -> anyhow::Result<Exit> {
    let dir = &options.at.dir;
    if let Ok(state) = state::read(dir) {
        let alive = state.nodes.iter().any(state::NodeState::is_alive);
        let (is, then) = if alive { ("runs", "stop it with") } else { ("was", "remove it with") };
        bail!(UsageError(format!(
            "a cluster {is} in {} already: {then} `plimsoll cluster down --remove --dir {}`, or choose another --dir",
            dir.display(),
            dir.display()
        )));
    }
    if !CONTROLLERS.contains(&options.controllers) {
        bail!(UsageError(format!(
            "--controllers {}: 0, 1, 3 or 5, since an odd number votes",
            options.controllers
        )));
    }
    let config = config(options)?;
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
    let layout = Layout { controllers: options.controllers, ..Layout::of(options.brokers) };
    let launch = launch()?;
    let cluster = match options.target {
        SystemKind::Managed => Cluster::ours_in(launch, layout, &config, &dir)?,
        SystemKind::ManagedKafka => {
            let options = KafkaOptions { config, jvm_options: Vec::new() };
            Cluster::kafka_in(
                Launch { name: "Apache Kafka".to_owned(), arguments: Vec::new(), ..launch },
                layout,
                &options,
                &dir,
            )?
        }
        other => bail!(UsageError(format!(
            "--target {}: a cluster is of plimsoll or managed-kafka",
            other.as_str()
        ))),
    };
    let state = State::of(cluster.leave())?;
    state.write(&dir)?;
    if options.at.json {
        println!("{}", serde_json::to_string_pretty(&state)?);
    } else {
        print!("{}", told(&state, &dir.display().to_string()));
    }
    Ok(Exit::Pass)
}

fn config(options: &UpOptions) -> anyhow::Result<BTreeMap<String, String>> {
    let mut config = BTreeMap::new();
    for assignment in &options.assignments {
        let Some((key, value)) = assignment.split_once('=') else {
            bail!(UsageError(format!("--set {assignment}: write KEY=VALUE")));
        };
        config.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    let ours = options.target == SystemKind::Managed;
    if let Some(backend) = options.backend {
        if !ours {
            bail!(UsageError("--backend is for brokers of ours".to_owned()));
        }
        config.insert(BACKEND_KEY.to_owned(), backend.to_string());
    }
    if ours {
        // The nodes would refuse them too, but later and in their logs.
        let lines: Vec<String> = config.iter().map(|(key, value)| format!("{key}={value}")).collect();
        Settings::load(None, &lines).map_err(|error| UsageError(error.to_string()))?;
    }
    Ok(config)
}

fn launch() -> anyhow::Result<Launch> {
    Ok(Launch {
        name: "plimsoll broker".to_owned(),
        executable: std::env::current_exe().context("the path of this program is not known")?,
        arguments: vec!["broker".into()],
        log: std::path::PathBuf::new(),
        start_timeout: START_TIMEOUT,
        stop_timeout: STOP_TIMEOUT,
        detached: true,
    })
}

fn told(state: &State, dir: &str) -> String {
    let mut text = String::new();
    for node in &state.nodes {
        text += &format!("node {}  {}  {}  pid {}\n", node.id, node.roles, node.address, node.pid);
    }
    let bootstrap = &state.bootstrap;
    let replicas = state.nodes.iter().filter(|node| node.is_broker()).count().min(3);
    text += &format!("\nclients begin at   {bootstrap}\ndata and logs in   {dir}\n\n");
    text += "what to do next:\n";
    text += &format!(
        "  plimsoll topic create first --partitions 6 --rf {replicas} --bootstrap-server {bootstrap}\n"
    );
    text += &format!("  plimsoll run hello --bootstrap {bootstrap}\n");
    text += &format!("  plimsoll cluster status --dir {dir}\n");
    text + &format!("  plimsoll cluster down --dir {dir}\n")
}
