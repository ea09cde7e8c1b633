//! Incremental fetch sessions (KIP-227, rule E22): a client that asks for the same partitions again and
//! again names only what changed, and is told only what changed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use plimsoll_wire::ErrorCode;
use plimsoll_wire::fetch::{FetchPartition, FetchRequest};

use super::fetch::Row;
pub(super) use super::remembered::Key;
use super::remembered::{Cached, NameCopies, Remembered};

/// Epoch of a request that wants no session, or closes its own.
const FINAL_EPOCH: i32 = -1;
/// Epoch of a request that wants a new session.
const INITIAL_EPOCH: i32 = 0;

/// A session used less recently than this may give way to a new one.
const EVICT_AFTER: Duration = Duration::from_secs(120);

/// Partitions that all sessions together remember; a client beyond that is served without a session.
const PARTITIONS_MAX: usize = 1_000_000;

#[derive(Debug)]
struct Session {
    epoch: i32,
    by_id: bool,
    /// A follower's: it never gives way to a consumer's, and one of those gives way to it.
    of_follower: bool,
    partitions: Remembered,
    used_at: Instant,
}

/// The sessions of all clients.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    slots: usize,
    sessions: Mutex<Sessions>,
}

#[derive(Debug, Default)]
struct Sessions {
    by_id: HashMap<i32, Session>,
    last_id: i32,
}

/// What one request asks for, once its session has been looked up.
#[derive(Debug)]
pub(super) struct Context {
    kind: Kind,
    partitions: Vec<(Key, FetchPartition)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Everything asked for is answered, and nothing remembered.
    Sessionless,
    /// Everything is answered, and remembered if there is room.
    New { by_id: bool, of_follower: bool },
    /// Only changes are answered.
    Incremental { id: i32 },
}

impl Context {
    pub(super) fn partitions(&self) -> &[(Key, FetchPartition)] {
        &self.partitions
    }

    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }
}

impl FetchSessions {
    pub(crate) fn new(slots: usize) -> Self {
        Self { slots, sessions: Mutex::default() }
    }

    /// Finds out what `request` asks for.
    pub(super) fn begin(&self, request: &FetchRequest, by_id: bool) -> Result<Context, ErrorCode> {
        let of_follower = request.is_from_follower();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        match (request.session_id, request.session_epoch) {
            (0, INITIAL_EPOCH) => Ok(full(request, Kind::New { by_id, of_follower })),
            (id, FINAL_EPOCH) => {
                sessions.by_id.remove(&id);
                Ok(full(request, Kind::Sessionless))
            }
            (id, INITIAL_EPOCH) => {
                sessions.by_id.remove(&id);
                Ok(full(request, Kind::New { by_id, of_follower }))
            }
            (0, _) => Err(ErrorCode::InvalidFetchSessionEpoch),
            (id, epoch) => sessions.resume(id, epoch, request, by_id),
        }
    }

    /// Remembers what was answered; returns the session's id and the rows that go out.
    pub(super) fn end(&self, context: Context, mut rows: Vec<Row>) -> (i32, Vec<Row>) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        match context.kind {
            Kind::Sessionless => (0, rows),
            Kind::New { by_id, of_follower } => {
                let id = sessions.open(self.slots, (by_id, of_follower), &context.partitions, &rows);
                (id, rows)
            }
            Kind::Incremental { id } => {
                if let Some(session) = sessions.by_id.get_mut(&id) {
                    session.keep_changes(&mut rows);
                }
                (id, rows)
            }
        }
    }
}

impl Sessions {
    fn resume(
        &mut self,
        id: i32,
        epoch: i32,
        request: &FetchRequest,
        by_id: bool,
    ) -> Result<Context, ErrorCode> {
        let room = PARTITIONS_MAX.saturating_sub(self.partition_count());
        let session = self.by_id.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.by_id != by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if asked(request).count() > room || !asked(request).all(|(key, _)| key.can_exist()) {
            // The client begins anew with everything it wants, and is then served without a session.
            self.by_id.remove(&id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        session.epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        session.used_at = Instant::now();
        session.update(request);
        let partitions =
            session.partitions.in_order().map(|cached| (cached.key.clone(), cached.wanted.clone())).collect();
        Ok(Context { kind: Kind::Incremental { id }, partitions })
    }

    fn partition_count(&self) -> usize {
        self.by_id.values().map(|session| session.partitions.len()).sum()
    }

    /// Opens a session and returns its id, or 0 if there is no room for one.
    fn open(
        &mut self,
        slots: usize,
        (by_id, of_follower): (bool, bool),
        partitions: &[(Key, FetchPartition)],
        rows: &[Row],
    ) -> i32 {
        let fits = self.partition_count() + partitions.len() <= PARTITIONS_MAX
            && partitions.iter().all(|(key, _)| key.can_exist());
        if partitions.is_empty() || !fits || !self.make_room(slots, of_follower) {
            return 0;
        }
        loop {
            self.last_id = if self.last_id == i32::MAX { 1 } else { self.last_id + 1 };
            if !self.by_id.contains_key(&self.last_id) {
                break;
            }
        }
        let (mut remembered, mut names) = (Remembered::default(), NameCopies::default());
        for ((key, wanted), row) in partitions.iter().zip(rows) {
            remembered.put(Cached::new(names.own(key), wanted.clone()).after(&row.answer));
        }
        let session =
            Session { epoch: 1, by_id, of_follower, partitions: remembered, used_at: Instant::now() };
        self.by_id.insert(self.last_id, session);
        self.last_id
    }

    /// The session that was used least recently gives way: to anybody once it is old, to a follower's at once if it is a
    /// consumer's.
    fn make_room(&mut self, slots: usize, for_follower: bool) -> bool {
        if self.by_id.len() < slots {
            return true;
        }
        let gives_way = |session: &Session| match (session.of_follower, for_follower) {
            (false, true) => true,
            (true, false) => false,
            _ => session.used_at.elapsed() > EVICT_AFTER,
        };
        let yielding = self.by_id.iter().filter(|(_, session)| gives_way(session));
        let Some((&id, _)) = yielding.min_by_key(|(_, session)| session.used_at) else { return false };
        self.by_id.remove(&id);
        true
    }
}

impl Session {
    /// Adds, changes and forgets partitions as the request says.
    fn update(&mut self, request: &FetchRequest) {
        let mut names = NameCopies::default();
        for (key, wanted) in asked(request) {
            match self.partitions.get_mut(&key) {
                Some(cached) => cached.wanted = wanted,
                None => self.partitions.put(Cached::new(names.own(&key), wanted)),
            }
        }
        for topic in &request.forgotten_topics {
            for &partition in &topic.partitions {
                let key = Key { name: topic.name.clone(), topic_id: topic.topic_id, partition };
                self.partitions.forget(&key);
            }
        }
    }

    /// Keeps the rows that say something new. Partitions that were answered with data go to the back, so
    /// that the byte budget reaches all of them in turn.
    fn keep_changes(&mut self, rows: &mut Vec<Row>) {
        rows.retain(|row| {
            let Some(cached) = self.partitions.get_mut(&row.key) else { return true };
            let changed = cached.is_changed_by(&row.answer);
            cached.remember(&row.answer);
            if row.answer.records_len_bytes() > 0 {
                self.partitions.move_back(&row.key);
            }
            changed
        });
    }
}

fn full(request: &FetchRequest, kind: Kind) -> Context {
    Context { kind, partitions: asked(request).collect() }
}

fn asked(request: &FetchRequest) -> impl Iterator<Item = (Key, FetchPartition)> + '_ {
    request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|wanted| {
            let key = Key { name: topic.name.clone(), topic_id: topic.topic_id, partition: wanted.index };
            (key, wanted.clone())
        })
    })
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
