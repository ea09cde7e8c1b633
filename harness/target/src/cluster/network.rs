//! A network of its own for every node, so that one can be cut off from the others and from its clients.
//!
//! Each node lives in a network namespace, and all are joined by a bridge in another one, which the harness's own
//! namespace reaches by one cable. The namespaces have no names: they are those of small processes that only hold them
//! and die with the harness, and with the namespaces go bridge, cables and addresses. Nothing is left behind, however
//! the harness ends.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::error::TargetError;
use crate::process::{Launch, Process, dice};
use crate::target::{HELPER_VERB, HOLD};

const TOOLS: [&str; 3] = ["ip", "unshare", "nsenter"];
/// A process that only prints one line is there at once.
const HOLDER_TIMEOUT: Duration = Duration::from_secs(10);
/// The harness's own address is the last one of the network.
const HERE: u8 = 254;

/// Whether nodes can have networks of their own here.
///
/// # Errors
/// Says what is missing.
pub fn can_isolate() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("it needs network namespaces, which only root may make; run as root".to_owned());
    }
    for tool in TOOLS {
        let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        // `ip` knows no --version and says so; that it is there is enough.
        if found.is_err() {
            return Err(format!("the program `{tool}` is not here; install iproute2 and util-linux"));
        }
    }
    let made = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
    match made {
        Ok(status) if status.success() => Ok(()),
        _ => Err("this kernel or container makes no network namespaces".to_owned()),
    }
}

/// The networks of one cluster.
#[derive(Debug)]
pub(crate) struct Network {
    executable: PathBuf,
    /// The first three bytes of every address.
    net: [u8; 3],
    hub: Process,
    /// By node.
    holders: BTreeMap<i32, Process>,
}

impl Network {
    /// A bridge, and a cable from here to it. `executable` is the harness's own.
    pub(crate) fn create(executable: &Path) -> Result<Network, TargetError> {
        let seed = dice();
        let [a, b, ..] = seed.to_le_bytes();
        // 10.64.0.0 to 10.191.255.0: seldom anybody's.
        let net = [10, 64 + a % 128, b];
        let cable = format!("plm{:08x}", seed >> 32);
        let hub = hold(executable)?;
        let network = Network { executable: executable.to_owned(), net, hub, holders: BTreeMap::new() };
        let hub = network.hub.pid();
        inside(hub, &["link", "add", "br0", "type", "bridge"])?;
        inside(hub, &["link", "set", "br0", "up"])?;
        let at = hub.to_string();
        ip(&["link", "add", &cable, "type", "veth", "peer", "name", "up0", "netns", &at])?;
        ip(&["addr", "add", &format!("{}/24", network.address(HERE)), "dev", &cable])?;
        ip(&["link", "set", &cable, "up"])?;
        inside(hub, &["link", "set", "up0", "master", "br0", "up"])?;
        Ok(network)
    }

    fn address(&self, last: u8) -> IpAddr {
        let [a, b, c] = self.net;
        IpAddr::V4(Ipv4Addr::new(a, b, c, last))
    }

    /// Where a node is. There are fewer than 250.
    pub(crate) fn ip_of(&self, node: i32) -> IpAddr {
        self.address(u8::try_from(node).unwrap_or(HERE - 1))
    }

    /// A network for one more node.
    pub(crate) fn join(&mut self, node: i32) -> Result<(), TargetError> {
        let holder = hold(&self.executable)?;
        let (hub, at, cable) = (self.hub.pid(), holder.pid().to_string(), cable_of(node));
        inside(hub, &["link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &at])?;
        inside(hub, &["link", "set", &cable, "master", "br0", "up"])?;
        let pid = holder.pid();
        inside(pid, &["addr", "add", &format!("{}/24", self.ip_of(node)), "dev", "eth0"])?;
        inside(pid, &["link", "set", "eth0", "up"])?;
        inside(pid, &["link", "set", "lo", "up"])?;
        self.holders.insert(node, holder);
        Ok(())
    }

    /// The same program in the node's network.
    pub(crate) fn place(&self, node: i32, mut launch: Launch) -> Launch {
        if let Some(holder) = self.holders.get(&node) {
            let net = format!("--net=/proc/{}/ns/net", holder.pid()).into();
            let program = std::mem::replace(&mut launch.executable, "nsenter".into());
            let before = [net, "--".into(), program.into_os_string()];
            launch.arguments = before.into_iter().chain(launch.arguments).collect();
        }
        launch
    }

    /// Pulls the node's cable: nothing comes or goes, and nobody is told.
    pub(crate) fn cut(&self, node: i32) -> Result<(), TargetError> {
        inside(self.hub.pid(), &["link", "set", &cable_of(node), "down"])
    }

    /// Puts it back.
    pub(crate) fn mend(&self, node: i32) -> Result<(), TargetError> {
        inside(self.hub.pid(), &["link", "set", &cable_of(node), "up"])
    }
}

fn cable_of(node: i32) -> String {
    format!("node{node}")
}

/// A process whose only work is to have a network namespace.
fn hold(executable: &Path) -> Result<Process, TargetError> {
    Process::start(Launch {
        name: "network namespace".to_owned(),
        executable: "unshare".into(),
        arguments: vec!["--net".into(), "--".into(), executable.into(), HELPER_VERB.into(), HOLD.into()],
        log: "/dev/null".into(),
        start_timeout: HOLDER_TIMEOUT,
        stop_timeout: HOLDER_TIMEOUT,
        detached: false,
    })
}

fn ip(arguments: &[&str]) -> Result<(), TargetError> {
    run(Command::new("ip").args(arguments), arguments)
}

/// `ip` in the network of a process.
fn inside(pid: u32, arguments: &[&str]) -> Result<(), TargetError> {
    let net = format!("--net=/proc/{pid}/ns/net");
    run(Command::new("nsenter").arg(net).args(["--", "ip"]).args(arguments), arguments)
}

fn run(command: &mut Command, said: &[&str]) -> Result<(), TargetError> {
    let failed = |reason: String| TargetError::Network { command: format!("ip {}", said.join(" ")), reason };
    let output = command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
