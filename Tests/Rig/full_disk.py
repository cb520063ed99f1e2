"""`make full-disk`: writes stall on a full disk with an alarm, go on when there is room, and nothing acknowledged is lost.

The primary's disk first, then a follower's until its agent ends. Needs root: each disk is a small file system in memory.
"""

import argparse
import contextlib
import os
import sys
import time

import faults
import measure
import tools
from clients import Judge, Program
from cluster import Cluster

MIB = 1 << 20
DISK_MIB, VOLUME_MIB = 1024, 64
# Below what the agent keeps in reserve, and so little that the log soon meets the end itself.
STALL_LEFT_MIB, NOTHING_LEFT_MIB = 120, 2
ALARM_SECONDS_MAX, RESUME_SECONDS_MAX, END_SECONDS_MAX = 10, 10, 60
STALL_SECONDS, LEDGER_SECONDS = 3, 4
WRITE_SECONDS_MAX = 60
RUN_SECONDS_MAX = 600


@contextlib.contextmanager
def small_disk(node):
    """What the node has of data is moved onto a small file system; call it while the node doesn't run."""
    aside = node.data + ".aside"
    os.rename(node.data, aside)
    os.mkdir(node.data, 0o700)
    tools.command("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=700", "holdfast", node.data)
    try:
        tools.command("cp", "-a", f"{aside}/.", node.data)
        yield
    finally:
        node.stop()
        tools.command("umount", node.data)


def fill(node, left_mib):
    """Leaves so much room; the file can be removed again."""
    ballast = os.path.join(node.data, "ballast")
    wanted = measure.room(node.data) - left_mib * MIB
    if wanted <= 0:
        raise measure.Unmeasured(f"only {measure.room(node.data) // MIB} MiB are left before anything is filled")
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, wanted)
    return ballast


def one_write(uri):
    """One block with FUA where no ledger has anything."""
    return Program(["qemu-io", "-f", "raw", "-c", f"write -f {VOLUME_MIB * MIB - 4096} 4096", uri])


def alarms(node):
    return [each["code"] for each in (node.status() or {}).get("alarms", [])]


def await_alarm(findings, node, wanted, seconds, what):
    try:
        tools.wait_until(what, seconds, lambda: ("disk-full" in alarms(node)) == wanted, poll=0.1)
        return True
    except tools.Late:
        return findings.expect(False, f"{what} within {seconds} s")


def flush_some(judge, node):
    with judge.write(node.uri("ledger"), LEDGER_SECONDS) as writer:
        writer.report(LEDGER_SECONDS + WRITE_SECONDS_MAX)


def primary_full(findings, mesh, judge):
    """Returns how long the stalled write waited after there was room again."""
    primary = mesh.primary()
    epoch, pid = primary.status()["primary"]["epoch"], primary.process.pid
    flush_some(judge, primary)
    ballast = fill(primary, STALL_LEFT_MIB)
    await_alarm(findings, primary, True, ALARM_SECONDS_MAX, f"{primary.region} raises disk-full")
    with one_write(primary.uri("ledger")) as write:
        time.sleep(STALL_SECONDS)
        findings.expect(write.is_running, f"a write to a full disk waits, and neither fails nor succeeds: {list(write.lines)}")
        os.remove(ballast)
        started = time.monotonic()
        code = write.wait(RESUME_SECONDS_MAX)
        resumed = time.monotonic() - started
    findings.expect(code == 0, f"the write that waited succeeds: exit {code}, {list(write.lines)}")
    await_alarm(findings, primary, False, ALARM_SECONDS_MAX, f"{primary.region} takes disk-full back")
    findings.say(f"{primary.region}'s disk was full: a write waited {STALL_SECONDS} s and was answered {resumed:.2f} s after "
                 "there was room")
    findings.expect(primary.status()["primary"]["epoch"] == epoch and primary.process.pid == pid,
                    "no takeover and no restart because of a full disk")
    return resumed


def follower_full(findings, mesh, judge):
    """The rest is a quorum: they go on while the follower's agent ends, and it catches up when it has room."""
    primary = mesh.primary()
    follower = next(node for node in mesh.data_nodes if node is not primary and "small" in node.log)
    ballast = fill(follower, NOTHING_LEFT_MIB)
    await_alarm(findings, primary, True, ALARM_SECONDS_MAX, f"{primary.region} tells of {follower.region}'s full disk")
    deadline = time.monotonic() + END_SECONDS_MAX
    while follower.is_running and time.monotonic() < deadline:
        flush_some(judge, primary)
    findings.expect(not follower.is_running, f"{follower.region}'s agent ends when its log meets the end of its disk")
    with open(follower.log, errors="replace") as log:
        last = log.readlines()[-1].strip()
    findings.say(f"{follower.region}'s agent ended with {follower.process.returncode}: {last}")
    findings.expect("no space left" in last, f"its last line names the full disk: {last}")
    os.remove(ballast)
    follower.start()
    faults.await_caught_up(mesh, END_SECONDS_MAX)
    findings.say("with room again it starts and holds the whole log")


def measure_full_disk(findings, options):
    with measure.scratch(64 * MIB) as scratch, Cluster(options.bin) as mesh, measure.explained(mesh), \
            contextlib.ExitStack() as disks:
        for node in list(mesh.nodes.values())[:2]:
            disks.enter_context(small_disk(node))
            node.log += ".small"
        mesh.start()
        primary = mesh.ready()
        if primary is not mesh.nodes[1]:
            raise measure.Unmeasured(f"node {primary.id} became primary, not the preferred one")
        mesh.create_volume("ledger", f"{VOLUME_MIB}M")
        judge = Judge(options.rig, os.path.join(scratch, "ledger"), VOLUME_MIB * MIB)
        resumed = primary_full(findings, mesh, judge)
        follower_full(findings, mesh, judge)
        lost, blocks = faults.judge_ledger(findings, mesh, judge, mesh.primary(), "ledger", "after both")
        findings.say(f"{lost} of {blocks} flushed blocks lost")
        mesh.stop()
    findings.figures = {"resumed_s": round(resumed, 3), "lost_flushed": lost, "blocks_flushed": blocks}


def main():
    parser = argparse.ArgumentParser(description="full disks, and what becomes of writes")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_full_disk(findings, options))


if __name__ == "__main__":
    sys.exit(main())
