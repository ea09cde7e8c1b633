//! The broker under its controllers: how metadata comes in and what becomes of it here.
//!
//! In the order of a start: [`quorum`] opens this process's node of the controller quorum; [`register`] has the broker
//! registered there and waits until it sees that; [`follow`] makes true here what each image of the metadata says, for which
//! [`replicas`] opens and removes logs and [`place`] gives each open partition its role; [`report_offline`] tells whose disk
//! failed; [`attend`] looks whether the broker may go on; [`hand_over`] gives leaderships away before a stop.

mod attend;
mod follow;
mod hand_over;
mod place;
mod quorum;
mod register;
mod replicas;
mod report_offline;

pub(crate) use attend::attend;
pub(crate) use follow::Follower;
pub(crate) use hand_over::hand_over;
pub(crate) use place::place;
pub(crate) use quorum::{Door, Quorum};
pub(crate) use register::register;
pub(crate) use replicas::tell_recovery;
pub(crate) use report_offline::report_offline;
