//! The pump: takes accepted batches to the file and moves `written`.
//!
//! Whoever appends pumps. The first poll happens in place: with a backend that writes inline everything is over
//! then, and no task was spawned. Otherwise the rest runs as a local task. Direct writes, which are never over at
//! once, begin in that task: the batches that are ready now share them. There is at most one pump per log, because it
//! owns the [`WriteLine`] that is otherwise parked in the state.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, Waker};

use plimsoll_io::{Done, FaultKind, IoFault, IoOp, SegmentFile, SegmentStore, WriteBufs};

use crate::state::{Shared, State};
use crate::sync_task;
use crate::write_line::{Ending, Write, WriteLine};

type InFlight = Pin<Box<dyn Future<Output = Done<WriteBufs>>>>;
type Repair = Pin<Box<dyn Future<Output = Result<Vec<u8>, IoFault>>>>;

/// A write on its way. It lands in order, however the device completes it.
struct Flight {
    end_bytes: u64,
    partial: bool,
    /// `None` once it has landed.
    write: Option<InFlight>,
}

/// Owns every write in flight. Nothing drops it before it is done, except the end of its runtime.
pub(crate) struct Pump<S: SegmentStore> {
    shared: Arc<Shared<S>>,
    line: Option<WriteLine<S::File>>,
    flights: VecDeque<Flight>,
    in_flight_max: usize,
    /// Somebody waits for a sync of what ends here.
    awaited_bytes: u64,
    /// Writes up to here were in flight when the first of them landed: one sync is for all of them.
    group_end_bytes: Option<u64>,
    failed: Option<IoFault>,
    repair: Option<(u64, Repair)>,
}

/// Takes everything accepted towards the file. Needs a tokio `LocalSet` where the backend does not write inline.
pub(crate) fn drive<S: SegmentStore>(shared: &Arc<Shared<S>>) {
    let mut state = shared.lock();
    let Some(line) = state.line.take() else { return wake(state) };
    let direct = line.is_direct();
    state.pump_due = direct;
    drop(state);
    let mut pump = Pump::new(Arc::clone(shared), line);
    if direct || Pin::new(&mut pump).poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        tokio::task::spawn_local(pump);
    }
}

/// Wakes the pump's task, if it sleeps and could begin a write.
pub(crate) fn wake<F>(mut state: MutexGuard<'_, State<F>>) {
    let waker = state.pump_waker.take();
    state.pump_due |= waker.is_some();
    drop(state);
    waker.into_iter().for_each(Waker::wake);
}

impl<S: SegmentStore> Pump<S> {
    fn new(shared: Arc<Shared<S>>, line: WriteLine<S::File>) -> Self {
        let in_flight_max = line.file.limits().in_flight_max.max(1);
        let (flights, group_end_bytes) = (VecDeque::new(), None);
        let (failed, repair, awaited_bytes) = (None, None, 0);
        let line = Some(line);
        Self { shared, line, flights, in_flight_max, awaited_bytes, group_end_bytes, failed, repair }
    }

    /// Takes what was accepted since; parks the line and says true if there is nothing to do at all.
    fn refill(&mut self, context: &Context<'_>) -> bool {
        let mut state = self.shared.lock();
        state.pump_due = false;
        if state.marks.fault.is_some() {
            // The line is gone for good; what is in flight must still come back.
            state.pending.clear();
            self.line = None;
        }
        let Some(line) = self.line.as_mut() else { return self.flights.is_empty() };
        line.extend(state.pending.drain());
        self.awaited_bytes = state.awaited_bytes();
        if line.is_empty() && self.flights.is_empty() {
            state.line = self.line.take();
            drop(state);
            self.shared.progress.notify_waiters();
            return true;
        }
        if self.flights.len() < self.in_flight_max {
            state.pump_waker = Some(context.waker().clone());
        }
        false
    }

    /// Starts writes as far as depth and shared blocks allow.
    ///
    /// A direct write that ends inside a block holds up the next one, which has to write that block again. So only
    /// the write that begins when no other is in flight takes all there is; those beside it end at a block's border,
    /// and as long as batches keep coming no block is written twice. What somebody wants synced does not wait for the
    /// writes beside it: the group's last write goes out with them.
    fn launch(&mut self) {
        let Some(line) = self.line.as_mut() else { return };
        while self.flights.len() < self.in_flight_max {
            // At most one write touches a given block.
            if line.shares_block() && self.flights.back().is_some_and(|f| f.partial) {
                return;
            }
            let everything = self.flights.is_empty() || line.at_bytes() < self.awaited_bytes;
            let beside = self.flights.len();
            let ending = if everything { Ending::Partial } else { Ending::Whole { beside } };
            let Some(Write { at_bytes, bufs, end_bytes, partial }) = line.next(ending) else { return };
            let file = Arc::clone(&line.file);
            let write: InFlight = Box::pin(async move { file.write_at(at_bytes, bufs).await });
            self.flights.push_back(Flight { end_bytes, partial, write: Some(write) });
        }
    }

    /// Looks at every write in flight; says whether one completed.
    fn collect(&mut self, context: &mut Context<'_>) -> bool {
        let mut progressed = false;
        for flight in &mut self.flights {
            let Some(write) = flight.write.as_mut() else { continue };
            let Poll::Ready(done) = write.as_mut().poll(context) else { continue };
            progressed = true;
            flight.write = None;
            if let Err(fault) = done.result {
                // Nothing at or behind it counts as written.
                flight.end_bytes = 0;
                // The first failure decides, unless another says that the device is broken.
                if self.failed.as_ref().is_none_or(|first| fault.is_poison() && !first.is_poison()) {
                    self.failed = Some(fault);
                }
            }
        }
        if progressed {
            self.land();
        }
        progressed
    }

    /// Moves `written` over the writes that completed in order, up to the first that failed.
    fn land(&mut self) {
        let mut upto_bytes = 0;
        while let Some(flight) = self.flights.pop_front_if(|f| f.write.is_none() && f.end_bytes > 0) {
            upto_bytes = flight.end_bytes;
        }
        if upto_bytes > 0 {
            self.shared.update(|state, _| state.landed(upto_bytes));
            self.shared.progress.notify_waiters();
            self.close_group(upto_bytes);
        }
    }

    /// Lets the sync begin once everything that was in flight when the group began has landed.
    fn close_group(&mut self, landed_bytes: u64) {
        let last_bytes = self.flights.iter().map(|flight| flight.end_bytes).max().unwrap_or(0);
        let end_bytes = *self.group_end_bytes.get_or_insert(last_bytes.max(landed_bytes));
        if landed_bytes >= end_bytes || self.failed.is_some() {
            self.group_end_bytes = None;
            sync_task::kick(&self.shared);
        }
    }

    /// All writes are back and one of them failed.
    fn fail(&mut self, fault: IoFault) {
        self.flights.clear();
        self.group_end_bytes = None;
        if fault.kind != FaultKind::NoSpace || fault.is_poison() {
            self.line = None;
            self.shared.poison(fault);
            return;
        }
        tracing::warn!(dir = %self.shared.dir.display(), %fault, "disk full: cutting off what is not written");
        let fault = Arc::new(fault);
        let upto_bytes = self.shared.update(|state, wakes| {
            state.repairing = true;
            state.cut_unwritten(fault, wakes)
        });
        if let Some(line) = self.line.as_ref() {
            let file = Arc::clone(&line.file);
            self.repair = Some((upto_bytes, Box::pin(cut_file(file, upto_bytes))));
        }
    }

    /// The file ends where the last written batch does; go on from there.
    fn repaired(&mut self, upto_bytes: u64, result: Result<Vec<u8>, IoFault>) {
        let line = self.line.take();
        match (result, line) {
            (Ok(tail), Some(line)) => {
                let max_bytes = self.shared.config.write_max_bytes;
                self.line = Some(WriteLine::new(line.file, upto_bytes, tail, max_bytes));
            }
            (Err(fault), _) => self.shared.poison(fault),
            (Ok(_), None) => {}
        }
        self.shared.lock().repairing = false;
        self.shared.progress.notify_waiters();
    }
}

impl<S: SegmentStore> Future for Pump<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            if let Some((upto_bytes, repair)) = this.repair.as_mut() {
                let upto_bytes = *upto_bytes;
                let Poll::Ready(result) = repair.as_mut().poll(context) else { return Poll::Pending };
                this.repair = None;
                this.repaired(upto_bytes, result);
            }
            if this.failed.is_none() {
                if this.refill(context) {
                    return Poll::Ready(());
                }
                this.launch();
            }
            let progressed = this.collect(context);
            let all_back = this.flights.iter().all(|f| f.write.is_none());
            match this.failed.take_if(|_| all_back) {
                Some(fault) => this.fail(fault),
                None if !progressed => return Poll::Pending,
                None => {}
            }
        }
    }
}

impl<S: SegmentStore> Drop for Pump<S> {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            let message = "the runtime that wrote this file ended with writes in flight";
            let path = line.file.path();
            self.shared.poison(IoFault::with_kind(IoOp::Write, path, 0, FaultKind::Poisoned, message));
        }
    }
}

/// Ends the file at `upto_bytes`, durably, and returns the data of the block that this lies in.
async fn cut_file<F: SegmentFile>(file: Arc<F>, upto_bytes: u64) -> Result<Vec<u8>, IoFault> {
    file.truncate(upto_bytes).await?;
    // Batches whose producers were told that they were cut off must not come back behind newer ones after a power cut.
    file.sync().await?;
    block_tail(&*file, upto_bytes).await
}

/// The data of the block that `upto_bytes` lies in, for a direct backend to write again.
pub(crate) async fn block_tail<F: SegmentFile>(file: &F, upto_bytes: u64) -> Result<Vec<u8>, IoFault> {
    let partial_bytes = upto_bytes % file.limits().align_bytes.max(1) as u64;
    if partial_bytes == 0 {
        return Ok(Vec::new());
    }
    Ok(file.read_at(upto_bytes - partial_bytes..upto_bytes).await?.to_vec())
}
