"""Tests of the mesh driver. The programs it drives are stand-ins written here: what is tested is who gets started,
configured, killed, cut off and cleaned up, and nothing about the agents."""

import json
import os
import subprocess
import sys
import tempfile
import time

import cluster
import network as networks
import tools

STAND_IN_AGENT = """#!/usr/bin/env python3
import json, os, signal, sys
import re
text = open(sys.argv[2]).read()
node = int(re.search(r"node: (\\d+)", text)[1])
run = re.search(r"run: (\\S+)", text)[1]
primary = {"node": 1, "region": "us-east-1", "epoch": 1, "acting": node == 1}
if os.path.exists(os.path.join(os.path.dirname(__file__), "deaf")):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
path = os.path.join(run, "admin.sock")
with open(path + ".new", "w") as file:
    json.dump({"node": node, "pid": os.getpid(), "leader": 1, "primary": primary}, file)
os.rename(path + ".new", path)
while True:
    signal.pause()
"""

STAND_IN_COMMAND = """#!/usr/bin/env python3
import os, sys
words = sys.argv[1:]
if words[0] == "cert":
    named = dict(zip(words[2::2], words[3::2]))
    name = "ca" if words[1] == "init" else "node-" + named["--node"]
    for kind in ("pem", "key"):
        open(os.path.join(named["--dir"], name + "." + kind), "x").close()
elif words[0] == "init":
    os.mkdir(os.path.join(os.path.dirname(words[2]), "data"))
else:
    sys.stdout.write(open(words[1]).read())
"""


def stand_ins(directory, deaf=False):
    for name, text in (("holdfast-agent", STAND_IN_AGENT), ("holdfast-witness", STAND_IN_AGENT),
                       ("holdfast", STAND_IN_COMMAND)):
        path = os.path.join(directory, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)
    if deaf:
        open(os.path.join(directory, "deaf"), "x").close()
    return directory


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return None


def a_mesh_starts_takes_faults_and_leaves_nothing():
    with tempfile.TemporaryDirectory() as programs:
        with cluster.Cluster(stand_ins(programs), roles=("data", "data", "witness"), lease="400ms") as mesh:
            mesh.start()
            assert mesh.ready().id == 1
            pids = [node.process.pid for node in mesh.nodes.values()]
            with open(os.path.join(mesh.home, "cluster.yaml")) as file:
                text = file.read()
            assert "{id: 3, region: eu-west-1, role: witness, " in text and "secondaryRegions: [us-west-2]" in text
            second = mesh.nodes[2]
            second.pause()
            tools.wait_until("paused", 2, lambda: state_of(second.process.pid) == "T")
            second.resume()
            tools.wait_until("resumed", 2, lambda: state_of(second.process.pid) == "S")
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            at = second.kill()
            assert before <= at <= time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            assert second.status() is None and state_of(pids[1]) is None
            second.start()
            mesh.nodes[3].pause()
            pids.append(second.process.pid)
            home = mesh.home
        assert not os.path.exists(home) and not any(state_of(pid) for pid in pids), pids


def a_mesh_that_never_agrees_is_late_and_is_still_stopped():
    with tempfile.TemporaryDirectory() as programs:
        try:
            with cluster.Cluster(stand_ins(programs)) as mesh:
                mesh.start(2, 3)
                pid = mesh.nodes[2].process.pid
                mesh.ready(ids=[2, 3], seconds=0.5)
            raise AssertionError("a mesh without an acting primary was called ready")
        except tools.Late:
            assert state_of(pid) is None


def a_node_that_ends_early_is_told_at_once():
    with tempfile.TemporaryDirectory() as programs:
        with cluster.Cluster(stand_ins(programs)) as mesh:
            mesh.start()
            mesh.nodes[3].kill()
            try:
                mesh.ready()
                raise AssertionError("a dead node was waited for")
            except RuntimeError as error:
                assert "node 3 ended with -9" in str(error)


def a_deaf_node_is_killed_in_the_end():
    usual, cluster.STOP_SECONDS_MAX = cluster.STOP_SECONDS_MAX, 0.3
    try:
        with tempfile.TemporaryDirectory() as programs:
            with cluster.Cluster(stand_ins(programs, deaf=True), roles=("data",)) as mesh:
                mesh.start()
                mesh.ready()
                pid = mesh.nodes[1].process.pid
                assert mesh.nodes[1].stop() is False and state_of(pid) is None
    finally:
        cluster.STOP_SECONDS_MAX = usual


def from_the_shell_it_serves_until_its_input_ends():
    with tempfile.TemporaryDirectory() as programs:
        words = [sys.executable, cluster.__file__, "--bin", stand_ins(programs)]
        driver = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        told = json.loads(driver.stdout.readline())
        pids = [node["pid"] for node in told["nodes"]]
        assert told["primary"] == 1 and all(state_of(pid) for pid in pids)
        driver.stdin.close()
        assert driver.wait(10) == 0
        driver.stdout.close()
        assert not any(state_of(pid) for pid in pids) and not os.path.exists(told["home"])


def hears(network, sender, receiver):
    # Only what was sent is waited for, however long it takes to start who sends.
    listen = ("import socket, sys; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 9))\n"
              "print('up', flush=True); sys.stdin.read(); s.settimeout(0.2)\n"
              "try: print(s.recv(9).decode())\nexcept TimeoutError: print('nothing')")
    send = f"import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'heard', ('{network.address(receiver)}', 9))"
    inside = ["ip", "netns", "exec"]
    listener = subprocess.Popen(inside + [network.space(receiver), sys.executable, "-c", listen],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    listener.stdout.readline()
    tools.command(*inside, network.space(sender), sys.executable, "-c", send)
    return listener.communicate(timeout=5)[0].strip() == "heard"


def a_cut_is_one_way_and_heals():
    network = networks.Network([1, 2, 3])
    try:
        assert hears(network, 1, 2) and hears(network, 2, 1)
        network.cut(1, 2)
        assert not hears(network, 1, 2)
        assert hears(network, 2, 1) and hears(network, 1, 3) and hears(network, 3, 2)
        network.heal()
        assert hears(network, 1, 2)
        network.isolate(1)
        assert not hears(network, 1, 2) and not hears(network, 2, 1) and not hears(network, 1, 3)
        assert hears(network, 3, 2)
        network.heal()
        assert hears(network, 1, 2) and hears(network, 2, 1)
        made = list(network.made)
    finally:
        network.close()
    left = tools.command("ip", "netns", "list").stdout
    assert len(made) == 4 and not any(name in left for name in made), left


TESTS = [
    a_mesh_starts_takes_faults_and_leaves_nothing, a_mesh_that_never_agrees_is_late_and_is_still_stopped,
    a_node_that_ends_early_is_told_at_once, a_deaf_node_is_killed_in_the_end,
    from_the_shell_it_serves_until_its_input_ends, a_cut_is_one_way_and_heals,
]
