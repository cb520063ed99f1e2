"""Tests of what `make torture` judges and strikes with: histories known to be good or bad, plans, shims, and clients."""

import contextlib
import errno
import io
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time

import linear
import torture
import torture_plan as plan
import wounds
from linear import Operation
from orders import Orders
from test_measures import measured

RIG = os.path.abspath(sys.argv[1])
HISTORIES, OPERATIONS_MAX = 3000, 6
RUN_SECONDS_MAX = 20


def history(text):
    """`w1 0 10, r1 5 20, w2 30 -`: kind and value, begun at, ended at; a dash where the end is unknown."""
    operations = []
    for client, words in enumerate(text.split(",")):
        deed, began, end = words.split()
        operations.append(Operation(str(client), deed[0], "0", deed[1:], int(began), None if end == "-" else int(end)))
    return operations


def is_lawful(text):
    return linear.first_unlawful(history(text)) is None


def good_histories_are_accepted():
    for text in ("w1 0 10, r1 20 30", "r0 0 10", "w1 0 10, r0 5 20", "w1 0 100, w2 0 100, r1 110 120, r1 130 140",
                 "w1 0 100, r1 10 20, r1 30 40", "w1 0 10, w2 20 100, r2 30 40, r2 50 60", "w1 0 100, r0 10 20, r1 30 40",
                 # Of unknown outcome: never, at once, or late.
                 "w1 0 10, w2 20 -, r1 30 40", "w1 0 10, w2 20 -, r2 30 40", "w1 0 10, w2 20 -, r1 30 40, r2 500 600",
                 "w1 0 10, w2 20 -, w3 30 40, r3 50 60, r2 70 80", "w1 0 -, w2 5 -, r2 10 20, r1 30 40",
                 # Touching counts as overlapping.
                 "w1 0 10, r0 10 20"):
        assert is_lawful(text), text


def bad_histories_are_refused():
    for what, text in (
            ("a stale read", "w1 0 10, w2 20 30, r1 40 50"), ("a lost write", "w1 0 10, r0 20 30"),
            ("a value nobody wrote", "w1 0 10, r7 20 30"), ("torn", "w1 0 10, rtorn 20 30"),
            ("from the future", "r1 0 10, w1 20 30"), ("from the future, unknown", "r1 0 10, w1 20 -"),
            ("new, then old", "w1 0 100, r1 10 20, r0 30 40"), ("back and forth", "w1 0 100, w2 0 100, r1 110 120, r2 130 140"),
            ("unknown, seen, then gone", "w1 0 10, w2 20 -, r2 30 40, r1 50 60"),
            ("unknown, but twice", "w1 0 10, w2 20 -, r2 30 40, w3 50 60, r3 70 80, r2 90 95")):
        assert not is_lawful(text), what


def explained(operations):
    """By brute force, from the definition: is there an order of all that ended and some of the unknown that is lawful?"""
    known = [each for each in operations if each.end is not None]
    unknown = [each for each in operations if each.end is None]
    for count in range(len(unknown) + 1):
        for some in itertools.combinations(unknown, count):
            for order in itertools.permutations(known + list(some)):
                if in_time(order) and as_register(order):
                    return True
    return False


def in_time(order):
    return not any(later.end is not None and later.end < earlier.began
                   for index, earlier in enumerate(order) for later in order[index + 1:])


def as_register(order):
    value = linear.NEVER_WRITTEN
    for each in order:
        if each.kind == "w":
            value = each.value
        elif each.value != value:
            return False
    return True


def drawn(chance):
    operations, written = [], 0
    for client in range(chance.randint(2, OPERATIONS_MAX)):
        began = chance.randrange(20)
        end = began + chance.randint(1, 8)
        if chance.random() < 0.5:
            written += 1
            operations.append(Operation(str(client), "w", "0", str(written), began, None if chance.random() < 0.3 else end))
        else:
            operations.append(Operation(str(client), "r", "0", str(chance.randint(0, written)), began, end))
    return operations


def the_checker_agrees_with_the_definition():
    chance, verdicts = random.Random(5), [0, 0]
    for _ in range(HISTORIES):
        operations = drawn(chance)
        lawful = explained(operations)
        verdicts[lawful] += 1
        assert (linear.first_unlawful(operations) is None) == lawful, [str(each) for each in operations]
    assert min(verdicts) > HISTORIES // 10, verdicts


def registers_are_judged_one_by_one():
    operations = history("w1 0 10, r1 20 30")
    for each in history("w2 0 10, r0 20 30"):
        each.register = "1"
        operations.append(each)
    assert [register for register, *_ in linear.judged(operations)] == ["1"]


def a_long_history_is_judged_in_good_time():
    chance, operations, value = random.Random(1), [], "0"
    for number in range(1, 40_000):
        at = number * 10
        if chance.random() < 0.5:
            value = str(number)
            operations.append(Operation("1", "w", "0", value, at - 25, at + 3 if chance.random() < 0.99 else None))
        else:
            operations.append(Operation("1", "r", "0", value, at - 15, at + 4))
    started = time.monotonic()
    assert linear.first_unlawful(operations) is None and time.monotonic() - started < RUN_SECONDS_MAX
    operations.append(Operation("1", "r", "0", "0", number * 10 + 50, number * 10 + 60))
    assert linear.first_unlawful(operations) is operations[-1] or linear.first_unlawful(operations).value == "0"


def availability_is_the_share_of_moments_with_an_answer_in_time():
    for text, share in (("w1 0 10, w2 100 110", 0.4), ("w1 0 -", 0.0), ("r0 0 100", 0.0), ("w1 0 60, w2 100 160", 0.0),
                        ("w1 0 10, w2 20 30, w3 60 70, w4 90 100, w5 100 101", 1.0), ("w1 0 10, w2 80 100", 0.3)):
        found = linear.available(history(text), 0, 100, 50)
        assert abs(found - share) < 0.001, (text, found)
    assert linear.silences(history("w1 0 10, w2 80 100"), 0, 100, 50) == [(0, 50), (80, 100)]


def a_plan_follows_from_its_seed_alone():
    def first(seed, shape):
        return list(itertools.islice(plan.rounds(seed, shape), 60))
    assert first(7, "witness") == first(7, "witness") != first(8, "witness")
    for shape in plan.ROLES:
        faults = [fault for drawn in first(7, shape) for fault in drawn]
        assert {fault.kind for fault in faults} == set(plan.BAG)
        assert all(fault.at + fault.lasting <= plan.ROUND_SECONDS + 0.001 for fault in faults)
        assert all(fault.target != plan.WITNESS for fault in faults if fault.kind in plan.DISK)
        assert all(sum(fault.kind in plan.DISK for fault in drawn) <= 1 for drawn in first(7, shape))


# What an agent does, in small: it reads both clocks, syncs a file and its directory, and says what became of it.
SYNCER = """
import os, sys, time
print(int(time.time()), time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.monotonic_ns(), flush=True)
for line in sys.stdin:
    began, errors = time.monotonic(), []
    for path, flags in ((sys.argv[1] + "/file", os.O_RDWR | os.O_CREAT), (sys.argv[1], os.O_RDONLY)):
        descriptor = os.open(path, flags)
        try:
            os.fsync(descriptor)
        except OSError as error:
            errors.append(error.errno)
        os.close(descriptor)
    print(time.monotonic() - began, errors, int(time.time()), time.clock_gettime_ns(time.CLOCK_BOOTTIME), flush=True)
"""


class Syncer:
    def __init__(self, place, orders, watched):
        environment = os.environ | orders.environment(RIG, watched)
        self.process = subprocess.Popen([sys.executable, "-c", SYNCER, place], env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def sync(self):
        """(seconds, errors, wall clock, boot clock)"""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return eval(self.process.stdout.readline().replace("] ", "],").replace(" [", ",[").replace(" ", ","))

    def close(self):
        self.process.stdin.close()
        self.process.wait(RUN_SECONDS_MAX)
        self.process.stdout.close()


def syncs_are_slow_or_fail_as_ordered_below_one_directory():
    with tempfile.TemporaryDirectory() as place:
        for name in ("disk", "disk2"):
            os.mkdir(os.path.join(place, name))
        orders = Orders(os.path.join(place, "orders"))
        inside, outside = (Syncer(os.path.join(place, name), orders, os.path.join(place, "disk")) for name in ("disk", "disk2"))
        try:
            assert inside.sync()[1] == [] and inside.sync()[0] < 0.2
            orders["sync_delay_ns"] = 150_000_000
            assert 0.3 <= inside.sync()[0] < 2 and outside.sync()[0] < 0.15
            orders["sync_delay_ns"], orders["syncs_to_fail"] = 0, 1
            assert outside.sync()[1] == [] and inside.sync()[1] == [errno.EIO] and inside.sync()[1] == []
            assert orders["syncs_failed"] == 1 and orders["syncs_to_fail"] == 0
        finally:
            inside.close(), outside.close()


def clocks_are_wrong_as_ordered_and_the_boot_clock_never_jumps():
    with tempfile.TemporaryDirectory() as place:
        orders = Orders(os.path.join(place, "orders"))
        syncer = Syncer(place, orders, place)

        def told():
            before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            _, _, wall, boot = syncer.sync()
            return wall - time.time(), boot - before, boot
        try:
            assert -2 < told()[0] <= 0 and told()[1] < 200_000_000
            orders.shift_clock(-100_000_000_000, 200_000)
            first = told()
            assert -102 < first[0] < -98 and first[1] < 400_000_000, first
            time.sleep(1)
            second = told()
            assert 150_000_000 < second[1] - first[1] < 600_000_000, (first, second)
            orders.revoke()
            third = told()
            assert third[2] > second[2] and -2 < third[0] <= 0 and third[1] > 150_000_000, (second, third)
        finally:
            syncer.close()


def shims_without_orders_refuse():
    for name in ("diskfault.so", "clockshift.so"):
        done = subprocess.run(["/bin/true"], env=os.environ | {"LD_PRELOAD": os.path.join(RIG, name)}, capture_output=True)
        assert done.returncode == 127 and b"must name" in done.stderr, done


def registered(place, *filters, seconds=2):
    """The operations of some clients on one nbdkit."""
    socket, notes = os.path.join(place, "s"), os.path.join(place, "notes")
    server = subprocess.Popen(["nbdkit", "-f", "-U", socket, *filters], stderr=subprocess.DEVNULL)
    try:
        torture.tools.wait_until("the server is up", 5, lambda: os.path.exists(socket))
        done = subprocess.run([os.path.join(RIG, "registers"), "--uri", f"nbd+unix:///?socket={place}/none", "--uri",
                               f"nbd+unix:///?socket={socket}", "--notes", notes, "--seconds", str(seconds), "--registers", "4"],
                              capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
    finally:
        server.kill()
        server.wait(5)
    assert done.returncode == 0 and json.loads(done.stdout)["kept"], done
    with open(notes) as file:
        return [linear.parsed(line) for line in file]


def registers_of_an_honest_disk_are_linearizable():
    with tempfile.TemporaryDirectory() as place:
        operations = registered(place, "memory", "1M")
        assert len(operations) > 100 and linear.judged(operations) == []
        assert {each.kind for each in operations} == {"r", "w"} and len({each.client for each in operations}) == 4


def a_disk_that_reads_stale_is_convicted():
    with tempfile.TemporaryDirectory() as place:
        script = os.path.join(place, "plugin.sh")
        with open(script, "w") as file:
            file.write(FORGETFUL)
        os.chmod(script, 0o755)
        operations = registered(place, "sh", script)
        assert linear.judged(operations), len(operations)


# It forgets one write in eight.
FORGETFUL = """#!/bin/bash
disk=$tmpdir/disk
case "$1" in
    get_size) echo 1048576 ;;
    open) [ -e $disk ] || truncate -s 1M $disk ;;
    can_write|can_flush|can_fua) [ "$1" = can_fua ] && echo native; exit 0 ;;
    pread) dd if=$disk iflag=skip_bytes,count_bytes bs=64K skip=$4 count=$3 status=none ;;
    pwrite) [ $((RANDOM % 8)) = 0 ] && disk=$tmpdir/gone
            dd of=$disk oflag=seek_bytes conv=notrunc bs=64K seek=$4 status=none ;;
    flush) exit 0 ;;
    *) exit 2 ;;
esac
"""


def tortured(kind, sins=""):
    """The stand-in mesh, whose primary is struck again and again in one way."""
    usual = plan.rounds
    plan.rounds = lambda seed, shape: itertools.repeat([plan.Fault(0.5, kind, plan.PRIMARY, plan.FOLLOWER, 0, 2.5, None)])
    try:
        # The logs of convicted agents would only be in the way here.
        with contextlib.redirect_stderr(io.StringIO()):
            return measured(torture.measure_torture, sins, shape="three", minutes=0.15, seed=1, logs=None)
    finally:
        plan.rounds = usual


def an_honest_mesh_stands_the_torture():
    findings = tortured(plan.KILL)
    figures = findings.figures
    assert not findings.broken and figures["lost_flushed"] == figures["nonlinearizable"] == 0, findings.broken
    assert figures["operations"] > 100 and 50 < figures["availability_percent"] <= 100, figures
    # Which of the two depends on the life that is struck, and a slow machine has few of them.
    assert figures["faults"][plan.SIGKILL] + figures["faults"][plan.POWER_CUT] > 1, figures


def a_nodes_lives_end_in_turn_by_a_kill_and_by_a_power_cut():
    class Started:
        """What of a node a patient needs to start it."""

        def __init__(self, number, home):
            self.id, self.home, self.data, self.environments = number, home, os.path.join(home, "data"), []

        def start(self, environment):
            self.environments.append(environment)

    for number in (1, 2):
        with tempfile.TemporaryDirectory() as home:
            node = Started(number, home)
            patient = wounds.Patient(node, RIG)
            for _ in range(4):
                patient.start()
            powered = ["powercut.so" in each["LD_PRELOAD"] for each in node.environments]
            assert powered == [number == 1, number == 2] * 2, powered


def a_forgetful_mesh_is_convicted_by_both_judges():
    findings = tortured(plan.KILL, "forgets")
    assert findings.figures["lost_flushed"] > 0 and findings.figures["nonlinearizable"] > 0, findings.figures


def a_mesh_that_does_not_sync_is_convicted_by_its_power_cuts():
    # Whoever is primary when all are killed: a busy machine may have moved it before.
    usual, wounds.POWERED_EVERY = wounds.POWERED_EVERY, 1
    try:
        findings = tortured(plan.ALL_KILLED, "lazy")
    finally:
        wounds.POWERED_EVERY = usual
    assert findings.figures["lost_flushed"] > 0 and findings.figures["nonlinearizable"] > 0, findings.figures


def two_open_exports_are_convicted_under_torture():
    findings = tortured(plan.ISOLATION, "clings")
    assert findings.figures["dual_accept"] > 0 and any("two regions" in each for each in findings.broken), findings.broken


def a_mesh_that_does_not_heal_is_convicted():
    usual, torture.HEAL_SECONDS_MAX = torture.HEAL_SECONDS_MAX, 5
    try:
        findings = tortured(plan.KILL, "stays")
    finally:
        torture.HEAL_SECONDS_MAX = usual
    assert any("manual repair" in each for each in findings.broken), findings.broken


TESTS = [
    good_histories_are_accepted, bad_histories_are_refused, the_checker_agrees_with_the_definition,
    registers_are_judged_one_by_one, a_long_history_is_judged_in_good_time,
    availability_is_the_share_of_moments_with_an_answer_in_time, a_plan_follows_from_its_seed_alone,
    syncs_are_slow_or_fail_as_ordered_below_one_directory, clocks_are_wrong_as_ordered_and_the_boot_clock_never_jumps,
    shims_without_orders_refuse, registers_of_an_honest_disk_are_linearizable, a_disk_that_reads_stale_is_convicted,
    an_honest_mesh_stands_the_torture, a_nodes_lives_end_in_turn_by_a_kill_and_by_a_power_cut,
    a_forgetful_mesh_is_convicted_by_both_judges,
    a_mesh_that_does_not_sync_is_convicted_by_its_power_cuts, two_open_exports_are_convicted_under_torture,
    a_mesh_that_does_not_heal_is_convicted,
]
