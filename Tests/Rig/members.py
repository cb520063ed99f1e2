"""`make members`: members that are lost for good are replaced by fresh nodes, and what was flushed survives.

Three regions under load: one dies with its disk, a fresh node takes its place under a new id, and takes over. Two regions
and a witness: the witness dies with its disk and is replaced, then a region is, and the newcomer takes over by the new
witness's vote. An added node is taken back on the way, and the old ids are refused.
"""

import argparse
import os
import sys
import time

import faults
import measure
import tools
from clients import Judge, nbdload
from cluster import REGIONS, Cluster

MIB = 1 << 20
LEDGER_MIB = 16
SHAPES = {"three": ("data", "data", "data"), "witness": ("data", "data", "witness")}
LEDGER_SECONDS, LOAD_SECONDS_MAX = 1, 120
STEP_SECONDS_MAX, CHANGE_SECONDS_MAX, WINNER_SECONDS_MAX = 20, 300, 30
RUN_SECONDS_MAX = 900
POLL_SECONDS = 0.1


def members(node):
    """What the node says of the members: (its wish or None, {id: vote})."""
    said = node.status()
    if said is None:
        return {}, {}
    return said.get("wish"), {each["node"]: each.get("vote") for each in said["members"]}


def lose(mesh, node_id):
    """Its power and its disk; its name stays in the files, as it would."""
    node = mesh.nodes[node_id]
    node.kill()
    tools.command("rm", "-r", node.data)


def is_out(node, old):
    wish, votes = members(node)
    return wish is None and votes.get(old) == "none"


def is_replaced(node, old, new):
    wish, votes = members(node)
    return wish is None and votes.get(new) == "votes" and votes.get(old) == "none"


def replace(findings, mesh, judge, old, new):
    """While clients write; returns the seconds from the wish to the vote."""
    primary = mesh.primary()
    with judge.write(primary.uri("ledger"), CHANGE_SECONDS_MAX) as writer:
        started = time.monotonic()
        told = primary.holdfast("members", "replace", old, "--with", new.id).stdout
        findings.say(f"{told.splitlines()[0]}; {primary.holdfast('members').stdout.splitlines()[-1].strip()}")
        tools.wait_until(f"node {new.id} votes in the place of node {old}", CHANGE_SECONDS_MAX,
                         lambda: is_replaced(primary, old, new.id), poll=POLL_SECONDS)
        took = time.monotonic() - started
        findings.expect(writer.is_running, f"clients write on meanwhile: {list(writer.lines)[-3:]}")
        writer.process.terminate()
    findings.say(f"node {new.id} votes in the place of node {old} after {took:.1f} s")
    return took


def refuse_old_id(findings, mesh, old):
    again = mesh.primary().holdfast("members", "add", old, check=False)
    findings.expect(again.returncode == 1 and "never used again" in again.stderr,
                    f"the id of node {old} is used up: {again.stdout} {again.stderr}")


def take_back(findings, mesh, node):
    """A node that does not run is added, and taken back."""
    primary = mesh.primary()
    primary.holdfast("members", "add", node.id)
    second = primary.holdfast("members", "remove", primary.id, "--yes", check=False)
    findings.expect(second.returncode == 1, f"one change at a time: {second.stdout} {second.stderr}")
    tools.wait_until("the newcomer listens", STEP_SECONDS_MAX, lambda: members(primary)[1].get(node.id) == "learns",
                     poll=POLL_SECONDS)
    primary.holdfast("members", "cancel")
    tools.wait_until("the newcomer is taken back", STEP_SECONDS_MAX, lambda: is_out(primary, node.id), poll=POLL_SECONDS)
    refuse_old_id(findings, mesh, node.id)


def take_over_onto(findings, mesh, judge, heir, options):
    """The primary dies: the newcomer is next, and has it all. Returns what was lost, flushed and different."""
    primary = mesh.primary()
    judge.flush(primary.uri("ledger"), LEDGER_SECONDS)
    faults.await_caught_up(mesh, STEP_SECONDS_MAX)
    primary.kill()
    winner = faults.await_heir(mesh, heir, WINNER_SECONDS_MAX)
    lost, blocks = faults.judge_ledger(findings, mesh, judge, winner, "ledger", f"on node {winner.id}")
    check = nbdload(options.rig, "check", winner.uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=3)
    differing = check["differing"] + check["refused"]
    findings.expect(differing == 0, f"{differing} blocks that were written before it came differ or can't be read")
    judge.flush(winner.uri("ledger"), LEDGER_SECONDS)
    findings.say(f"node {winner.id} took over: {lost} of {blocks} flushed blocks lost, {differing} blocks differ")
    return lost, blocks, differing


def start_newcomer(findings, mesh, node):
    node.start()
    said = tools.wait_until(f"node {node.id} answers", STEP_SECONDS_MAX, node.status)
    codes = [each["code"] for each in said["alarms"]]
    findings.expect("not-a-member" in codes, f"who waits says so: {codes}")


def three(findings, mesh, judge, options):
    spare = mesh.join(4, "eu-north-1", "data")
    take_back(findings, mesh, spare)
    mesh.forget(4)
    lose(mesh, 3)
    # In the same region.
    fresh = mesh.join(5, mesh.nodes[3].region, "data")
    start_newcomer(findings, mesh, fresh)
    took = replace(findings, mesh, judge, 3, fresh)
    mesh.forget(3)
    return took, take_over_onto(findings, mesh, judge, fresh, options)


def witness(findings, mesh, judge, options):
    lose(mesh, 3)
    fresh = mesh.join(4, "eu-north-1", "witness")
    return replace_witness(findings, mesh, judge, fresh, options)


def replace_witness(findings, mesh, judge, fresh, options):
    start_newcomer(findings, mesh, fresh)
    took = replace(findings, mesh, judge, 3, fresh)
    mesh.forget(3)
    lose(mesh, 2)
    region = mesh.join(5, mesh.nodes[2].region, "data")
    start_newcomer(findings, mesh, region)
    took = max(took, replace(findings, mesh, judge, 2, region))
    mesh.forget(2)
    return took, take_over_onto(findings, mesh, judge, region, options)


def measure_shape(findings, options, shape):
    # Who is lost first is the next primary, and so is who comes in its place.
    preferred = (REGIONS[0], REGIONS[2])
    with measure.scratch(64 * MIB) as scratch, Cluster(options.bin, roles=SHAPES[shape], preferred=preferred) as mesh, \
            measure.explained(mesh):
        mesh.start()
        primary = mesh.ready()
        if primary is not mesh.nodes[1]:
            raise measure.Unmeasured(f"node {primary.id} became primary, not the preferred one")
        mesh.create_volume("ledger", f"{LEDGER_MIB}M")
        mesh.create_volume("bulk", f"{options.mib}M")
        judge = Judge(options.rig, os.path.join(scratch, "ledger"), LEDGER_MIB * MIB)
        nbdload(options.rig, "write", primary.uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=3)
        judge.flush(primary.uri("ledger"), LEDGER_SECONDS)
        result = {"three": three, "witness": witness}[shape](findings, mesh, judge, options)
        mesh.stop()
    return result


def measure_members(findings, options):
    runs = []
    for shape in list(SHAPES) if options.shape == "both" else [options.shape]:
        findings.say(f"shape {shape}")
        runs.append(measure_shape(findings, options, shape))
    took, judged = zip(*runs)
    findings.figures = {"replaced_s": round(max(took), 1), "mib": options.mib, **faults.totals(judged)}


def main():
    parser = argparse.ArgumentParser(description="members that are lost for good are replaced")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--shape", choices=(*SHAPES, "both"), default="both")
    parser.add_argument("--mib", type=int, default=512, help="in the volumes before anybody comes")
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_members(findings, options))


if __name__ == "__main__":
    sys.exit(main())
