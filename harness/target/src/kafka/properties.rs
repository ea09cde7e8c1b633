//! Kafka's configuration: as little as makes one node of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use crate::home::Home;

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
    address: SocketAddr,
    controller: SocketAddr,
    config: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let lines = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        ("controller.quorum.voters", format!("1@{controller}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("listeners", format!("PLAINTEXT://{address},CONTROLLER://{controller}")),
        ("advertised.listeners", format!("PLAINTEXT://{address}")),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned()),
        ("log.dirs", home.data_dir().to_string_lossy().into_owned()),
        ("offsets.topic.replication.factor", "1".to_owned()),
        ("share.coordinator.state.topic.replication.factor", "1".to_owned()),
        ("share.coordinator.state.topic.min.isr", "1".to_owned()),
        ("transaction.state.log.replication.factor", "1".to_owned()),
        ("transaction.state.log.min.isr", "1".to_owned()),
    ];
    let lines = lines.into_iter().map(|(key, value)| (key.to_owned(), value));
    lines.chain(config.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_goes_over_what_a_node_needs() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::create(root.path(), false).unwrap();
        let [at, controller] = [9092, 9093].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let asked = [("num.io.threads", "16"), ("node.id", "7")];
        let asked = asked.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let lines = server(&home, at, controller, &asked);
        assert_eq!(lines["listeners"], "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093");
        assert_eq!((lines["num.io.threads"].as_str(), lines["node.id"].as_str()), ("16", "7"));
    }

    #[test]
    fn nothing_that_bears_on_speed_is_set() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::create(root.path(), false).unwrap();
        let at = SocketAddr::from(([127, 0, 0, 1], 1));
        for key in server(&home, at, at, &BTreeMap::new()).keys() {
            assert!(!key.contains("threads") && !key.contains("flush") && !key.contains("buffer"), "{key}");
        }
    }
}
