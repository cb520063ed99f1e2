"""A real file system with real files, made and read back with e2fsprogs alone: nothing is mounted."""

import hashlib
import os
import shutil

from measure import Unmeasured
from tools import command

TREES = ("/usr/share", "/usr/bin", "/usr/lib", "/usr/include", "/usr/sbin", "/usr/libexec", "/usr/local")
# One giant would make a poor file system; many files of many sizes make a good one.
FILE_BYTES_MAX = 16 << 20
BLOCK_BYTES, INODE_BYTES, JOURNAL_MIB = 4096, 256, 4
TOOL_SECONDS_MAX = 180


def real_files(trees):
    for tree in trees:
        for place, directories, names in os.walk(tree):
            directories.sort()
            for name in sorted(names):
                path = os.path.join(place, name)
                if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) <= FILE_BYTES_MAX:
                    yield path


def copy_hashed(source, target):
    """Copies and hashes in one pass, so that the hash is of the very bytes which were copied."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    digest = hashlib.sha256()
    with open(source, "rb") as reader, open(target, "wb") as writer:
        while part := reader.read(1 << 20):
            digest.update(part)
            writer.write(part)
    return digest.hexdigest()


def stage(directory, bytes_min, trees=TREES):
    """Copies real files until there are enough; returns {relative path: SHA-256} and the bytes copied."""
    manifest, total = {}, 0
    for path in real_files(trees):
        if total >= bytes_min:
            break
        relative = path.lstrip("/")
        try:
            manifest[relative] = copy_hashed(path, os.path.join(directory, relative))
        except PermissionError:
            continue
        total += os.path.getsize(os.path.join(directory, relative))
    if total < bytes_min:
        raise Unmeasured(f"only {total >> 20} MiB of files below {', '.join(trees)}; {bytes_min >> 20} are needed")
    return manifest, total


def blocks_of(directory):
    blocks = count = 0
    for place, directories, names in os.walk(directory):
        count += len(directories) + len(names)
        blocks += len(directories)
        for name in names:
            blocks += -(-os.path.getsize(os.path.join(place, name)) // BLOCK_BYTES)
    return blocks, count


def build(directory, image):
    """An ext4 image just large enough for the directory; returns its size."""
    blocks, files = blocks_of(directory)
    inodes = files + 1024
    size = blocks * BLOCK_BYTES + inodes * INODE_BYTES + (JOURNAL_MIB << 20)
    # Bitmaps, descriptors and extent blocks: a thirtieth; rounded up to 4 MiB.
    size = -(-(size * 31 // 30) // (4 << 20)) * (4 << 20)
    command("mke2fs", "-q", "-F", "-t", "ext4", "-b", BLOCK_BYTES, "-I", INODE_BYTES, "-N", inodes, "-m", 0,
            "-J", f"size={JOURNAL_MIB}", "-E", "root_owner=0:0", "-d", directory, image, f"{size >> 10}k",
            seconds=TOOL_SECONDS_MAX)
    return size


def is_clean(image):
    """e2fsck's verdict without a single repair, and its words."""
    done = command("e2fsck", "-fn", image, check=False, seconds=TOOL_SECONDS_MAX)
    return done.returncode == 0, (done.stdout + done.stderr).strip().splitlines()


def differing(image, directory, manifest):
    """How many files of the manifest are missing or have other bytes, or are there and shouldn't be."""
    os.mkdir(directory)
    # Its exit code says nothing about single files, and a disk without a file system is for the caller to count.
    done = command("debugfs", "-R", f"rdump / {directory}", image, check=False, seconds=TOOL_SECONDS_MAX)
    found = {}
    for place, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = hashlib.file_digest(file, "sha256").hexdigest()
    shutil.rmtree(directory)
    names = sorted(name for name in manifest.keys() | found.keys() if manifest.get(name) != found.get(name))
    if len(names) == len(manifest):
        names[:0] = [f"(debugfs said: {done.stderr.strip()[:200]})"]
        return len(manifest), names
    return len(names), names
