//! Rules between keys, checked once after reading, so that no run starts that cannot mean anything.

use plimsoll_client::records::{Codec, ParseCodecError};
use plimsoll_results::stats::STEADY_INTERVALS;

use super::error::Invalid;
use super::units::{Period, Size};
use super::{Acks, ConsumeMode, LoadMode, PageCache, PayloadKind, Produce, System, SystemKind, Workload};

/// The most batches per producer and partition that a broker can tell apart on a retry (KIP-98).
const IDEMPOTENT_IN_FLIGHT_MAX: u32 = 5;

/// A machine that is not this one has more.
const BROKERS_MAX: u16 = 100;
/// Quorums of an even number bear no more losses than the next smaller one.
const CONTROLLERS: [u16; 4] = [0, 1, 3, 5];

impl Workload {
    /// Checks every rule; the first that does not hold is returned.
    ///
    /// # Errors
    /// [`Invalid`] names the key and what it must be.
    pub fn check(&self) -> Result<(), Invalid> {
        self.check_system()?;
        self.check_topic()?;
        self.check_produce()?;
        self.check_load()?;
        self.check_payload()?;
        self.check_driver()?;
        self.check_replicas()?;
        self.check_faults()
    }

    /// The codec named by `produce.codec`.
    ///
    /// # Errors
    /// [`Invalid::Codec`] when there is no such codec or level.
    pub fn codec(&self) -> Result<Codec, Invalid> {
        self.produce.codec()
    }

    /// The system that is measured, with its label. Call after [`Workload::check`].
    pub fn chosen(&self) -> (&str, &System) {
        let named = self.systems.get_key_value(&self.system);
        let found = named.or_else(|| self.systems.first_key_value());
        match found {
            Some((label, system)) => (label, system),
            None => unreachable!("check() refuses a workload without systems"),
        }
    }

    pub(super) fn choose_only_system(&mut self) {
        if self.system.is_empty()
            && let Some(label) = self.systems.keys().next()
        {
            self.system = label.clone();
        }
    }

    fn check_system(&self) -> Result<(), Invalid> {
        let labels = || self.systems.keys().cloned().collect::<Vec<_>>().join(", ");
        if self.systems.is_empty() {
            return Err(range("systems", "{}", "at least one system"));
        }
        if self.system.is_empty() && self.systems.len() > 1 {
            return Err(Invalid::ChooseSystem { labels: labels() });
        }
        if !self.system.is_empty() && !self.systems.contains_key(&self.system) {
            return Err(Invalid::NoSuchSystem { label: self.system.clone(), labels: labels() });
        }
        let spins = |system: &&System| !matches!(system.kind, SystemKind::Null | SystemKind::Floor);
        if let Some(system) = self.systems.values().filter(spins).find(|system| system.spin_per_record.0 > 0)
        {
            let must = "0ns: only the null target and the floor program can be slowed down";
            return Err(range("systems.spin_per_record", system.spin_per_record, must));
        }
        let homeless =
            self.systems.iter().find(|(_, s)| s.kind == SystemKind::External && s.bootstrap.is_empty());
        homeless.map_or(Ok(()), |(label, _)| Err(Invalid::NoBootstrap(label.clone())))?;
        self.systems.iter().try_for_each(|(label, system)| system.check(label))
    }

    fn check_topic(&self) -> Result<(), Invalid> {
        let topic = &self.topic;
        at_least_one("topic.count", topic.count)?;
        at_least_one("topic.partitions", u32::try_from(topic.partitions).unwrap_or(0))?;
        at_least_one("topic.replication", u32::try_from(topic.replication).unwrap_or(0))?;
        if topic.min_insync > topic.replication || topic.min_insync < 1 {
            let (min_insync, replication) = (topic.min_insync, topic.replication);
            return Err(Invalid::MinInsync { min_insync, replication });
        }
        match topic.name.is_empty() || topic.name.len() > 200 {
            true => Err(range("topic.name", &topic.name, "1 to 200 characters")),
            false => Ok(()),
        }
    }

    /// How many brokers somebody else's cluster has, it says itself; librdkafka's mock has as many as are asked for. The
    /// small servers keep nothing.
    fn check_replicas(&self) -> Result<(), Invalid> {
        let (label, system) = self.chosen();
        let ours = matches!(system.kind, SystemKind::Managed | SystemKind::ManagedKafka);
        let enough = i32::from(self.topic.replication) <= i32::from(system.brokers);
        match !ours || enough {
            true => Ok(()),
            false => Err(Invalid::TooFewBrokers {
                replication: self.topic.replication,
                label: label.to_owned(),
                brokers: if system.brokers == 1 {
                    "one broker".into()
                } else {
                    format!("{} brokers", system.brokers)
                },
            }),
        }
    }

    fn check_produce(&self) -> Result<(), Invalid> {
        let produce = &self.produce;
        at_least_one("produce.workers", produce.workers)?;
        at_least_one("produce.max_in_flight", produce.max_in_flight)?;
        if produce.idempotent && produce.acks == Acks::None {
            return Err(Invalid::IdempotentWithoutAcks);
        }
        if produce.idempotent && produce.max_in_flight > IDEMPOTENT_IN_FLIGHT_MAX {
            return Err(Invalid::IdempotentWindow(produce.max_in_flight));
        }
        if !(1 << 9..=1 << 30).contains(&produce.batch_bytes.0) {
            return Err(range("produce.batch_bytes", produce.batch_bytes, "from 512B to 1GiB"));
        }
        for (key, value) in
            [("produce.request_bytes", produce.request_bytes), ("produce.buffer_bytes", produce.buffer_bytes)]
        {
            if value < produce.batch_bytes {
                let (value, batch) = (value.to_string(), produce.batch_bytes.to_string());
                return Err(Invalid::TooSmallForBatch { key, value, batch });
            }
        }
        produce.codec().map(drop)
    }

    fn check_load(&self) -> Result<(), Invalid> {
        let (load, phases) = (&self.load, &self.phases);
        at_least_one("consume.groups", self.consume.groups)?;
        at_least_one("consume.members", self.consume.members)?;
        let late = matches!(self.consume.mode, ConsumeMode::Backlog | ConsumeMode::Replay);
        let ours = matches!(self.chosen().1.kind, SystemKind::Managed | SystemKind::ManagedKafka);
        if self.consume.page_cache != PageCache::AsIs && !(late && ours) {
            let must = "as-is unless consumers of a target started here read a backlog or a replay";
            return Err(range("consume.page_cache", self.consume.page_cache.as_str(), must));
        }
        let rate = load.rate.per_s();
        if load.mode == LoadMode::Open && !(rate > 0.0 && rate <= 1e9) {
            return Err(range("load.rate", load.rate, "more than 0/s and at most 1G/s"));
        }
        let judged = Period((STEADY_INTERVALS as u64 + 1) * 1_000_000_000);
        if phases.warmup_max < phases.warmup || (phases.judges_warmup() && phases.warmup_max < judged) {
            let must = "phases.warmup, or at least 11s: ten seconds are judged";
            return Err(range("phases.warmup_max", phases.warmup_max, must));
        }
        if phases.measure.0 < 1_000_000_000 {
            return Err(range(
                "phases.measure",
                phases.measure,
                "at least 1s: no rate is computed from less",
            ));
        }
        Ok(())
    }

    fn check_payload(&self) -> Result<(), Invalid> {
        let payload = &self.payload;
        if payload.kind == PayloadKind::File && payload.path.as_os_str().is_empty() {
            return Err(Invalid::Payload { kind: "file", needs: "payload.path" });
        }
        let generated = match payload.kind {
            PayloadKind::Random => Some("random"),
            PayloadKind::Pattern => Some("pattern"),
            _ => None,
        };
        if let Some(kind) = generated.filter(|_| payload.size == Size(0)) {
            return Err(Invalid::Payload { kind, needs: "payload.size" });
        }
        if payload.ratio != 0.0 && !(1.0..=1000.0).contains(&payload.ratio) {
            return Err(range("payload.ratio", payload.ratio, "0 or from 1 to 1000"));
        }
        if !(0.0..=8.0).contains(&payload.entropy_bits) {
            return Err(range("payload.entropy_bits", payload.entropy_bits, "from 0 to 8 bits per byte"));
        }
        if payload.size > Size(64 << 20) {
            return Err(range("payload.size", payload.size, "at most 64MiB"));
        }
        if payload.kind != PayloadKind::Random && payload.pool != super::Payload::default().pool {
            return Err(range("payload.pool", payload.pool, "left out: only kind = \"random\" makes a pool"));
        }
        match payload.pool < Size(64 << 10) {
            true => Err(range("payload.pool", payload.pool, "at least 64KiB")),
            false => Ok(()),
        }
    }
}

impl System {
    /// Refuses what would have no effect.
    fn check(&self, label: &str) -> Result<(), Invalid> {
        let kafka = self.kind == SystemKind::ManagedKafka;
        let nodes = kafka || self.kind == SystemKind::Managed;
        if !(1..=BROKERS_MAX).contains(&self.brokers) {
            return Err(range("systems.brokers", self.brokers, "1 to 100"));
        }
        if !CONTROLLERS.contains(&self.controllers) {
            return Err(range("systems.controllers", self.controllers, "0, 1, 3 or 5: an odd number votes"));
        }
        let only = |key, kinds| Err(Invalid::NoEffect { label: label.to_owned(), key, kinds });
        if !self.jvm_options.is_empty() && !kafka {
            return only("jvm_options", "managed-kafka");
        }
        if (self.brokers, self.controllers) != (1, 0) && !nodes {
            return only("brokers", "managed, managed-kafka");
        }
        if !self.config.is_empty() && !nodes {
            return only("config", "managed, managed-kafka");
        }
        match self.config.keys().any(|key| key.starts_with("plimsoll.")) && kafka {
            true => only("config.\"plimsoll.…\"", "managed"),
            false => Ok(()),
        }
    }
}

impl Produce {
    fn codec(&self) -> Result<Codec, Invalid> {
        let refuse =
            |error: ParseCodecError| Invalid::Codec { codec: self.codec.clone(), reason: error.to_string() };
        self.codec.parse().map_err(refuse)
    }
}

fn range(key: &'static str, value: impl ToString, must: &'static str) -> Invalid {
    Invalid::Range { key, value: value.to_string(), must }
}

fn at_least_one(key: &'static str, value: u32) -> Result<(), Invalid> {
    if value == 0 { Err(range(key, value, "at least 1")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn fault(sets: &[&str]) -> Invalid {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        match Workload::parse("w.toml", "schema = \"workload/1\"\n", &sets) {
            Err(WorkloadError::Invalid { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_that_contradict_each_other_are_refused() {
        assert_eq!(fault(&["produce.acks=0"]), Invalid::IdempotentWithoutAcks);
        assert_eq!(fault(&["produce.max_in_flight=6"]), Invalid::IdempotentWindow(6));
        assert!(matches!(fault(&["produce.batch_bytes=2MiB"]), Invalid::TooSmallForBatch { .. }));
        assert!(matches!(fault(&["topic.min_insync=2"]), Invalid::MinInsync { .. }));
        assert!(matches!(fault(&["topic.replication=3"]), Invalid::TooFewBrokers { .. }));
        assert!(matches!(fault(&["produce.codec=brotli"]), Invalid::Codec { .. }));
        assert!(matches!(fault(&["systems.ours.kind=external"]), Invalid::NoBootstrap(_)));
        assert!(matches!(fault(&["payload.kind=file"]), Invalid::Payload { .. }));
        for without_effect in [
            "systems.ours.jvm_options=[\"-Xmx2G\"]",
            "systems.n={kind=\"null\",config={\"a\"=1}}",
            "systems.n={kind=\"null\",brokers=3}",
            "systems.k={kind=\"managed-kafka\",config={\"plimsoll.durability\"=\"fsync\"}}",
        ] {
            assert!(matches!(fault(&[without_effect]), Invalid::NoEffect { .. }));
        }
    }

    #[test]
    fn replicas_need_brokers_and_say_which_key_gives_them() {
        let told = fault(&["topic.replication=3"]).to_string();
        assert!(
            told.contains("system ours has one broker") && told.contains("systems.ours.brokers = 3"),
            "{told}"
        );
        let sets = ["systems.ours.brokers=3", "rf=3", "topic.min_insync=2"].map(str::to_owned);
        let workload = Workload::parse("w.toml", "schema = \"workload/1\"\n", &sets).expect("a workload");
        assert_eq!((workload.topic.replication, workload.chosen().1.brokers), (3, 3));
        let told = fault(&["systems.ours.brokers=0"]).to_string();
        assert!(told.contains("1 to 100"), "{told}");
    }

    #[test]
    fn values_out_of_range_name_key_and_range() {
        for (set, key) in [
            ("load.rate=0/s", "load.rate"),
            ("phases.measure=10ms", "phases.measure"),
            ("consume.page_cache=cold", "consume.page_cache"),
            ("phases.warmup_max=4s", "phases.warmup_max"),
            ("phases.warmup_max=10s", "phases.warmup_max"),
            ("topic.partitions=0", "topic.partitions"),
            ("payload.entropy_bits=9", "payload.entropy_bits"),
            ("consume.groups=0", "consume.groups"),
            ("payload.pool=1MiB", "payload.pool"),
            ("systems.ours.spin_per_record=1us", "systems.spin_per_record"),
        ] {
            assert_eq!(fault(&[set]).key(), key);
        }
    }
}
