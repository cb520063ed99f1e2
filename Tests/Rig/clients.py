"""The clients of a measurement: flushcheck the judge, nbdload and fio the loads, nbdcopy the copier.

Each is a separate process that speaks NBD only, and none lives longer than its `with` block.
"""

import collections
import json
import os
import signal
import subprocess
import threading

import tools
from measure import Unmeasured

# Kept of a program's output; fio 3.33 writes without end when its server dies.
LINES_MAX = 20000
LINE_BYTES_MAX = 65536
END_SECONDS_MAX = 5
# How long after its time a client may take to notice, drain and report.
GRACE_SECONDS = 15
VERIFY_SECONDS_MAX = 120
COPY_SECONDS_MAX = 300


class Program:
    """A running client; its lines are at hand while it runs, the oldest are forgotten beyond LINES_MAX."""

    def __init__(self, words):
        self.words = [str(word) for word in words]
        self.lines = collections.deque(maxlen=LINES_MAX)
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL"] + self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        return self

    def read(self):
        while line := self.process.stdout.readline(LINE_BYTES_MAX):
            self.lines.append(line.rstrip("\n"))

    @property
    def is_running(self):
        return self.process.poll() is None

    def wait(self, seconds):
        """The exit code; Unmeasured when it doesn't end in time."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Unmeasured(f"{self.words[0]} did not end within {seconds} s") from None
        self.reader.join(END_SECONDS_MAX)
        return code

    def told(self):
        """The JSON lines so far."""
        objects = []
        for line in list(self.lines):
            if line.startswith("{"):
                try:
                    objects.append(json.loads(line))
                except json.JSONDecodeError:
                    pass  # a line cut off by the end of its program
        return objects

    def report(self, seconds, good=(0,)):
        """Waits for the end and returns the last JSON line; any other exit code means nothing was measured."""
        code = self.wait(seconds)
        told = self.told()
        if code not in good or not told:
            raise Unmeasured(f"{' '.join(self.words)}: exit {code}: {' | '.join(list(self.lines)[-5:])}")
        return told[-1]

    def __exit__(self, *_):
        # Its session is its own, so this reaches its threads and children and nobody else.
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(END_SECONDS_MAX)
        self.reader.join(END_SECONDS_MAX)
        self.process.stdout.close()


class Judge:
    """flushcheck with one ledger. Blocks owned by `try` at the end of the export are left out."""

    TRY_BLOCKS = 8
    FAULTS = ("lostFlushed", "torn", "foreign", "unreadable")

    def __init__(self, rig, ledger, volume_bytes, seed=7):
        self.program = os.path.join(rig, "flushcheck")
        self.ledger, self.seed = ledger, seed
        self.blocks = volume_bytes // 4096 - self.TRY_BLOCKS

    def write(self, uri, seconds, depth=16):
        return Program([self.program, "write", "--uri", uri, "--ledger", self.ledger, "--seed", self.seed,
                        "--blocks", self.blocks, "--seconds", seconds, "--depth", depth])

    def flush(self, uri, seconds):
        """Writes for so long."""
        with self.write(uri, seconds) as writer:
            return writer.report(seconds + GRACE_SECONDS)

    def verify(self, uri, needs_flushes=True):
        """{fault: count}, with `blocksFlushed`; refuses to judge when nothing was flushed, unless others judge with it."""
        with Program([self.program, "verify", "--uri", uri, "--ledger", self.ledger]) as program:
            told = program.report(VERIFY_SECONDS_MAX, good=(0, 1))
        if told.get("mode") != "verify" or needs_flushes and told["blocksFlushed"] == 0:
            raise Unmeasured(f"flushcheck had nothing to judge: {told}")
        return told

    @classmethod
    def faults(cls, told):
        return {name: told[name] for name in cls.FAULTS if told[name]}


class Trial(Program):
    """`flushcheck try` at several servers at once: when was a flushed write accepted, and by whom?"""

    def __init__(self, rig, uris, seconds, interval_ms=5):
        words = [os.path.join(rig, "flushcheck"), "try", "--seconds", seconds, "--interval-ms", interval_ms]
        for uri in uris:
            words += ["--uri", uri]
        super().__init__(words)
        self.seconds = seconds

    def accepted(self, index=None, other_than=None, after_ns=0):
        """The first acceptance that fits, as (index, ns), or None."""
        for event in self.told():
            if event.get("event") == "accepted" and event["ns"] > after_ns:
                if event["uri"] != other_than and index in (None, event["uri"]):
                    return event["uri"], event["ns"]
        return None

    def await_accepted(self, what, seconds, **which):
        return tools.wait_until(what, seconds, lambda: self.accepted(**which), poll=0.005)

    def verdict(self):
        """The whole report once its time is over; 1 is the exit code of dual accepts."""
        return self.report(self.seconds + GRACE_SECONDS, good=(0, 1))


def nbdload(rig, mode, uri, total, seconds=600, **options):
    """The report of a load which must succeed; `check` may tell differences (exit 1)."""
    words = [os.path.join(rig, "nbdload"), mode, "--uri", uri, "--bytes", total, "--seconds", seconds]
    for name, value in options.items():
        words += [f"--{name}"] if value is True else [f"--{name}", value]
    with Program(words) as program:
        return program.report(seconds + GRACE_SECONDS, good=(0, 1) if mode == "check" else (0,))


def nbdcopy(source, target):
    with Program(["nbdcopy", "--flush", source, target]) as program:
        code = program.wait(COPY_SECONDS_MAX)
        if code != 0:
            raise Unmeasured(f"nbdcopy {source} {target}: exit {code}: {' | '.join(list(program.lines)[-5:])}")


def fio(uri, name, offset, size, seconds, *more):
    """fio as load, never as judge: under `timeout`, without files of its own, its endless complaints cut off."""
    return Program([
        "timeout", "--foreground", "-s", "KILL", seconds, "fio", f"--name={name}", "--ioengine=nbd", f"--uri={uri}",
        "--thread", f"--offset={offset}", f"--size={size}", "--verify=crc32c", "--verify_fatal=1",
        "--verify_state_save=0", *more])


def fio_finished(uri, name, offset, size, seconds, *more):
    """Runs fio to its end; returns (whether it was content, its last lines)."""
    with fio(uri, name, offset, size, seconds, *more) as program:
        code = program.wait(seconds + GRACE_SECONDS)
        return code == 0 and not any("verify" in line and "error" in line for line in program.lines), \
            list(program.lines)[-8:]
