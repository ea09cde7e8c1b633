//! Identity of a configuration.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Keys that may differ between two runs of the same configuration.
const IDENTITY_FREE: [&str; 6] = ["seed", "seeds", "name", "about", "label", "labels"];

/// Hash of a fully resolved workload without its seeds, name and labels: `sha256:<64 hex digits>`.
///
/// Two runs with the same hash asked for the same thing. Key order does not matter.
pub fn config_hash(resolved: &Value) -> String {
    let mut hasher = Sha256::new();
    match resolved {
        Value::Object(map) => {
            let mut entries: Vec<_> =
                map.iter().filter(|(key, _)| !IDENTITY_FREE.contains(&key.as_str())).collect();
            entries.sort_by_key(|(key, _)| *key);
            for (key, value) in entries {
                feed_text(&mut hasher, key);
                feed(&mut hasher, value);
            }
        }
        other => feed(&mut hasher, other),
    }
    let digest = hasher.finalize();
    digest.iter().fold(String::from("sha256:"), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// Every value is fed with its kind and length, so that no two different trees give the same bytes.
fn feed(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            hasher.update([b'{']);
            hasher.update((map.len() as u64).to_be_bytes());
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (key, value) in entries {
                feed_text(hasher, key);
                feed(hasher, value);
            }
        }
        Value::Array(items) => {
            hasher.update([b'[']);
            hasher.update((items.len() as u64).to_be_bytes());
            items.iter().for_each(|item| feed(hasher, item));
        }
        Value::String(text) => feed_text(hasher, text),
        Value::Number(_) | Value::Bool(_) | Value::Null => {
            hasher.update([b'=']);
            feed_text(hasher, &value.to_string());
        }
    }
}

fn feed_text(hasher: &mut Sha256, text: &str) {
    hasher.update([b'"']);
    hasher.update((text.len() as u64).to_be_bytes());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seeds_and_labels_do_not_change_the_hash() {
        let one = json!({"name": "a", "seed": 1, "load": {"rate": 10, "mode": "open"}});
        let two = json!({"seed": 2, "load": {"mode": "open", "rate": 10}, "labels": {"x": "y"}});
        assert_eq!(config_hash(&one), config_hash(&two));
    }

    #[test]
    fn any_other_value_changes_the_hash() {
        let base = json!({"load": {"rate": 10}, "acks": "1"});
        for other in [
            json!({"load": {"rate": 11}, "acks": "1"}),
            json!({"load": {"rate": "10"}, "acks": "1"}),
            json!({"load": {"rate": 10}, "acks": 1}),
            json!({"load": {"rate": 10}, "acks": "1", "rf": null}),
        ] {
            assert_ne!(config_hash(&base), config_hash(&other), "{other}");
        }
    }
}
