//! What librdkafka's polling thread hears, kept for the producer's own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

use crate::clock::{self, Nanos};
use crate::librdkafka;

/// What became of one record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    /// The ticket it was sent with.
    pub(super) ticket: usize,
    /// Its offset, if the broker said.
    pub(super) offset: Option<i64>,
    /// Why it was not delivered.
    pub(super) error: Option<RDKafkaErrorCode>,
    /// When the report was there.
    pub(super) at: Nanos,
}

/// Counters since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// How often they were told.
    pub(super) tellings: u64,
    /// Produce requests, each with one batch.
    pub(super) batches: u64,
    /// Records in them, again with each retry.
    pub(super) records: u64,
    /// Bytes sent to brokers: nearly all of them are those batches as they go out.
    pub(super) bytes: u64,
}

impl From<&Statistics> for Totals {
    fn from(told: &Statistics) -> Totals {
        let requests = told.brokers.values().filter_map(|broker| broker.req.get("Produce"));
        let partitions = told.topics.values().flat_map(|topic| topic.partitions.values());
        Totals {
            tellings: 1,
            batches: requests.map(|sent| sent.unsigned_abs()).sum(),
            records: partitions.map(|partition| partition.txmsgs).sum(),
            bytes: told.brokers.values().map(|broker| broker.txbytes).sum(),
        }
    }
}

/// Everything that came since it was last looked at. As long as the producer's buffer: no record has two reports.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) deliveries: Vec<Delivery>,
    /// Errors that are no record's, by name.
    pub(super) errors: BTreeMap<String, u64>,
    /// The last of them in words.
    pub(super) last_error: Option<String>,
    pub(super) totals: Totals,
}

/// Where one thread puts mail and the other takes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Mailbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    mail: Mutex<Mail>,
    came: Notify,
}

impl Mailbox {
    pub(super) fn open(&self) -> MutexGuard<'_, Mail> {
        self.0.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for deliveries. Cancel-safe: what came stays in the box.
    pub(super) async fn deliveries(&self) {
        self.0.came.notified().await;
    }
}

impl ClientContext for Mailbox {
    fn stats(&self, statistics: Statistics) {
        let told = Totals::from(&statistics);
        let mut mail = self.open();
        mail.totals = Totals { tellings: mail.totals.tellings + 1, ..told };
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let name = error.rdkafka_error_code().map_or_else(|| error.to_string(), librdkafka::name);
        let mut mail = self.open();
        *mail.errors.entry(name).or_default() += 1;
        mail.last_error = Some(reason.to_owned());
    }
}

impl ProducerContext for Mailbox {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: usize) {
        let at = clock::now();
        let (offset, error) = match result {
            Ok(message) => (Some(message.offset()).filter(|offset| *offset >= 0), None),
            Err((error, _)) => (None, Some(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))),
        };
        let mut mail = self.open();
        let first = mail.deliveries.is_empty();
        mail.deliveries.push(Delivery { ticket, offset, error, at });
        drop(mail);
        if first {
            self.0.came.notify_one();
        }
    }
}
