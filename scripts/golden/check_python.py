"""Reads our batches with kafka-python and compares them with the record set."""

import sys
from pathlib import Path

from kafka.record.default_records import DefaultRecordBatch

from records import line

if __name__ == "__main__":
    meant = Path(sys.argv[1]).read_text(encoding="ascii")
    for file in sorted(Path(sys.argv[2]).iterdir()):
        batch = DefaultRecordBatch(file.read_bytes())
        assert batch.validate_crc(), f"{file}: kafka-python says the CRC is wrong"
        read = "".join(line((r.timestamp, r.key, r.value, r.headers)) for r in batch)
        assert read == meant, f"{file}: kafka-python reads other records than were written"
        print(f"kafka-python reads {file.name}")
