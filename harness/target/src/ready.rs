//! When a child is ready: it says so, or it answers; and what to say when it never is.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use crate::error::TargetError;
use crate::process::{Launch, POLL};

/// How often a starting child is asked whether it answers.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How much of the log is quoted when a child dies.
const LAST_WORDS_BYTES: u64 = 2_000;

/// Where a child says that it can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// Where it serves.
    pub(crate) address: SocketAddr,
    /// Where it tells of itself, if it said so before.
    pub(crate) http: Option<SocketAddr>,
}

/// Reads the child's stdout on a thread: reports its addresses once it is ready, then drains the pipe so that the
/// child can never block on it. The thread ends with the pipe.
pub(crate) fn follow(name: &str, stdout: ChildStdout) -> Receiver<Announced> {
    let (sender, receiver) = sync_channel(1);
    let reader = move || {
        let mut http = None;
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            http = http.or(address_after("http ", &line));
            if let Some(address) = address_after("ready", &line) {
                // The receiver is gone when the wait has been given up; draining goes on regardless.
                let _nobody_waits = sender.try_send(Announced { address, http });
            }
        }
    };
    // Without the thread the wait ends with a timeout, which names this child and its log.
    let _thread = std::thread::Builder::new().name(format!("stdout of {name}")).spawn(reader);
    receiver
}

/// The address in a line such as `ready 127.0.0.1:9092` or `ready PLAINTEXT://127.0.0.1:9092`.
fn address_after(word: &str, line: &str) -> Option<SocketAddr> {
    let rest = line.trim().strip_prefix(word)?;
    let words = rest.split(|c: char| c.is_whitespace() || c == ',' || c == '=');
    words.map(|word| word.rsplit("://").next().unwrap_or(word)).find_map(|word| word.parse().ok())
}

pub(crate) fn wait_ready(
    launch: &Launch,
    child: &mut Child,
    lines: Option<Receiver<Announced>>,
) -> Result<Announced, TargetError> {
    let answer = lines.map(|lines| lines.recv_timeout(launch.start_timeout));
    match answer {
        Some(Ok(announced)) => Ok(announced),
        Some(Err(RecvTimeoutError::Disconnected)) => Err(died(launch, child)),
        Some(Err(RecvTimeoutError::Timeout)) | None => Err(not_ready(launch)),
    }
}

pub(crate) fn wait_answer(
    launch: &Launch,
    child: &mut Child,
    answers: impl Fn() -> bool,
) -> Result<(), TargetError> {
    let began = Instant::now();
    while began.elapsed() < launch.start_timeout {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return Err(died(launch, child));
        }
        if answers() {
            return Ok(());
        }
        std::thread::sleep(ASK_AGAIN);
    }
    Err(not_ready(launch))
}

fn not_ready(launch: &Launch) -> TargetError {
    TargetError::NotReady { name: launch.name.clone(), after: launch.start_timeout, log: launch.log.clone() }
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
pub(crate) fn last_words(log: &Path) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_is_found_among_others() {
        assert_eq!(address_after("ready", "ready 127.0.0.1:9092"), Some(([127, 0, 0, 1], 9092).into()));
        assert_eq!(address_after("ready", "ready PLAINTEXT://127.0.0.1:1"), Some(([127, 0, 0, 1], 1).into()));
        assert_eq!(address_after("ready", "already 127.0.0.1:9092"), None);
        assert_eq!(address_after("ready", "ready"), None);
        assert_eq!(address_after("http ", "http 127.0.0.1:2"), Some(([127, 0, 0, 1], 2).into()));
    }
}
