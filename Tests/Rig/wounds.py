"""The faults of torture_plan.py, struck at a mesh of real agents and undone, and the supervisor who starts agents again as
a service manager would."""

import collections
import errno
import os
import time

import torture_plan as plan
from clients import Program
from cluster import STOP_SECONDS_MAX, powercut_environment
from full_disk import fill
from measure import Unmeasured
from orders import Orders

# As long as a service manager waits before it starts again what ended by itself.
RESTART_SECONDS = 0.5
# The agent's exit code for "its disk failed" (see holdfast-agent --help).
EXIT_DISK = 74
COMMAND_SECONDS_MAX = 15
FILL_TRIES_MAX = 5
# One life of so many is under powercut.so, where a kill is a power cut.
POWERED_EVERY = 2
# Any volume: where its socket listens, there is the primary.
SERVED = "registers"


class Patient:
    """One node: what is preloaded into it, and why it may be down."""

    def __init__(self, node, rig):
        self.node, self.rig = node, rig
        self.orders = Orders(os.path.join(node.home, "orders"))
        # Not all nodes begin with the same kind of life.
        self.lives = node.id
        self.is_powered, self.due, self.is_paused, self.is_hurt, self.ballast = False, None, False, False, None

    def __str__(self):
        return self.node.region

    @property
    def can_be_struck(self):
        return self.node.is_running and self.due is None and not self.is_paused

    def start(self):
        self.lives += 1
        self.is_powered, self.due, self.is_paused = self.lives % POWERED_EVERY == 0, None, False
        environment = self.orders.environment(self.rig, self.node.data)
        if self.is_powered:
            own = environment["LD_PRELOAD"]
            environment |= powercut_environment(os.path.join(self.rig, "powercut.so"), self.node)
            environment["LD_PRELOAD"] = f"{own}:{environment['LD_PRELOAD']}"
        self.node.start(environment)

    def resume(self):
        if self.is_paused and self.node.is_running:
            self.node.resume()
        self.is_paused = False

    def make_room(self):
        if self.ballast:
            os.remove(self.ballast)
        self.ballast = None

    def last_line(self):
        with open(self.node.log, errors="replace") as log:
            lines = [line.strip() for line in log if line.strip()]
        return lines[-1] if lines else "(nothing)"


class Ward:
    """All nodes of a mesh, and what is being done to them."""

    def __init__(self, findings, mesh, rig, stack):
        self.findings, self.mesh, self.stack = findings, mesh, stack
        self.patients = [Patient(node, rig) for node in mesh.nodes.values()]
        self.counts = collections.Counter({kind: 0 for kind in plan.COUNTED})
        self.agenda, self.asked = [], []
        self.deeds = {plan.KILL: self.kill, plan.ALL_KILLED: self.kill_all, plan.SIGTERM: self.terminate,
                      plan.SIGSTOP: self.pause, plan.ISOLATION: self.isolate, plan.ONE_WAY: self.cut, plan.PAIR: self.cut,
                      plan.FULL: self.fill, plan.SLOW: self.slow, plan.FAILING: self.fail, plan.CLOCK: self.shift,
                      plan.SWITCHOVER: self.switch_over}

    def start(self):
        for patient in self.patients:
            patient.start()

    # Who has a role at this moment.

    def having(self, role):
        able = [patient for patient in self.patients if patient.can_be_struck]
        serving = [patient for patient in able if patient.node.role == "data" and patient.node.serves(SERVED)]
        if role == plan.PRIMARY:
            return serving
        kind = "witness" if role == plan.WITNESS else "data"
        return [patient for patient in able if patient.node.role == kind and patient not in serving]

    def struck(self, fault, role, but=None):
        """Somebody who has the role, else anybody who can be struck; None when there is nobody."""
        able = [patient for patient in self.patients if patient.can_be_struck and patient is not but
                and (fault.kind not in plan.DISK or patient.node.role == "data")]
        chosen = [patient for patient in self.having(role) if patient in able] or able
        return chosen[fault.pick % len(chosen)] if chosen else None

    # What happens in time.

    def begin(self, faults):
        now = time.monotonic()
        self.agenda = [(now + fault.at, lambda fault=fault: self.strike(fault)) for fault in faults]

    def later(self, seconds, deed):
        self.agenda.append((time.monotonic() + seconds, deed))

    def work(self):
        """Does what is due; returns whether anything is left to do."""
        for each in sorted(self.agenda, key=lambda each: each[0]):
            if each[0] <= time.monotonic():
                self.agenda.remove(each)
                each[1]()
        self.supervise()
        now = time.monotonic()
        return bool(self.agenda) or any(patient.due is not None and patient.due > now for patient in self.patients)

    def supervise(self):
        for patient in self.patients:
            if patient.node.is_running:
                continue
            if patient.due is None:
                self.ended(patient)
            if time.monotonic() >= patient.due:
                patient.start()

    def ended(self, patient):
        code = patient.node.process.returncode
        patient.due = time.monotonic() + RESTART_SECONDS
        told = f"{patient}'s agent ended by itself with {code}: {patient.last_line()}"
        if patient.is_hurt and code == EXIT_DISK:
            self.findings.say(f"    {told}")
        else:
            self.findings.expect(False, told)

    def strike(self, fault):
        patient = self.struck(fault, fault.target)
        if patient is None:
            self.findings.say(f"    {fault.kind}: nobody is there to be struck")
            return
        told = self.deeds[fault.kind](fault, patient)
        if told:
            self.findings.say(f"    {told}")

    def count(self, kind):
        self.counts[kind] += 1

    # The deeds. Each returns what to tell, and puts its own undoing on the agenda.

    def kill(self, fault, patient):
        kind = plan.POWER_CUT if patient.is_powered else plan.SIGKILL
        patient.node.kill()
        patient.due = time.monotonic() + fault.lasting
        self.count(kind)
        return f"{kind}: {patient}, started again in {fault.lasting:.1f} s"

    def kill_all(self, fault, _):
        powered = [str(patient) for patient in self.patients if patient.node.is_running and patient.is_powered]
        self.mesh.cut_power()
        for patient in self.patients:
            patient.due, patient.is_paused = time.monotonic() + fault.lasting, False
        self.count(plan.ALL_KILLED)
        return f"all killed, a power cut for {', '.join(powered) or 'nobody'}; started again in {fault.lasting:.1f} s"

    def terminate(self, fault, patient):
        patient.node.ask_to_stop()
        patient.due = time.monotonic() + fault.lasting
        self.count(plan.SIGTERM)
        return f"SIGTERM: {patient}, started again in {fault.lasting:.1f} s"

    def pause(self, fault, patient):
        patient.node.pause()
        patient.is_paused = True
        self.later(fault.lasting, patient.resume)
        self.count(plan.SIGSTOP)
        return f"SIGSTOP: {patient}, for {fault.lasting:.1f} s"

    def isolate(self, fault, patient):
        network = self.mesh.network
        if patient.node.id in network.isolated:
            return f"isolation: {patient} is isolated already"
        network.isolate(patient.node.id)
        self.later(fault.lasting, lambda: network.rejoin(patient.node.id))
        self.count(plan.ISOLATION)
        return f"isolation: {patient}, for {fault.lasting:.1f} s"

    def cut(self, fault, patient):
        network, other = self.mesh.network, self.struck(fault, fault.other, but=patient)
        if other is None:
            return f"{fault.kind}: {patient} has nobody to be cut off from"
        ways = [(patient.node.id, other.node.id), (other.node.id, patient.node.id)][:1 if fault.kind == plan.ONE_WAY else 2]
        ways = [way for way in ways if way not in network.cuts]
        for way in ways:
            network.cut(*way)
            self.later(fault.lasting, lambda way=way: network.mend(*way))
        self.count(fault.kind)
        return f"{fault.kind}: {patient} {'-/->' if fault.kind == plan.ONE_WAY else '<-/->'} {other}, for {fault.lasting:.1f} s"

    def fill(self, fault, patient):
        patient.is_hurt = True
        if not self.load(patient, fault.amount):
            return f"full disk: {patient} has no room left that could be taken"
        self.later(fault.lasting, patient.make_room)
        self.count(plan.FULL)
        return f"full disk: {patient}, {fault.amount} MiB left, for {fault.lasting:.1f} s"

    def load(self, patient, left_mib):
        """Whether the ballast is there: the agent takes room at the same time, so that ours may be gone."""
        for _ in range(FILL_TRIES_MAX):
            try:
                patient.ballast = fill(patient.node, left_mib)
                return True
            except Unmeasured:
                return False
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                os.remove(os.path.join(patient.node.data, "ballast"))
        return False

    def slow(self, fault, patient):
        patient.is_hurt = True
        patient.orders["sync_delay_ns"] = fault.amount * 1_000_000
        self.later(fault.lasting, patient.orders.revoke)
        self.count(plan.SLOW)
        return f"slow disk: {patient}, {fault.amount} ms for each sync, for {fault.lasting:.1f} s"

    def fail(self, fault, patient):
        patient.is_hurt, before = True, patient.orders["syncs_failed"]
        patient.orders["syncs_to_fail"] = 1

        def over():
            patient.orders["syncs_to_fail"] = 0
            if patient.orders["syncs_failed"] == before:
                self.findings.say(f"    failing disk: {patient} synced nothing, so nothing failed")
            else:
                self.count(plan.FAILING)
        self.later(fault.lasting, over)
        return f"failing disk: {patient}, its next sync gives EIO"

    def shift(self, fault, patient):
        wall, rate = fault.amount
        patient.orders.shift_clock(int(wall * 1e9), rate)
        self.later(fault.lasting, lambda: patient.orders.shift_clock(0, 0))
        self.count(plan.CLOCK)
        return f"clock: {patient}'s wall clock off by {wall:+.0f} s, its boot clock by {rate:+} ppm, for {fault.lasting:.1f} s"

    def switch_over(self, fault, patient):
        followers = self.having(plan.FOLLOWER)
        primary = self.having(plan.PRIMARY)
        if not followers or not primary:
            return "switchover: no primary to ask, or no region to name"
        heir, node = followers[fault.pick % len(followers)], primary[0].node
        asked = self.stack.enter_context(Program(
            [self.mesh.program("holdfast"), "--socket", f"{node.run}/admin.sock", "switchover", heir.node.region, "--yes"]))
        self.asked.append((f"switchover to {heir}", asked))
        self.count(plan.SWITCHOVER)
        return f"switchover: {primary[0]} is asked to hand over to {heir}"

    # The end of a round.

    def heal(self):
        """Undoes what is left, and starts who is down; whether the mesh then becomes whole is its own affair."""
        for _, deed in self.agenda:
            deed()
        self.agenda = []
        self.mesh.heal()
        for patient in self.patients:
            patient.resume()
            patient.make_room()
            patient.orders.revoke()
            if patient.due is not None and not patient.node.stop():
                self.findings.say(f"    {patient} did not stop within {STOP_SECONDS_MAX} s of SIGTERM and was killed")
            if not patient.node.is_running:
                if patient.due is None:
                    self.ended(patient)
                patient.start()

    def tell_answers(self):
        for what, program in self.asked:
            code = program.wait(COMMAND_SECONDS_MAX)
            self.findings.say(f"    {what}: exit {code}{', ' + program.lines[-1] if program.lines else ''}")
        self.asked = []

    def recovered(self):
        """The mesh is whole: from now on nobody has an excuse for ending."""
        for patient in self.patients:
            patient.is_hurt = False
