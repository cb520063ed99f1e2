"""`make schedule`: backups that a mesh makes by itself, every minute, while whoever makes one is killed.

The schedule comes by SIGHUP. One member claims the first backup and is killed in the middle of it; another one takes over, and
what it made is restored without any agent and compared with what was written. The killed one comes back, and the mesh goes on: each
slot has one backup. Then a backup by hand stands for the slot before it; and who makes one stands still until another one has taken
over, and goes on: one of both counts.
"""

import argparse
import collections
import filecmp
import json
import os
import re
import subprocess
import sys

import faults
import measure
import tools
from backup import Repository, in_the_middle, listed
from cluster import Cluster

MIB = 1 << 20
SCHEDULE = 'backups: {schedule: "* * * * *"}'
CLAIM_SECONDS_MAX, TAKEOVER_SECONDS_MAX, SLOT_SECONDS_MAX = 30, 60, 100
COPY_SECONDS_MAX, NOTICE_SECONDS_MAX = 60, 30
RUN_SECONDS_MAX, LOG_PAGE = 300, 1_000


def told(node):
    """What the node says of the schedule, or nothing."""
    said = node.holdfast("backup", "status", "-o", "json", check=False)
    return json.loads(said.stdout).get("schedule") or {} if said.returncode == 0 else {}


def codes(node):
    return [each["code"] for each in json.loads(node.holdfast("alarm", "list", "-o", "json").stdout)["alarms"]]


def newest(node):
    return told(node).get("newest")


def write(mesh, path, mib):
    with open(path, "wb") as file:
        file.write(os.urandom(mib * MIB))
    subprocess.run(["nbdcopy", "--flush", path, mesh.primary().uri("disk")], check=True, timeout=COPY_SECONDS_MAX)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)


def schedule_it(findings, mesh):
    """By SIGHUP, to a mesh that runs."""
    before = codes(mesh.primary())
    findings.expect("backup-overdue" not in before, f"without a schedule nothing is missed: {before}")
    mesh.shared = [SCHEDULE]
    mesh.reload()


def kill_claimant(findings, mesh):
    """Returns whom, and the slot of its claim."""
    primary = mesh.primary()
    holder = tools.wait_until("somebody claims the first one", CLAIM_SECONDS_MAX,
                              lambda: told(primary).get("holder"))
    claimant = mesh.nodes[holder["node"]]
    findings.expect(claimant is not primary, f"who makes it is not primary: {holder}")
    findings.expect("backup-overdue" in codes(primary), "none was made yet, and that is told")
    job = tools.wait_until("it is in the middle", CLAIM_SECONDS_MAX, poll=0.005, holds=lambda: in_the_middle(claimant))
    claimant.kill()
    findings.say(f"node {claimant.id} killed with {job['readBytes'] // MIB} of {job['wantedBytes'] // MIB} MiB read")
    return claimant, holder["slot"]


def taken_over(findings, mesh, repository, killed, slot, original):
    primary = mesh.primary()
    began = tools.now_ns()
    holder = tools.wait_until("another one takes over", TAKEOVER_SECONDS_MAX, lambda: next(
        (each for each in [told(primary).get("holder")] if each and each["node"] != killed.id), None))
    findings.say(f"node {holder['node']} took over within {(tools.now_ns() - began) / 1e9:.1f} s")
    made = tools.wait_until("its backup counts", SLOT_SECONDS_MAX, lambda: newest(primary))
    findings.expect(made["node"] != killed.id and made["asOf"] >= slot, f"it stands for the slot {slot}: {made}")
    findings.expect(made["number"] in listed(repository), f"it is in the repository: {made}")
    image = repository.restore(made["number"], "disk", "restored.raw")
    same = filecmp.cmp(original, image, shallow=False)
    findings.expect(same, "what is restored is what was written")
    left = codes(primary)
    findings.expect(not {"backup-overdue", "backup-failing"} & set(left), f"nothing is missed any more: {left}")
    return made, same


def goes_on(findings, mesh, killed, made):
    """The killed one is back, and the next slot has its backup."""
    killed.start()
    primary = mesh.primary()
    after = tools.wait_until("the next slot has its backup", SLOT_SECONDS_MAX, lambda: next(
        (each for each in [newest(primary)] if each and each["asOf"] // 60 > made["asOf"] // 60), None))
    tools.wait_until("all members say so", NOTICE_SECONDS_MAX,
                     lambda: all((newest(node) or {}).get("number", 0) >= after["number"] for node in mesh.data_nodes))
    return after


def superseded(findings, mesh, original, mib):
    """Who makes one stands still until another one's counts, and then goes on: its own counts for nothing, and it is told so."""
    write(mesh, original, mib)
    primary = mesh.primary()
    before = newest(primary)
    holder = tools.wait_until("the next one is claimed", SLOT_SECONDS_MAX, lambda: told(primary).get("holder"))
    claimant = mesh.nodes[holder["node"]]
    tools.wait_until("it is in the middle", CLAIM_SECONDS_MAX, poll=0.005, holds=lambda: in_the_middle(claimant))
    claimant.pause()
    made = tools.wait_until("another one's counts", TAKEOVER_SECONDS_MAX, lambda: next(
        (each for each in [newest(primary)] if each["number"] > before["number"]), None))
    findings.expect(made["node"] != claimant.id, f"it is another's: {made}, {holder}")
    claimant.resume()

    def refused():
        with open(claimant.log, errors="replace") as log:
            return any("refuses what this node says of a backup" in line for line in log)

    tools.wait_until("who stood still is told that its own does not count", NOTICE_SECONDS_MAX, refused)


def commands(node):
    """All that the log still has."""
    first, last = 0, 1
    while first <= last:
        page = json.loads(node.holdfast("log", "dump", "--from", first, "--max", LOG_PAGE, "-o", "json").stdout)
        last = page["last"]
        yield from (each for each in page["entries"] if each["kind"] == "command")
        first = page["entries"][-1]["index"] + 1 if page["entries"] else last + 1


def winners(node):
    """How often each slot got a backup that counts by a claim, as the log has it: an outcome counts while its claim is the last."""
    held, won = None, collections.Counter()
    for each in commands(node):
        if claimed := re.search(r"\.claimed\(slot: (\d+)", each["summary"]):
            held = each["index"], int(claimed[1])
        made = re.search(r"\.made\(.*claim: Optional\((\d+)\)", each["summary"])
        if made and held and int(made[1]) == held[0]:
            won[held[1]] += 1
    return won


def by_hand(findings, mesh):
    """One that somebody asked for is the newest that the mesh knows of."""
    node = mesh.primary()
    made = json.loads(node.holdfast("backup", "run", "-o", "json").stdout)["backup"]
    known = tools.wait_until("the mesh knows of one by hand", NOTICE_SECONDS_MAX, lambda: next(
        (each for each in [newest(node)] if each and each["number"] >= made["number"]), None))
    findings.expect(known["number"] > made["number"] or known["node"] == node.id, f"it counts: {made}, {known}")


def measure_schedule(findings, options):
    with measure.scratch(8 * options.mib * MIB) as scratch:
        repository = Repository(options.bin, scratch)
        with Cluster(options.bin, settings=(repository.setting,)) as mesh, measure.explained(mesh):
            mesh.start()
            mesh.ready()
            original = os.path.join(scratch, "original")
            mesh.create_volume("disk", f"{options.mib}M")
            write(mesh, original, options.mib)
            schedule_it(findings, mesh)
            killed, slot = kill_claimant(findings, mesh)
            made, same = taken_over(findings, mesh, repository, killed, slot, original)
            after = goes_on(findings, mesh, killed, made)
            by_hand(findings, mesh)
            superseded(findings, mesh, original, options.mib)
            won = winners(mesh.primary())
            findings.expect(won and max(won.values()) == 1, f"each slot has one winner: {won}")
            findings.expect(after["number"] > made["number"], f"the mesh goes on: {made}, {after}")
            findings.figures = {"restored": 1, "differing": int(not same), "backups": len(listed(repository)),
                                "slots": len(won), "winners_max": max(won.values(), default=0)}


def main():
    parser = argparse.ArgumentParser(description="backups by a schedule, whose makers are killed")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--mib", type=int, default=96, help="size of the volume")
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_schedule(findings, options))


if __name__ == "__main__":
    sys.exit(main())
