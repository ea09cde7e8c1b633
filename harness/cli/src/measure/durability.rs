//! What an acknowledgement meant, from what the target itself says. Nothing here is assumed.

use std::collections::BTreeMap;

use plimsoll_load::run::{TopicInForce, topic_in_force};
use plimsoll_load::workload::{Acks as AskedAcks, Workload};
use plimsoll_results::{Acks, Durability, DurabilityMode, Survives};
use plimsoll_target::Target;

use super::plan::Plan;
use super::trial;

/// A setting of storage that Apache Kafka has, and nobody who only speaks its protocol.
const KAFKAS_OWN: &str = "log.flush.scheduler.interval.ms";
/// Kafka's way to say never.
const NEVER: &str = "9223372036854775807";

/// The durability line of a run, by the broker's settings and those of the topic.
pub(super) fn of(
    workload: &Workload,
    broker: &BTreeMap<String, String>,
    topic: Option<&TopicInForce>,
) -> Durability {
    let said = Said { broker, topic };
    let storage = said.storage();
    let asked = |replicas: i16| u16::try_from(replicas).unwrap_or_default();
    Durability {
        acks: match workload.produce.acks {
            AskedAcks::None => Acks::None,
            AskedAcks::Leader => Acks::Leader,
            AskedAcks::All => Acks::All,
        },
        rf: topic
            .map(|topic| topic.replicas)
            .filter(|replicas| *replicas > 0)
            .unwrap_or_else(|| asked(workload.topic.replication)),
        min_isr: said
            .topics("min.insync.replicas")
            .and_then(|replicas| replicas.parse().ok())
            .unwrap_or_else(|| asked(workload.topic.min_insync)),
        flush: said.flush(storage),
        durability: storage.map(|storage| storage.mode),
        survives: storage.map(|storage| storage.survives),
        direct: storage.map(|storage| storage.direct),
    }
}

/// The durability line that a trial of this plan would have: starts its target, asks it, and stops it again.
pub(crate) fn read_back(plan: &Plan) -> anyhow::Result<Durability> {
    let scratch = tempfile::tempdir()?;
    let target = Target::start(&plan.target(&plan.workload, scratch.path().join("target.log")))?;
    let (config, _kept_to_itself) = trial::effective_config(&target)?;
    let topic = topic_in_force(&plan.workload, &target.bootstrap())?;
    target.stop()?;
    Ok(of(&plan.workload, &config, topic.as_ref()))
}

/// What the target read back.
#[derive(Clone, Copy)]
struct Said<'a> {
    broker: &'a BTreeMap<String, String>,
    topic: Option<&'a TopicInForce>,
}

/// How the target stores.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Storage {
    mode: DurabilityMode,
    survives: Survives,
    direct: bool,
}

impl<'a> Said<'a> {
    fn brokers(self, key: &str) -> Option<&'a str> {
        self.broker.get(key).map(String::as_str)
    }

    fn topics(self, key: &str) -> Option<&'a str> {
        self.topic?.config.get(key).map(String::as_str)
    }

    /// The topic's own flush interval, or else the broker's.
    fn flush_interval(self, unit: &str) -> Option<&'a str> {
        self.topics(&format!("flush.{unit}")).or_else(|| self.brokers(&format!("log.flush.interval.{unit}")))
    }

    /// `None` when the target is neither ours nor Kafka: its words may mean anything.
    fn storage(self) -> Option<Storage> {
        match self.brokers("plimsoll.durability") {
            Some(mode) => Some(self.ours(mode == "fsync")),
            None => self.brokers(KAFKAS_OWN).map(|_| self.kafkas()),
        }
    }

    fn ours(self, fsync: bool) -> Storage {
        let direct = self.brokers("plimsoll.storage.backend") == Some("io_uring");
        let (mode, survives) = match fsync {
            true => (DurabilityMode::Fsync, Survives::Power),
            // A direct write is on the device, but a kernel that dies may forget where, unless the blocks had
            // been written before.
            false if direct && self.brokers("plimsoll.storage.preallocation") == Some("zero-fill") => {
                (DurabilityMode::Replicated, Survives::Kernel)
            }
            false => (DurabilityMode::Replicated, Survives::Process),
        };
        Storage { mode, survives, direct }
    }

    /// Kafka writes through the page cache and syncs before it acknowledges only if told to sync every record.
    fn kafkas(self) -> Storage {
        let (mode, survives) = match self.flush_interval("messages") {
            Some("1") => (DurabilityMode::Fsync, Survives::Power),
            _ => (DurabilityMode::Replicated, Survives::Process),
        };
        Storage { mode, survives, direct: false }
    }

    fn flush(self, storage: Option<Storage>) -> Option<String> {
        let fsync = storage.is_some_and(|storage| storage.mode == DurabilityMode::Fsync);
        if fsync && self.brokers("plimsoll.durability").is_some() {
            return Some("every group of writes".into());
        }
        // A broker that has no such key by name, or has it unset, leaves it to the kernel.
        match (self.flush_interval("messages")?, self.flush_interval("ms").unwrap_or(NEVER)) {
            (NEVER, NEVER) => Some("never (kernel)".into()),
            ("1", _) => Some("every batch, before it is acknowledged".into()),
            (messages, NEVER) => Some(format!("every {messages} records")),
            (NEVER, ms) => Some(format!("every {ms} ms")),
            (messages, ms) => Some(format!("every {messages} records or {ms} ms")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn line(broker: &[(&str, &str)], topic: Option<&[(&str, &str)]>) -> Durability {
        let workload = Workload::parse("w.toml", "schema = \"workload/1\"\n", &[]).expect("a workload");
        let topic = topic.map(|config| TopicInForce { replicas: 3, config: map(config) });
        of(&workload, &map(broker), topic.as_ref())
    }

    const KAFKA: &[(&str, &str)] = &[(KAFKAS_OWN, NEVER), ("log.flush.interval.messages", NEVER)];

    #[test]
    fn kafka_by_default_survives_the_death_of_its_process_only() {
        let kafka = line(KAFKA, Some(&[("flush.messages", NEVER), ("flush.ms", NEVER)]));
        assert_eq!(
            (kafka.durability, kafka.survives, kafka.direct),
            (Some(DurabilityMode::Replicated), Some(Survives::Process), Some(false))
        );
        assert_eq!((kafka.flush.as_deref(), kafka.rf), (Some("never (kernel)"), 3));
    }

    #[test]
    fn kafka_that_syncs_every_record_survives_a_power_cut_and_a_rarer_sync_does_not_help() {
        let every = line(KAFKA, Some(&[("flush.messages", "1"), ("min.insync.replicas", "2")]));
        assert_eq!((every.survives, every.min_isr), (Some(Survives::Power), 2));
        let rarely = line(KAFKA, Some(&[("flush.messages", "2"), ("flush.ms", "100")]));
        assert_eq!(rarely.survives, Some(Survives::Process));
        assert_eq!(rarely.flush.as_deref(), Some("every 2 records or 100 ms"));
    }

    #[test]
    fn of_somebody_else_nothing_is_claimed() {
        let unknown = line(&[("log.dirs", "/x")], Some(&[("flush.messages", "1")]));
        assert_eq!((unknown.durability, unknown.survives, unknown.direct), (None, None, None));
        let silent = line(&[], None);
        assert_eq!((silent.flush, silent.rf, silent.min_isr), (None, 1, 1));
    }

    #[test]
    fn our_own_words_are_believed() {
        let ours =
            |more: &[(&str, &str)]| line(&[&[("plimsoll.durability", "replicated")], more].concat(), None);
        assert_eq!(ours(&[]).survives, Some(Survives::Process));
        let written =
            [("plimsoll.storage.backend", "io_uring"), ("plimsoll.storage.preallocation", "zero-fill")];
        assert_eq!((ours(&written).survives, ours(&written).direct), (Some(Survives::Kernel), Some(true)));
        let synced = line(&[("plimsoll.durability", "fsync")], None);
        assert_eq!(
            (synced.survives, synced.flush.as_deref()),
            (Some(Survives::Power), Some("every group of writes"))
        );
    }
}
