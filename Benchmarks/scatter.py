"""Writes some blocks of an image into an export: `scatter.py URI IMAGE`, the numbers of blocks of 4 KiB at standard input.

A program of its own, for Debian's Python has libnbd.
"""

import sys

import nbd

BLOCK = 4096

export = nbd.NBD()
export.connect_uri(sys.argv[1])
with open(sys.argv[2], "rb") as image:
    for block in map(int, sys.stdin.read().split()):
        image.seek(block * BLOCK)
        export.pwrite(image.read(BLOCK), block * BLOCK)
export.flush()
export.shutdown()
