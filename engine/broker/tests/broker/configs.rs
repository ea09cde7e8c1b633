//! DescribeConfigs: every enforced setting with its value and source (rule E43).

use plimsoll_broker::config::{KEYS, TOPIC_KEYS};
use plimsoll_wire::messages::DescribeConfigsRequest;
use plimsoll_wire::messages::describe_configs_request::DescribeConfigsResource;
use plimsoll_wire::messages::describe_configs_response::DescribeConfigsResult;
use plimsoll_wire::{ErrorCode, Request, Response};

use super::common::{Client, TestBroker, each_backend, text};

pub(crate) const TOPIC: i8 = 2;
const BROKER: i8 = 4;

pub(crate) fn describe(
    client: &mut Client,
    version: i16,
    kind: i8,
    name: &str,
    keys: Option<&[&str]>,
) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| text(key)).collect()));
    let request =
        DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(version >= 1);
    let request = if version >= 3 { request.with_include_documentation(true) } else { request };
    let Response::DescribeConfigs(response) = client.ask(version, &Request::DescribeConfigs(request)) else {
        panic!()
    };
    response.results[0].clone()
}

#[test]
fn e43_every_key_is_listed_with_value_source_and_default_in_every_version() {
    let broker = TestBroker::start(&["log.segment.bytes=5000"]);
    let mut client = broker.client();
    client.create("t", 1, &[("flush.messages", "7")]);
    for version in 1..=4 {
        let topic = describe(&mut client, version, TOPIC, "t", None);
        assert_eq!((topic.error_code, topic.configs.len()), (0, TOPIC_KEYS.len()));
        let row = |name: &str| topic.configs.iter().find(|row| *row.name == *name).expect("listed");
        let value = |name: &str| row(name).value.as_ref().map(|value| value.to_string()).expect("a value");
        assert_eq!(
            (value("flush.messages"), row("flush.messages").config_source),
            ("7".into(), 1),
            "its own"
        );
        assert_eq!(
            (value("segment.bytes"), row("segment.bytes").config_source),
            ("5000".into(), 4),
            "the file's"
        );
        assert_eq!(row("segment.ms").config_source, 5, "a default");
        let synonyms: Vec<_> =
            row("flush.messages").synonyms.iter().map(|s| (s.name.to_string(), s.source)).collect();
        assert_eq!(
            synonyms,
            [("flush.messages".to_owned(), 1), ("log.flush.interval.messages".to_owned(), 5)],
            "version {version}"
        );
        if version >= 3 {
            assert!(topic.configs.iter().all(|row| row.config_type > 0 && row.documentation.is_some()));
        }
        let node = describe(&mut client, version, BROKER, "1", None);
        assert_eq!((node.error_code, node.configs.len()), (0, KEYS.len()));
    }
}

#[test]
fn e43_only_the_keys_asked_for_come_back_and_unknown_resources_are_errors() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    let some = describe(&mut client, 4, BROKER, "1", Some(&["node.id", "no.such.key"]));
    assert_eq!(some.configs.iter().map(|row| row.name.to_string()).collect::<Vec<_>>(), ["node.id"]);
    let errors = [
        (TOPIC, "nobody", ErrorCode::UnknownTopicOrPartition),
        (BROKER, "9", ErrorCode::InvalidRequest),
        (77, "1", ErrorCode::InvalidRequest),
    ];
    for (kind, name, code) in errors {
        assert_eq!(describe(&mut client, 4, kind, name, None).error_code, code.code());
    }
}

#[test]
fn e43_the_backend_that_really_runs_is_shown() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        let row = describe(&mut broker.client(), 4, BROKER, "1", Some(&["plimsoll.storage.backend"]));
        let shown = row.configs[0].value.as_ref().expect("a value").to_string();
        assert_eq!(format!("plimsoll.storage.backend={shown}"), backend);
    });
}
