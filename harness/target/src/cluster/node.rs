//! One node of a cluster: its place, its directory, and its process while it runs.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::layout::Place;
use crate::error::TargetError;
use crate::home::Home;
use crate::process::{Launch, Process, Stopped};

/// A node, running or not.
#[derive(Debug)]
pub struct Node {
    pub(super) place: Place,
    pub(super) home: Home,
    pub(super) launch: Launch,
    pub(super) process: Option<Process>,
    pub(super) paused: bool,
}

impl Node {
    /// Its id in the cluster.
    pub fn id(&self) -> i32 {
        self.place.id
    }

    /// Whether it serves clients.
    pub fn is_broker(&self) -> bool {
        self.place.broker.is_some()
    }

    /// As `process.roles` has it.
    pub fn roles(&self) -> &'static str {
        self.place.roles()
    }

    /// Where clients reach it, or the other nodes if it is no broker.
    pub fn address(&self) -> SocketAddr {
        self.process.as_ref().map_or_else(|| self.place.address(), Process::address)
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Where its data is.
    pub fn data_dir(&self) -> PathBuf {
        self.home.data_dir()
    }

    /// Its process.
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// How it ended, if it ran and did so by itself.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.process.as_mut().and_then(Process::ended)
    }

    /// `kill -9`. Returns when the process is gone. One that is down already stays so.
    ///
    /// # Errors
    /// Only when it cannot be signalled.
    pub fn kill(&mut self) -> Result<(), TargetError> {
        self.paused = false;
        self.process.take().map_or(Ok(()), |process| process.kill().map(drop))
    }

    /// Stops it where it is, with its sockets open.
    ///
    /// # Errors
    /// Only when it cannot be signalled.
    pub fn pause(&mut self) -> Result<(), TargetError> {
        self.paused = true;
        self.process.as_ref().map_or(Ok(()), Process::pause)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// Only when it cannot be signalled.
    pub fn resume(&mut self) -> Result<(), TargetError> {
        self.paused = false;
        self.process.as_ref().map_or(Ok(()), Process::resume)
    }

    /// Asks it to stop in an orderly way and does not wait.
    ///
    /// # Errors
    /// Only when it cannot be signalled.
    pub fn ask_to_stop(&mut self) -> Result<(), TargetError> {
        if self.paused {
            self.resume()?;
        }
        if self.ended().is_some() {
            return Ok(());
        }
        self.process.as_ref().map_or(Ok(()), Process::ask_to_stop)
    }

    /// Waits until it has stopped, at most as long as it may take; then it is killed. `None` if it did not run.
    pub(super) fn stopped(&mut self) -> Option<Stopped> {
        self.process.take().map(Process::ends)
    }

    /// Forgets a process that has ended, so that it can be started again.
    pub fn reap(&mut self) -> bool {
        if self.ended().is_some() {
            self.process = None;
        }
        self.process.is_none()
    }
}
