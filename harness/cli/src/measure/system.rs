//! Which of a workload's systems is measured, when the command line says so.

use anyhow::bail;
use plimsoll_load::workload::{System, SystemKind, Workload};

use crate::exit::UsageError;

/// Chooses the system of a kind, the workload's own if it has one, or the cluster at an address. One that the workload
/// does not have gets as many nodes as the one it would measure.
pub(super) fn choose(
    workload: &mut Workload,
    target: Option<SystemKind>,
    bootstrap: Option<&str>,
) -> anyhow::Result<()> {
    match (target, bootstrap) {
        (None, None) => Ok(()),
        (None | Some(SystemKind::External), Some(address)) => {
            let system =
                System { kind: SystemKind::External, bootstrap: address.to_owned(), ..System::default() };
            use_system(workload, "external", system);
            Ok(())
        }
        (Some(kind), Some(_)) => bail!(UsageError(format!(
            "`--bootstrap` names a cluster that runs already, but `--target {}` is started here",
            kind.as_str()
        ))),
        (Some(kind), None) => of_kind(workload, kind),
    }
}

fn of_kind(workload: &mut Workload, kind: SystemKind) -> anyhow::Result<()> {
    if workload.chosen().1.kind == kind {
        return Ok(());
    }
    let known = workload.systems.iter().find(|(_, system)| system.kind == kind);
    match known.map(|(label, _)| label.clone()) {
        Some(label) => workload.system = label,
        None if kind == SystemKind::External => {
            bail!(UsageError("`--target external` needs an address: add `--bootstrap HOST:PORT`".into()))
        }
        None if workload.systems.contains_key(kind.as_str()) => bail!(UsageError(format!(
            "systems.{} is of another kind, so that `--target` cannot mean it",
            kind.as_str()
        ))),
        None => {
            let System { brokers, controllers, .. } = *workload.chosen().1;
            let nodes = matches!(kind, SystemKind::Managed | SystemKind::ManagedKafka);
            let (brokers, controllers) = if nodes { (brokers, controllers) } else { (1, 0) };
            use_system(workload, kind.as_str(), System { kind, brokers, controllers, ..System::default() });
        }
    }
    Ok(())
}

/// Whether a dotted key begins with a section or key of workload files; none of Kafka's does.
pub(super) fn is_of_workload(key: &str) -> bool {
    const SECTIONS: [&str; 20] = [
        "schema", "name", "about", "seed", "driver", "system", "systems", "topic", "produce", "consume",
        "keys", "payload", "load", "phases", "verify", "matrix", "faults", "rf", "acks", "min_isr",
    ];
    SECTIONS.contains(&key.split('.').next().unwrap_or(key))
}

fn use_system(workload: &mut Workload, label: &str, system: System) {
    workload.system = label.to_owned();
    workload.systems.insert(label.to_owned(), system);
}

/// Gives a managed Apache Kafka the settings named on the command line; it judges them itself.
pub(super) fn configure_kafka(
    workload: &mut Workload,
    label: &str,
    settings: &[(String, String)],
) -> anyhow::Result<()> {
    if let Some((key, _)) = settings.iter().find(|(key, _)| key.starts_with("plimsoll.")) {
        bail!(UsageError(format!("`--set {key}=…` configures our broker, but Apache Kafka is measured")));
    }
    if let Some(system) = workload.systems.get_mut(label) {
        system.config.extend(settings.iter().cloned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(systems: &str) -> Workload {
        Workload::parse("w.toml", &format!("schema = \"workload/1\"\n{systems}"), &[]).expect("a workload")
    }

    #[test]
    fn a_target_is_the_workloads_own_or_one_with_every_default() {
        let mut own = workload("[systems.k]\nkind = \"managed-kafka\"\njvm_options = [\"-Xmx2G\"]\n");
        choose(&mut own, Some(SystemKind::ManagedKafka), None).expect("chosen");
        assert_eq!((own.chosen().0, own.chosen().1.jvm_options.len()), ("k", 1));
        let mut fresh = workload("");
        choose(&mut fresh, Some(SystemKind::ManagedKafka), None).expect("chosen");
        assert_eq!(fresh.chosen().1.kind, SystemKind::ManagedKafka);
        assert!(fresh.check().is_ok() && fresh.systems.len() == 2, "{:?}", fresh.systems);
        let mut three = workload("[systems.ours]\nbrokers = 3\n[topic]\nreplication = 3\n");
        choose(&mut three, Some(SystemKind::ManagedKafka), None).expect("chosen");
        assert!(three.chosen().1.brokers == 3 && three.check().is_ok(), "{:?}", three.systems);
    }

    #[test]
    fn an_address_is_an_external_cluster_and_nothing_else() {
        let mut there = workload("");
        choose(&mut there, None, Some("h:1")).expect("chosen");
        assert_eq!(there.chosen().1.bootstrap, "h:1");
        assert!(choose(&mut workload(""), Some(SystemKind::External), None).is_err());
        assert!(choose(&mut workload(""), Some(SystemKind::Null), Some("h:1")).is_err());
    }

    #[test]
    fn every_section_of_a_workload_is_told_from_kafkas_keys() {
        let all = serde_json::to_value(workload("")).expect("a workload");
        let sections = all.as_object().expect("sections");
        assert!(sections.len() == 15 && sections.keys().all(|key| is_of_workload(key)), "{sections:?}");
        assert!(["num.io.threads", "transaction.max.timeout.ms"].iter().all(|key| !is_of_workload(key)));
    }

    #[test]
    fn our_own_keys_are_nothing_to_kafka() {
        let mut kafka = workload("[systems.k]\nkind = \"managed-kafka\"\n");
        let set = |key: &str| [(key.to_owned(), "1".to_owned())];
        configure_kafka(&mut kafka, "k", &set("log.flush.interval.messages")).expect("one of Kafka's");
        assert_eq!(kafka.systems["k"].config["log.flush.interval.messages"], "1");
        assert!(configure_kafka(&mut kafka, "k", &set("plimsoll.durability")).is_err());
    }
}
