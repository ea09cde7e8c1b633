#!/usr/bin/env python3
"""kafka-python and confluent-kafka (librdkafka), unmodified, against our broker.

Arguments are broker settings (key=value). Each scenario is a function; the last line counts them.
"""

import sys
import time
import traceback
import uuid

import confluent_kafka
import confluent_kafka.admin
import kafka
import kafka.admin
from broker import Broker

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
SCENARIOS = []


def scenario(function):
    SCENARIOS.append(function)
    return function


def fresh(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def records(count):
    """Keys, values and headers with the awkward cases among them: null, empty, binary, large."""
    for index in range(count):
        key = None if index % 7 == 0 else f"key-{index % 5}".encode()
        value = None if index % 11 == 3 and key else bytes([index % 256]) * (index % 300)
        yield key, value, [("index", str(index).encode()), ("empty", b"")]


def expected(count):
    return [(key, value, headers) for key, value, headers in records(count)]


# --- kafka-python ----------------------------------------------------------------------------------


def kp_consume(address, topic, count, **config):
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=address, group_id=None, auto_offset_reset="earliest",
        enable_auto_commit=False, consumer_timeout_ms=10_000, **config)
    partitions = [kafka.TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    seen = []
    for message in consumer:
        seen.append(message)
        if len(seen) == count:
            break
    consumer.close()
    assert len(seen) == count, f"{len(seen)} of {count} records came back"
    return seen


@scenario
def kafka_python_every_codec(broker):
    for codec in CODECS:
        topic = fresh(f"kp-{codec}")
        producer = kafka.KafkaProducer(
            bootstrap_servers=broker.address, compression_type=None if codec == "none" else codec, linger_ms=20)
        futures = [producer.send(topic, key=k, value=v, headers=h, partition=0) for k, v, h in records(500)]
        producer.flush(30)
        offsets = [future.get(timeout=10).offset for future in futures]
        assert offsets == list(range(500)), offsets[:10]
        producer.close()
        seen = kp_consume(broker.address, topic, 500)
        got = [(m.key, m.value, [(k, v) for k, v in m.headers]) for m in seen]
        assert got == expected(500), f"{codec}: content changed"
        assert [m.offset for m in seen] == list(range(500))


@scenario
def kafka_python_acks_0_1_all(broker):
    for acks in (0, 1, "all"):
        topic = fresh(f"kp-acks-{acks}")
        kafka.KafkaProducer(bootstrap_servers=broker.address).partitions_for(topic)
        producer = kafka.KafkaProducer(bootstrap_servers=broker.address, acks=acks, enable_idempotence=False)
        for index in range(100):
            producer.send(topic, value=str(index).encode())
        producer.flush(30)
        producer.close()
        assert [m.value for m in kp_consume(broker.address, topic, 100)] == [str(i).encode() for i in range(100)]


@scenario
def kafka_python_idempotent(broker):
    topic = fresh("kp-idempotent")
    producer = kafka.KafkaProducer(bootstrap_servers=broker.address, enable_idempotence=True, acks="all")
    futures = [producer.send(topic, value=str(i).encode(), partition=0) for i in range(1000)]
    producer.flush(30)
    assert [f.get(timeout=10).offset for f in futures] == list(range(1000))
    producer.close()


@scenario
def kafka_python_offsets_and_times(broker):
    topic = fresh("kp-times")
    producer = kafka.KafkaProducer(bootstrap_servers=broker.address)
    start = int(time.time() * 1000) - 100_000
    for index in range(100):
        producer.send(topic, value=b"x", partition=0, timestamp_ms=start + index * 1000).get(timeout=10)
    producer.close()
    consumer = kafka.KafkaConsumer(bootstrap_servers=broker.address, group_id=None)
    partition = kafka.TopicPartition(topic, 0)
    assert consumer.beginning_offsets([partition]) == {partition: 0}
    assert consumer.end_offsets([partition]) == {partition: 100}
    found = consumer.offsets_for_times({partition: start + 50_500})[partition]
    assert (found.offset, found.timestamp) == (51, start + 51_000), found
    assert consumer.offsets_for_times({partition: start + 1_000_000})[partition] is None
    consumer.close()


@scenario
def kafka_python_admin(broker):
    admin = kafka.KafkaAdminClient(bootstrap_servers=broker.address)
    topic = fresh("kp-admin")
    admin.create_topics([kafka.admin.NewTopic(
        topic, num_partitions=3, replication_factor=1, topic_configs={"segment.bytes": "1048576"})])
    assert topic in admin.list_topics()
    described = admin.describe_topics([topic])
    described = described[topic] if isinstance(described, dict) else described[0]
    assert len(described["partitions"]) == 3, described
    admin.delete_topics([topic])
    assert topic not in admin.list_topics()
    admin.close()


# --- confluent-kafka (librdkafka) ------------------------------------------------------------------


def ck_consume(address, topic, count, partitions=1, **config):
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": address, "group.id": "unused", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", **config})
    beginning = confluent_kafka.OFFSET_BEGINNING
    consumer.assign([confluent_kafka.TopicPartition(topic, p, beginning) for p in range(partitions)])
    seen, deadline = [], time.time() + 20
    while len(seen) < count and time.time() < deadline:
        for message in consumer.consume(500, timeout=1.0):
            assert message.error() is None, message.error()
            seen.append(message)
    consumer.close()
    assert len(seen) == count, f"{len(seen)} of {count} records came back"
    return seen


def ck_produce(address, topic, messages, **config):
    delivered = []

    def on_delivery(error, message):
        assert error is None, error
        delivered.append(message.offset())

    producer = confluent_kafka.Producer({"bootstrap.servers": address, "linger.ms": 20, **config})
    for key, value, headers in messages:
        producer.produce(topic, key=key, value=value, headers=headers, on_delivery=on_delivery, partition=0)
    assert producer.flush(30) == 0
    return delivered


@scenario
def librdkafka_every_codec(broker):
    for codec in CODECS:
        topic = fresh(f"ck-{codec}")
        delivered = ck_produce(broker.address, topic, records(500), **{"compression.type": codec})
        assert delivered == list(range(500)), delivered[:10]
        got = [(m.key(), m.value(), m.headers()) for m in ck_consume(broker.address, topic, 500)]
        assert got == expected(500), f"{codec}: content changed"


@scenario
def librdkafka_compresses_what_it_sends(broker):
    """Rule E1: with a wrong Produce range librdkafka would silently send everything uncompressed."""
    topic = fresh("ck-e1")
    ck_produce(broker.address, topic, [(None, b"a" * 500_000, None)], **{"compression.type": "gzip"})
    stored = broker.partition_bytes(topic, 0)
    assert stored < 50_000, f"{stored} bytes were stored for 500,000 bytes of one letter"


@scenario
def librdkafka_idempotent_and_acks(broker):
    for config in ({"enable.idempotence": True}, {"acks": "1"}, {"acks": "all"}):
        topic = fresh("ck-acks")
        assert ck_produce(broker.address, topic, records(300), **config) == list(range(300))
        ck_consume(broker.address, topic, 300)


@scenario
def librdkafka_watermarks_and_times(broker):
    topic = fresh("ck-times")
    ck_produce(broker.address, topic, [(None, b"v", None)] * 10)
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.address, "group.id": "unused"})
    assert consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, 0), timeout=10) == (0, 10)
    found = consumer.offsets_for_times([confluent_kafka.TopicPartition(topic, 0, 1)], timeout=10)
    assert found[0].offset == 0, found
    consumer.close()


@scenario
def librdkafka_oversize_is_refused(broker):
    topic = fresh("ck-large")
    errors = []
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.address, "message.max.bytes": 5_000_000})
    producer.produce(topic, value=bytes(2_000_000), on_delivery=lambda error, _: errors.append(error))
    producer.flush(30)
    assert errors[0] is not None and errors[0].code() == confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE, errors


@scenario
def librdkafka_admin(broker):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": broker.address})
    topic = fresh("ck-admin")
    new = confluent_kafka.admin.NewTopic(topic, num_partitions=4, replication_factor=1)
    admin.create_topics([new])[topic].result(20)
    assert len(admin.list_topics(timeout=10).topics[topic].partitions) == 4
    resource = confluent_kafka.admin.ConfigResource(confluent_kafka.admin.ResourceType.TOPIC, topic)
    configs = admin.describe_configs([resource])[resource].result(20)
    assert configs["segment.bytes"].value == "1073741824", configs
    admin.delete_topics([topic])[topic].result(20)
    refused = admin.create_topics([confluent_kafka.admin.NewTopic(topic, 1, 3)])[topic]
    try:
        refused.result(20)
        raise AssertionError("replication factor 3 was accepted by one broker")
    except confluent_kafka.KafkaException as error:
        assert error.args[0].code() == confluent_kafka.KafkaError.INVALID_REPLICATION_FACTOR, error


# --- both, across restarts -------------------------------------------------------------------------


@scenario
def a_restart_keeps_everything(broker):
    topic = fresh("restart")
    ck_produce(broker.address, topic, records(500), **{"compression.type": "lz4"})
    broker.stop()
    broker.start()
    got = [(m.key, m.value, list(m.headers)) for m in kp_consume(broker.address, topic, 500)]
    assert got == expected(500)


@scenario
def kill_9_keeps_what_was_acknowledged(broker):
    topic = fresh("kill")
    ck_produce(broker.address, topic, records(500), **{"enable.idempotence": True})
    broker.kill()
    broker.start()
    assert ck_produce(broker.address, topic, records(500), **{"enable.idempotence": True}) == list(range(500, 1000))
    got = [(m.key(), m.value(), m.headers()) for m in ck_consume(broker.address, topic, 1000)]
    assert got == expected(500) + expected(500)


def main():
    passed, failed = 0, 0
    with Broker(settings=sys.argv[1:]) as broker:
        for run in SCENARIOS:
            started = time.time()
            try:
                run(broker)
                passed += 1
                print(f"ok     {run.__name__} ({time.time() - started:.1f} s)", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED {run.__name__}\n{traceback.format_exc()}", flush=True)
                if broker.process.poll() is not None:
                    print(broker.log())
                    broker.start()
        if failed:
            print(broker.log())
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
