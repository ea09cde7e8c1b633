//! Incremental fetch sessions (KIP-227, rule E22): a client that asks for the same partitions again and
//! again names only what changed, and is told only what changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use plimsoll_wire::fetch::{FetchPartition, FetchRequest, PartitionFetchResponse};
use plimsoll_wire::{ErrorCode, StrBytes, Uuid};

use super::fetch::Row;
use crate::net::StoredSlice;

/// Epoch of a request that wants no session, or closes its own.
const FINAL_EPOCH: i32 = -1;
/// Epoch of a request that wants a new session.
const INITIAL_EPOCH: i32 = 0;

/// A session used less recently than this may give way to a new one.
const EVICT_AFTER: Duration = Duration::from_secs(120);

/// Partitions that all sessions together remember; a client beyond that is served without a session.
const PARTITIONS_MAX: usize = 1_000_000;

/// A partition as a session knows it: by name or, from version 13 on, by id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) name: StrBytes,
    pub(super) topic_id: Uuid,
    pub(super) partition: i32,
}

/// What a session remembers of one partition's last answer.
#[derive(Clone, Debug)]
struct Cached {
    key: Key,
    wanted: FetchPartition,
    high_watermark: i64,
    log_start_offset: i64,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    by_id: bool,
    partitions: Remembered,
    used_at: Instant,
}

/// A session's partitions in the order in which they are read. Every step costs O(log n).
#[derive(Debug, Default)]
struct Remembered {
    in_order: BTreeMap<u64, Cached>,
    places: HashMap<Key, u64>,
    next_place: u64,
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
    New { by_id: bool },
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
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        match (request.session_id, request.session_epoch) {
            (0, INITIAL_EPOCH) => Ok(full(request, Kind::New { by_id })),
            (id, FINAL_EPOCH) => {
                sessions.by_id.remove(&id);
                Ok(full(request, Kind::Sessionless))
            }
            (id, INITIAL_EPOCH) => {
                sessions.by_id.remove(&id);
                Ok(full(request, Kind::New { by_id }))
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
            Kind::New { by_id } => {
                let id = sessions.open(self.slots, by_id, &context.partitions, &rows);
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
        if asked(request).count() > room {
            // The client begins anew with everything it wants, and is then served without a session.
            self.by_id.remove(&id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        session.epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        session.used_at = Instant::now();
        session.update(request);
        let partitions = session.partitions.in_order.values();
        let partitions = partitions.map(|cached| (cached.key.clone(), cached.wanted.clone())).collect();
        Ok(Context { kind: Kind::Incremental { id }, partitions })
    }

    fn partition_count(&self) -> usize {
        self.by_id.values().map(|session| session.partitions.places.len()).sum()
    }

    /// Opens a session and returns its id, or 0 if there is no room for one.
    fn open(&mut self, slots: usize, by_id: bool, partitions: &[(Key, FetchPartition)], rows: &[Row]) -> i32 {
        let fits = self.partition_count() + partitions.len() <= PARTITIONS_MAX;
        if partitions.is_empty() || !fits || !self.make_room(slots) {
            return 0;
        }
        loop {
            self.last_id = if self.last_id == i32::MAX { 1 } else { self.last_id + 1 };
            if !self.by_id.contains_key(&self.last_id) {
                break;
            }
        }
        let mut remembered = Remembered::default();
        for ((key, wanted), row) in partitions.iter().zip(rows) {
            remembered.put(Cached::new(key.clone(), wanted.clone()).after(&row.answer));
        }
        let session = Session { epoch: 1, by_id, partitions: remembered, used_at: Instant::now() };
        self.by_id.insert(self.last_id, session);
        self.last_id
    }

    fn make_room(&mut self, slots: usize) -> bool {
        if self.by_id.len() < slots {
            return true;
        }
        let oldest = self.by_id.iter().min_by_key(|(_, session)| session.used_at);
        let Some((id, _)) = oldest.filter(|(_, session)| session.used_at.elapsed() > EVICT_AFTER) else {
            return false;
        };
        let id = *id;
        self.by_id.remove(&id);
        true
    }
}

impl Session {
    /// Adds, changes and forgets partitions as the request says.
    fn update(&mut self, request: &FetchRequest) {
        for (key, wanted) in asked(request) {
            match self.partitions.get_mut(&key) {
                Some(cached) => cached.wanted = wanted,
                None => self.partitions.put(Cached::new(key, wanted)),
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

impl Remembered {
    fn get_mut(&mut self, key: &Key) -> Option<&mut Cached> {
        self.in_order.get_mut(self.places.get(key)?)
    }

    fn put(&mut self, cached: Cached) {
        self.forget(&cached.key);
        self.places.insert(cached.key.clone(), self.next_place);
        self.in_order.insert(self.next_place, cached);
        self.next_place += 1;
    }

    fn forget(&mut self, key: &Key) -> Option<Cached> {
        self.in_order.remove(&self.places.remove(key)?)
    }

    fn move_back(&mut self, key: &Key) {
        if let Some(cached) = self.forget(key) {
            self.put(cached);
        }
    }
}

impl Cached {
    fn new(key: Key, wanted: FetchPartition) -> Self {
        Self { key, wanted, high_watermark: -1, log_start_offset: -1 }
    }

    fn after(mut self, answer: &PartitionFetchResponse<StoredSlice>) -> Self {
        self.remember(answer);
        self
    }

    fn is_changed_by(&self, answer: &PartitionFetchResponse<StoredSlice>) -> bool {
        answer.error != ErrorCode::None
            || answer.records_len_bytes() > 0
            || answer.high_watermark != self.high_watermark
            || answer.log_start_offset != self.log_start_offset
    }

    /// After an error the watermark is forgotten, so that the partition is sent again once it is well.
    fn remember(&mut self, answer: &PartitionFetchResponse<StoredSlice>) {
        let well = answer.error == ErrorCode::None;
        self.high_watermark = if well { answer.high_watermark } else { -1 };
        self.log_start_offset = answer.log_start_offset;
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
mod tests {
    use super::*;
    use plimsoll_wire::Part;
    use plimsoll_wire::fetch::{FetchTopic, ForgottenTopic};

    fn request(session_id: i32, session_epoch: i32, indexes: &[i32]) -> FetchRequest {
        let partitions =
            indexes.iter().map(|&index| FetchPartition { index, ..FetchPartition::default() }).collect();
        let topic = FetchTopic { name: StrBytes::from_static_str("t"), partitions, ..FetchTopic::default() };
        FetchRequest { session_id, session_epoch, topics: vec![topic], ..FetchRequest::default() }
    }

    fn row(index: i32, high_watermark: i64, bytes: usize) -> Row {
        let key = Key { name: StrBytes::from_static_str("t"), topic_id: Uuid::nil(), partition: index };
        let records = vec![Part::Bytes(vec![0; bytes].into())];
        let answer =
            PartitionFetchResponse { index, high_watermark, records, ..PartitionFetchResponse::default() };
        Row { key, answer }
    }

    fn open(sessions: &FetchSessions, indexes: &[i32]) -> i32 {
        let context = sessions.begin(&request(0, 0, indexes), false).expect("new");
        let rows = indexes.iter().map(|&index| row(index, 0, 0)).collect();
        let (id, rows) = sessions.end(context, rows);
        assert_eq!(rows.len(), indexes.len(), "a full fetch answers everything");
        id
    }

    fn indexes(rows: &[Row]) -> Vec<i32> {
        rows.iter().map(|row| row.key.partition).collect()
    }

    #[test]
    fn e22_only_changed_partitions_come_back() {
        let sessions = FetchSessions::new(10);
        let id = open(&sessions, &[0, 1, 2]);
        assert!(id > 0);
        let context = sessions.begin(&request(id, 1, &[]), false).expect("resumes");
        assert_eq!(context.partitions().len(), 3);
        let (same, rows) = sessions.end(context, vec![row(0, 0, 0), row(1, 7, 0), row(2, 0, 10)]);
        assert_eq!((same, indexes(&rows)), (id, vec![1, 2]));
        let context = sessions.begin(&request(id, 2, &[]), false).expect("resumes");
        let order: Vec<_> = context.partitions().iter().map(|(key, _)| key.partition).collect();
        assert_eq!(order, [0, 1, 2], "2 had data last and stays at the back");
        assert!(sessions.end(context, vec![row(0, 0, 0), row(1, 7, 0), row(2, 0, 0)]).1.is_empty());
    }

    #[test]
    fn e22_wrong_epochs_and_unknown_ids_are_refused() {
        let sessions = FetchSessions::new(10);
        let id = open(&sessions, &[0]);
        let fails = |id, epoch, by_id| sessions.begin(&request(id, epoch, &[]), by_id).expect_err("refused");
        assert_eq!(fails(id, 2, false), ErrorCode::InvalidFetchSessionEpoch);
        assert_eq!(fails(id + 1, 1, false), ErrorCode::FetchSessionIdNotFound);
        assert_eq!(fails(0, 5, false), ErrorCode::InvalidFetchSessionEpoch);
        assert_eq!(fails(id, 1, true), ErrorCode::FetchSessionTopicIdError);
        assert!(sessions.begin(&request(id, 1, &[]), false).is_ok(), "refusals do not use up the epoch");
    }

    #[test]
    fn e22_an_error_makes_a_partition_come_back_when_it_is_well_again() {
        let sessions = FetchSessions::new(10);
        let id = open(&sessions, &[0]);
        let context = sessions.begin(&request(id, 1, &[]), false).expect("resumes");
        let mut failed = row(0, 0, 0);
        failed.answer.error = ErrorCode::KafkaStorageError;
        assert_eq!(sessions.end(context, vec![failed]).1.len(), 1);
        let context = sessions.begin(&request(id, 2, &[]), false).expect("resumes");
        assert_eq!(sessions.end(context, vec![row(0, 0, 0)]).1.len(), 1);
    }

    #[test]
    fn e22_partitions_are_added_and_forgotten() {
        let sessions = FetchSessions::new(10);
        let id = open(&sessions, &[0, 1]);
        let mut change = request(id, 1, &[5]);
        change.forgotten_topics = vec![ForgottenTopic {
            name: StrBytes::from_static_str("t"),
            topic_id: Uuid::nil(),
            partitions: vec![0],
        }];
        let context = sessions.begin(&change, false).expect("resumes");
        let left: Vec<_> = context.partitions().iter().map(|(key, _)| key.partition).collect();
        assert_eq!(left, [1, 5]);
    }

    #[test]
    fn e22_a_session_of_thousands_of_partitions_rotates_those_with_data() {
        let all: Vec<i32> = (0..5_000).collect();
        let sessions = FetchSessions::new(1);
        let id = open(&sessions, &all);
        for epoch in 1..=50 {
            let context = sessions.begin(&request(id, epoch, &[]), false).expect("resumes");
            let order: Vec<_> = context.partitions().iter().map(|(key, _)| key.partition).collect();
            let (front, rest) = order.split_at(100);
            assert_eq!(
                front.first(),
                Some(&((epoch - 1) * 100 % 5_000)),
                "those that waited longest come first"
            );
            let full = front.iter().map(|&index| row(index, 0, 10));
            let rows = full.chain(rest.iter().map(|&index| row(index, 0, 0))).collect();
            assert_eq!(indexes(&sessions.end(context, rows).1), front);
        }
    }

    #[test]
    fn an_abandoned_request_does_not_block_its_session() {
        let sessions = FetchSessions::new(1);
        let id = open(&sessions, &[0]);
        drop(sessions.begin(&request(id, 1, &[]), false).expect("resumes"));
        assert!(sessions.begin(&request(id, 2, &[]), false).is_ok());
    }

    #[test]
    fn without_room_a_client_is_served_without_a_session() {
        let sessions = FetchSessions::new(1);
        assert!(open(&sessions, &[0]) > 0);
        assert_eq!(open(&sessions, &[0]), 0);
        assert_eq!(open(&FetchSessions::new(0), &[0]), 0);
    }

    #[test]
    fn the_final_epoch_closes_a_session() {
        let sessions = FetchSessions::new(1);
        let id = open(&sessions, &[0]);
        sessions.begin(&request(id, FINAL_EPOCH, &[]), false).expect("served once more");
        let gone = sessions.begin(&request(id, 1, &[]), false).expect_err("gone");
        assert_eq!(gone, ErrorCode::FetchSessionIdNotFound);
    }
}
