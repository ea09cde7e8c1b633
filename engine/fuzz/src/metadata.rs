//! Targets for `plimsoll-controller`: commands as they stand in the metadata log, frames of the quorum, and their seeds.

use std::path::Path;

use bytes::Bytes;
use plimsoll_controller::{
    Command, ConfigResource, ControlError, Controller, Image, IsrChange, METADATA_LOG, Outcome, PartitionId,
    QuorumConfig, RaftController, Reassignment, reread_frame, reread_log,
};
use plimsoll_io::{AnyStore, IoConfig, open_store};
use plimsoll_log::layout::{LOG_SUFFIX, segment_path};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::runtime::run;
use crate::scratch;
use crate::seeds::Seeds;
use crate::segments;

/// Commands, one a line of JSON. What is refused changes nothing; what is accepted reads back as itself.
pub fn commands(input: &[u8]) {
    let mut image = Image::default();
    for line in input.split(|byte| *byte == b'\n') {
        let Ok(command) = serde_json::from_slice::<Command>(line) else { continue };
        let written = serde_json::to_vec(&command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert_eq!(serde_json::from_slice::<Command>(&written).ok().as_ref(), Some(&command));
        let before = image.clone();
        match image.apply(&command) {
            Ok(outcome) => check(&before, &image, &outcome),
            Err(_) => assert_eq!(image, before, "a refused command changes nothing"),
        }
    }
}

fn check(before: &Image, after: &Image, outcome: &Outcome) {
    assert!(after.producer_id_next() >= before.producer_id_next(), "producer ids are never handed out twice");
    if let Outcome::ProducerIds { first, count } = outcome {
        assert_eq!(
            (*first, after.producer_id_next()),
            (before.producer_id_next(), first + i64::from(*count))
        );
    }
    for topic in after.topics() {
        assert_eq!(after.topic_by_id(topic.topic_id), Some(topic), "each topic is found by its id");
        assert!(Image::check_topic_name(&topic.name).is_ok());
    }
}

/// A metadata log: flag byte 1 sets CRCs right, the rest is its first segment. It opens or names the offset,
/// and what opened opens again to the same image.
pub fn metadata_log(input: &[u8]) {
    let Some((flags, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if flags & 1 != 0 {
        segments::repair(&mut bytes);
    }
    let dir = scratch::directory();
    let log_dir = dir.path().join(METADATA_LOG);
    std::fs::create_dir(&log_dir).unwrap_or_else(|error| panic!("{}: {error}", log_dir.display()));
    scratch::write(&segment_path(&log_dir, 0, LOG_SUFFIX), &bytes);
    run(async {
        let image = match reread_log(store(), dir.path()).await {
            Ok(image) => image,
            Err(ControlError::Corrupt { .. } | ControlError::WithoutQuorum { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        let again = reread_log(store(), dir.path()).await;
        assert_eq!(again.unwrap_or_else(|error| panic!("{error}")), image);
    });
}

/// A frame between nodes of the quorum. What was read as a question is written, read and written again the same.
pub fn frames(input: &[u8]) {
    let Ok(written) = reread_frame(Bytes::copy_from_slice(input)) else { return };
    let again = reread_frame(written.clone()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again, written);
}

fn store() -> AnyStore {
    open_store(&IoConfig::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn register(incarnation: u128) -> Command {
    Command::RegisterBroker {
        node_id: 1,
        incarnation: Uuid::from_u128(incarnation),
        endpoints: Vec::new(),
        rack: Some("a".into()),
        log_dirs: vec![Uuid::from_u128(3)],
        clean_shutdown_epoch: Some(1),
    }
}

fn examples() -> Vec<Command> {
    let topic_id = Uuid::from_u128(7);
    let partition = PartitionId { topic_id, partition: 0 };
    let isr = IsrChange { partition, leader_epoch: 0, partition_epoch: 0, new_isr: vec![(1, 1)] };
    vec![
        register(1),
        Command::UnfenceBroker { node_id: 1, broker_epoch: 1 },
        Command::CreateTopic {
            name: "t".into(),
            topic_id,
            assignment: vec![vec![1], vec![1]],
            configs: [("segment.bytes".to_owned(), "1024".to_owned())].into(),
        },
        Command::AddPartitions { topic_id, existing: 2, assignment: vec![vec![1]] },
        Command::AlterPartition { node_id: 1, broker_epoch: 1, changes: vec![isr] },
        Command::AlterReassignments { changes: vec![Reassignment { partition, replicas: Some(vec![1]) }] },
        Command::ElectPreferredLeaders { partitions: vec![partition] },
        Command::AlterConfigs {
            resource: ConfigResource::Topic(topic_id),
            changes: [("segment.bytes".to_owned(), None)].into(),
        },
        Command::AllocateProducerIds { node_id: 1, count: u32::MAX },
        register(2),
        Command::FenceBroker { node_id: 1, broker_epoch: 2 },
        Command::DeleteTopic { topic_id },
        Command::UnregisterBroker { node_id: 1 },
    ]
}

/// Frames with a question of each simple kind, as they stand behind their size.
pub fn frame_seeds() -> Seeds {
    let commands = examples();
    let commands = commands.iter().map(|command| format!(r#"{{"Propose":{}}}"#, json(command)));
    let member = r#"{"host":"h","port":1,"directory_id":"00000000-0000-0000-0000-000000000001"}"#;
    let others = [
        r#"{"Heartbeat":{"node_id":1,"broker_epoch":1,"want_fence":false,"want_shutdown":true}}"#.to_owned(),
        format!(r#"{{"Join":{{"node_id":2,"member":{member},"voter":true}}}}"#),
        r#"{"ChangeVoters":[1,2,3]}"#.to_owned(),
        r#"{"Vote":{"vote":{"leader_id":{"term":1,"node_id":2},"committed":false},"last_log_id":null}}"#
            .to_owned(),
    ];
    Seeds::new(commands.chain(others).map(|message| frame(&message)).collect())
}

/// Version, size of the message, message.
fn frame(message: &str) -> Vec<u8> {
    let size = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[1], &size.to_be_bytes()[..], message.as_bytes()].concat()
}

fn json(command: &Command) -> String {
    serde_json::to_string(command).unwrap_or_else(|error| panic!("{error}"))
}

/// The commands of a short life, in one text and one by one.
pub fn command_seeds() -> Seeds {
    let lines = examples().iter().map(serde_json::to_vec).collect::<Result<Vec<_>, _>>();
    let lines = lines.unwrap_or_else(|error| panic!("{error}"));
    Seeds::new([lines.join(&b'\n')].into_iter().chain(lines).collect())
}

/// The metadata log that a controller wrote, with and without the repairing flag.
pub fn metadata_seeds() -> Seeds {
    let dir = scratch::directory();
    let written = run(write_log(dir.path())).unwrap_or_else(|error| panic!("{error}"));
    Seeds::new([0u8, 1].iter().map(|flags| [&[*flags], &written[..]].concat()).collect())
}

async fn write_log(dir: &Path) -> Result<Bytes, ControlError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("{error}"));
    let port = listener.local_addr().map_or(0, |address| address.port());
    let config = QuorumConfig::new(1, Uuid::from_u128(1), dir.to_owned(), "127.0.0.1", port);
    let controller = RaftController::open(config, || Ok(store()), listener).await?;
    for command in examples() {
        controller.propose(command).await?;
    }
    controller.close().await?;
    let path = segment_path(&dir.join(METADATA_LOG), 0, LOG_SUFFIX);
    Ok(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into())
}
