"""`make wal-lag`: how far what guests were answered is ahead of what would be left of it.

A mesh of three serves fio's writes and ships its log to a directory. Two things are measured. First, how long a write takes from its answer to
each replica's disk, as the primary counts it (`holdfast raft`). Second, how old the first write is that is not in the repository: its
directory is listed every SAMPLE_SECONDS, and afterwards each stretch is opened with the key (`archive.py`), so that the times at which what
was there are known without asking an agent. The agent's own gauge (`behindMilliseconds`) is asked at each sample, and never may it claim less.
First there is hardly any load, so that the gauge has to say what it can't see: what came since it last looked. In the middle of the full one the
primary is killed; what is measured before and behind it is told apart.
"""

import argparse
import bisect
import http.client
import json
import os
import socket
import statistics
import sys
import threading
import time

import measure
import tools
from archive import Archive
from backup import Repository
from clients import fio
from cluster import Cluster

VOLUME, VOLUME_MIB = "load", 512
SAMPLE_SECONDS = 0.1
# What the product promises.
P50_MS_MAX, P99_MS_MAX, AGE_SECONDS_MAX = 10, 250, 5
# A time in the log is the leader's, which reads its clock once for many entries; and the gauge tells whole milliseconds.
SLACK_SECONDS = 0.006
LIGHT_SECONDS, LIGHT_LOAD = 15, ("--bs=4k", "--iodepth=1", "--rate_iops=3", "--fsync=1")
WARM_SECONDS, SERVED_SECONDS_MAX, SHIPPED_SECONDS_MAX, ANSWER_SECONDS_MAX = 2, 30, 30, 5
SETUP_SECONDS_MAX = 240


class Door(http.client.HTTPConnection):
    """An agent's own socket: a command for each sample would be a load of its own."""

    def __init__(self, node):
        super().__init__("localhost", timeout=ANSWER_SECONDS_MAX)
        self.path = f"{node.run}/admin.sock"

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def told(node, path):
    """What a node answers, or None."""
    door = Door(node)
    try:
        door.request("GET", path)
        answer = door.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        door.close()


class Sample:
    def __init__(self, asked_ns, gauge_ms, seen_ns, newest):
        self.asked_ns, self.gauge_ms, self.seen_ns, self.newest = asked_ns, gauge_ms, seen_ns, newest


class Sampler:
    """Looks, in a thread of its own, until it is told to end."""

    def __init__(self, archive):
        self.archive, self.samples, self.node = archive, [], None
        self.ended, self.failure = threading.Event(), None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(ANSWER_SECONDS_MAX)

    def run(self):
        try:
            due = time.monotonic()
            while not self.ended.wait(max(0, due - time.monotonic())):
                self.look()
                due = max(due + SAMPLE_SECONDS, time.monotonic())
        except Exception as error:
            self.failure = error

    def look(self):
        """The gauge first: what is listed behind it can only be more than it knew of."""
        node, asked_ns = self.node, time.time_ns()
        log = (told(node, "/v1/backup") or {}).get("log") or {} if node else {}
        gauge = log.get("behindMilliseconds") if log.get("state") == "ships" else None
        names = self.archive.names()
        self.samples.append(Sample(asked_ns, gauge, time.time_ns(), names[-1][0] if names else None))


class Truth:
    """When the first write was made that a stretch leaves out."""

    def __init__(self, archive):
        self.names, stretches = [], []
        for name, path in archive.names():
            self.names.append(name)
            stretches.append(archive.read(path))
        self.gaps = sum(one.last != next.before or one.digest != next.predecessor
                        for one, next in zip(stretches, stretches[1:]))
        self.ends = [each.end_ns for each in stretches]
        self.due = [each.first_due_ns for each in stretches]

    def missing_since(self, newest):
        """The time of the first write that came behind that stretch; None where nothing was written any more."""
        at = bisect.bisect_right(self.names, newest) if newest else 0
        return next((due for due in self.due[at:] if due is not None), None)

    def age(self, sample):
        """Seconds; of when the listing was done, so that it is rather too old than too young."""
        since = self.missing_since(sample.newest)
        return max(0, sample.seen_ns - since) / 1e9 if since else 0

    def point_age(self, sample):
        """Of the newest entry that is there."""
        at = bisect.bisect_right(self.names, sample.newest) - 1
        return (sample.seen_ns - self.ends[at]) / 1e9

    def flattery(self, sample):
        """By how many seconds the gauge claims less than there was; what the sampling leaves open is in its favour."""
        since = self.missing_since(sample.newest)
        if sample.gauge_ms is None or since is None:
            return 0
        return max(0, (sample.asked_ns - since) / 1e9 - sample.gauge_ms / 1e3 - SLACK_SECONDS)


def full_load(options):
    return f"--bs={options.block}", "--iodepth=16", f"--rate={options.mb * 1_000_000}", "--fsync=64"


def load(node, words, seconds):
    """fio, at a rate; it is to outlast what is measured."""
    return fio(node.uri(VOLUME), "lag", 0, VOLUME_MIB << 20, seconds + 30, "--rw=randwrite", *words, "--time_based",
               "--norandommap", "--do_verify=0", f"--runtime={seconds}")


def write_lags(node):
    """Of each replica that acknowledges: how long writes took, as the primary tells."""
    report = told(node, "/v1/raft") or {}
    lags = {each["node"]: each["writes"] for each in report.get("followers", []) if each.get("writes")}
    if not lags:
        raise measure.Unmeasured(f"node {node.id} tells of no write that another one acknowledged")
    return lags


def written(mesh, words, seconds, sampler):
    """One part under load; how long writes took, by replica, its time, and what the mesh cost."""
    node = mesh.primary()
    cpu = {each.id: tools.cpu_seconds(each.process.pid) for each in mesh.nodes.values() if each.is_running}
    with load(node, words, seconds + WARM_SECONDS) as client:
        time.sleep(WARM_SECONDS)
        sampler.node, began = node, time.time_ns()
        time.sleep(max(0, seconds - 1))
        if not client.is_running:
            raise measure.Unmeasured(f"fio ended early: {list(client.lines)[-3:]}")
        lags, ended = write_lags(node), time.time_ns()
        used = sum(tools.cpu_seconds(mesh.nodes[each].process.pid) - before for each, before in cpu.items())
        if client.wait(seconds) != 0:
            raise measure.Unmeasured(f"fio: {list(client.lines)[-3:]}")
    return lags, (began, ended), used / (seconds + WARM_SECONDS)


def killed(findings, mesh, sampler):
    """Under load: fio's connection breaks with it."""
    old = mesh.primary()
    began = time.monotonic()
    sampler.node = None
    old.kill()
    new = tools.wait_until("another region is primary", SERVED_SECONDS_MAX, mesh.primary)
    mesh.await_served(new, VOLUME)
    findings.say(f"{old.region} killed; {new.region} serves after {time.monotonic() - began:.1f} s")
    return old


def under_load(findings, mesh, options, sampler):
    words = full_load(options)
    # Counted since the primary leads, so these few are among the next ones too.
    parts = {"light": written(mesh, LIGHT_LOAD, LIGHT_SECONDS, sampler),
             "calm": written(mesh, words, options.seconds, sampler)}
    with load(mesh.primary(), words, options.seconds):
        time.sleep(WARM_SECONDS)
        dead = killed(findings, mesh, sampler)
    lags, span, used = written(mesh, words, max(10, options.seconds // 2), sampler)
    # Of the dead one every write is late, which is nobody's lag.
    parts["behind the kill"] = {node: lag for node, lag in lags.items() if node != dead.id}, span, used
    return parts


def judge_lags(findings, parts, options):
    worst = {"p50": 0, "p99": 0, "max": 0}
    for name, (lags, _, used) in parts.items():
        for node, lag in sorted(lags.items()):
            p50, p99, most = (lag[key] / 1e3 for key in ("p50Microseconds", "p99Microseconds", "maxMicroseconds"))
            findings.say(f"{name}: to node {node} {lag['count']} writes, p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {most:.0f} ms")
            worst = {key: max(worst[key], value) for key, value in (("p50", p50), ("p99", p99), ("max", most))}
        findings.say(f"{name}: the agents use {used * 100:.0f} % of a core, of {os.cpu_count()}")
    findings.expect(worst["p50"] <= P50_MS_MAX, f"half of all writes are on each replica's disk within {P50_MS_MAX} ms: {worst}")
    findings.expect(worst["p99"] <= P99_MS_MAX, f"99 % of all writes are within {P99_MS_MAX} ms: {worst}")
    return worst


def judge_repository(findings, archive, samples, spans):
    """`spans` are when it was calm, by the clock."""
    truth = Truth(archive)
    calm = [each for each in samples if any(begin <= each.seen_ns <= end for begin, end in spans)]
    ages, calm_ages = [truth.age(each) for each in samples], [truth.age(each) for each in calm]
    lies = [truth.flattery(each) for each in samples]
    asked = sum(each.gauge_ms is not None for each in samples)
    latest = max((b.asked_ns - a.asked_ns) / 1e9 for a, b in zip(samples, samples[1:]))
    findings.expect(max(ages) <= AGE_SECONDS_MAX, f"what is missing in the repository is never older than {AGE_SECONDS_MAX} s: {max(ages):.2f} s")
    findings.expect(not any(lies), f"the gauge never claims less than there is: {sum(lie > 0 for lie in lies)} of {asked} times, "
                    f"by {max(lies):.3f} s at most")
    findings.expect(truth.gaps == 0, f"the stretches follow each other: {truth.gaps} gaps")
    findings.say(f"{len(samples)} samples, the gauge known in {asked}, {latest * 1e3:.0f} ms apart at most; {len(truth.names)} stretches; "
                 f"missing p50 {statistics.median(calm_ages):.2f} s")
    return {"repo_age_max_s": round(max(ages), 2), "repo_age_calm_max_s": round(max(calm_ages), 2),
            "repo_point_age_calm_max_s": round(max(truth.point_age(each) for each in calm), 2),
            "gauge_lies": sum(lie > 0 for lie in lies), "samples": len(samples), "gauge_samples": asked,
            "stretches": len(truth.names)}


def shipped(node):
    log = (told(node, "/v1/backup") or {}).get("log") or {}
    return log.get("state") == "ships" and (told(node, "/v1/raft") or {}).get("standing", {}).get("commit", 0) - log.get("through", 0) < 10


def measure_lag(findings, options):
    with measure.scratch(4 * options.seconds * options.mb * 1_000_000) as scratch:
        repository = Repository(options.bin, scratch)
        setting = repository.setting[:-1] + f", shipEvery: {options.every}}}"
        archive = Archive(repository.path, repository.key)
        with Cluster(options.bin, settings=(setting,)) as mesh, measure.explained(mesh):
            mesh.start()
            mesh.ready()
            mesh.create_volume(VOLUME, f"{VOLUME_MIB}M", options.mode)
            with Sampler(archive) as sampler:
                parts = under_load(findings, mesh, options, sampler)
                tools.wait_until("all is shipped", SHIPPED_SECONDS_MAX, lambda: shipped(mesh.primary()))
            if sampler.failure:
                raise measure.Unmeasured(f"the repository can't be looked at: {sampler.failure!r}")
            lags = judge_lags(findings, parts, options)
            figures = judge_repository(findings, archive, sampler.samples, [span for _, span, _ in parts.values()])
    findings.figures = {"p50_ms": round(lags["p50"], 2), "p99_ms": round(lags["p99"], 2), "max_ms": round(lags["max"], 1),
                        **figures, "mb_s": options.mb, "mode": options.mode, "ship_every": options.every}


def main():
    parser = argparse.ArgumentParser(description="how far answered writes are ahead of replicas and repository")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--seconds", type=int, default=60, help="of the calm part; behind the kill it is half of that")
    parser.add_argument("--mb", type=int, default=20, help="megabytes that are written each second")
    parser.add_argument("--block", default="16k")
    parser.add_argument("--mode", choices=["sync", "async"], default="async")
    parser.add_argument("--every", default="1s", help="the setting shipEvery")
    options = parser.parse_args()
    return measure.run(SETUP_SECONDS_MAX + 4 * options.seconds, lambda findings: measure_lag(findings, options))


if __name__ == "__main__":
    sys.exit(main())
