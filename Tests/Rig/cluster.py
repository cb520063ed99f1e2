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

from network import Network
from tools import command, free_ports, now_ns, wait_until

READY_SECONDS_MAX = 30
STOP_SECONDS_MAX = 5
RELOAD_SECONDS_MAX = 10
EXPORT_SECONDS_MAX = 10
NODES_MAX = 16
REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-north-1", "ap-south-1", "ap-east-1", "sa-east-1")
MESH_PORT, NBD_PORT = 7101, 10809
# More than any run writes: beyond it the power cut would prove nothing, so a run that reaches it fails.
POWERCUT_BYTES_MAX = 8 << 30


def powercut_environment(shim, node):
    return {"LD_PRELOAD": os.path.abspath(shim), "HOLDFAST_POWERCUT_DIR": node.data,
            "HOLDFAST_POWERCUT_BYTES_MAX": POWERCUT_BYTES_MAX}


class Node:
    def __init__(self, cluster, node, region, role, host, port, nbd_port):
        self.cluster, self.id, self.region, self.role = cluster, node, region, role
        self.host, self.port, self.nbd_port = host, port, nbd_port
        self.home = os.path.join(cluster.home, f"node-{node}")
        # Not below the home: the path of a Unix socket has at most 107 bytes.
        self.run = os.path.join(cluster.home, f"r{node}")
        self.data = os.path.join(self.home, "data")
        self.config = os.path.join(self.home, "node.yaml")
        self.log = os.path.join(self.home, "log")
        self.process = None
        # Where its programs are, if not where the mesh's are.
        self.binaries = None

    def program(self, name):
        return os.path.join(self.binaries, name) if self.binaries else self.cluster.program(name)

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def socket(self, volume):
        return f"{self.run}/volumes/{volume}.sock"

    def uri(self, volume):
        """What flushcheck is given; whether the export exists is the agent's affair."""
        return f"nbd+unix:///{volume}?socket={self.socket(volume)}"

    def serves(self, volume):
        """Whether somebody listens there; a socket that its process left behind refuses."""
        with socket.socket(socket.AF_UNIX) as door:
            try:
                door.settimeout(1)
                door.connect(self.socket(volume))
                return True
            except OSError:
                return False

    def tls_uri(self, volume):
        return f"nbds://{self.host}:{self.nbd_port}/{volume}"

    def words(self, environment):
        """The environment is set last and by `env`: the tools before the agent aren't to be preloaded."""
        name = "holdfast-witness" if self.role == "witness" else "holdfast-agent"
        words = [self.program(name), "--config", self.config]
        if environment:
            words = ["env"] + [f"{key}={value}" for key, value in environment.items()] + words
        if self.cluster.network:
            words = ["ip", "netns", "exec", self.cluster.network.space(self.id)] + words
        # Each of these replaces itself, so the id is the agent's; and no agent outlives a driver that gets killed.
        return ["setpriv", "--pdeathsig", "KILL"] + words

    def start(self, environment=None):
        if self.is_running:
            raise RuntimeError(f"node {self.id} runs already")
        environment = self.cluster.powercut(self) | (environment or {})
        with open(self.log, "ab") as log:
            # Its own process group: neither an interrupt typed at us nor a helper of its own gets lost.
            self.process = subprocess.Popen(self.words(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)

    def send(self, number):
        if not self.is_running:
            raise RuntimeError(f"node {self.id} doesn't run")
        at = now_ns()
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

    def ask_to_stop(self):
        if self.is_running:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.terminate()

    def stop(self):
        """Asks first; insists after STOP_SECONDS_MAX and then says so by returning False."""
        if not self.is_running:
            return True
        self.ask_to_stop()
        try:
            self.process.wait(STOP_SECONDS_MAX)
            return True
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS_MAX)
            return False

    def holdfast(self, *words, check=True):
        return command(self.program("holdfast"), "--socket", f"{self.run}/admin.sock", *words, check=check)

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
    """`roles` has one entry per node; the ids are 1… and the regions REGIONS in order.

    `shim` is powercut.so: while it is set, agents are started under it, and killing one is a power cut.
    `settings` are more lines of each node's file, `shared` of the cluster's; `preferred` regions are to be primary before the others.
    """

    def __init__(self, binaries, roles=("data", "data", "data"), namespaces=False, lease=None, keep=False, nbd=False,
                 shim=None, settings=(), preferred=(), shared=()):
        if not 1 <= len(roles) <= min(NODES_MAX, len(REGIONS)):
            raise ValueError(f"1…{len(REGIONS)} nodes")
        self.binaries, self.lease, self.keep = os.path.abspath(binaries), lease, keep
        self.roles, self.namespaces, self.nbd, self.shim = roles, namespaces, nbd, shim
        self.settings, self.shared = settings, shared
        self.home, self.network, self.nodes = None, None, {}
        self.identity, self.preferred = None, preferred

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

    def powercut(self, node):
        return powercut_environment(self.shim, node) if self.shim else {}

    def powercut_escapes(self):
        """What the shim had to let through: a run with any proves nothing about syncs."""
        told = []
        for node in self.nodes.values():
            with open(node.log, errors="replace") as log:
                told += [f"node {node.id}: {line.strip()}" for line in log if line.startswith("powercut:")]
        return told

    def lay_out(self):
        count = len(self.roles)
        ports = [MESH_PORT] * count + [NBD_PORT] * count if self.network else free_ports(2 * count)
        for index, role in enumerate(self.roles):
            host = self.network.address(index + 1) if self.network else "127.0.0.1"
            self.nodes[index + 1] = Node(self, index + 1, REGIONS[index], role, host, ports[index],
                                         ports[count + index])
        self.identity = secrets.token_hex(16)
        self.write("cluster.yaml", self.cluster_yaml())
        command(self.program("holdfast"), "cert", "init", "--dir", self.home, "--cluster", self.identity)
        for node in self.nodes.values():
            self.make(node)

    def make(self, node, *settings):
        """Its directories, certificate, file and store."""
        os.makedirs(node.home, 0o700)
        os.makedirs(node.run, 0o700)
        command(self.program("holdfast"), "cert", "issue", "--dir", self.home, "--node", node.id,
                "--region", node.region, "--address", node.host)
        self.write(f"node-{node.id}/node.yaml", self.node_yaml(node, *settings))
        command(self.program("holdfast"), "init", "--config", node.config)

    def join(self, node_id, region, role):
        """A fresh node, named in everybody's file from now on, that is to become a member; it is not started."""
        port, nbd_port = free_ports(2)
        node = Node(self, node_id, region, role, "127.0.0.1", port, nbd_port)
        self.nodes[node_id] = node
        self.reload()
        self.make(node, "founding: false")
        return node

    def forget(self, node_id):
        """It is gone for good, with all that it held, and stands in nobody's file any more."""
        node = self.nodes.pop(node_id)
        node.stop()
        shutil.rmtree(node.home)
        self.reload()

    def reload(self):
        """Everybody who runs reads the members again."""
        fresh = os.path.join(self.home, "cluster.yaml.new")
        with open(fresh, "w") as file:
            file.write(self.cluster_yaml())
        os.replace(fresh, os.path.join(self.home, "cluster.yaml"))
        for node in self.nodes.values():
            if node.is_running:
                node.send(signal.SIGHUP)
        ids = sorted(self.nodes)
        for node in self.nodes.values():
            if node.is_running:
                wait_until(f"node {node.id} knows the members {ids}", RELOAD_SECONDS_MAX, lambda: ids == sorted(
                    each["node"] for each in (node.status() or {}).get("members", [])))

    def write(self, name, text):
        with open(os.path.join(self.home, name), "x") as file:
            file.write(text)

    def cluster_yaml(self):
        lines = [f"cluster: {self.identity}", "members:"]
        for node in self.nodes.values():
            lines.append(f"  - {{id: {node.id}, region: {node.region}, role: {node.role}, "
                         f"address: \"{node.address}\"}}")
        data = [node.region for node in self.nodes.values() if node.role == "data"]
        data = list(dict.fromkeys([*(region for region in self.preferred if region in data), *data]))
        lines += [f"primaryRegion: {data[0]}", f"secondaryRegions: [{', '.join(data[1:])}]"]
        if self.lease:
            lines.append(f"lease: {self.lease}")
        lines += self.shared
        return "\n".join(lines) + "\n"

    def node_yaml(self, node, *settings):
        pem = os.path.join(self.home, f"node-{node.id}")
        lines = [
            f"node: {node.id}", "cluster: ../cluster.yaml", f"data: {node.data}", f"run: {node.run}",
            f"tls: {{ca: {self.home}/ca.pem, certificate: {pem}.pem, key: {pem}.key}}",
            "log: {level: info, format: text}", *self.settings, *settings]
        if self.nbd and node.role == "data":
            lines.append(f"nbd: {{listen: \"{node.host}:{node.nbd_port}\"}}")
        return "\n".join(lines) + "\n"

    def client_certificates(self):
        """A directory such as libnbd wants one, with a certificate of the mesh's own authority."""
        place = os.path.join(self.home, "client")
        if not os.path.exists(place):
            os.mkdir(place, 0o700)
            for name, source in (("ca-cert.pem", "ca.pem"), ("client-cert.pem", "node-1.pem"),
                                 ("client-key.pem", "node-1.key")):
                os.symlink(os.path.join(self.home, source), os.path.join(place, name))
        return place

    @property
    def data_nodes(self):
        return [node for node in self.nodes.values() if node.role == "data"]

    @property
    def running(self):
        return [node.id for node in self.nodes.values() if node.is_running]

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

        def ready():
            for node in ids:
                process = self.nodes[node].process
                if process is not None and process.poll() is not None:
                    raise RuntimeError(f"node {node} ended with {process.returncode}; see {self.nodes[node].log}")
            return self.agreed(ids)

        return wait_until("the mesh is ready", seconds, ready)

    def agreed(self, ids):
        """The acting primary when these nodes answer and know one leader, else None."""
        said = [self.nodes[node].status() for node in ids]
        leaders = {each.get("leader") for each in said if each}
        return self.primary() if all(said) and len(leaders) == 1 and None not in leaders else None

    def is_caught_up(self):
        """Whether every data node is linked to the primary and holds all of its log."""
        primary = self.primary()
        members = {each.get("node"): each for each in ((primary and primary.status()) or {}).get("members", [])}
        others = [members.get(node.id, {}) for node in self.data_nodes if node is not primary]
        return bool(primary) and all(each.get("liveness") == "alive" and each.get("lagEntries") == 0
                                     for each in others)

    def create_volume(self, name, size, mode="sync"):
        """Returns once the acting primary serves it."""
        primary = self.primary()
        primary.holdfast("volume", "create", name, "--size", size, "--mode", mode)
        self.await_served(primary, name)

    def await_served(self, node, *volumes):
        for name in volumes:
            wait_until(f"volume {name} is served by node {node.id}", EXPORT_SECONDS_MAX, lambda: node.serves(name))

    def isolate(self, node):
        if not self.network:
            raise RuntimeError("cuts need namespaces")
        return self.network.isolate(node)

    def cut(self, a, b):
        if not self.network:
            raise RuntimeError("cuts need namespaces")
        self.network.cut(a, b)

    def heal(self):
        if self.network:
            self.network.heal()

    def stop(self):
        """All are asked before any is waited for, so that a slow one doesn't hold up the others."""
        for node in self.nodes.values():
            node.ask_to_stop()
        forced = [node.id for node in self.nodes.values() if not node.stop()]
        if forced:
            print(f"cluster: these nodes had to be killed: {forced}", file=sys.stderr)

    def cut_power(self):
        """SIGKILL for every agent that runs; under the shim that is the loss of power in all regions at once."""
        running = [node for node in self.nodes.values() if node.is_running]
        for node in running:
            node.send(signal.SIGKILL)
        for node in running:
            node.process.wait(STOP_SECONDS_MAX)

    def close(self):
        self.stop()
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
