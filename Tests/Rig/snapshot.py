"""`make snapshot`: volumes as they were, held on a primary and on a replica while a guest writes on, and served over NBD.

A volume of noise is copied while nobody writes to it, and both nodes are asked for a snapshot. Then fio writes, and nbdcopy takes
out of each snapshot what there was, byte by byte; a second snapshot, clients that write to an export, a takeover, a node that is
killed, and a room that runs full follow. At last the guest's random writes are counted with and without a snapshot.
"""

import argparse
import filecmp
import json
import os
import sys
import time

import nbd

import faults
import measure
import tools
from cluster import Cluster
from clients import Program
from mount import Mount, run

MIB = 1 << 20
VOLUME_MIB, ROOM_MIB, LOAD_MIB, COUNTED_MIB = 128, 120, 16, 64
NOTICE_SECONDS_MAX, COPY_SECONDS_MAX, RUN_SECONDS_MAX, LOAD_SECONDS, COUNTED_SECONDS = 30, 120, 300, 2, 3


class Export(Mount):
    """`holdfast snapshot export` while it runs."""

    def __init__(self, node, snapshot, scratch, tag, *words):
        self.volume, self.folder = "db", os.path.join(scratch, "run")
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self.socket = os.path.join(self.folder, tag)
        self.words = [node.program("holdfast"), "--socket", f"{node.run}/admin.sock", "snapshot", "export", snapshot,
                      "--volume", self.volume, "--listen", self.socket, "--overlay", scratch, *words]
        self.errors = os.path.join(scratch, f"{tag}.errors")


class Rig:
    def __init__(self, findings, figures, mesh, scratch):
        self.findings, self.figures, self.mesh, self.scratch = findings, figures, mesh, scratch

    def path(self, name):
        return os.path.join(self.scratch, name)

    def snapshots(self, node):
        return json.loads(node.holdfast("snapshot", "list", "-o", "json").stdout)

    def state(self, node, name):
        return next(each for each in self.snapshots(node)["snapshots"] if each["name"] == name)

    def alarm(self, node):
        return next((each for each in node.status()["alarms"] if each["code"] == "snapshot-lost"), None)

    def create(self, node, name, *words):
        began = time.monotonic()
        node.holdfast("snapshot", "create", name, *words)
        return (time.monotonic() - began) * 1000

    def copy(self, node, name):
        """All of the volume, while nobody writes to it."""
        run("nbdcopy", node.uri("db"), self.path(name))
        return self.path(name)

    def compare(self, node, snapshot, original, what):
        out = self.path("out.raw")
        with Export(node, snapshot, self.scratch, "compared", "--read-only") as export:
            began = time.monotonic()
            run("nbdcopy", export.uri, out)
            self.figures["export_mib_s"] = round(VOLUME_MIB / (time.monotonic() - began), 1)
            told = export.told()
        same = filecmp.cmp(original, out, shallow=False)
        self.findings.expect(same, f"{what}: a snapshot is what there was {told}")
        self.figures["compared"] += 1
        self.figures["differing"] += not same
        os.remove(out)

    def load(self, node, seconds, mib, *words):
        return Program(["fio", "--name=guest", "--ioengine=nbd", f"--uri={node.uri('db')}", "--thread", "--rw=randwrite",
                        "--bs=4k", "--iodepth=16", "--time_based", f"--runtime={seconds}", f"--size={mib}M",
                        "--output-format=json", "--randrepeat=0", *words])

    def count(self, node, seconds, mib):
        """Writes a second."""
        with self.load(node, seconds, mib) as guest:
            code = guest.wait(seconds + COPY_SECONDS_MAX)
            text = "\n".join(guest.lines)
        if code != 0:
            raise measure.Unmeasured(f"fio: {code}: {text[-500:]}")
        return round(json.loads(text[text.index("{"):])["jobs"][0]["write"]["iops"])


def noise(path):
    with open(path, "wb") as file:
        file.write(os.urandom(VOLUME_MIB * MIB))


def fill(rig, node):
    path = rig.path("noise")
    noise(path)
    run("nbdcopy", "--flush", path, node.uri("db"))


def under_load(rig, primary, replica):
    """Both hold the same, while a guest writes; and a second one holds what was between."""
    first = rig.copy(primary, "first.raw")
    rig.figures["create_ms"] = round(rig.create(primary, "first"), 1)
    rig.figures["create_replica_ms"] = round(rig.create(replica, "first"), 1)
    with rig.load(primary, LOAD_SECONDS, LOAD_MIB) as guest:
        rig.compare(primary, "first", first, "the primary's, under load")
        guest.wait(COPY_SECONDS_MAX)
    rig.compare(replica, "first", first, "the replica's")
    second = rig.copy(primary, "second.raw")
    rig.findings.expect(not filecmp.cmp(first, second, shallow=False), "the guest has written")
    rig.create(replica, "second")
    client = nbd.NBD()
    client.connect_uri(primary.uri("db"))
    client.trim(4 * MIB, 100 * MIB)
    client.zero(2 * MIB, 120 * MIB)
    client.flush()
    rig.count(primary, LOAD_SECONDS, LOAD_MIB)
    faults.await_caught_up(rig.mesh, NOTICE_SECONDS_MAX)
    for name, original in (("first", first), ("second", second)):
        rig.compare(replica, name, original, f"{name} of two, behind trims")
    rig.compare(primary, "first", first, "the primary's, behind trims")
    return first, second


def exports(rig, primary, original):
    """Several at once, and what one writes is its own."""
    with Export(primary, "first", rig.scratch, "one") as one, Export(primary, "first", rig.scratch, "other") as other, \
            open(original, "rb") as file:
        file.seek(5 * MIB)
        then = file.read(MIB)
        client, neighbour, stranger = one.client(), one.client(), other.client()
        client.pwrite(b"\7" * 5000, 5 * MIB + 100)
        rig.findings.expect(neighbour.pread(MIB, 5 * MIB)[100:5100] == b"\7" * 5000, "its clients see what one wrote")
        rig.findings.expect(stranger.pread(MIB, 5 * MIB) == then, "another export of the snapshot does not")
        primary.holdfast("snapshot", "delete", "first")
        primary.holdfast("snapshot", "create", "first")
        try:
            stranger.pread(MIB, 50 * MIB)
            rig.findings.expect(False, "what was deleted is not served, and no other of its name")
        except nbd.Error as error:
            rig.findings.expect(error.errnum == 5, f"it is an I/O error: {error}")
        rig.findings.expect("snapshot" in other.told(), f"and told: {other.told()}")
    primary.holdfast("snapshot", "delete", "first")


def gone_back(rig, node, original):
    """All of the volume is written back from a snapshot, which has no room for all of it and needs none."""
    with Export(node, "first", rig.scratch, "back", "--read-only") as export:
        run("nbdcopy", "--flush", export.uri, node.uri("db"))
        same = filecmp.cmp(rig.copy(node, "back.raw"), original, shallow=False)
        rig.findings.expect(same, f"a volume can be taken back to a snapshot of it {export.told()}")
    rig.figures["compared"] += 1
    rig.figures["differing"] += not same
    rig.compare(node, "first", original, "who has gone back still has it")


def killed(rig, primary, replica, first, second):
    """The primary goes: the replica's are what they were, also once it serves; and who comes back says what it lost."""
    rig.create(primary, "gone")
    primary.kill()
    heir = faults.await_heir(rig.mesh, replica, NOTICE_SECONDS_MAX)
    rig.mesh.await_served(heir, "db")
    rig.count(heir, 1, LOAD_MIB)
    for name, original in (("first", first), ("second", second)):
        rig.compare(replica, name, original, f"{name}, behind a takeover")
    gone_back(rig, heir, first)
    primary.start()
    tools.wait_until("it tells of it", NOTICE_SECONDS_MAX, lambda: primary.status() and rig.alarm(primary))
    named = "gone" in rig.alarm(primary)["text"] and "started anew" in rig.state(primary, "gone")["ended"]
    rig.findings.expect(named, f"it says which it lost by its start: {rig.alarm(primary)}")
    rig.figures["restart_lost_named"] = int(named)
    rig.findings.expect(not os.path.exists(f"{primary.data}/volumes/snapshots.room"), "nothing of its room is left")
    primary.holdfast("snapshot", "delete", "gone")
    tools.wait_until("its alarm ends", NOTICE_SECONDS_MAX, lambda: not rig.alarm(primary))
    faults.await_caught_up(rig.mesh, NOTICE_SECONDS_MAX)
    return heir


def full(rig, primary):
    """More is written over than there is room for: the oldest goes, then all, and no write fails."""
    held = [each["name"] for each in rig.snapshots(primary)["snapshots"]]
    rig.create(primary, "last")
    fill(rig, primary)
    tools.wait_until("it tells of it", NOTICE_SECONDS_MAX, lambda: rig.alarm(primary))
    text = rig.alarm(primary)["text"]
    named = all(name in text for name in [*held, "last"]) and "was full" in text
    rig.findings.expect(named, f"what a full room cost is named: {text}")
    rig.figures["room_lost_named"] = int(named)
    refused = primary.holdfast("snapshot", "export", "last", "--volume", "db", "--listen", rig.path("run/no"), check=False)
    rig.findings.expect(refused.returncode == 1 and "was full" in refused.stderr, f"who asks for it hears why: {refused}")
    for name in [*held, "last"]:
        primary.holdfast("snapshot", "delete", name)
    again = rig.copy(primary, "again.raw")
    rig.create(primary, "again")
    rig.count(primary, 1, LOAD_MIB)
    rig.compare(primary, "again", again, "in a room that was full")
    primary.holdfast("snapshot", "delete", "again")


def counted(rig, primary):
    """A guest's writes: without a snapshot, with one of which every block is yet to be kept, and with none again."""
    rig.figures["write_iops"] = rig.count(primary, COUNTED_SECONDS, COUNTED_MIB)
    rig.create(primary, "counted")
    rig.figures["write_iops_1_snapshot"] = rig.count(primary, COUNTED_SECONDS, COUNTED_MIB)
    rig.figures["kept_mib"] = rig.state(primary, "counted")["keptBytes"] // MIB
    primary.holdfast("snapshot", "delete", "counted")
    rig.figures["write_iops_after"] = rig.count(primary, COUNTED_SECONDS, COUNTED_MIB)


def measure_snapshots(findings, options):
    figures = {"compared": 0, "differing": 0}
    began = time.monotonic()
    with measure.scratch(8 * VOLUME_MIB * MIB) as scratch, \
            Cluster(options.bin, settings=(f"snapshots: {{room: {ROOM_MIB}M}}",)) as mesh, measure.explained(mesh):
        mesh.start()
        primary = mesh.ready()
        replica = next(node for node in mesh.data_nodes if node is not primary)
        rig = Rig(findings, figures, mesh, scratch)
        mesh.create_volume("db", f"{VOLUME_MIB}M")
        fill(rig, primary)
        faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
        first, second = under_load(rig, primary, replica)
        exports(rig, primary, first)
        counted(rig, primary)
        heir = killed(rig, primary, replica, first, second)
        full(rig, heir)
        figures["seconds"] = round(time.monotonic() - began, 1)
    findings.figures = figures


def main():
    parser = argparse.ArgumentParser(description="snapshots under load, served over NBD")
    parser.add_argument("--bin", required=True)
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_snapshots(findings, options))


if __name__ == "__main__":
    sys.exit(main())
