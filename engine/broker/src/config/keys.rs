//! The table of broker keys: name, kind, default, documentation. Help, validation and DescribeConfigs
//! all read it.

/// What values a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A whole number in this range.
    Int {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
        /// How Kafka types it on the wire: 32 or 64 bits.
        wide: bool,
    },
    /// A number with a fraction in this range.
    Double {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// `true` or `false`.
    Bool,
    /// Any text.
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// One broker key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Kafka's name, or ours under `plimsoll.`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its default; empty means "derived", as the documentation says.
    pub default: &'static str,
    /// One sentence for people.
    pub doc: &'static str,
}

const fn int(name: &'static str, min: i64, max: i64, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind: Kind::Int { min, max, wide: false }, default, doc }
}

const fn long(name: &'static str, min: i64, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind: Kind::Int { min, max: i64::MAX, wide: true }, default, doc }
}

const fn double(name: &'static str, min: f64, max: f64, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind: Kind::Double { min, max }, default, doc }
}

const fn boolean(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind: Kind::Bool, default, doc }
}

const fn text(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind: Kind::Text, default, doc }
}

const fn one_of(
    name: &'static str,
    words: &'static [&'static str],
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, kind: Kind::OneOf(words), default, doc }
}

/// The words of `cleanup.policy`; Kafka takes a list in any order.
pub(super) const CLEANUP_POLICIES: &[&str] = &["delete", "compact", "compact,delete", "delete,compact"];

const I32: i64 = i32::MAX as i64;

/// Every broker key that is enforced.
pub const KEYS: &[Key] = &[
    int("node.id", 0, I32, "1", "This node's id in the cluster."),
    text(
        "listeners",
        "PLAINTEXT://127.0.0.1:9092",
        "Where clients connect, `PLAINTEXT://host:port`, and, behind a comma, where other nodes do, `CONTROLLER://host:port`. Port 0 takes any free port; an empty host listens on all interfaces.",
    ),
    text(
        "advertised.listeners",
        "",
        "The addresses that clients and other nodes are told; by default the listeners', or this host's name when that is a wildcard.",
    ),
    text(
        "listener.security.protocol.map",
        "",
        "Names of listeners and their protocols, `NAME:PLAINTEXT,…`; PLAINTEXT is the only protocol, and CONTROLLER and PLAINTEXT need no entry.",
    ),
    text(
        "controller.listener.names",
        "CONTROLLER",
        "The name of the listener at which nodes of the cluster reach this one.",
    ),
    text(
        "log.dirs",
        "plimsoll-data",
        "The directories that hold the partitions, separated by commas; the first also holds the metadata log.",
    ),
    one_of(
        "process.roles",
        &["broker,controller", "controller,broker", "broker", "controller"],
        "broker,controller",
        "Whether this node serves clients (broker), votes on the metadata (controller), or both.",
    ),
    text(
        "controller.quorum.voters",
        "",
        "The controllers that begin the cluster, `id@host:port,…`, 1, 3 or 5, the same on every node; the one with the lowest id begins it.",
    ),
    text(
        "controller.quorum.bootstrap.servers",
        "",
        "CONTROLLER listeners of nodes that are in the cluster, `host:port,…`, through which this one joins it. Without these and without voters a node is a cluster of its own.",
    ),
    int(
        "controller.quorum.fetch.timeout.ms",
        200,
        I32,
        "1200",
        "Silence of the active controller after which another controller stands for election.",
    ),
    int(
        "controller.quorum.request.timeout.ms",
        100,
        I32,
        "2000",
        "How long one question to another node may take.",
    ),
    text(
        "plimsoll.cluster.id",
        "",
        "The cluster's id, written into empty log directories. All nodes of a cluster need the same; a node of its own makes one up.",
    ),
    text("broker.rack", "", "The rack or zone of this broker; replicas are spread over racks."),
    int(
        "broker.heartbeat.interval.ms",
        10,
        I32,
        "500",
        "How often the broker shows the active controller that it is alive.",
    ),
    int(
        "broker.session.timeout.ms",
        100,
        I32,
        "3000",
        "Silence after which the active controller fences a broker; each controller goes by its own.",
    ),
    boolean(
        "controlled.shutdown.enable",
        "true",
        "Whether a broker that is told to stop hands its leaderships on first.",
    ),
    boolean(
        "auto.leader.rebalance.enable",
        "true",
        "Whether the active controller gives leaderships back to preferred leaders that are in sync again.",
    ),
    int("leader.imbalance.check.interval.seconds", 1, I32, "300", "How often it looks for such."),
    int("num.network.threads", 1, 256, "", "Runtimes that serve connections; by default one per core."),
    int("num.partitions", 1, 10_000, "1", "Partitions of a topic created without a number."),
    int(
        "default.replication.factor",
        1,
        i16::MAX as i64,
        "1",
        "Replicas of a topic created without a number; there must be as many brokers in service.",
    ),
    boolean(
        "auto.create.topics.enable",
        "true",
        "Whether asking for the metadata of an unknown topic creates it.",
    ),
    boolean("delete.topic.enable", "true", "Whether topics can be deleted."),
    int(
        "socket.request.max.bytes",
        1024,
        I32,
        "104857600",
        "Largest request; a connection that declares a larger one is closed before memory is taken.",
    ),
    int("socket.send.buffer.bytes", -1, I32, "-1", "SO_SNDBUF of connections; -1 leaves it to the kernel."),
    int(
        "socket.receive.buffer.bytes",
        -1,
        I32,
        "-1",
        "SO_RCVBUF of connections; -1 leaves it to the kernel.",
    ),
    int("max.connections", 1, I32, "4096", "Connections in all; one more is closed at once."),
    int(
        "max.connections.per.ip",
        1,
        I32,
        "4096",
        "Connections from one address; one more is closed at once.",
    ),
    long("connections.max.idle.ms", 1, "600000", "An idle connection is closed after this long."),
    int("message.max.bytes", 0, I32, "1048588", "Largest record batch, as it arrives."),
    int("log.segment.bytes", 14, I32, "1073741824", "A segment rolls before it grows past this."),
    long(
        "log.roll.ms",
        1,
        "604800000",
        "A segment rolls when a record is this much later than its first record.",
    ),
    int("log.index.interval.bytes", 0, I32, "4096", "Bytes of batches between two index entries."),
    int(
        "log.index.size.max.bytes",
        12,
        I32,
        "10485760",
        "A segment rolls when its offset index reaches this size.",
    ),
    long(
        "log.flush.interval.messages",
        1,
        "9223372036854775807",
        "Records after which a partition is synced to disk.",
    ),
    long(
        "log.flush.interval.ms",
        1,
        "9223372036854775807",
        "Age of an unsynced record at which its partition is synced.",
    ),
    one_of(
        "log.message.timestamp.type",
        &["CreateTime", "LogAppendTime"],
        "CreateTime",
        "Whose clock stamps records.",
    ),
    long(
        "log.message.timestamp.before.max.ms",
        0,
        "9223372036854775807",
        "How far a record's timestamp may lie behind the broker's clock.",
    ),
    long(
        "log.message.timestamp.after.max.ms",
        0,
        "3600000",
        "How far a record's timestamp may lie ahead of the broker's clock.",
    ),
    one_of(
        "compression.type",
        &["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"],
        "producer",
        "The codec of stored batches; `producer` keeps each as it came, any other recompresses what differs.",
    ),
    int(
        "min.insync.replicas",
        1,
        I32,
        "1",
        "Replicas that must be in sync for acks=all, or all of them if there are fewer.",
    ),
    long(
        "replica.lag.time.max.ms",
        1,
        "30000",
        "A follower that has not been caught up for this long leaves the ISR.",
    ),
    int("num.replica.fetchers", 1, 64, "1", "Connections over which a broker follows each other broker."),
    int(
        "replica.fetch.max.bytes",
        0,
        I32,
        "1048576",
        "Most bytes of one partition in a leader's answer to a follower, save for one batch.",
    ),
    int(
        "replica.fetch.response.max.bytes",
        0,
        I32,
        "10485760",
        "Most bytes of a leader's answer to a follower, save for one batch.",
    ),
    int("replica.fetch.min.bytes", 0, I32, "1", "A leader answers a follower as soon as it has this much."),
    int(
        "replica.fetch.wait.max.ms",
        0,
        I32,
        "500",
        "A leader answers a follower after this long at the latest.",
    ),
    int(
        "replica.fetch.backoff.ms",
        0,
        I32,
        "1000",
        "The longest pause of a follower after failures; the first pauses are shorter.",
    ),
    int(
        "replica.socket.timeout.ms",
        1,
        I32,
        "30000",
        "A leader that does not answer a follower for this long is taken to be gone.",
    ),
    int(
        "replica.socket.receive.buffer.bytes",
        -1,
        I32,
        "-1",
        "SO_RCVBUF of a follower's connections; -1 leaves it to the kernel.",
    ),
    one_of(
        "replica.selector.class",
        &["", "org.apache.kafka.common.replica.RackAwareReplicaSelector"],
        "",
        "Whether consumers are sent to a replica in their rack: empty for no, or the name of Kafka's selector.",
    ),
    int("fetch.max.bytes", 1024, I32, "57671680", "Most bytes of records in one fetch response."),
    int(
        "max.incremental.fetch.session.cache.slots",
        0,
        1_000_000,
        "1000",
        "Incremental fetch sessions kept; further clients are served without one.",
    ),
    long(
        "producer.id.expiration.ms",
        1,
        "86400000",
        "A producer that has been silent this long is forgotten by a partition.",
    ),
    long(
        "log.flush.offset.checkpoint.interval.ms",
        1,
        "60000",
        "How often recovery points are written down.",
    ),
    long(
        "replica.high.watermark.checkpoint.interval.ms",
        1,
        "5000",
        "How often high watermarks are written down.",
    ),
    long(
        "log.retention.ms",
        -1,
        "",
        "Age at which a segment is deleted, in milliseconds; -1 keeps it. By default what log.retention.minutes or log.retention.hours say.",
    ),
    int("log.retention.minutes", -1, I32, "", "The same in minutes; -1 keeps everything."),
    int("log.retention.hours", -1, I32, "168", "The same in hours; -1 keeps everything."),
    long(
        "log.retention.bytes",
        -1,
        "-1",
        "Size of a partition beyond which its oldest segments are deleted; -1 keeps them.",
    ),
    long("log.retention.check.interval.ms", 1, "300000", "How often retention is looked at."),
    one_of(
        "log.cleanup.policy",
        CLEANUP_POLICIES,
        "delete",
        "What happens to old records: segments are deleted by age and size, or keys are compacted, or both.",
    ),
    boolean("log.cleaner.enable", "true", "Whether topics with a compacting policy are compacted."),
    int("log.cleaner.threads", 1, 1, "1", "Cleanings at a time; there is one cleaner."),
    long(
        "log.cleaner.dedupe.buffer.size",
        1 << 20,
        "134217728",
        "Memory for the keys of one cleaning; taken while one runs.",
    ),
    double(
        "log.cleaner.io.max.bytes.per.second",
        1.0,
        f64::MAX,
        "1.7976931348623157E308",
        "What the cleaner may read and write in a second.",
    ),
    long("log.cleaner.backoff.ms", 1, "15000", "How long the cleaner rests when there is nothing to clean."),
    long(
        "log.cleaner.delete.retention.ms",
        0,
        "86400000",
        "How long tombstones stay after a cleaning has met them.",
    ),
    double(
        "log.cleaner.min.cleanable.ratio",
        0.0,
        1.0,
        "0.5",
        "The dirty part of a log above which it is cleaned.",
    ),
    long("log.cleaner.min.compaction.lag.ms", 0, "0", "A record is not compacted before it is this old."),
    long(
        "log.cleaner.max.compaction.lag.ms",
        1,
        "9223372036854775807",
        "A dirty segment of this age is cleaned however little is dirty.",
    ),
    one_of(
        "plimsoll.storage.backend",
        &["page-cache", "mmap", "io_uring"],
        "page-cache",
        "How segment files are read and written.",
    ),
    one_of(
        "plimsoll.storage.fallback",
        &["none", "page-cache"],
        "none",
        "The backend to use when the chosen one does not work here; `none` refuses to start.",
    ),
    one_of(
        "plimsoll.storage.preallocation",
        &["none", "fallocate", "zero-fill"],
        "fallocate",
        "How space is reserved ahead of writes.",
    ),
    one_of(
        "plimsoll.storage.placement",
        &["inline", "lane"],
        "inline",
        "Where writes run: on the thread of the request, or on one thread per log directory.",
    ),
    boolean(
        "plimsoll.storage.verify.on.read",
        "false",
        "Whether every batch is checked against its checksum before a client gets it; costs zero-copy.",
    ),
    boolean(
        "plimsoll.storage.page.cache.dontcache",
        "false",
        "Writes leave nothing in the page cache (RWF_DONTCACHE, Linux 6.14).",
    ),
    long(
        "plimsoll.storage.page.cache.writeback.bytes",
        0,
        "0",
        "Dirty bytes of a segment after which write-back begins; 0 leaves it to the kernel.",
    ),
    boolean("plimsoll.storage.io_uring.direct", "true", "Around the page cache (O_DIRECT), or through it."),
    int("plimsoll.storage.io_uring.depth", 1, 1024, "16", "Writes in flight per segment."),
    boolean("plimsoll.storage.io_uring.sqpoll", "false", "A kernel thread polls for submissions."),
    one_of(
        "plimsoll.storage.io_uring.sync",
        &["ring", "syscall"],
        "ring",
        "Whether a sync goes through the ring or is a system call on another thread.",
    ),
    long(
        "plimsoll.storage.io_uring.tail.cache.bytes",
        0,
        "16777216",
        "Memory for what was written last, so that tail reads need no device; 0 for none.",
    ),
    text(
        "plimsoll.http.listener",
        "",
        "Where /metrics, /health and /stages are served: `host:port`, or `:port` on loopback; port 0 takes any free one. Empty for nowhere.",
    ),
    one_of(
        "plimsoll.durability",
        &["replicated", "fsync"],
        "replicated",
        "What an acknowledgement promises: records in the kernel (replicated) or on the device (fsync).",
    ),
];

/// Kafka's keys that this broker knows and does not enforce, each with the reason.
const UNENFORCED: &[(&str, &str)] = &[
    ("log.cleaner.io.buffer.size", "the cleaner reads in steps of its own"),
    ("log.cleaner.io.buffer.load.factor", "the cleaner's map of keys is always used up to nine tenths"),
    ("log.segment.delete.delay.ms", "deleted files go at once; readers of them go on"),
    ("log.flush.start.offset.checkpoint.interval.ms", "log starts are written down with recovery points"),
    ("num.io.threads", "requests are served on the runtime that read them"),
    ("background.threads", "background work has one runtime"),
    ("num.recovery.threads.per.data.dir", "recovery runs on one thread"),
    ("queued.max.requests", "each connection has its own bounded queue"),
    ("offsets.", "there are no consumer groups"),
    ("group.", "there are no consumer groups"),
    ("transaction.", "there are no transactions"),
    ("transactional.id.expiration.ms", "there are no transactions"),
    (
        "controller.quorum.election.",
        "a controller stands for election after controller.quorum.fetch.timeout.ms",
    ),
    ("controller.quorum.append.linger.ms", "metadata changes are written as they come"),
    ("controller.quorum.retry.backoff.ms", "another node is asked again at once"),
    ("controller.quota.", "there are no quotas"),
    (
        "controller.socket.timeout.ms",
        "controller.quorum.request.timeout.ms says how long a question may take",
    ),
    ("controlled.shutdown.max.retries", "a broker that stops asks once and waits a few seconds"),
    ("controlled.shutdown.retry.backoff.ms", "a broker that stops asks once and waits a few seconds"),
    ("initial.broker.registration.timeout.ms", "a broker waits for its registration as long as it takes"),
    ("inter.broker.listener.name", "brokers reach each other at the clients' listener"),
    ("security.inter.broker.protocol", "the only security protocol is PLAINTEXT"),
    ("unclean.leader.election.enable", "only replicas in sync are elected"),
    ("leader.imbalance.per.broker.percentage", "every leadership that can goes back"),
    ("metadata.log.", "the metadata log lies in the first log directory and is cut behind snapshots"),
    ("ssl.", "there is no TLS"),
    ("sasl.", "there is no authentication"),
    ("authorizer.class.name", "there is no authorisation"),
    ("super.users", "there is no authorisation"),
    ("quota.", "there are no quotas"),
    ("metric.reporters", "there are no pluggable reporters"),
    ("metrics.", "there are no pluggable reporters"),
    ("zookeeper.", "there is no ZooKeeper"),
];

/// Why Kafka's key `name` has no effect here, or `None` if it is not such a key.
pub fn unenforced(name: &str) -> Option<&'static str> {
    let matches = |pattern: &str| match pattern.strip_suffix('.') {
        Some(_) => name.starts_with(pattern),
        None => name == pattern,
    };
    UNENFORCED.iter().find(|(pattern, _)| matches(pattern)).map(|(_, reason)| *reason)
}

impl Kind {
    /// Whether `value` fits; otherwise what would.
    pub fn check(&self, value: &str) -> Result<(), String> {
        match self {
            Kind::Int { min, max, .. } => match value.parse::<i64>() {
                Ok(number) if (*min..=*max).contains(&number) => Ok(()),
                _ => Err(format!("it takes a whole number from {min} to {max}")),
            },
            Kind::Double { min, max } => match value.parse::<f64>() {
                Ok(number) if (*min..=*max).contains(&number) => Ok(()),
                _ => Err(format!("it takes a number from {min} to {max:e}")),
            },
            Kind::Bool => match value {
                "true" | "false" => Ok(()),
                _ => Err("it takes `true` or `false`".into()),
            },
            Kind::Text => Ok(()),
            Kind::OneOf(words) if words.contains(&value) => Ok(()),
            Kind::OneOf(words) => Err(format!("it takes one of: {}", words.join(", "))),
        }
    }
}

/// The table entry of `name`.
pub(super) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_fits_its_own_kind() {
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            assert_eq!(key.kind.check(key.default), Ok(()), "{}", key.name);
        }
    }

    #[test]
    fn no_key_is_listed_twice_or_both_enforced_and_not() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(KEYS.iter().skip(index + 1).all(|other| other.name != key.name), "{} twice", key.name);
            assert_eq!(unenforced(key.name), None, "{} is enforced", key.name);
        }
    }

    #[test]
    fn prefixes_match_families_and_names_match_themselves() {
        assert!(unenforced("log.cleaner.io.buffer.size").is_some());
        assert!(unenforced("sasl.enabled.mechanisms").is_some());
        assert!(unenforced("super.users").is_some());
        assert!(unenforced("super.usersx").is_none());
    }
}
