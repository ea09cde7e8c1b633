"""Catches the batches that librdkafka (through confluent-kafka) sends, with a broker that only pretends.

It speaks ApiVersions 0, Metadata 4, InitProducerId 0 and Produce 7: the least that makes librdkafka write
version 2 batches with every codec.
"""

import socket
import struct
import sys
import threading

from confluent_kafka import Producer

from records import SETS

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
TOPIC = "golden"
# librdkafka switches features on by these ranges: zstd needs Produce 7 and Fetch 10, LZ4 FindCoordinator.
RANGES = {0: (0, 7), 1: (0, 10), 2: (0, 1), 3: (0, 4), 10: (0, 0), 18: (0, 0), 22: (0, 0)}
UNSUPPORTED_VERSION = 35


def string(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


class PretendBroker:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.batches = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        stream = connection.makefile("rwb")
        while size := stream.read(4):
            frame = stream.read(struct.unpack(">i", size)[0])
            key, version, correlation = struct.unpack_from(">hhi", frame)
            client = struct.unpack_from(">h", frame, 8)[0]
            body = frame[10 + max(client, 0):]
            answer = struct.pack(">i", correlation) + self.answer(key, version, body)
            stream.write(struct.pack(">i", len(answer)) + answer)
            stream.flush()

    def answer(self, key, version, body):
        if key == 18:
            return self.api_versions(version)
        return {0: self.produce, 3: self.metadata, 22: self.init_producer_id}[key](body)

    @staticmethod
    def api_versions(version):
        ranges = b"".join(struct.pack(">hhh", key, *ends) for key, ends in RANGES.items())
        return struct.pack(">hi", UNSUPPORTED_VERSION if version else 0, len(RANGES)) + ranges

    def metadata(self, _body):
        broker = struct.pack(">i", 1) + string("127.0.0.1") + struct.pack(">ih", self.port, -1)
        partition = struct.pack(">hiiiiii", 0, 0, 1, 1, 1, 1, 1)
        topic = struct.pack(">h", 0) + string(TOPIC) + struct.pack(">bi", 0, 1) + partition
        return struct.pack(">ii", 0, 1) + broker + string("golden") + struct.pack(">ii", 1, 1) + topic

    @staticmethod
    def init_producer_id(_body):
        return struct.pack(">ihqh", 0, 0, 4001, 2)

    def produce(self, body):
        at = 2 + max(struct.unpack_from(">h", body)[0], 0) + 2 + 4
        topics, length = struct.unpack_from(">ih", body, at)
        at += 6 + length
        partitions, partition, size = struct.unpack_from(">iii", body, at)
        assert (topics, partitions, partition) == (1, 1, 0), "one batch for one partition was expected"
        self.batches.append(body[at + 12:at + 12 + size])
        result = struct.pack(">iihqqq", 1, 0, 0, 0, -1, 0)
        return struct.pack(">i", 1) + string(TOPIC) + result + struct.pack(">i", 0)


def capture(records, codec: str, **config) -> bytes:
    """The one batch that librdkafka makes of the records."""
    broker = PretendBroker()
    producer = Producer({
        "bootstrap.servers": f"127.0.0.1:{broker.port}",
        "compression.type": codec,
        "linger.ms": 1000,
        "batch.size": 10_000_000,
        "message.max.bytes": 10_000_000,
        **config,
    })
    for timestamp, key, value, headers in records:
        producer.produce(TOPIC, value=value, key=key, partition=0, timestamp=timestamp, headers=headers)
    if left := producer.flush(20):
        raise SystemExit(f"{codec}: {left} records were not taken")
    if len(broker.batches) != 1:
        raise SystemExit(f"{codec}: {len(broker.batches)} batches instead of one")
    return broker.batches[0]


def write(out: str, name: str, batch: bytes):
    with open(f"{out}/librdkafka-{name}.bin", "wb") as file:
        file.write(batch)


if __name__ == "__main__":
    out = sys.argv[1]
    for name, records in SETS.items():
        for codec in CODECS:
            if (name, codec) != ("large", "none"):
                write(out, f"{name}-{codec}", capture(records(), codec))
    write(out, "small-none-idempotent", capture(SETS["small"](), "none", **{"enable.idempotence": True}))
