//! DescribeConfigs: every enforced setting with its value and where it comes from (rule E43).

use std::collections::BTreeMap;

use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::describe_configs_request::DescribeConfigsResource;
use plimsoll_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use plimsoll_wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::text;
use crate::broker::Broker;
use crate::config::{KEYS, Kind, Settings, Source, TOPIC_KEYS};

pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

/// Kafka's numbers for where a value comes from.
const FROM_TOPIC: i8 = 1;
const FROM_FILE: i8 = 4;
const FROM_DEFAULT: i8 = 5;

/// One setting as it is shown.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) source: i8,
    pub(super) read_only: bool,
    kind: Kind,
    doc: &'static str,
    /// Where the value would come from otherwise, strongest first.
    synonyms: Vec<(&'static str, String, i8)>,
}

pub(super) fn describe(
    broker: &Broker,
    version: i16,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        match rows(broker, resource) {
            Ok(rows) => {
                let wanted = |row: &Row| {
                    resource
                        .configuration_keys
                        .as_ref()
                        .is_none_or(|keys| keys.iter().any(|key| **key == *row.name))
                };
                let shown = rows.into_iter().filter(wanted).map(|row| shown(row, version, request));
                result.with_configs(shown.collect())
            }
            Err((code, message)) => {
                result.with_error_code(code.code()).with_error_message(Some(text(message)))
            }
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn rows(broker: &Broker, resource: &DescribeConfigsResource) -> Result<Vec<Row>, (ErrorCode, String)> {
    let name = &*resource.resource_name;
    match resource.resource_type {
        TOPIC => {
            let image = broker.applied();
            let topic = image
                .topic(name)
                .ok_or_else(|| (ErrorCode::UnknownTopicOrPartition, format!("there is no topic `{name}`")))?;
            Ok(topic_rows(&broker.settings, &topic.configs).collect())
        }
        BROKER if name.is_empty() => Ok(Vec::new()),
        BROKER if name == broker.settings.node_id().to_string() => Ok(broker_rows(broker).collect()),
        BROKER => Err((ErrorCode::InvalidRequest, format!("this is broker {}", broker.settings.node_id()))),
        other => Err((ErrorCode::InvalidRequest, format!("resource type {other} has no configuration here"))),
    }
}

fn wire_source(source: Source) -> i8 {
    match source {
        Source::Default => FROM_DEFAULT,
        Source::Static => FROM_FILE,
    }
}

/// The settings of a topic.
pub(super) fn topic_rows<'a>(
    settings: &'a Settings,
    configs: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = Row> + 'a {
    TOPIC_KEYS.iter().map(move |key| {
        let inherited = key.default_value(settings).to_owned();
        let inherited_source = wire_source(settings.source(key.broker_key));
        let mut synonyms = vec![(key.broker_key, inherited.clone(), inherited_source)];
        let (value, source) = match configs.get(key.name) {
            Some(own) => {
                synonyms.insert(0, (key.name, own.clone(), FROM_TOPIC));
                (own.clone(), FROM_TOPIC)
            }
            None => (inherited, inherited_source),
        };
        Row { name: key.name, value, source, read_only: false, kind: key.kind(), doc: key.doc(), synonyms }
    })
}

/// The settings of this broker. Derived values are shown as they are in force, above all the backend.
fn broker_rows(broker: &Broker) -> impl Iterator<Item = Row> + '_ {
    KEYS.iter().map(|key| {
        let configured = broker.settings.text(key.name);
        let value = match key.name {
            "plimsoll.storage.backend" => broker.backend().to_string(),
            "advertised.listeners" => {
                let name = &broker.settings.cluster.listener_name;
                format!("{name}://{}:{}", broker.advertised.host, broker.advertised.port)
            }
            "plimsoll.cluster.id" => broker.cluster_id.clone(),
            _ => configured.to_owned(),
        };
        let source = wire_source(broker.settings.source(key.name));
        let synonyms = vec![(key.name, value.clone(), source)];
        Row { name: key.name, value, source, read_only: true, kind: key.kind, doc: key.doc, synonyms }
    })
}

fn shown(row: Row, version: i16, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let result = DescribeConfigsResourceResult::default()
        .with_name(text(row.name))
        .with_value(Some(text(row.value)))
        .with_read_only(row.read_only)
        .with_config_source(row.source);
    let result = if request.include_synonyms {
        let synonyms = row.synonyms.into_iter().map(|(name, value, source)| {
            DescribeConfigsSynonym::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
                .with_source(source)
        });
        result.with_synonyms(synonyms.collect())
    } else {
        result
    };
    if version < 3 {
        return result;
    }
    let documentation = request.include_documentation.then(|| text(row.doc));
    result.with_config_type(wire_type(row.kind)).with_documentation(documentation)
}

/// Kafka's numbers for value types.
fn wire_type(kind: Kind) -> i8 {
    match kind {
        Kind::Bool => 1,
        Kind::Text | Kind::OneOf(_) => 2,
        Kind::Int { wide: false, .. } => 3,
        Kind::Int { wide: true, .. } => 5,
        Kind::Double { .. } => 6,
    }
}
