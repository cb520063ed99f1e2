"""A mesh that isn't: programs with the agents' names and doors over one shared directory and nbdkit.

It lets the measuring programs be tested, also against the faults which they are there to find. It replicates nothing:
all "regions" serve the same files, whoever beats in the shared directory is primary, and a partition is felt by UDP.
"""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time

BEAT_SECONDS, SILENCE_SECONDS = 0.03, 0.5


class Agent:
    def __init__(self, config):
        text = open(config).read()
        self.home = os.path.dirname(os.path.abspath(config))
        self.node = int(re.search(r"node: (\d+)", text)[1])
        self.run = re.search(r"run: (\S+)", text)[1]
        self.nbd = re.search(r'nbd: \{listen: "(\S+):(\d+)"', text)
        self.tls = os.path.join(os.path.dirname(self.home), "server-tls")
        mesh = open(os.path.join(os.path.dirname(self.home), "cluster.yaml")).read()
        self.members = {int(node): (region, role, host, int(port)) for node, region, role, host, port in re.findall(
            r'id: (\d+), region: (\S+), role: (\w+), address: "(\S+):(\d+)"', mesh)}
        self.shared = os.path.join(os.path.dirname(self.home), "shared")
        os.makedirs(os.path.join(self.shared, "volumes"), exist_ok=True)
        os.makedirs(f"{self.run}/volumes", exist_ok=True)
        # `forgets`: whoever takes over serves what was there before any write. `clings`: nobody's exports get closed.
        # `restless`: a new epoch and term with every beat. `hoards`: the witness's disk fills. `lazy`: flushes do nothing.
        # `stays`: nobody takes over.
        self.sins = open(os.path.join(os.path.dirname(sys.argv[0]), "sins")).read().split()
        self.heard = {self.node: 0.0}
        self.servers, self.takeovers, self.is_primary = {}, [], False
        region, role, host, port = self.members[self.node]
        self.region, self.role = region, role
        self.door = socket.socket(type=socket.SOCK_DGRAM)
        self.door.bind((host, port))

    def file(self, name):
        return os.path.join(self.shared, name)

    def read(self, name):
        try:
            return json.load(open(self.file(name)))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def write(self, path, value):
        with open(f"{path}.{self.node}", "w") as file:
            json.dump(value, file)
        os.rename(f"{path}.{self.node}", path)

    def beat(self):
        for node, (_, _, host, port) in self.members.items():
            if node != self.node:
                try:
                    self.door.sendto(str(self.node).encode(), (host, port))
                except OSError:
                    pass
        until = time.monotonic() + BEAT_SECONDS
        while (left := until - time.monotonic()) > 0:
            if select.select([self.door], [], [], left)[0]:
                self.heard[int(self.door.recv(9))] = time.monotonic()
        self.heard[self.node] = time.monotonic()

    def has_quorum(self):
        fresh = sum(time.monotonic() - at < SILENCE_SECONDS for at in self.heard.values())
        return fresh > len(self.members) // 2

    def server(self, words):
        """Dies as its agent dies, and under the shim loses what it had not synced, as its agent would."""
        environment = dict(os.environ)
        if "LD_PRELOAD" in environment:
            environment["HOLDFAST_POWERCUT_DIR"] = self.shared
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL"] + words, env=environment)

    def serve(self, name):
        path, door = self.file(f"volumes/{name}"), f"{self.run}/volumes/{name}.sock"
        if "forgets" in self.sins and self.takeovers:
            path = f"{self.home}/{name}"
            os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), os.path.getsize(self.file(f"volumes/{name}")))
        if os.path.exists(door):
            os.unlink(door)
        # One request after the other: the kernel may give half of a page that is being written, and the judges demand that a
        # block is atomic, as it is with an agent.
        disk = ["--filter=noparallel", "file", path, "serialize=all-requests"]
        words = ["nbdkit", "-f", "-U", door, *disk]
        if "lazy" in self.sins:
            words = ["qemu-nbd", "-t", "-e", "8", "-k", door, "-f", "raw", "-x", name, "--cache=unsafe", path]
        servers = [self.server(words)]
        if self.nbd and os.path.exists(self.tls):
            servers.append(self.server(
                ["nbdkit", "-f", "-i", self.nbd[1], "-p", self.nbd[2], "--tls=require",
                 f"--tls-certificates={self.tls}", "--tls-verify-peer", *disk]))
        self.servers[name] = servers

    def rise(self, former):
        started = time.monotonic()
        if "clings" not in self.sins:
            for pid in former.get("servers", []):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.is_primary = True
        if former:
            self.takeovers = [{"epoch": former["epoch"] + 1, "from": self.members[former["node"]][0], "to": self.region,
                               "reason": "takeover", "at": int(time.time() * 1000), "phases": [
                                   {"name": "stand-in closed the old exports",
                                    "milliseconds": round((time.monotonic() - started) * 1000)}]}]

    def fall(self):
        self.is_primary = False
        for name, servers in self.servers.items():
            for server in servers if "clings" not in self.sins else []:
                server.kill()
                server.wait()
                if os.path.exists(f"{self.run}/volumes/{name}.sock"):
                    os.unlink(f"{self.run}/volumes/{name}.sock")
        self.servers = {}

    def reign(self, said):
        for name in set(os.listdir(self.file("volumes"))) - set(self.servers):
            self.serve(name)
        epoch = said["epoch"] if said.get("node") == self.node else said.get("epoch", 0) + 1
        epoch += "restless" in self.sins
        pids = [server.pid for servers in self.servers.values() for server in servers]
        self.write(self.file("primary"), {"node": self.node, "epoch": epoch, "at": time.monotonic(), "servers": pids})

    def turn(self):
        self.beat()
        said, quorum = self.read("primary"), self.has_quorum()
        if self.is_primary and (not quorum or said.get("node", self.node) != self.node):
            self.fall()
        stale = time.monotonic() - said.get("at", 0) > SILENCE_SECONDS + self.node * 0.1
        stays = "stays" in self.sins and said
        if not self.is_primary and quorum and stale and self.role == "data" and not stays:
            self.rise(said)
        if self.is_primary:
            self.reign(said)
        if self.role == "witness" and "hoards" in self.sins:
            with open(f"{self.home}/data/hoard", "ab") as hoard:
                hoard.write(bytes(1 << 20))
        said = self.read("primary")
        if said:
            self.tell(said)

    def tell(self, said):
        members = [{"node": node, "liveness": "self" if node == self.node else
                    "alive" if time.monotonic() - self.heard.get(node, 0) < SILENCE_SECONDS else "dead",
                    "matchIndex": 1, "lagEntries": None if node == self.node else 0} for node in self.members]
        primary = {"node": said["node"], "region": self.members[said["node"]][0], "epoch": said["epoch"],
                   "acting": self.is_primary}
        # The log grows with time, and a witness is told of it by whoever it hears.
        last, told = (int(1000 * at) for at in (time.monotonic(), max(
            (at for node, at in self.heard.items() if node != self.node), default=0)))
        self.write(f"{self.run}/admin.sock", {
            "node": self.node, "leader": said["node"], "primary": primary, "members": members,
            "raft": {"term": said["epoch"], "commit": told, "last": {"index": last, "term": 1},
                     "base": {"index": told, "term": 1}, "logBytes": 0},
            "takeovers": self.takeovers, "alarms": []})


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def certificate(words):
    named = dict(zip(words[1::2], words[2::2]))
    place = named["--dir"]
    tls = os.path.join(place, "server-tls")
    if words[0] == "init":
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=ca",
                "-keyout", f"{place}/ca.key", "-out", f"{place}/ca.pem")
        os.mkdir(tls)
        os.symlink(f"{place}/ca.pem", f"{tls}/ca-cert.pem")
        for kind, ending in (("cert", "pem"), ("key", "key")):
            os.symlink(f"{place}/node-1.{ending}", f"{tls}/server-{kind}.pem")
        return
    name = f"{place}/node-{named['--node']}"
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=node",
            "-addext", f"subjectAltName=IP:{named['--address']}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{place}/ca.pem", "-CAkey", f"{place}/ca.key",
            "-CAcreateserial", "-copy_extensions", "copy", "-out", f"{name}.pem")


def ask(words):
    run = os.path.dirname(words[1])
    if words[2] == "status":
        sys.stdout.write(open(words[1]).read())
    elif words[2:4] == ["volume", "create"]:
        size = words[words.index("--size") + 1]
        volumes = os.path.join(os.path.dirname(run), "shared", "volumes")
        with open(os.path.join(volumes, words[4]), "wb") as file:
            file.truncate(int(size[:-1]) << {"K": 10, "M": 20, "G": 30}[size[-1]])


def init(config):
    os.mkdir(re.search(r"data: (\S+)", open(config).read())[1], 0o700)


def main():
    if os.path.basename(sys.argv[0]) == "holdfast":
        if sys.argv[1] == "init":
            return init(sys.argv[3])
        return certificate(sys.argv[2:]) if sys.argv[1] == "cert" else ask(sys.argv[1:])
    agent = Agent(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        agent.turn()


if __name__ == "__main__":
    main()
