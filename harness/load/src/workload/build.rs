//! From the sections about data to what they name.

use plimsoll_client as client;

use super::{Acks, Framing, KeyDist, Keys, Payload, PayloadKind, Workload};
use crate::corpus;
use crate::keys::KeySource;
use crate::payload::{Entropy, Pattern, PayloadSource, Window};

impl Workload {
    /// The topics of this run, in order.
    pub fn topic_names(&self) -> Vec<String> {
        let further = (2..=self.topic.count).map(|number| format!("{}-{number}", self.topic.name));
        std::iter::once(self.topic.name.clone()).chain(further).collect()
    }

    /// Partitions of all topics together.
    pub fn partition_count(&self) -> u32 {
        self.topic.count.saturating_mul(self.topic.partitions.unsigned_abs())
    }

    /// The stretch of values in which none may come twice.
    pub fn window(&self) -> Window {
        let open_batches = if self.keys.dist == KeyDist::None { 1 } else { self.partition_count() };
        Window { largest_batch_bytes: self.produce.batch_bytes.0, open_batches }
    }
}

impl Payload {
    /// Where values come from. A size other than `0B` is applied with `resized` to corpora and files.
    pub fn source(&self) -> PayloadSource {
        match self.kind {
            PayloadKind::Corpus => PayloadSource::Corpus { name: self.corpus.clone() },
            PayloadKind::Sample => PayloadSource::Sample { name: self.corpus.clone() },
            PayloadKind::File => {
                PayloadSource::File { path: self.path.clone(), framing: self.framing.into() }
            }
            PayloadKind::Random => PayloadSource::Random {
                size_bytes: self.size.bytes(),
                entropy: self.entropy(),
                pool_bytes: self.pool.bytes(),
            },
            PayloadKind::Pattern => {
                // Every text is a pattern.
                let pattern = self.pattern.parse().unwrap_or(Pattern::Constant(0));
                PayloadSource::Pattern { size_bytes: self.size.bytes(), pattern }
            }
        }
    }

    /// The size to cut or join records to, if one is asked for.
    pub fn resize_bytes(&self) -> Option<usize> {
        let own = matches!(self.kind, PayloadKind::Corpus | PayloadKind::Sample | PayloadKind::File);
        (own && self.size.0 > 0).then(|| self.size.bytes())
    }

    fn entropy(&self) -> Entropy {
        if self.ratio > 0.0 { Entropy::Ratio(self.ratio) } else { Entropy::BitsPerByte(self.entropy_bits) }
    }
}

impl Keys {
    /// Where keys come from.
    pub fn source(&self) -> KeySource {
        match self.dist {
            KeyDist::None => KeySource::None,
            KeyDist::Data => {
                let field = Some(self.field.clone()).filter(|field| !field.is_empty());
                KeySource::Data { field }
            }
            KeyDist::Uniform => KeySource::Uniform { cardinality: self.cardinality },
            KeyDist::Zipf => KeySource::Zipf { theta: self.theta, cardinality: self.cardinality },
        }
    }
}

impl From<Framing> for corpus::Framing {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::Lines => corpus::Framing::Lines,
            Framing::Varint => corpus::Framing::Varint,
            Framing::Length => corpus::Framing::Length,
        }
    }
}

impl From<Acks> for client::Acks {
    fn from(acks: Acks) -> Self {
        match acks {
            Acks::None => client::Acks::None,
            Acks::Leader => client::Acks::Leader,
            Acks::All => client::Acks::All,
        }
    }
}
