//! Plimsoll's own metadata log: one command a record, as JSON already.

use plimsoll_records::Record;

/// The command as it is stored. Kafka's metadata records are of another format, and are said to be.
pub(crate) fn decode(record: &Record<'_>) -> (Option<String>, Option<String>) {
    let command = record.value.and_then(|value| std::str::from_utf8(value).ok());
    let is_json = |text: &&str| serde_json::from_str::<serde_json::Value>(text).is_ok();
    let payload = match command.filter(is_json) {
        Some(command) => command.to_owned(),
        None => format!(
            "Error at {}, skipping. No command of Plimsoll's metadata log; records of Kafka's are not read.",
            record.offset
        ),
    };
    (None, Some(payload))
}
