"""`make rehearse`: restores for a trial, with real file systems on the volumes, and checks that fail when they should.

A mesh has a volume with an ext4 file system and one with none. Their backup is rehearsed with e2fsck; then the file system is
damaged on the volume, backed up and rehearsed again: what was restored is what there was, and the check says that it is of no
use. A check has no network; one that does not end is ended; and a rehearsal that is killed leaves nothing that the next one
does not throw away.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time

import faults
import measure
import tools
from backup import Repository, back_up
from cluster import Cluster

MIB = 1 << 20
E2FSCK = "/sbin/e2fsck -fn"
BLOCK_GROUP = 32_768
COPY_SECONDS_MAX, NOTICE_SECONDS_MAX, START_SECONDS_MAX = 60, 30, 30
RUN_SECONDS_MAX = 300


def file_system(scratch, mib):
    """An ext4 with a few files in it."""
    content, path = os.path.join(scratch, "content"), os.path.join(scratch, "ext4")
    os.mkdir(content)
    for number in range(20):
        with open(os.path.join(content, f"file-{number}"), "wb") as file:
            file.write(os.urandom(number * 10_000))
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", content, path, f"{mib}M"], check=True,
                   timeout=COPY_SECONDS_MAX)
    return path


def put(mesh, path, volume):
    subprocess.run(["nbdcopy", "--flush", path, mesh.primary().uri(volume)], check=True, timeout=COPY_SECONDS_MAX)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)


def damage(path):
    """The inode table goes, as by a guest gone mad."""
    with open(path, "r+b") as file:
        file.seek(BLOCK_GROUP)
        file.write(os.urandom(2 * MIB))


def rehearse(repository, scratch, *words, check=None):
    """The exit code, what was said, and the report that was written."""
    report = os.path.join(scratch, "report.json")
    told = repository.ask("backup", "rehearse", "--scratch", scratch, "--report", report,
                          *(("--check", check) if check else ()), *words, check=False)
    with open(report) as file:
        written = json.load(file)
    os.remove(report)
    return told, {volume["name"]: volume for volume in written["volumes"]}, written


def left(scratch):
    return os.listdir(os.path.join(scratch, "holdfast-rehearsal"))


def sound(findings, repository, scratch, latest):
    told, volumes, report = rehearse(repository, scratch, "--volume", "files", *latest, check=E2FSCK)
    findings.expect(told.returncode == 0 and report["passed"], f"a sound file system passes: {told}, {report}")
    findings.expect(volumes["files"]["check"]["outcome"] == "passed", f"and it was looked at: {volumes}")
    findings.expect(not left(scratch), f"nothing stays: {left(scratch)}")


def partly(findings, repository, scratch):
    told, volumes, report = rehearse(repository, scratch, check=E2FSCK)
    findings.expect(told.returncode == 1 and not report["passed"], f"noise is no file system: {told}")
    findings.expect(volumes["files"]["check"]["passed"] and not volumes["noise"]["check"]["passed"],
                    f"each is told for itself: {volumes}")
    findings.expect(all(each["restored"] for each in volumes.values()), f"all is restored: {volumes}")


def stale(findings, repository, scratch):
    """What an earlier one said is not taken for what comes of one that could not begin."""
    report = os.path.join(scratch, "report.json")
    with open(report, "w") as file:
        file.write('{"passed": true}')
    told = repository.holdfast("backup", "rehearse", "--scratch", scratch, "--report", report, "--repository",
                               repository.path + "-away", "--key", repository.key, check=False)
    findings.expect(told.returncode == 1 and not os.path.exists(report), f"no report of before is left: {told}")


def unsound(findings, repository, scratch):
    told, volumes, _ = rehearse(repository, scratch, "--volume", "files", check=E2FSCK)
    findings.expect(told.returncode == 1 and not volumes["files"]["check"]["passed"], f"a damaged one does not: {told}")
    findings.expect("files" in told.stderr, f"and is named: {told.stderr}")


def cut_off(findings, repository, scratch):
    """Not even this machine's own network is there."""
    check = os.path.join(scratch, "calls")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with open(check, "w") as file:
            file.write(f"(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && exit 9; exit 0\n")
        called = subprocess.run(["/bin/bash", check], check=False).returncode
        findings.expect(called == 9, f"it can call where nothing cuts it off: {called}")
        told, volumes, _ = rehearse(repository, scratch, "--volume", "files", check=f"/bin/bash {check}")
    findings.expect(told.returncode == 0, f"a check has no network: {volumes}")
    told, volumes, _ = rehearse(repository, scratch, "--volume", "files", "--timeout", "1", check="/bin/sleep 60")
    findings.expect("sleep" in str(volumes) and told.returncode == 1, f"sleep takes no file for a time: {volumes}")


def endless(findings, repository, scratch):
    check = os.path.join(scratch, "endless")
    with open(check, "w") as file:
        file.write("sleep 600\n")
    began = time.monotonic()
    told, volumes, _ = rehearse(repository, scratch, "--volume", "files", "--timeout", "1", check=f"/bin/sh {check}")
    findings.expect(told.returncode == 1 and "had not ended" in volumes["files"]["check"]["outcome"],
                    f"one that does not end is ended: {volumes}")
    findings.say(f"ended within {time.monotonic() - began:.1f} s")


def killed(findings, repository, scratch):
    """Power goes in the middle: the next one throws away what it left, and two at once are refused."""
    check = os.path.join(scratch, "waits")
    with open(check, "w") as file:
        file.write("sleep 600\n")
    words = [repository.program, "backup", "rehearse", "--scratch", scratch, "--check", f"/bin/sh {check}",
             "--volume", "files", "--repository", repository.path, "--key", repository.key]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        tools.wait_until("an image lies there", START_SECONDS_MAX, lambda: left(scratch) == ["files.raw"])
        second = repository.ask("backup", "rehearse", "--scratch", scratch, check=False)
        findings.expect(second.returncode == 1 and "under way" in second.stderr, f"two at once are refused: {second}")
        first.send_signal(signal.SIGKILL)
        first.communicate()
    findings.expect(left(scratch) == ["files.raw"], f"it is killed in the middle: {left(scratch)}")
    told, _, _ = rehearse(repository, scratch, "--volume", "files")
    findings.expect(told.returncode == 0 and not left(scratch), f"the next one begins anew: {told}, {left(scratch)}")


def measure_rehearsals(findings, options):
    with measure.scratch(8 * options.mib * MIB) as scratch:
        repository = Repository(options.bin, scratch)
        with Cluster(options.bin, settings=(repository.setting,)) as mesh, measure.explained(mesh):
            mesh.start()
            mesh.ready()
            original = file_system(scratch, options.mib)
            mesh.create_volume("files", f"{options.mib}M")
            mesh.create_volume("noise", "4M")
            put(mesh, original, "files")
            with open(os.path.join(scratch, "random"), "wb") as file:
                file.write(os.urandom(4 * MIB))
            put(mesh, os.path.join(scratch, "random"), "noise")
            back_up(mesh.nodes[2])
            began = time.monotonic()
            sound(findings, repository, scratch, ())
            took = time.monotonic() - began
            partly(findings, repository, scratch)
            stale(findings, repository, scratch)
            damage(original)
            put(mesh, original, "files")
            back_up(mesh.nodes[2])
            unsound(findings, repository, scratch)
            cut_off(findings, repository, scratch)
            endless(findings, repository, scratch)
            killed(findings, repository, scratch)
    findings.figures = {"rehearsal_s": round(took, 2), "checks": 6}


def main():
    parser = argparse.ArgumentParser(description="restores for a trial")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--mib", type=int, default=64, help="size of the file system")
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_rehearsals(findings, options))


if __name__ == "__main__":
    sys.exit(main())
