//! Kafka's configuration: as little as makes one node of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use crate::cluster::{Place, voters};
use crate::home::Home;

/// Replicas of internal topics in a cluster that has as many brokers; Kafka's own default.
const INTERNAL_REPLICAS: u16 = 3;

/// Any id will do: each cluster lives for one trial.
pub(super) const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qk";

/// Kafka's own levels, on the console, which is the target's log in the bundle.
pub(super) const LOGGING: &str = "\
status = warn
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
";

/// Tells the JVM where [`LOGGING`] is.
pub(super) fn logging_flag(file: &Path) -> OsString {
    let mut flag = OsString::from("-Dlog4j2.configurationFile=");
    flag.push(file);
    flag
}

/// The lines of `server.properties`, with `config` over them.
pub(super) fn server(
    home: &Home,
    place: &Place,
    all: &[&Place],
    brokers: u16,
    config: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let replicas = brokers.clamp(1, INTERNAL_REPLICAS);
    let min_isr = replicas.div_ceil(2).to_string();
    let replicas = replicas.to_string();
    let mut lines = BTreeMap::from([
        ("process.roles", place.roles().to_owned()),
        ("node.id", place.id.to_string()),
        ("controller.quorum.voters", voters(all)),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("listeners", place.listeners(place.voter)),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned()),
        ("log.dirs", home.data_dir().to_string_lossy().into_owned()),
        ("offsets.topic.replication.factor", replicas.clone()),
        ("share.coordinator.state.topic.replication.factor", replicas.clone()),
        ("share.coordinator.state.topic.min.isr", min_isr.clone()),
        ("transaction.state.log.replication.factor", replicas),
        ("transaction.state.log.min.isr", min_isr),
    ]);
    if let Some(broker) = place.broker {
        lines.insert("advertised.listeners", format!("PLAINTEXT://{broker}"));
    }
    let lines = lines.into_iter().map(|(key, value)| (key.to_owned(), value));
    lines.chain(config.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{LOOPBACK, Layout};

    /// The lines of every node.
    fn lines(layout: Layout, asked: &[(&str, &str)]) -> Vec<BTreeMap<String, String>> {
        let root = tempfile::tempdir().unwrap();
        let home = Home::create(root.path(), false).unwrap();
        let places = layout.places(|_| LOOPBACK).unwrap();
        let all: Vec<&Place> = places.iter().collect();
        let asked = asked.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        all.iter().map(|place| server(&home, place, &all, layout.brokers, &asked)).collect()
    }

    #[test]
    fn what_is_asked_for_goes_over_what_a_node_needs() {
        let asked = [("num.io.threads", "16"), ("node.id", "7")];
        let lines = lines(Layout::default(), &asked).remove(0);
        assert!(lines["listeners"].starts_with("PLAINTEXT://127.0.0.1:"), "{lines:?}");
        assert!(lines["listeners"].contains(",CONTROLLER://127.0.0.1:"), "{lines:?}");
        assert_eq!((lines["num.io.threads"].as_str(), lines["node.id"].as_str()), ("16", "7"));
        assert_eq!(lines["offsets.topic.replication.factor"], "1");
    }

    #[test]
    fn controllers_of_their_own_are_no_brokers_and_vote_alone() {
        let lines = lines(Layout { controllers: 1, ..Layout::of(3) }, &[]);
        assert_eq!(lines.len(), 4);
        assert_eq!(
            (lines[0]["process.roles"].as_str(), lines[3]["process.roles"].as_str()),
            ("broker", "controller")
        );
        assert!(
            !lines[0]["listeners"].contains("CONTROLLER") && !lines[3].contains_key("advertised.listeners")
        );
        assert!(lines.iter().all(|node| node["controller.quorum.voters"].starts_with("4@")), "{lines:?}");
        assert_eq!(lines[0]["transaction.state.log.min.isr"], "2");
    }

    #[test]
    fn nothing_that_bears_on_speed_is_set() {
        for key in lines(Layout::default(), &[]).remove(0).keys() {
            assert!(!key.contains("threads") && !key.contains("flush") && !key.contains("buffer"), "{key}");
        }
    }
}
