//! What is compared: each arm a workload with its differences, or trials that were stored.

use std::path::{Path, PathBuf};

use anyhow::bail;
use plimsoll_io::Backend;
use plimsoll_results::{Bundle, Status, TrialSummary};

use super::baseline;
use super::equal::Promise;
use super::options::CompareOptions;
use super::revision;
use crate::exit::UsageError;
use crate::measure::plan::{Broker, Changes, Plan};
use crate::options::CommonOptions;

/// An arm without differences.
pub(crate) const AS_IS: &str = "as-is";

/// One arm.
#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) name: String,
    /// The settings that make it different, as they were written.
    pub(crate) differences: Vec<String>,
    pub(crate) source: Source,
}

/// Where its trials come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// They will be run.
    Measure(Box<Plan>),
    /// They are in a bundle.
    Stored(Box<Stored>),
}

/// Trials that ran at another time.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) bundle: Bundle,
    /// Those that ended well; at least one.
    pub(crate) trials: Vec<TrialSummary>,
}

/// The arms of a command line, the first of which all others are compared with.
pub(crate) fn of(options: &CompareOptions) -> anyhow::Result<Vec<Arm>> {
    let mut arms = subjects(options)?;
    name(&mut arms, &options.names)?;
    if let Some(name) = &options.baseline {
        arms.insert(0, Arm::baseline(&options.common.output, name)?);
    }
    if arms.len() == 1 && options.save_baseline.is_none() {
        bail!(UsageError(
            "one arm has nothing to be compared with: add --arm \"KEY=VALUE …\", another workload, or --baseline NAME"
                .into()
        ));
    }
    tell_apart(&mut arms);
    Ok(arms)
}

fn subjects(options: &CompareOptions) -> anyhow::Result<Vec<Arm>> {
    let measured = |subject: &Path, settings: &str| Arm::measured(subject, settings, &options.common);
    match (options.subjects.as_slice(), options.arms.as_slice()) {
        ([subject], settings) if !is_bundle(subject) => {
            let alone = settings.is_empty() || (settings.len() == 1 && options.baseline.is_none());
            let first = alone.then_some(AS_IS);
            let all = first.into_iter().chain(settings.iter().map(String::as_str));
            all.map(|settings| measured(subject, settings)).collect()
        }
        (several, []) => several
            .iter()
            .map(|subject| match is_bundle(subject) {
                true => Arm::stored(subject, stem(subject)),
                false => Ok(Arm { name: stem(subject), ..measured(subject, AS_IS)? }),
            })
            .collect(),
        _ => bail!(UsageError(
            "--arm tells apart the arms of one workload; several workloads or bundles are arms by themselves"
                .into()
        )),
    }
}

impl Arm {
    /// A workload with settings such as `backend=mmap produce.acks=all`.
    pub(crate) fn measured(workload: &Path, settings: &str, common: &CommonOptions) -> anyhow::Result<Self> {
        let words: Vec<&str> = settings.split_whitespace().filter(|word| *word != AS_IS).collect();
        let changes = changes("--arm", &words, common)?;
        let name = if words.is_empty() { AS_IS.to_owned() } else { words.join(" ") };
        let plan = Plan::of_arm(workload, &changes, common)?.single()?;
        let differences = words.into_iter().map(str::to_owned).collect();
        Ok(Self { name, differences, source: Source::Measure(Box::new(plan)) })
    }

    /// Trials stored under a name.
    pub(crate) fn baseline(output: &Path, name: &str) -> anyhow::Result<Self> {
        Self::stored(&baseline::path(output, name)?, name.to_owned())
    }

    fn stored(bundle: &Path, name: String) -> anyhow::Result<Self> {
        let bundle = Bundle::open(bundle).map_err(|error| UsageError(error.to_string()))?;
        let mut trials = Vec::new();
        for trial in bundle.trials()? {
            trials.extend(trial.summary()?.filter(|summary| summary.status == Status::Ok));
        }
        if trials.is_empty() {
            bail!(UsageError(format!(
                "{}: no trial in it ended well and says so (trial.json); an older version may have written it",
                bundle.path().display()
            )));
        }
        Ok(Self {
            name,
            differences: Vec::new(),
            source: Source::Stored(Box::new(Stored { bundle, trials })),
        })
    }

    /// What will be run, unless it is stored.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        match &self.source {
            Source::Measure(plan) => Some(plan),
            Source::Stored(_) => None,
        }
    }

    /// Who says what an acknowledgement of it means.
    pub(super) fn promise(&self) -> Promise<'_> {
        match &self.source {
            Source::Measure(plan) => Promise::Asked(plan),
            Source::Stored(stored) => Promise::Said(&stored.bundle.document().durability),
        }
    }
}

/// What words such as `backend=mmap` change; `option` is where they stand, for messages.
pub(crate) fn changes(option: &str, words: &[&str], common: &CommonOptions) -> anyhow::Result<Changes> {
    let mut changes = Changes::of(common);
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            bail!(UsageError(format!(
                "`{option} {word}`: no `=`; write settings as key=value separated by spaces, or {AS_IS}"
            )));
        };
        let wrong = |reason: String| UsageError(format!("`{option} {word}`: {reason}"));
        match key {
            "backend" => {
                changes.backend = Some(value.parse::<Backend>().map_err(|error| wrong(error.to_string()))?)
            }
            "target" => changes.target = Some(value.parse().map_err(wrong)?),
            "bootstrap" => changes.bootstrap = Some(value.to_owned()),
            "binary" => changes.broker = Some(binary(value).map_err(wrong)?),
            "rev" => changes.broker = Some(revision::built(value, common.dry_run)?),
            _ => changes.assignments.push((*word).to_owned()),
        }
    }
    Ok(changes)
}

fn binary(path: &str) -> Result<Broker, String> {
    let executable = std::fs::canonicalize(path).map_err(|error| error.to_string())?;
    if executable.is_file() { Ok(Broker { executable, git_sha: None }) } else { Err("not a file".to_owned()) }
}

fn is_bundle(path: &Path) -> bool {
    path.join("run.json").is_file() || path.ends_with("run.json")
}

fn stem(path: &Path) -> String {
    let path = if path.ends_with("run.json") { path.parent().unwrap_or(path) } else { path };
    let plain = PathBuf::from(path.file_name().unwrap_or(path.as_os_str()));
    let stem = plain.extension().filter(|extension| *extension == "toml").and(plain.file_stem());
    stem.unwrap_or(plain.as_os_str()).to_string_lossy().into_owned()
}

fn name(arms: &mut [Arm], names: &[String]) -> anyhow::Result<()> {
    if !names.is_empty() && names.len() != arms.len() {
        bail!(UsageError(format!(
            "{} names for {} arms: give --name once for each, in order",
            names.len(),
            arms.len()
        )));
    }
    for (arm, name) in arms.iter_mut().zip(names) {
        arm.name.clone_from(name);
    }
    Ok(())
}

/// Arms that are called the same get a number: they may be the same on purpose.
fn tell_apart(arms: &mut [Arm]) {
    for at in 1..arms.len() {
        let (before, rest) = arms.split_at_mut(at);
        let Some(arm) = rest.first_mut() else { continue };
        let plain = arm.name.clone();
        let mut number = 2;
        while before.iter().any(|other| other.name == arm.name) {
            arm.name = format!("{plain} ({number})");
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::options::{Cli, Verb};

    fn arms(arguments: &str) -> anyhow::Result<Vec<Arm>> {
        let words = ["plimsoll", "compare"].into_iter().chain(arguments.split('|'));
        match Cli::try_parse_from(words)?.verb {
            Verb::Compare(options) => of(&options),
            _ => unreachable!("compare was asked for"),
        }
    }

    fn names(arguments: &str) -> Vec<String> {
        arms(arguments).expect("arms").into_iter().map(|arm| arm.name).collect()
    }

    #[test]
    fn a_single_arm_is_compared_with_the_workload_as_it_is() {
        let both = arms("hello|--arm|backend=mmap produce.acks=all").expect("arms");
        assert_eq!(
            both.iter().map(|arm| arm.name.as_str()).collect::<Vec<_>>(),
            [AS_IS, "backend=mmap produce.acks=all"]
        );
        let workload = &both[1].plan().expect("a plan").workload;
        assert_eq!(workload.chosen().1.config["plimsoll.storage.backend"], "mmap");
        assert_eq!(workload.produce.acks, plimsoll_load::workload::Acks::All);
        assert_eq!(both[1].differences, ["backend=mmap", "produce.acks=all"]);
    }

    #[test]
    fn arms_and_names_come_in_the_order_they_were_given() {
        let three = "hello|--arm|backend=page-cache|--arm|backend=mmap|--arm|plimsoll.durability=fsync";
        assert_eq!(names(three), ["backend=page-cache", "backend=mmap", "plimsoll.durability=fsync"]);
        assert_eq!(names("hello|--arm|as-is|--arm|as-is"), ["as-is", "as-is (2)"]);
        assert_eq!(names("hello|acks-all"), ["hello", "acks-all"]);
        assert_eq!(names("hello|--arm|backend=mmap|-n|old|-n|new"), ["old", "new"]);
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        for wrong in [
            "hello",
            "hello|--arm|mmap",
            "hello|--arm|backend=floppy",
            "hello|--arm|load.rat=5/s",
            "hello|--arm|binary=/no/such/file",
            "hello|acks-all|--arm|backend=mmap",
            "hello|--arm|backend=mmap|-n|one",
            "hello|--baseline|no-such-baseline",
            "hello|--baseline|../escape",
        ] {
            let error = arms(wrong).expect_err(wrong);
            assert!(error.is::<UsageError>(), "{wrong}: {error:#}");
        }
    }
}
