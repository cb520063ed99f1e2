"""`make witness`: next to nothing while all regions are up, everything while one is away, and nothing again afterwards."""

import argparse
import os
import sys
import threading
import time

import faults
import measure
import tools
from clients import Judge, nbdload
from cluster import Cluster
from network import MESH_INTERFACE

MIB = 1 << 20
LEDGER_MIB = 64
WITNESS_ROLES = ("data", "data", "witness")
SAMPLE_SECONDS = 0.1
# What the product promises of the witness while all regions are up.
RSS_MIB_MAX, DISK_MIB_MAX, TRAFFIC_PERCENT_MAX = 32, 16, 1.0
LOAD_SECONDS_MAX, TOLD_SECONDS_MAX, HAND_OVER_SECONDS_MAX, FORGET_SECONDS_MAX = 600, 30, 300, 180
LEDGER_SECONDS = 3
RUN_SECONDS_MAX = 2400


class Sampler:
    """Disk use of the witness at its highest; memory's peak the kernel keeps itself."""

    def __init__(self, witness):
        self.witness, self.highest = witness, 0.0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        while not self.done.wait(SAMPLE_SECONDS):
            self.highest = max(self.highest, tools.disk_mib(self.witness.data))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join(5)
        self.highest = max(self.highest, tools.disk_mib(self.witness.data))


def base_of(witness):
    """Up to where it holds nothing, because the others do."""
    said = witness.status()
    return said["raft"]["base"]["index"] if said else 0


def all_regions_up(findings, mesh, options):
    """The witness's cost while every region holds everything: (memory, disk, traffic)."""
    primary, witness = mesh.primary(), mesh.nodes[3]
    pid, total = witness.process.pid, options.payload_mib * MIB
    before, cpu = tools.received_bytes(pid, MESH_INTERFACE), tools.cpu_seconds(pid)
    with Sampler(witness) as sampler:
        load = nbdload(options.rig, "write", primary.uri("disk"), total, LOAD_SECONDS_MAX, seed=1)
        # What it is told of the last writes comes after they are answered.
        last = primary.status()["raft"]["last"]["index"]
        tools.wait_until("the witness is told of the last write", TOLD_SECONDS_MAX, lambda: base_of(witness) >= last)
    received = tools.received_bytes(pid, MESH_INTERFACE) - before
    resident, peak = tools.memory_mib(pid)
    percent = 100 * received / total
    findings.say(f"all regions up: {options.payload_mib} MiB written and flushed in {load['seconds']:.1f} s, "
                 f"{total / 1e6 / load['seconds']:.0f} MB/s")
    findings.say(f"    witness: {peak:.1f} MiB of memory at its highest ({resident:.1f} now), {sampler.highest:.1f} MiB of disk, "
                 f"{received / 1e3:.0f} kB received = {percent:.3f} % of the payload, "
                 f"{tools.cpu_seconds(pid) - cpu:.2f} s of CPU")
    findings.expect(peak <= RSS_MIB_MAX, f"resident memory ≤ {RSS_MIB_MAX} MiB with all regions up")
    findings.expect(sampler.highest <= DISK_MIB_MAX, f"disk ≤ {DISK_MIB_MAX} MiB with all regions up")
    findings.expect(percent <= TRAFFIC_PERCENT_MAX, f"traffic ≤ {TRAFFIC_PERCENT_MAX} % of the payload")
    return peak, sampler.highest, percent


def hand_over(findings, mesh, judge, options):
    """Kill B, write to A with only the witness left, kill A, start B: what does B serve?"""
    a, witness = mesh.primary(), mesh.nodes[3]
    b = next(node for node in mesh.data_nodes if node is not a)
    total = options.payload_mib * MIB
    b.kill()
    findings.say(f"{b.region} is killed; only {a.region} and the witness are left")
    load = nbdload(options.rig, "write", a.uri("disk"), total, LOAD_SECONDS_MAX, seed=2)
    with judge.write(a.uri("ledger"), LEDGER_SECONDS) as writer:
        writer.report(LEDGER_SECONDS + 15)
    resident, _ = tools.memory_mib(witness.process.pid)
    findings.say(f"{options.payload_mib} MiB written and flushed in {load['seconds']:.1f} s, {total / 1e6 / load['seconds']:.0f} "
                 f"MB/s; the witness now holds {tools.disk_mib(witness.data):.0f} MiB on disk, {resident:.1f} MiB in memory")
    a.kill()
    started = time.monotonic()
    b.start()
    findings.say(f"{a.region} is killed, {b.region} started: it lacks all of this, and only the witness has it")
    tools.wait_until(f"{b.region} acts as primary", HAND_OVER_SECONDS_MAX, lambda: mesh.primary() is b, poll=0.1)
    mesh.await_served(b, "disk", "ledger")
    findings.say(f"{b.region} acts as primary after {time.monotonic() - started:.1f} s")
    check = nbdload(options.rig, "check", b.uri("disk"), total, LOAD_SECONDS_MAX, seed=2)
    lost, blocks = faults.judge_ledger(findings, mesh, judge, b, "ledger", "in the region that was away")
    whole = findings.expect(check["differing"] == 0 and check["bytes"] == total,
                            f"the whole disk is there: {check['differing']} of {check['answered']} requests differ")
    findings.say(f"{b.region} serves {check['bytes'] // MIB} MiB, {check['differing']} of {check['answered']} pieces differ; "
                 f"{lost} of {blocks} flushed blocks of the ledger lost")
    return a, whole and lost == 0


def forget(findings, mesh, a):
    """A returns; the witness is to forget. Returns whether it did."""
    witness, started = mesh.nodes[3], time.monotonic()
    a.start()
    mesh.ready()
    faults.await_caught_up(mesh, HAND_OVER_SECONDS_MAX)
    findings.say(f"{a.region} is back and holds the whole log after {time.monotonic() - started:.1f} s")
    try:
        tools.wait_until("the witness forgets", FORGET_SECONDS_MAX,
                         lambda: tools.disk_mib(witness.data) <= DISK_MIB_MAX, poll=0.2)
    except tools.Late:
        pass  # the promise below says so
    left = tools.disk_mib(witness.data)
    findings.say(f"the witness holds {left:.1f} MiB {time.monotonic() - started:.1f} s after {a.region}'s start")
    return findings.expect(left <= DISK_MIB_MAX, f"the witness forgets: {left:.1f} of at most {DISK_MIB_MAX} MiB")


def measure_witness(findings, options):
    with measure.scratch(64 * MIB) as scratch, \
            Cluster(options.bin, WITNESS_ROLES, namespaces=True) as mesh, measure.explained(mesh):
        mesh.start()
        mesh.ready()
        mesh.create_volume("disk", f"{options.payload_mib}M")
        mesh.create_volume("ledger", f"{LEDGER_MIB}M")
        judge = Judge(options.rig, os.path.join(scratch, "ledger"), LEDGER_MIB * MIB)
        memory, disk, percent = all_regions_up(findings, mesh, options)
        faults.await_caught_up(mesh, HAND_OVER_SECONDS_MAX)
        a, whole = hand_over(findings, mesh, judge, options)
        forgot = forget(findings, mesh, a)
        findings.figures = {"rss_mib": round(memory, 1), "disk_mib": round(disk, 1),
                            "traffic_percent": round(percent, 3), "handed_over_ok": bool(whole and forgot)}


def main():
    parser = argparse.ArgumentParser(description="what the witness costs, and what it is good for")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--payload-mib", type=int, default=1024)
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_witness(findings, options))


if __name__ == "__main__":
    sys.exit(main())
