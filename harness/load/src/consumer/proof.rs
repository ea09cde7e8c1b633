//! The proof: everything between the start and the end offsets, read once more from the target.

use std::collections::BTreeMap;

use super::reader::{ReadError, Reader, Take};
use crate::clock::{self, Nanos};
use crate::routes::Cluster;
use crate::stop::CancelToken;
use crate::verify::{PartitionId, PartitionSight, Sight};
use crate::workload::Consume;

/// Why the proof is not complete. What was seen until then is kept beside it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Nobody said where the logs end.
    #[error("the end offsets could not be read after the load: {0}")]
    Ends(ReadError),
    /// Reading failed.
    #[error("the re-read failed: {0}")]
    Read(#[from] ReadError),
    /// It took too long.
    #[error("the re-read did not reach the end within verify.timeout")]
    Timeout,
    /// Somebody stopped it.
    #[error("the re-read was cancelled")]
    Cancelled,
}

struct Witness<'a> {
    sight: Sight,
    seen: u64,
    tell: &'a mut dyn FnMut(u64),
}

impl Take for Witness<'_> {
    fn batch<'a>(
        &mut self,
        id: PartitionId,
        _arrived: Nanos,
        records: impl Iterator<Item = (i64, Option<&'a [u8]>)>,
    ) {
        let seen = self.sight.partition(id);
        for (offset, value) in records {
            self.seen += 1;
            // A fault is counted where it is seen.
            let _counted = seen.observe(offset, value.unwrap_or_default());
        }
        (self.tell)(self.seen);
    }

    fn sight(&mut self, id: PartitionId) -> &mut PartitionSight {
        self.sight.partition(id)
    }
}

/// Reads from `starts` to `ends`; `tell` hears how many records have been read. Returns what was seen and, if
/// it is not everything, why.
pub(crate) async fn prove(
    cluster: Cluster,
    consume: Consume,
    starts: BTreeMap<PartitionId, i64>,
    ends: &BTreeMap<PartitionId, i64>,
    deadline: Nanos,
    cancel: &CancelToken,
    tell: &mut dyn FnMut(u64),
) -> (Sight, Result<(), ProofError>) {
    let mut witness = Witness { sight: Sight::new(), seen: 0, tell };
    let result = read(&mut witness, cluster, consume, starts, ends, deadline, cancel).await;
    (witness.sight, result)
}

async fn read(
    witness: &mut Witness<'_>,
    cluster: Cluster,
    consume: Consume,
    starts: BTreeMap<PartitionId, i64>,
    ends: &BTreeMap<PartitionId, i64>,
    deadline: Nanos,
    cancel: &CancelToken,
) -> Result<(), ProofError> {
    let mut reader = Reader::connect(cluster, consume, starts).await?;
    reader.stop_at(ends);
    while !reader.at_end() {
        if cancel.is_cancelled() {
            return Err(ProofError::Cancelled);
        }
        if clock::now() >= deadline {
            return Err(ProofError::Timeout);
        }
        reader.step(witness).await?;
    }
    Ok(())
}
