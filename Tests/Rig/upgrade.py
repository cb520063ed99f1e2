"""`make upgrade`: a mesh of the previous release gets this one, node by node, while clients write.

Followers and the witness go first and the primary last, behind a switchover. The mesh stays at the level of the
previous release until the last node speaks this one's, and serves all the while; until then a node can go back. Then the previous release is started on a node
again: it has to refuse what this one has written, in the log and in a base, and the mesh goes on without it.

The previous release is built from the commit that `previous_release` names, once, in a scratch folder of its own.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import faults
import measure
import tools
from clients import GRACE_SECONDS, Judge, Trial, nbdload
from cluster import REGIONS, Cluster

MIB = 1 << 20
LEDGER_MIB = 16
SHAPES = {"three": ("data", "data", "data"), "witness": ("data", "data", "witness")}
PROGRAMS = ("holdfast", "holdfast-agent", "holdfast-witness")
OLD, NEW = 1, 2
# How the release before levels refuses what it does not know.
IN_THE_LOG, IN_A_BASE = "a command that this release does not know", "given twice"
CHUNK_SECONDS, LOAD_SECONDS_MAX = 2, 120
STEP_SECONDS_MAX, RAISE_SECONDS_MAX, REFUSED_SECONDS_MAX = 40, 30, 20
# How long clients keep asking every region around one node's restart.
TRIAL_SECONDS, TRIAL_INTERVAL_MS = 14, 20
# What a restart may cost a client; a switchover takes a fraction of it.
SILENCE_SECONDS_MAX = 3.0
RUN_SECONDS_MAX, BUILD_SECONDS_MAX = 1200, 7200
POLL_SECONDS = 0.1
# Above what the volumes are made durable after, so that bases hold the level too.
BASE_MIB = 160


def previous(root, jobs):
    """The previous release's programs: found, or built from its commit."""
    with open(os.path.join(root, "Tests/Rig/previous_release")) as file:
        commit = file.read().strip()
    scratch = os.path.join(root, ".build-previous")
    binaries, mark = os.path.join(scratch, "release"), os.path.join(scratch, "commit")
    if os.path.exists(mark) and open(mark).read() == commit and all(
            os.path.exists(os.path.join(binaries, name)) for name in PROGRAMS):
        return binaries
    place = tempfile.mkdtemp(prefix="hf-previous-")
    source = os.path.join(place, "source")
    try:
        tools.command("git", "-C", root, "worktree", "add", "--detach", source, commit, seconds=60)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(os.path.join(root, "Package.resolved"), source)
        for name in PROGRAMS:
            subprocess.run(["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", source,
                            "--scratch-path", scratch, "--jobs", str(jobs), "--product", name], check=True,
                           timeout=BUILD_SECONDS_MAX)
        with open(mark, "w") as file:
            file.write(commit)
    finally:
        subprocess.run(["git", "-C", root, "worktree", "remove", "--force", source], check=False)
        shutil.rmtree(place, ignore_errors=True)
    return binaries


class Writer:
    """The judge's writes, wherever the volume is served. A chunk is never killed: no write overtakes a later one."""

    def __init__(self, judge, mesh):
        self.judge, self.mesh, self.flushed, self.unfit = judge, mesh, 0, []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def work(self):
        while not self.over.is_set():
            serving = [node for node in self.mesh.data_nodes if node.serves("ledger")]
            for node in serving[:1]:
                self.write(node)
            self.over.wait(tools.POLL_SECONDS)

    def write(self, node):
        with self.judge.write(node.uri("ledger"), CHUNK_SECONDS) as program:
            try:
                program.wait(CHUNK_SECONDS + GRACE_SECONDS)
            except measure.Unmeasured as late:
                self.unfit.append(str(late))
                return
            told = program.told()
            self.flushed += told[-1].get("flushesAnswered", 0) + told[-1].get("fuaAnswered", 0) if told else 0

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(CHUNK_SECONDS + 2 * GRACE_SECONDS)
        if self.thread.is_alive() or self.unfit:
            raise measure.Unmeasured(f"the judge's writer failed: {self.unfit or 'it does not end'}")


class Upgrade:
    """One shape, from the first restart to the last refusal."""

    def __init__(self, findings, mesh, judge, options):
        self.findings, self.mesh, self.judge, self.options = findings, mesh, judge, options
        self.silence, self.dual, self.seconds, self.refused = 0.0, 0, 0.0, 0

    def uris(self):
        return [node.uri("tried") for node in self.mesh.data_nodes]

    @contextlib.contextmanager
    def watched(self, what):
        """Clients ask all regions meanwhile: how long did none answer, and did ever two?"""
        with Trial(self.options.rig, self.uris(), TRIAL_SECONDS, TRIAL_INTERVAL_MS) as trial:
            trial.await_accepted(f"a flushed write is answered before {what}", TRIAL_SECONDS)
            yield
            told = trial.verdict()
            silence = self.longest_silence(trial.told())
        self.silence = max(self.silence, silence)
        self.dual += told["dual_accept"]
        self.findings.expect(told["dual_accept"] == 0, f"{what}: {told['dual_accept']} accepts in two regions")
        self.findings.expect(silence <= SILENCE_SECONDS_MAX, f"{what}: {silence:.2f} s of silence")

    @staticmethod
    def longest_silence(told):
        """From the loss of the one who served to the next acceptance by anybody. Each server has a thread that tells."""
        longest, serving, lost_ns = 0, None, None
        for event in sorted((each for each in told if "ns" in each), key=lambda each: each["ns"]):
            kind = event.get("event")
            if kind == "accepted":
                if lost_ns is not None:
                    longest = max(longest, event["ns"] - lost_ns)
                serving, lost_ns = event["uri"], None
            elif kind == "lost" and event["uri"] == serving:
                lost_ns = event["ns"]
        return longest / 1e9

    def install(self, node):
        self.exchange(node, self.options.bin)
        self.whole(f"with node {node.id} upgraded")

    def exchange(self, node, binaries):
        """Its program, for this release's or, with None, the previous one."""
        node.stop()
        node.binaries = binaries
        node.start()
        tools.wait_until(f"node {node.id} answers", STEP_SECONDS_MAX, node.status, poll=POLL_SECONDS)

    def go_back(self, node):
        """Before the level has risen that is nothing but another restart."""
        with self.watched(f"node {node.id} goes back"):
            self.exchange(node, None)
            self.whole(f"with node {node.id} back at the previous release")
        self.findings.expect(self.level(node) is None, f"it runs the previous release: {self.level(node)}")
        self.findings.say(f"node {node.id} went back to the previous release, on what this one wrote")
        with self.watched(f"node {node.id} is upgraded again"):
            self.install(node)

    def whole(self, when):
        """All nodes know one leader, every data node holds the whole log, and nobody has an alarm."""
        try:
            primary = self.mesh.ready(self.mesh.running, STEP_SECONDS_MAX)
            faults.await_caught_up(self.mesh, STEP_SECONDS_MAX)
            tools.wait_until("no node of either release has an alarm", STEP_SECONDS_MAX, lambda: not any(
                self.alarms(each) for each in self.mesh.nodes.values()), poll=POLL_SECONDS)
            return primary
        except tools.Late as late:
            said = {each.id: self.alarms(each) for each in self.mesh.nodes.values()}
            raise measure.Broken(f"{when}: {late}; alarms {said}") from None

    @staticmethod
    def alarms(node):
        return [each["code"] for each in (node.status() or {"alarms": [{"code": "silent"}]})["alarms"]]

    def level(self, node):
        """(the mesh's level, who holds it back) as this node says; None of one that knows of no levels."""
        said = (node.status() or {}).get("level")
        return said and (said["mesh"], [each["node"] for each in said["heldBackBy"]])

    def expect_held_back(self, upgraded):
        waiting = sorted(set(self.mesh.nodes) - set(upgraded))
        for node_id in upgraded:
            node = self.mesh.nodes[node_id]
            try:
                tools.wait_until("the held back are known", STEP_SECONDS_MAX,
                                 lambda: self.level(node) == (OLD, waiting), poll=POLL_SECONDS)
            except tools.Late:
                self.findings.expect(
                    False, f"node {node_id} says that {waiting} hold the mesh at {OLD}: {self.level(node)}")
        shown = self.mesh.nodes[upgraded[0]].holdfast("status").stdout
        self.findings.expect("once all speak it" in shown, f"the screen says so: {shown}")

    def expect_raised(self):
        started = time.monotonic()
        try:
            tools.wait_until("all know the new level", RAISE_SECONDS_MAX, lambda: all(
                self.level(node) == (NEW, []) for node in self.mesh.nodes.values()), poll=POLL_SECONDS)
        except tools.Late:
            said = {node.id: self.level(node) for node in self.mesh.nodes.values()}
            raise measure.Broken(f"the mesh is at level {NEW} once all speak it: {said}") from None
        self.findings.say(f"the mesh is at level {NEW} {time.monotonic() - started:.1f} s after the last node is whole")

    def upgrade(self):
        """The witness and the followers, the last data node first; the primary at the end."""
        began = time.monotonic()
        primary = self.whole("before the upgrade")
        order = sorted((node for node in self.mesh.nodes.values() if node is not primary),
                       key=lambda node: (node.role == "data", -node.id))
        done = []
        for node in order:
            with self.watched(f"node {node.id} is upgraded"):
                self.install(node)
            # The witness first, then a region.
            if not any(self.mesh.nodes[each].role == node.role for each in done):
                self.go_back(node)
            done.append(node.id)
            self.expect_held_back(done)
            self.findings.say(f"node {node.id} ({node.role}) runs this release; the mesh is at level {OLD}")
        heir = next(node for node in order if node.role == "data")
        with self.watched("the primary is upgraded"):
            primary.holdfast("switchover", heir.region, "--yes")
            self.install(primary)
        self.seconds = time.monotonic() - began
        self.findings.say(f"all run this release after {self.seconds:.1f} s; longest silence {self.silence:.3f} s")
        self.expect_raised()

    def downgrade(self, node, words):
        """The previous release on what this one has written: it has to end, and to say why."""
        node.stop()
        size = os.path.getsize(node.log)
        node.binaries = None
        node.start()
        try:
            tools.wait_until("it ends", REFUSED_SECONDS_MAX, lambda: not node.is_running, poll=POLL_SECONDS)
        except tools.Late:
            self.findings.expect(False, f"the previous release goes on on node {node.id}")
            node.stop()
        with open(node.log, errors="replace") as file:
            file.seek(size)
            said = file.read()
        self.findings.expect(any(each in said for each in words), f"it says why: {said[-600:]}")
        self.findings.expect(node.process.returncode not in (0, None), f"it fails: {node.process.returncode}")
        self.refused += 1
        self.findings.say(f"the previous release refuses on node {node.id} (exit {node.process.returncode}): "
                          f"{said.strip().splitlines()[-1] if said.strip() else ''}")

    def refuse_downgrades(self):
        primary = self.whole("before the downgrade")
        node = next(each for each in reversed(self.mesh.data_nodes) if each is not primary)
        with self.watched(f"node {node.id} is downgraded"):
            # Under load a base may hold the level by now.
            self.downgrade(node, [IN_THE_LOG, IN_A_BASE])
        self.install(node)
        raised = primary.status()["raft"]["commit"]
        serving = self.whole("before the load")
        nbdload(self.options.rig, "write", serving.uri("bulk"), BASE_MIB * MIB, LOAD_SECONDS_MAX, seed=3)
        tools.wait_until("a base holds the level", LOAD_SECONDS_MAX,
                         lambda: (node.status() or {"raft": {"base": {"index": 0}}})["raft"]["base"]["index"] > raised,
                         poll=POLL_SECONDS)
        self.downgrade(node, [IN_A_BASE])
        self.install(node)
        for each in self.mesh.nodes.values():
            if each.role == "witness":
                self.refuse_witness(each)
        self.expect_raised()

    def refuse_witness(self, node):
        """It reads no log: its peers keep it out, and say so."""
        self.exchange(node, None)

        def is_refused():
            said = (self.mesh.primary() or self.mesh.data_nodes[0]).status() or {}
            return any(each["code"] == "peer-refused" and "feature level 1" in each["text"]
                       for each in said.get("alarms", []))

        try:
            tools.wait_until("the witness is refused", REFUSED_SECONDS_MAX, is_refused, poll=POLL_SECONDS)
        except tools.Late:
            self.findings.expect(False, "the previous release's witness is refused, and an alarm says so")
        self.refused += 1
        self.findings.say("the previous release's witness is refused by its peers")
        self.install(node)


def measure_shape(findings, options, shape):
    with measure.scratch(64 * MIB) as scratch, Cluster(options.previous, roles=SHAPES[shape],
                                                       preferred=REGIONS[:1]) as mesh, measure.explained(mesh):
        mesh.start()
        primary = mesh.ready()
        mesh.create_volume("ledger", f"{LEDGER_MIB}M")
        mesh.create_volume("tried", "1M")
        mesh.create_volume("bulk", f"{BASE_MIB}M")
        findings.say(f"a mesh of the previous release; {primary.region} is primary")
        judge = Judge(options.rig, os.path.join(scratch, "ledger"), LEDGER_MIB * MIB)
        upgrade = Upgrade(findings, mesh, judge, options)
        with Writer(judge, mesh) as writer:
            upgrade.upgrade()
            upgrade.refuse_downgrades()
        primary = upgrade.whole("at the end")
        lost, blocks = faults.judge_ledger(findings, mesh, judge, primary, "ledger", "at the end")
        findings.say(f"{lost} of {blocks} flushed blocks lost, {writer.flushed} flushes")
        mesh.stop()
    return upgrade, lost, blocks


def measure_idle(findings, options):
    """All nodes at once, and nothing is written: only the log holds the level when somebody tries to go back."""
    with Cluster(options.previous, roles=SHAPES["three"], preferred=REGIONS[:1]) as mesh, measure.explained(mesh):
        mesh.start()
        mesh.ready()
        mesh.stop()
        for node in mesh.nodes.values():
            node.binaries = options.bin
        mesh.start()
        mesh.ready()
        upgrade = Upgrade(findings, mesh, None, options)
        upgrade.expect_raised()
        primary = upgrade.whole("without load")
        node = next(each for each in mesh.data_nodes if each is not primary)
        upgrade.downgrade(node, [IN_THE_LOG])
        upgrade.install(node)
        upgrade.expect_raised()
        mesh.stop()
    return upgrade.refused


def measure_upgrade(findings, options):
    findings.say("without load")
    refused = measure_idle(findings, options)
    runs = []
    for shape in list(SHAPES) if options.shape == "both" else [options.shape]:
        findings.say(f"shape {shape}")
        runs.append(measure_shape(findings, options, shape))
    upgrades = [each for each, _, _ in runs]
    findings.figures = {
        "upgraded_s": round(max(each.seconds for each in upgrades), 1),
        "silence_s": round(max(each.silence for each in upgrades), 3),
        "lost_flushed": sum(lost for _, lost, _ in runs), "blocks_flushed": sum(blocks for _, _, blocks in runs),
        "dual_accept": sum(each.dual for each in upgrades),
        "downgrades_refused": refused + sum(each.refused for each in upgrades)}


def main():
    parser = argparse.ArgumentParser(description="a rolling upgrade from the previous release, under load")
    parser.add_argument("--bin", required=True, help="this release's programs")
    parser.add_argument("--rig", required=True)
    parser.add_argument("--previous", help="the previous release's programs; built where none are given")
    parser.add_argument("--shape", choices=(*SHAPES, "both"), default="both")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    options.bin = os.path.abspath(options.bin)
    options.previous = options.previous or previous(root, options.jobs)
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_upgrade(findings, options))


if __name__ == "__main__":
    sys.exit(main())
