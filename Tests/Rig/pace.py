"""`make pace`: what takes long keeps to its rate, and tells how far it is.

A mesh has a volume of noise, which no codec makes smaller. It is backed up at the rate of the node's file, once more at one that
is asked for, checked, restored and read through a mount at another; each time the bytes of objects that went to the repository
or came from it, by the time that it took, are what was allowed, within a tenth. What is told meanwhile is read as a program
reads it, and on a terminal as a person does.
"""

import argparse
import filecmp
import json
import os
import pty
import subprocess
import sys
import threading
import time

import faults
import measure
from backup import LOAD_SECONDS_MAX, Repository, await_shipped, back_up, copy
from clients import nbdload
from cluster import Cluster
from mount import Mount

MIB = 1 << 20
FILE_RATE, ASKED_RATE, READ_RATE = 8, 24, 16
NOTICE_SECONDS_MAX, COMMAND_SECONDS_MAX, RUN_SECONDS_MAX = 60, 120, 600
# Of a rate, and of how much longer it is said to take.
RATE_OFF_MAX, LEFT_OFF_MAX = 0.10, 0.35
REDRAWN_EACH_SECOND = 4
FIELDS = {"state", "phase", "unit", "done", "total", "percent", "rate", "left_s", "stored", "idle_s", "elapsed_s"}


class Told:
    """What a command wrote to standard error, line by line, with when."""

    def __init__(self, words, output=subprocess.DEVNULL):
        self.lines, self.began = [], time.monotonic()
        with subprocess.Popen(words, stdout=output, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr:
                self.lines.append((time.monotonic() - self.began, line.rstrip("\n")))
        self.code, self.took = process.returncode, time.monotonic() - self.began

    @property
    def objects(self):
        return [(when, json.loads(line)) for when, line in self.lines]


def judge_rate(findings, figures, what, mib, seconds, allowed):
    rate = mib / seconds
    figures[what + "_rate_off_percent"] = round(100 * (rate / allowed - 1), 1)
    findings.expect(abs(rate / allowed - 1) <= RATE_OFF_MAX, f"{what}: {allowed} MiB/s are kept to within a tenth: {rate:.2f}")
    findings.say(f"{what}: {mib:.0f} MiB of objects in {seconds:.1f} s, {rate:.2f} MiB/s of {allowed}")


def judge_told(findings, figures, what, told, phase, comes_true=True):
    """What a program is told: all fields each time, forward only, the end last, and a time left that comes true."""
    objects = told.objects
    findings.expect(told.code == 0 and len(objects) > 3, f"{what} tells more than its end: {told.code}, {told.lines[-3:]}")
    findings.expect(all(set(each) == FIELDS for _, each in objects), f"{what} tells the same fields each time")
    findings.expect([each["state"] for _, each in objects] == ["running"] * (len(objects) - 1) + ["ended"], f"{what} tells its end once")
    own = [(when, each) for when, each in objects if each["phase"] == phase and each["total"]]
    done = [each["done"] for _, each in own]
    findings.expect(done and done == sorted(done) and done[-1] == own[-1][1]["total"], f"{what} comes to the whole of it: {own[-1:]}")
    findings.expect(len(objects) <= told.took + 2, f"{what} tells it once a second: {len(objects)} in {told.took:.1f} s")
    # From when on there is a rate worth the name until there is next to nothing left.
    end = own[-1][0]
    off = [abs(when + each["left_s"] - end) / end for when, each in own if each["left_s"] and when > end / 3]
    worst = max(off, default=1)
    figures[what + "_left_off_percent"] = round(100 * worst)
    findings.expect(not comes_true or worst <= LEFT_OFF_MAX, f"{what}: how much longer it takes is about what it takes: {worst:.2f}")


def backups(findings, mesh, repository, options, figures):
    """How many MiB of objects the newest one leads to."""
    primary, other = mesh.primary(), mesh.nodes[2]
    nbdload(options.rig, "write", primary.uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=3)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    path = os.path.join(repository.scratch, "made")
    with open(path, "w", encoding="utf-8") as output:
        told = Told([other.program("holdfast"), "--socket", f"{other.run}/admin.sock", "backup", "run", "-o", "json", "--progress", "json"], output)
    with open(path, encoding="utf-8") as file:
        made = json.load(file)
    findings.expect(told.objects[-1][1]["stored"] == made["storedBytes"], "what is stored is told at the end")
    judge_rate(findings, figures, "backup", made["storedBytes"] / MIB, made["milliseconds"] / 1_000, FILE_RATE)
    # Half of so short a one is read at once, into the packs that are being filled.
    judge_told(findings, figures, "backup", told, "volumes", comes_true=False)
    nbdload(options.rig, "write", primary.uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=4)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    again = back_up(other, "--rate", f"{ASKED_RATE}M")
    mib = again["storedBytes"] / MIB
    judge_rate(findings, figures, "backup_asked", mib, again["milliseconds"] / 1_000, ASKED_RATE)
    return mib


def reads(findings, repository, original, mib, figures):
    place = ("--repository", repository.path, "--key", repository.key)
    limit = ("--rate", f"{READ_RATE}M", "--progress", "json")
    told = Told([repository.program, "backup", "verify", *place, *limit])
    judge_rate(findings, figures, "verify", mib, told.took, READ_RATE)
    judge_told(findings, figures, "verify", told, "verifying")
    image = os.path.join(repository.scratch, "image")
    told = Told([repository.program, "restore", "--volume", "bulk", "--to", image, *place, *limit])
    judge_rate(findings, figures, "restore", mib, told.took, READ_RATE)
    judge_told(findings, figures, "restore", told, "restoring")
    same = filecmp.cmp(original, image, shallow=False)
    findings.expect(same, "what comes at a rate is what there was")
    with Mount(repository, "bulk", "--rate", f"{READ_RATE}M", "--read-only") as mount:
        began = time.monotonic()
        copied = image + "-mounted"
        subprocess.run(["nbdcopy", mount.uri, copied], check=True, timeout=COMMAND_SECONDS_MAX)
        judge_rate(findings, figures, "mount", mib, time.monotonic() - began, READ_RATE)
    findings.expect(filecmp.cmp(original, copied, shallow=False), "what is read at a rate is what there was")
    figures["differing"] = 0 if same else 1


def on_a_terminal(words):
    """What a person sees of standard error, the exit code, and how long it took."""
    ours, theirs = pty.openpty()
    seen = bytearray()

    def read():
        try:
            while part := os.read(ours, 65_536):
                seen.extend(part)
        except OSError:
            pass  # It ends so where nobody has the other side open any more.

    reader = threading.Thread(target=read)
    reader.start()
    began = time.monotonic()
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=theirs, timeout=COMMAND_SECONDS_MAX,
                          env=os.environ | {"TERM": "xterm", "NO_COLOR": "1"})
    took = time.monotonic() - began
    os.close(theirs)
    reader.join()
    os.close(ours)
    return seen.decode(), done.returncode, took


def for_people(findings, repository, figures):
    words = [repository.program, "backup", "verify", "--repository", repository.path, "--key", repository.key, "--rate", f"{READ_RATE}M"]
    quiet = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX)
    findings.expect(quiet.returncode == 0 and quiet.stderr == "" and "\x1b" not in quiet.stdout, f"a pipe gets no line: {quiet}")
    seen, code, took = on_a_terminal(words)
    drawn = seen.split("\r")[1:]
    findings.expect(code == 0 and len(drawn) > 4, f"a person sees a line: {code}, {seen!r}")
    findings.expect(len(drawn) <= REDRAWN_EACH_SECOND * took + 3, f"it is drawn four times a second at most: {len(drawn)} in {took:.1f} s")
    findings.expect(any(" %, " in line and "MiB/s, about " in line and " left" in line for line in drawn), f"with rate and time left: {drawn[-4:]}")
    findings.expect(drawn[-1] == "\x1b[K" and all(line.endswith("\x1b[K") for line in drawn), f"and gone at the end: {drawn[-1]!r}")
    findings.expect("\x1b[3" not in seen and "\n" not in seen, f"without colour, on one line: {seen!r}")
    figures["redrawn_per_second"] = round(len(drawn) / took, 1)
    findings.say("a person sees: " + next((line.removesuffix("\x1b[K") for line in reversed(drawn) if "left" in line), "no time left"))


def replayed(findings, mesh, repository, options):
    """A restore to a moment tells of the backup first, then of the log."""
    nbdload(options.rig, "write", mesh.primary().uri("bulk"), 8 * MIB, LOAD_SECONDS_MAX, seed=5)
    await_shipped(mesh.primary(), NOTICE_SECONDS_MAX)
    original = copy(mesh.primary(), "bulk", os.path.join(repository.scratch, "latest"))
    image = os.path.join(repository.scratch, "moment")
    told = Told([repository.program, "restore", "--latest", "--volume", "bulk", "--to", image, "--progress", "json", "--rate", "32M",
                 "--repository", repository.path, "--key", repository.key])
    last = told.objects[-1][1]
    findings.expect(told.code == 0 and filecmp.cmp(original, image, shallow=False), f"a moment comes back at a rate: {told.lines[-1:]}")
    findings.expect(last["phase"] == "replaying" and last["done"] >= 8 * MIB, f"the log is a phase of its own: {last}")


def measure_pace(findings, options):
    figures = {}
    with measure.scratch(10 * options.mib * MIB) as scratch:
        repository = Repository(options.bin, scratch)
        setting = repository.setting.replace("}", f", rate: {FILE_RATE}M}}")
        with Cluster(options.bin, settings=(setting,)) as mesh, measure.explained(mesh):
            mesh.start()
            mesh.ready()
            mesh.create_volume("bulk", f"{options.mib}M")
            mib = backups(findings, mesh, repository, options, figures)
            original = copy(mesh.primary(), "bulk", os.path.join(scratch, "original"))
            reads(findings, repository, original, mib, figures)
            for_people(findings, repository, figures)
            replayed(findings, mesh, repository, options)
    findings.figures = figures


def main():
    parser = argparse.ArgumentParser(description="rates that are kept to, and what is told meanwhile")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--mib", type=int, default=128, help="size of the volume")
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_pace(findings, options))


if __name__ == "__main__":
    sys.exit(main())
