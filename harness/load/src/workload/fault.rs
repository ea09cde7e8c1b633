//! The `[[faults]]` sections: what happens to which broker while it is measured, and when.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::error::Invalid;
use super::units::{Period, Size};
use super::{Acks, Driver, SystemKind, Workload};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// `kill -9`; after `for` it is started again, without `for` never.
    Kill,
    /// It stands still for as long as `for` says (SIGSTOP), its sockets open.
    Pause,
    /// It is stopped in an orderly way and started again.
    Restart,
    /// Nothing reaches it and nothing comes from it for as long as `for` says.
    Isolate,
    /// Its disk takes `write_rate` at most for as long as `for` says.
    SlowDisk,
    /// One more broker joins the cluster.
    AddBroker,
}

impl FaultKind {
    /// Every kind with its word.
    pub const ALL: [(FaultKind, &str); 6] = [
        (FaultKind::Kill, "kill"),
        (FaultKind::Pause, "pause"),
        (FaultKind::Restart, "restart"),
        (FaultKind::Isolate, "isolate"),
        (FaultKind::SlowDisk, "slow-disk"),
        (FaultKind::AddBroker, "add-broker"),
    ];

    /// The word in workload files.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    /// Whether it has a length, and must have one.
    fn has_length(self) -> bool {
        matches!(self, FaultKind::Pause | FaultKind::Isolate | FaultKind::SlowDisk)
    }
}

/// Whom it hits, looked up when it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultTarget {
    /// Who leads partition 0 of the first topic.
    #[default]
    Leader,
    /// A replica of that partition that does not lead it.
    Follower,
    /// The active controller.
    Controller,
    /// The broker of that id.
    Broker(i32),
    /// One of the brokers, by the workload's seed.
    Random,
}

impl fmt::Display for FaultTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultTarget::Leader => f.write_str("leader"),
            FaultTarget::Follower => f.write_str("follower"),
            FaultTarget::Controller => f.write_str("controller"),
            FaultTarget::Broker(id) => write!(f, "broker:{id}"),
            FaultTarget::Random => f.write_str("random"),
        }
    }
}

impl FromStr for FaultTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "leader" => Ok(FaultTarget::Leader),
            "follower" => Ok(FaultTarget::Follower),
            "controller" => Ok(FaultTarget::Controller),
            "random" => Ok(FaultTarget::Random),
            _ => {
                let id = text.strip_prefix("broker:").and_then(|id| id.parse().ok()).filter(|id| *id > 0);
                let words = "leader, follower, controller, random or broker:ID with an id from 1";
                id.map(FaultTarget::Broker).ok_or_else(|| format!("{text:?} is no target: write {words}"))
            }
        }
    }
}

impl Serialize for FaultTarget {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        sink.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FaultTarget {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        String::deserialize(source)?.parse().map_err(de::Error::custom)
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// Whom it hits. Of no meaning to `add-broker`.
    #[serde(default)]
    pub target: FaultTarget,
    /// When, from the begin of the measured phase on.
    pub at: Period,
    /// How long it lasts; for `kill`, how long until it is started again.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Period>,
    /// `slow-disk`: bytes per second that the disk still takes.
    #[serde(default = "slow", skip_serializing_if = "is_slow")]
    pub write_rate: Size,
}

/// A disk that takes so much in a second is a hundred times slower than it was.
fn slow() -> Size {
    Size(1 << 20)
}

fn is_slow(rate: &Size) -> bool {
    *rate == slow()
}

impl Fault {
    /// When it is over, from the begin of the measured phase on; for one without a length, when it begins.
    pub fn until(&self) -> Period {
        Period(self.at.0.saturating_add(self.lasts.map_or(0, |lasts| lasts.0)))
    }

    fn check(&self, measure: Period) -> Result<(), Invalid> {
        let kind = self.kind;
        let refuse = |reason: String| Err(Invalid::Fault { kind: kind.as_str(), reason });
        match (kind.has_length(), self.lasts) {
            (true, None) => {
                return refuse("`for` is missing: how long it lasts, such as for = \"5s\"".into());
            }
            (_, Some(Period(0))) => return refuse("for = \"0s\" is no time".into()),
            (false, Some(_)) if kind != FaultKind::Kill => {
                return refuse("`for` would have no effect: it lasts as long as it takes".into());
            }
            _ => {}
        }
        if self.write_rate != slow() && kind != FaultKind::SlowDisk {
            return refuse("`write_rate` would have no effect: only slow-disk has it".into());
        }
        if self.write_rate.0 == 0 {
            return refuse("write_rate = \"0B\" is no disk at all".into());
        }
        if self.until() >= measure {
            let (at, until) = (self.at, self.until());
            return refuse(format!(
                "it begins at {at} and ends at {until}, but the measured phase is {measure} long: nothing would be seen of what follows"
            ));
        }
        Ok(())
    }
}

impl Workload {
    /// Refuses faults that nothing could be seen of, or that hit nobody.
    pub(super) fn check_faults(&self) -> Result<(), Invalid> {
        let Some(first) = self.faults.first() else { return Ok(()) };
        self.faults.iter().try_for_each(|fault| fault.check(self.phases.measure))?;
        let (label, system) = self.chosen();
        let refuse =
            |fault: &Fault, reason: String| Err(Invalid::Fault { kind: fault.kind.as_str(), reason });
        if !matches!(system.kind, SystemKind::Managed | SystemKind::ManagedKafka) {
            return refuse(
                first,
                format!(
                    "system {label} is {}: only brokers that are started here are hurt",
                    system.kind.as_str()
                ),
            );
        }
        if self.driver != Driver::Plimsoll {
            return refuse(
                first,
                "driver = rdkafka does not tell when which partition was acknowledged".into(),
            );
        }
        if self.produce.acks == Acks::None {
            return refuse(first, "produce.acks = 0: no answer says when records are taken again".into());
        }
        if self.produce.idempotent && self.produce.acks == Acks::Leader {
            return refuse(first, "produce.idempotent = true with acks = 1: a new leader may lack acknowledged records, and refuses all that come behind them; Kafka's client refuses the pair too. Set acks = all, or idempotent = false".into());
        }
        let ids = 1..=i32::from(system.brokers) + i32::from(system.controllers);
        let stranger = self
            .faults
            .iter()
            .find(|fault| matches!(fault.target, FaultTarget::Broker(id) if !ids.contains(&id)));
        match stranger {
            Some(fault) => {
                refuse(fault, format!("target = {}: the nodes are 1 to {}", fault.target, ids.end()))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::WorkloadError;
    use super::*;

    const HEAD: &str = "schema = \"workload/1\"\n[systems.ours]\nbrokers = 3\n[produce]\nacks = \"all\"\n";

    fn parse(body: &str) -> Result<Workload, WorkloadError> {
        Workload::parse("w.toml", &format!("{HEAD}{body}"), &[])
    }

    fn refused(body: &str) -> String {
        parse(body).expect_err(body).to_string()
    }

    #[test]
    fn a_fault_reads_with_its_defaults_and_stands_in_the_lock() {
        let workload = parse("[[faults]]\nkind = \"kill\"\nat = \"10s\"\nfor = \"5s\"\n").unwrap();
        let fault = &workload.faults[0];
        assert_eq!((fault.kind, fault.target), (FaultKind::Kill, FaultTarget::Leader));
        assert_eq!((fault.at, fault.lasts), (Period(10_000_000_000), Some(Period(5_000_000_000))));
        let again = Workload::parse("lock", &workload.to_lock(), &[]).unwrap();
        assert_eq!(again, workload);
    }

    #[test]
    fn every_target_reads_back_from_its_word() {
        for target in ["leader", "follower", "controller", "random", "broker:2"] {
            assert_eq!(target.parse::<FaultTarget>().unwrap().to_string(), target);
        }
        for wrong in ["broker", "broker:0", "broker:x", "Leader"] {
            assert!(wrong.parse::<FaultTarget>().unwrap_err().contains("broker:ID"), "{wrong}");
        }
    }

    #[test]
    fn what_nothing_could_be_seen_of_is_refused_with_its_reason() {
        for (body, words) in [
            ("[[faults]]\nkind = \"pause\"\nat = \"1s\"\n", "`for` is missing"),
            ("[[faults]]\nkind = \"restart\"\nat = \"1s\"\nfor = \"1s\"\n", "no effect"),
            ("[[faults]]\nkind = \"kill\"\nat = \"29s\"\nfor = \"5s\"\n", "the measured phase is 30s"),
            ("[[faults]]\nkind = \"kill\"\nat = \"1s\"\ntarget = \"broker:4\"\n", "the nodes are 1 to 3"),
            ("[[faults]]\nkind = \"kill\"\nat = \"1s\"\nwrite_rate = \"1MB\"\n", "only slow-disk"),
            ("[[faults]]\nkind = \"kill\"\nat = \"1s\"\nfro = \"5s\"\n", "`for`"),
        ] {
            let told = refused(body);
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn faults_need_answers_and_brokers_of_our_own() {
        let fault = "faults=[{kind=\"kill\",at=\"1s\"}]".to_owned();
        let with = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).chain([fault.clone()]).collect();
            Workload::parse("w.toml", HEAD, &sets).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(with(&[]), Ok(()));
        for (set, words) in [
            ("systems.ours={kind=\"null\"}", "only brokers that are started here"),
            ("produce.acks=1", "a new leader may lack"),
            ("driver=rdkafka", "driver = rdkafka"),
        ] {
            let told = with(&[set]).unwrap_err();
            assert!(told.contains(words), "{told}");
        }
        assert_eq!(with(&["produce.acks=1", "produce.idempotent=false"]), Ok(()));
    }
}
