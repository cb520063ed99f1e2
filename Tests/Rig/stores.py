"""S3-compatible services on loopback, each with a bucket and keys of its own: SeaweedFS, which keeps objects on a disk, and moto, AWS's
behaviour as its client library's authors' users know it. Both compare signatures.
"""

import json
import os
import signal
import subprocess
import urllib.request

import boto3
import botocore.config

import tools

READY_SECONDS_MAX, STOP_SECONDS_MAX = 60, 10
BUCKET, REGION = "backups", "us-east-1"
PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".build-rigs", "bin")


def client(endpoint, key, secret):
    settings = botocore.config.Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret,
                        region_name=REGION, config=settings)


class Service:
    """Started, stopped and killed; what was put there outlives the last two only where it lies on a disk."""

    def __init__(self, scratch):
        self.home = os.path.join(scratch, self.name)
        os.makedirs(self.home)
        self.process, self.key, self.secret = None, "holdfast-key", "holdfast-s3cret"
        self.choose_ports()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self):
        return client(self.endpoint, self.key, self.secret)

    def start(self):
        with open(os.path.join(self.home, "log"), "ab") as log:
            words = ["setpriv", "--pdeathsig", "KILL"] + self.words()
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home,
                                            env=os.environ | self.environment, start_new_session=True)
        tools.wait_until(f"{self.name} answers", READY_SECONDS_MAX, self.answers, poll=0.2)

    def answers(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.home, "log"), encoding="utf-8", errors="replace") as log:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {log.read()[-500:]}")
        try:
            self.client.list_buckets()
            return True
        except Exception:
            return False

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS_MAX)

    def objects(self, prefix=""):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", [])}

    def __enter__(self):
        self.start()
        self.prepare()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()

    environment = {}


class SeaweedFS(Service):
    name = "seaweedfs"

    def choose_ports(self):
        # Each of its servers has a second port, 10,000 above the first, unless it is told which.
        ports = tools.free_ports(8)
        self.port = ports[0]
        self.flags = [f"-{flag}={port}" for flag, port in zip(
            ("s3.port", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
             "filer.port.grpc", "s3.port.grpc"), ports)]

    def words(self):
        identity = {"name": "holdfast", "credentials": [{"accessKey": self.key, "secretKey": self.secret}],
                    "actions": ["Admin", "Read", "Write", "List"]}
        with open(os.path.join(self.home, "s3.json"), "w", encoding="utf-8") as file:
            json.dump({"identities": [identity]}, file)
        os.makedirs(os.path.join(self.home, "data"), exist_ok=True)
        return [os.path.join(PROGRAMS, "weed"), "server", f"-dir={self.home}/data", "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.config={self.home}/s3.json",
                # Each bucket takes several volumes of its own.
                "-master.volumeSizeLimitMB=256", "-volume.max=100", "-s3.port.iceberg=0", "-s3.port.lance=0", *self.flags]

    def prepare(self):
        self.client.create_bucket(Bucket=BUCKET)


class Moto(Service):
    name = "moto"
    # The first requests, which make a user with a key, need no signature; `prepare` ends that.
    environment = {"INITIAL_NO_AUTH_ACTION_COUNT": "1000000"}

    def choose_ports(self):
        self.port = tools.free_ports(1)[0]

    def words(self):
        return [os.path.join(PROGRAMS, "moto_server"), "-H", "127.0.0.1", "-p", str(self.port)]

    def prepare(self):
        users = boto3.client("iam", endpoint_url=self.endpoint, aws_access_key_id="a", aws_secret_access_key="b",
                             region_name=REGION)
        users.create_user(UserName="holdfast")
        allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}]}
        users.put_user_policy(UserName="holdfast", PolicyName="s3", PolicyDocument=json.dumps(allowed))
        made = users.create_access_key(UserName="holdfast")["AccessKey"]
        self.key, self.secret = made["AccessKeyId"], made["SecretAccessKey"]
        self.client.create_bucket(Bucket=BUCKET)
        asked = urllib.request.Request(f"{self.endpoint}/moto-api/reset-auth", data=b"0", method="POST",
                                       headers={"content-type": "text/plain"})
        urllib.request.urlopen(asked, timeout=READY_SECONDS_MAX).read()
