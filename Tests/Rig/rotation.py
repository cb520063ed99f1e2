"""`make rotation`: what a rotation costs in a large repository, and that one tenant's erasure is nobody else's.

Two meshes are tenants of one repository. The large one has GIB of noise in a volume; its key is rotated, and what was written for it
is told from what lies there, object by object: names, lengths and times of the others are as before. What was backed up before comes
back by the new ring, and so does what is backed up after it. Then the small tenant is erased: neither of its keys opens anything,
and of the large one every object stays as it was.
"""

import argparse
import filecmp
import os
import subprocess
import sys
import time

import faults
import measure
import tools
from backup import Repository
from cluster import Cluster

MIB, GIB = 1 << 20, 1 << 30
SMALL_MIB, CHANGED_MIB = 8, 1
ROTATION_BYTES_MAX = 64 << 10
COPY_SECONDS_MAX, CAUGHT_UP_SECONDS_MAX, BACKUP_SECONDS_MAX = 900, 300, 300
RUN_SECONDS_MAX = 2_400
# The noise, the repository, and what is restored; images and logs of two regions lie elsewhere.
SPACE_FACTOR = 3


class Quiet(Repository):
    """Nothing is put there but what was asked for: the log is not shipped."""

    @property
    def setting(self):
        return f"backup: {{directory: {self.path}, key: {self.key}, shipLog: false}}"


class Tenant(Quiet):
    """Another one in the same repository."""

    def __init__(self, programs, scratch, home):
        self.path, self.key = home.path, os.path.join(scratch, "other.key")
        self.scratch, self.program = scratch, home.program
        before = set(os.listdir(self.path))
        self.holdfast("repository", "create", self.path, "--key", self.key, "--spare-key", self.key + ".spare", "--add-tenant")
        (self.name,) = set(os.listdir(self.path)) - before


def objects(path):
    """By name their lengths and when they were written."""
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            status = os.stat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = status.st_size, status.st_mtime_ns
    return found


def noise(path, count):
    with open(path, "wb") as file:
        for _ in range(0, count, 16 * MIB):
            file.write(os.urandom(min(16 * MIB, count)))
    return path


def put(mesh, path, volume):
    subprocess.run(["nbdcopy", "--flush", path, mesh.primary().uri(volume)], check=True, timeout=COPY_SECONDS_MAX)
    faults.await_caught_up(mesh, CAUGHT_UP_SECONDS_MAX)


def back_up(node):
    tools.command(node.program("holdfast"), "--socket", f"{node.run}/admin.sock", "backup", "run", seconds=BACKUP_SECONDS_MAX)


def kept(before, after):
    return all(after.get(name) == status for name, status in before.items())


def rotate(findings, repository):
    """The bytes that it wrote."""
    before = objects(repository.path)
    began = time.monotonic()
    repository.holdfast("repository", "rotate", repository.path, "--key", repository.key, "--spare-key", repository.key + ".spare")
    took = time.monotonic() - began
    after = objects(repository.path)
    findings.expect(kept(before, after), "a rotation leaves all that was there as it was")
    new = {name: length for name, (length, _) in after.items() if name not in before}
    findings.expect(len(new) == 1 and all("/keys/" in name for name in new), f"a rotation writes a key ring, and nothing else: {new}")
    written = sum(new.values())
    findings.expect(0 < written < ROTATION_BYTES_MAX, f"and that is small: {written}")
    return sum(length for length, _ in before.values()), written, took


def restored(findings, repository, number, original):
    path = repository.restore(number, "large", f"restored-{number}")
    findings.expect(filecmp.cmp(path, original, shallow=False), f"backup {number} comes back as it was")
    os.remove(path)


def large(findings, options, scratch, repository):
    with Cluster(options.bin, ("data", "data", "witness"), settings=(repository.setting,)) as mesh, measure.explained(mesh):
        mesh.start()
        mesh.ready()
        original = noise(os.path.join(scratch, "noise"), options.gib * GIB)
        mesh.create_volume("large", f"{options.gib}G")
        put(mesh, original, "large")
        back_up(mesh.nodes[2])
        findings.say("the large one is backed up")
        lying, written, took = rotate(findings, repository)
        findings.say(f"rotated in {took:.2f} s: {written} bytes beside {lying / 1e9:.2f} GB")
        restored(findings, repository, 1, original)
        with open(original, "r+b") as file:
            file.write(os.urandom(CHANGED_MIB * MIB))
        subprocess.run(["/usr/bin/python3", "-m", "nbd", "-u", mesh.primary().uri("large"), "-c",
                        f"h.pwrite(open({original!r}, 'rb').read({CHANGED_MIB * MIB}), 0); h.flush()"], check=True,
                       timeout=COPY_SECONDS_MAX)
        faults.await_caught_up(mesh, CAUGHT_UP_SECONDS_MAX)
        back_up(mesh.nodes[2])
        restored(findings, repository, 2, original)
    return lying, written


def small(findings, options, scratch, tenant):
    with Cluster(options.bin, settings=(tenant.setting,)) as mesh, measure.explained(mesh):
        mesh.start()
        mesh.ready()
        original = noise(os.path.join(scratch, "small"), SMALL_MIB * MIB)
        mesh.create_volume("large", f"{SMALL_MIB}M")
        put(mesh, original, "large")
        back_up(mesh.nodes[2])
        restored(findings, tenant, 1, original)


def erase(findings, repository, tenant, scratch):
    """How many of the tenant's keys still open anything."""
    never = os.path.join(scratch, "never")

    def tried(key):
        told = tenant.holdfast("restore", "1", "--volume", "large", "--to", never, "--repository", tenant.path, "--key", key, check=False)
        came = os.path.exists(never)
        if came:
            os.remove(never)
        return told, came

    keys = (tenant.key, tenant.key + ".spare")
    findings.expect(all(tried(key)[1] for key in keys), "either key opens it before")
    before = objects(repository.path)
    tenant.holdfast("repository", "erase-tenant", tenant.path, "--key", tenant.key, "--by", "rig", "--reason", "it ends",
                    "--record", os.path.join(scratch, "record"), "--yes")
    after = objects(repository.path)
    gone = [name for name in before if name not in after]
    folder = os.path.join(tenant.path, tenant.name, "keys", "")
    findings.expect(bool(gone) and sorted(gone) == sorted(name for name in before if name.startswith(folder)),
                    f"its key rings go, and nothing else: {gone}")
    findings.expect(kept({name: status for name, status in before.items() if name not in gone}, after), "all else stays as it was")
    after = [tried(key) for key in keys]
    findings.expect(all(told.returncode == 1 and "no key ring of tenant" in told.stderr for told, _ in after),
                    f"no key opens what was erased: {[told.stderr for told, _ in after]}")
    return sum(came for _, came in after)


def measure_rotation(findings, options):
    with measure.scratch(SPACE_FACTOR * options.gib * GIB) as scratch:
        repository = Quiet(options.bin, scratch)
        tenant = Tenant(options.bin, scratch, repository)
        small(findings, options, scratch, tenant)
        lying, written = large(findings, options, scratch, repository)
        opening = erase(findings, repository, tenant, scratch)
        original = os.path.join(scratch, "noise")
        restored(findings, repository, 2, original)
    findings.figures = {"repository_gb": round(lying / 1e9, 2), "rotation_bytes": written, "erased_opened": opening}


def main():
    parser = argparse.ArgumentParser(description="what a rotation costs, and whom an erasure concerns")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--gib", type=int, default=10, help="of noise in the large volume")
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_rotation(findings, options))


if __name__ == "__main__":
    sys.exit(main())
