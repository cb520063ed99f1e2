"""`make resync`: a region that was away for longer than the log is kept comes back, takes what it lacks, and takes over.

While it copies it is killed once more, clients write on, and it serves nothing. At the end the primary dies, the region
that came back is primary, and it holds every flushed write. With two regions and a witness nobody is left behind: the log is
kept, whatever `logKept` says, and brings the region up to date.
"""

import argparse
import os
import sys
import time

import faults
import measure
import tools
from clients import Judge, nbdload
from cluster import Cluster

MIB = 1 << 20
LEDGER_MIB = 64
SHAPES = {"three": ("data", "data", "data"), "witness": ("data", "data", "witness")}
# The least that may be configured: of a member that is known to lack twice as much nothing is kept.
LOG_KEPT_MIB = 16
LOAD_SECONDS_MAX, LEDGER_SECONDS = 300, 4
NOTICE_SECONDS_MAX, RESYNC_SECONDS_MAX, WINNER_SECONDS_MAX = 60, 300, 30
RUN_SECONDS_MAX = 1200
POLL_SECONDS = 0.05


def resync_of(node):
    """What the node says of its own resync: None when it is whole, False when it says nothing."""
    said = node.status()
    if said is None:
        return False
    return next(each for each in said["members"] if each["isSelf"]).get("resync")


def verdict(node):
    return node.holdfast("status").stdout.splitlines()[0]


def fall_behind(findings, mesh, judge, away, total, rig):
    """The region is dead while more is written than the log keeps for it."""
    primary = mesh.primary()
    judge.flush(primary.uri("ledger"), LEDGER_SECONDS)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    held = away.status()["raft"]["last"]["index"]
    away.kill()
    load = nbdload(rig, "write", primary.uri("bulk"), total, LOAD_SECONDS_MAX, seed=3)
    findings.say(f"{away.region} is dead, {load['bytes'] // MIB} MiB were written without it")
    if mesh.nodes[3].role == "witness":
        return
    tools.wait_until("the log is kept no longer", NOTICE_SECONDS_MAX,
                     lambda: primary.status()["raft"]["base"]["index"] > held)
    findings.expect(primary.status()["counters"].get("members_left_behind") == 1, "the primary tells whom it left behind")
    findings.say(f"{primary.region} keeps {primary.status()['raft']['logBytes'] // MIB} MiB of log, none for {away.region}")


def catch_up(findings, mesh, judge, away):
    """It comes back and has it all from the log: nobody left it behind. Returns its seconds."""
    primary = mesh.primary()
    started = time.monotonic()
    away.start()
    faults.await_caught_up(mesh, RESYNC_SECONDS_MAX)
    took = time.monotonic() - started
    judge.flush(primary.uri("ledger"), LEDGER_SECONDS)
    counters = primary.status()["counters"]
    findings.expect(counters.get("members_left_behind", 0) == 0, "nobody was left behind")
    findings.expect(away.status()["counters"].get("resyncs", 0) == 0, "nothing had to be copied")
    findings.say(f"{away.region} is up to date by the log after {took:.1f} s")
    return took


def copy_back(findings, mesh, judge, away):
    """It starts, is killed in the middle, and becomes a replica while clients write. Returns its seconds."""
    primary = mesh.primary()
    started = time.monotonic()
    with judge.write(primary.uri("ledger"), RESYNC_SECONDS_MAX) as writer:
        away.start()
        half = tools.wait_until("half of it is copied", RESYNC_SECONDS_MAX, poll=POLL_SECONDS,
                                holds=lambda: (resync_of(away) or {}).get("percent", 0) >= 40 and resync_of(away))
        findings.expect(not away.serves("ledger"), "who copies serves nothing")
        refused = away.holdfast("switchover", away.region, "--yes", check=False)
        findings.expect(refused.returncode != 0, f"nobody hands over to who copies: {refused.stdout} {refused.stderr}")
        findings.say(f"{away.region} copies: {half['percent']} %, {half['bytesLeft'] // MIB} MiB left. {verdict(primary)}")
        checked = primary.holdfast("status", "--check", check=False)
        findings.expect(checked.returncode == 1, f"status --check tells of the resync: exit {checked.returncode}")
        away.kill()
        away.start()
        tools.wait_until("it is whole", RESYNC_SECONDS_MAX, lambda: resync_of(away) is None)
        took = time.monotonic() - started
        findings.expect(writer.is_running, f"clients write on meanwhile: {list(writer.lines)[-3:]}")
        writer.process.terminate()
    findings.say(f"{away.region} is whole again after {took:.1f} s, one kill among them")
    return took


def measure_shape(findings, options, shape):
    """Returns the seconds of the resync, and what was lost, flushed and different."""
    # Small enough a rate that the kill falls into the middle.
    settings = (f"logKept: {LOG_KEPT_MIB}M", f"resyncRate: {options.rate}M")
    with measure.scratch(64 * MIB) as scratch, Cluster(options.bin, roles=SHAPES[shape], settings=settings) as mesh, \
            measure.explained(mesh):
        mesh.start()
        primary = mesh.ready()
        if primary is not mesh.nodes[1]:
            raise measure.Unmeasured(f"node {primary.id} became primary, not the preferred one")
        away = mesh.nodes[2]
        mesh.create_volume("ledger", f"{LEDGER_MIB}M")
        mesh.create_volume("bulk", f"{options.mib}M")
        judge = Judge(options.rig, os.path.join(scratch, "ledger"), LEDGER_MIB * MIB)
        fall_behind(findings, mesh, judge, away, options.mib * MIB, options.rig)
        way_back = catch_up if mesh.nodes[3].role == "witness" else copy_back
        took = way_back(findings, mesh, judge, away)
        judge.flush(primary.uri("ledger"), LEDGER_SECONDS)
        faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
        primary.kill()
        winner = faults.await_heir(mesh, away, WINNER_SECONDS_MAX)
        lost, blocks = faults.judge_ledger(findings, mesh, judge, winner, "ledger", f"in {winner.region}")
        check = nbdload(options.rig, "check", winner.uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=3)
        differing = check["differing"] + check["refused"]
        findings.expect(differing == 0, f"{differing} blocks that were written while it was away differ or can't be read")
        findings.say(f"{winner.region} took over: {lost} of {blocks} flushed blocks lost, {differing} blocks differ")
        mesh.stop()
    return took, (lost, blocks, differing)


def measure_resync(findings, options):
    shapes = list(SHAPES) if options.shape == "both" else [options.shape]
    runs = []
    for shape in shapes:
        findings.say(f"shape {shape}")
        runs.append(measure_shape(findings, options, shape))
    took, judged = zip(*runs)
    findings.figures = {"resync_s": round(max(took), 1), "mib": options.mib, **faults.totals(judged)}


def main():
    parser = argparse.ArgumentParser(description="a region that was away for longer than the log is kept")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--shape", choices=(*SHAPES, "both"), default="three")
    parser.add_argument("--mib", type=int, default=1024, help="written while it is away")
    parser.add_argument("--rate", type=int, default=64, help="MiB a second that it takes at most")
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_resync(findings, options))


if __name__ == "__main__":
    sys.exit(main())
