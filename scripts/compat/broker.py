"""A broker of ours as a child process, for the compatibility suites."""

import os
import signal
import subprocess
import tempfile


class Broker:
    """Starts `plimsoll broker` on a free port in a directory of its own."""

    def __init__(self, binary="target/release/plimsoll", settings=()):
        self.binary = binary
        self.settings = list(settings)
        self.directory = tempfile.TemporaryDirectory(prefix="plimsoll-compat-")
        self.process = None
        self.address = None

    def start(self):
        overrides = [f"log.dirs={self.directory.name}/data", "listeners=PLAINTEXT://127.0.0.1:0", *self.settings]
        command = [self.binary, "broker"] + [part for pair in overrides for part in ("--override", pair)]
        self.stderr = open(os.path.join(self.directory.name, "broker.log"), "ab")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.stderr, text=True)
        line = self.process.stdout.readline().strip()
        if not line.startswith("ready "):
            self.process.wait()
            raise RuntimeError(f"the broker did not start: {line!r}\n{self.log()}")
        self.address = line.split()[1]
        return self

    def log(self):
        with open(os.path.join(self.directory.name, "broker.log")) as log:
            return log.read()

    def partition_bytes(self, topic, partition):
        """Bytes of batches stored, without preallocated space: a zero batch length ends the data."""
        directory = os.path.join(self.directory.name, "data", f"{topic}-{partition}")
        total = 0
        for name in (name for name in os.listdir(directory) if name.endswith(".log")):
            with open(os.path.join(directory, name), "rb") as log:
                data = log.read()
            at = 0
            while len(data) - at > 12 and int.from_bytes(data[at + 8:at + 12], "big") > 0:
                at += 12 + int.from_bytes(data[at + 8:at + 12], "big")
            total += at
        return total

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=20) == 0, self.log()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
        self.stderr.close()
        self.directory.cleanup()
