"""Writes the record sets with kafka-python's own record builder."""

import sys

from kafka.record.default_records import DefaultRecordBatchBuilder

from records import SETS

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def build(records, codec: int, **producer) -> bytes:
    stamp = {"producer_id": -1, "producer_epoch": -1, "base_sequence": -1, **producer}
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=0, batch_size=2**30, **stamp
    )
    for offset, (timestamp, key, value, headers) in enumerate(records):
        if builder.append(offset, timestamp, key, value, headers) is None:
            raise SystemExit(f"record {offset} did not fit")
    return bytes(builder.build())


def write(out: str, name: str, batch: bytes):
    with open(f"{out}/kafka-python-{name}.bin", "wb") as file:
        file.write(batch)


if __name__ == "__main__":
    out = sys.argv[1]
    for name, records in SETS.items():
        for codec, number in CODECS.items():
            if (name, codec) != ("large", "none"):
                write(out, f"{name}-{codec}", build(records(), number))
    write(out, "small-none-idempotent", build(SETS["small"](), 0, producer_id=4001, producer_epoch=2, base_sequence=17))
