"""Compares what a client sent with what Kafka's tool read: table, topic, output of --print-data-log."""

import re
import sys

table, topic, output = sys.argv[1:]
sent = {}
for line in open(table):
    name, offset, timestamp, key, value = line.rstrip("\n").split("\t")
    if name == topic:
        text = lambda hexed: None if hexed == "-" else bytes.fromhex(hexed).decode()
        sent[int(offset)] = (int(timestamp), text(key), text(value))

RECORD = re.compile(
    r"\| offset: (\d+) CreateTime: (\d+) keySize: (-?\d+) valueSize: (-?\d+) sequence: -?\d+ headerKeys: \[[^]]*\]"
    r"(?: key: (\S*))?(?: payload: (.*))?$",
    re.DOTALL,
)
read = {}
inside = False
for line in open(output):
    if line.startswith("Dumping "):
        inside = f"/{topic}-0/" in line
    match = RECORD.match(line.rstrip("\n")) if inside else None
    if match:
        offset, timestamp, _, _, key, value = match.groups()
        read[int(offset)] = (int(timestamp), key, value)

assert sent, f"nothing was sent to {topic}"
for offset in sorted(sent.keys() | read.keys()):
    assert sent.get(offset) == read.get(offset), f"{topic} {offset}: sent {sent.get(offset)}, read {read.get(offset)}"
print(f"{topic}: {len(sent)} records are those that were sent")
