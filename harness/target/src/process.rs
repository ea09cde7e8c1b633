//! One child process that serves: started, waited for, stopped or killed, never left behind.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::TargetError;
use crate::ready::{Announced, follow, wait_answer, wait_ready};

/// Set in the environment of every child: the process it must not outlive.
pub const PARENT_VARIABLE: &str = "PLIMSOLL_PARENT";

/// Moves a child's stack by its length. Where a program's variables happen to lie can change its speed by percents, for
/// every start alike (Mytkowicz et al., ASPLOS 2009); so each start gets another place.
const LAYOUT_VARIABLE: &str = "PLIMSOLL_LAYOUT";
/// As far as a stack is moved at most: one page.
const LAYOUT_BYTES: u64 = 4096;

/// How often a stopping child is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What messages call it.
    pub name: String,
    /// The program; usually our own executable.
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where its stderr goes (appended).
    pub log: PathBuf,
    /// How long it may take to say `ready`.
    pub start_timeout: Duration,
    /// How long it may take to end after SIGTERM before it is killed.
    pub stop_timeout: Duration,
    /// Whether it may outlive this process: then it is not tied to it, and its stdout goes to the log as well.
    pub detached: bool,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The deadline passed and it was killed: its data is as after a crash.
    pub killed: bool,
    /// How long it took.
    pub after: Duration,
}

/// A running child that has said `ready`. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    launch: Launch,
    child: Tied,
    announced: Announced,
    began: Instant,
}

/// A child that was started and is not known to be ready yet. Dropping it kills it.
///
/// The thread that starts a child must live as long as the child: that is what [`follow_parent`] is tied to.
#[derive(Debug)]
pub(crate) struct Starting {
    launch: Launch,
    child: Tied,
    lines: Option<Receiver<Announced>>,
    began: Instant,
}

impl Starting {
    /// Starts a child that will say `ready` on its stdout.
    ///
    /// It gets its own process group, so that Ctrl-C reaches the harness alone, which then stops the child when it no
    /// longer needs it.
    pub(crate) fn talking(launch: Launch) -> Result<Starting, TargetError> {
        let began = Instant::now();
        let mut child = spawn(&launch, None)?;
        let lines = child.0.stdout.take().map(|stdout| follow(&launch.name, stdout));
        Ok(Starting { launch, child, lines, began })
    }

    /// Starts a child that says nothing of its own accord; its stdout goes to the log.
    pub(crate) fn silent(launch: Launch) -> Result<Starting, TargetError> {
        let began = Instant::now();
        let child = spawn(&launch, Some(&launch.log))?;
        Ok(Starting { launch, child, lines: None, began })
    }

    /// Waits for the line with `ready` and its address.
    pub(crate) fn says_ready(mut self) -> Result<Process, TargetError> {
        let announced = wait_ready(&self.launch, &mut self.child.0, self.lines.take())?;
        Ok(self.assume(announced))
    }

    /// Waits until `answers` is true of `address`.
    pub(crate) fn answers(
        mut self,
        address: SocketAddr,
        answers: impl Fn(SocketAddr) -> bool,
    ) -> Result<Process, TargetError> {
        wait_answer(&self.launch, &mut self.child.0, || answers(address))?;
        Ok(self.assume(Announced { address, http: None }))
    }

    /// Takes it as it is, ready or not: where it will serve is known.
    pub(crate) fn assume(self, announced: Announced) -> Process {
        Process { launch: self.launch, child: self.child, announced, began: self.began }
    }
}

impl Process {
    /// Starts the child and waits for a line with `ready` and its address on its stdout.
    ///
    /// # Errors
    /// [`TargetError`] says whether it could not start, died (with its last words) or was too slow.
    pub fn start(launch: Launch) -> Result<Process, TargetError> {
        Starting::talking(launch)?.says_ready()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.announced.address
    }

    /// Where it tells of itself, if it said so.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.announced.http
    }

    /// When its process was started.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Its process id, for resource counters.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.launch.log
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.0.try_wait().ok().flatten()
    }

    /// Sends SIGTERM, waits for the stop timeout, then kills. A child that has already ended is no error.
    ///
    /// # Errors
    /// Only when the signal cannot be sent.
    pub fn stop(mut self) -> Result<Stopped, TargetError> {
        if self.ended().is_none() {
            self.ask_to_stop()?;
        }
        Ok(self.ends())
    }

    /// Waits for the end of a child that was asked to stop; after the stop timeout it is killed. To ask twice would mean
    /// to end at once.
    pub(crate) fn ends(mut self) -> Stopped {
        let began = Instant::now();
        while began.elapsed() < self.launch.stop_timeout {
            if let Some(status) = self.ended() {
                return Stopped { code: status.code(), killed: false, after: began.elapsed() };
            }
            std::thread::sleep(POLL);
        }
        self.child.end();
        Stopped { code: None, killed: true, after: began.elapsed() }
    }

    /// `kill -9`: no goodbye, as in a crash. Returns when the process is gone.
    ///
    /// # Errors
    /// Only when the signal cannot be sent.
    pub fn kill(mut self) -> Result<Launch, TargetError> {
        if self.ended().is_none() {
            self.signal(Signal::KILL)?;
        }
        self.child.end();
        Ok(self.launch)
    }

    /// Leaves it to itself; returns its process id. It must have been started detached, or it ends with this process.
    pub(crate) fn leave(self) -> u32 {
        let pid = self.pid();
        std::mem::forget(self.child);
        pid
    }

    /// Stops it where it is (SIGSTOP): it keeps its sockets and answers nothing.
    ///
    /// # Errors
    /// Only when the signal cannot be sent.
    pub fn pause(&self) -> Result<(), TargetError> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`Process::pause`].
    ///
    /// # Errors
    /// Only when the signal cannot be sent.
    pub fn resume(&self) -> Result<(), TargetError> {
        self.signal(Signal::CONT)
    }

    /// Asks it to end as an operator would, with SIGTERM, and does not wait.
    ///
    /// # Errors
    /// Only when the signal cannot be sent.
    pub fn ask_to_stop(&self) -> Result<(), TargetError> {
        self.signal(Signal::TERM)
    }

    fn signal(&self, signal: Signal) -> Result<(), TargetError> {
        let pid = i32::try_from(self.child.0.id()).ok().and_then(Pid::from_raw);
        let sent = pid.map_or(Err(rustix::io::Errno::SRCH), |pid| kill_process(pid, signal));
        sent.map_err(|source| TargetError::Signal {
            name: self.launch.name.clone(),
            pid: self.child.0.id(),
            source: source.into(),
        })
    }
}

/// A child that does not outlive its handle.
#[derive(Debug)]
struct Tied(Child);

impl Tied {
    /// Makes sure the child is gone and reaped. Both calls fail only when it already is.
    fn end(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        self.end();
    }
}

/// With stdout in a pipe, or in the file `output`.
fn spawn(launch: &Launch, output: Option<&Path>) -> Result<Tied, TargetError> {
    let log = appending(&launch.log)?;
    let stdout = output.map_or(Ok(Stdio::piped()), |file| appending(file).map(Stdio::from))?;
    let mut command = Command::new(&launch.executable);
    match launch.detached {
        true => command.env_remove(PARENT_VARIABLE),
        false => command.env(PARENT_VARIABLE, std::process::id().to_string()),
    };
    command
        .args(&launch.arguments)
        .env(LAYOUT_VARIABLE, "x".repeat(layout_shift()))
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(log)
        .process_group(0)
        .spawn()
        .map(Tied)
        .map_err(|source| TargetError::Spawn { executable: launch.executable.clone(), source })
}

/// Another length for every start. Not part of the workload's seed: a bias that is drawn again does not repeat.
fn layout_shift() -> usize {
    (dice() % LAYOUT_BYTES) as usize
}

/// A number that is another one each time.
pub(crate) fn dice() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Opens a log file at its end.
pub(crate) fn appending(log: &Path) -> Result<File, TargetError> {
    let opened = OpenOptions::new().create(true).append(true).open(log);
    opened.map_err(|source| TargetError::Prepare { path: log.to_owned(), source })
}

/// Makes this process end when the one that started it does, even if that one is killed. To be called
/// first thing by every verb that a [`Process`] runs; does nothing when no parent is named.
pub fn follow_parent() {
    let Ok(parent) = std::env::var(PARENT_VARIABLE) else { return };
    // A kernel without this call only means that an orphan must be stopped by hand.
    let _set = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    let still = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().to_string());
    if still.as_deref() != Some(parent.as_str()) {
        std::process::exit(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dir: &tempfile::TempDir) -> Launch {
        Launch {
            name: "script".into(),
            executable: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            log: dir.path().join("log"),
            start_timeout: Duration::from_secs(20),
            stop_timeout: Duration::from_secs(20),
            detached: false,
        }
    }

    #[test]
    fn a_child_is_ready_and_stops_on_sigterm() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo starting; echo http 127.0.0.1:4712; echo ready 127.0.0.1:4711; trap 'exit 3' TERM; while :; do sleep 0.01; done";
        let process = Process::start(shell(script, &dir)).unwrap();
        assert_eq!(process.address().port(), 4711);
        assert_eq!(process.http_address().map(|address| address.port()), Some(4712));
        let stopped = process.stop().unwrap();
        assert_eq!((stopped.code, stopped.killed), (Some(3), false));
    }

    #[test]
    fn b7_every_start_has_an_environment_of_another_size() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo ${#PLIMSOLL_LAYOUT} >&2; echo ready 127.0.0.1:1; trap 'exit 0' TERM; while :; do sleep 0.01; done";
        for _ in 0..4 {
            Process::start(shell(script, &dir)).unwrap().stop().unwrap();
        }
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
        let mut lengths: Vec<u64> = log.lines().map(|line| line.parse().unwrap()).collect();
        assert!(lengths.len() == 4 && lengths.iter().all(|length| *length < LAYOUT_BYTES), "{lengths:?}");
        lengths.dedup();
        assert!(lengths.len() > 1, "four starts of one size");
    }

    #[test]
    fn a_child_that_ignores_sigterm_is_killed_at_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; echo ready 127.0.0.1:1; while :; do sleep 0.01; done";
        let launch = Launch { stop_timeout: Duration::from_millis(50), ..shell(script, &dir) };
        let stopped = Process::start(launch).unwrap().stop().unwrap();
        assert!(stopped.killed && stopped.code.is_none());
    }

    #[test]
    fn a_child_that_dies_says_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let error =
            Process::start(shell("echo port 9092 is taken >&2; exit 7", &dir)).unwrap_err().to_string();
        assert!(error.contains("exit status: 7") && error.contains("port 9092 is taken"), "{error}");
    }

    #[test]
    fn a_child_that_never_gets_ready_is_given_up_and_gone() {
        let dir = tempfile::tempdir().unwrap();
        let script = format!("echo $$ > {}; exec sleep 1000", dir.path().join("pid").display());
        let launch = Launch { start_timeout: Duration::from_millis(300), ..shell(&script, &dir) };
        assert!(matches!(Process::start(launch), Err(TargetError::NotReady { .. })));
        let pid = std::fs::read_to_string(dir.path().join("pid")).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists());
    }

    #[test]
    fn a_silent_child_is_ready_when_it_answers_and_its_output_is_in_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let up = dir.path().join("up");
        let script = format!("echo said; sleep 0.1; touch {}; exec sleep 1000", up.display());
        let address = ([127, 0, 0, 1], 4711).into();
        let process =
            Starting::silent(shell(&script, &dir)).unwrap().answers(address, |_| up.exists()).unwrap();
        assert_eq!(process.address(), address);
        assert_eq!(std::fs::read_to_string(process.log()).unwrap(), "said\n");
        let gone = Starting::silent(shell("exit 9", &dir)).unwrap().answers(address, |_| false).unwrap_err();
        assert!(gone.to_string().contains("exit status: 9"), "{gone}");
    }

    #[test]
    fn a_missing_executable_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let launch = Launch { executable: "/nowhere/plimsoll".into(), ..shell("", &dir) };
        assert!(Process::start(launch).unwrap_err().to_string().contains("/nowhere/plimsoll"));
    }
}
