"""Our side of `make bench-backup`: three agents, four volumes with the images, and the shipped commands."""

import glob
import os
import shutil
import subprocess

import faults
import measure
import stores
import tools
from clients import Program
from cluster import Cluster

LOAD_MIB = 16
COPY_SECONDS_MAX, STEP_SECONDS_MAX, LOAD_SECONDS_MAX, CAUGHT_UP_SECONDS_MAX = 600, 600, 3600, 120
HERE = os.path.dirname(os.path.abspath(__file__))


def stored_bytes(folder):
    return sum(os.path.getsize(path) for path in glob.glob(f"{folder}/**", recursive=True) if os.path.isfile(path))


class Directory:
    """A repository in a directory."""

    def __init__(self, place):
        self.path = os.path.join(place, "repository")
        self.setting = f"directory: {self.path}"

    def make(self):
        os.mkdir(self.path)

    def stored(self):
        return stored_bytes(self.path)

    def empty(self):
        """But for the keys."""
        for tenant in glob.glob(os.path.join(self.path, "*", "")):
            for part in glob.glob(os.path.join(tenant, "*")):
                if os.path.basename(part) != "keys":
                    shutil.rmtree(part)


class Bucket:
    """A repository in a bucket of a service on loopback."""

    def __init__(self, place, service):
        self.service, self.path = service, os.path.join(place, "store.yaml")
        self.credentials = os.path.join(place, "credentials")
        self.setting = f"store: {self.path}"

    def make(self):
        with open(os.open(self.credentials, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(f"[default]\naws_access_key_id = {self.service.key}\n"
                       f"aws_secret_access_key = {self.service.secret}\n")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(f"s3:\n  bucket: {stores.BUCKET}\n  region: {stores.REGION}\n"
                       f"  endpoint: {self.service.endpoint}\n  credentials: credentials\n")

    def stored(self):
        return sum(self.service.objects().values())


class Mesh:
    """The backups are made by a region that is not primary."""

    def __init__(self, programs, place, repository):
        self.programs, self.place, self.repository = programs, place, repository
        self.key = os.path.join(place, "site.key")
        # Without the log's own way into the repository, which would count as what a backup stored.
        self.mesh = Cluster(programs, settings=(f"backup: {{{repository.setting}, key: {self.key}, shipLog: false}}",))

    def __enter__(self):
        os.makedirs(self.place)
        self.make_repository()
        self.mesh.__enter__()
        try:
            self.mesh.start()
            if self.mesh.ready() is not self.mesh.nodes[1]:
                raise measure.Unmeasured("another node than the preferred one became primary")
        except BaseException:
            self.mesh.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.mesh.__exit__()

    @property
    def primary(self):
        return self.mesh.nodes[1]

    @property
    def agent(self):
        return self.mesh.nodes[2]

    def holdfast(self, *words):
        return [os.path.join(os.path.abspath(self.programs), "holdfast"), *words]

    def make_repository(self):
        self.repository.make()
        subprocess.run(self.holdfast("repository", "create", self.repository.path, "--key", self.key, "--spare-key", self.key + ".spare"),
                       check=True, capture_output=True, timeout=tools.COMMAND_SECONDS_MAX)

    def renew_repository(self):
        """The next backup finds none before it. The agent runs on, since one that was started again replays its log first."""
        self.repository.empty()

    def caught_up(self):
        faults.await_caught_up(self.mesh, CAUGHT_UP_SECONDS_MAX)

    def fill(self, folder, names, mib):
        """Writes the images into volumes, the zeros too."""
        for name in names:
            self.mesh.create_volume(name, f"{mib}M")
            subprocess.run(["nbdcopy", "--flush", "--no-extents", "--sparse=0", os.path.join(folder, f"{name}.raw"),
                            self.primary.uri(name)], check=True, timeout=COPY_SECONDS_MAX)
        self.mesh.create_volume("load", f"{LOAD_MIB}M")
        self.caught_up()

    def write(self, folder, blocks):
        """Those blocks of the images, as they are in that folder."""
        for name, numbers in blocks.items():
            subprocess.run(["/usr/bin/python3", os.path.join(HERE, "scatter.py"), self.primary.uri(name),
                            os.path.join(folder, f"{name}.raw")], check=True, input=" ".join(map(str, numbers)), text=True,
                           timeout=COPY_SECONDS_MAX)
        self.caught_up()

    def load(self):
        """20 MiB/s of a guest that writes its hot 16 MiB again and again, with a flush now and then."""
        return Program(["timeout", "--foreground", "-s", "KILL", LOAD_SECONDS_MAX, "fio", "--name=load", "--ioengine=nbd",
                        f"--uri={self.primary.uri('load')}", "--thread", "--rw=randwrite", "--bs=64k",
                        f"--size={LOAD_MIB}m", "--rate=20m", "--iodepth=4", "--fsync=32", "--time_based",
                        f"--runtime={LOAD_SECONDS_MAX}"])

    def images(self):
        """Reads what the agent keeps, so that it has it in memory as the others have theirs."""
        for folder, _, files in os.walk(self.agent.data):
            for name in files:
                yield os.path.join(folder, name)

    def back_up(self, *more):
        return self.holdfast("--socket", f"{self.agent.run}/admin.sock", "backup", "run", "-o", "json", *more)

    def repository_words(self, *words):
        return self.holdfast(*words, "--repository", self.repository.path, "--key", self.key)

    def scrub(self):
        """Without a key, as where the packs are."""
        return self.holdfast("repository", "scrub", self.repository.path)

    def verify(self):
        return self.repository_words("backup", "verify")

    def restore(self, target):
        return self.repository_words("restore", "--to", target)

    def forget_peak(self):
        """The agent's peak of memory begins anew."""
        with open(f"/proc/{self.agent.process.pid}/clear_refs", "w") as file:
            file.write("5")

    def peak_mib(self):
        return tools.memory_mib(self.agent.process.pid)[1]

    def cpu_seconds(self):
        return tools.cpu_seconds(self.agent.process.pid)
