//! A cell while it is being measured.

use super::cell::Cell;
use super::figures::{Side, Trial};
use super::measured::Measured;
use super::row::{Row, RowStatus, Setting};

/// Why a cell is not visited any more.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// It does not run here.
    Unavailable(String),
    /// A trial failed.
    Failed(String),
}

#[derive(Debug)]
pub(crate) struct CellState {
    pub(crate) cell: Cell,
    pub(crate) trials: Vec<Trial>,
    pub(crate) repeated: usize,
    pub(crate) fio_mb_per_s: Option<f64>,
    pub(crate) end: Option<End>,
}

impl CellState {
    pub(crate) fn new(cell: &Cell) -> CellState {
        CellState { cell: cell.clone(), trials: Vec::new(), repeated: 0, fio_mb_per_s: None, end: None }
    }

    /// A coin for every other pair, and its opposite for the next: AB BA or BA AB.
    pub(crate) fn first_side(&self, heads: bool) -> Side {
        match (self.trials.len() % 2, self.trials.last().map(|trial| trial.first)) {
            (1, Some(Side::Engine)) => Side::Floor,
            (1, Some(Side::Floor)) => Side::Engine,
            _ if heads => Side::Engine,
            _ => Side::Floor,
        }
    }

    /// What became of it, when the bench ended for the reason `ended`.
    pub(crate) fn row(&self, pairs_planned: usize, ended: &str, syscalls_unavailable: Option<&str>) -> Row {
        let measured = Measured::new(&self.cell, &self.trials).map(|measured| Measured {
            pairs_repeated: self.repeated,
            fio_mb_per_s: self.fio_mb_per_s,
            syscalls_unavailable: syscalls_unavailable.map(str::to_owned),
            ..measured
        });
        let (status, reason) = self.standing(measured.as_ref(), pairs_planned, ended);
        let (setting, pairs) = (Setting::of(&self.cell), self.trials.len());
        Row { setting, status, reason, pairs, pairs_planned, measured }
    }

    fn standing(
        &self,
        measured: Option<&Measured>,
        pairs_planned: usize,
        ended: &str,
    ) -> (RowStatus, Option<String>) {
        match (&self.end, measured) {
            (Some(End::Failed(error)), _) => (RowStatus::Failed, Some(error.clone())),
            (Some(End::Unavailable(why)), _) => (RowStatus::Unavailable, Some(why.clone())),
            (None, Some(measured)) if !measured.verify_ok => {
                (RowStatus::Failed, Some(format!("read back: {}", measured.verify_faults())))
            }
            (None, Some(_)) if self.trials.len() >= pairs_planned => (RowStatus::Ok, None),
            (None, Some(_)) => (RowStatus::Partial, Some(ended.to_owned())),
            (None, None) if self.trials.is_empty() => (RowStatus::NotReached, Some(ended.to_owned())),
            (None, None) => (RowStatus::Failed, Some("its trials took no time or no CPU".to_owned())),
        }
    }
}
