//! The one table of API keys served: versions advertised, versions served, first flexible version.

use crate::api_key::ApiKey;
use crate::error_code::ErrorCode;
use crate::messages::{ApiVersionsResponse, api_versions_response::ApiVersion};

/// One served API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Api {
    /// The key.
    pub key: ApiKey,
    /// Lowest version named in `ApiVersions`. May lie below [`Api::served_min`] (rule E1).
    pub advertised_min: i16,
    /// Highest version named in `ApiVersions` and served.
    pub max: i16,
    /// Lowest version really served.
    pub served_min: i16,
    /// First version with compact lengths and tagged fields.
    pub flexible_from: i16,
}

/// Every key this build serves, in key order. What is not here is not advertised (rule E45).
///
/// Ranges are those of an Apache Kafka 4.1 broker.
pub const APIS: &[Api] = &[
    // Advertised from 0, served from 3: librdkafka enables gzip, snappy and lz4 only if 0 is in range.
    Api { key: ApiKey::Produce, advertised_min: 0, max: 13, served_min: 3, flexible_from: 9 },
    api(ApiKey::Fetch, 4, 18, 12),
    api(ApiKey::ListOffsets, 1, 10, 6),
    api(ApiKey::Metadata, 0, 13, 9),
    api(ApiKey::FindCoordinator, 0, 6, 3),
    api(ApiKey::ApiVersions, 0, 4, 3),
    api(ApiKey::CreateTopics, 2, 7, 5),
    api(ApiKey::DeleteTopics, 1, 6, 4),
    api(ApiKey::DeleteRecords, 0, 2, 2),
    api(ApiKey::InitProducerId, 0, 5, 2),
    api(ApiKey::OffsetForLeaderEpoch, 2, 4, 4),
    api(ApiKey::DescribeConfigs, 1, 4, 4),
    api(ApiKey::CreatePartitions, 0, 3, 2),
    api(ApiKey::ElectLeaders, 0, 2, 2),
    api(ApiKey::IncrementalAlterConfigs, 0, 1, 1),
    api(ApiKey::AlterPartitionReassignments, 0, 1, 0),
    api(ApiKey::ListPartitionReassignments, 0, 0, 0),
    api(ApiKey::DescribeQuorum, 0, 2, 0),
    api(ApiKey::DescribeCluster, 0, 2, 0),
    api(ApiKey::UnregisterBroker, 0, 0, 0),
];

const fn api(key: ApiKey, min: i16, max: i16, flexible_from: i16) -> Api {
    Api { key, advertised_min: min, max, served_min: min, flexible_from }
}

impl Api {
    /// The row of `key`, or `None` if it is not served.
    pub fn of(key: ApiKey) -> Option<&'static Api> {
        APIS.iter().find(|api| api.key == key)
    }

    /// Whether requests of `version` are served.
    pub const fn serves(&self, version: i16) -> bool {
        self.served_min <= version && version <= self.max
    }

    /// Whether `version` uses compact lengths and tagged fields.
    pub const fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible_from
    }

    /// 2 for flexible versions, else 1. Either way the client id is an int16-length string (rule E4).
    pub const fn request_header_version(&self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// 1 for flexible versions, else 0; always 0 for `ApiVersions`, whose answer must be readable by a
    /// client that does not know our versions yet (rule E3).
    pub const fn response_header_version(&self, version: i16) -> i16 {
        if self.is_flexible(version) && !matches!(self.key, ApiKey::ApiVersions) { 1 } else { 0 }
    }

    /// The highest version both sides speak, given the peer's range, or `None`.
    pub const fn negotiate(&self, peer_min: i16, peer_max: i16) -> Option<i16> {
        let version = if peer_max < self.max { peer_max } else { self.max };
        if version >= self.served_min && version >= peer_min { Some(version) } else { None }
    }
}

/// The body of an `ApiVersions` answer that names every row of [`APIS`]. Features are left empty.
pub fn api_versions_response() -> ApiVersionsResponse {
    ApiVersionsResponse::default().with_api_keys(APIS.iter().map(advertised).collect())
}

/// The body that answers an unsupported `ApiVersions` version: error 35 and the range of `ApiVersions`
/// itself (KIP-511). It goes out in version 0 whatever was asked for (rule E3).
pub fn unsupported_api_versions_response() -> ApiVersionsResponse {
    let own = APIS.iter().filter(|api| api.key == ApiKey::ApiVersions);
    ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_api_keys(own.map(advertised).collect())
}

fn advertised(api: &Api) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(api.key.code())
        .with_min_version(api.advertised_min)
        .with_max_version(api.max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_key_order_without_repeats() {
        assert!(APIS.windows(2).all(|pair| matches!(pair, [a, b] if a.key < b.key)));
    }

    #[test]
    fn header_versions_and_ranges_agree_with_the_oracle() {
        for api in APIS {
            let oracle = kafka_protocol::messages::ApiKey::try_from(api.key.code()).unwrap();
            let range = oracle.valid_versions();
            assert!(range.min <= api.served_min && api.max <= range.max, "{} {range}", api.key);
            for version in api.served_min..=api.max {
                assert_eq!(api.request_header_version(version), oracle.request_header_version(version));
                assert_eq!(api.response_header_version(version), oracle.response_header_version(version));
            }
        }
    }

    #[test]
    fn e1_produce_is_advertised_from_zero_and_served_from_three() {
        let produce = Api::of(ApiKey::Produce).unwrap();
        assert_eq!((produce.advertised_min, produce.max), (0, 13));
        assert!(!produce.serves(2) && produce.serves(3));
        let named = api_versions_response().api_keys;
        assert!(named.iter().any(|api| api.api_key == 0 && api.min_version == 0 && api.max_version == 13));
    }

    #[test]
    fn negotiation_takes_the_highest_common_version() {
        let fetch = Api::of(ApiKey::Fetch).unwrap();
        assert_eq!(fetch.negotiate(0, 11), Some(11));
        assert_eq!(fetch.negotiate(4, 99), Some(18));
        assert_eq!(fetch.negotiate(0, 3), None);
        assert_eq!(fetch.negotiate(19, 20), None);
    }
}
