"""A thief with an agent's own credentials, in a bucket that locks objects: the part of `make s3` that tries what a lock is for.

A mesh makes two backups and ships its log; locks are extended. Then all that is in the bucket is deleted, written over or emptied, version by
version, and what the service lets a thief do to the bucket itself is done. Nothing can be restored after that, and it is said; one command, with
the spare key, and all of it can, byte for byte.

SeaweedFS refuses what AWS refuses. moto refuses to delete what is locked, but lets everybody shorten locks and suspend versions, which AWS does
not: there the thief is not let do these two.
"""

import datetime
import filecmp
import json
import os
import subprocess

from botocore.exceptions import ClientError

import faults
import tools
from backup import await_shipped
from clients import nbdload
from cluster import Cluster

MIB = 1 << 20
BUCKET, CLOCK, LOCK, DAYS_LATER, MIB_WRITTEN = "locked", "clock", "{mode: compliance, days: 7}", 60, 24
LOAD_SECONDS_MAX, NOTICE_SECONDS_MAX, SHIPPED_SECONDS_MAX, COMMAND_SECONDS_MAX = 120, 60, 30, 180
# What a thief is refused, as AWS names it; SeaweedFS and moto say the same.
REFUSALS = {"AccessDenied", "InvalidBucketState", "BucketNotEmpty", "MalformedXML", "InvalidRequest"}


class Thief:
    """Tries a deed, and counts what came of it."""

    def __init__(self, service):
        self.client, self.isFaithful = service.client, service.name != "moto"
        self.done, self.refused, self.planted = 0, 0, []

    def tries(self, deed, **words):
        try:
            getattr(self.client, deed)(Bucket=BUCKET, **words)
            self.done += 1
            return True
        except ClientError as error:
            if error.response["Error"]["Code"] not in REFUSALS:
                raise
            self.refused += 1
            return False

    def versions(self):
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=BUCKET)
        return [each for page in pages for each in page.get("Versions", [])]

    def robs(self):
        """Returns which versions he could end, by key."""
        ended = []
        before = self.versions()
        for number, each in enumerate(before):
            key, version = each["Key"], each["VersionId"]
            if self.isFaithful:
                now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
                self.tries("put_object_retention", Key=key, VersionId=version,
                           Retention={"Mode": "COMPLIANCE", "RetainUntilDate": now})
            if self.tries("delete_object", Key=key, VersionId=version):
                ended.append(key)
            if number % 3 == 0:
                self.tries("put_object", Key=key, Body=b"")
            elif number % 3 == 1:
                self.tries("put_object", Key=key, Body=os.urandom(5_000))
            if number % 3 != 1:
                self.tries("delete_object", Key=key)
        for folder in {each["Key"].split("/keys/")[0] for each in before if "/keys/" in each["Key"]}:
            for name in ("manifests/{:020}", "keys/{:020}", "collections/{:020}-3"):
                self.planted.append(f"{folder.split('/')[-1]}/" + name.format(4_711))
                self.tries("put_object", Key=f"{folder}/" + name.format(4_711), Body=b"mine")
        if self.isFaithful:
            self.tries("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"})
        self.tries("put_object_lock_configuration", ObjectLockConfiguration={})
        self.tries("delete_bucket")
        return ended


def written(findings, mesh, repository, options):
    """Two backups, and what was shipped behind them: their images, by how they are asked for."""
    primary, images = mesh.primary(), {}
    for number in (1, 2):
        nbdload(options.rig, "write", primary.uri("bulk"), MIB_WRITTEN * MIB // number, LOAD_SECONDS_MAX, seed=number)
        faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
        made = tools.command(primary.program("holdfast"), "--socket", f"{mesh.nodes[2].run}/admin.sock", "backup", "run",
                             "-o", "json", seconds=COMMAND_SECONDS_MAX)
        images[(str(json.loads(made.stdout)["backup"]["number"]),)] = copied(primary, repository, number)
    nbdload(options.rig, "write", primary.uri("bulk"), MIB, LOAD_SECONDS_MAX, seed=3)
    images[("--latest",)] = copied(primary, repository, 3)
    await_shipped(primary, SHIPPED_SECONDS_MAX)
    return images


def copied(node, repository, number):
    path = repository.path(f"image-{number}")
    subprocess.run(["nbdcopy", node.uri("bulk"), path], check=True, timeout=LOAD_SECONDS_MAX)
    return path


def restored(findings, repository, images):
    """How many of the images come back as they were."""
    same = 0
    for words, image in images.items():
        path = repository.path("back")
        told = repository.ask("restore", *words, "--volume", "bulk", "--to", path, check=False)
        if told.returncode == 0:
            same += filecmp.cmp(image, path, shallow=False)
            os.remove(path)
    return same


def locks_extended(findings, repository, service):
    """More days in the store file, and one command: what is there is locked for that long."""
    store = repository.write(service.endpoint, bucket=BUCKET, lock=LOCK.replace("7", str(DAYS_LATER)))
    told = json.loads(repository.holdfast("repository", "extend-locks", store, "-o", "json").stdout)["stores"][0]
    least = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=DAYS_LATER - 1)
    short = []
    for key in [each["Key"] for each in service.client.list_objects_v2(Bucket=BUCKET)["Contents"]]:
        if "/." in key:
            continue
        head = service.client.head_object(Bucket=BUCKET, Key=key)
        if head.get("ObjectLockMode") != "COMPLIANCE" or head["ObjectLockRetainUntilDate"] < least:
            short.append(key)
    findings.expect(not short and told["extended"] == told["looked"] > 0 and told["unlocked"] == 0,
                    f"all locks are extended: {told}, but {short[:5]}")
    again = json.loads(repository.holdfast("repository", "extend-locks", store, "-o", "json").stdout)["stores"][0]
    findings.expect(again["extended"] == 0, f"nothing is left to be extended: {again}")
    return told["extended"]


def second_behind(service, moment):
    """A second of the service's own clock behind that one: by seconds it tells when a version came."""
    def now():
        service.client.put_object(Bucket=CLOCK, Key="now", Body=b"")
        return service.client.head_object(Bucket=CLOCK, Key="now")["LastModified"]
    return tools.wait_until("the service's clock goes on", NOTICE_SECONDS_MAX,
                            lambda: (at := now()).replace(microsecond=0) > moment.replace(microsecond=0) and at)


def unfit_bucket(findings, repository, service):
    """A bucket without locks is refused, and one that locks by itself is as good as any where none is asked for."""
    service.client.create_bucket(Bucket="without")
    unfit = repository.write(service.endpoint, "unfit.yaml", bucket="without", lock=LOCK)
    made = repository.holdfast("repository", "create", unfit, "--key", repository.path("unfit.key"), "--spare-key",
                               repository.path("unfit.spare"), check=False)
    findings.expect(made.returncode == 1 and "object lock enabled" in made.stderr, f"told what to do: {made.stderr.strip()}")
    service.client.create_bucket(Bucket="by-itself", ObjectLockEnabledForBucket=True)
    service.client.put_object_lock_configuration(Bucket="by-itself", ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}})
    store = repository.write(service.endpoint, "by-itself.yaml", bucket="by-itself")
    key, spare = repository.path("by-itself.key"), repository.path("by-itself.spare")
    repository.holdfast("repository", "create", store, "--key", key, "--spare-key", spare)
    repository.holdfast("repository", "rotate", store, "--key", key, "--spare-key", spare)
    repository.holdfast("backup", "prune", "--repository", store, "--key", key, "--yes")


def dropped_key(findings, repository, service, spare):
    """A key that a rotation dropped since the moment does not tell whose the later ring is: nothing of it is put out of the way."""
    before = second_behind(service, max(each["LastModified"] for each in Thief(service).versions()))
    second_behind(service, before)
    moment, escrow = f"{before:%Y-%m-%dT%H:%M:%SZ}", repository.path("escrow.key")
    repository.holdfast("repository", "keygen", "--escrow", escrow)
    repository.holdfast("repository", "rotate", repository.store, "--key", repository.key, "--escrow-public", f"{escrow}.pub",
                        "--drop", "spare")
    words = ("repository", "repair", repository.store, "--as-of", moment, "--key")
    refused = repository.holdfast(*words, spare, check=False)
    findings.expect(refused.returncode == 1 and "does not open" in refused.stderr and "another key" in refused.stderr,
                    f"a ring that opens by no key at hand is told: {refused}")
    mended = repository.holdfast(*words, repository.key, check=False)
    findings.expect(mended.returncode == 0, f"and is there still, for who has the key: {mended}")


def tried(findings, options, repository, figures):
    service = repository.service
    unfit_bucket(findings, repository, service)
    service.client.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    service.client.create_bucket(Bucket=CLOCK)
    repository.write(service.endpoint, bucket=BUCKET, lock=LOCK)
    spare = repository.path("site.spare")
    repository.holdfast("repository", "create", repository.store, "--key", repository.key, "--spare-key", spare)
    with Cluster(options.bin, settings=(repository.setting,)) as mesh:
        mesh.start()
        mesh.ready()
        mesh.create_volume("bulk", f"{MIB_WRITTEN}M")
        images = written(findings, mesh, repository, options)
        with open(mesh.nodes[2].log, encoding="utf-8", errors="replace") as log:
            findings.expect("locks of objects were looked at" in log.read(), "the agent looks after locks behind a backup")
    figures["locks_extended"] = figures.get("locks_extended", 0) + locks_extended(findings, repository, service)
    findings.expect(restored(findings, repository, images) == len(images), "before the thief all comes back")
    before = second_behind(service, max(each["LastModified"] for each in Thief(service).versions()))
    second_behind(service, before)
    thief = Thief(service)
    ended = [key for key in thief.robs() if "/." not in key]
    findings.expect(not ended and thief.refused > 0, f"nothing that is locked can be ended: {ended[:5]}")
    findings.say(f"{service.name}: a thief did {thief.done} things, and was refused {thief.refused}")
    findings.expect(restored(findings, repository, images) == 0, "what he did shows")
    mended = repository.holdfast("repository", "repair", repository.store, "--key", spare, "--as-of", f"{before:%Y-%m-%dT%H:%M:%SZ}", "-o", "json", check=False)
    told = json.loads(mended.stdout or "{}")
    findings.expect(mended.returncode == 0, f"all is put back from behind it: {mended.stderr.strip()}; {told.get('failed', [])[:3]}")
    planted = set(told.get("planted", []))
    findings.expect(planted == set(thief.planted), f"what he put under free names is out of the way: {planted} of {thief.planted}")
    same = restored(findings, repository, images)
    findings.expect(same == len(images), f"{same} of {len(images)} images come back byte for byte")
    repository.ask("backup", "verify")
    dropped_key(findings, repository, service, spare)
    figures["thief_restored"] = figures.get("thief_restored", 0) + same
    figures["thief_refused"] = figures.get("thief_refused", 0) + thief.refused
