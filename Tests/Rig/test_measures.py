"""Tests of the measuring programs against a stand-in mesh: an honest one passes, and each sin is found."""

import argparse
import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import clients
import demo
import measure
import steady
import takeover
import tools
import upgrade
import witness
from cluster import Cluster

RIG = os.path.abspath(sys.argv[1])
HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = f"""#!{sys.executable} -B
import sys
sys.path.insert(0, {HERE!r})
import stand_in
stand_in.main()
"""
MIB = 1 << 20
MEMORY_BYTES_MIN = 1 << 30


@contextlib.contextmanager
def stand_ins(sins=""):
    with tempfile.TemporaryDirectory(prefix="hf-stand-") as place:
        for name in ("holdfast", "holdfast-agent", "holdfast-witness"):
            with open(os.path.join(place, name), "w") as file:
                file.write(PROGRAM)
            os.chmod(os.path.join(place, name), 0o755)
        with open(os.path.join(place, "sins"), "w") as file:
            file.write(sins)
        yield place


def measured(body, sins="", **options):
    """What a measuring program finds, with its story swallowed and its files in memory: a busy disk takes long to forget."""
    findings, usual = measure.Findings(), tempfile.tempdir
    with stand_ins(sins) as programs, contextlib.redirect_stdout(io.StringIO()):
        # Not the programs: memory is often mounted so that nothing in it may run.
        if os.access("/dev/shm", os.W_OK) and measure.room("/dev/shm") > MEMORY_BYTES_MIN:
            tempfile.tempdir = "/dev/shm"
        try:
            body(findings, argparse.Namespace(bin=programs, rig=RIG, **options))
        finally:
            tempfile.tempdir = usual
    return findings


@contextlib.contextmanager
def hurried():
    """The same programs with shorter waits, so that their tests stay short."""
    usual = {(module, name): getattr(module, name) for module, name in (
        (demo, "TRIAL_SECONDS"), (demo, "WARM_SECONDS"), (takeover, "TRIAL_SECONDS"), (witness, "FORGET_SECONDS_MAX"),
        (witness, "LEDGER_SECONDS"))}
    demo.TRIAL_SECONDS, demo.WARM_SECONDS, takeover.TRIAL_SECONDS = 3, 0.8, 3
    witness.FORGET_SECONDS_MAX = witness.LEDGER_SECONDS = 1
    try:
        yield
    finally:
        for (module, name), value in usual.items():
            setattr(module, name, value)


def demonstrated(sins="", powercut="none"):
    with hurried():
        return measured(demo.measure_demo, sins, shape="three", powercut=powercut, files_bytes=4_000_000)


def taken_over(kind, sins="", powercut="none"):
    with hurried():
        return measured(takeover.measure_takeovers, sins, shape="witness", powercut=powercut, runs=1, faults=[kind],
                        seed=1, random=random.Random(1))


def the_demo_passes_an_honest_mesh():
    findings = demonstrated(powercut="all")
    assert not findings.broken, findings.broken
    figures = findings.figures
    assert list(figures) == ["lost_flushed", "files_differing", "takeover_s"], figures
    assert figures["lost_flushed"] == figures["files_differing"] == 0 and 0.1 < figures["takeover_s"] < 3, figures


def the_demo_convicts_a_mesh_that_forgets():
    findings = demonstrated("forgets")
    assert findings.figures["lost_flushed"] > 0 and findings.figures["files_differing"] > 50, findings.figures
    for word in ("flushcheck", "fio verifies", "e2fsck", "SHA-256"):
        assert any(word in promise for promise in findings.broken), (word, findings.broken)


def the_demo_convicts_a_mesh_that_does_not_sync():
    findings = demonstrated("lazy", powercut="all")
    assert findings.figures["lost_flushed"] > 0 and any("flushcheck" in each for each in findings.broken), findings.broken


def a_partition_is_measured_and_heals():
    findings = taken_over("partition")
    assert findings.figures["dual_accept"] == findings.figures["lost_flushed"] == 0, findings.broken
    assert 0.2 < findings.figures["partition_median_s"] < 3, findings.figures


def exports_that_are_never_closed_are_convicted():
    findings = taken_over("SIGSTOP", "clings")
    assert findings.figures["dual_accept"] > 0 and any("two regions" in each for each in findings.broken), findings.broken


def a_forgetful_takeover_is_convicted():
    findings = taken_over("SIGKILL", "forgets")
    assert findings.figures["lost_flushed"] > 0 and findings.broken, findings.figures


def a_mesh_in_which_nobody_takes_over_is_convicted():
    try:
        taken_over("SIGKILL", "stays")
        raise AssertionError("a takeover was seen where none was")
    except measure.Broken as broken:
        assert "not one takeover" in str(broken), broken


def the_witness_is_measured_and_hands_over():
    with hurried():
        findings = measured(witness.measure_witness, payload_mib=8)
    assert not findings.broken and findings.figures["handed_over_ok"] is True, findings.broken
    assert findings.figures["rss_mib"] > 1, findings.figures
    assert 0 < findings.figures["traffic_percent"] < 1, findings.figures


def a_witness_that_hoards_and_a_mesh_that_forgets_are_convicted():
    with hurried():
        findings = measured(witness.measure_witness, "hoards forgets", payload_mib=8)
    assert findings.figures["handed_over_ok"] is False, findings.figures
    for word in ("whole disk", "forgets:"):
        assert any(word in promise for promise in findings.broken), (word, findings.broken)


def needless_elections_are_counted():
    findings = measured(steady.measure_steadiness, shape="three", minutes=0.05)
    assert findings.figures["term_changes"] == 0 and findings.figures["write_iops"] > 10, findings.figures
    findings = measured(steady.measure_steadiness, "restless", shape="three", minutes=0.05)
    assert findings.figures["term_changes"] > 0 and findings.broken, findings.figures


def a_silence_lasts_from_the_loss_however_late_it_is_told():
    told = [{"event": "accepted", "uri": 0, "ns": 1}, {"event": "accepted", "uri": 1, "ns": 3_000_000_000},
            {"event": "lost", "uri": 0, "ns": 1_000_000_000}, {"event": "lost", "uri": 2, "ns": 4_000_000_000}]
    assert upgrade.Upgrade.longest_silence(told) == 2.0, upgrade.Upgrade.longest_silence(told)
    assert upgrade.Upgrade.longest_silence(told[:1]) == 0.0


def a_load_over_tls_wants_our_own_certificate():
    with stand_ins() as programs, Cluster(programs, nbd=True) as mesh, Cluster(programs, roles=("data",)) as other:
        mesh.start()
        primary = mesh.ready()
        mesh.create_volume("append", "16M")
        words = dict(block=256, depth=64, fua=True)
        told = tools.wait_until("the TLS door is open", 5, lambda: attempt(
            primary.tls_uri("append"), certificates=mesh.client_certificates(), **words))
        assert told["answered"] == MIB // 256 and told["refused"] == 0, told
        assert clients.nbdload(RIG, "check", primary.uri("append"), MIB, block=256)["differing"] == 0
        assert clients.nbdload(RIG, "check", primary.uri("append"), MIB, block=256, seed=9)["differing"] == 4096
        assert attempt(primary.tls_uri("append"), certificates=other.client_certificates(), **words) is None


def attempt(uri, **words):
    try:
        return clients.nbdload(RIG, "write", uri, MIB, **words)
    except measure.Unmeasured:
        return None


# A measuring program in small: it starts a mesh, and then waits for its end.
WAITER = """
import sys, time
sys.path.insert(0, sys.argv[1])
import measure
from cluster import Cluster
def body(findings):
    with Cluster(sys.argv[2], namespaces=True) as mesh:
        mesh.start()
        mesh.ready()
        print(mesh.home, *[node.process.pid for node in mesh.nodes.values()], flush=True)
        if sys.argv[3] == "break":
            findings.expect(False, "planted")
            raise measure.Broken("thoroughly")
        if sys.argv[3] == "stumble":
            {}["missing"]
        if sys.argv[3] == "linger":
            # Bounded from here on: how long a mesh takes to start is the machine's affair.
            with measure.bounded(1):
                time.sleep(60)
        time.sleep(60)
sys.exit(measure.run(60, body))
"""


def ended(deed, number=None):
    """How a waiting program ended, and what it left."""
    with stand_ins() as programs:
        waiter = subprocess.Popen([sys.executable, "-B", "-c", WAITER, HERE, programs, deed],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        home, *pids = waiter.stdout.readline().split()
        if number:
            waiter.send_signal(number)
            time.sleep(0.05)
            waiter.send_signal(number)
        output, errors = waiter.communicate(timeout=20)
        spaces = tools.command("ip", "netns", "list").stdout
        left = [pid for pid in pids if os.path.exists(f"/proc/{pid}")] + [home] * os.path.exists(home)
        left += [f"hf{waiter.pid:x}"] * (f"hf{waiter.pid:x}" in spaces)
        return waiter.returncode, output, errors, left


def whatever_ends_a_measurement_nothing_is_left():
    for deed, number, code, word in (
            ("wait", signal.SIGINT, 2, "SIGINT"), ("wait", signal.SIGTERM, 2, "SIGTERM"),
            ("linger", None, 2, "longer than"), ("break", None, 1, ""), ("stumble", None, 2, "KeyError")):
        returned, output, errors, left = ended(deed, number)
        assert returned == code and word in errors and not left, (returned, output, errors, left)
        assert ("figures: {" in output) == (code == 1), output


def a_killed_driver_takes_its_agents_along():
    with stand_ins() as programs:
        driver = subprocess.Popen([sys.executable, "-B", os.path.join(HERE, "cluster.py"), "--bin", programs],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        told = json.loads(driver.stdout.readline())
        driver.kill()
        driver.communicate(timeout=5)
        tools.wait_until("the agents are gone", 5, lambda: not any(
            os.path.exists(f"/proc/{node['pid']}") for node in told["nodes"]))
        tools.command("rm", "-rf", told["home"])


TESTS = [
    the_demo_passes_an_honest_mesh, the_demo_convicts_a_mesh_that_forgets,
    the_demo_convicts_a_mesh_that_does_not_sync, a_partition_is_measured_and_heals,
    exports_that_are_never_closed_are_convicted, a_forgetful_takeover_is_convicted,
    a_mesh_in_which_nobody_takes_over_is_convicted,
    the_witness_is_measured_and_hands_over, a_witness_that_hoards_and_a_mesh_that_forgets_are_convicted,
    needless_elections_are_counted, a_silence_lasts_from_the_loss_however_late_it_is_told,
    a_load_over_tls_wants_our_own_certificate,
    whatever_ends_a_measurement_nothing_is_left, a_killed_driver_takes_its_agents_along,
]
