//! Request bodies, by key. Kafka's field names; versions as in its 4.1 message definitions.

use super::{Field, int8, int16, int32, int32s, int64, string, strings, structs, uuid};

pub(super) const LIST_OFFSETS: &[Field] = &[
    int32("replica_id"),
    int8("isolation_level").from(2),
    structs(
        "topics",
        &[
            string("name"),
            structs(
                "partitions",
                &[int32("partition_index"), int32("current_leader_epoch").from(4), int64("timestamp")],
            ),
        ],
    ),
    int32("timeout_ms").from(10),
];

pub(super) const METADATA: &[Field] = &[
    structs("topics", &[uuid("topic_id").from(10), string("name")]),
    int8("allow_auto_topic_creation").from(4),
    int8("include_cluster_authorized_operations").from(8).to(10),
    int8("include_topic_authorized_operations").from(8),
];

pub(super) const FIND_COORDINATOR: &[Field] =
    &[string("key").to(3), int8("key_type").from(1), strings("coordinator_keys").from(4)];

pub(super) const API_VERSIONS: &[Field] =
    &[string("client_software_name").from(3), string("client_software_version").from(3)];

pub(super) const CREATE_TOPICS: &[Field] = &[
    structs(
        "topics",
        &[
            string("name"),
            int32("num_partitions"),
            int16("replication_factor"),
            structs("assignments", &[int32("partition_index"), int32s("broker_ids")]),
            structs("configs", &[string("name"), string("value")]),
        ],
    ),
    int32("timeout_ms"),
    int8("validate_only"),
];

pub(super) const DELETE_TOPICS: &[Field] = &[
    structs("topics", &[string("name"), uuid("topic_id")]).from(6),
    strings("topic_names").to(5),
    int32("timeout_ms"),
];

pub(super) const DELETE_RECORDS: &[Field] = &[
    structs("topics", &[string("name"), structs("partitions", &[int32("partition_index"), int64("offset")])]),
    int32("timeout_ms"),
];

pub(super) const INIT_PRODUCER_ID: &[Field] = &[
    string("transactional_id"),
    int32("transaction_timeout_ms"),
    int64("producer_id").from(3),
    int16("producer_epoch").from(3),
];

pub(super) const OFFSET_FOR_LEADER_EPOCH: &[Field] = &[
    int32("replica_id").from(3),
    structs(
        "topics",
        &[
            string("topic"),
            structs(
                "partitions",
                &[int32("partition"), int32("current_leader_epoch").from(2), int32("leader_epoch")],
            ),
        ],
    ),
];

pub(super) const DESCRIBE_CONFIGS: &[Field] = &[
    structs("resources", &[int8("resource_type"), string("resource_name"), strings("configuration_keys")]),
    int8("include_synonyms"),
    int8("include_documentation").from(3),
];

pub(super) const DESCRIBE_CLUSTER: &[Field] = &[
    int8("include_cluster_authorized_operations"),
    int8("endpoint_type").from(1),
    int8("include_fenced_brokers").from(2),
];

pub(super) const CREATE_PARTITIONS: &[Field] = &[
    structs("topics", &[string("name"), int32("count"), structs("assignments", &[int32s("broker_ids")])]),
    int32("timeout_ms"),
    int8("validate_only"),
];

pub(super) const ELECT_LEADERS: &[Field] = &[
    int8("election_type").from(1),
    structs("topic_partitions", &[string("topic"), int32s("partitions")]),
    int32("timeout_ms"),
];

pub(super) const INCREMENTAL_ALTER_CONFIGS: &[Field] = &[
    structs(
        "resources",
        &[
            int8("resource_type"),
            string("resource_name"),
            structs("configs", &[string("name"), int8("config_operation"), string("value")]),
        ],
    ),
    int8("validate_only"),
];

pub(super) const ALTER_PARTITION_REASSIGNMENTS: &[Field] = &[
    int32("timeout_ms"),
    int8("allow_replication_factor_change").from(1),
    structs(
        "topics",
        &[string("name"), structs("partitions", &[int32("partition_index"), int32s("replicas")])],
    ),
];

pub(super) const LIST_PARTITION_REASSIGNMENTS: &[Field] =
    &[int32("timeout_ms"), structs("topics", &[string("name"), int32s("partition_indexes")])];

pub(super) const DESCRIBE_QUORUM: &[Field] =
    &[structs("topics", &[string("topic_name"), structs("partitions", &[int32("partition_index")])])];

pub(super) const UNREGISTER_BROKER: &[Field] = &[int32("broker_id")];
