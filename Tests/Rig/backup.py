"""`make backup`: backups of a mesh under load, and what comes back of them, compared with `cmp`.

A full one and one of what changed, made on a region that is not primary while clients write on; one whose agent is killed in
the middle; one behind a takeover; then all but two of them are let go. Each is restored without any agent, and compared with a copy that was made through NBD
before; the ledger, written until the backup began, is judged by flushcheck on the restored image. All of them are copied to another
repository under other keys, which is killed in the middle, and come back from there, too. A restore is killed in its middle
again and again, and goes on each time. At the end a byte of a pack turns around: the check says which, and nothing is restored
that could be taken for whole.
"""

import argparse
import contextlib
import filecmp
import glob
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import faults
import measure
import tools
from clients import Judge, nbdload
from cluster import Cluster

MIB = 1 << 20
LEDGER_MIB = 32
LOAD_SECONDS_MAX, LEDGER_SECONDS, BACKUP_SECONDS_MAX = 300, 3, 120
NOTICE_SECONDS_MAX, WINNER_SECONDS_MAX = 60, 30
RUN_SECONDS_MAX = 900
SERVE_SECONDS_MAX = 10
VOLUMES = {"ledger", "noise", "bulk"}


class Repository:
    def __init__(self, programs, scratch):
        self.path, self.key = os.path.join(scratch, "repository"), os.path.join(scratch, "site.key")
        self.scratch, self.program = scratch, os.path.join(os.path.abspath(programs), "holdfast")
        os.mkdir(self.path)
        self.holdfast("repository", "create", self.path, "--key", self.key, "--spare-key", self.key + ".spare")

    @property
    def setting(self):
        return f"backup: {{directory: {self.path}, key: {self.key}}}"

    def holdfast(self, *words, check=True):
        return subprocess.run([self.program, *words], capture_output=True, text=True, check=check,
                              timeout=BACKUP_SECONDS_MAX)

    def ask(self, *words, check=True):
        return self.holdfast(*words, "--repository", self.path, "--key", self.key, check=check)

    def begin(self, *words):
        return subprocess.Popen([self.program, *words, "--repository", self.path, "--key", self.key],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def restore(self, number, volume, name):
        path = os.path.join(self.scratch, name)
        self.ask("restore", str(number), "--volume", volume, "--to", path)
        return path


def back_up(node, *words):
    """What the node says of the backup that it made."""
    made = node.holdfast("backup", "run", "-o", "json", *words)
    return json.loads(made.stdout)


def await_shipped(node, seconds):
    """All that was written before. Not through the last entry: renewals of the lease alone are shipped once a minute."""
    asked = time.monotonic()

    def shipped():
        behind = json.loads(node.holdfast("backup", "status", "-o", "json").stdout)["log"].get("behindMilliseconds")
        return behind is not None and behind / 1_000 < time.monotonic() - asked
    tools.wait_until("all that was written is shipped", seconds, shipped)


def copy(node, volume, path):
    subprocess.run(["nbdcopy", node.uri(volume), path], check=True, timeout=LOAD_SECONDS_MAX)
    return path


def judge_image(findings, judge, path, what):
    """flushcheck's verdict on a restored image, served by nbdkit."""
    socket = path + ".sock"
    with subprocess.Popen(["nbdkit", "--foreground", "--readonly", "-U", socket, "file", path]) as server:
        try:
            tools.wait_until("nbdkit serves", SERVE_SECONDS_MAX, lambda: os.path.exists(socket))
            told = judge.verify(f"nbd+unix:///?socket={socket}")
        finally:
            server.terminate()
    lost = judge.faults(told)
    findings.expect(not lost, f"{what}: every block that was flushed before is in it: {lost}")
    return sum(lost.values())


def compare(findings, repository, number, original, name, figures):
    """Restores the volume `bulk` of a backup, and compares it."""
    path = repository.restore(number, "bulk", name)
    same = filecmp.cmp(original, path, shallow=False)
    findings.expect(same, f"backup {number} gives back what there was")
    figures["restored"] += 1
    figures["differing"] += not same
    os.remove(path)


def under_load(findings, mesh, repository, judge, options, figures, scratch):
    """A full one and one of what changed, of a region that is not primary, while clients write on."""
    primary, other = mesh.primary(), mesh.nodes[2]
    nbdload(options.rig, "write", primary.uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=3)
    judge.flush(primary.uri("ledger"), LEDGER_SECONDS)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    original = copy(primary, "bulk", os.path.join(scratch, "original"))
    noise = Judge(options.rig, os.path.join(scratch, "noise"), LEDGER_MIB * MIB, seed=11)
    with noise.write(primary.uri("noise"), LOAD_SECONDS_MAX) as writer:
        began = time.monotonic()
        full = back_up(other)
        took = time.monotonic() - began
        findings.expect(writer.is_running, f"clients write on meanwhile: {list(writer.lines)[-3:]}")
        writer.process.terminate()
    findings.expect(full["backup"]["kind"] == "full", f"the first one is full: {full}")
    findings.say(f"a full backup of {other.region} in {took:.1f} s: {full['readBytes'] // MIB} MiB read, "
                 f"{full['storedBytes'] // MIB} MiB stored")
    compare(findings, repository, full["backup"]["number"], original, "full", figures)
    image = repository.restore(full["backup"]["number"], "ledger", "ledger-1")
    figures["lost_flushed"] += judge_image(findings, judge, image, "the full backup")
    nbdload(options.rig, "write", primary.uri("bulk"), options.mib * MIB // 16, LOAD_SECONDS_MAX, seed=4)
    judge.flush(primary.uri("ledger"), LEDGER_SECONDS)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    copy(primary, "bulk", original)
    again = back_up(other)
    findings.expect(again["backup"]["kind"] == "incremental", f"the next one is incremental: {again}")
    findings.expect(again["readBytes"] < full["readBytes"] // 2, f"it reads what changed: {again}")
    findings.say(f"one of what changed: {again['readBytes'] // MIB} MiB read, {again['storedBytes'] // MIB} MiB stored")
    compare(findings, repository, again["backup"]["number"], original, "again", figures)
    image = repository.restore(again["backup"]["number"], "ledger", "ledger-2")
    figures["lost_flushed"] += judge_image(findings, judge, image, "the incremental one")
    return original


def killed(findings, mesh, repository, options, figures, original):
    """The agent that makes one is killed in the middle; the next one goes on with what it stored."""
    primary, other = mesh.primary(), mesh.nodes[2]
    nbdload(options.rig, "write", primary.uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=5)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    copy(primary, "bulk", original)
    other.holdfast("backup", "run", "--detach", "--full")
    job = tools.wait_until("it is in the middle", BACKUP_SECONDS_MAX, poll=0.005, holds=lambda: in_the_middle(other))
    other.kill()
    findings.say(f"killed with {job['readBytes'] // MIB} of {job['wantedBytes'] // MIB} MiB read")
    other.start()
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    numbers = listed(repository)
    made = tools.wait_until("it can be held again", NOTICE_SECONDS_MAX, lambda: tried(other))
    findings.expect(listed(repository) == numbers + [made["backup"]["number"]], "what was killed is no backup")
    compare(findings, repository, made["backup"]["number"], original, "killed", figures)


def in_the_middle(node):
    told = node.holdfast("backup", "status", "-o", "json", check=False)
    job = json.loads(told.stdout) if told.returncode == 0 else {}
    return job if job.get("state") == "running" and job.get("readBytes", 0) > 0 else None


def tried(node):
    """A node that starts replays its log first, and says so."""
    made = node.holdfast("backup", "run", "-o", "json", check=False)
    return json.loads(made.stdout) if made.returncode == 0 else None


def listed(repository):
    return [each["number"] for each in json.loads(repository.ask("backup", "list", "-o", "json").stdout)["backups"]]


def behind_takeover(findings, mesh, repository, judge, options, figures, original):
    primary = mesh.primary()
    judge.flush(primary.uri("ledger"), LEDGER_SECONDS)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    primary.kill()
    winner = faults.await_heir(mesh, mesh.nodes[2], WINNER_SECONDS_MAX)
    mesh.await_served(winner, "bulk", "ledger")
    nbdload(options.rig, "write", winner.uri("bulk"), options.mib * MIB // 8, LOAD_SECONDS_MAX, seed=6)
    copy(winner, "bulk", original)
    made = back_up(winner)
    findings.expect(made["backup"]["epoch"] >= 2, f"it is of the new primary's epoch: {made}")
    findings.expect(made["backup"]["kind"] == "incremental", f"it goes on from before the takeover: {made}")
    compare(findings, repository, made["backup"]["number"], original, "taken-over", figures)
    image = repository.restore(made["backup"]["number"], "ledger", "ledger-3")
    figures["lost_flushed"] += judge_image(findings, judge, image, "behind the takeover")
    return made["backup"]["number"]


def without_leader(findings, mesh):
    """What there is is backed up all the same; and whoever asked is told what it may lack."""
    whole = back_up(mesh.nodes[2])
    findings.expect("mayLack" not in whole, f"a mesh with a leader says what was flushed: {whole}")
    mesh.nodes[3].kill()
    alone = back_up(mesh.nodes[2])
    findings.expect(alone["state"] == "done" and "leader" in alone.get("mayLack", ""), f"a lone member says what it can't know: {alone}")
    told = mesh.nodes[2].holdfast("backup", "status").stdout
    findings.expect("may lack what guests flushed" in told, f"and so does its status: {told}")


def kill_restore(repository, words, partial, byte_count):
    """Kills a restore once so many bytes of its image are there; whether it was killed before its end."""
    with repository.begin(*words) as process:
        until = time.monotonic() + BACKUP_SECONDS_MAX
        while process.poll() is None and time.monotonic() < until:
            if os.path.exists(partial) and os.stat(partial).st_blocks * 512 >= byte_count:
                break
        process.kill()
    return process.returncode == -signal.SIGKILL


def resumed(findings, repository, number, figures):
    """Killed again and again a restore goes on, into a file that is there too, which stays until the new one is whole."""
    whole = repository.restore(number, "bulk", "whole")
    size = os.stat(whole).st_blocks * 512
    there = os.path.join(repository.scratch, "resumed")
    partial = there + ".holdfast-partial"
    words = ("restore", str(number), "--volume", "bulk", "--to", there, "-o", "json")
    for extra, before in ((), None), (("--replace",), b"mine"):
        if before:
            with open(there, "wb") as file:
                file.write(before)
        kills, chosen = 0, sorted(random.uniform(0.05, 0.95) for _ in range(4))
        for part in chosen:
            kills += kill_restore(repository, (*words, *extra), partial, part * size)
            held = open(there, "rb").read() if os.path.exists(there) else None
            findings.expect(held == before or not kills, f"a killed restore leaves what was there: {part}, {held and len(held)}")
        findings.expect(kills, f"a restore is killed at one of {chosen} of {size} bytes")
        made = json.loads(repository.ask(*words, *extra).stdout)
        findings.expect(made["kept"] > 0 and made["kept"] + made["bytes"] <= size + MIB, f"what was there is not fetched again: {made}")
        figures["resumed"] += kills
        figures["restored"] += 1
        same = filecmp.cmp(whole, there, shallow=False) and not os.path.exists(partial)
        findings.expect(same, "what went on is what was not killed")
        figures["differing"] += not same
        os.remove(there)
    os.remove(whole)


def copied(findings, programs, repository, number, figures):
    """Another repository, of other keys, gets all of them: killed in the middle, asked again, and asked once more."""
    folder = os.path.join(repository.scratch, "elsewhere")
    os.mkdir(folder)
    other = Repository(programs, folder)
    words = ("backup", "copy", "--from", repository.path, "--key", repository.key, "--to", other.path, "--to-key", other.key)
    with subprocess.Popen([repository.program, *words, "--all"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as copying:
        tools.wait_until("it has stored something", BACKUP_SECONDS_MAX, poll=0.005, holds=lambda: glob.glob(other.path + "/*/packs/*/*"))
        copying.kill()
    there = listed(other)
    made = json.loads(repository.holdfast(*words, "--all", "-o", "json").stdout)["backups"]
    findings.expect([each["number"] for each in made] == listed(repository) == listed(other), f"all of them have copies: {made}")
    findings.expect(all(each["copied"] == (each["number"] not in there) for each in made), f"what was whole is not copied again: {there}, {made}")
    for each in made:
        same = restored(repository, each["number"], "own") == restored(other, each["number"], "other")
        findings.expect(same, f"a copy of backup {each['number']} gives back what that does")
        figures["restored"] += 1
        figures["differing"] += not same
    other.ask("backup", "verify", str(number))
    size = tree_bytes(other.path)
    repository.holdfast(*words, "--all")
    findings.expect(tree_bytes(other.path) == size, "what was copied is not stored again")
    refused = repository.holdfast(*words[:-1], repository.key, "--newest", check=False)
    findings.expect(refused.returncode == 1 and "belongs to repository" in refused.stderr, f"the one's key opens nothing of the other: {refused}")
    pruned = other.ask("backup", "prune", "--dry-run", check=False)
    findings.expect(pruned.returncode == 0, f"the copies can be collected: {pruned}")
    findings.say(f"{len(made)} backups copied: {sum(each['storedBytes'] for each in made) // MIB} MiB stored, {len(there)} before it was killed")


def in_use(findings, repository, number):
    """An image that a hypervisor has open is not replaced."""
    there = os.path.join(repository.scratch, "in-use")
    with open(there, "wb") as file:
        file.truncate(MIB)
    socket = there + ".sock"
    words = ("restore", str(number), "--volume", "bulk", "--to", there, "--replace")
    with subprocess.Popen(["qemu-nbd", "--persistent", "--format=raw", f"--socket={socket}", there]) as server:
        try:
            tools.wait_until("qemu-nbd serves", SERVE_SECONDS_MAX, lambda: os.path.exists(socket))
            refused = repository.ask(*words, check=False)
        finally:
            server.terminate()
    findings.expect(refused.returncode == 1 and "is locked by a program" in refused.stderr and os.path.getsize(there) == MIB,
                    f"what QEMU has open stays: {refused}")
    os.remove(there)


def out_of_room(findings, repository, number):
    """Somebody else takes the room while a restore is on its way: it ends, and leaves what it took to others."""
    folder = os.path.join(repository.scratch, "tight")
    os.mkdir(folder)
    image, filler = os.path.join(folder, "bulk.raw"), os.path.join(folder, "filler")
    size = os.stat(repository.restore(number, "bulk", "whole")).st_blocks * 512
    os.remove(os.path.join(repository.scratch, "whole"))
    tools.command("mount", "-t", "tmpfs", "-o", f"size={size + 16 * MIB}", "none", folder)
    try:
        with repository.begin("restore", str(number), "--volume", "bulk", "--to", image, "--rate", f"{size // MIB // 4}M") as process:
            tools.wait_until("it is on its way", BACKUP_SECONDS_MAX,
                             lambda: os.path.exists(image + ".holdfast-partial") and os.stat(image + ".holdfast-partial").st_blocks)
            with contextlib.suppress(OSError), open(filler, "wb") as file:
                while True:
                    file.write(bytes(MIB))
                    file.flush()
            _, said = process.communicate(timeout=BACKUP_SECONDS_MAX)
        findings.expect(process.returncode == 1 and "No space left" in said, f"a full disk ends it, and is said: {said}")
        findings.expect(os.listdir(folder) == ["filler"], f"it gives back what it took: {os.listdir(folder)}")
    finally:
        tools.command("umount", folder)


def refusals(findings, repository, number):
    """Damage is named, a wrong key is no damage, and nothing is restored that could be taken for whole."""
    repository.ask("backup", "verify", str(number))
    there = os.path.join(repository.scratch, "there")
    with open(there, "w", encoding="utf-8") as file:
        file.write("mine")
    refused = repository.ask("restore", "--volume", "bulk", "--to", there, check=False)
    findings.expect(refused.returncode == 1 and "is there already" in refused.stderr, f"nothing is written over: {refused}")
    refused = repository.ask("restore", "999", "--volume", "bulk", "--to", there + "2", check=False)
    findings.expect(refused.returncode == 1 and "no backup 999" in refused.stderr, f"there is no such backup: {refused}")
    packs = [path for path in glob.glob(repository.path + "/*/packs/*/*") if os.path.getsize(path) > MIB]
    # The newest: an earlier backup may be all that leads to the others.
    pack = max(packs, key=os.path.getmtime)
    turn_bytes(pack)
    refused = repository.ask("backup", "verify", str(number), check=False)
    findings.expect(refused.returncode == 1 and os.path.basename(pack) in refused.stderr,
                    f"the damaged pack is named: {refused}")
    folder = os.path.join(repository.scratch, "damaged")
    os.mkdir(folder)
    refused = repository.ask("restore", str(number), "--to", folder, check=False)
    whole = {os.path.basename(path)[:-len(".raw")] for path in glob.glob(folder + "/*.raw")}
    damaged = {name for name in VOLUMES if f"volume {name} is not restored" in refused.stderr}
    findings.expect(refused.returncode == 1 and damaged and whole == VOLUMES - damaged,
                    f"what is damaged has no image, all else has: {sorted(whole)}, {refused}")
    findings.expect(all(name + ".raw.holdfast-partial" in refused.stderr for name in damaged if os.path.exists(f"{folder}/{name}.raw.holdfast-partial")),
                    f"where to go on from is said: {refused}")
    turn_bytes(pack)
    for name in damaged:
        repository.ask("restore", str(number), "--volume", name, "--to", f"{folder}/{name}.raw")
    findings.expect(len(os.listdir(folder)) == len(VOLUMES), f"once it is mended, it goes on: {os.listdir(folder)}")


def turn_bytes(path):
    """Done twice, all is as it was."""
    with open(path, "r+b") as file:
        for offset in range(4096, os.path.getsize(path) - 65_536, 16_384):
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1]))


def let_go(findings, repository, number):
    """All but the newest and a held one go; both come back as before, and nothing of the others is left."""
    def told(*words):
        return json.loads(repository.ask("backup", *words, "-o", "json").stdout)
    before = {name: restored(repository, n, name) for n, name in ((1, "held"), (number, "newest"))}
    repository.ask("backup", "hold", "1", "--reason", "case 7")
    rules = ("--keep-newest", "1", *(word for kind in ("hourly", "daily", "weekly", "monthly", "yearly")
                                    for word in (f"--keep-{kind}", "0")))
    # The killed backup's session ended with its node's next one, so nothing waits.
    repository.ask("backup", "prune", "--dry-run", *rules)
    findings.expect(len(listed(repository)) == 4, "a dry run deletes nothing")
    changed = told("diff", "1", str(number))
    findings.expect(any(volume["kind"] == "changed" and volume["ranges"] for volume in changed["volumes"]),
                    f"two backups differ: {changed}")
    size = tree_bytes(repository.path)
    pruned = repository.ask("backup", "prune", "--yes", *rules)
    findings.expect(listed(repository) == [1, number], f"what no rule keeps is gone: {listed(repository)}, {pruned}")
    findings.expect(tree_bytes(repository.path) < size, f"and so is what only it led to: {size}")
    for n, name in ((1, "held"), (number, "newest")):
        same = restored(repository, n, name + "-again") == before[name]
        findings.expect(same, f"backup {n} is as it was before the others went")
    repository.ask("backup", "release", "1", "--yes")
    repository.ask("backup", "prune", "--yes", *rules)
    findings.expect(listed(repository) == [number], "what is held no more goes too")


def restored(repository, number, name):
    """The digest of the volume `bulk` in a backup."""
    path = repository.restore(number, "bulk", "kept-" + name)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    os.remove(path)
    return digest


def tree_bytes(path):
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def measure_backup(findings, options):
    figures = {"restored": 0, "differing": 0, "lost_flushed": 0, "resumed": 0}
    with measure.scratch(8 * options.mib * MIB) as scratch:
        repository = Repository(options.bin, scratch)
        with Cluster(options.bin, settings=(repository.setting,)) as mesh, measure.explained(mesh):
            exercise(findings, mesh, repository, options, figures, scratch)
    findings.figures = figures


def exercise(findings, mesh, repository, options, figures, scratch):
    mesh.start()
    primary = mesh.ready()
    if primary is not mesh.nodes[1]:
        raise measure.Unmeasured(f"node {primary.id} became primary, not the preferred one")
    for name, mib in (("ledger", LEDGER_MIB), ("noise", LEDGER_MIB), ("bulk", options.mib)):
        mesh.create_volume(name, f"{mib}M")
    judge = Judge(options.rig, os.path.join(scratch, "ledger"), LEDGER_MIB * MIB)
    original = under_load(findings, mesh, repository, judge, options, figures, scratch)
    killed(findings, mesh, repository, options, figures, original)
    number = behind_takeover(findings, mesh, repository, judge, options, figures, original)
    figures["backups"] = len(listed(repository))
    copied(findings, options.bin, repository, number, figures)
    let_go(findings, repository, number)
    resumed(findings, repository, number, figures)
    in_use(findings, repository, number)
    out_of_room(findings, repository, number)
    refusals(findings, repository, number)
    without_leader(findings, mesh)
    findings.say(repository.ask("backup", "list").stdout.strip())


def main():
    parser = argparse.ArgumentParser(description="backups, and what comes back of them")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--mib", type=int, default=256, help="size of the volume that is compared")
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_backup(findings, options))


if __name__ == "__main__":
    sys.exit(main())
