"""`make pitr`: a volume's image at times drawn at random, restored from what a mesh shipped, compared with what a client wrote.

One client writes, zeroes and trims, and flushes after each: what the volume is between two of these is known to the byte. Two
primaries are killed meanwhile, so that there are three timelines, and three backups are made. Then the volume is restored at each
time, without any agent. While a write was under way the volume may be as it was before or behind it, so both are allowed; so is what
lies within SLACK_NS, for a time in the log is the leader's, which reads its clock once for many entries.
"""

import argparse
import concurrent.futures
import datetime
import json
import os
import random
import sys
import time

import nbd

import faults
import measure
import tools
from backup import Repository, back_up
from cluster import Cluster

VOLUME, BYTES, BLOCK = "pit", 2 << 20, 4096
BLOCKS_MAX, THINK_SECONDS_MAX = 8, 0.02
SLACK_NS = 5_000_000
NOTICE_SECONDS_MAX, WINNER_SECONDS_MAX, CONNECT_SECONDS_MAX, SHIPPED_SECONDS_MAX = 60, 30, 30, 30
RUN_SECONDS_MAX, RESTORERS = 1_500, 2


class Deed:
    """What was asked, when, and when it was known to be flushed: nothing before the one, all behind the other."""

    def __init__(self, kind, offset, data):
        self.kind, self.offset, self.data = kind, offset, data
        self.asked_ns = self.done_ns = 0

    def carry_out(self, image):
        image[self.offset:self.offset + len(self.data)] = self.data


class Writer:
    def __init__(self, mesh, seed):
        self.mesh, self.chance = mesh, random.Random(seed)
        self.deeds, self.image, self.client = [], bytearray(BYTES), None
        self.behind_ms_max = 0

    def connect(self):
        def connected():
            node = self.mesh.primary()
            if node is None or not node.is_running or not node.serves(VOLUME):
                return None
            client = nbd.NBD()
            try:
                client.connect_uri(node.uri(VOLUME))
            except nbd.Error:
                return None
            return client
        self.client = tools.wait_until("the volume is served", CONNECT_SECONDS_MAX, connected)

    def draw(self):
        count = self.chance.randint(1, BLOCKS_MAX)
        offset = self.chance.randrange(0, BYTES // BLOCK - count + 1) * BLOCK
        kind = self.chance.choice(("write",) * 6 + ("zero", "trim"))
        data = self.chance.randbytes(count * BLOCK) if kind == "write" else bytes(count * BLOCK)
        return Deed(kind, offset, data)

    def ask(self, deed):
        if deed.kind == "write":
            self.client.pwrite(deed.data, deed.offset)
        elif deed.kind == "zero":
            self.client.zero(len(deed.data), deed.offset)
        else:
            self.client.trim(len(deed.data), deed.offset)
        self.client.flush()

    def one(self):
        """Asks until it is done: what was asked twice is there once, for it is the same bytes."""
        deed = self.draw()
        deed.asked_ns = time.time_ns()
        while True:
            try:
                self.ask(deed)
                break
            except nbd.Error:
                self.connect()
        deed.done_ns = time.time_ns()
        deed.carry_out(self.image)
        self.deeds.append(deed)
        time.sleep(self.chance.uniform(0, THINK_SECONDS_MAX))

    def write(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.one()
            if len(self.deeds) % 50 == 0:
                self.note_age()

    def note_age(self):
        node = self.mesh.primary()
        told = node.holdfast("backup", "status", "-o", "json", check=False) if node else None
        if told and told.returncode == 0:
            log = json.loads(told.stdout)["log"]
            if log["state"] == "ships":
                self.behind_ms_max = max(self.behind_ms_max, log.get("behindMilliseconds", 0))


def shipped(mesh, deed):
    """The primary has shipped that deed, and all before it."""
    log = json.loads(mesh.primary().holdfast("backup", "status", "-o", "json").stdout)["log"]
    return (log["state"] == "ships" and log.get("unixMilliseconds", 0) * 1_000_000 + SLACK_NS > deed.asked_ns)


def fail_over(findings, mesh, writer):
    """The primary is killed while the client writes; the next one serves, and the killed one comes back."""
    old = mesh.primary()
    old.kill()
    writer.write(2)
    new = mesh.primary()
    findings.expect(new is not None and new is not old, f"another region took over from {old.region}")
    old.start()
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)


def history(findings, mesh, writer, seconds):
    """Three timelines, and a backup in each."""
    writer.connect()
    first = back_up(mesh.nodes[2])["backup"]
    writer.write(seconds)
    for _ in range(2):
        fail_over(findings, mesh, writer)
        writer.write(seconds)
        back_up(mesh.nodes[2])
        writer.write(seconds)
    # A write behind the last one drawn, and time for it: nothing is known of a time that no entry is behind.
    writer.one()
    tools.wait_until("all is shipped", SHIPPED_SECONDS_MAX, lambda: shipped(mesh, writer.deeds[-1]))
    return first


class Model:
    """What the volume was at a time."""

    def __init__(self, deeds):
        self.deeds = deeds

    def images(self, at_ns):
        """All that it may have been."""
        surely = sum(deed.done_ns <= at_ns - SLACK_NS for deed in self.deeds)
        maybe = sum(deed.asked_ns <= at_ns + SLACK_NS for deed in self.deeds)
        image = bytearray(BYTES)
        for deed in self.deeds[:surely]:
            deed.carry_out(image)
        images = [bytes(image)]
        for deed in self.deeds[surely:maybe]:
            deed.carry_out(image)
            images.append(bytes(image))
        return images


def moment(at_ns):
    time_utc = datetime.datetime.fromtimestamp(at_ns // 1_000 / 1e6, datetime.timezone.utc)
    return time_utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def restored(repository, at_ns, number):
    path = os.path.join(repository.scratch, f"at-{number}")
    repository.ask("restore", "--at-time", moment(at_ns), "--volume", VOLUME, "--to", path)
    with open(path, "rb") as file:
        image = file.read()
    os.remove(path)
    return image


def compare(findings, repository, model, times):
    def one(number):
        return restored(repository, times[number], number) in model.images(times[number])
    with concurrent.futures.ThreadPoolExecutor(RESTORERS) as pool:
        exact = list(pool.map(one, range(len(times))))
    wrong = [moment(at) for at, right in zip(times, exact) if not right]
    findings.expect(not wrong, f"each image is what there was: {wrong[:5]}")
    return sum(exact)


def refusals(findings, repository, writer, first):
    """What is outside of the log says what there is."""
    path = os.path.join(repository.scratch, "outside")

    def refused(words, *moment_words):
        told = repository.ask("restore", *moment_words, "--volume", VOLUME, "--to", path, check=False)
        findings.expect(told.returncode == 1 and words in told.stderr and not os.path.exists(path),
                        f"{moment_words}: {words}: {told}")
    refused("the first backup is as of", "--at-time", "2001-01-01T00:00:00Z")
    refused("the first backup is as of", "--at-index", str(first["position"]["index"] - 1))
    refused("and nothing behind it", "--at-time", "2100-01-01T00:00:00Z")
    refused("and nothing behind it", "--at-index", str(1 << 40))
    unzoned = repository.ask("restore", "--at-time", "2026-01-01T00:00:00", "--to", path, check=False)
    findings.expect(unzoned.returncode == 2, f"a time without a zone is nobody's: {unzoned}")
    repository.ask("restore", "--latest", "--volume", VOLUME, "--to", path)
    with open(path, "rb") as file:
        findings.expect(file.read() == bytes(writer.image), "the latest is all that was flushed")
    os.remove(path)


def measure_pitr(findings, options):
    seed = options.seed or random.SystemRandom().randrange(1 << 32)
    findings.say(f"seed {seed}")
    with measure.scratch(64 * BYTES) as scratch:
        repository = Repository(options.bin, scratch)
        with Cluster(options.bin, settings=(repository.setting,)) as mesh, measure.explained(mesh):
            mesh.start()
            mesh.ready()
            mesh.create_volume(VOLUME, f"{BYTES >> 20}M")
            writer = Writer(mesh, seed)
            first = history(findings, mesh, writer, options.seconds)
            refusals(findings, repository, writer, first)
            begin, end = first["unixMilliseconds"] * 1_000_000 + 1_000_000, writer.deeds[-1].asked_ns
            chance = random.Random(seed + 1)
            times = [chance.randrange(begin, end) for _ in range(options.points)]
            listed = json.loads(repository.ask("backup", "list", "-o", "json").stdout)["backups"]
            began = time.monotonic()
            exact = compare(findings, repository, Model(writer.deeds), times)
            findings.say(f"{len(writer.deeds)} deeds; {options.points} restores, "
                         f"{(time.monotonic() - began) / options.points * 1_000:.0f} ms each, {RESTORERS} at once")
            epochs = {backup["epoch"] for backup in listed}
    findings.expect(len(epochs) == 3, f"three timelines: epochs {epochs}")
    findings.figures = {"points": options.points, "exact": exact, "timelines": len(epochs), "backups": len(listed),
                        "deeds": len(writer.deeds), "behind_max_s": writer.behind_ms_max / 1_000}


def main():
    parser = argparse.ArgumentParser(description="restores to times that are drawn at random")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--points", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=10, help="how long the client writes, five times over")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_pitr(findings, options))


if __name__ == "__main__":
    sys.exit(main())
