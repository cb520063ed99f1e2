"""A mesh of real agents on one machine: start, kill, pause, cut, heal.

As a library: `with Cluster(...) as cluster:`; from a shell, `cluster.py --bin DIR` starts a mesh, prints one JSON line
that says where everything is, and stops what it started at end of input or SIGTERM.

Only what this object started is ever signalled or removed: processes by their own Popen handle, namespaces,
links and directories by names which carry this process's id.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

READY_SECONDS_MAX = 30
COMMAND_SECONDS_MAX = 15
STOP_SECONDS_MAX = 5
POLL_SECONDS = 0.02
NODES_MAX = 16
REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-north-1", "ap-south-1", "ap-east-1", "sa-east-1")
# The interface-name limit is 15 characters (IFNAMSIZ), so names are a short prefix and the process id in hexadecimal.
BRIDGE_NETWORK = "10.213.77"


class Late(Exception):
    """A wait reached its named limit."""


def wait_until(what, seconds, holds):
    """Polls until `holds()` returns something true, and returns that."""
    until = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() >= until:
            raise Late(f"{what}: not within {seconds} s")
        time.sleep(POLL_SECONDS)


def command(*words, check=True, seconds=COMMAND_SECONDS_MAX):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=seconds)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.returncode}: {done.stderr.strip()}")
    return done


def free_ports(count):
    """Ports that were free a moment ago; all are held until all are known, so that none is given twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Network:
    """One namespace per node, all on one bridge in a namespace of its own: nothing of the host's network is touched."""

    def __init__(self, ids):
        self.tag = f"{os.getpid():x}"
        self.hub = f"hf{self.tag}h"
        self.ids = list(ids)
        self.made = []
        self.cuts = []
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def space(self, node):
        return f"hf{self.tag}n{node}"

    def address(self, node):
        return f"{BRIDGE_NETWORK}.{node}"

    def add_space(self, name):
        command("ip", "netns", "add", name)
        self.made.append(name)
        command("ip", "-n", name, "link", "set", "lo", "up")

    def build(self):
        self.add_space(self.hub)
        command("ip", "-n", self.hub, "link", "add", "hub", "type", "bridge")
        command("ip", "-n", self.hub, "link", "set", "hub", "up")
        for node in self.ids:
            space = self.space(node)
            self.add_space(space)
            command("ip", "-n", self.hub, "link", "add", f"to{node}", "type", "veth",
                    "peer", "name", "mesh", "netns", space)
            command("ip", "-n", self.hub, "link", "set", f"to{node}", "master", "hub", "up")
            command("ip", "-n", space, "address", "add", f"{self.address(node)}/24", "dev", "mesh")
            command("ip", "-n", space, "link", "set", "mesh", "up")
            self.nft(space, "add table inet cut")
            # Input at the receiver: a packet dropped there was lost on its way, and the sender gets no error.
            self.nft(space, "add chain inet cut in { type filter hook input priority -10; policy accept; }")

    def nft(self, space, rule):
        command("ip", "netns", "exec", space, "nft", rule)

    def cut(self, sender, receiver):
        """From now on nothing that `sender` sends reaches `receiver`; the other direction stays open."""
        self.nft(self.space(receiver), f"add rule inet cut in ip saddr {self.address(sender)} drop")
        self.cuts.append((sender, receiver))

    def heal(self):
        """Undoes every cut."""
        for receiver in sorted({receiver for _, receiver in self.cuts}):
            self.nft(self.space(receiver), "flush chain inet cut in")
        self.cuts.clear()

    def close(self):
        for name in reversed(self.made):
            command("ip", "netns", "delete", name, check=False)
        self.made.clear()


class Node:
    def __init__(self, cluster, node, region, role, host, port):
        self.cluster, self.id, self.region, self.role = cluster, node, region, role
        self.host, self.port = host, port
        self.home = os.path.join(cluster.home, f"node-{node}")
        # Not below the home: the path of a Unix socket has at most 107 bytes.
        self.run = os.path.join(cluster.home, f"r{node}")
        self.log = os.path.join(self.home, "log")
        self.process = None

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def uri(self, volume):
        """What flushcheck is given; whether the export exists is the agent's affair."""
        return f"nbd+unix:///{volume}?socket={self.run}/volumes/{volume}.sock"

    def start(self, environment=None):
        if self.is_running:
            raise RuntimeError(f"node {self.id} runs already")
        name = "holdfast-witness" if self.role == "witness" else "holdfast-agent"
        words = [self.cluster.program(name), "--config", os.path.join(self.home, "node.yaml")]
        if self.cluster.network:
            words = ["ip", "netns", "exec", self.cluster.network.space(self.id)] + words
        with open(self.log, "ab") as log:
            # Its own process group: neither an interrupt typed at us nor a helper of its own gets lost.
            # `ip netns exec` replaces itself, so the id is the agent's in either case.
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True, env=os.environ | (environment or {}))

    def send(self, number):
        if not self.is_running:
            raise RuntimeError(f"node {self.id} doesn't run")
        at = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        os.kill(self.process.pid, number)
        return at

    def kill(self):
        """SIGKILL; returns the CLOCK_MONOTONIC nanoseconds just before it, for the time of a takeover."""
        at = self.send(signal.SIGKILL)
        self.process.wait(STOP_SECONDS_MAX)
        return at

    def pause(self):
        return self.send(signal.SIGSTOP)

    def resume(self):
        return self.send(signal.SIGCONT)

    def stop(self):
        """Asks first; insists after STOP_SECONDS_MAX and then says so by returning False."""
        if not self.is_running:
            return True
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
            return True
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS_MAX)
            return False

    def holdfast(self, *words, check=True):
        return command(self.cluster.program("holdfast"), "--socket", f"{self.run}/admin.sock", *words, check=check)

    def status(self):
        """The status, or None when the node gives none (it is dead, paused or not yet up)."""
        if not self.is_running:
            return None
        try:
            done = self.holdfast("status", "-o", "json", check=False)
            return json.loads(done.stdout) if done.returncode == 0 else None
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            return None


class Cluster:
    """`roles` has one entry per node; the ids are 1… and the regions REGIONS in order."""

    def __init__(self, binaries, roles=("data", "data", "data"), namespaces=False, lease=None, keep=False):
        if not 1 <= len(roles) <= min(NODES_MAX, len(REGIONS)):
            raise ValueError(f"1…{len(REGIONS)} nodes")
        self.binaries, self.lease, self.keep = os.path.abspath(binaries), lease, keep
        self.roles, self.namespaces = roles, namespaces
        self.home, self.network, self.nodes = None, None, {}

    def __enter__(self):
        self.home = tempfile.mkdtemp(prefix="hf-")
        try:
            if self.namespaces:
                self.network = Network(range(1, len(self.roles) + 1))
            self.lay_out()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def program(self, name):
        return os.path.join(self.binaries, name)

    def lay_out(self):
        ports = [7101] * len(self.roles) if self.network else free_ports(len(self.roles))
        for index, role in enumerate(self.roles):
            host = self.network.address(index + 1) if self.network else "127.0.0.1"
            self.nodes[index + 1] = Node(self, index + 1, REGIONS[index], role, host, ports[index])
        identity = secrets.token_hex(16)
        self.write("cluster.yaml", self.cluster_yaml(identity))
        command(self.program("holdfast"), "cert", "init", "--dir", self.home, "--cluster", identity)
        for node in self.nodes.values():
            os.makedirs(os.path.join(node.home, "data"), 0o700)
            os.makedirs(node.run, 0o700)
            command(self.program("holdfast"), "cert", "issue", "--dir", self.home, "--node", node.id,
                    "--region", node.region, "--address", node.host)
            self.write(f"node-{node.id}/node.yaml", self.node_yaml(node))

    def write(self, name, text):
        with open(os.path.join(self.home, name), "x") as file:
            file.write(text)

    def cluster_yaml(self, identity):
        lines = [f"cluster: {identity}", "members:"]
        for node in self.nodes.values():
            lines.append(f"  - {{id: {node.id}, region: {node.region}, role: {node.role}, "
                         f"address: \"{node.address}\"}}")
        data = [node.region for node in self.nodes.values() if node.role == "data"]
        lines += [f"primaryRegion: {data[0]}", f"secondaryRegions: [{', '.join(data[1:])}]"]
        if self.lease:
            lines.append(f"lease: {self.lease}")
        return "\n".join(lines) + "\n"

    def node_yaml(self, node):
        pem = os.path.join(self.home, f"node-{node.id}")
        return "\n".join([
            f"node: {node.id}", "cluster: ../cluster.yaml", f"data: {node.home}/data", f"run: {node.run}",
            f"tls: {{ca: {self.home}/ca.pem, certificate: {pem}.pem, key: {pem}.key}}",
            "log: {level: info, format: text}", ""])

    def start(self, *ids):
        for node in ids or sorted(self.nodes):
            self.nodes[node].start()

    def primary(self):
        """The node which says of itself that it acts as primary, or None."""
        for node in self.nodes.values():
            said = (node.status() or {}).get("primary") or {}
            if said.get("node") == node.id and said.get("acting"):
                return node
        return None

    def ready(self, ids=None, seconds=READY_SECONDS_MAX):
        """Waits until these nodes answer and know one leader, and a primary acts; returns the primary."""
        ids = sorted(self.nodes) if ids is None else ids

        def agreed():
            for node in ids:
                process = self.nodes[node].process
                if process is not None and process.poll() is not None:
                    raise RuntimeError(f"node {node} ended with {process.returncode}; see {self.nodes[node].log}")
            said = [self.nodes[node].status() for node in ids]
            leaders = {each.get("leader") for each in said if each}
            return all(said) and len(leaders) == 1 and None not in leaders and self.primary()

        return wait_until("the mesh is ready", seconds, agreed)

    def cut(self, a, b):
        if not self.network:
            raise RuntimeError("cuts need namespaces")
        self.network.cut(a, b)

    def heal(self):
        if self.network:
            self.network.heal()

    def close(self):
        # All are asked before any is waited for, so that a slow one doesn't hold up the others.
        for node in self.nodes.values():
            if node.is_running:
                os.kill(node.process.pid, signal.SIGCONT)
                node.process.terminate()
        forced = [node.id for node in self.nodes.values() if not node.stop()]
        if forced:
            print(f"cluster: these nodes had to be killed: {forced}", file=sys.stderr)
        if self.network:
            self.network.close()
        if self.home and not self.keep:
            shutil.rmtree(self.home, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description="a mesh of agents on this machine")
    parser.add_argument("--bin", required=True, help="the directory of holdfast, holdfast-agent, holdfast-witness")
    parser.add_argument("--roles", default="data,data,data")
    parser.add_argument("--namespaces", action="store_true", help="one network namespace per node (needs root)")
    parser.add_argument("--lease")
    parser.add_argument("--keep", action="store_true", help="leave the directory behind")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Cluster(options.bin, options.roles.split(","), options.namespaces, options.lease, options.keep) as cluster:
        cluster.start()
        primary = cluster.ready()
        nodes = [{"id": node.id, "region": node.region, "pid": node.process.pid, "run": node.run, "log": node.log}
                 for node in cluster.nodes.values()]
        print(json.dumps({"home": cluster.home, "primary": primary.id, "nodes": nodes}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
