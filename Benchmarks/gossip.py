"""`make bench-gossip`: how soon a death is known, and how often the living are taken for dead.

First the production gossip core in simulated meshes of 3 to 1,000 members (`simulate gossip`), with and without each part of
Lifeguard. Then real agents of five regions beside five agents of serf, on loopback: SIGKILL and SIGSTOP by turns, one mesh
after the other; both stay up all the time.
"""

import argparse
import base64
import datetime
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Tests", "Rig"))

import measure  # noqa: E402
import tools  # noqa: E402
from cluster import Cluster  # noqa: E402

MEMBERS, VICTIMS = 5, (2, 3, 4, 5)
DETECTION_SECONDS_MAX, RETURN_SECONDS_MAX, SIMULATION_SECONDS_MAX = 60, 90, 6 * 3600
# Detections are looked for so often; when they happened is in the logs.
LOOK_SECONDS = 0.02
PAUSE_SECONDS = 1
AIM_P99_SECONDS, AIM_MEMBERS_MAX = 1.0, 7


class Ours:
    """A mesh of agents; when it held a member for dead is what its own logs say."""

    name = "ours"

    def __init__(self, binaries):
        self.mesh = Cluster(binaries, ["data"] * MEMBERS)

    def __enter__(self):
        self.mesh.__enter__()
        self.mesh.start()
        self.mesh.ready()
        tools.wait_until("all are alive", RETURN_SECONDS_MAX, self.is_whole)
        return self

    def __exit__(self, *_):
        self.mesh.__exit__()

    def mark(self):
        self.offsets = {node.id: os.path.getsize(node.log) for node in self.mesh.nodes.values()}

    def kill(self, victim):
        self.mesh.nodes[victim].kill()

    def stop(self, victim):
        self.mesh.nodes[victim].pause()

    def bring_back(self, victim):
        node = self.mesh.nodes[victim]
        node.resume() if node.is_running else node.start()

    def deaths(self, victim):
        """By observer, the moment in seconds since 1970."""
        found = {}
        for node in self.mesh.nodes.values():
            if node.id == victim:
                continue
            with open(node.log, errors="replace") as log:
                log.seek(self.offsets[node.id])
                for line in log:
                    words = line.split()
                    if "member" in words and f"node={victim}" in words and "is=dead" in words:
                        at = datetime.datetime.fromisoformat(words[0].replace("Z", "+00:00")).timestamp()
                        found.setdefault(node.id, at)
        return found

    def is_whole(self):
        for node in self.mesh.nodes.values():
            members = (node.status() or {}).get("members", [])
            alive = [each for each in members if each.get("liveness") in ("alive", "self")]
            if len(alive) != MEMBERS:
                return False
        return True


class Serf:
    """Five agents with encryption; an event handler of each writes down what it is told."""

    name = "serf"

    def __init__(self, profile):
        self.profile, self.processes = profile, {}
        self.home = tempfile.mkdtemp(prefix="hf-serf-")
        self.events = os.path.join(self.home, "events")
        self.key = base64.b64encode(os.urandom(16)).decode()
        self.port = tools.free_ports(1)[0]

    def __enter__(self):
        handler = os.path.join(self.home, "handler")
        with open(handler, "x") as file:
            file.write(f'#!/bin/sh\nnow=$(date +%s.%N)\nwhile read name rest; do echo "$now $SERF_SELF_NAME $name" >> {self.events}; done\n')
        os.chmod(handler, 0o700)
        for number in range(1, MEMBERS + 1):
            self.start(number)
        tools.wait_until("serf's members are alive", RETURN_SECONDS_MAX, self.is_whole)
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def words(self, number):
        words = ["serf", "agent", "-node", f"n{number}", "-bind", f"127.0.1.{number}:{self.port}", "-rpc-addr",
                 f"127.0.2.{number}:{self.port}", "-profile", self.profile, "-log-level", "warn", "-encrypt", self.key,
                 "-event-handler", f"member-failed={self.home}/handler"]
        other = 1 if number > 1 else 2
        return words + ["-retry-join", f"127.0.1.{other}:{self.port}", "-retry-interval", "1s"]

    def start(self, number):
        with open(os.path.join(self.home, f"log-{number}"), "ab") as log:
            words = ["setpriv", "--pdeathsig", "KILL"] + self.words(number)
            self.processes[number] = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                      start_new_session=True)

    def mark(self):
        open(self.events, "w").close()

    def kill(self, victim):
        self.processes[victim].kill()
        self.processes[victim].wait()

    def stop(self, victim):
        os.kill(self.processes[victim].pid, signal.SIGSTOP)

    def bring_back(self, victim):
        if self.processes[victim].poll() is None:
            os.kill(self.processes[victim].pid, signal.SIGCONT)
        else:
            self.start(victim)

    def deaths(self, victim):
        found = {}
        with open(self.events) as events:
            for line in events:
                words = line.split()
                if len(words) == 3 and words[2] == f"n{victim}" and words[1] != f"n{victim}":
                    found.setdefault(words[1], float(words[0]))
        return found

    def is_whole(self):
        for number in self.processes:
            done = tools.command("serf", "members", "-rpc-addr", f"127.0.2.{number}:{self.port}", "-status", "alive",
                                 check=False)
            if len(done.stdout.strip().splitlines()) != MEMBERS:
                return False
        return True


def detect(mesh, fault, victim):
    """Seconds from the fault until the first of the others, and until all, hold the victim for dead."""
    mesh.mark()
    at = time.time()
    mesh.kill(victim) if fault == "SIGKILL" else mesh.stop(victim)
    found = tools.wait_until(f"{mesh.name}: {victim} is known to be dead", DETECTION_SECONDS_MAX,
                             lambda: (lambda seen: len(seen) == MEMBERS - 1 and seen)(mesh.deaths(victim)), LOOK_SECONDS)
    mesh.bring_back(victim)
    tools.wait_until(f"{mesh.name}: {victim} is back", RETURN_SECONDS_MAX, mesh.is_whole, 0.2)
    times = sorted(moment - at for moment in found.values())
    return times[0], times[-1]


def compare(findings, options):
    """Detection by both, a fault at a time, by turns."""
    seconds = {(mesh, fault): [] for mesh in ("ours", "serf") for fault in ("SIGKILL", "SIGSTOP")}
    with Ours(options.bin) as ours, measure.explained(ours.mesh), Serf(options.serf_profile) as serf:
        findings.say(f"both meshes of {MEMBERS} are up, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        for number in range(options.runs):
            for fault in ("SIGKILL", "SIGSTOP"):
                victim = VICTIMS[number % len(VICTIMS)]
                told = []
                for mesh in (ours, serf) if number % 2 else (serf, ours):
                    # Not in step with anybody's probes.
                    time.sleep(PAUSE_SECONDS + 0.37 * number % 1)
                    first, last = detect(mesh, fault, victim)
                    seconds[mesh.name, fault].append((first, last))
                    told.append(f"{mesh.name} first {first:.2f} s, all {last:.2f} s")
                findings.say(f"{fault} of {victim}: " + "; ".join(told))
        findings.say(f"load {os.getloadavg()[0]:.1f}")
    return seconds


def tell_comparison(findings, seconds):
    figures = findings.figures
    for mesh in ("ours", "serf"):
        both = [each for fault in ("SIGKILL", "SIGSTOP") for each in seconds[mesh, fault]]
        figures[f"{mesh}_median_s"] = round(statistics.median(first for first, _ in both), 3)
        figures[f"{mesh}_all_median_s"] = round(statistics.median(last for _, last in both), 3)
        figures[f"{mesh}_max_s"] = round(max(last for _, last in both), 3)
        for fault in ("SIGKILL", "SIGSTOP"):
            median = statistics.median(first for first, _ in seconds[mesh, fault])
            figures[f"{mesh}_{fault.lower()}_median_s"] = round(median, 3)
    figures["runs"] = len(seconds["ours", "SIGKILL"])
    figures["ratio"] = round(figures["serf_median_s"] / figures["ours_median_s"], 1)
    findings.say(f"first to know, median of both faults: ours {figures['ours_median_s']} s, serf "
                 f"{figures['serf_median_s']} s, ratio {figures['ratio']}")


def simulated(options):
    """The lines of `simulate gossip`, or those of an earlier run."""
    if options.simulated:
        with open(options.simulated) as file:
            return [json.loads(line) for line in file]
    words = [os.path.join(options.bin, "simulate"), "gossip", "--members", options.members, "--hours", options.hours]
    done = tools.command(*words, seconds=SIMULATION_SECONDS_MAX)
    return [json.loads(line) for line in done.stdout.splitlines()]


def tell_simulated(findings, lines):
    detect, named = {}, {"whole": "all of it", "withoutLocalHealth": "no local health",
                         "withoutShrinkingSuspicion": "no shrinking suspicion", "withoutBuddy": "no buddy"}
    for size in sorted({line["members"] for line in lines}):
        mine = [line for line in lines if line["members"] == size]
        for variant, name in named.items():
            found = [line for line in mine if line.get("variant") == variant]
            detection = next((line for line in found if line["what"] == "detection"), None)
            if detection is None:
                continue
            rates = {("starved" if line["starves_one"] else line["loss_percent"]): line["per_node_hour"]
                     for line in found if line["what"] == "false"}
            findings.say(f"n={size:4} {name:24} first {detection['first_median_s']:.3f} p99 {detection['first_p99_s']:.3f}, "
                         f"all {detection['all_median_s']:.3f} p99 {detection['all_p99_s']:.3f} s; false a node-hour "
                         + ", ".join(f"{key}{'' if key == 'starved' else ' %'}: {rate}" for key, rate in rates.items()))
            if variant == "whole":
                detect[str(size)] = {"median_s": detection["all_median_s"], "p99_s": detection["all_p99_s"],
                                     "false_per_node_hour": rates}
                findings.expect(size > AIM_MEMBERS_MAX or detection["all_p99_s"] <= AIM_P99_SECONDS,
                                f"of {size} members, p99 of detection is at most {AIM_P99_SECONDS} s")
        for line in (line for line in mine if line["what"] == "day"):
            findings.say(f"n={size:4} {line['hours']} h at 5 % loss and up to 200 ms on the way: {line['false']} false, "
                         f"computed in {line['took_s']} s")
            findings.expect(line["false"] == 0, f"of {size} members, none is falsely dead in {line['hours']} h")
            findings.figures.setdefault("false_in_a_day", {})[str(size)] = line["false"]
    findings.figures["detect"] = detect


def measure_gossip(findings, options):
    if not options.only_processes:
        tell_simulated(findings, simulated(options))
    if options.runs:
        tell_comparison(findings, compare(findings, options))


def main():
    parser = argparse.ArgumentParser(description="detection of deaths: simulated, and beside serf's")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--members", default="3,5,7,32,128,1000", help="of the simulated meshes")
    parser.add_argument("--hours", type=int, default=24, help="simulated without a death, in meshes up to seven")
    parser.add_argument("--simulated", help="a file with what `simulate gossip` printed before")
    parser.add_argument("--only-processes", action="store_true")
    parser.add_argument("--runs", type=int, default=10, help="of each fault; 0: no processes")
    parser.add_argument("--serf-profile", default="local", help="serf's timing: its fastest unless said otherwise")
    options = parser.parse_args()
    limit = SIMULATION_SECONDS_MAX + options.runs * 4 * (DETECTION_SECONDS_MAX + RETURN_SECONDS_MAX)
    return measure.run(limit, lambda findings: measure_gossip(findings, options))


if __name__ == "__main__":
    sys.exit(main())
