"""Is a history of reads and writes of registers linearizable? Each register is judged alone, which is enough (Herlihy and
Wing 1990, locality); the search is Wing and Gong's with Lowe's remedies (2017): it goes through the history in order of
time, and keeps every way in which what goes on at that moment may have taken effect so far.

Its state is bounded by what overlaps: an operation that has returned is in every way that is left, and forgotten.
"""

import collections

# Each value is written once in a history, and this one never: what a register holds before its first write.
NEVER_WRITTEN = "0"
# The ways kept at a time: beyond it the history is too tangled to judge, which is no verdict.
WAYS_MAX = 1 << 16
STORY_OPERATIONS = 6


class Tangled(Exception):
    """More ways than WAYS_MAX: nothing is said about the history."""


class Operation:
    """A write with no `end` may have taken effect at any time after its beginning, or never."""

    __slots__ = ("client", "kind", "register", "value", "began", "end")

    def __init__(self, client, kind, register, value, began, end):
        self.client, self.kind, self.register, self.value, self.began, self.end = client, kind, register, value, began, end

    def __str__(self):
        deed = "wrote" if self.kind == "w" else "read"
        return f"client {self.client} {deed} {self.value}, {self.began} … {self.end or 'unknown'}"


def parsed(line):
    client, kind, register, value, began, end = line.split()
    return Operation(client, kind, register, value, int(began), None if end == "unknown" else int(end))


def with_every_end(operations):
    """Writes of unknown outcome get the latest end that what was read allows, or go: whoever reads a value proves that its
    write took effect before, and a write that nobody read changes nothing for anybody."""
    first_seen = {}
    for each in operations:
        if each.kind == "r":
            first_seen[each.value] = min(each.end, first_seen.get(each.value, each.end))
    kept = []
    for each in operations:
        end = first_seen.get(each.value) if each.end is None else each.end
        if end is not None:
            kept.append(Operation(each.client, each.kind, each.register, each.value, each.began, end))
    return kept


def ways_on(ways, pending, bit):
    """Every way on from these in which `bit` has taken effect, other pending operations before it or not."""
    done, left, seen = set(), list(ways), set(ways)
    while left:
        value, effects = left.pop()
        if effects & bit:
            done.add((value, effects))
            continue
        for other, operation in pending.items():
            if effects & other or (operation.kind == "r" and operation.value != value):
                continue
            way = (operation.value, effects | other)
            if way not in seen:
                seen.add(way)
                left.append(way)
        if len(seen) > WAYS_MAX:
            raise Tangled(f"more than {WAYS_MAX} ways")
    return done


def moments(operations):
    """(time, whether it is an end, number): at one time beginnings come first, so that touching counts as overlapping."""
    return sorted([(each.began, False, number) for number, each in enumerate(operations)] +
                  [(each.end, True, number) for number, each in enumerate(operations)])


def first_unlawful(operations):
    """The operation of one register at whose end no way is left, or None."""
    operations = with_every_end(operations)
    begun = {each.value: each.began for each in operations if each.kind == "w"}
    for each in operations:
        # No order explains a value from nowhere, or from the future.
        if each.kind == "r" and each.value != NEVER_WRITTEN and begun.get(each.value, each.end + 1) > each.end:
            return each
    ways, pending, bits = {(NEVER_WRITTEN, 0)}, {}, {}
    for _, is_end, number in moments(operations):
        if not is_end:
            bit = 1
            while bit in pending:
                bit <<= 1
            pending[bit], bits[number] = operations[number], bit
            continue
        bit = bits.pop(number)
        ways = {(value, effects & ~bit) for value, effects in ways_on(ways, pending, bit)}
        del pending[bit]
        if not ways:
            return operations[number]
    return None


def story(operations, culprit):
    """What happened around it, for people."""
    near = sorted((each for each in operations if each.began <= culprit.end), key=lambda each: each.began)
    return [str(each) for each in near[-STORY_OPERATIONS:]]


def judged(operations):
    """[(register, the operation that no order explains, its story)] of all registers which aren't linearizable."""
    by_register = collections.defaultdict(list)
    for each in operations:
        by_register[each.register].append(each)
    found = []
    for register, of_it in sorted(by_register.items()):
        culprit = first_unlawful(of_it)
        if culprit:
            found.append((register, culprit, story(of_it, culprit)))
    return found


def silences(operations, began, ended, within):
    """The times between `began` and `ended` at which no write could be issued that was answered `within` so long.

    A write that was issued at i and answered at a speaks for every moment from a − within to i: who wanted to write then
    had an answer in time.
    """
    found, reached = [], began
    for each in sorted((each for each in operations if each.kind == "w" and each.end), key=lambda each: each.end):
        first, last = each.end - within, min(each.began, ended)
        if last <= max(first, reached):
            continue
        if first > reached:
            found.append((reached, first))
        reached = last
    return found + [(reached, ended)] * (reached < ended)


def available(operations, began, ended, within):
    """The share of the time which isn't silence."""
    return 1 - sum(last - first for first, last in silences(operations, began, ended, within)) / (ended - began)
