"""`make torture`: faults drawn from a seed strike a mesh of real agents all the time, while a judge writes, clients use
registers and every region is asked for a flushed write.

Nothing acknowledged may be lost, every register must be linearizable, never may two regions accept, and the mesh must heal
by itself whenever everything is undone. Needs root: namespaces, and small file systems in memory.
"""

import argparse
import contextlib
import math
import os
import secrets
import shutil
import sys
import threading
import time

import faults
import linear
import measure
import tools
import torture_plan as plan
from clients import GRACE_SECONDS, Judge, Program, Trial
from cluster import Cluster
from demo import SHAPES
from full_disk import small_disk
from wounds import SERVED, Ward

MIB = 1 << 20
# One after the other: what was flushed just before a fault is left alone until the verdict; newer writes would hide its loss.
LEDGERS = tuple(f"ledger{number}" for number in range(1, 7))
LEDGER_MIB, REGISTERS_MIB, DEPTH = 16, 1, 4
# How long the whole mesh may take to serve flushed writes again once all is undone.
HEAL_SECONDS_MAX, CATCH_UP_SECONDS_MAX = 20, 60
AVAILABLE_SECONDS, SILENCES_TOLD = 1, 5
# The trial outlasts the faults by so much, so that old primaries are tempted after the healing.
TEMPTATION_SECONDS, TRIAL_INTERVAL_MS = 3, 20
CHUNK_SECONDS, WRITER_END_SECONDS_MAX = 2, 30
ROUNDS_PER_VERDICT, VERDICT_TRIES_MAX = 3, 3
WORK_SECONDS, LOOK_SECONDS = 0.02, 0.1
# From here on a run that has not seen every kind of fault proves less than it promises.
EVERY_KIND_MINUTES = 10
SETUP_SECONDS_MAX, ROUND_SECONDS_MAX = 120, 180


class Writer:
    """flushcheck's writer, on whichever node serves; it ends when its connection does, and goes on to the next ledger."""

    def __init__(self, judges, mesh):
        self.judges, self.mesh, self.thread, self.flushed, self.unfit = judges, mesh, None, 0, []
        self.over, self.turn = threading.Event(), 0

    def start(self):
        self.over.clear()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while not self.over.wait(tools.POLL_SECONDS):
            for node in self.mesh.data_nodes:
                if node.serves(self.ledger) and not self.over.is_set():
                    self.write(node)

    @property
    def ledger(self):
        return LEDGERS[self.turn % len(LEDGERS)]

    def write(self, node):
        """A chunk. It is never killed: what it still had under way could overtake its successor's writes."""
        with self.judges[self.ledger].write(node.uri(self.ledger), CHUNK_SECONDS, depth=DEPTH) as program:
            try:
                code = program.wait(WRITER_END_SECONDS_MAX)
            except measure.Unmeasured as late:
                self.unfit.append(str(late))
                return
            told = program.told()
            self.flushed += told[-1]["flushesAnswered"] + told[-1]["fuaAnswered"] if told else 0
            if any(line.startswith(("flushcheck: the ledger", "flushcheck: ledger")) for line in program.lines):
                self.unfit.append(" | ".join(program.lines))
            # Of the outcomes 3 is the one which a fault makes.
            self.turn += code == 3

    def stop(self):
        self.over.set()
        self.thread.join(WRITER_END_SECONDS_MAX + GRACE_SECONDS)
        if self.thread.is_alive() or self.unfit:
            raise measure.Unmeasured(f"the judge's writer failed: {self.unfit or 'it does not end'}")


class Notes:
    """What the clients of the registers noted so far."""

    def __init__(self, path):
        self.file, self.operations, self.rest = open(path), [], ""

    def read(self):
        *lines, self.rest = (self.rest + self.file.read()).split("\n")
        self.operations += map(linear.parsed, lines)
        return self.operations

    def answered_since(self, began_ns):
        """Whether a write which was begun after that moment has been answered."""
        for each in reversed(self.read()):
            if each.kind == "w" and each.end and each.began >= began_ns:
                return True
            if each.end and each.end < began_ns:
                return False
        return False

    def close(self):
        self.file.close()


class Run:
    """One shape."""

    def __init__(self, findings, mesh, ward, shape, scratch, options):
        self.findings, self.mesh, self.ward, self.shape, self.options = findings, mesh, ward, shape, options
        self.judges = {name: Judge(options.rig, os.path.join(scratch, f"{name}-{shape}"), LEDGER_MIB * MIB)
                       for name in LEDGERS}
        self.writer = Writer(self.judges, mesh)
        self.notes_path = os.path.join(scratch, f"notes-{shape}")
        self.lost, self.dual, self.availability, self.unlawful, self.operations = 0, 0, 0.0, 0, 0

    def uris(self, volume):
        return [node.uri(volume) for node in self.mesh.data_nodes]

    def clients(self, seconds):
        words = [os.path.join(self.options.rig, "registers"), "--notes", self.notes_path, "--seconds", int(seconds)]
        for uri in self.uris(SERVED):
            words += ["--uri", uri]
        return Program(words)

    def torture(self):
        seconds = self.options.minutes * 60
        for name in LEDGERS:
            self.mesh.create_volume(name, f"{LEDGER_MIB}M")
        self.mesh.create_volume(SERVED, f"{REGISTERS_MIB}M")
        open(self.notes_path, "x").close()
        with self.clients(2 * seconds + SETUP_SECONDS_MAX) as clients, contextlib.closing(Notes(self.notes_path)) as notes:
            self.notes = notes
            began_ns = tools.now_ns()
            self.whole("at the beginning")
            self.writer.start()
            try:
                self.rounds(time.monotonic() + seconds)
                ended_ns = tools.now_ns()
                self.writer.stop()
                self.verdict(f"at the end, {self.shape}")
            except measure.Broken as broken:
                # What was noted until then is judged all the same.
                ended_ns = tools.now_ns()
                self.findings.expect(False, str(broken))
            clients.process.terminate()
            clients.wait(GRACE_SECONDS)
            self.judge_registers(began_ns, ended_ns)

    def rounds(self, until):
        for number, drawn in enumerate(plan.rounds(self.options.seed, self.shape), 1):
            if time.monotonic() >= until:
                return
            self.findings.say(f"round {number}, {self.shape}")
            self.round(number, drawn)
            if number % ROUNDS_PER_VERDICT == 0:
                self.writer.stop()
                self.verdict(f"after round {number}, {self.shape}")
                self.writer.start()

    def round(self, number, drawn):
        where = f"round {number}, {self.shape}"
        seconds = math.ceil(max(fault.at + fault.lasting for fault in drawn)) + TEMPTATION_SECONDS
        with Trial(self.options.rig, self.uris(LEDGERS[0]), seconds, TRIAL_INTERVAL_MS) as trial:
            self.ward.begin(drawn)
            while self.ward.work():
                time.sleep(WORK_SECONDS)
            self.ward.heal()
            primary, seconds = self.whole(where)
            self.ward.tell_answers()
            self.findings.say(f"    whole again {seconds:.1f} s after all was undone; {primary.region} is primary")
            while trial.is_running:
                self.ward.supervise()
                time.sleep(LOOK_SECONDS)
            dual = trial.verdict()["dual_accept"]
        self.dual += dual
        self.findings.expect(dual == 0, f"{where}: {dual} accepts in two regions")

    def whole(self, where):
        """Waits until all nodes agree, somebody serves, and a new write is answered: (primary, seconds)."""
        started, began_ns = time.monotonic(), tools.now_ns()

        def served():
            self.ward.supervise()
            primary = all(node.is_running for node in self.mesh.nodes.values()) and self.mesh.agreed(sorted(self.mesh.nodes))
            good = primary and all(map(primary.serves, (*LEDGERS, SERVED))) and self.notes.answered_since(began_ns)
            return primary if good else None

        try:
            primary = tools.wait_until("the mesh is whole", HEAL_SECONDS_MAX, served, poll=LOOK_SECONDS)
        except tools.Late:
            raise measure.Broken(f"{where}: manual repair is needed: no flushed write, or no agreement of all nodes, within "
                                 f"{HEAL_SECONDS_MAX} s after everything was undone") from None
        self.ward.recovered()
        return primary, time.monotonic() - started

    def verdict(self, when):
        """flushcheck's, in the region that is primary now; and nobody may lag behind for ever."""
        started = time.monotonic()
        try:
            faults.await_caught_up(self.mesh, CATCH_UP_SECONDS_MAX)
        except tools.Late:
            self.findings.expect(False, f"{when}: every region holds the whole log within {CATCH_UP_SECONDS_MAX} s")
        caught_up = time.monotonic() - started
        for attempt in range(VERDICT_TRIES_MAX):
            primary, _ = self.whole(when)
            try:
                lost, blocks = self.judged(primary, when)
                break
            except measure.Unmeasured:
                # A busy machine may change its primary under the judge's eyes.
                if attempt + 1 == VERDICT_TRIES_MAX:
                    raise
        self.lost = max(self.lost, lost)
        self.findings.say(f"    verdict: {lost} of {blocks} flushed blocks lost, {self.writer.flushed} flushes so far; "
                          f"all had caught up after {caught_up:.1f} s")

    def judged(self, primary, when):
        """Of all ledgers which have been begun: (blocks lost, blocks flushed)."""
        lost, blocks = 0, 0
        for name, judge in self.judges.items():
            if os.path.exists(judge.ledger):
                # The newest may have been begun a moment ago; the others have something all the same.
                told = faults.judge_ledger(self.findings, self.mesh, judge, primary, name, f"{when}, {name}",
                                           needs_flushes=False)
                lost, blocks = lost + told[0], blocks + told[1]
        if blocks == 0:
            raise measure.Unmeasured(f"{when}: nothing was flushed in any ledger")
        return lost, blocks

    def judge_registers(self, began_ns, ended_ns):
        operations = self.notes.read()
        self.operations = len(operations)
        self.availability = linear.available(operations, began_ns, ended_ns, AVAILABLE_SECONDS * 1_000_000_000)
        found = linear.judged(operations)
        self.unlawful = len(found)
        for register, culprit, story in found:
            self.findings.expect(False, f"{self.shape}: register {register} is linearizable; no order explains: {culprit}")
            for line in story:
                self.findings.say(f"         {line}")
        silent = linear.silences(operations, began_ns, ended_ns, AVAILABLE_SECONDS * 1_000_000_000)
        for first, last in sorted(silent, key=lambda each: each[0] - each[1])[:SILENCES_TOLD]:
            at = first / 1e9 - self.findings.started
            self.findings.say(f"    no flushed write for {(last - first) / 1e9:.1f} s from {at:.2f} s on")
        unknown = sum(each.end is None for each in operations)
        percent = f"{100 * self.availability:.2f} %"
        self.findings.say(f"{self.shape}: {self.operations} reads and writes of registers, {unknown} of unknown outcome; "
                          f"a flushed write was answered within {AVAILABLE_SECONDS} s {percent} of the time")


def keep_logs(mesh, place, shape):
    if place:
        os.makedirs(place, exist_ok=True)
        for node in mesh.nodes.values():
            if os.path.exists(node.log):
                shutil.copy(node.log, os.path.join(place, f"{shape}-{node.region}.log"))


def one_shape(findings, shape, scratch, options, runs):
    title, roles = SHAPES[shape]
    findings.say(f"== {title}: {options.minutes:g} minutes, seed {options.seed}")
    with Cluster(options.bin, roles, namespaces=True) as mesh, contextlib.ExitStack() as stack:
        for node in mesh.data_nodes:
            stack.enter_context(small_disk(node))
        ward = Ward(findings, mesh, options.rig, stack)
        run = Run(findings, mesh, ward, shape, scratch, options)
        runs.append((run, ward))
        try:
            ward.start()
            mesh.ready()
            run.torture()
        except measure.Broken as broken:
            findings.expect(False, str(broken))
        finally:
            keep_logs(mesh, options.logs, shape)
            if findings.broken:
                measure.logs_of(mesh)
        escapes = mesh.powercut_escapes()
        if escapes:
            raise measure.Unmeasured(f"the power cuts prove nothing: {escapes}")


def measure_torture(findings, options):
    shapes = list(SHAPES) if options.shape == "both" else [options.shape]
    runs = []
    with measure.scratch(512 * MIB) as scratch:
        for shape in shapes:
            one_shape(findings, shape, scratch, options, runs)
    counts = {kind: sum(ward.counts[kind] for _, ward in runs) for kind in plan.COUNTED}
    findings.figures = {
        "minutes": options.minutes * len(shapes), "faults": counts, "lost_flushed": sum(run.lost for run, _ in runs),
        "dual_accept": sum(run.dual for run, _ in runs), "nonlinearizable": sum(run.unlawful for run, _ in runs),
        "operations": sum(run.operations for run, _ in runs),
        "availability_percent": round(100 * min(run.availability for run, _ in runs), 2)}
    if findings.broken:
        findings.say(f"again: make torture MINUTES={options.minutes:g} SHAPE={options.shape} SEED={options.seed}")
    elif options.minutes >= EVERY_KIND_MINUTES and not all(counts.values()):
        raise measure.Unmeasured(f"not every kind of fault struck: {counts}")


def main():
    parser = argparse.ArgumentParser(description="random faults at a mesh under load")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--minutes", type=float, default=10, help="for each shape")
    parser.add_argument("--shape", choices=[*SHAPES, "both"], default="both")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of the faults; drawn when not given")
    parser.add_argument("--logs", help="a directory where the agents' whole logs are kept")
    options = parser.parse_args()
    seconds = SETUP_SECONDS_MAX + len(SHAPES) * (2 * options.minutes * 60 + SETUP_SECONDS_MAX + ROUND_SECONDS_MAX)
    return measure.run(seconds, lambda findings: measure_torture(findings, options))


if __name__ == "__main__":
    sys.exit(main())
