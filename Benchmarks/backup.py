"""`make bench-backup`: backups of a running mesh beside restic's and borg's, in one run and on one data set.

The images are files for the others, and volumes for us; the zeros in them are written everywhere. Ours are the shipped commands
on three agents, twice in a round: while a guest writes 20 MiB/s, which is what counts, and without. The others never have that
load beside them. In each round each tool makes a full backup in a fresh repository, verifies it, restores it and stores what
1 % of scattered writes changed; who begins, changes with the round. Times are of whole commands, a restore's with the sync of
the file system; what is restored is compared with the images.
"""

import argparse
import contextlib
import filecmp
import glob
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "Tests", "Rig"), os.path.join(HERE, "peers"), HERE]

import backup_tools  # noqa: E402
import measure  # noqa: E402
import stores  # noqa: E402
import tools  # noqa: E402
import vm_images  # noqa: E402
from backup_mesh import STEP_SECONDS_MAX, Bucket, Directory, Mesh, stored_bytes  # noqa: E402

MIB = 1 << 20
# Two sets of images, one restored, a repository; and of three agents the images and logs.
SPACE_FACTOR = 14
GENERATE_SECONDS_MAX, ROUND_SECONDS_MAX, START_SECONDS_MAX = 600, 1800, 1200
AIMS = {"full_ratio": 2.0, "loaded_full_ratio": 1.5, "restore_ratio": 2.0, "verify_ratio": 1.5, "scrub_mb_s": 2000, "s3_full_mb_s": 150, "s3_restore_mb_s": 250}
MOST = {"incr_s": 0.5, "incr_stored_mb": 75, "loaded_incr_s": 0.5, "loaded_incr_stored_mb": 75, "scan_incr_s": 1.5, "rss_mib": 256}
LOADED, OURS, IN_S3 = "ours, 20 MiB/s beside", "ours", "ours, SeaweedFS"
DEEDS = ("full", "incr", "restore", "verify")


class Step:
    """A command that was run to its end: seconds, CPU seconds of it and its children, and the largest of them in MiB."""

    def __init__(self, words, folder=None, environment=None, syncs=False):
        # What others left to be written is not of this command.
        os.sync()
        with tempfile.TemporaryFile() as output:
            began = time.monotonic()
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *words], cwd=folder, env=environment,
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            guard = threading.Timer(STEP_SECONDS_MAX, process.kill)
            guard.start()
            try:
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            finally:
                guard.cancel()
                if process.returncode is None:
                    process.kill()
                    process.wait()
            if syncs:
                os.sync()
            self.seconds = time.monotonic() - began
            output.seek(0)
            self.output = output.read().decode(errors="replace")
        if process.returncode != 0:
            raise measure.Unmeasured(f"{' '.join(words)}: exit {process.returncode}: {self.output[-2000:]}")
        self.cpu, self.mib = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


class Table:
    """By tool and deed what each round gave: seconds, CPU seconds, MiB, MB stored."""

    def __init__(self, findings, byte_count):
        self.findings, self.byte_count, self.rows = findings, byte_count, {}
        # MB/s of what is stored, by round.
        self.scrubbed = []

    def add(self, tool, deed, step, stored=None):
        self.rows.setdefault((tool, deed), []).append((step.seconds, step.cpu, step.mib, stored))
        rate = "" if deed in ("incr", "scan") else f"{self.byte_count / 1e6 / step.seconds:7.0f} MB/s"
        more = "" if stored is None else f"  {stored:8.1f} MB stored"
        self.findings.say(f"{tool:22} {deed:8} {step.seconds:7.2f} s {rate:12} CPU {step.cpu:6.2f} s  {step.mib:5.0f} MiB{more}")

    def seconds(self, tool, deed):
        return statistics.median(row[0] for row in self.rows[tool, deed])

    def rate(self, tool, deed):
        return self.byte_count / 1e6 / self.seconds(tool, deed)

    def stored(self, tool, deed):
        return statistics.median(row[3] for row in self.rows[tool, deed])

    def peak(self, tool):
        return max(row[2] for (name, _), rows in self.rows.items() if name == tool for row in rows)

    def best(self, deed):
        """Of the others the one that is fastest at it."""
        return max((tool for tool, did in self.rows if did == deed and tool not in (LOADED, OURS, IN_S3)),
                   key=lambda tool: self.rate(tool, deed))

    def tell(self):
        self.findings.say()
        self.findings.say(f"medians (of {IN_S3!r} one run); MB/s of the images' {self.byte_count / 1e6:.0f} MB")
        self.findings.say(f"{'':22}{'full':>11}{'stored':>10}{'changed':>10}{'stored':>10}{'restore':>12}{'verify':>12}{'memory':>10}")
        for tool in dict.fromkeys(tool for tool, _ in self.rows):
            def rate(deed):
                return f"{self.rate(tool, deed):.0f} MB/s" if (tool, deed) in self.rows else "-"
            changed = f"{self.seconds(tool, 'incr'):>8.2f} s{self.stored(tool, 'incr'):>7.1f} MB" if (tool, "incr") in self.rows else " " * 20
            self.findings.say(
                f"{tool:22}{rate('full'):>11}{self.stored(tool, 'full'):>7.0f} MB{changed}"
                f"{rate('restore'):>12}{rate('verify'):>12}{self.peak(tool):>6.0f} MiB")


class Images:
    """The data set, and the same with 1 % of it changed."""

    def __init__(self, place, mib, seed):
        self.names = vm_images.names()
        self.base, self.changed = os.path.join(place, "images"), os.path.join(place, "changed")
        self.program("make", self.base, mib, seed)
        tools.command("cp", "-r", "--sparse=never", self.base, self.changed, seconds=GENERATE_SECONDS_MAX)
        lines = self.program("change", self.changed, seed).splitlines()
        self.blocks = {name: [int(number) for number in numbers] for name, *numbers in map(str.split, lines)}
        self.byte_count = sum(os.path.getsize(path) for path in self.files(self.base))

    def program(self, *words):
        return tools.command(sys.executable, os.path.join(HERE, "peers", "vm_images.py"), *words,
                             seconds=GENERATE_SECONDS_MAX).stdout

    def files(self, folder):
        return [os.path.join(folder, f"{name}.raw") for name in self.names]

    def compare(self, findings, tool, folder, target):
        """What was restored, wherever a tool put it, with what there was; then it is removed."""
        for name in self.names:
            found = glob.glob(f"{target}/**/{name}.raw", recursive=True)
            same = len(found) == 1 and filecmp.cmp(os.path.join(folder, f"{name}.raw"), found[0], shallow=False)
            findings.expect(same, f"{tool}: {name} comes back as it was")
        shutil.rmtree(target)


def read_over(paths):
    """Everybody's sources are in memory, where there is so much."""
    for path in paths:
        with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:
            while file.read(4 * MIB):
                pass


def peer_round(findings, table, images, place, name, make):
    tool, target = make(os.path.join(place, "peer")), os.path.join(place, "restored")
    plain = [f"{each}.raw" for each in images.names]
    try:
        read_over(images.files(images.base))
        before = stored_bytes(tool.repository)
        step = Step(tool.back_up("full", plain), images.base, tool.environment)
        full = stored_bytes(tool.repository)
        table.add(name, "full", step, (full - before) / 1e6)
        table.add(name, "verify", Step(tool.verify(), None, tool.environment))
        os.mkdir(target)
        words = tool.restore("full", plain, target)
        table.add(name, "restore", Step(words, None, tool.environment, syncs=True))
        images.compare(findings, name, images.base, target)
        read_over(images.files(images.changed))
        before = stored_bytes(tool.repository)
        step = Step(tool.back_up("changed", plain), images.changed, tool.environment)
        table.add(name, "incr", step, (stored_bytes(tool.repository) - before) / 1e6)
    finally:
        tool.remove()
        shutil.rmtree(target, ignore_errors=True)


def back_up(mesh, table, tool, deed):
    """Memory and CPU are the agent's."""
    before, cpu = mesh.repository.stored(), mesh.cpu_seconds()
    mesh.forget_peak()
    step = Step(mesh.back_up(*(["--full"] if deed == "scan" else [])))
    step.cpu, step.mib = mesh.cpu_seconds() - cpu, mesh.peak_mib()
    told = json.loads(step.output)
    if told["backup"]["kind"] != ("incremental" if deed == "incr" else "full"):
        raise measure.Unmeasured(f"another kind of backup was made: {told}")
    table.add(tool, deed, step, (mesh.repository.stored() - before) / 1e6)
    table.findings.say(f"{'':22} of it the agent {told['milliseconds'] / 1000:.3f} s, {told['readBytes'] / 1e6:.0f} MB read")


def under_load(mesh, table, images):
    """Backups while a guest writes."""
    mesh.renew_repository()
    read_over(mesh.images())
    with mesh.load() as load:
        time.sleep(1)
        back_up(mesh, table, LOADED, "full")
        mesh.write(images.changed, images.blocks)
        back_up(mesh, table, LOADED, "incr")
        if not load.is_running:
            raise measure.Unmeasured(f"the load ended: {list(load.lines)[-5:]}")
    mesh.write(images.base, images.blocks)


def in_quiet(findings, mesh, table, images, place):
    target = os.path.join(place, "restored")
    mesh.renew_repository()
    read_over(mesh.images())
    back_up(mesh, table, OURS, "full")
    table.add(OURS, "verify", Step(mesh.verify()))
    table.scrubbed.append(mesh.repository.stored() / 1e6 / Step(mesh.scrub()).seconds)
    findings.say(f"{OURS:22} scrub    {table.scrubbed[-1]:.0f} MB/s of what is stored")
    for deed, folder in (("full", images.base), ("incr", images.changed)):
        if deed == "incr":
            mesh.write(folder, images.blocks)
            back_up(mesh, table, OURS, deed)
        restored(findings, mesh, table, images, folder, target, OURS, deed)
    mesh.write(images.base, images.blocks)


def restored(findings, mesh, table, images, folder, target, tool, deed):
    os.mkdir(target)
    step = Step(mesh.restore(target), syncs=True)
    if deed == "full":
        table.add(tool, "restore", step)
    images.compare(findings, f"{tool}, {deed}", folder, target)


def by_scan(mesh, table, images):
    """What changed is found by reading everything, as where no account of the changes is at hand."""
    mesh.renew_repository()
    Step(mesh.back_up())
    mesh.write(images.changed, images.blocks)
    back_up(mesh, table, OURS, "scan")
    mesh.write(images.base, images.blocks)


def into_bucket(findings, programs, table, images, place, mib):
    """A mesh of its own, once."""
    home = os.path.join(place, "bucket")
    os.mkdir(home)
    with stores.SeaweedFS(home) as service, Mesh(programs, os.path.join(home, "mesh"), Bucket(home, service)) as mesh:
        with measure.explained(mesh.mesh):
            mesh.fill(images.base, images.names, mib)
            read_over(mesh.images())
            back_up(mesh, table, IN_S3, "full")
            restored(findings, mesh, table, images, images.base, os.path.join(place, "restored"), IN_S3, "full")


def our_round(findings, mesh, table, images, place):
    with measure.explained(mesh.mesh):
        under_load(mesh, table, images)
        in_quiet(findings, mesh, table, images, place)
        by_scan(mesh, table, images)
    mesh.renew_repository()


def figures_of(table):
    best = {deed: table.best(deed) for deed in DEEDS}
    found = {
        "full_mb_s": table.rate(OURS, "full"), "best_peer_full_mb_s": table.rate(best["full"], "full"),
        "incr_s": table.seconds(OURS, "incr"), "incr_stored_mb": table.stored(OURS, "incr"), "scan_incr_s": table.seconds(OURS, "scan"),
        "restore_mb_s": table.rate(OURS, "restore"), "verify_mb_s": table.rate(OURS, "verify"),
        "scrub_mb_s": statistics.median(table.scrubbed), "rss_mib": max(map(table.peak, (LOADED, OURS, IN_S3))),
        "s3_full_mb_s": table.rate(IN_S3, "full"), "s3_restore_mb_s": table.rate(IN_S3, "restore"),
        "loaded_full_mb_s": table.rate(LOADED, "full"), "loaded_incr_s": table.seconds(LOADED, "incr"),
        "loaded_incr_stored_mb": table.stored(LOADED, "incr"),
    }
    found["full_ratio"] = found["full_mb_s"] / found["best_peer_full_mb_s"]
    found["loaded_full_ratio"] = found["loaded_full_mb_s"] / found["best_peer_full_mb_s"]
    for deed in ("restore", "verify"):
        found[f"{deed}_ratio"] = found[f"{deed}_mb_s"] / table.rate(best[deed], deed)
    digits = {"_s": 3, "ratio": 2}
    return {name: round(value, next((count for end, count in digits.items()
                                     if name.endswith(end) and not name.endswith("mb_s")), 1))
            for name, value in found.items()}


def measure_backup(findings, options):
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    needed = SPACE_FACTOR * options.mib * vm_images.COUNT * MIB
    if measure.room(tempfile.gettempdir()) < needed:
        raise measure.Unmeasured(f"{tempfile.gettempdir()} has no room for {needed >> 20} MiB: set TMPDIR, or MIB to less")
    peers = backup_tools.installed()
    if not peers:
        raise measure.Unmeasured("no other tool is installed: make deps-bench")
    with tempfile.TemporaryDirectory(prefix="hf-bench-") as place:
        findings.say(f"seed {seed}; {vm_images.COUNT} images of {options.mib} MiB; {os.cpu_count()} processors")
        images = Images(place, options.mib, seed)
        table = Table(findings, images.byte_count)
        ours = os.path.join(place, "ours")
        with Mesh(options.bin, ours, Directory(ours)) as mesh:
            with measure.explained(mesh.mesh):
                mesh.fill(images.base, images.names, options.mib)
            findings.say("the images are in their volumes")
            for number in range(options.rounds):
                findings.say(f"== round {number + 1} of {options.rounds}, load {os.getloadavg()[0]:.1f}")
                turns = [None, *peers]
                for turn in turns[number % len(turns):] + turns[:number % len(turns)]:
                    if turn is None:
                        our_round(findings, mesh, table, images, place)
                    else:
                        peer_round(findings, table, images, place, turn, peers[turn])
            into_bucket(findings, options.bin, table, images, place, options.mib)
    table.tell()
    findings.figures = figures_of(table)
    for name, least in AIMS.items():
        findings.say(f"{name} {findings.figures[name]}, aim at least {least}")
    for name, most in MOST.items():
        findings.say(f"{name} {findings.figures[name]}, aim at most {most}")


def main():
    parser = argparse.ArgumentParser(description="backups of a running mesh beside restic's and borg's")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--mib", type=int, default=640, help="of each of the four images")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, help="of the images; one is drawn where none is given")
    options = parser.parse_args()
    limit = START_SECONDS_MAX + options.rounds * ROUND_SECONDS_MAX
    return measure.run(limit, lambda findings: measure_backup(findings, options))


if __name__ == "__main__":
    sys.exit(main())
