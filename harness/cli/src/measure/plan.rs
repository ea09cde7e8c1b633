//! What will be run: the workload with every option applied.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use plimsoll_broker::config::{KEYS, Settings};
use plimsoll_io::{Backend, probe_io_uring};
use plimsoll_load::payload::{CorpusVerdict, Origin, Payload};
use plimsoll_load::workload::{
    BUILT_IN, ConsumeMode, FaultKind, Framing, PayloadKind, System, SystemKind, Technique, Topic, Workload,
    WorkloadError,
};
use plimsoll_probe::tool_build;
use plimsoll_results::{IoUring, Machine};
use plimsoll_target::{Distribution, Java, KafkaOptions, Kind, Layout, MockTopics, TargetSpec};

use crate::exit::UsageError;
use crate::options::{CommonOptions, MeasureOptions};

use super::faults;
use super::preflight::Policy;
use super::system;

/// Starting, draining, reading back and stopping, roughly.
const AROUND_A_TRIAL_S: f64 = 3.0;

const BACKEND_KEY: &str = "plimsoll.storage.backend";

/// A resolved run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) workload: Workload,
    /// The same workload on the program it is measured against.
    pub(crate) against: Option<Workload>,
    pub(crate) pairs: u32,
    /// What becomes of a machine that is not fit.
    pub(crate) preflight: Policy,
    data_root: PathBuf,
    /// This program: generator, null target, floor.
    executable: PathBuf,
    /// Another program that is started as the broker.
    broker: Option<Broker>,
}

/// A build of ours that is not this one.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    pub(crate) executable: PathBuf,
    pub(crate) git_sha: Option<String>,
}

/// What the command line changes in a workload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// `--set`: of the workload and of our broker.
    pub(crate) assignments: Vec<String>,
    pub(crate) backend: Option<Backend>,
    pub(crate) target: Option<SystemKind>,
    pub(crate) bootstrap: Option<String>,
    pub(crate) broker: Option<Broker>,
}

impl Changes {
    /// What is common to all arms.
    pub(crate) fn of(options: &CommonOptions) -> Self {
        // First, so that an arm may differ in it.
        let driver = options.driver.map(|driver| format!("driver={}", driver.as_str()));
        let assignments = driver.into_iter().chain(options.assignments.clone()).collect();
        Self { assignments, backend: options.backend, ..Self::default() }
    }
}

impl Plan {
    /// A workload that is part of this program, whatever files lie around.
    pub(crate) fn built_in(name: &str, options: &MeasureOptions) -> anyhow::Result<Self> {
        let text = BUILT_IN.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
        let read = |ours: &[String]| Workload::parse(&format!("{name}.toml"), text, ours);
        Self::resolve(read, &options.changes(), &options.common)?.beside(options)
    }

    /// A workload file, or a built-in one if there is no such file.
    pub(crate) fn of_file(file: &Path, options: &MeasureOptions) -> anyhow::Result<Self> {
        Self::of_arm(file, &options.changes(), &options.common)?.single()?.beside(options)
    }

    /// Refuses a workload that is a matrix: one of its points is not meant more than another.
    pub(crate) fn single(self) -> anyhow::Result<Self> {
        if self.workload.matrix.is_some() {
            let name = &self.workload.name;
            bail!(UsageError(format!("workload {name} has a [matrix]: `plimsoll sweep` measures it")));
        }
        Ok(self)
    }

    /// One arm of a comparison, or one point of a sweep.
    pub(crate) fn of_arm(file: &Path, changes: &Changes, options: &CommonOptions) -> anyhow::Result<Self> {
        Self::resolve(|ours| Workload::load(file, ours), changes, options)
    }

    fn resolve(
        read: impl FnOnce(&[String]) -> Result<Workload, WorkloadError>,
        changes: &Changes,
        options: &CommonOptions,
    ) -> anyhow::Result<Self> {
        let (ours, brokers) = split(&changes.assignments, changes.target);
        let mut workload = read(&ours).map_err(|error| UsageError(error.to_string()))?;
        if let Some(seed) = options.seed {
            workload.seed = seed;
        }
        apply_system(&mut workload, &brokers, changes)?;
        apply_payload(&mut workload, options)?;
        workload.check().map_err(|error| UsageError(error.to_string()))?;
        check_backend(&workload)?;
        check_kafka(&workload)?;
        check_built(&workload)?;
        let data_root = options.data_dir.clone().unwrap_or_else(std::env::temp_dir);
        if !options.dry_run {
            faults::check_possible(&workload, &data_root)?;
        }
        Ok(Self {
            workload,
            against: None,
            pairs: 0,
            preflight: options.preflight,
            data_root,
            executable: std::env::current_exe().context("the path of this program is not known")?,
            broker: changes.broker.clone(),
        })
    }

    /// Adds the program that `--against` names.
    fn beside(mut self, options: &MeasureOptions) -> anyhow::Result<Self> {
        self.against = options.against.as_ref().map(|_| on_the_floor(&self.workload)).transpose()?;
        self.pairs = options.pairs;
        Ok(self)
    }

    /// Version and commit of our broker, as far as they are known.
    pub(crate) fn broker_build(&self) -> (Option<String>, Option<String>) {
        match &self.broker {
            Some(other) => (None, other.git_sha.clone()),
            None => {
                let version = env!("CARGO_PKG_VERSION");
                (Some(version.to_owned()), tool_build("plimsoll", version).git_sha)
            }
        }
    }

    /// The machine, with the device under the data directory.
    pub(crate) fn machine(&self) -> Machine {
        let probed = probe_io_uring();
        let reason = probed.as_ref().err().map(ToString::to_string);
        plimsoll_probe::machine(&self.data_root, Some(IoUring { available: probed.is_ok(), reason }))
    }

    pub(crate) fn data_root(&self) -> &Path {
        &self.data_root
    }

    /// How to start the system of `workload`.
    pub(crate) fn target(&self, workload: &Workload, log: PathBuf) -> TargetSpec {
        let (_, system) = workload.chosen();
        let data_root = self.data_root.clone();
        let kind = match system.kind {
            SystemKind::Managed => Kind::Managed {
                layout: layout(workload),
                config: system.config.clone(),
                data_root,
                keep_data: system.keep_data,
            },
            SystemKind::ManagedKafka => Kind::Kafka {
                layout: layout(workload),
                options: KafkaOptions {
                    config: system.config.clone(),
                    jvm_options: system.jvm_options.clone(),
                },
                data_root,
                keep_data: system.keep_data,
            },
            SystemKind::RdkafkaMock => Kind::RdkafkaMock { topics: mock_topics(workload) },
            SystemKind::External => Kind::External { bootstrap: system.bootstrap.clone() },
            SystemKind::Null => Kind::Null { spin: system.spin_per_record.std() },
            SystemKind::Floor => Kind::Floor {
                technique: technique(system.technique),
                spin: system.spin_per_record.std(),
                data_root,
            },
        };
        let broker = self.broker.as_ref().filter(|_| system.kind == SystemKind::Managed);
        TargetSpec {
            kind,
            executable: broker.map_or(&self.executable, |other| &other.executable).clone(),
            log,
            start_timeout: system.start_timeout.std(),
            stop_timeout: system.stop_timeout.std(),
        }
    }

    /// Refuses a corpus that was chosen by name and is too small; a sample or a file of the user's is marked in
    /// the result instead.
    pub(crate) fn check_corpus(&self, payload: &Payload) -> anyhow::Result<()> {
        match payload.verdict(self.workload.window()) {
            CorpusVerdict::TooSmall { have_bytes, need_bytes } if payload.origin() == Origin::Corpus => {
                bail!(UsageError(format!(
                    "the corpus has {have_bytes} bytes, but batches of this size need {need_bytes}, or records come twice in a codec's window; choose a larger corpus or smaller batches"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Nothing differs between the two that an acknowledgement's meaning could follow from.
    pub(crate) fn promises_like(&self, other: &Self) -> bool {
        let of = |plan: &Self| {
            let (workload, broker) = (&plan.workload, plan.broker.as_ref());
            let executable = broker.map(|broker| broker.executable.clone());
            (workload.chosen().1.clone(), workload.topic.clone(), workload.produce.acks, executable)
        };
        of(self) == of(other)
    }

    /// Both measure the same system, however it is configured.
    pub(crate) fn is_of_the_system_of(&self, other: &Self) -> bool {
        let of = |plan: &Self| {
            let (label, system) = plan.workload.chosen();
            let executable = plan.broker.as_ref().map(|broker| broker.executable.clone());
            (label.to_owned(), system.kind, system.bootstrap.clone(), executable)
        };
        of(self) == of(other)
    }

    /// About how many seconds one trial takes.
    pub(crate) fn trial_s(&self) -> f64 {
        let phases = &self.workload.phases;
        phases.warmup_max.secs_f64()
            + phases.measure.secs_f64()
            + AROUND_A_TRIAL_S
            + start_s(self.workload.chosen().1.kind)
    }

    /// Trials, and about how many seconds they take in all.
    fn extent(&self) -> (u32, f64) {
        let trials = if self.against.is_some() { 2 * self.pairs } else { 1 };
        (trials, f64::from(trials) * self.trial_s())
    }

    /// The plan for `--dry-run`.
    pub(crate) fn to_text(&self) -> String {
        let (trials, seconds) = self.extent();
        let plural = if trials == 1 { "" } else { "s" };
        format!("{}\n# {trials} trial{plural}; about {seconds:.0} s in all\n", self.workload.to_lock())
    }

    /// The plan for `--dry-run --json`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let (trials, seconds) = self.extent();
        serde_json::json!({
            "status": "ok",
            "status_reasons": ["dry run: nothing was measured"],
            "trials": trials,
            "seconds": seconds,
            "workload": self.workload,
        })
    }
}

/// Nodes get networks of their own only where one is to be cut off: a cable more is in every latency.
fn layout(workload: &Workload) -> Layout {
    let System { brokers, controllers, .. } = *workload.chosen().1;
    let networks = workload.faults.iter().any(|fault| fault.kind == FaultKind::Isolate);
    Layout { brokers, controllers, networks }
}

/// Formatting its directory and starting a JVM takes longer than starting the others.
fn start_s(kind: SystemKind) -> f64 {
    if kind == SystemKind::ManagedKafka { 5.0 } else { 0.0 }
}

impl MeasureOptions {
    fn changes(&self) -> Changes {
        Changes { target: self.target, bootstrap: self.bootstrap.clone(), ..Changes::of(&self.common) }
    }
}

/// Tells a broker's keys from a workload's: no workload section is called like one of the broker's. Kafka has more
/// of them than are known here.
fn split(assignments: &[String], target: Option<SystemKind>) -> (Vec<String>, Vec<(String, String)>) {
    let brokers_own = |key: &str| match target {
        Some(SystemKind::ManagedKafka) => !system::is_of_workload(key),
        _ => key.starts_with("plimsoll.") || KEYS.iter().any(|known| known.name == key),
    };
    let (mut ours, mut brokers) = (Vec::new(), Vec::new());
    for assignment in assignments {
        let pair = assignment.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        match pair.filter(|(key, _)| brokers_own(key)) {
            Some((key, value)) => brokers.push((key.to_owned(), value.to_owned())),
            None => ours.push(assignment.clone()),
        }
    }
    (ours, brokers)
}

fn apply_system(
    workload: &mut Workload,
    broker_settings: &[(String, String)],
    changes: &Changes,
) -> anyhow::Result<()> {
    system::choose(workload, changes.target, changes.bootstrap.as_deref())?;
    let (label, kind) = {
        let (label, system) = workload.chosen();
        (label.to_owned(), system.kind)
    };
    let for_us_only = changes.backend.is_some() || changes.broker.is_some();
    match kind {
        SystemKind::Managed => {}
        SystemKind::ManagedKafka if !for_us_only => {
            return system::configure_kafka(workload, &label, broker_settings);
        }
        _ if !for_us_only && broker_settings.is_empty() => return Ok(()),
        _ => bail!(UsageError(format!(
            "system `{label}` is not our broker, so it has no backend, broker configuration or other build"
        ))),
    }
    let Some(system) = workload.systems.get_mut(&label) else { return Ok(()) };
    if let Some(backend) = changes.backend {
        system.config.insert(BACKEND_KEY.into(), backend.to_string());
    }
    system.config.extend(broker_settings.iter().cloned());
    let lines: Vec<String> = system.config.iter().map(|(key, value)| format!("{key}={value}")).collect();
    // The broker would refuse them too, but later and in its log. Another build may know other keys.
    if changes.broker.is_none() {
        Settings::load(None, &lines).map_err(|error| UsageError(error.to_string()))?;
    }
    Ok(())
}

/// Says so before anything is started, if this machine cannot run the backend.
fn check_backend(workload: &Workload) -> anyhow::Result<()> {
    let (_, system) = workload.chosen();
    let asked = |key| system.config.get(key).map(String::as_str);
    if system.kind == SystemKind::Managed
        && asked(BACKEND_KEY) == Some("io_uring")
        && matches!(asked("plimsoll.storage.fallback"), None | Some("none"))
    {
        probe_io_uring().context("the io_uring backend cannot run here")?;
    }
    Ok(())
}

/// Says so before anything is started, if there is no Java or no Kafka here.
fn check_kafka(workload: &Workload) -> anyhow::Result<()> {
    if workload.chosen().1.kind == SystemKind::ManagedKafka {
        Java::find()?;
        Distribution::from_env()?.check_present()?;
    }
    Ok(())
}

/// Says so before anything is started, if librdkafka is wanted and not part of this build.
fn check_built(workload: &Workload) -> anyhow::Result<()> {
    let needs = match (workload.driver.is_built(), workload.chosen().1.kind) {
        (false, _) => format!("driver {}", workload.driver.as_str()),
        (_, SystemKind::RdkafkaMock) if !plimsoll_target::HAS_RDKAFKA_MOCK => {
            "target rdkafka-mock".to_owned()
        }
        _ => return Ok(()),
    };
    bail!(UsageError(format!(
        "{needs} needs librdkafka, which is not part of this build: build it with `cargo build --release --features rdkafka`"
    )))
}

/// The mock cluster creates no topics by request, so it is started with them.
fn mock_topics(workload: &Workload) -> MockTopics {
    let Topic { partitions, replication, .. } = workload.topic;
    MockTopics { names: workload.topic_names(), partitions, replication }
}

fn apply_payload(workload: &mut Workload, options: &CommonOptions) -> anyhow::Result<()> {
    let Some(path) = &options.payload_file else { return Ok(()) };
    workload.payload.kind = PayloadKind::File;
    workload.payload.path.clone_from(path);
    workload.payload.framing = match options.payload_framing.as_str() {
        "lines" => Framing::Lines,
        "varint" => Framing::Varint,
        "length" => Framing::Length,
        other => bail!(UsageError(format!("`--payload-framing {other}`: it takes lines, varint or length"))),
    };
    Ok(())
}

/// The same load on the least program that does the work, writing as the backend does. Refuses what that
/// program does not do, since a ratio of different work says nothing.
fn on_the_floor(workload: &Workload) -> anyhow::Result<Workload> {
    let (label, system) = workload.chosen();
    if workload.consume.mode != ConsumeMode::None {
        bail!(UsageError(
            "the floor program keeps no records to read; add `--set consume.mode=none`, or run large-batches"
                .into()
        ));
    }
    let syncs = |key: &str| key == "plimsoll.durability" || key.starts_with("log.flush.");
    if let Some((key, value)) = system.config.iter().find(|(key, value)| syncs(key) && *value != "replicated")
    {
        bail!(UsageError(format!(
            "the floor program never syncs, so `{key}={value}` cannot be compared with it"
        )));
    }
    if system.kind != SystemKind::Managed {
        bail!(UsageError(format!("system `{label}` is not our broker: only that has a floor")));
    }
    let backend = system.config.get(BACKEND_KEY).map_or(Ok(Backend::PageCache), |name| name.parse())?;
    let technique = match backend {
        Backend::Mmap => Technique::Mmap,
        Backend::IoUring => Technique::Direct,
        _ => Technique::Pwrite,
    };
    let floor = System { kind: SystemKind::Floor, technique, ..System::default() };
    let mut other = workload.clone();
    other.name = format!("{}-floor", workload.name);
    other.system = "floor".into();
    other.systems.insert("floor".into(), floor);
    Ok(other)
}

fn technique(named: Technique) -> plimsoll_target::Technique {
    match named {
        Technique::Pwrite => plimsoll_target::Technique::Pwrite,
        Technique::Mmap => plimsoll_target::Technique::Mmap,
        Technique::Direct => plimsoll_target::Technique::Direct,
    }
}
