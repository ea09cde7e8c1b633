//! The floor program with followers: three processes that do what replication cannot do without.
//!
//! The leader answers a Produce once every follower has written its batches. Followers pull: each says over one
//! connection how many bytes of the leader's stream it has written, and is answered with what came since, as soon as
//! there is anything. It checks each batch's CRC and appends it to a file of its own. No epochs, no ISR, no fetch
//! sessions, no high watermark that a reader would need.
//!
//! ```text
//! follower → leader   bytes written so far (u64)
//! leader → follower   number of runs (u32), then for each: partition (u32), length (u32); then their bytes
//! ```
//!
//! The leader sends straight from its files (`sendfile`): as with a broker, a follower that keeps up is sent what lies
//! in the page cache.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::sendfile;

use super::floor::{checked, file_name};
use super::segment::{Segment, Technique};

/// At most so much is sent in one answer, unless a single run is larger.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// Runs of one answer.
const RUNS_MAX: usize = 1024;
/// A batch is at most so large; a longer run in an answer is nonsense.
const RUN_BYTES_MAX: u32 = 64 << 20;
/// Length of base offset and batch length, which the batch length does not count.
const LENGTH_OVERHEAD_BYTES: usize = 12;

/// Bytes that were appended to one file, in one piece.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Number of the partition among those of the leader.
    pub(super) partition: u32,
    pub(super) file: Arc<File>,
    pub(super) at_bytes: u64,
    pub(super) len: u32,
}

impl Run {
    /// Takes in what lies right behind it.
    fn extend(&mut self, next: &Run) -> bool {
        let len = self.len.saturating_add(next.len);
        let behind = self.partition == next.partition
            && Arc::ptr_eq(&self.file, &next.file)
            && self.at_bytes + u64::from(self.len) == next.at_bytes
            && u64::from(len) <= ANSWER_BYTES_MAX;
        if behind {
            self.len = len;
        }
        behind
    }
}

/// What the leader has appended and not all followers have written yet. Bounded by what its connections have in flight,
/// since none goes on before its last appends are everywhere.
#[derive(Debug)]
pub(super) struct Stream {
    state: Mutex<State>,
    grown: Condvar,
    acknowledged: Condvar,
}

#[derive(Debug)]
struct State {
    /// The runs from `begin` on.
    runs: VecDeque<Run>,
    begin: u64,
    end: u64,
    /// How much each follower has written; those that never came have written nothing.
    written: Vec<u64>,
    connected: usize,
}

impl State {
    fn everywhere(&self) -> u64 {
        self.written.iter().copied().min().unwrap_or(self.end)
    }

    /// Forgets what is everywhere.
    fn forget(&mut self) {
        let everywhere = self.everywhere();
        while let Some(run) = self.runs.front()
            && self.begin + u64::from(run.len) <= everywhere
        {
            self.begin += u64::from(run.len);
            self.runs.pop_front();
        }
    }

    /// What lies behind `position`, joined where it lies together.
    fn behind(&self, position: u64) -> Vec<Run> {
        let (mut at, mut sent, mut answer) = (self.begin, 0, Vec::<Run>::new());
        for run in &self.runs {
            let (start, len) = (at, u64::from(run.len));
            at += len;
            if start < position {
                continue;
            }
            if sent > 0 && sent + len > ANSWER_BYTES_MAX {
                break;
            }
            sent += len;
            let joined = answer.last_mut().is_some_and(|last| last.extend(run));
            if !joined {
                answer.push(run.clone());
            }
            if answer.len() == RUNS_MAX {
                break;
            }
        }
        answer
    }
}

impl Stream {
    /// A stream that `followers` must write.
    pub(super) fn new(followers: usize) -> Self {
        let state =
            State { runs: VecDeque::new(), begin: 0, end: 0, written: vec![0; followers], connected: 0 };
        Self { state: Mutex::new(state), grown: Condvar::new(), acknowledged: Condvar::new() }
    }

    /// Adds what was appended; returns the position that all followers must reach before it may be acknowledged.
    pub(super) fn push(&self, run: Run) -> u64 {
        let mut state = self.lock();
        state.end += u64::from(run.len);
        state.runs.push_back(run);
        let end = state.end;
        drop(state);
        self.grown.notify_all();
        end
    }

    /// Blocks until every follower has written up to `position`.
    pub(super) fn wait_everywhere(&self, position: u64) {
        let mut state = self.lock();
        while state.everywhere() < position {
            state = self.acknowledged.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Listens for followers and serves each on a thread of its own.
    pub(super) fn serve(self: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let stream = Arc::clone(self);
        let accept = move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let Some(number) = stream.take_place() else { continue };
                let stream = Arc::clone(&stream);
                let follow = move || {
                    if let Err(error) = stream.feed(number, socket) {
                        eprintln!("follower {number}: {error}");
                    }
                };
                if let Err(error) =
                    std::thread::Builder::new().name(format!("follower-{number}")).spawn(follow)
                {
                    eprintln!("follower {number}: {error}");
                }
            }
        };
        std::thread::Builder::new().name("followers".to_owned()).spawn(accept).map(|_| ())
    }

    /// A follower that went away does not come back: its place stays taken, and nothing more is acknowledged.
    fn take_place(&self) -> Option<usize> {
        let mut state = self.lock();
        let place = state.connected;
        (place < state.written.len()).then(|| {
            state.connected += 1;
            place
        })
    }

    fn feed(&self, number: usize, mut socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let (mut position, mut header) = ([0; 8], Vec::new());
        loop {
            socket.read_exact(&mut position)?;
            let runs = self.written(number, u64::from_be_bytes(position))?;
            header.clear();
            header.extend_from_slice(&u32::try_from(runs.len()).unwrap_or(u32::MAX).to_be_bytes());
            for run in &runs {
                header.extend_from_slice(&run.partition.to_be_bytes());
                header.extend_from_slice(&run.len.to_be_bytes());
            }
            socket.write_all(&header)?;
            runs.iter().try_for_each(|run| send(&socket, run))?;
        }
    }

    /// Notes how far a follower is, and waits for what comes behind that.
    fn written(&self, number: usize, position: u64) -> io::Result<Vec<Run>> {
        let mut state = self.lock();
        if position > state.end {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it has written more than there is"));
        }
        if let Some(written) = state.written.get_mut(number) {
            *written = position;
        }
        state.forget();
        self.acknowledged.notify_all();
        while state.end == position {
            state = self.grown.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(state.behind(position))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send(socket: &TcpStream, run: &Run) -> io::Result<()> {
    let (mut at_bytes, end) = (run.at_bytes, run.at_bytes + u64::from(run.len));
    while at_bytes < end {
        let left = usize::try_from(end - at_bytes).unwrap_or(usize::MAX);
        if sendfile(socket, &*run.file, Some(&mut at_bytes), left)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a file is shorter than what was appended",
            ));
        }
    }
    Ok(())
}

/// Follows the leader at `leader` until it hangs up, with files in `dir`.
pub(super) fn follow(leader: SocketAddr, technique: Technique, dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let mut socket = TcpStream::connect(leader)?;
    socket.set_nodelay(true)?;
    let (mut written, mut files, mut bytes) = (0u64, HashMap::<u32, Segment>::new(), Vec::new());
    loop {
        socket.write_all(&written.to_be_bytes())?;
        let mut count = [0; 4];
        match socket.read_exact(&mut count) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let runs = read_runs(&mut socket, u32::from_be_bytes(count))?;
        for (partition, len) in runs {
            bytes.resize(len as usize, 0);
            socket.read_exact(&mut bytes)?;
            sound(&bytes)?;
            let segment = match files.entry(partition) {
                std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
                std::collections::hash_map::Entry::Vacant(new) => {
                    new.insert(Segment::create(&dir.join(file_name(partition)), technique)?)
                }
            };
            segment.append(&bytes)?;
            written += u64::from(len);
        }
        files.values_mut().try_for_each(Segment::flush)?;
    }
}

fn read_runs(socket: &mut TcpStream, count: u32) -> io::Result<Vec<(u32, u32)>> {
    let count = usize::try_from(count).ok().filter(|count| *count <= RUNS_MAX).ok_or_else(nonsense)?;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        let mut run = [0; 8];
        socket.read_exact(&mut run)?;
        let [a, b, c, d, e, f, g, h] = run;
        let len = u32::from_be_bytes([e, f, g, h]);
        if len > RUN_BYTES_MAX {
            return Err(nonsense());
        }
        runs.push((u32::from_be_bytes([a, b, c, d]), len));
    }
    Ok(runs)
}

/// Whether a run is whole batches with sound checksums.
fn sound(mut run: &[u8]) -> io::Result<()> {
    while !run.is_empty() {
        let length = run.get(8..).and_then(<[u8]>::first_chunk).map(|length| i32::from_be_bytes(*length));
        let whole = length
            .and_then(|length| usize::try_from(length).ok())
            .map(|length| length + LENGTH_OVERHEAD_BYTES);
        let (batch, rest) = whole.and_then(|whole| run.split_at_checked(whole)).ok_or_else(nonsense)?;
        checked(batch).ok_or_else(nonsense)?;
        run = rest;
    }
    Ok(())
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the leader's stream is damaged")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::connection::Sink;
    use super::super::floor::Floor;
    use super::super::floor::tests::batch;
    use super::*;

    #[test]
    fn an_answer_waits_for_every_follower_and_their_files_are_the_leaders() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let floor = Floor::new(Technique::Pwrite, &path("leader")).unwrap();
        let mut floor = floor.with_followers(listener, 2).unwrap();
        let (done, answered) = std::sync::mpsc::channel();
        let producer = std::thread::spawn(move || {
            for round in 0..20 {
                for (partition, records) in [(0, 3), (1, 9), (0, 400), (2, 1)] {
                    floor.append(b"t", partition, &mut batch(records + round)).unwrap();
                }
                floor.flush().unwrap();
                done.send(round).unwrap();
            }
        });
        let begin = |name: &'static str| {
            let dir = path(name);
            std::thread::spawn(move || follow(address, Technique::Pwrite, &dir))
        };
        let _one = begin("one");
        assert!(
            answered.recv_timeout(Duration::from_millis(200)).is_err(),
            "one of two followers is not all"
        );
        let _two = begin("two");
        producer.join().unwrap();
        assert_eq!(answered.iter().count(), 20);
        for partition in 0..3 {
            let read =
                |name: &str| std::fs::read(path(name).join(format!("partition-{partition}.0.log"))).unwrap();
            let leader = read("leader");
            assert!(leader.len() > 1000 && [read("one"), read("two")] == [leader.clone(), leader]);
        }
    }

    #[test]
    fn a_follower_takes_only_whole_sound_batches() {
        let good = [batch(3), batch(50)].concat();
        assert!(sound(&good).is_ok() && sound(&[]).is_ok());
        for at in [10, 20, 90, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(sound(&bad).is_err(), "byte {at}");
        }
        assert!(sound(&good[..good.len() - 1]).is_err() && sound(&good[1..]).is_err());
    }
}
