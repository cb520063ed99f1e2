"""`make mutants`: is every planted bug found by the simulator?

Each mutant is hunted in a process of its own, since an invariant of the cores may stop it. First the same build
runs the same seeds without one, and may find nothing.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

# A hunt that hangs is no find.
HUNT_SECONDS_MAX = 1_800
CAUSE_LETTERS_MAX = 64


class Hunt:
    def __init__(self, name):
        self.name, self.seeds, self.simulated, self.shape, self.cause = name, 0, 0.0, "", None

    def run(self, simulate, seeds):
        command = [simulate, "--hunt", "--mutant", self.name, "--seeds", str(seeds)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=HUNT_SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired:
            return self
        for line in done.stdout.splitlines():
            kind, _, rest = line.partition(": ")
            if kind == "hunting":
                self.seeds, self.shape = self.seeds + 1, rest.split()[-1]
            elif kind == "simulated":
                self.simulated += float(rest)
            elif kind == "found":
                self.cause = cause(rest)
        if self.cause is None and done.returncode < 0:
            broken = re.search(r"invariant broken: (.*)|Fatal error: (.*)", done.stderr)
            said = next((group for group in broken.groups() if group), "") if broken else ""
            self.cause = "invariant: " + shortened(said or f"signal {-done.returncode}")
        elif self.cause is None and done.returncode != 1:
            sys.exit(f"mutants: {self.name}: {done.stderr.strip() or done.stdout.strip()}")
        return self

    def line(self):
        found = self.cause or "SURVIVES"
        return f"| {self.name} | {found} | {self.shape} | {self.seeds} | {self.simulated:.0f} |"


def cause(violation):
    """The promise that was broken, without what is of this run alone."""
    promise, colon, _ = violation.partition(": ")
    return promise if colon and len(promise) <= CAUSE_LETTERS_MAX else shortened(violation)


def shortened(text):
    text = re.sub(r"\d+(@\d+)?", "N", text)
    return text if len(text) <= CAUSE_LETTERS_MAX else text[: CAUSE_LETTERS_MAX - 3] + "..."


def sound(simulate, seeds, jobs):
    """The same build finds nothing where nothing was planted."""
    command = [simulate, "--seeds", str(seeds), "--jobs", str(jobs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    figures = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("figures: "))
    print(f"no mutant, {seeds} seeds: {json.loads(figures.partition(': ')[2])['violations']} violations", flush=True)
    if done.returncode != 0:
        print("\n".join(line for line in done.stdout.splitlines() if "VIOLATION" in line or "TOO LITTLE" in line))
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulate", required=True)
    parser.add_argument("--seeds", type=int, required=True, help="how many at most for each mutant")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--mutant", action="append", help="only these")
    options = parser.parse_args()
    is_sound = bool(options.mutant) or sound(options.simulate, options.seeds, options.jobs)
    listing = subprocess.run([options.simulate, "--mutants"], capture_output=True, text=True, check=True)
    names = options.mutant or listing.stdout.split()
    print("| mutant | killed by | shape | seeds | simulated s |\n|---|---|---|---|---|", flush=True)
    hunts = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for hunt in pool.map(lambda name: Hunt(name).run(options.simulate, options.seeds), names):
            print(hunt.line(), flush=True)
            hunts.append(hunt)
    killed = [hunt for hunt in hunts if hunt.cause]
    needed = [hunt.seeds for hunt in killed]
    figures = {
        "total": len(hunts),
        "killed": len(killed),
        "median_seeds": statistics.median(needed) if needed else None,
        "worst_seeds": max(needed, default=None),
    }
    print(f"figures: {json.dumps(figures)}")
    return 0 if is_sound and len(killed) == len(hunts) else 1


if __name__ == "__main__":
    sys.exit(main())
