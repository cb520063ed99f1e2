"""What is done to the mesh, drawn from a seed: rounds of faults, each round healed as a whole. Pure: the same seed and shape
give the same plan, whatever the mesh then does.

The atlas: nothing that is drawn makes a disk forget what it synced, so no acknowledged write may be lost, whatever strikes
at once. In one round at most one node's disk is hurt: each of these ends its agent or stalls it, and the mesh is to show
what it does with a minority of bad disks rather than with none.
"""

import random
from collections import namedtuple

# `at` and `lasting` in seconds from the round's begin; `target` and `other` name roles, since who is primary is known only
# when it strikes; `pick` chooses among those who have the role; `amount` is the kind's own.
Fault = namedtuple("Fault", "at kind target other pick lasting amount")

# A kill is a power cut, too, when the agent happens to run under powercut.so; both are counted, under those names.
KILL, ALL_KILLED, SIGTERM, SIGSTOP = "kill", "all killed", "SIGTERM", "SIGSTOP"
ISOLATION, ONE_WAY, PAIR = "isolation", "one-way cut", "pair cut"
FULL, SLOW, FAILING = "full disk", "slow disk", "failing disk"
CLOCK, SWITCHOVER = "clock", "switchover"
SIGKILL, POWER_CUT = "SIGKILL", "power cut"
COUNTED = (SIGKILL, POWER_CUT, ALL_KILLED, SIGTERM, SIGSTOP, ISOLATION, ONE_WAY, PAIR, FULL, SLOW, FAILING, CLOCK, SWITCHOVER)
# One of each for every turn of the bag; the likeliest accident twice, because it is two kinds.
BAG = (KILL, KILL, ALL_KILLED, SIGTERM, SIGSTOP, ISOLATION, ONE_WAY, PAIR, FULL, SLOW, FAILING, CLOCK, SWITCHOVER)
DISK = (FULL, SLOW, FAILING)

PRIMARY, FOLLOWER, WITNESS = "primary", "follower", "witness"
# The primary is whom it hurts most.
ROLES = {"three": (PRIMARY, PRIMARY, FOLLOWER, FOLLOWER), "witness": (PRIMARY, PRIMARY, FOLLOWER, WITNESS)}
FAULTS_MAX = 4
FIRST_SECONDS, LAST_SECONDS = 0.5, 4.5
# Everything is over by then, and healed.
ROUND_SECONDS = 8.0
LASTING = {KILL: (0.1, 4.0), ALL_KILLED: (0.1, 1.0), SIGTERM: (0.1, 2.0), SIGSTOP: (0.1, 5.0), ISOLATION: (0.3, 6.0),
           ONE_WAY: (0.3, 6.0), PAIR: (0.3, 6.0), FULL: (1.0, 5.0), SLOW: (1.0, 5.0), FAILING: (0.5, 2.0),
           CLOCK: (2.0, 7.0), SWITCHOVER: (0.0, 0.0)}
# MiB that are left of the disk: below the agent's reserve, or nothing.
LEFT_MIB = (120, 2)
DELAY_MS = (2, 10, 50, 200, 1000)
# Within what certificates and leases allow: 300 s of slack, and 5 ‰ of drift between two clocks.
WALL_SECONDS_MAX, BOOT_PPM_MAX = 200, 2000


class Bag:
    """Every kind comes up before any comes up too often."""

    def __init__(self, chance):
        self.chance, self.kinds = chance, []

    def draw(self, unwanted=()):
        if not any(kind not in unwanted for kind in self.kinds):
            fresh = list(BAG)
            self.chance.shuffle(fresh)
            self.kinds = fresh + self.kinds
        index = max(index for index, kind in enumerate(self.kinds) if kind not in unwanted)
        return self.kinds.pop(index)


def amount(chance, kind):
    if kind == FULL:
        return chance.choice(LEFT_MIB)
    if kind == SLOW:
        return chance.choice(DELAY_MS)
    if kind == CLOCK:
        return chance.uniform(-WALL_SECONDS_MAX, WALL_SECONDS_MAX), chance.randint(-BOOT_PPM_MAX, BOOT_PPM_MAX)
    return None


def fault(chance, kind, shape):
    at = chance.uniform(FIRST_SECONDS, LAST_SECONDS)
    target = chance.choice(ROLES[shape])
    if kind in DISK and target == WITNESS:
        target = FOLLOWER
    other = chance.choice([role for role in ROLES[shape] if role != target])
    lasting = min(chance.uniform(*LASTING[kind]), ROUND_SECONDS - at)
    return Fault(round(at, 3), kind, target, other, chance.randrange(1 << 16), round(lasting, 3), amount(chance, kind))


def rounds(seed, shape):
    """The plan, without an end."""
    chance = random.Random(f"{seed} {shape}")
    bag = Bag(chance)
    while True:
        drawn = []
        for _ in range(chance.randint(1, FAULTS_MAX)):
            hurt = any(each.kind in DISK for each in drawn)
            drawn.append(fault(chance, bag.draw(DISK if hurt else ()), shape))
        yield sorted(drawn)
