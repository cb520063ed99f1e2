"""The frame of a measuring program: one limit on its time, one way to clean up, one last line of figures.

Exit: 0 measured and every promise held, 1 a promise is broken, 2 not able to measure.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import tools

PROMISE_BROKEN, NOT_MEASURED = 1, 2
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
# Room in memory is used for scratch files only when this much more stays free.
MEMORY_SPARE_BYTES = 2 << 30
LOG_LINES_SHOWN = 15


class Unmeasured(Exception):
    """The rig could not find out; nothing is said about the mesh."""


class Broken(Exception):
    """A promise is broken so thoroughly that there is nothing left to look at."""


class Stopped(Exception):
    """A signal, or the limit on the whole run."""


class Findings:
    """What was found: figures for programs, a story for people, and the promises that were broken."""

    def __init__(self):
        self.figures, self.broken, self.started = {}, [], time.monotonic()

    def say(self, text=""):
        print(f"[{time.monotonic() - self.started:7.2f} s] {text}" if text else "", flush=True)

    def expect(self, holds, promise):
        """A promise of the product, not of the rig: the run goes on, and ends with 1 if it is broken."""
        if not holds:
            self.broken.append(promise)
            self.say(f"BROKEN: {promise}")
        return holds


@contextlib.contextmanager
def bounded(seconds):
    """Turns signals and the end of the time into an exception, once: what comes later must not disturb the cleaning up."""
    stopped = []

    def stop(number, _):
        stopped.append(number)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        reason = f"took longer than {seconds} s" if number == signal.SIGALRM else signal.Signals(number).name
        raise Stopped(reason)

    usual = {each: signal.signal(each, stop) for each in SIGNALS}
    signal.alarm(int(seconds))
    try:
        yield
    finally:
        signal.alarm(0)
        # Who was stopped is about to end, and says why: another signal must not end it first.
        for each, handler in usual.items() if not stopped else ():
            signal.signal(each, handler)


def run(seconds, measure):
    """Calls `measure(findings)` and turns what became of it into output and an exit code."""
    findings = Findings()
    try:
        with bounded(seconds):
            measure(findings)
    except Broken as error:
        findings.broken.append(str(error))
    except (Unmeasured, Stopped, tools.Late, RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"not measured: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return NOT_MEASURED
    except Exception:
        # A fault of the rig, or an answer that isn't as agreed; Python's own exit code would say "a promise is broken".
        traceback.print_exc()
        return NOT_MEASURED
    for promise in findings.broken:
        print(f"broken: {promise}", flush=True)
    print("figures: " + json.dumps(findings.figures), flush=True)
    return PROMISE_BROKEN if findings.broken else 0


def room(directory):
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


@contextlib.contextmanager
def scratch(bytes_needed):
    """A directory for files that measure nothing: in memory where there is plenty, else where temporary files go."""
    with open("/proc/meminfo") as file:
        free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    in_memory = os.path.isdir("/dev/shm") and min(free, room("/dev/shm")) > bytes_needed + MEMORY_SPARE_BYTES
    parent = "/dev/shm" if in_memory else tempfile.gettempdir()
    if room(parent) < bytes_needed:
        raise Unmeasured(f"{parent} has no room for {bytes_needed >> 20} MiB: set TMPDIR")
    place = tempfile.mkdtemp(prefix="hf-scratch-", dir=parent)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def logs_of(mesh):
    """The last lines of every node's log: what one wants to read when a measurement failed."""
    for node in mesh.nodes.values():
        if not os.path.exists(node.log):
            continue
        with open(node.log, errors="replace") as file:
            lines = file.readlines()[-LOG_LINES_SHOWN:]
        print(f"--- node {node.id} ({node.region}, {node.role}), last lines of its log", file=sys.stderr)
        sys.stderr.writelines("    " + line for line in lines)


@contextlib.contextmanager
def explained(mesh):
    """Shows the logs when the measurement inside fails, before the mesh's directory is gone."""
    try:
        yield mesh
    except Stopped:
        raise
    except Exception:
        logs_of(mesh)
        raise


def phases(mesh):
    """The last takeover as the new primary tells it: (record, one line per phase)."""
    primary = mesh.primary()
    records = ((primary and primary.status()) or {}).get("takeovers") or []
    if not records:
        return None, ["the new primary tells no takeover"]
    last = records[-1]
    lines = [f"epoch {last.get('epoch')}: {last.get('from') or '-'} -> {last.get('to')} ({last.get('reason')})"]
    lines += [f"    {each['name']:<40} {each['milliseconds']:>8} ms" for each in last.get("phases", [])]
    return last, lines
