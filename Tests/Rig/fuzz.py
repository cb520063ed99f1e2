"""`make fuzz`: does any decoder break under hostile bytes? `make corpus`: what was learnt, kept small.

Each target runs in a process of its own, from its corpus in Tests/Corpus and from what earlier runs on this
machine found. A finding stays in `.build-fuzz/findings`; docs/verification.md says what to do with it.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

# One input may take so long, and one process may hold so much.
INPUT_SECONDS_MAX = 5
PROCESS_MIB_MAX = 1_024
# Of each target in the repository, besides seeds and former findings.
CORPUS_BYTES_MAX = 64 << 10
KEPT = ("seed-", "found-")


class Run:
    def __init__(self, rig, name):
        self.name, self.executions, self.speed, self.words = name, 0, 0, ""
        self.grown = rig.work / "corpus" / name
        self.findings = rig.work / "findings" / name
        for folder in (self.grown, self.findings):
            folder.mkdir(parents=True, exist_ok=True)

    def go(self, rig, bound):
        command = [rig.fuzz, "run", self.name, bound, *rig.limits, "-print_final_stats=1",
                   f"-artifact_prefix={self.findings}/", self.grown, rig.corpus / self.name]
        done = subprocess.run(command, capture_output=True, env=rig.environment, check=False)
        said = done.stderr.decode(errors="replace")
        self.executions = number(said, r"number_of_executed_units:\s+(\d+)")
        self.speed = number(said, r"average_exec_per_sec:\s+(\d+)")
        if done.returncode != 0:
            cause = re.search(r"== (.*)|Fatal error: (.*)|ERROR: libFuzzer: (.*)", said)
            unit = re.search(r"Test unit written to (\S+)", said)
            self.words = next((part for part in cause.groups() if part), "") if cause else said[-2_000:]
            self.words += f"\n    {unit.group(1)}" if unit else ""
        print(f"| {self.name} | {self.executions} | {self.speed} | {self.words or 'nothing'} |", flush=True)
        return self


class Rig:
    def __init__(self, options):
        self.fuzz, self.jobs = options.fuzz, options.jobs
        self.corpus, self.work = pathlib.Path(options.corpus), pathlib.Path(options.work)
        self.limits = [f"-timeout={INPUT_SECONDS_MAX}", f"-rss_limit_mb={PROCESS_MIB_MAX}"]
        if options.address:
            self.limits.append("-malloc_limit_mb=64")
        # libFuzzer tells of a crash; a backtrace of Swift's own would come between.
        self.environment = dict(os.environ, SWIFT_BACKTRACE="enable=no")
        known = subprocess.run([self.fuzz, "targets"], capture_output=True, text=True, check=True).stdout.split()
        self.targets = options.target or known
        if unknown := set(self.targets) - set(known):
            sys.exit(f"fuzz: no target is named {', '.join(sorted(unknown))}; there are {', '.join(known)}")

    def run(self, bound):
        print("| target | executions | a second | found |\n|---|---|---|---|", flush=True)
        with ThreadPoolExecutor(self.jobs) as pool:
            runs = list(pool.map(lambda name: Run(self, name).go(self, bound), self.targets))
        crashes = [run.name for run in runs if run.words]
        figures = {"targets": len(runs), "executions_min": min(run.executions for run in runs),
                   "crashes": len(crashes)}
        print(f"figures: {json.dumps(figures)}")
        return 1 if crashes else 0

    def merge(self):
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            subprocess.run([self.fuzz, "seeds", scratch / "seeds"], check=True)
            for name in self.targets:
                self.merge_one(name, scratch / "seeds" / name, scratch / name)
        return 0

    def merge_one(self, name, seeds, merged):
        own, grown = self.corpus / name, Run(self, name).grown
        for folder in (own, merged):
            folder.mkdir(parents=True, exist_ok=True)
        command = [self.fuzz, "run", name, *self.limits, "-set_cover_merge=1", merged, seeds, own, grown]
        subprocess.run(command, capture_output=True, env=self.environment, check=True)
        for file in own.iterdir():
            if not file.name.startswith(KEPT[1]):
                file.unlink()
        for file in seeds.iterdir():
            shutil.copy(file, own)
        held = {file.read_bytes() for file in own.iterdir()}
        left = CORPUS_BYTES_MAX
        for file in sorted(merged.iterdir(), key=lambda file: (file.stat().st_size, file.name)):
            left -= file.stat().st_size
            if left >= 0 and file.read_bytes() not in held:
                shutil.copy(file, own)
        print(f"{name}: {len(list(own.iterdir()))} files, {sum(f.stat().st_size for f in own.iterdir())} bytes"
              + (f"; {-left} bytes more would be too many" if left < 0 else ""))


def number(text, pattern):
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fuzz", required=True, help="the program")
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--work", required=True, help="where corpora grow and findings stay")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--executions", type=int, help="of each target, in place of a time")
    parser.add_argument("--target", action="append", help="only these")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--address", action="store_true", help="the program has the address sanitizer")
    parser.add_argument("--merge", action="store_true", help="takes what was learnt into the corpus")
    options = parser.parse_args()
    rig = Rig(options)
    if options.merge:
        sys.exit(rig.merge())
    bound = f"-runs={options.executions}" if options.executions else f"-max_total_time={options.seconds}"
    sys.exit(rig.run(bound))


main()
