"""`make rot`: bytes of one region's log turn around while it is down; it takes back what it lost, and takes over.

First a record of its log and one of the two files of its base, under load: a peer gives the record, the other file the base.
Then every region falls, and both files of its base are damaged: alone it says what it lacks, serves nothing and has no vote;
with the others it takes a base of theirs. At the end the primary dies, and the region that was hurt holds every flushed write.
"""

import argparse
import glob
import os
import struct
import sys

import faults
import measure
import tools
from clients import Judge, nbdload
from cluster import Cluster

MIB = 1 << 20
LEDGER_MIB = 32
BLOCK, FRAME, RECORD_HEAD = 4096, 128, 64
FRAME_MAGIC = b"HOLDJCF1"
LOAD_SECONDS_MAX, LEDGER_SECONDS, WRITER_SECONDS_MAX = 300, 4, 300
BASE_SECONDS_MAX, MEND_SECONDS_MAX, WINNER_SECONDS_MAX = 120, 60, 30
RUN_SECONDS_MAX = 900


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))
        os.fsync(file.fileno())
    return f"{os.path.basename(path)} at {offset}"


def records(path, above):
    """Where records lie whose index is above that one, as the frames tell: (index, offset) of each batch's first."""
    with open(path, "rb") as file:
        data = file.read()
    for end in range(2 * BLOCK, len(data) + 1, BLOCK):
        frame = data[end - FRAME:end]
        if frame[:8] != FRAME_MAGIC:
            continue
        start, count = struct.unpack_from("<QI", frame, 32)
        length, = struct.unpack_from("<I", data, start + 4)
        index, = struct.unpack_from("<Q", data, start + 24)
        if count and index > above and RECORD_HEAD + 16 <= length <= end - start:
            yield index, start


def rot_record(findings, node, above):
    """Flips a byte of a record in the middle of what the log holds above its base."""
    found = [(index, offset, path) for path in sorted(glob.glob(f"{node.data}/journal/segment-" + "?" * 16))
             for index, offset in records(path, above)]
    if not found:
        raise measure.Unmeasured(f"no record above {above} in the log of {node.region}")
    index, offset, path = found[len(found) // 2]
    findings.say(f"a byte of entry {index} turns around: {flip(path, offset + RECORD_HEAD + 3)}")


def rot_base(findings, node, *kinds):
    for kind in kinds:
        paths = sorted(glob.glob(f"{node.data}/journal/{kind}-" + "?" * 16))
        if not paths:
            raise measure.Unmeasured(f"{node.region} has no {kind}")
        findings.say(f"a byte of its base turns around: {flip(paths[-1], 80)}")


def mends(node):
    return ((node.status() or {}).get("counters") or {}).get("log_mends", 0)


def is_whole(node):
    own = next((each for each in (node.status() or {}).get("members", []) if each["isSelf"]), None)
    return own is not None and own.get("resync") is None


def under_load(findings, mesh, judge, hurt):
    """A record and one file of the base, while clients write on."""
    primary = mesh.primary()
    with judge.write(primary.uri("ledger"), WRITER_SECONDS_MAX) as writer:
        base = hurt.status()["raft"]["base"]["index"]
        hurt.kill()
        rot_record(findings, hurt, base)
        rot_base(findings, hurt, "base")
        hurt.start()
        tools.wait_until("its log is mended", MEND_SECONDS_MAX, lambda: mends(hurt) == 1)
        faults.await_caught_up(mesh, MEND_SECONDS_MAX)
        findings.expect(writer.is_running, f"clients write on meanwhile: {list(writer.lines)[-3:]}")
        writer.process.terminate()
    findings.expect(is_whole(hurt), "a record and a base that were given back leave a whole replica")
    findings.say(f"{hurt.region} has its log mended under load")


def after_blackout(findings, mesh, hurt):
    """Both files of its base, and nobody to ask at first."""
    for node in mesh.nodes.values():
        node.kill()
    rot_base(findings, hurt, "base", "copy")
    hurt.start()
    said = tools.wait_until("it says what it lacks", MEND_SECONDS_MAX, lambda: (hurt.status() or {}).get("mending"))
    status = hurt.status()
    findings.expect(said.get("base"), f"its status names the base that is lost: {said}")
    findings.expect(any(each["code"] == "log-damaged" for each in status["alarms"]), "an alarm tells of the damage")
    findings.expect(not hurt.serves("ledger"), "who mends serves nothing")
    refused = hurt.holdfast("volume", "create", "more", "--size", "8M", check=False)
    findings.expect(refused.returncode != 0 and "mends its log" in refused.stdout + refused.stderr,
                    f"who mends does nothing else: {refused.stdout} {refused.stderr}")
    others = [node for node in mesh.nodes.values() if node is not hurt]
    others[0].start()
    tools.wait_until("the other one is heard", MEND_SECONDS_MAX, lambda: others[0].status() is not None)
    findings.expect(mesh.primary() is None, "two of three are up and one of them has no vote: nobody is primary")
    for node in others[1:]:
        node.start()
    tools.wait_until("its log is mended", MEND_SECONDS_MAX, lambda: mends(hurt) == 1)
    mesh.ready()
    tools.wait_until("it is a whole replica", MEND_SECONDS_MAX, lambda: is_whole(hurt))
    faults.await_caught_up(mesh, MEND_SECONDS_MAX)
    findings.say(f"{hurt.region} took a base of another region")


def take_over(findings, mesh, judge, hurt):
    first = mesh.nodes[1]
    if mesh.primary() is not first:
        first.holdfast("switchover", first.region, "--yes")
    primary = tools.wait_until("the preferred region is primary", WINNER_SECONDS_MAX, lambda: mesh.primary() is first and first)
    mesh.await_served(primary, "ledger")
    judge.flush(primary.uri("ledger"), LEDGER_SECONDS)
    faults.await_caught_up(mesh, MEND_SECONDS_MAX)
    primary.kill()
    winner = faults.await_heir(mesh, hurt, WINNER_SECONDS_MAX)
    lost, blocks = faults.judge_ledger(findings, mesh, judge, winner, "ledger", f"in {winner.region}")
    findings.say(f"{winner.region} took over: {lost} of {blocks} flushed blocks lost")
    return lost, blocks


def measure_rot(findings, options):
    with measure.scratch(64 * MIB) as scratch, Cluster(options.bin) as mesh, measure.explained(mesh):
        mesh.start()
        primary = mesh.ready()
        if primary is not mesh.nodes[1]:
            raise measure.Unmeasured(f"node {primary.id} became primary, not the preferred one")
        hurt = mesh.nodes[2]
        mesh.create_volume("ledger", f"{LEDGER_MIB}M")
        mesh.create_volume("bulk", f"{options.mib}M")
        judge = Judge(options.rig, os.path.join(scratch, "ledger"), LEDGER_MIB * MIB)
        # Enough for a checkpoint, and so for a base.
        nbdload(options.rig, "write", primary.uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=3)
        tools.wait_until("its log has a base", BASE_SECONDS_MAX,
                         lambda: (hurt.status() or {"raft": {"base": {"index": 0}}})["raft"]["base"]["index"] > 0)
        under_load(findings, mesh, judge, hurt)
        after_blackout(findings, mesh, hurt)
        lost, blocks = take_over(findings, mesh, judge, hurt)
        mesh.stop()
    findings.figures = {"lost_flushed": lost, "blocks_flushed": blocks, "mended": 2}


def main():
    parser = argparse.ArgumentParser(description="a region whose log rots")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--mib", type=int, default=96, help="written before, so that the log has a base")
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_rot(findings, options))


if __name__ == "__main__":
    sys.exit(main())
