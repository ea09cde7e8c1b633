//! Asking a broker of ours for its stages: the least HTTP client that does.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use plimsoll_results::{StageSnapshot, StageSnapshotError};

/// Longer than this nobody waits for a broker's own figures.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer is a few hundred kilobytes at most.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum StagesError {
    /// The door did not answer.
    #[error("{address} does not tell its stages: {source}")]
    Io {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// It answered something else.
    #[error("{address} answers `{status}` instead of its stages")]
    Status {
        /// Where.
        address: SocketAddr,
        /// The first line.
        status: String,
    },
    /// It answered what cannot be read.
    #[error(transparent)]
    Snapshot(#[from] StageSnapshotError),
}

/// Where a broker of ours tells its stages. Copies ask the same broker.
#[derive(Clone, Copy, Debug)]
pub struct StageDoor {
    pub(crate) address: SocketAddr,
}

impl StageDoor {
    /// Every stage since the broker began. Blocks for a few milliseconds, at most for seconds.
    ///
    /// # Errors
    /// [`StagesError`] says what came instead.
    pub fn look(&self) -> Result<StageSnapshot, StagesError> {
        let address = self.address;
        let answer = get(address, "/stages").map_err(|source| StagesError::Io { address, source })?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.lines().next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(StagesError::Status { address, status: status.to_owned() });
        }
        Ok(StageSnapshot::parse(body)?)
    }
}

fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the answer comes in one piece and ends with the connection.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A door that gives one answer.
    fn door(answer: &'static str) -> StageDoor {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _read = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        StageDoor { address }
    }

    #[test]
    fn a_snapshot_is_read_and_anything_else_is_an_error_with_words() {
        let answer = "HTTP/1.0 200 OK\r\n\r\n{\"schema\":\"stages/1.0\",\"syncs\":3,\"stages\":{}}";
        assert_eq!(door(answer).look().unwrap().syncs, 3);
        let starting = door("HTTP/1.0 503 Service Unavailable\r\n\r\n").look().unwrap_err();
        assert!(starting.to_string().contains("503"), "{starting}");
        assert!(matches!(door("HTTP/1.0 200 OK\r\n\r\nno").look(), Err(StagesError::Snapshot(_))));
        assert!(matches!(door("").look(), Err(StagesError::Status { .. })));
    }
}
