use plimsoll_records::{BatchBuilder, Codec, Compressor, Decompressor, RecordLimits};

use super::Decoder;

/// The texts of a record with this key and value.
fn decoded(decoder: Decoder, key: Option<&[u8]>, value: Option<&[u8]>) -> (Option<String>, Option<String>) {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.push(1, key, value, &[]).expect("fits");
    let batch = builder.finish(&mut Compressor::new()).expect("a batch");
    let mut decompressor = Decompressor::new();
    let mut records = batch.records(&mut decompressor, RecordLimits::default());
    let record = records.next().expect("one").expect("well-formed");
    let (key, value) = decoder.decode(&record);
    (key.map(|key| key.to_string()), value.map(|value| value.to_string()))
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat()
}

#[test]
fn a_committed_offset_reads_as_kafka_prints_it() {
    let key = [&1i16.to_be_bytes()[..], &string("g"), &string("t"), &3i32.to_be_bytes()].concat();
    let value = [
        &3i16.to_be_bytes()[..],
        &42i64.to_be_bytes(),
        &7i32.to_be_bytes(),
        &string("note"),
        &99i64.to_be_bytes(),
    ]
    .concat();
    let (printed, payload) = decoded(Decoder::Offsets, Some(&key), Some(&value));
    assert_eq!(printed.as_deref(), Some(r#"{"type":"1","data":{"group":"g","topic":"t","partition":3}}"#));
    assert_eq!(
        payload.as_deref(),
        Some(
            r#"{"version":"3","data":{"offset":42,"leaderEpoch":7,"metadata":"note","commitTimestamp":99}}"#
        )
    );
    assert_eq!(decoded(Decoder::Offsets, Some(&key), None).1.as_deref(), Some("<DELETE>"));
    let (error, none) = decoded(Decoder::Offsets, Some(&key), Some(&value[..9]));
    assert!(error.is_some_and(|error| error.starts_with("Error at offset 0")) && none.is_none());
}

#[test]
fn lengths_that_lie_are_errors_and_take_no_memory() {
    let array = [&3i16.to_be_bytes()[..], &string("consumer"), &1i32.to_be_bytes()].concat();
    let lying = [&array[..], &string("p"), &string("l"), &[0; 8], &i32::MAX.to_be_bytes()].concat();
    let key = [&2i16.to_be_bytes()[..], &string("g")].concat();
    let (error, none) = decoded(Decoder::Offsets, Some(&key), Some(&lying));
    assert!(error.is_some_and(|error| error.contains("malformed")) && none.is_none());
}

#[test]
fn kafkas_metadata_records_are_not_taken_for_ours() {
    let (_, ours) = decoded(Decoder::ClusterMetadata, None, Some(br#"{"command":"delete_topic"}"#));
    assert_eq!(ours.as_deref(), Some(r#"{"command":"delete_topic"}"#));
    let (_, kafkas) = decoded(Decoder::ClusterMetadata, None, Some(&[1, 27, 0, 0]));
    assert!(kafkas.is_some_and(|text| text.contains("not read")));
}
