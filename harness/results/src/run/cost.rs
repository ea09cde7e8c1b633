//! What a record cost. On a shared machine this is steadier than any latency.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Resources spent in the measured phase. What the kernel did not tell is absent or `null`, never zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Cost {
    /// All brokers together.
    pub broker: ProcessCost,
    /// The load generator.
    pub client: ProcessCost,
    /// Bytes the brokers sent to storage for each payload byte acknowledged; replicas count. Cached writes count when
    /// the page becomes dirty.
    pub bytes_written_per_payload_byte: Option<f64>,
    /// Bytes the brokers read from storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes written to the data device, by whomever, for each payload byte acknowledged. Write-back that comes later
    /// than the phase is not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_bytes_written_per_payload_byte: Option<f64>,
    /// Bytes read from the data device, by whomever, for each payload byte acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_bytes_read_per_payload_byte: Option<f64>,
    /// Flushes of the data device's cache, by whomever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_flushes: Option<u64>,
    /// Syncs of segment files by the brokers, from their own counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsyncs: Option<u64>,
    /// The same per record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsyncs_per_record: Option<f64>,
    /// The same per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsyncs_per_s: Option<f64>,
    /// CPU time taken by other guests of the host, percent of all cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_pct: Option<f64>,
    /// How much of the phase the machine's tasks waited for its resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
    /// Broker user and system CPU seconds per 10^9 payload bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker_cpu_s_per_gb: Option<f64>,
    /// Each node of a cluster by its id, in the first trial. Per record means per record of the whole cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, ProcessCost>,
}

/// Pressure stall information by resource, of the whole machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct Psi {
    /// Processor.
    pub cpu: Pressure,
    /// Storage.
    pub io: Pressure,
    /// Memory.
    pub memory: Pressure,
}

/// Shares of the phase, from the kernel's running totals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct Pressure {
    /// Some task waited for it, percent.
    pub some_pct: Option<f64>,
    /// Every task that was not idle waited for it, percent.
    pub full_pct: Option<f64>,
}

/// One side's cost. A figure that the kernel did not give is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct ProcessCost {
    /// User CPU nanoseconds per record.
    pub cpu_user_ns_per_record: Option<f64>,
    /// System CPU nanoseconds per record.
    pub cpu_sys_ns_per_record: Option<f64>,
    /// Peak resident memory in bytes, summed over processes.
    pub rss_peak_bytes: Option<u64>,
    /// Time spent runnable but not running, nanoseconds per record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_delay_ns_per_record: Option<f64>,
    /// System calls per record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syscalls_per_record: Option<f64>,
    /// System calls per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syscalls_per_s: Option<f64>,
    /// Context switches per second, of both kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctx_switches_per_s: Option<f64>,
    /// Context switches per record because a thread waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voluntary_switches_per_record: Option<f64>,
    /// Context switches per second because a thread waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voluntary_switches_per_s: Option<f64>,
    /// Context switches per record because another thread got the core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub involuntary_switches_per_record: Option<f64>,
    /// Context switches per second because another thread got the core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub involuntary_switches_per_s: Option<f64>,
    /// Page faults served from memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor_faults: Option<u64>,
    /// Page faults that read the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major_faults: Option<u64>,
    /// Page faults served from memory per record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor_faults_per_record: Option<f64>,
    /// Page faults that read the disk per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major_faults_per_s: Option<f64>,
    /// Bytes fetched from storage per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes_per_s: Option<f64>,
    /// Bytes sent to storage per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_bytes_per_s: Option<f64>,
}

impl ProcessCost {
    /// User and system CPU nanoseconds per record.
    pub fn cpu_ns_per_record(&self) -> Option<f64> {
        Some(self.cpu_user_ns_per_record? + self.cpu_sys_ns_per_record?)
    }
}
