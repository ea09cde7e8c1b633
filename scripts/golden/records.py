"""The record sets that every client is made to write, and their text form."""

import sys

BASE_MS = 1_700_000_000_000

# Text that compresses like a log does, without being a constant.
WORDS = "load line draft cargo ballast tide harbour keel freeboard summer winter tropical fresh salt".split()


def sentence(seed: int, count: int) -> str:
    """`count` words, chosen by a small generator so that every machine makes the same ones."""
    words = []
    for _ in range(count):
        seed = (seed * 1_103_515_245 + 12_345) % 2**31
        words.append(WORDS[(seed >> 16) % len(WORDS)])
    return " ".join(words)


def small():
    """Every shape a record can have, once or twice."""
    yield BASE_MS, b"ship-1", sentence(1, 40).encode(), []
    yield BASE_MS + 5, None, b"no key", []
    yield BASE_MS + 9, b"ship-1", None, []
    yield BASE_MS + 9, b"", b"", []
    yield BASE_MS - 70_000, b"early", b"a timestamp before the first", []
    yield BASE_MS + 86_400_000, b"late", b"a timestamp a day after the first", []
    yield BASE_MS + 12, b"headers", b"three", [("trace", b"\x00\xff\x10"), ("empty", b""), ("trace", b"again")]
    yield BASE_MS + 13, b"headers", b"null value", [("nothing", None), ("über", "Öl".encode())]
    yield BASE_MS + 14, bytes(range(256)), bytes(reversed(range(256))), []
    for index in range(24):
        yield BASE_MS + 20 + index, f"ship-{index % 5}".encode(), sentence(index, 12).encode(), []


def large():
    """Beyond one block of every codec: snappy's 32 KiB, LZ4's 64 KiB."""
    for index in range(260):
        yield BASE_MS + index, f"ship-{index % 7}".encode(), f"{index} {sentence(index, 48)}".encode(), []


SETS = {"small": small, "large": large}


def text(field):
    return "-" if field is None else field.hex()


def line(record) -> str:
    timestamp, key, value, headers = record
    pairs = ";".join(f"{name.encode().hex()}={text(header)}" for name, header in headers)
    return f"{timestamp}\t{text(key)}\t{text(value)}\t{pairs}\n"


if __name__ == "__main__":
    for name, records in SETS.items():
        with open(f"{sys.argv[1]}/{name}.tsv", "w", encoding="ascii") as out:
            out.writelines(line(record) for record in records())
