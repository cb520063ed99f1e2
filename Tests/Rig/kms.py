"""A repository whose keys two regions of a KMS keep, at moto's, which compares signatures. It uses keys that are disabled or deleted
as if they were not, so these are tried on a stand-in only (KeyServicesTests).
"""

import json
import os
import subprocess

import boto3

HOME, AWAY = "eu-central-1", "us-east-1"
DEED_SECONDS_MAX = 60


class Keys:
    """A key in each region, a provider file for each, and a repository in a directory that both open."""

    def __init__(self, programs, scratch, service):
        self.program = os.path.join(os.path.abspath(programs), "holdfast")
        self.home, self.service = os.path.join(scratch, "kms-site"), service
        self.place = os.path.join(self.home, "repository")
        os.makedirs(self.place)
        self.write("credentials", "[default]\n"
                   f"aws_access_key_id = {service.key}\naws_secret_access_key = {service.secret}\n")
        self.clients = {region: boto3.client(
            "kms", endpoint_url=service.endpoint, aws_access_key_id=service.key,
            aws_secret_access_key=service.secret, region_name=region) for region in (HOME, AWAY)}
        self.ids = {region: client.create_key()["KeyMetadata"]["KeyId"] for region, client in self.clients.items()}
        self.files = {region: self.provider(region, self.ids[region]) for region in (HOME, AWAY)}

    def write(self, name, text):
        path = os.path.join(self.home, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def provider(self, region, key, name=None):
        return self.write(name or f"{region}.yaml", f"timeout: 10s\nkms: {{keyId: {key}, region: {region}, "
                          f"endpoint: '{self.service.endpoint}', credentials: credentials}}\n")

    def ask(self, deed, *words):
        return subprocess.run([self.program, "repository", deed, self.place, *words], capture_output=True, text=True,
                              check=False, timeout=DEED_SECONDS_MAX)

    def show(self, file):
        return self.ask("show", "--key", file, "-o", "json")


def tried(findings, programs, scratch, service):
    keys = Keys(programs, scratch, service)

    def opens(what, file, ring):
        shown = keys.show(file)
        findings.expect(shown.returncode == 0 and json.loads(shown.stdout)["ring"] == ring,
                        f"{what} opens the repository: {shown.stderr.strip()}")

    def refuses(what, file, words):
        shown = keys.show(file)
        findings.expect(shown.returncode == 1 and words in shown.stderr and service.secret not in shown.stderr,
                        f"{what} is told: {shown.stderr.strip()}")

    made = keys.ask("create", "--key", keys.files[HOME], "--spare-key", keys.files[AWAY])
    findings.expect(made.returncode == 0, f"a repository is made for two keys of a KMS: {made.stderr.strip()}")
    rotated = keys.ask("rotate", "--key", keys.files[AWAY], "--spare-key", keys.files[HOME])
    findings.expect(rotated.returncode == 0, f"it is rotated by them: {rotated.stderr.strip()}")
    for region in (HOME, AWAY):
        opens(f"the key in {region}", keys.files[region], 2)
    stranger = keys.clients[HOME].create_key()["KeyMetadata"]["KeyId"]
    refuses("another key of the region", keys.provider(HOME, stranger, "stranger.yaml"), "wrong key")
    keys.write("credentials", "[default]\n"
               f"aws_access_key_id = {service.key}\naws_secret_access_key = wr0ng-s3cret\n")
    refuses("a wrong secret", keys.files[HOME], "does not accept these credentials")
    findings.say("a repository opens by either of two keys of a KMS")
