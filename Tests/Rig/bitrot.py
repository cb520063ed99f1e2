"""`make bitrot`: one random byte turns in each of many objects of a repository in two stores; all of it is found and put right.

A mesh makes backups into both stores while clients write. Then bytes turn, each object in one store drawn at random. What is restored
before anything is repaired is compared with a copy that was made through NBD; the scrub without a key has to find every one of them, the repair to
put it right to the byte, and a second scrub to find nothing. Then agents that read over the repository by themselves do the same. At the end one pack is damaged in both stores: what is lost is named.
"""

import argparse
import filecmp
import json
import os
import random
import shutil
import subprocess
import sys

import faults
import measure
import tools
from backup import MIB, back_up, copy
from clients import nbdload
from cluster import Cluster

LOAD_SECONDS_MAX, COMMAND_SECONDS_MAX, NOTICE_SECONDS_MAX, RUN_SECONDS_MAX = 120, 300, 60, 1_500
BACKUPS_MAX = 200
SCRUB_SECONDS, BY_AGENTS = 30, 40


class Stores:
    """Two directories, and the store file that names both."""

    def __init__(self, programs, scratch):
        self.program = os.path.join(os.path.abspath(programs), "holdfast")
        self.scratch = scratch
        self.paths = [os.path.join(scratch, name) for name in ("here", "there")]
        for path in self.paths:
            os.mkdir(path)
        self.file, self.key = os.path.join(scratch, "store.yaml"), os.path.join(scratch, "site.key")
        with open(self.file, "w", encoding="utf-8") as file:
            file.write("stores:\n" + "".join(f"  - directory: {path}\n" for path in self.paths) + "minCopies: 2\n")
        self.ask("repository", "create", self.file, "--key", self.key, "--spare-key", self.key + ".spare")

    @property
    def setting(self):
        return f"backup: {{store: {self.file}, key: {self.key}}}"

    def ask(self, *words, check=True):
        return subprocess.run([self.program, *words], capture_output=True, text=True, check=check,
                              timeout=COMMAND_SECONDS_MAX)

    def told(self, *words):
        answer = self.ask(*words, "-o", "json", check=False)
        return answer.returncode, json.loads(answer.stdout), answer.stderr

    def scrub(self, *words):
        return self.told("repository", "scrub", self.file, *words)

    def repair(self):
        return self.told("repository", "repair", self.file, "--key", self.key)

    def objects(self, number):
        """Their names, by which they lie in both."""
        root = self.paths[number]
        return sorted(
            os.path.relpath(os.path.join(folder, name), root)
            for folder, _, names in os.walk(root) for name in names
            if not os.path.relpath(folder, root).startswith((".tmp", ".quarantine")))

    def restore(self, number, name):
        path = os.path.join(self.scratch, name)
        self.ask("restore", str(number), "--repository", self.file, "--key", self.key, "--volume", "bulk", "--to", path)
        return path


def turn(path, chance):
    """One byte becomes another one."""
    with open(path, "r+b") as file:
        at = chance.randrange(os.path.getsize(path))
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ chance.randrange(1, 256)]))


def fill(findings, mesh, stores, options, scratch):
    """Backups until there are enough objects; the newest one, and what its volume was."""
    primary, other = mesh.primary(), mesh.nodes[2]
    nbdload(options.rig, "write", primary.uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=options.seed)
    made = None
    for turn_ in range(BACKUPS_MAX):
        if turn_ > 0:
            nbdload(options.rig, "write", primary.uri("bulk"), MIB, LOAD_SECONDS_MAX, seed=options.seed + turn_)
        faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
        original = copy(primary, "bulk", os.path.join(scratch, "original"))
        made = back_up(other)
        if len(stores.objects(0)) >= options.objects * 11 // 10:
            break
    findings.expect(len(stores.objects(0)) >= options.objects, f"there are objects enough: {len(stores.objects(0))}")
    return made["backup"]["number"], original


def rot(findings, stores, options, number, original, figures):
    chance = random.Random(options.seed)
    names = stores.objects(0)
    findings.expect(names == stores.objects(1), "both stores have the same")
    code, told, _ = stores.scrub()
    findings.expect(code == 0 and told["objects"] == 2 * len(names), f"all is whole at first: {told}")
    before = os.path.join(stores.scratch, "before")
    shutil.copytree(stores.paths[0], before)
    turned = {}
    for name in chance.sample(names, options.objects):
        store = chance.randrange(2)
        turned[name] = stores.paths[store]
        turn(os.path.join(stores.paths[store], name), chance)
    figures["flipped"] = len(turned)
    image = stores.restore(number, "rotten")
    findings.expect(filecmp.cmp(original, image, shallow=False), "a restore goes around all that is damaged")
    os.remove(image)
    code, told, _ = stores.scrub()
    found = {finding["object"] for finding in told["findings"]}
    figures["found"] = len(found & set(turned))
    findings.expect(code == 1 and found == set(turned), f"without a key all is found, and nothing else: {len(found)}")
    code, told, stderr = stores.repair()
    repaired = {(finding["object"], finding["store"]) for finding in told["repaired"]}
    figures["repaired"] = sum(
        (name, store) in repaired
        and filecmp.cmp(os.path.join(store, name), os.path.join(before, name), shallow=False)
        for name, store in turned.items())
    findings.expect(code == 0, f"the repair says that all is well: {stderr}")
    code, told, _ = stores.scrub("--key", stores.key)
    figures["left"] = len(told["findings"])
    findings.expect(code == 0, f"all is whole again: {told['findings'][:3]}")
    return before


def alarm_codes(node):
    return {alarm["code"] for alarm in (node.status() or {}).get("alarms", [])}


def by_agents(findings, stores, options, before):
    """Agents that read over the repository put right what they can, and alarm about the rest until it is whole. Returns how many."""
    chance = random.Random(options.seed + 1)
    packs = [name for name in stores.objects(0) if "/packs/" in name]
    lost = chance.choice(packs)
    for path in stores.paths:
        with open(os.path.join(path, lost), "r+b") as file:
            file.truncate(100)
    names = chance.sample(sorted(set(stores.objects(0)) - {lost}), min(options.objects, BY_AGENTS))
    places = [os.path.join(chance.choice(stores.paths), name) for name in names]
    for number, place in enumerate(places):
        # What told of a backup that is over may go, and does not come back.
        os.remove(place) if number % 3 == 0 and "/packs/" in place else turn(place, chance)

    def left():
        return [place for name, place in zip(names, places)
                if not os.path.exists(place) or not filecmp.cmp(place, os.path.join(before, name), shallow=False)]
    setting = stores.setting.replace("}", f", scrubEvery: {SCRUB_SECONDS}s, scrubRate: 256M}}")
    with Cluster(options.bin, settings=(setting,)) as mesh, measure.explained(mesh):
        mesh.start()
        mesh.ready()
        node = mesh.nodes[1]
        tools.wait_until("agents put right what turned", 2 * SCRUB_SECONDS + NOTICE_SECONDS_MAX, lambda: not left())
        tools.wait_until("and alarm about the rest", SCRUB_SECONDS + NOTICE_SECONDS_MAX,
                         lambda: "repository-damaged" in alarm_codes(node))
        words = [alarm["text"] for alarm in node.status()["alarms"] if alarm["code"] == "repository-damaged"]
        findings.expect(lost in words[0], f"what is whole nowhere is named, and nothing else: {words}")
        status = json.loads(node.holdfast("backup", "status", "-o", "json").stdout)["scrub"]
        findings.expect(status["damaged"] == 2, f"the status tells of both copies: {status}")
        for path in stores.paths:
            shutil.copyfile(os.path.join(before, lost), os.path.join(path, lost))
        tools.wait_until("the alarm ends by itself", NOTICE_SECONDS_MAX + SCRUB_SECONDS,
                         lambda: "repository-damaged" not in alarm_codes(node))
        tools.wait_until("a pass comes to its end", 3 * SCRUB_SECONDS + NOTICE_SECONDS_MAX, lambda: json.loads(
            node.holdfast("backup", "status", "-o", "json").stdout)["scrub"].get("last"))
    code, told, _ = stores.scrub("--key", stores.key)
    findings.expect(code == 0, f"all is whole again: {told['findings'][:3]}")
    return len(names)


def both(findings, stores, number, original):
    """One cell of the newest backup's is damaged in both."""
    packs = [name for name in stores.objects(0) if "/packs/" in name]
    pack = max(packs, key=lambda name: os.path.getsize(os.path.join(stores.paths[0], name)))
    for path in stores.paths:
        with open(os.path.join(path, pack), "r+b") as file:
            file.seek(200)
            byte = file.read(1)[0]
            file.seek(200)
            file.write(bytes([byte ^ 1]))
    code, told, stderr = stores.repair()
    findings.expect(code == 1 and told["lost"] == [pack], f"what is whole nowhere is named: {told['lost']}, {stderr}")
    findings.expect(bool(told["losses"]), f"and which backups lack it: {told['losses'][:3]}")
    refused = stores.ask("restore", str(number), "--repository", stores.file, "--key", stores.key, "--volume", "bulk",
                         "--to", os.path.join(stores.scratch, "lost"), check=False)
    hurt = any(f"backup {number}:" in loss and '"bulk"' in loss for loss in told["losses"])
    findings.expect((refused.returncode != 0) == hurt, f"it is just those that can't be restored: {refused.stderr}")
    return told["losses"]


def measure_bitrot(findings, options):
    figures = {"flipped": 0, "found": 0, "repaired": 0}
    with measure.scratch(40 * options.mib * MIB) as scratch:
        stores = Stores(options.bin, scratch)
        with Cluster(options.bin, settings=(stores.setting,)) as mesh, measure.explained(mesh):
            mesh.start()
            mesh.ready()
            mesh.create_volume("bulk", f"{options.mib}M")
            number, original = fill(findings, mesh, stores, options, scratch)
        before = rot(findings, stores, options, number, original, figures)
        figures["by_agents"] = by_agents(findings, stores, options, before)
        losses = both(findings, stores, number, original)
        findings.say(f"seed {options.seed}; a pack damaged in both: {losses[:2]}")
    findings.figures = figures


def main():
    parser = argparse.ArgumentParser(description="bytes that turn in one of two stores")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--mib", type=int, default=64, help="size of the volume")
    parser.add_argument("--objects", type=int, default=500, help="in how many objects a byte turns")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_bitrot(findings, options))


if __name__ == "__main__":
    sys.exit(main())
