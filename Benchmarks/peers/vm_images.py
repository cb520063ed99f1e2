"""Images such as VMs have: `vm_images.py make DIR MIB SEED`, `vm_images.py change DIR SEED`.

Four raw images, each of 40 % bytes of files, 30 % random and 30 % zeros, which are written, in shuffled extents of 64 KiB to
8 MiB at multiples of 4 KiB. The fourth has the files' bytes of the first: the same system, laid out otherwise. `change` writes
1 % of all blocks of 4 KiB anew, scattered and random, and prints which: one line an image, its name and the blocks' numbers.
"""

import os
import random
import subprocess
import sys

COUNT, BLOCK, MIB = 4, 4096, 1 << 20
FILES = "usr/lib"


def names():
    return [f"vm{number}" for number in range(1, COUNT + 1)]


def extents(chance, kind, count):
    """Cuts `count` bytes of a kind into extents."""
    cut, at = [], 0
    while at < count:
        length = min(count - at, BLOCK * int(16 * 2 ** chance.uniform(0, 7)))
        cut.append((kind, at, length))
        at += length
    return cut


def take(stream, count):
    """So many bytes of it; where it ends before, they begin again."""
    taken = bytearray()
    while len(taken) < count:
        piece = stream.read(count - len(taken))
        if not piece and not taken:
            raise SystemExit(f"there are no files below /{FILES}")
        taken += piece or taken[:count - len(taken)]
    return taken


def make(folder, mib, seed):
    os.makedirs(folder)
    total = mib * MIB
    files, noise = (total * part // 100 & ~(BLOCK - 1) for part in (40, 30))
    tar = subprocess.Popen(
        ["tar", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-C", "/", "-cf", "-", FILES],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    texts = [take(tar.stdout, files) for _ in range(COUNT - 1)]
    texts.append(texts[0])
    tar.kill()
    tar.wait()
    for number, name in enumerate(names()):
        chance = random.Random(f"{seed} image {number}")
        pieces = extents(chance, "files", files) + extents(chance, "noise", noise) \
            + extents(chance, "zeros", total - files - noise)
        chance.shuffle(pieces)
        with open(os.path.join(folder, f"{name}.raw"), "xb", buffering=0) as image:
            for kind, at, length in pieces:
                image.write(texts[number][at:at + length] if kind == "files" else
                            chance.randbytes(length) if kind == "noise" else bytes(length))


def change(folder, seed):
    for number, name in enumerate(names()):
        chance = random.Random(f"{seed} change {number}")
        path = os.path.join(folder, f"{name}.raw")
        count = os.path.getsize(path) // BLOCK
        blocks = sorted(chance.sample(range(count), count // 100))
        with open(path, "r+b", buffering=0) as image:
            for block in blocks:
                image.seek(block * BLOCK)
                image.write(chance.randbytes(BLOCK))
        print(name, *blocks)


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    elif len(sys.argv) == 4 and sys.argv[1] == "change":
        change(sys.argv[2], sys.argv[3])
    else:
        raise SystemExit(__doc__)
