//! What a record cost. On a shared machine this is steadier than any latency.

use serde::{Deserialize, Serialize};

/// Resources spent per acknowledged record of the measured phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Cost {
    /// All brokers together.
    pub broker: ProcessCost,
    /// The load generator.
    pub client: ProcessCost,
    /// Bytes the brokers sent to storage for each payload byte acknowledged; replicas count.
    pub bytes_written_per_payload_byte: Option<f64>,
    /// Bytes the brokers read from storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// CPU time taken by other guests of the host, percent of all cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_pct: Option<f64>,
    /// Broker user and system CPU seconds per 10^9 payload bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker_cpu_s_per_gb: Option<f64>,
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
    /// Context switches per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctx_switches_per_s: Option<f64>,
    /// Page faults served from memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor_faults: Option<u64>,
    /// Page faults that read the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major_faults: Option<u64>,
}

impl ProcessCost {
    /// User and system CPU nanoseconds per record.
    pub fn cpu_ns_per_record(&self) -> Option<f64> {
        Some(self.cpu_user_ns_per_record? + self.cpu_sys_ns_per_record?)
    }
}
