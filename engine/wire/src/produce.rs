//! Produce 3 to 13: our own bounded codec, because it is on the hot path and carries record batches.

mod request;
mod response;

pub use request::{PartitionProduce, ProduceRecords, ProduceRequest, TopicProduce};
pub use response::{PartitionProduceResponse, ProduceResponse, RecordError, TopicProduceResponse};
