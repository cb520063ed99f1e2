"""`make histories`: volumes with a past, each backed up as it changed and whole, and both give back the same.

Each history is a volume of its own, written, zeroed, trimmed and made longer at random while members lose their power. Once it
stands still it is backed up twice: by one member into a repository where each backup goes on from the one before, and by another
into one where each is a full one. Of every step both are restored without any agent, and compared with each other and with what
the client wrote.
"""

import argparse
import concurrent.futures
import json
import os
import random
import sys

import nbd

import faults
import measure
import tools
from backup import Repository, back_up
from cluster import Cluster

GRAIN, SECTOR = 4_096, 512
BYTES_MAX, SPAN_MAX, GROWTH_GRAINS_MAX = 6 << 20, 96 << 10, 300
BATCH, STEPS, DEEDS_MAX = 10, 3, 14
CONNECT_SECONDS_MAX, NOTICE_SECONDS_MAX, GROWTH_SECONDS_MAX = 30, 60, 30
RUN_SECONDS_MAX, RESTORERS = 3_000, 2


class Past:
    """A volume and what a client made of it."""

    def __init__(self, mesh, name, chance):
        self.mesh, self.name, self.chance = mesh, name, chance
        self.image, self.client = bytearray(GRAIN * chance.randint(1, BYTES_MAX // 4 // GRAIN)), None
        mesh.create_volume(name, f"{len(self.image)}")

    def connect(self):
        def connected():
            node = self.mesh.primary()
            if node is None or not node.is_running or not node.serves(self.name):
                return None
            client = nbd.NBD()
            try:
                client.connect_uri(node.uri(self.name))
            except nbd.Error:
                return None
            return client
        self.client = tools.wait_until(f"{self.name} is served", CONNECT_SECONDS_MAX, connected)

    def draw(self):
        """What is asked for, and what the volume then holds there."""
        kind = self.chance.choice(("write",) * 4 + ("zero", "trim"))
        longest = SPAN_MAX if self.chance.random() < 0.3 else 12 << 10
        count = min(SECTOR * self.chance.randint(1, longest // SECTOR), len(self.image))
        offset = SECTOR * self.chance.randint(0, (len(self.image) - count) // SECTOR)
        return kind, offset, self.chance.randbytes(count) if kind == "write" else bytes(count)

    def ask(self, kind, offset, data):
        if kind == "write":
            self.client.pwrite(data, offset)
        elif kind == "zero":
            self.client.zero(len(data), offset)
        else:
            self.client.trim(len(data), offset)

    def change(self):
        """Some deeds and a flush; where a primary dies meanwhile, all of them once more, for they are the same bytes."""
        deeds = [self.draw() for _ in range(self.chance.randint(0, DEEDS_MAX))]
        while True:
            try:
                for deed in deeds:
                    self.ask(*deed)
                self.client.flush()
                break
            except nbd.Error:
                self.connect()
        for _, offset, data in deeds:
            self.image[offset:offset + len(data)] = data
        return len(deeds)

    def grow(self, findings):
        wanted = len(self.image) + GRAIN * self.chance.randint(1, GROWTH_GRAINS_MAX)

        def grown():
            node = self.mesh.primary()
            told = node and node.holdfast("volume", "grow", self.name, "--size", wanted, check=False)
            return told and told.returncode == 0
        tools.wait_until(f"{self.name} grows", GROWTH_SECONDS_MAX, grown)
        self.image += bytes(wanted - len(self.image))
        self.connect()
        findings.expect(self.client.get_size() == wanted, f"a client that connects anew sees {wanted} bytes")


class Tally:
    def __init__(self):
        self.histories = self.deeds = self.growths = self.crashes = self.compared = self.differing = 0


def strike(mesh, chance):
    """A member's power goes; which one is drawn. Returns it."""
    node = chance.choice(mesh.data_nodes)
    node.kill()
    return node


def step(findings, mesh, pasts, chance, tally):
    """Every volume changes, and while they do a member may lose its power."""
    victim, at = None, chance.randrange(2 * len(pasts))
    for number, past in enumerate(pasts):
        if number == at:
            victim = strike(mesh, chance)
            tally.crashes += 1
        tally.deeds += past.change()
        if chance.random() < 0.2:
            past.grow(findings)
            tally.growths += 1
            tally.deeds += past.change()
    if victim:
        victim.start()
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)


def restored(repository, number, name):
    path = repository.restore(number, name, f"{name}-{number}")
    with open(path, "rb") as file:
        image = file.read()
    os.remove(path)
    return image


def compare(findings, repositories, steps, tally):
    """Both restored images of each volume at each step."""
    def one(case):
        numbers, name, image = case
        first, whole = (restored(*each, name) for each in zip(repositories, numbers))
        return first == whole == image
    cases = [(numbers, name, image) for numbers, images in steps for name, image in images.items()]
    with concurrent.futures.ThreadPoolExecutor(RESTORERS) as pool:
        same = list(pool.map(one, cases))
    wrong = [case[:2] for case, right in zip(cases, same) if not right]
    findings.expect(not wrong, f"what was backed up step by step is what was backed up whole: {wrong[:5]}")
    tally.compared += len(cases)
    tally.differing += len(wrong)


def history(findings, mesh, repositories, names, chance, tally):
    pasts = [Past(mesh, name, chance) for name in names]
    for past in pasts:
        past.connect()
    steps = []
    for _ in range(STEPS):
        step(findings, mesh, pasts, chance, tally)
        followed, whole = back_up(mesh.nodes[2])["backup"], back_up(mesh.nodes[3], "--full")["backup"]
        findings.expect(whole["kind"] == "full", f"it is a full one: {whole}")
        steps.append(((followed["number"], whole["number"]), {past.name: bytes(past.image) for past in pasts}))
    compare(findings, repositories, steps, tally)
    for past in pasts:
        past.client.shutdown()
        past.client = None
        tools.wait_until(f"{past.name} is deleted", GROWTH_SECONDS_MAX, lambda name=past.name: mesh.primary().holdfast(
            "volume", "delete", name, "--yes", check=False).returncode == 0)
    tally.histories += len(pasts)


def followed(repository):
    """How many backups went on from the one before."""
    listed = json.loads(repository.ask("backup", "list", "-o", "json").stdout)["backups"]
    return sum(each["kind"] != "full" for each in listed)


def measure_histories(findings, options):
    seed = options.seed or random.SystemRandom().randrange(1 << 32)
    findings.say(f"seed {seed}")
    chance, tally = random.Random(seed), Tally()
    with measure.scratch(64 * BYTES_MAX) as scratch:
        repositories = []
        for name in ("followed", "whole"):
            os.mkdir(os.path.join(scratch, name))
            repositories.append(Repository(options.bin, os.path.join(scratch, name)))
        shim = os.path.join(options.rig, "powercut.so")
        with Cluster(options.bin, shim=shim) as mesh, measure.explained(mesh):
            for node, repository in zip((mesh.nodes[2], mesh.nodes[3]), repositories):
                with open(node.config, "a") as file:
                    file.write(repository.setting.replace("}", ", shipLog: false}") + "\n")
            mesh.start()
            mesh.ready()
            while tally.histories < options.histories:
                count = min(BATCH, options.histories - tally.histories)
                names = [f"past-{tally.histories + number}" for number in range(count)]
                history(findings, mesh, repositories, names, chance, tally)
            findings.expect(not mesh.powercut_escapes(), "nothing escaped the power cuts")
            steps = followed(repositories[0])
    findings.expect(steps > 0, "backups went on from each other")
    findings.figures = {"histories": tally.histories, "compared": tally.compared, "differing": tally.differing,
                        "followed": steps, "deeds": tally.deeds, "growths": tally.growths, "crashes": tally.crashes}


def main():
    parser = argparse.ArgumentParser(description="backups of what changed beside full ones")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_histories(findings, options))


if __name__ == "__main__":
    sys.exit(main())
