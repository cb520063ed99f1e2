"""`make demo`: a disk outlives its region.

Three regional agents, then two and a witness: a file system full of real files is copied in, fio and flushcheck write, the
primary's process is killed in mid-write, and the disk is looked at in the region that took over.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time

import faults
import image
import measure
from clients import COPY_SECONDS_MAX, Judge, fio, fio_finished, nbdcopy
from cluster import Cluster

MIB = 1 << 20
FILES_BYTES = 500_000_000
STEADY_BYTES, RUNNING_BYTES, LEDGER_BYTES = 32 * MIB, 64 * MIB, 64 * MIB
FIO_BLOCK = 4096
# fio's running job writes one block at a time and flushes each eighth, so all but the last few of what it reports is flushed.
FIO_FSYNC_EVERY = 8
FIO_RUNNING = ("--rw=write", "--bs=4k", "--iodepth=1", f"--fsync={FIO_FSYNC_EVERY}", "--rate=10m", "--do_verify=0")
FIO_STEADY = ("--rw=write", "--bs=4k", "--iodepth=16", "--end_fsync=1", "--do_verify=0")
# In terse version 3 the field with the KiB written so far.
FIO_TERSE_WRITTEN = 46
WARM_SECONDS, TRIAL_SECONDS, CATCH_UP_SECONDS_MAX = 2.5, 8, 120
RUN_SECONDS_MAX = 1500


class Disk:
    """The file system that is copied in, and where fio works beside it on the same volume."""

    def __init__(self, scratch, files_bytes):
        staged = os.path.join(scratch, "files")
        self.scratch, self.image = scratch, os.path.join(scratch, "disk.img")
        self.manifest, self.files_bytes = image.stage(staged, files_bytes)
        self.image_bytes = image.build(staged, self.image)
        shutil.rmtree(staged)
        self.steady_at = self.image_bytes
        self.running_at = self.steady_at + STEADY_BYTES
        self.bytes = self.running_at + RUNNING_BYTES

    def fetched(self, uri):
        """The whole disk as the export gives it."""
        path = os.path.join(self.scratch, "fetched.img")
        if os.path.exists(path):
            os.unlink(path)
        nbdcopy(uri, path)
        return path


def fio_flushed_blocks(program):
    """At least so many blocks of the running job were flushed when fio last spoke."""
    fields = [line.split(";") for line in list(program.lines) if line.startswith("3;fio")]
    written = int(fields[-1][FIO_TERSE_WRITTEN]) * 1024 // FIO_BLOCK if fields else 0
    return max(0, written - FIO_FSYNC_EVERY - 1)


def written_prefix(path, at, size):
    """How many blocks from there on have been written without a gap."""
    with open(path, "rb") as file:
        file.seek(at)
        for block in range(size // FIO_BLOCK):
            if not any(file.read(FIO_BLOCK)):
                return block
    return size // FIO_BLOCK


def look_at_disk(findings, disk, node, flushed_blocks):
    """On the new primary: fio's data, the file system and every file. Returns the number of differing files."""
    uri = node.uri("disk")
    content, lines = fio_finished(uri, "steady", disk.steady_at, STEADY_BYTES, 60, "--rw=write", "--bs=4k",
                                  "--iodepth=16", "--verify_only")
    findings.expect(content, f"fio verifies what it had finished before the fault: {lines}")
    path = disk.fetched(uri)
    found = written_prefix(path, disk.running_at, RUNNING_BYTES)
    findings.expect(found >= flushed_blocks, f"fio had {flushed_blocks} blocks flushed, {found} are there")
    content, lines = fio_finished(uri, "running", disk.running_at, max(found, 1) * FIO_BLOCK, 60, "--rw=write",
                                  "--bs=4k", "--iodepth=1", "--verify_only")
    findings.expect(content and found > 0, f"fio verifies what it was writing at the fault: {lines}")
    findings.say(f"fio: {STEADY_BYTES // FIO_BLOCK} finished blocks verified; of the job that was cut off {found} blocks "
                 f"verified, {flushed_blocks} of them known to be flushed")
    clean, words = image.is_clean(path)
    findings.expect(clean, f"e2fsck -fn is clean: {words[-6:]}")
    findings.say(f"e2fsck -fn: {next((line for line in words if ' files (' in line), words[-1])}")
    count, names = image.differing(path, os.path.join(disk.scratch, "dumped"), disk.manifest)
    findings.expect(count == 0, f"every file has its SHA-256: {count} differ, first {names[:5]}")
    findings.say(f"SHA-256: {len(disk.manifest) - count} of {len(disk.manifest)} files match")
    return count


def digest(uri):
    """SHA-256 of an export, read as a stream."""
    reader = subprocess.Popen(["nbdcopy", uri, "-"], stdout=subprocess.PIPE)
    found = hashlib.sha256()
    try:
        until = time.monotonic() + COPY_SECONDS_MAX
        while part := reader.stdout.read(MIB):
            found.update(part)
            if time.monotonic() > until:
                raise measure.Unmeasured("reading the disk took too long")
        if reader.wait(5) != 0:
            raise measure.Unmeasured("the disk could not be read to its end")
    finally:
        reader.kill()
        reader.wait()
        reader.stdout.close()
    return found.hexdigest()


def power_cut_everywhere(findings, mesh, judge):
    """After the takeover every region loses power with whatever it had not synced; what was flushed must come back."""
    before = digest(mesh.primary().uri("disk"))
    mesh.cut_power()
    escapes = mesh.powercut_escapes()
    if escapes:
        raise measure.Unmeasured(f"the power cut proves nothing: {escapes}")
    mesh.shim = None
    mesh.start()
    primary = mesh.ready()
    lost, blocks = faults.judge_ledger(findings, mesh, judge, primary, "ledger", "after power was cut in all regions")
    mesh.await_served(primary, "disk")
    same = digest(primary.uri("disk")) == before
    findings.expect(same, "the disk is the same after power was cut in all regions")
    findings.say(f"power cut in all regions at once, unsynced bytes thrown away: {lost} of {blocks} flushed blocks lost, "
                 f"disk {'identical' if same else 'DIFFERENT'}")
    return lost


def return_of_the_old(findings, mesh, old):
    old.start()
    mesh.ready()
    faults.await_caught_up(mesh, CATCH_UP_SECONDS_MAX)
    findings.expect(mesh.primary() is not old, "no failback happens by itself")
    findings.say(f"{old.region} is back, holds the whole log again, and {mesh.primary().region} stays primary")


def fill(findings, disk, primary):
    started = time.monotonic()
    nbdcopy(disk.image, primary.uri("disk"))
    seconds = time.monotonic() - started
    findings.say(f"nbdcopy: {disk.image_bytes / 1e6:.0f} MB of ext4 with {len(disk.manifest)} files "
                 f"({disk.files_bytes / 1e6:.0f} MB) in {seconds:.1f} s, {disk.image_bytes / 1e6 / seconds:.0f} MB/s")
    content, lines = fio_finished(primary.uri("disk"), "steady", disk.steady_at, STEADY_BYTES, 60, *FIO_STEADY)
    if not content:
        raise measure.Unmeasured(f"fio: {lines}")


def part(findings, shape, disk, options, shim):
    title, roles = SHAPES[shape]
    findings.say()
    findings.say(f"== {title}" + (", unsynced bytes die with their process" if shim else ""))
    with Cluster(options.bin, roles, shim=shim) as mesh, measure.explained(mesh):
        mesh.start()
        old = mesh.ready()
        findings.say(f"{old.region} is primary; {len(roles)} processes on loopback, mutual TLS, default settings")
        mesh.create_volume("disk", f"{disk.bytes // MIB}M")
        mesh.create_volume("ledger", f"{LEDGER_BYTES // MIB}M")
        fill(findings, disk, old)
        judge = Judge(options.rig, os.path.join(disk.scratch, f"ledger-{shape}"), LEDGER_BYTES)
        with fio(old.uri("disk"), "running", disk.running_at, RUNNING_BYTES, 60, *FIO_RUNNING,
                 "--output-format=terse", "--terse-version=3", "--status-interval=1") as running:
            seen = faults.take_over(
                mesh, "SIGKILL", judge, "ledger", options.rig, TRIAL_SECONDS, WARM_SECONDS,
                before=lambda: findings.say(f"SIGKILL for {old.region} (process {old.process.pid}) in mid-write"),
                after=lambda: findings.say("another region has answered a flushed write"))
            flushed_blocks = fio_flushed_blocks(running)
        primary = mesh.ready([node.id for node in mesh.nodes.values() if node is not old])
        findings.say(f"{primary.region} took over: {seen.seconds:.3f} s from the fault to its first flushed write")
        for line in measure.phases(mesh)[1]:
            findings.say(line)
        findings.expect(seen.dual_accept == 0, f"never two exports accept at once: {seen.dual_accept} did")
        lost, blocks = faults.judge_ledger(findings, mesh, judge, primary, "ledger", "on the new primary")
        findings.say(f"flushcheck: {blocks} blocks were flushed before the fault, {lost} of them lost")
        mesh.await_served(primary, "disk")
        differing = look_at_disk(findings, disk, primary, flushed_blocks)
        if shim:
            lost += power_cut_everywhere(findings, mesh, judge)
        else:
            return_of_the_old(findings, mesh, old)
    return lost, differing, seen.seconds


SHAPES = {"three": ("three regions", ("data", "data", "data")),
          "witness": ("two regions and a witness", ("data", "data", "witness"))}


def measure_demo(findings, options):
    shim = os.path.join(options.rig, "powercut.so")
    shapes = list(SHAPES) if options.shape == "both" else [options.shape]
    with measure.scratch(4 * options.files_bytes + 256 * MIB) as scratch:
        disk = Disk(scratch, options.files_bytes)
        findings.say(f"built ext4 with {disk.files_bytes / 1e6:.0f} MB of files from {', '.join(image.TREES[:3])}…")
        results = []
        for number, shape in enumerate(shapes):
            # In every second part SIGKILL is a power cut: the kernel's page cache would hide a missing sync.
            cut = {"none": False, "all": True, "alternate": number % 2 == 1}[options.powercut]
            results.append(part(findings, shape, disk, options, shim if cut else None))
    findings.say()
    findings.figures = {"lost_flushed": sum(each[0] for each in results),
                        "files_differing": sum(each[1] for each in results),
                        "takeover_s": round(max(each[2] for each in results), 3)}


def main():
    parser = argparse.ArgumentParser(description="a disk outlives its region")
    parser.add_argument("--bin", required=True, help="the directory of holdfast, holdfast-agent, holdfast-witness")
    parser.add_argument("--rig", required=True, help="the directory of flushcheck and powercut.so")
    parser.add_argument("--shape", choices=[*SHAPES, "both"], default="both")
    parser.add_argument("--powercut", choices=["none", "alternate", "all"], default="alternate")
    parser.add_argument("--files-bytes", type=int, default=FILES_BYTES)
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_demo(findings, options))


if __name__ == "__main__":
    sys.exit(main())
