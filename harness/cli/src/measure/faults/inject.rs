//! Does what `[[faults]]` say, a step at a time, from the thread that watches the run: starting a broker from any other
//! would tie it to that thread's life.

use std::collections::BTreeSet;

use plimsoll_load::Timeline;
use plimsoll_load::verify::PartitionId;
use plimsoll_load::workload::{Fault, FaultKind, FaultTarget, Workload};
use plimsoll_target::{Cluster, Node, TargetError};

use super::victim::{dice, touched, victim};
use super::watch::ClusterWatch;
use crate::measure::borders::Borders;

/// One fault and how far it has come.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) fault: Fault,
    dice: u64,
    state: State,
    /// When it was injected, on the monotonic clock.
    pub(super) at_ns: Option<u64>,
    /// Whom it hit.
    pub(super) node: i32,
    /// Whose acknowledgements wait for it.
    pub(super) partitions: BTreeSet<PartitionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not yet.
    Waiting,
    /// It lasts until then.
    Lasting(u64),
    /// It was asked to stop and is started again when it has.
    Stopping,
    /// Nothing more is to be done.
    Done,
}

/// Something that was done, for the time axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) at_ns: u64,
    pub(super) kind: &'static str,
    pub(super) node: i32,
    pub(super) message: String,
}

/// Hurts the nodes of one cluster during one run.
#[derive(Debug)]
pub(crate) struct Injector<'a> {
    cluster: &'a mut Cluster,
    watch: ClusterWatch,
    planned: Vec<Planned>,
    done: Vec<Done>,
    failed: Vec<String>,
    /// Processes came or went since the last time somebody asked.
    changed: bool,
}

impl<'a> Injector<'a> {
    pub(crate) fn new(cluster: &'a mut Cluster, watch: ClusterWatch, workload: &Workload) -> Injector<'a> {
        let planned = workload.faults.iter().enumerate().map(|(number, fault)| Planned {
            fault: fault.clone(),
            dice: dice(workload.seed, number),
            state: State::Waiting,
            at_ns: None,
            node: -1,
            partitions: BTreeSet::new(),
        });
        let (done, failed) = Default::default();
        Injector { cluster, watch, planned: planned.collect(), done, failed, changed: false }
    }

    /// Takes every step that is due. `borders` counts what processes spend that come or go.
    pub(crate) fn tick(&mut self, now: u64, timeline: &Timeline, borders: &mut Borders) {
        for number in 0..self.planned.len() {
            if let Err(error) = self.step(number, now, timeline, borders) {
                self.failed.push(error.to_string());
                if let Some(planned) = self.planned.get_mut(number) {
                    planned.state = State::Done;
                }
            }
        }
    }

    fn step(
        &mut self,
        number: usize,
        now: u64,
        timeline: &Timeline,
        borders: &mut Borders,
    ) -> Result<(), TargetError> {
        let Some(planned) = self.planned.get(number) else { return Ok(()) };
        let (node, kind) = (planned.node, planned.fault.kind);
        let next = match planned.state {
            State::Waiting
                if now >= timeline.measure.saturating_add(planned.fault.at.0) && now < timeline.end =>
            {
                return self.inject(number, borders);
            }
            State::Lasting(until) if now >= until => {
                self.end(kind, node, borders)?;
                State::Done
            }
            State::Stopping if self.cluster.node_mut(node).is_some_and(Node::reap) => {
                self.start(node, borders)?;
                State::Done
            }
            _ => return Ok(()),
        };
        if let Some(planned) = self.planned.get_mut(number) {
            planned.state = next;
        }
        Ok(())
    }

    /// Hits somebody, if there is somebody to hit; or else tries again at the next tick.
    fn inject(&mut self, number: usize, borders: &mut Borders) -> Result<(), TargetError> {
        let mut view = self.watch.latest();
        let Some(planned) = self.planned.get_mut(number) else { return Ok(()) };
        let (fault, dice) = (planned.fault.clone(), planned.dice);
        let running: Vec<i32> = self.cluster.pids().into_iter().map(|(id, _)| id).collect();
        let brokers = self.cluster.nodes().iter().filter(|node| node.is_broker()).map(Node::id);
        let brokers: Vec<i32> = brokers.collect();
        if fault.target == FaultTarget::Controller {
            view.controller = self.cluster.active_controller().unwrap_or(view.controller);
        }
        let hit = match fault.kind {
            FaultKind::AddBroker => Some(-1),
            _ => victim(fault.target, &view, &running, &brokers, dice),
        };
        let Some(node) = hit else { return Ok(()) };
        let partitions = touched(&view, node);
        // What is waited for begins before the deed, which may take a moment.
        let at_ns = plimsoll_probe::monotonic_ns();
        let (node, state) = self.hit(&fault, node, at_ns, borders)?;
        let message = match fault.kind {
            FaultKind::AddBroker => format!("broker {node} is added"),
            kind => format!("{} {} (node {node})", kind.as_str(), fault.target),
        };
        self.done.push(Done { at_ns, kind: "fault", node, message });
        if let Some(planned) = self.planned.get_mut(number) {
            (planned.at_ns, planned.node, planned.partitions, planned.state) =
                (Some(at_ns), node, partitions, state);
        }
        Ok(())
    }

    /// The deed. Returns the node and what comes next.
    fn hit(
        &mut self,
        fault: &Fault,
        id: i32,
        at_ns: u64,
        borders: &mut Borders,
    ) -> Result<(i32, State), TargetError> {
        let lasting = fault.lasts.map_or(State::Done, |lasts| State::Lasting(at_ns.saturating_add(lasts.0)));
        if fault.kind == FaultKind::AddBroker {
            let id = self.cluster.begin_add_broker()?;
            self.came(id, borders);
            return Ok((id, State::Done));
        }
        if matches!(fault.kind, FaultKind::Kill | FaultKind::Restart)
            && let Some(pid) = self.pid(id)
        {
            borders.leaves(id, pid);
        }
        match fault.kind {
            FaultKind::Isolate => self.cluster.isolate(id)?,
            FaultKind::SlowDisk => self.cluster.slow_disk(id, fault.write_rate.0)?,
            kind => {
                if let Some(node) = self.cluster.node_mut(id) {
                    match kind {
                        FaultKind::Kill => node.kill()?,
                        FaultKind::Pause => node.pause()?,
                        _ => node.ask_to_stop()?,
                    }
                }
            }
        }
        self.changed |= fault.kind == FaultKind::Kill;
        let next = if fault.kind == FaultKind::Restart { State::Stopping } else { lasting };
        Ok((id, next))
    }

    fn end(&mut self, kind: FaultKind, id: i32, borders: &mut Borders) -> Result<(), TargetError> {
        let at_ns = plimsoll_probe::monotonic_ns();
        let words = match kind {
            FaultKind::Kill => return self.start(id, borders),
            FaultKind::Pause => {
                self.cluster.node_mut(id).map_or(Ok(()), Node::resume)?;
                "goes on"
            }
            FaultKind::Isolate => {
                self.cluster.heal(id)?;
                "is reached again"
            }
            FaultKind::SlowDisk => {
                self.cluster.normal_disk(id);
                "has its disk back"
            }
            FaultKind::Restart | FaultKind::AddBroker => return Ok(()),
        };
        self.done.push(Done { at_ns, kind: "ended", node: id, message: format!("node {id} {words}") });
        Ok(())
    }

    fn start(&mut self, id: i32, borders: &mut Borders) -> Result<(), TargetError> {
        self.cluster.begin_restart(id)?;
        self.came(id, borders);
        let (at_ns, message) = (plimsoll_probe::monotonic_ns(), format!("node {id} is started again"));
        self.done.push(Done { at_ns, kind: "started", node: id, message });
        Ok(())
    }

    fn came(&mut self, id: i32, borders: &mut Borders) {
        if let Some(pid) = self.pid(id) {
            borders.joins(id, pid);
        }
        self.changed = true;
    }

    fn pid(&self, id: i32) -> Option<u32> {
        self.cluster.pids().into_iter().find(|(node, _)| *node == id).map(|(_, pid)| pid)
    }

    /// The processes, if they have changed.
    pub(crate) fn changed_pids(&mut self) -> Option<Vec<u32>> {
        let changed = std::mem::take(&mut self.changed);
        changed.then(|| self.cluster.pids().into_iter().map(|(_, pid)| pid).collect())
    }

    /// Nodes that stand still or cannot be reached now.
    pub(crate) fn silent(&self) -> Vec<i32> {
        let lasting = self.planned.iter().filter(|planned| {
            let silences = matches!(planned.fault.kind, FaultKind::Pause | FaultKind::Isolate);
            silences && matches!(planned.state, State::Lasting(_))
        });
        lasting.map(|planned| planned.node).collect()
    }

    /// The load is over: what still lasts is ended, so that everything can be read back.
    pub(crate) fn load_ended(&mut self, borders: &mut Borders) {
        for number in 0..self.planned.len() {
            let Some(planned) = self.planned.get_mut(number) else { continue };
            let (kind, node) = (planned.fault.kind, planned.node);
            // Who was killed stays so: it would come back in the middle of the proof.
            let lasts = matches!(planned.state, State::Lasting(_)) && kind != FaultKind::Kill;
            if lasts {
                planned.state = State::Done;
                if let Err(error) = self.end(kind, node, borders) {
                    self.failed.push(error.to_string());
                }
            }
        }
    }

    /// What was planned, done and seen, and what could not be done.
    pub(super) fn finish(self) -> (Vec<Planned>, Vec<Done>, super::watch::Seen, Vec<String>) {
        let Injector { watch, planned, done, mut failed, .. } = self;
        let missed = planned.iter().filter(|planned| planned.at_ns.is_none());
        failed.extend(missed.map(|planned| {
            let fault = &planned.fault;
            format!(
                "the fault {} {} was not injected: there was no such node at that time",
                fault.kind.as_str(),
                fault.target
            )
        }));
        (planned, done, watch.finish(), failed)
    }
}
