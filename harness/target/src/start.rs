//! The first record: what a target must be able to take before it is of use.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plimsoll_client::records::{BatchBuilder, Codec, Compressor};
use plimsoll_client::{
    Acks, ClientError, ConnectOptions, Connection, ErrorCode, NewTopic, ProduceSpec, TopicRef,
};

/// Made for one record and removed again.
const TOPIC: &str = "plimsoll-start";
/// A broker without a leader for the topic yet is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns as soon as a broker that has just started has acknowledged a record, with acks=1; the instant of that.
pub(crate) async fn first_record(address: &str) -> Result<Instant, String> {
    let connection = Connection::connect(address, ConnectOptions::default()).await.map_err(told)?;
    let topic =
        NewTopic { name: TOPIC.to_owned(), partitions: 1, replication_factor: 1, configs: BTreeMap::new() };
    let created = connection.create_topics(&[topic], PATIENCE).await.map_err(told)?;
    if let Some(refused) = created.iter().find(|outcome| outcome.error != ErrorCode::None) {
        return Err(format!("topic {TOPIC}: {}", refused.error));
    }
    let acknowledged = acknowledged(&connection).await;
    connection.delete_topics(&[TOPIC], PATIENCE).await.map_err(told)?;
    acknowledged
}

/// Of several brokers any may lead; the one that was asked first is tried first.
async fn acknowledged(asked: &Connection) -> Result<Instant, String> {
    let (began, mut leader) = (Instant::now(), asked.clone());
    loop {
        let mut builder = BatchBuilder::new(Codec::None);
        builder.push(0, None, Some(b"start"), &[]).map_err(|error| error.to_string())?;
        let batch = builder.finish(&mut Compressor::new()).map_err(|error| error.to_string())?;
        let spec = ProduceSpec::one(Acks::Leader, TopicRef::named(TOPIC), 0, &batch);
        let reply = leader.produce(spec).await.map_err(told)?;
        match reply.value.partitions.first().map(|ack| ack.error()) {
            Some(ErrorCode::None) => return Ok(Instant::now()),
            Some(error) if began.elapsed() > PATIENCE => return Err(error.to_string()),
            Some(ErrorCode::NotLeaderOrFollower) => leader = leader_of(asked).await?,
            _ => tokio::time::sleep(ASK_AGAIN).await,
        }
    }
}

async fn leader_of(asked: &Connection) -> Result<Connection, String> {
    let cluster = asked.metadata(Some(&[TOPIC]), false).await.map_err(told)?;
    let leader = cluster.topic(TOPIC).and_then(|topic| topic.partitions.first()).map(|first| first.leader_id);
    match leader.and_then(|id| cluster.broker(id)).map(|broker| broker.address()) {
        Some(address) if address != asked.address() => {
            Connection::connect(&address, ConnectOptions::default()).await.map_err(told)
        }
        _ => {
            tokio::time::sleep(ASK_AGAIN).await;
            Ok(asked.clone())
        }
    }
}

fn told(error: ClientError) -> String {
    error.to_string()
}
