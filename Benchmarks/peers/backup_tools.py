"""Other backup tools, each as its makers would have it used: restic 0.14, borg 1.2 and borg 2, all of them encrypted.

One object is one fresh repository. Each deed is the words of a command, to be run in the folder of the images and with `environment`.
"""

import json
import os
import shutil
import subprocess

MAKE_SECONDS_MAX = 60


class Tool:
    def __init__(self, place):
        self.place, self.repository = place, os.path.join(place, "repository")
        os.makedirs(place)
        self.environment = dict(os.environ, **self.settings())
        self.run(self.create())

    def run(self, words):
        return subprocess.run(words, check=True, capture_output=True, text=True, env=self.environment,
                              timeout=MAKE_SECONDS_MAX).stdout

    def remove(self):
        shutil.rmtree(self.place)


class Restic(Tool):
    program, compression = "restic", "auto"

    def settings(self):
        return {"RESTIC_PASSWORD": "peer", "RESTIC_CACHE_DIR": os.path.join(self.place, "cache")}

    def words(self, *words):
        return ["restic", "-q", "-r", self.repository, "--compression", self.compression, *words]

    def create(self):
        return self.words("init", "--repository-version", "2")

    def back_up(self, name, images):
        return self.words("backup", "--tag", name, *images)

    def verify(self):
        return self.words("check", "--read-data")

    def restore(self, name, images, target):
        (snapshot,) = json.loads(self.run(self.words("snapshots", "--json", "--tag", name)))
        return self.words("restore", snapshot["id"], "--target", target)


class ResticRaw(Restic):
    compression = "off"


class Borg(Tool):
    program = "borg"

    def settings(self):
        return {"BORG_PASSPHRASE": "peer", "BORG_BASE_DIR": self.place, "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"}

    def create(self):
        return ["borg", "init", "-e", "repokey-blake2", self.repository]

    def back_up(self, name, images):
        return ["borg", "create", "-C", "lz4", "--chunker-params", "buzhash,19,23,21,4095", f"{self.repository}::{name}",
                *images]

    def verify(self):
        return ["borg", "check", "--verify-data", self.repository]

    def restore(self, name, images, target):
        # As ours does, it leaves out what is zero; restic 0.14 can't.
        return ["env", "-C", target, "borg", "extract", "--sparse", f"{self.repository}::{name}"]


class Borg2(Borg):
    program = "borg2"

    def words(self, *words):
        return ["borg2", "-r", self.repository, *words]

    def create(self):
        return self.words("rcreate", "-e", "repokey-blake2-aes-ocb")

    def back_up(self, name, images):
        return self.words("create", "-C", "lz4", name, *images)

    def verify(self):
        return self.words("check", "--verify-data")

    def restore(self, name, images, target):
        return ["env", "-C", target, *self.words("extract", "--sparse", name)]


TOOLS = {"restic zstd": Restic, "restic raw": ResticRaw, "borg 1.2 lz4": Borg, "borg 2 lz4": Borg2}


def installed():
    return {name: tool for name, tool in TOOLS.items() if shutil.which(tool.program)}
