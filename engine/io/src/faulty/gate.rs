//! Operations that wait until they are let go: a device that stands still.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::fault::IoOp;

/// Where operations of one kind, on files under one path, wait.
#[derive(Debug)]
pub(super) struct Gate {
    op: IoOp,
    under: PathBuf,
    /// Never has a permit; closed when the gate opens.
    barrier: Semaphore,
    met: Mutex<u64>,
    meeting: Condvar,
}

impl Gate {
    pub(super) fn new(op: IoOp, under: &Path) -> Arc<Gate> {
        let (met, meeting) = (Mutex::default(), Condvar::new());
        Arc::new(Gate { op, under: under.to_owned(), barrier: Semaphore::new(0), met, meeting })
    }

    /// Whether such an operation must wait here.
    pub(super) fn holds(&self, op: IoOp, path: &Path) -> bool {
        self.op == op && path.starts_with(&self.under) && !self.barrier.is_closed()
    }

    pub(super) async fn pass(&self) {
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.meeting.notify_all();
        // The only answer is that it was closed.
        let _open = self.barrier.acquire().await.is_err();
    }
}

/// A gate that stays shut for as long as this lives.
#[derive(Debug)]
pub struct Held {
    pub(super) gate: Arc<Gate>,
}

impl Held {
    /// Blocks until an operation has come to the gate, `patience` at most; says whether one has. For another thread than
    /// the one that is held.
    pub fn is_met(&self, patience: Duration) -> bool {
        let met = self.gate.met.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.gate.meeting.wait_timeout_while(met, patience, |met| *met == 0);
        let (met, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *met > 0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.barrier.close();
    }
}
