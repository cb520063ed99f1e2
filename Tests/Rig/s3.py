"""`make s3`: a repository in S3-compatible services, SeaweedFS and moto, and what goes wrong with such.

What every store promises is tried on each by the tests that try it on a directory. Then a mesh backs up into each: a full
backup and one of what changed come back as they were (`cmp`); a wrong secret is told at once; through a proxy that fails every
third request a backup is made all the same, and what was changed on its way is not taken; where the store says nothing, or only
errors, a backup ends with a clear failure; and one whose store is killed in the middle is made again when it is back. In a bucket that locks objects a thief does what he can
(`thief.py`). At last moto is a KMS, whose keys open a repository.
"""

import argparse
import filecmp
import json
import os
import subprocess
import sys
import time

import faults
import kms
import measure
import stores
import thief
import tools
import wire_faults
from clients import nbdload
from cluster import Cluster

MIB = 1 << 20
# How long each deed is tried; and which of the requests fail.
TIMEOUT_SECONDS, NTH = 15, 3
AT_ONCE_SECONDS_MAX, FAILED_SECONDS_MAX = 5, 60
BACKUP_SECONDS_MAX, LOAD_SECONDS_MAX, NOTICE_SECONDS_MAX = 180, 120, 60
TEST_SECONDS_MAX = 600
RUN_SECONDS_MAX = 1_800
PREFIX = "site/a"
PUT_LIMIT_BYTES = 64 * MIB


def secret_file(path, key, secret):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")


class Repository:
    """A store file, the credentials and keys that it needs, and the commands that take it."""

    def __init__(self, programs, scratch, service, endpoint, site="site"):
        self.program = os.path.join(os.path.abspath(programs), "holdfast")
        self.home, self.service = os.path.join(scratch, f"{service.name}-{site}"), service
        os.makedirs(self.home)
        self.store, self.key = self.path("store.yaml"), self.path("site.key")
        self.credentials = self.path("credentials")
        secret_file(self.credentials, service.key, service.secret)
        self.write(endpoint)
        self.said = []

    def path(self, name):
        return os.path.join(self.home, name)

    def write(self, endpoint, name="store.yaml", **more):
        settings = {"bucket": stores.BUCKET, "prefix": PREFIX, "region": stores.REGION, "endpoint": endpoint,
                    "credentials": "credentials", "timeout": f"{TIMEOUT_SECONDS}s"} | more
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write("s3:\n" + "".join(f"  {key}: {value}\n" for key, value in settings.items()))
        return self.path(name)

    @property
    def setting(self):
        return f"backup: {{store: {self.store}, key: {self.key}}}"

    def holdfast(self, *words, check=True, environment=None):
        done = subprocess.run([self.program, *words], capture_output=True, text=True, check=False,
                              timeout=BACKUP_SECONDS_MAX, env=os.environ | (environment or {}))
        self.said.append(done.stdout + done.stderr)
        if check and done.returncode != 0:
            raise measure.Broken(f"holdfast {' '.join(words)}: {done.returncode}: {done.stderr.strip()}")
        return done

    def ask(self, *words, store=None, check=True):
        return self.holdfast(*words, "--repository", store or self.store, "--key", self.key, check=check)


def contract(findings, service):
    """What the repository asks of every store, by the tests that ask it of a directory."""
    environment = os.environ | {
        "HOLDFAST_S3": f"127.0.0.1:{service.port} {stores.BUCKET}", "AWS_ACCESS_KEY_ID": service.key,
        "AWS_SECRET_ACCESS_KEY": service.secret}
    words = ["swift", "test", "--skip-build", "--ignore-lock", "--filter", "StoreContractTests"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=TEST_SECONDS_MAX,
                          env=environment)
    lines = (done.stdout + done.stderr).splitlines()
    # Of a test with several cases the beginning of each is told, and the end of all together.
    ran = sum(".realS3 to " in line and line.endswith("started.") for line in lines)
    failed = [line for line in lines if "recorded an issue" in line or "error:" in line]
    findings.expect(done.returncode == 0, f"{service.name} keeps what a store promises: {failed[:10]}")
    findings.expect(ran > 0, f"some test asks {service.name}")
    findings.say(f"{service.name} keeps what a store promises ({ran} tests)")
    return ran


def created(findings, repository):
    spare = repository.path("spare.key")
    repository.holdfast("repository", "create", repository.store, "--key", repository.key, "--spare-key", spare)
    again = repository.holdfast("repository", "create", repository.store, "--key", repository.path("other.key"),
                                "--spare-key", repository.path("other.spare"), check=False)
    findings.expect(again.returncode == 1 and "is a repository already" in again.stderr,
                    f"no repository is made over another: {again.stderr}")
    repository.holdfast("repository", "rotate", repository.store, "--key", repository.key, "--spare-key", spare)
    shown = repository.holdfast("repository", "show", repository.store, "--key", repository.key, "-o", "json")
    findings.expect(json.loads(shown.stdout)["ring"] == 2, f"a rotation is stored: {shown.stdout}")


def refused(findings, repository, what, words, **settings):
    """A store file that is wrong in one way: told at once, by name, without a secret."""
    began = time.monotonic()
    store = repository.write(settings.pop("endpoint", repository.service.endpoint), "wrong.yaml", **settings)
    told = repository.ask("backup", "list", store=store, check=False)
    took = time.monotonic() - began
    findings.expect(told.returncode == 1 and words in told.stderr and took < AT_ONCE_SECONDS_MAX,
                    f"{what} is told at once ({took:.1f} s): {told.stderr.strip()}")


def refusals(findings, repository):
    secret_file(repository.path("wrong"), repository.service.key, "wr0ng-s3cret")
    refused(findings, repository, "a wrong secret", "credentials", credentials="wrong")
    secret_file(repository.path("unknown"), "nobody", repository.service.secret)
    refused(findings, repository, "an unknown key", "credentials", credentials="unknown")
    secret_file(repository.path("open"), repository.service.key, repository.service.secret)
    os.chmod(repository.path("open"), 0o644)
    refused(findings, repository, "a file that others may read", "chmod 600", credentials="open")
    refused(findings, repository, "a missing bucket", "no more", bucket="no-such-bucket")
    refused(findings, repository, "plain HTTP to another machine", "plainHTTP", endpoint="http://192.0.2.1:80")
    outside = repository.holdfast("backup", "list", "--repository", "s3://backups", "--key", repository.key, check=False)
    findings.expect("store file" in outside.stderr, f"what is given instead is told: {outside.stderr}")


def on(node, *words, check=True):
    return tools.command(node.program("holdfast"), "--socket", f"{node.run}/admin.sock", *words, check=check,
                         seconds=BACKUP_SECONDS_MAX)


def back_up(node, *words, check=True):
    made = on(node, "backup", "run", "-o", "json", *words, check=check)
    if made.returncode != 0:
        return None, made.stderr
    return json.loads(made.stdout), made.stderr


def copied(node, path):
    subprocess.run(["nbdcopy", node.uri("bulk"), path], check=True, timeout=LOAD_SECONDS_MAX)
    return path


def compare(findings, repository, number, original, figures):
    path = repository.path("restored")
    began = time.monotonic()
    repository.ask("restore", str(number), "--volume", "bulk", "--to", path)
    took = time.monotonic() - began
    same = filecmp.cmp(original, path, shallow=False)
    findings.expect(same, f"backup {number} gives back what there was")
    figures["restored"] += 1
    figures["differing"] += not same
    size = os.path.getsize(path)
    os.remove(path)
    return size / MIB / took


def backed_up(findings, mesh, repository, options, figures):
    """A full one and one of what changed; what they stored is what lies in the bucket."""
    node, name = mesh.nodes[2], repository.service.name
    nbdload(options.rig, "write", mesh.primary().uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=3)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    original = copied(mesh.primary(), repository.path("original"))
    began = time.monotonic()
    full, _ = back_up(node)
    rate = full["storedBytes"] / MIB / (time.monotonic() - began)
    back = compare(findings, repository, full["backup"]["number"], original, figures)
    figures[f"{name}_backup_mib_s"], figures[f"{name}_restore_mib_s"] = round(rate, 1), round(back, 1)
    findings.say(f"{name}: a full backup of {full['storedBytes'] // MIB} MiB at {rate:.0f} MiB/s, restored at {back:.0f}")
    nbdload(options.rig, "write", mesh.primary().uri("bulk"), options.mib * MIB // 16, LOAD_SECONDS_MAX, seed=4)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    copied(mesh.primary(), original)
    again, _ = back_up(node)
    findings.expect(again["backup"]["kind"] == "incremental", f"the next one is incremental: {again}")
    compare(findings, repository, again["backup"]["number"], original, figures)
    repository.ask("backup", "verify")
    lying = repository.service.objects(PREFIX)
    findings.expect(max(lying.values()) <= PUT_LIMIT_BYTES and sum(lying.values()) >= full["storedBytes"],
                    f"another client finds what was stored: {len(lying)} objects")
    return original


def through_faults(findings, mesh, repository, proxy, original, figures):
    proxy.set(NTH, *wire_faults.FAULTS)
    made, said = back_up(mesh.nodes[2], "--full", check=False)
    findings.expect(made is not None, f"a backup is made although every third request fails: {said}")
    if made:
        compare(findings, repository, made["backup"]["number"], original, figures)
        repository.ask("backup", "verify")
    met = dict(proxy.met)
    proxy.set(0)
    figures["faults_met"] = sum(met.values())
    findings.expect(set(met) == set(wire_faults.FAULTS), f"each fault was met: {met}")
    findings.say(f"made, restored and checked through {sum(met.values())} failed requests: {met}")


def in_vain(findings, mesh, repository, proxy):
    """A store that never does what is asked: each backup ends, and says why."""
    for fault, words in (("hang", "does not answer"), ("503", "SlowDown"), ("reset", "the store")):
        proxy.set(1, fault)
        began = time.monotonic()
        made, said = back_up(mesh.nodes[2], check=False)
        took = time.monotonic() - began
        findings.expect(made is None and words in said and "given up after" in said and took < FAILED_SECONDS_MAX,
                        f"{fault}: the backup ends in {took:.1f} s and says why: {said.strip()}")
        findings.say(f"{fault}, always: ended in {took:.1f} s: {said.strip().splitlines()[0][:160]}")
    proxy.set(0)


def killed(findings, mesh, repository, options, figures, original):
    """The store dies in the middle of a backup and comes back; the next backup is whole."""
    node = mesh.nodes[2]
    nbdload(options.rig, "write", mesh.primary().uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=5)
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    copied(mesh.primary(), original)
    on(node, "backup", "run", "--detach", "--full")
    tools.wait_until("it is in the middle", BACKUP_SECONDS_MAX, poll=0.005,
                     holds=lambda: status(node).get("readBytes", 0) > 4 * MIB)
    repository.service.kill()
    job = tools.wait_until("it fails", FAILED_SECONDS_MAX, lambda: ended(node))
    findings.expect(job["state"] == "failed" and "s3://" in job.get("failure", ""),
                    f"a backup whose store died fails and names it: {job}")
    repository.service.start()
    made, said = back_up(node, check=False)
    findings.expect(made is not None, f"the store is back, and a backup is made: {said}")
    if made:
        compare(findings, repository, made["backup"]["number"], original, figures)
        repository.ask("backup", "verify")


def status(node):
    told = on(node, "backup", "status", "-o", "json", check=False)
    return json.loads(told.stdout) if told.returncode == 0 else {}


def ended(node):
    job = status(node)
    return job if job.get("state") in ("failed", "done") else None


def no_secret(findings, mesh, repository):
    """Neither in what a command said, nor in a log, nor among what every user of the machine sees of a process."""
    texts = {"commands": "".join(repository.said)}
    for node in mesh.nodes.values():
        with open(node.log, encoding="utf-8", errors="replace") as file:
            texts[node.log] = file.read()
        with open(f"/proc/{node.process.pid}/cmdline", encoding="utf-8", errors="replace") as file:
            texts[f"words of node {node.id}"] = file.read()
    found = [name for name, text in texts.items() for secret in (repository.service.secret, "wr0ng-s3cret")
             if secret in text]
    findings.expect(not found, f"no secret is told: {found}")


def with_mesh(findings, options, scratch, service, figures):
    with wire_faults.Proxy(tools.free_ports(1)[0], ("127.0.0.1", service.port)) as proxy:
        endpoint = f"http://127.0.0.1:{proxy.server.server_port}"
        repository = Repository(options.bin, scratch, service, endpoint)
        created(findings, repository)
        refusals(findings, repository)
        with Cluster(options.bin, settings=(repository.setting,)) as mesh, measure.explained(mesh):
            mesh.start()
            mesh.ready()
            mesh.create_volume("bulk", f"{options.mib}M")
            original = backed_up(findings, mesh, repository, options, figures)
            if service.name == "seaweedfs":
                # moto forgets everything when it is killed, and would only be asked the same again.
                through_faults(findings, mesh, repository, proxy, original, figures)
                in_vain(findings, mesh, repository, proxy)
                killed(findings, mesh, repository, options, figures, original)
            no_secret(findings, mesh, repository)
            findings.say(repository.ask("backup", "list").stdout.strip())


def measure_s3(findings, options):
    figures = {"contract_tests": 0, "restored": 0, "differing": 0}
    with measure.scratch(24 * options.mib * MIB) as scratch:
        for kind in (stores.SeaweedFS, stores.Moto):
            with kind(scratch) as service:
                if options.contract:
                    figures["contract_tests"] += contract(findings, service)
                with_mesh(findings, options, scratch, service, figures)
                thief.tried(findings, options, Repository(options.bin, scratch, service, service.endpoint, "thief"), figures)
                if kind is stores.Moto:
                    kms.tried(findings, options.bin, scratch, service)
    findings.figures = figures


def main():
    parser = argparse.ArgumentParser(description="repositories in S3-compatible services")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--mib", type=int, default=96, help="size of the volume that is backed up")
    parser.add_argument("--contract", action="store_true", help="also runs the tests of what a store promises")
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_s3(findings, options))


if __name__ == "__main__":
    sys.exit(main())
