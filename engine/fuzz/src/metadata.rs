//! Targets for `plimsoll-controller`: commands as they stand in the metadata log, and their seeds.

use std::path::Path;

use bytes::Bytes;
use plimsoll_controller::{Command, ControlError, Controller, Image, LocalController, METADATA_LOG, Outcome};
use plimsoll_io::{AnyStore, IoConfig, open_store};
use plimsoll_log::layout::{LOG_SUFFIX, segment_path};
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
        let controller = match LocalController::open(store(), dir.path()).await {
            Ok(controller) => controller,
            Err(error) => return assert!(matches!(error, ControlError::Corrupt { .. }), "{error}"),
        };
        let image = controller.image();
        controller.close().await.unwrap_or_else(|error| panic!("{error}"));
        let again = LocalController::open(store(), dir.path()).await;
        assert_eq!(again.unwrap_or_else(|error| panic!("{error}")).image(), image);
    });
}

fn store() -> AnyStore {
    open_store(&IoConfig::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn examples() -> Vec<Command> {
    let topic_id = Uuid::from_u128(7);
    vec![
        Command::RegisterBroker { node_id: 1, incarnation: Uuid::from_u128(1) },
        Command::CreateTopic {
            name: "t".into(),
            topic_id,
            assignment: vec![vec![1], vec![1]],
            configs: [("segment.bytes".to_owned(), "1024".to_owned())].into(),
        },
        Command::AllocateProducerIds { node_id: 1, count: u32::MAX },
        Command::RegisterBroker { node_id: 1, incarnation: Uuid::from_u128(2) },
        Command::DeleteTopic { topic_id },
    ]
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
    let controller = LocalController::open(store(), dir).await?;
    for command in examples() {
        controller.propose(command).await?;
    }
    controller.close().await?;
    let path = segment_path(&dir.join(METADATA_LOG), 0, LOG_SUFFIX);
    Ok(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into())
}
