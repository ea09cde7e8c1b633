//! What this node is to others: its roles, its listeners, and whom it finds the cluster through.

use plimsoll_controller::Role;

use super::ConfigError;
use super::values::{Endpoint, address, named_addresses};

/// How many controllers may vote.
const VOTERS: [usize; 3] = [1, 3, 5];

/// What this node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// It serves clients.
    pub broker: bool,
    /// It votes on the metadata.
    pub controller: bool,
}

/// How this node takes part in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSettings {
    /// `process.roles`.
    pub roles: Roles,
    /// Name of the clients' listener; other brokers are found at theirs of the same name.
    pub listener_name: String,
    /// Where nodes of the cluster connect.
    pub controller_listener: Endpoint,
    /// What they are told, if it differs.
    pub controller_advertised: Option<Endpoint>,
    /// `controller.quorum.voters`.
    pub voters: Vec<(i32, Endpoint)>,
    /// `controller.quorum.bootstrap.servers`.
    pub bootstrap_servers: Vec<Endpoint>,
}

/// The clients' listener, what they are told if it differs, and the rest.
type Read = (Endpoint, Option<Endpoint>, ClusterSettings);

impl ClusterSettings {
    /// Reads the keys of listeners and quorum, which `text` looks up. `given`: `listeners` is not the default.
    pub(super) fn read<'a>(text: &impl Fn(&str) -> &'a str, given: bool) -> Result<Read, ConfigError> {
        let names = text("controller.listener.names").trim();
        let named = |key: &str| Named::read(key, text(key), names, text("listener.security.protocol.map"));
        let roles = Roles {
            broker: text("process.roles").contains("broker"),
            controller: text("process.roles").contains("controller"),
        };
        let voters = voters(text("controller.quorum.voters"))?;
        let bootstrap_servers = servers(text("controller.quorum.bootstrap.servers"))?;
        let (listeners, told) = (named("listeners")?, named("advertised.listeners")?);
        let clients = match listeners.clients {
            Some(_) if !roles.broker && given => {
                return contradiction(
                    "a node with `process.roles=controller` serves no clients; name only its controller listener in `listeners`",
                );
            }
            Some(clients) => clients,
            None if roles.broker => return contradiction("`listeners` names no address for clients"),
            None => (String::new(), Endpoint { host: String::new(), port: 0 }),
        };
        let own_id: i32 = text("node.id").parse().unwrap_or_default();
        let own_vote = voters.iter().find(|(id, _)| *id == own_id).map(|(_, at)| at.clone());
        check(roles, own_vote.is_some(), &voters, &bootstrap_servers)?;
        let alone = voters.iter().all(|(id, _)| *id == own_id) && bootstrap_servers.is_empty();
        let by_default = || match own_vote.clone() {
            Some(at) => at,
            None if alone => Endpoint { host: "127.0.0.1".into(), port: 0 },
            None => Endpoint { host: clients.1.host.clone(), port: 0 },
        };
        let cluster = Self {
            roles,
            listener_name: clients.0,
            controller_listener: listeners.controller.unwrap_or_else(by_default),
            controller_advertised: told.controller.or(own_vote),
            voters,
            bootstrap_servers,
        };
        Ok((clients.1, told.clients.map(|(_, at)| at), cluster))
    }

    /// Whether this node is configured to be a cluster of its own.
    pub fn is_alone(&self, node_id: i32) -> bool {
        self.servers(node_id).is_empty()
    }

    /// What this node does in the quorum.
    pub(crate) fn role(&self, node_id: i32) -> Role {
        let first = self.voters.iter().map(|(id, _)| *id).min();
        match first {
            _ if !self.roles.controller => Role::Learner,
            Some(first) if first == node_id => Role::Bootstrap,
            None if self.bootstrap_servers.is_empty() => Role::Bootstrap,
            _ => Role::Voter,
        }
    }

    /// Whom this node asks when it joins.
    pub(crate) fn servers(&self, node_id: i32) -> Vec<(String, u16)> {
        let voters = self.voters.iter().filter(|(id, _)| *id != node_id).map(|(_, at)| at);
        let all = voters.chain(&self.bootstrap_servers);
        all.map(|at| (at.host.clone(), at.port)).collect()
    }
}

/// Addresses of one key, told apart by their names.
struct Named {
    clients: Option<(String, Endpoint)>,
    controller: Option<Endpoint>,
}

impl Named {
    fn read(key: &str, value: &str, controller: &str, protocols: &str) -> Result<Self, ConfigError> {
        let bad = |reason: &str| bad(key, value, reason.to_owned());
        let mut named = Self { clients: None, controller: None };
        for (name, at) in named_addresses(value).map_err(|reason| bad(&reason))? {
            if !is_plaintext(&name, controller, protocols)? {
                return Err(bad(
                    "the only security protocol here is PLAINTEXT: write `PLAINTEXT://host:port`, or map the listener's name to it in `listener.security.protocol.map`",
                ));
            }
            if name == controller {
                if named.controller.replace(at).is_some() {
                    return Err(bad("it names the controller listener twice"));
                }
            } else if named.clients.replace((name, at)).is_some() {
                return Err(bad("one listener is served to clients; name one address for them"));
            }
        }
        Ok(named)
    }
}

/// Whether what listens under this name is PLAINTEXT. Every entry of the map must be.
fn is_plaintext(name: &str, controller: &str, protocols: &str) -> Result<bool, ConfigError> {
    let mut mapped = name == "PLAINTEXT" || name == controller;
    for entry in protocols.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match entry.split_once(':') {
            Some((listener, "PLAINTEXT")) => mapped |= listener == name,
            _ => {
                let reason = format!("`{entry}` is not `NAME:PLAINTEXT`, which is the only protocol here");
                return Err(bad("listener.security.protocol.map", protocols, reason));
            }
        }
    }
    Ok(mapped)
}

fn voters(value: &str) -> Result<Vec<(i32, Endpoint)>, ConfigError> {
    let key = "controller.quorum.voters";
    let mut voters: Vec<(i32, Endpoint)> = Vec::new();
    for entry in value.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let parsed = entry.split_once('@').and_then(|(id, at)| Some((id.parse().ok()?, at)));
        let Some((id, at)) = parsed.filter(|(id, _)| *id >= 0) else {
            return Err(bad(key, value, format!("`{entry}` is not `id@host:port`")));
        };
        if voters.iter().any(|(other, _)| *other == id) {
            return Err(bad(key, value, format!("it names node {id} twice")));
        }
        voters.push((id, reachable(key, value, at)?));
    }
    match voters.len() {
        0 => Ok(voters),
        count if VOTERS.contains(&count) => Ok(voters),
        count => Err(bad(key, value, format!("{count} controllers cannot vote; 1, 3 or 5 can"))),
    }
}

fn servers(value: &str) -> Result<Vec<Endpoint>, ConfigError> {
    let entries = value.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(|entry| reachable("controller.quorum.bootstrap.servers", value, entry)).collect()
}

/// An address that can be called.
fn reachable(key: &str, value: &str, text: &str) -> Result<Endpoint, ConfigError> {
    let at = address(text).map_err(|reason| bad(key, value, reason))?;
    match at.host.is_empty() || at.port == 0 {
        true => Err(bad(key, value, format!("`{text}` names no host and port to call"))),
        false => Ok(at),
    }
}

/// What Kafka asks of roles and voters.
fn check(
    roles: Roles,
    votes: bool,
    voters: &[(i32, Endpoint)],
    servers: &[Endpoint],
) -> Result<(), ConfigError> {
    if !roles.controller && voters.is_empty() && servers.is_empty() {
        return contradiction(
            "a node with `process.roles=broker` needs `controller.quorum.voters` or `controller.quorum.bootstrap.servers`, through which it finds its controllers",
        );
    }
    if !voters.is_empty() && roles.controller != votes {
        return contradiction(match roles.controller {
            true => {
                "`controller.quorum.voters` must name this node's `node.id`, since its `process.roles` hold controller"
            }
            false => {
                "`controller.quorum.voters` names this node's `node.id`, whose `process.roles` do not hold controller"
            }
        });
    }
    Ok(())
}

fn contradiction<T>(reason: &str) -> Result<T, ConfigError> {
    Err(ConfigError::Contradiction(reason.to_owned()))
}

fn bad(key: &str, value: &str, reason: String) -> ConfigError {
    ConfigError::BadValue { place: "configuration".into(), key: key.into(), value: value.into(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn load(pairs: &[&str]) -> Result<ClusterSettings, ConfigError> {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        Settings::load(None, &pairs).map(|settings| settings.cluster)
    }

    fn at(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.into(), port }
    }

    const THREE: &str = "controller.quorum.voters=1@a:9093,2@b:9093,3@c:9093";

    #[test]
    fn without_a_word_a_node_is_a_cluster_of_its_own() {
        let cluster = load(&[]).expect("defaults");
        assert!(cluster.is_alone(1) && cluster.roles == Roles { broker: true, controller: true });
        assert_eq!((cluster.role(1), cluster.servers(1)), (Role::Bootstrap, Vec::new()));
        assert_eq!(cluster.controller_listener, at("127.0.0.1", 0));
    }

    #[test]
    fn the_lowest_voter_begins_the_cluster_and_the_others_join_it() {
        for (id, role) in [(1, Role::Bootstrap), (2, Role::Voter), (3, Role::Voter)] {
            let cluster = load(&[THREE, &format!("node.id={id}")]).expect("one of three");
            assert_eq!((cluster.role(id), cluster.is_alone(id), cluster.servers(id).len()), (role, false, 2));
            assert_eq!(cluster.controller_listener.port, 9093, "where the others look for it");
        }
        let follower = load(&[THREE, "node.id=4", "process.roles=broker"]).expect("a broker");
        assert_eq!((follower.role(4), follower.servers(4).len()), (Role::Learner, 3));
        let later = load(&["controller.quorum.bootstrap.servers=a:9093"]).expect("one that joins");
        assert_eq!((later.role(1), later.servers(1)), (Role::Voter, vec![("a".to_owned(), 9093)]));
    }

    #[test]
    fn listeners_are_told_apart_by_their_names() {
        let listeners = "listeners=INTERNAL://:9092,QUORUM://10.0.0.1:9093";
        let names = ["controller.listener.names=QUORUM", "listener.security.protocol.map=INTERNAL:PLAINTEXT"];
        let cluster = load(&[listeners, names[0], names[1]]).expect("named");
        assert_eq!(
            (&*cluster.listener_name, cluster.controller_listener),
            ("INTERNAL", at("10.0.0.1", 9093))
        );
        let told = "advertised.listeners=PLAINTEXT://x:1,CONTROLLER://y:2";
        assert_eq!(load(&[told]).expect("told").controller_advertised, Some(at("y", 2)));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for pairs in [
            &["process.roles=broker"][..],
            &[THREE, "node.id=4"],
            &[THREE, "process.roles=broker"],
            &["process.roles=controller", "listeners=PLAINTEXT://:9092,CONTROLLER://:9093"],
            &["listeners=CONTROLLER://:9093"],
            &["listeners=PLAINTEXT://:1,PLAINTEXT://:2"],
            &["listeners=INTERNAL://:1"],
            &["listener.security.protocol.map=PLAINTEXT:SSL"],
            &["controller.quorum.voters=1@a:1,2@b:2"],
            &["controller.quorum.voters=1@a:1,1@b:2,2@c:3"],
            &["controller.quorum.voters=a:1"],
            &["controller.quorum.bootstrap.servers=a"],
            &["controller.quorum.bootstrap.servers=:9093"],
        ] {
            assert!(load(pairs).is_err(), "{pairs:?}");
        }
        assert!(load(&["process.roles=controller", "listeners=CONTROLLER://:9093"]).is_ok());
    }
}
