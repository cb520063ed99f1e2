"""One fault against the acting primary while a judge writes and a trial keeps asking every region: the common part of
`make demo` and `make takeover`."""

import time

from clients import Judge, Trial
from measure import Broken, Unmeasured
import tools

KINDS = ("SIGKILL", "SIGSTOP", "partition")
# How long the returned old primary is tempted before the trial's verdict.
TEMPTATION_SECONDS = 0.7
WARM_SECONDS_MAX = 15


class Fault:
    """Applied to a node, and undone."""

    def __init__(self, kind, mesh, node):
        if kind not in KINDS:
            raise ValueError(f"a fault is one of {KINDS}, not {kind}")
        self.kind, self.mesh, self.node = kind, mesh, node

    def strike(self):
        """Returns the nanoseconds just before it."""
        if self.kind == "SIGKILL":
            return self.node.kill()
        return self.node.pause() if self.kind == "SIGSTOP" else self.mesh.isolate(self.node.id)

    def undo_while_tried(self):
        """A paused or cut-off primary comes back while clients still ask it; a dead one stays dead until `restart`."""
        if self.kind == "SIGSTOP":
            self.node.resume()
        elif self.kind == "partition":
            self.mesh.heal()


class Takeover:
    """What was seen of one takeover."""

    def __init__(self, fault_ns, accepted_ns, winner, trial, flushes):
        self.seconds = (accepted_ns - fault_ns) / 1e9
        self.winner, self.flushes = winner, flushes
        self.dual_accept, self.overlapping = trial["dual_accept"], trial["overlapping"]


def await_winner(trial, kind, seconds, old, fault_ns):
    """No takeover while clients ask is a broken promise, and not the rig's failure."""
    try:
        return trial.await_accepted("another region accepts", seconds, other_than=old, after_ns=fault_ns)
    except tools.Late:
        raise Broken(f"no other region accepted a flushed write within {seconds} s of {kind}") from None


def take_over(mesh, kind, judge, volume, rig, trial_seconds, warm_seconds=1.0, before=None, after=None):
    """Strikes the primary in mid-write; `before()` is called just before, `after()` once another region has accepted.

    The time runs from the fault to the answer of the first flushed write on another node, as a client sees it.
    """
    nodes = mesh.data_nodes
    primary = mesh.primary()
    if primary is None:
        raise Unmeasured("no region says that it acts as primary")
    old = nodes.index(primary)
    with judge.write(primary.uri(volume), trial_seconds) as writer, \
            Trial(rig, [node.uri(volume) for node in nodes], trial_seconds) as trial:
        trial.await_accepted("the primary accepts a flushed write", WARM_SECONDS_MAX, index=old)
        time.sleep(warm_seconds)
        if not writer.is_running:
            raise Unmeasured(f"the judge's writer ended before the fault: {list(writer.lines)[-3:]}")
        if before:
            before()
        fault = Fault(kind, mesh, primary)
        fault_ns = fault.strike()
        winner, accepted_ns = await_winner(trial, kind, trial_seconds, old, fault_ns)
        if after:
            after()
        if kind != "SIGKILL":
            time.sleep(TEMPTATION_SECONDS)
            fault.undo_while_tried()
        verdict = trial.verdict()
        # 3: the connection was lost, which is what the fault is for.
        written = writer.report(trial_seconds + 15, good=(0, 3))
    if written["flushesAnswered"] + written["fuaAnswered"] == 0:
        raise Unmeasured("not one write was flushed before the fault")
    flushes = written["flushesAnswered"] + written["fuaAnswered"]
    return Takeover(fault_ns, accepted_ns, nodes[winner], verdict, flushes)


def judge_ledger(findings, mesh, judge, node, volume, when, needs_flushes=True):
    """Verifies the ledger on a node; returns the counts of lost and of flushed blocks."""
    mesh.await_served(node, volume)
    told = judge.verify(node.uri(volume), needs_flushes)
    faults = Judge.faults(told)
    findings.expect(not faults, f"flushcheck {when}: {faults} of {told['blocksFlushed']} flushed blocks")
    return told["lostFlushed"], told["blocksFlushed"]


def await_caught_up(mesh, seconds):
    tools.wait_until("every data node is linked and holds the whole log", seconds, mesh.is_caught_up, poll=0.1)


def await_heir(mesh, heir, seconds):
    """The primary is dead; `heir` serves next. An election knows the order of the regions by fractions of its timeout,
    which a starved machine passes over (that it is kept otherwise is for RaftTests to show): then it is asked for."""
    winner = tools.wait_until("another region is primary", seconds, mesh.primary)
    if winner is not heir:
        winner.holdfast("switchover", heir.region, "--yes")
        tools.wait_until(f"{heir.region} is primary", seconds, lambda: mesh.primary() is heir)
    return heir


def totals(runs):
    """Of (lost, flushed, differing) of each shape."""
    return dict(zip(("lost_flushed", "blocks_flushed", "differing"), (sum(each) for each in zip(*runs))))
