"""`make mount`: volumes of a backup over NBD without a restore, looked into with real clients.

A mesh has a volume with an ext4 file system and one with noise, and is gone once they are backed up. Then the backup is mounted:
nbdcopy takes out what a restore gives, e2fsck and debugfs work on the file system through nbdfuse and get a file out of it,
what clients write is seen by others and is gone behind the end, the moment behind the backup is what a restore to it gives, and
no file of the repository has changed. At last a pack is damaged: what lies in it can't be read, all else can.
"""

import argparse
import contextlib
import errno
import filecmp
import glob
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import nbd

import faults
import measure
import tools
from backup import Repository, await_shipped, back_up
from cluster import Cluster
from rehearse import file_system

MIB, CELL = 1 << 20, 16 << 10
START_SECONDS_MAX, COMMAND_SECONDS_MAX, NOTICE_SECONDS_MAX, SHIPPED_SECONDS_MAX = 30, 120, 30, 30
RUN_SECONDS_MAX, TIGHT_MIB = 600, 4
WRITTEN = b"written into the overlay" * 100


class Mount:
    """`holdfast backup mount` while it runs."""

    def __init__(self, repository, volume, *words, overlay=None):
        self.volume, self.folder = volume, os.path.join(repository.scratch, "run")
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self.socket = os.path.join(self.folder, "nbd")
        self.words = [repository.program, "backup", "mount", *words, "--repository", repository.path, "--key", repository.key,
                      "--volume", volume, "--listen", self.socket, "--overlay", overlay or repository.scratch]
        self.errors = os.path.join(repository.scratch, "mount.errors")

    def __enter__(self):
        with open(self.errors, "w") as errors:
            self.process = subprocess.Popen(self.words, stdout=subprocess.DEVNULL, stderr=errors)
        tools.wait_until("the mount serves", START_SECONDS_MAX, lambda: self.answers() or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise RuntimeError(f"the mount ended: {self.told()}")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(COMMAND_SECONDS_MAX)

    @property
    def uri(self):
        return f"nbd+unix:///{self.volume}?socket={self.socket}"

    def answers(self):
        try:
            nbd.NBD().connect_uri(self.uri)
            return True
        except nbd.Error:
            return False

    def told(self):
        with open(self.errors) as file:
            return file.read()

    def client(self):
        handle = nbd.NBD()
        handle.connect_uri(self.uri)
        return handle


def run(*words, check=True):
    return subprocess.run([str(word) for word in words], check=check, capture_output=True, text=True,
                          timeout=COMMAND_SECONDS_MAX)


@contextlib.contextmanager
def as_a_copy(mount, scratch):
    """Where there is no FUSE: the volume copied out, and back in as it was left."""
    path = os.path.join(scratch, "by-copy")
    run("nbdcopy", mount.uri, path)
    yield path
    run("nbdcopy", path, mount.uri)
    os.remove(path)


@contextlib.contextmanager
def as_a_file(mount, scratch):
    """The volume as a file, by nbdfuse."""
    folder = os.path.join(scratch, "fuse")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "db")
    unmount = ("umount", folder) if os.geteuid() == 0 else ("fusermount3", "-u", folder)
    with subprocess.Popen(["nbdfuse", path, mount.uri]) as fuse:
        try:
            tools.wait_until("nbdfuse has it", START_SECONDS_MAX, lambda: os.path.exists(path) or fuse.poll() is not None)
            if fuse.poll() is not None:
                raise RuntimeError(f"nbdfuse ended with {fuse.returncode}: is there a /dev/fuse?")
            yield path
        finally:
            run(*unmount, check=False)
            fuse.wait(COMMAND_SECONDS_MAX)


def digests(folder):
    """Of every file below: what no mount may change."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def compare(findings, figures, repository, mount, restored, what):
    copy = os.path.join(repository.scratch, "copy")
    began = time.monotonic()
    run("nbdcopy", mount.uri, copy)
    took = time.monotonic() - began
    same = filecmp.cmp(restored, copy, shallow=False)
    findings.expect(same, f"{what}: a mount gives what a restore gives")
    figures["compared"] += 1
    figures["differing"] += not same
    os.remove(copy)
    return took


def whole(findings, repository, figures, mib):
    """All of a volume, beside a restore of it, and how long the first byte takes."""
    began = time.monotonic()
    restored = repository.restore(1, "noise", "noise.raw")
    figures["restore_mib_s"] = round(mib / (time.monotonic() - began), 1)
    began = time.monotonic()
    with Mount(repository, "noise", "1", "--read-only") as mount:
        mount.client().pread(4096, 0)
        figures["first_read_ms"] = round((time.monotonic() - began) * 1000)
        figures["mount_mib_s"] = round(mib / compare(findings, figures, repository, mount, restored, "noise"), 1)
        # What was opened last is kept; all of it is read once more by four clients at once.
        with contextlib.ExitStack() as stack:
            copies = [stack.enter_context(subprocess.Popen(["nbdcopy", mount.uri, "null:"])) for _ in range(4)]
            codes = [copy.wait(COMMAND_SECONDS_MAX) for copy in copies]
        findings.expect(codes == [0] * 4, f"several clients at once: {codes}")
        figures["memory_mib"] = round(tools.memory_mib(mount.process.pid)[1])
    findings.expect(mount.process.returncode == 0, f"SIGTERM ends it cleanly: {mount.process.returncode}, {mount.told()}")
    findings.expect(not os.path.exists(mount.socket), "and its socket is gone")
    return restored


def files(findings, repository, figures, content):
    """The file system: checked, a file taken out of it and one put into it, and all of that gone afterwards."""
    figures["by_fuse"] = os.path.exists("/dev/fuse")
    opened = as_a_file if figures["by_fuse"] else as_a_copy
    restored = repository.restore(1, "files", "files.raw")
    out = os.path.join(repository.scratch, "out")
    with Mount(repository, "files", "1") as mount:
        compare(findings, figures, repository, mount, restored, "files")
        with opened(mount, repository.scratch) as path:
            checked = run("/sbin/e2fsck", "-fy", path, check=False)
            findings.expect(checked.returncode in (0, 1), f"e2fsck finds a file system: {checked}")
            run("/sbin/debugfs", "-R", f"dump /file-19 {out}", path)
            same = filecmp.cmp(os.path.join(content, "file-19"), out, shallow=False)
            findings.expect(same, "a file of the guest comes out of it")
            note = os.path.join(repository.scratch, "note")
            with open(note, "wb") as file:
                file.write(WRITTEN)
            run("/sbin/debugfs", "-w", "-R", f"write {note} note", path)
        with opened(mount, repository.scratch) as path:
            run("/sbin/debugfs", "-R", f"dump /note {out}", path)
            with open(out, "rb") as file:
                findings.expect(file.read() == WRITTEN, "another client sees what one wrote")
        mount.client().trim(MIB, 0)
        findings.expect(mount.client().pread(MIB, 0) == bytes(MIB), "what is trimmed reads zero")
    with Mount(repository, "files", "1") as mount:
        compare(findings, figures, repository, mount, restored, "behind the end of what was written")
        mount.process.send_signal(signal.SIGKILL)
        mount.process.wait(COMMAND_SECONDS_MAX)
    findings.expect(os.path.exists(mount.socket), "who is killed leaves a socket")
    left = [name for name in os.listdir(repository.scratch) if "overlay" in name]
    findings.expect(not left, f"and nothing of an overlay: {left}")
    with Mount(repository, "files", "1", "--read-only") as mount:
        try:
            mount.client().pwrite(bytes(512), 0)
            findings.expect(False, "a read-only mount takes no write")
        except nbd.Error:
            pass
        second = run(*mount.words, check=False)
        findings.expect(second.returncode == 1 and "answers on" in second.stderr, f"nobody's socket is taken: {second}")


def moments(findings, repository, figures):
    """Behind the backup, as far as the log was shipped."""
    for volume in ("files", "noise", "late"):
        path = os.path.join(repository.scratch, volume + "-latest.raw")
        repository.ask("restore", "--latest", "--volume", volume, "--to", path)
        with Mount(repository, volume, "--latest", "--read-only") as mount:
            compare(findings, figures, repository, mount, path, f"{volume}, as far as the log goes")
        before = os.path.join(repository.scratch, volume + ".raw")
        differs = not os.path.exists(before) or not filecmp.cmp(path, before, shallow=False)
        findings.expect(differs, "that is another moment than the backup's")


def ranges(findings, repository, restored):
    part = os.path.join(repository.scratch, "part")
    repository.ask("restore", "1", "--volume", "noise", "--range", f"{MIB + 777}+100K", "--to", part)
    with open(restored, "rb") as whole, open(part, "rb") as file:
        whole.seek(MIB + 777)
        findings.expect(file.read() == whole.read(100 << 10), "a range is those bytes and no others")
    size = os.path.getsize(restored)
    refused = repository.ask("restore", "1", "--volume", "noise", "--range", f"{size - 1}+2", "--to", part + "2", check=False)
    findings.expect(refused.returncode == 1 and f"0+{size}" in refused.stderr and not os.path.exists(part + "2"),
                    f"what lies behind the end is refused, and the range there is told: {refused}")


def damaged(findings, repository, figures, restored):
    """All blobs of one pack are damaged: reads of what lies there fail, all others give what was there."""
    pack = max(glob.glob(repository.path + "/*/packs/*/*"), key=os.path.getsize)
    with open(pack, "r+b") as file:
        for offset in range(4096, os.path.getsize(pack) - 65_536, CELL // 4):
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1]))
    failed = read = wrong = 0
    with Mount(repository, "noise", "1") as mount, open(restored, "rb") as original:
        client = mount.client()
        for offset in range(0, os.path.getsize(restored), CELL):
            expected = original.read(CELL)
            try:
                wrong += bytes(client.pread(CELL, offset)) != expected
                read += 1
            except nbd.Error as error:
                failed += 1
                first = offset if failed == 1 else first
                findings.expect(error.errnum == 5, f"it is an I/O error: {error}")
        findings.expect(failed > 0 and read > 0 and not wrong, f"{failed} failed, {read} were read, {wrong} of them wrong")
        findings.expect(os.path.basename(pack) in mount.told(), f"the damaged pack is named: {mount.told()}")
        client.pwrite(b"\1" * CELL, first)
        findings.expect(client.pread(CELL, first) == b"\1" * CELL, "what is damaged can be written over")
    figures["unreadable_cells"], figures["read_beside_them"] = failed, read


def prepared(mesh, repository, scratch, mib):
    """Two volumes in backup 1, and a little more of both in the log behind it."""
    mesh.start()
    mesh.ready()
    original = file_system(scratch, 64)
    noise = os.path.join(scratch, "noise")
    with open(noise, "wb") as file:
        file.write(os.urandom((mib - 4) * MIB))
        file.truncate(mib * MIB)
    for volume, path, size in (("files", original, 64), ("noise", noise, mib)):
        mesh.create_volume(volume, f"{size}M")
        subprocess.run(["nbdcopy", "--flush", path, mesh.primary().uri(volume)], check=True, timeout=COMMAND_SECONDS_MAX)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    back_up(mesh.nodes[2])
    # One that is made behind the backup, and grows.
    mesh.create_volume("late", "8M")
    mesh.primary().holdfast("volume", "grow", "late", "--size", "32M")
    for volume in ("files", "noise", "late"):
        client = nbd.NBD()
        client.connect_uri(mesh.primary().uri(volume))
        client.pwrite(os.urandom(5_000), 9 * MIB + 99)
        client.trim(MIB, 12 * MIB)
        client.flush()
    await_shipped(mesh.primary(), SHIPPED_SECONDS_MAX)


def tight(findings, repository, restored):
    """A write that fails half-way, for want of room, leaves nothing that is read later."""
    folder, block = os.path.join(repository.scratch, "tight"), 8 * MIB
    os.makedirs(folder)
    run("mount", "-t", "tmpfs", "-o", f"size={TIGHT_MIB}M", "none", folder)
    try:
        with Mount(repository, "noise", "1", overlay=folder) as mount, open(restored, "rb") as original:
            client = mount.client()
            for number in range(TIGHT_MIB - 1):
                client.pwrite(b"\2" * MIB, number * MIB)
            try:
                # Its first 512 bytes come from below, and there is room for them.
                client.pwrite(b"\3" * MIB, block + 512)
                findings.expect(False, "there is no room for it")
            except nbd.Error as error:
                findings.expect(error.errnum == errno.ENOSPC, f"it is told that there is no room: {error}")
            original.seek(block)
            findings.expect(client.pread(4096, block) == original.read(4096), "what was there stays")
            client.zero(4096, block)
            client.pwrite(b"\4" * 100, block + 1000)
            found = client.pread(4096, block)
            findings.expect(found == bytes(1000) + b"\4" * 100 + bytes(4096 - 1100), "around it are zeros")
    finally:
        run("umount", folder)


def measure_mounts(findings, options):
    figures = {"compared": 0, "differing": 0}
    with measure.scratch((8 * options.mib + 512) * MIB) as scratch:
        repository = Repository(options.bin, scratch)
        with Cluster(options.bin, settings=(repository.setting,)) as mesh, measure.explained(mesh):
            prepared(mesh, repository, scratch, options.mib)
        before = digests(repository.path)
        restored = whole(findings, repository, figures, options.mib)
        files(findings, repository, figures, os.path.join(scratch, "content"))
        moments(findings, repository, figures)
        ranges(findings, repository, restored)
        tight(findings, repository, restored)
        findings.expect(digests(repository.path) == before, "no file of the repository has changed, come or gone")
        damaged(findings, repository, figures, restored)
    findings.figures = figures


def main():
    parser = argparse.ArgumentParser(description="volumes of a backup without a restore")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--mib", type=int, default=256, help="size of the volume that is copied")
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_mounts(findings, options))


if __name__ == "__main__":
    sys.exit(main())
