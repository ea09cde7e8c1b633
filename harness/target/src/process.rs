//! One child process that serves: started, waited for, stopped or killed, never left behind.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::TargetError;

/// Set in the environment of every child: the process it must not outlive.
pub const PARENT_VARIABLE: &str = "PLIMSOLL_PARENT";

/// How often a stopping child is looked at.
const POLL: Duration = Duration::from_millis(5);
/// How much of the log is quoted when a child dies.
const LAST_WORDS_BYTES: u64 = 2_000;

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
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts the child and waits for a line with `ready` and its address on its stdout.
    ///
    /// The child gets its own process group, so that Ctrl-C reaches the harness alone, which then stops
    /// the child when it no longer needs it.
    ///
    /// # Errors
    /// [`TargetError`] says whether it could not start, died (with its last words) or was too slow.
    pub fn start(launch: Launch) -> Result<Process, TargetError> {
        let mut child = spawn(&launch)?;
        let lines = child.stdout.take().map(|stdout| follow(&launch.name, stdout));
        match wait_ready(&launch, &mut child, lines) {
            Ok(address) => Ok(Process { launch, child, address }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id, for resource counters.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.launch.log
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends SIGTERM, waits for the stop timeout, then kills. A child that has already ended is no error.
    ///
    /// # Errors
    /// Only when the signal cannot be sent.
    pub fn stop(mut self) -> Result<Stopped, TargetError> {
        let began = Instant::now();
        if self.ended().is_none() {
            self.signal(Signal::TERM)?;
        }
        while began.elapsed() < self.launch.stop_timeout {
            if let Some(status) = self.ended() {
                return Ok(Stopped { code: status.code(), killed: false, after: began.elapsed() });
            }
            std::thread::sleep(POLL);
        }
        end(&mut self.child);
        Ok(Stopped { code: None, killed: true, after: began.elapsed() })
    }

    /// `kill -9`: no goodbye, as in a crash. Returns when the process is gone.
    ///
    /// # Errors
    /// Only when the signal cannot be sent.
    pub fn kill(mut self) -> Result<Launch, TargetError> {
        if self.ended().is_none() {
            self.signal(Signal::KILL)?;
        }
        end(&mut self.child);
        Ok(self.launch.clone())
    }

    fn signal(&self, signal: Signal) -> Result<(), TargetError> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let sent = pid.map_or(Err(rustix::io::Errno::SRCH), |pid| kill_process(pid, signal));
        sent.map_err(|source| TargetError::Signal {
            name: self.launch.name.clone(),
            pid: self.child.id(),
            source: source.into(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Makes sure the child is gone and reaped. Both calls fail only when it already is.
fn end(child: &mut Child) {
    let _gone = child.kill();
    let _reaped = child.wait();
}

fn spawn(launch: &Launch) -> Result<Child, TargetError> {
    let log = OpenOptions::new().create(true).append(true).open(&launch.log);
    let log = log.map_err(|source| TargetError::Prepare { path: launch.log.clone(), source })?;
    Command::new(&launch.executable)
        .args(&launch.arguments)
        .env(PARENT_VARIABLE, std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0)
        .spawn()
        .map_err(|source| TargetError::Spawn { executable: launch.executable.clone(), source })
}

/// Reads the child's stdout on a thread: reports the ready address once, then drains the pipe so that the
/// child can never block on it. The thread ends with the pipe.
fn follow(name: &str, stdout: ChildStdout) -> Receiver<SocketAddr> {
    let (sender, receiver) = sync_channel(1);
    let reader = move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(address) = ready_address(&line) {
                // The receiver is gone when the wait has been given up; draining goes on regardless.
                let _nobody_waits = sender.try_send(address);
            }
        }
    };
    // Without the thread the wait ends with a timeout, which names this child and its log.
    let _thread = std::thread::Builder::new().name(format!("stdout of {name}")).spawn(reader);
    receiver
}

/// The address in a line such as `ready 127.0.0.1:9092` or `ready PLAINTEXT://127.0.0.1:9092`.
fn ready_address(line: &str) -> Option<SocketAddr> {
    let rest = line.trim().strip_prefix("ready")?;
    let words = rest.split(|c: char| c.is_whitespace() || c == ',' || c == '=');
    words.map(|word| word.rsplit("://").next().unwrap_or(word)).find_map(|word| word.parse().ok())
}

fn wait_ready(
    launch: &Launch,
    child: &mut Child,
    lines: Option<Receiver<SocketAddr>>,
) -> Result<SocketAddr, TargetError> {
    let answer = lines.map(|lines| lines.recv_timeout(launch.start_timeout));
    match answer {
        Some(Ok(address)) => Ok(address),
        Some(Err(RecvTimeoutError::Disconnected)) => Err(died(launch, child)),
        Some(Err(RecvTimeoutError::Timeout)) | None => Err(TargetError::NotReady {
            name: launch.name.clone(),
            after: launch.start_timeout,
            log: launch.log.clone(),
        }),
    }
}

fn died(launch: &Launch, child: &mut Child) -> TargetError {
    let grace = Instant::now();
    let mut status = child.try_wait().ok().flatten();
    while status.is_none() && grace.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(POLL);
        status = child.try_wait().ok().flatten();
    }
    TargetError::Died {
        name: launch.name.clone(),
        status: status.map_or_else(|| "its output closed".into(), |status| status.to_string()),
        log: launch.log.clone(),
        last_words: last_words(&launch.log),
    }
}

/// The end of a log file, for a message; empty when it cannot be read.
fn last_words(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(LAST_WORDS_BYTES)))?;
        let mut tail = Vec::new();
        file.take(LAST_WORDS_BYTES).read_to_end(&mut tail)?;
        Ok(String::from_utf8_lossy(&tail).trim().to_owned())
    };
    read().unwrap_or_default()
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
        }
    }

    #[test]
    fn the_ready_line_is_found_among_others() {
        assert_eq!(ready_address("ready 127.0.0.1:9092"), Some(([127, 0, 0, 1], 9092).into()));
        assert_eq!(ready_address("ready PLAINTEXT://127.0.0.1:1"), Some(([127, 0, 0, 1], 1).into()));
        assert_eq!(ready_address("already 127.0.0.1:9092"), None);
        assert_eq!(ready_address("ready"), None);
    }

    #[test]
    fn a_child_is_ready_and_stops_on_sigterm() {
        let dir = tempfile::tempdir().unwrap();
        let script =
            "echo starting; echo ready 127.0.0.1:4711; trap 'exit 3' TERM; while :; do sleep 0.01; done";
        let process = Process::start(shell(script, &dir)).unwrap();
        assert_eq!(process.address().port(), 4711);
        let stopped = process.stop().unwrap();
        assert_eq!((stopped.code, stopped.killed), (Some(3), false));
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
    fn a_missing_executable_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let launch = Launch { executable: "/nowhere/plimsoll".into(), ..shell("", &dir) };
        assert!(Process::start(launch).unwrap_err().to_string().contains("/nowhere/plimsoll"));
    }
}
