"""`make takeover-idle`: does anybody stand for election while nothing is wrong but a full load?"""

import argparse
import sys
import time

import measure
import tools
from clients import fio
from cluster import Cluster
from demo import SHAPES

VOLUME_MIB = 1024
SAMPLE_SECONDS = 1.0
SETUP_SECONDS_MAX = 120
FIO_LOAD = ("--rw=randwrite", "--bs=4k", "--iodepth=32", "--fsync=32", "--time_based", "--do_verify=0", "--norandommap",
            "--output-format=terse", "--terse-version=3", "--status-interval=5")
# In terse version 3 the fields with KiB written and writes per second.
FIO_KIB, FIO_IOPS = 46, 48


class Watch:
    """Terms and epochs as every node tells them, sampled all the time."""

    def __init__(self, mesh):
        self.mesh, self.terms, self.epochs, self.silent = mesh, [], [], 0

    def sample(self):
        said = [node.status() for node in self.mesh.nodes.values()]
        self.silent += sum(each is None for each in said)
        said = [each for each in said if each]
        if not said:
            raise measure.Unmeasured("no node answers any more")
        self.terms.append(max(each["raft"]["term"] for each in said))
        self.epochs.append(max((each.get("primary") or {}).get("epoch", 0) for each in said))

    def changes(self):
        return self.terms[-1] - self.terms[0], self.epochs[-1] - self.epochs[0]


def one_shape(findings, shape, options):
    title, roles = SHAPES[shape]
    seconds = max(1, int(options.minutes * 60))
    with Cluster(options.bin, roles) as mesh, measure.explained(mesh):
        mesh.start()
        primary = mesh.ready()
        mesh.create_volume("load", f"{VOLUME_MIB}M")
        watch = Watch(mesh)
        watch.sample()
        cpu = {node.id: tools.cpu_seconds(node.process.pid) for node in mesh.nodes.values()}
        with fio(primary.uri("load"), "load", 0, VOLUME_MIB << 20, seconds + 30, *FIO_LOAD,
                 f"--runtime={seconds}") as load:
            while load.is_running:
                time.sleep(SAMPLE_SECONDS)
                watch.sample()
            code = load.wait(5)
        watch.sample()
        if code != 0:
            raise measure.Unmeasured(f"fio did not last {seconds} s: {list(load.lines)[-5:]}")
        fields = [line.split(";") for line in load.lines if line.startswith("3;fio")][-1]
        megabytes, iops = int(fields[FIO_KIB]) * 1024 / 1e6, int(fields[FIO_IOPS])
        terms, epochs = watch.changes()
        used = ", ".join(f"{node.region} {(tools.cpu_seconds(node.process.pid) - cpu[node.id]) / seconds * 100:.0f} %"
                         for node in mesh.nodes.values())
        findings.say(f"{title}: {seconds} s of fio, {iops} writes/s, {megabytes / seconds:.1f} MB/s; CPU {used}")
        findings.say(f"    terms {watch.terms[0]} -> {watch.terms[-1]}, epochs {watch.epochs[0]} -> {watch.epochs[-1]}, "
                     f"{watch.silent} unanswered status requests")
        findings.expect(terms == 0, f"{title}: no needless election ({terms} new terms)")
        findings.expect(epochs == 0, f"{title}: no needless takeover ({epochs} new epochs)")
        return terms, epochs, iops


def measure_steadiness(findings, options):
    shapes = list(SHAPES) if options.shape == "both" else [options.shape]
    results = [one_shape(findings, shape, options) for shape in shapes]
    findings.figures = {"minutes": options.minutes * len(shapes), "term_changes": sum(each[0] for each in results),
                        "epoch_changes": sum(each[1] for each in results),
                        "write_iops": min(each[2] for each in results)}


def main():
    parser = argparse.ArgumentParser(description="elections under a full load with nothing wrong")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--minutes", type=float, default=10, help="for each shape")
    parser.add_argument("--shape", choices=[*SHAPES, "both"], default="both")
    options = parser.parse_args()
    seconds = SETUP_SECONDS_MAX + len(SHAPES) * (options.minutes * 60 + SETUP_SECONDS_MAX)
    return measure.run(seconds, lambda findings: measure_steadiness(findings, options))


if __name__ == "__main__":
    sys.exit(main())
