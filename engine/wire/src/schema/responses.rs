//! Response bodies, by key. Kafka's field names; versions as in its 4.1 message definitions.

use super::{Field, int8, int16, int32, int32s, int64, string, structs, uuid};

pub(super) const LIST_OFFSETS: &[Field] = &[
    int32("throttle_time_ms").from(2),
    structs(
        "topics",
        &[
            string("name"),
            structs(
                "partitions",
                &[
                    int32("partition_index"),
                    int16("error_code"),
                    int64("timestamp"),
                    int64("offset"),
                    int32("leader_epoch").from(4),
                ],
            ),
        ],
    ),
];

pub(super) const METADATA: &[Field] = &[
    int32("throttle_time_ms").from(3),
    structs("brokers", &[int32("node_id"), string("host"), int32("port"), string("rack").from(1)]),
    string("cluster_id").from(2),
    int32("controller_id").from(1),
    structs(
        "topics",
        &[
            int16("error_code"),
            string("name"),
            uuid("topic_id").from(10),
            int8("is_internal").from(1),
            structs(
                "partitions",
                &[
                    int16("error_code"),
                    int32("partition_index"),
                    int32("leader_id"),
                    int32("leader_epoch").from(7),
                    int32s("replica_nodes"),
                    int32s("isr_nodes"),
                    int32s("offline_replicas").from(5),
                ],
            ),
            int32("topic_authorized_operations").from(8),
        ],
    ),
    int32("cluster_authorized_operations").from(8).to(10),
    int16("error_code").from(13),
];

pub(super) const FIND_COORDINATOR: &[Field] = &[
    int32("throttle_time_ms").from(1),
    int16("error_code").to(3),
    string("error_message").from(1).to(3),
    int32("node_id").to(3),
    string("host").to(3),
    int32("port").to(3),
    structs(
        "coordinators",
        &[
            string("key"),
            int32("node_id"),
            string("host"),
            int32("port"),
            int16("error_code"),
            string("error_message"),
        ],
    )
    .from(4),
];

pub(super) const API_VERSIONS: &[Field] = &[
    int16("error_code"),
    structs("api_keys", &[int16("api_key"), int16("min_version"), int16("max_version")]),
    int32("throttle_time_ms").from(1),
    structs("supported_features", &[string("name"), int16("min_version"), int16("max_version")])
        .from(3)
        .tag(0),
    int64("finalized_features_epoch").from(3).tag(1),
    structs("finalized_features", &[string("name"), int16("max_version_level"), int16("min_version_level")])
        .from(3)
        .tag(2),
    int8("zk_migration_ready").from(3).tag(3),
];

pub(super) const CREATE_TOPICS: &[Field] = &[
    int32("throttle_time_ms"),
    structs(
        "topics",
        &[
            string("name"),
            uuid("topic_id").from(7),
            int16("error_code"),
            string("error_message"),
            int16("topic_config_error_code").from(5).tag(0),
            int32("num_partitions").from(5),
            int16("replication_factor").from(5),
            structs(
                "configs",
                &[
                    string("name"),
                    string("value"),
                    int8("read_only"),
                    int8("config_source"),
                    int8("is_sensitive"),
                ],
            )
            .from(5),
        ],
    ),
];

pub(super) const DELETE_TOPICS: &[Field] = &[
    int32("throttle_time_ms"),
    structs(
        "responses",
        &[string("name"), uuid("topic_id").from(6), int16("error_code"), string("error_message").from(5)],
    ),
];

pub(super) const DELETE_RECORDS: &[Field] = &[
    int32("throttle_time_ms"),
    structs(
        "topics",
        &[
            string("name"),
            structs("partitions", &[int32("partition_index"), int64("low_watermark"), int16("error_code")]),
        ],
    ),
];

pub(super) const INIT_PRODUCER_ID: &[Field] =
    &[int32("throttle_time_ms"), int16("error_code"), int64("producer_id"), int16("producer_epoch")];

pub(super) const OFFSET_FOR_LEADER_EPOCH: &[Field] = &[
    int32("throttle_time_ms").from(2),
    structs(
        "topics",
        &[
            string("topic"),
            structs(
                "partitions",
                &[
                    int16("error_code"),
                    int32("partition"),
                    int32("leader_epoch").from(1),
                    int64("end_offset"),
                ],
            ),
        ],
    ),
];

pub(super) const DESCRIBE_CONFIGS: &[Field] = &[
    int32("throttle_time_ms"),
    structs(
        "results",
        &[
            int16("error_code"),
            string("error_message"),
            int8("resource_type"),
            string("resource_name"),
            structs(
                "configs",
                &[
                    string("name"),
                    string("value"),
                    int8("read_only"),
                    int8("config_source"),
                    int8("is_sensitive"),
                    structs("synonyms", &[string("name"), string("value"), int8("source")]),
                    int8("config_type").from(3),
                    string("documentation").from(3),
                ],
            ),
        ],
    ),
];

pub(super) const DESCRIBE_CLUSTER: &[Field] = &[
    int32("throttle_time_ms"),
    int16("error_code"),
    string("error_message"),
    int8("endpoint_type").from(1),
    string("cluster_id"),
    int32("controller_id"),
    structs(
        "brokers",
        &[int32("broker_id"), string("host"), int32("port"), string("rack"), int8("is_fenced").from(2)],
    ),
    int32("cluster_authorized_operations"),
];

pub(super) const CREATE_PARTITIONS: &[Field] = &[
    int32("throttle_time_ms"),
    structs("results", &[string("name"), int16("error_code"), string("error_message")]),
];

pub(super) const ELECT_LEADERS: &[Field] = &[
    int32("throttle_time_ms"),
    int16("error_code").from(1),
    structs(
        "replica_election_results",
        &[
            string("topic"),
            structs(
                "partition_result",
                &[int32("partition_id"), int16("error_code"), string("error_message")],
            ),
        ],
    ),
];

pub(super) const INCREMENTAL_ALTER_CONFIGS: &[Field] = &[
    int32("throttle_time_ms"),
    structs(
        "responses",
        &[int16("error_code"), string("error_message"), int8("resource_type"), string("resource_name")],
    ),
];

pub(super) const ALTER_PARTITION_REASSIGNMENTS: &[Field] = &[
    int32("throttle_time_ms"),
    int8("allow_replication_factor_change").from(1),
    int16("error_code"),
    string("error_message"),
    structs(
        "responses",
        &[
            string("name"),
            structs("partitions", &[int32("partition_index"), int16("error_code"), string("error_message")]),
        ],
    ),
];

pub(super) const LIST_PARTITION_REASSIGNMENTS: &[Field] = &[
    int32("throttle_time_ms"),
    int16("error_code"),
    string("error_message"),
    structs(
        "topics",
        &[
            string("name"),
            structs(
                "partitions",
                &[
                    int32("partition_index"),
                    int32s("replicas"),
                    int32s("adding_replicas"),
                    int32s("removing_replicas"),
                ],
            ),
        ],
    ),
];

/// How far one node of the quorum is.
const QUORUM_REPLICA: &[Field] = &[
    int32("replica_id"),
    uuid("replica_directory_id").from(2),
    int64("log_end_offset"),
    int64("last_fetch_timestamp").from(1),
    int64("last_caught_up_timestamp").from(1),
];

pub(super) const DESCRIBE_QUORUM: &[Field] = &[
    int16("error_code"),
    string("error_message").from(2),
    structs(
        "topics",
        &[
            string("topic_name"),
            structs(
                "partitions",
                &[
                    int32("partition_index"),
                    int16("error_code"),
                    string("error_message").from(2),
                    int32("leader_id"),
                    int32("leader_epoch"),
                    int64("high_watermark"),
                    structs("current_voters", QUORUM_REPLICA),
                    structs("observers", QUORUM_REPLICA),
                ],
            ),
        ],
    ),
    structs(
        "nodes",
        &[int32("node_id"), structs("listeners", &[string("name"), string("host"), int16("port")])],
    )
    .from(2),
];

pub(super) const UNREGISTER_BROKER: &[Field] =
    &[int32("throttle_time_ms"), int16("error_code"), string("error_message")];
