"""`make differ`: a disk loses blocks and their sums together, which no sum can tell; another region's bytes can.

A replica's image gets back what it held of a few blocks before they were written anew, sums and all. The replica, or whoever asks
it, tells of it by the bytes; an operator has it take them anew; and behind a takeover the guest reads there what it wrote.
"""

import argparse
import os
import random
import sys
import time

import faults
import measure
import tools
from clients import nbdload
from cluster import Cluster
from rot_images import BLOCK, Client, MIB, held_blocks, image

LOAD_SECONDS_MAX, NOTICE_SECONDS_MAX, RUN_SECONDS_MAX = 60, 60, 240
# A pass over so little takes half a minute at the least rate, and the other members are asked in turn.
TOLD_SECONDS_MAX = 150
LOST = 3


def restart(mesh, node):
    """Behind a start all that was written lies in the images."""
    node.stop()
    node.start()
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    tools.wait_until("its images have all of it", NOTICE_SECONDS_MAX, lambda: held_blocks(image(node, "bulk")))


def block_and_sum(node, block):
    """Where a block and its sum lie: file and offset, and how many bytes."""
    path = image(node, "bulk")
    return (path, block * BLOCK, BLOCK), (path[:-len("image")] + "sums", block * 4, 4)


def read_places(places):
    kept = []
    for path, offset, count in places:
        with open(path, "rb") as file:
            kept.append((path, offset, os.pread(file.fileno(), count, offset)))
    return kept


def put_back(kept):
    for path, offset, data in kept:
        with open(path, "r+b") as file:
            os.pwrite(file.fileno(), data, offset)


def told(nodes):
    """Every alarm of a difference, with who raised it."""
    return [(node, alarm) for node in nodes for alarm in (node.status() or {"alarms": []})["alarms"]
            if alarm["code"] == "replicas-differ"]


def lose(mesh, primary, victim, chance):
    """The victim's disk has of some blocks what they held before the last write, under sums that pass."""
    restart(mesh, victim)
    blocks = sorted(chance.sample(held_blocks(image(victim, "bulk")), LOST))
    places = [place for block in blocks for place in block_and_sum(victim, block)]
    victim.stop()
    kept = read_places(places)
    victim.start()
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    fresh = {block: bytes([chance.randrange(1, 256)]) * BLOCK for block in blocks}
    with Client(primary, "bulk") as client:
        for block, data in fresh.items():
            client.write(block * BLOCK, data)
    restart(mesh, victim)
    victim.stop()
    put_back(kept)
    victim.start()
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    return fresh


def refusals(findings, node, size):
    """What can't be distrusted is said, and changes nothing."""
    for volume, places, words in (("bulk", f"{size}+4096", "Not a range"), ("none", "0+4096", "There is no volume"),
                                  ("bulk", f"0+{size + 1}", "Not a range")):
        said = node.holdfast("volume", "distrust", volume, "--range", places, "--yes", check=False)
        findings.expect(said.returncode == 1 and words in said.stderr, f"{volume} {places} is refused: {said}")


def alone(findings, mesh, node):
    """Who hears nobody keeps what it has."""
    for other in mesh.data_nodes:
        if other is not node:
            other.kill()
    tools.wait_until("the others are found dead", NOTICE_SECONDS_MAX, lambda: "No other replica is heard" in node.holdfast(
        "volume", "distrust", "bulk", "--range", "0+4096", "--yes", check=False).stderr)


def measure_differ(findings, options):
    chance = random.Random(options.seed)
    with measure.scratch(64 * MIB), Cluster(options.bin) as mesh, measure.explained(mesh):
        mesh.start()
        primary = mesh.ready()
        mesh.create_volume("bulk", f"{options.mib}M")
        nbdload(options.rig, "write", primary.uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=5)
        victim = next(node for node in reversed(mesh.data_nodes) if node is not primary)
        calm = told(mesh.data_nodes)
        findings.expect(not calm, f"replicas that are the same are said to be: {calm}")
        fresh = lose(mesh, primary, victim, chance)
        blocks = sorted(fresh)
        began = time.monotonic()
        node, alarm = tools.wait_until("the difference is told", TOLD_SECONDS_MAX, lambda: told(mesh.data_nodes))[0]
        told_s = time.monotonic() - began
        findings.say(f"{node.region} says after {told_s:.0f} s: {alarm['text']}")
        is_named = node is victim or f"node {victim.id} has other bytes" in alarm["text"]
        findings.expect(is_named and "volume bulk" in alarm["text"], f"who and what is said: {alarm}")
        findings.expect(any(f"{block * BLOCK}+" in alarm["text"] for block in blocks), f"and where: {blocks}, {alarm}")
        refusals(findings, victim, options.mib * MIB)
        for block in blocks:
            victim.holdfast("volume", "distrust", "bulk", "--range", f"{block * BLOCK}+{BLOCK}", "--yes")
        tools.wait_until("nobody differs any more", TOLD_SECONDS_MAX, lambda: not told(mesh.data_nodes))
        primary.holdfast("switchover", victim.region, "--yes")
        mesh.await_served(victim, "bulk")
        with Client(victim, "bulk") as client:
            wrong = sum(client.read(block * BLOCK) != (0, data) for block, data in fresh.items())
        findings.expect(wrong == 0, f"{wrong} of the blocks that were lost read wrong behind a takeover")
        compared = victim.status()["scrub"]["comparedBytes"]
        findings.expect(compared > 0, f"and status says how much was compared: {compared}")
        alone(findings, mesh, victim)
    findings.figures = {"lost": LOST, "told_s": round(told_s), "wrong": wrong}


def main():
    parser = argparse.ArgumentParser(description="replicas that differ under sums that pass")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--mib", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_differ(findings, options))


if __name__ == "__main__":
    sys.exit(main())
