"""`make rot`, its second half: bytes of real images turn while clients write and read, on the primary and on a follower.

Clients get right bytes throughout, damage is told by status and mended from another region, and a follower whose image was
hurt takes over with right bytes too. Where no region has a block any more, reading it fails and everything else goes on; once
it is written anew it is whole.
"""

import argparse
import errno
import os
import random
import socket
import struct
import sys

import faults
import measure
import tools
from clients import Judge, nbdload
from cluster import Cluster

MIB, BLOCK = 1 << 20, 4096
LEDGER_MIB, HURT_BLOCKS = 16, 12
LOAD_SECONDS_MAX, LEDGER_SECONDS, NOTICE_SECONDS_MAX, MEND_SECONDS_MAX = 120, 60, 60, 30
# The product waits ten for a peer's bytes.
READ_SECONDS_MAX, RUN_SECONDS_MAX = 25, 400
REQUEST_MAGIC, REPLY_MAGIC, READ, WRITE, DISCONNECT, FUA = 0x25609513, 0x67446698, 0, 1, 2, 1


class Client:
    """One request at a time, by hand: nobody's library stands between an error and who judges it."""

    def __init__(self, node, volume):
        self.door = socket.socket(socket.AF_UNIX)
        self.door.settimeout(READ_SECONDS_MAX)
        self.door.connect(node.socket(volume))
        self.take(18)
        # Fixed newstyle, no zeroes; then NBD_OPT_EXPORT_NAME, which answers with size and flags.
        name = volume.encode()
        self.door.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 1, len(name)) + name)
        self.take(10)

    def take(self, count):
        data = b""
        while len(data) < count:
            part = self.door.recv(count - len(data))
            if not part:
                raise measure.Unmeasured("the export went away")
            data += part
        return data

    def ask(self, kind, offset, count, data=b"", flags=0):
        """What is answered: an errno or 0, and the bytes."""
        self.door.sendall(struct.pack(">IHHQQI", REQUEST_MAGIC, flags, kind, 7, offset, count) + data)
        magic, error, _ = struct.unpack(">IIQ", self.take(16))
        if magic != REPLY_MAGIC:
            raise measure.Unmeasured(f"no simple reply: {magic:x}")
        return error, self.take(count) if kind == READ and error == 0 else b""

    def read(self, offset, count=BLOCK):
        return self.ask(READ, offset, count)

    def write(self, offset, data):
        return self.ask(WRITE, offset, len(data), data, FUA)[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.door.close()


def volume_id(node, name):
    return next(each["id"] for each in node.status()["volumes"] if each["name"] == name)


def image(node, name):
    return os.path.join(node.data, "volumes", f"volume-{volume_id(node, name)}.image")


def held_blocks(path):
    """Blocks of the image that hold bytes: what is only in the log yet can't be hurt."""
    with open(path, "rb") as file:
        count = os.fstat(file.fileno()).st_size // BLOCK
        return [block for block in range(count) if any(os.pread(file.fileno(), 64, block * BLOCK))]


def hurt(path, blocks, chance):
    with open(path, "r+b") as file:
        for block in blocks:
            offset = block * BLOCK + chance.randrange(BLOCK)
            byte = os.pread(file.fileno(), 1, offset)[0]
            os.pwrite(file.fileno(), bytes([byte ^ 1 << chance.randrange(8)]), offset)


def damaged(node, name):
    """How many blocks the node knows to be damaged; None when it says nothing."""
    said = node.status()
    return said and next(each["damagedBlocks"] for each in said["volumes"] if each["name"] == name)


def found(node):
    return (node.status() or {"counters": {}})["counters"].get("damage_found", 0)


def expect_right(findings, options, node, words):
    check = nbdload(options.rig, "check", node.uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=5)
    wrong = check["differing"] + check["refused"]
    findings.expect(wrong == 0, f"{words}: {wrong} of the blocks differ or can't be read")
    return wrong


def hurt_and_read(findings, options, node, chance, words):
    """Turns bytes of the node's image under its feet, reads all of it, and waits for the mend."""
    path = image(node, "bulk")
    blocks = chance.sample(tools.wait_until("bytes are in the image", NOTICE_SECONDS_MAX, lambda: held_blocks(path)),
                           HURT_BLOCKS)
    before = found(node)
    hurt(path, blocks, chance)
    wrong = expect_right(findings, options, node, words)
    tools.wait_until("all is mended", MEND_SECONDS_MAX, lambda: damaged(node, "bulk") == 0)
    findings.expect(found(node) > before, f"{words}: the node tells of the damage it found")
    findings.say(f"{words}: {HURT_BLOCKS} blocks of {node.region}'s image were hurt, {wrong} read wrong, all are mended")
    return wrong


def lose_everywhere(findings, mesh, primary, chance):
    """A block turns in all regions: it alone can't be read, and is whole again once it is written."""
    block = chance.choice(held_blocks(image(primary, "bulk")))
    for node in mesh.data_nodes:
        hurt(image(node, "bulk"), [block], chance)
    with Client(primary, "bulk") as client:
        error, _ = client.read(block * BLOCK)
        findings.expect(error == errno.EIO, f"a block that nobody has is answered with EIO, not {error}")
        findings.expect(client.read((block ^ 1) * BLOCK)[0] == 0, "its neighbour is read")
        said = primary.status()
        alarm = next((each for each in said["alarms"] if each["code"] == "volume-damaged"), None)
        findings.expect(alarm is not None and f"{block * BLOCK}..<{(block + 1) * BLOCK}" in alarm["text"]
                        and "bulk" in alarm["text"], f"an alarm names volume and bytes: {alarm}")
        findings.expect(damaged(primary, "bulk") == 1, "status counts one damaged block")
        fresh = bytes([chance.randrange(1, 256)]) * BLOCK
        findings.expect(client.write(block * BLOCK, fresh) == 0, "it can be written")
        findings.expect(client.read(block * BLOCK) == (0, fresh), "it is read as it was written")
    return block


def measure_rot(findings, options):
    chance = random.Random(options.seed)
    with measure.scratch(64 * MIB) as scratch, Cluster(options.bin) as mesh, measure.explained(mesh):
        mesh.start()
        primary = mesh.ready()
        mesh.create_volume("bulk", f"{options.mib}M")
        mesh.create_volume("ledger", f"{LEDGER_MIB}M")
        judge = Judge(options.rig, os.path.join(scratch, "ledger"), LEDGER_MIB * MIB)
        nbdload(options.rig, "write", primary.uri("bulk"), options.mib * MIB, LOAD_SECONDS_MAX, seed=5)
        with judge.write(primary.uri("ledger"), LEDGER_SECONDS) as writer:
            wrong = hurt_and_read(findings, options, primary, chance, "under load")
            findings.expect(writer.is_running, f"clients write on meanwhile: {list(writer.lines)[-3:]}")
            writer.process.terminate()
        faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
        primary.kill()
        winner = tools.wait_until("another region is primary", NOTICE_SECONDS_MAX, mesh.primary)
        primary.start()
        mesh.await_served(winner, "bulk", "ledger")
        faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
        wrong += hurt_and_read(findings, options, winner, chance, "after a takeover")
        lost, blocks = faults.judge_ledger(findings, mesh, judge, winner, "ledger", f"in {winner.region}")
        block = lose_everywhere(findings, mesh, winner, chance)
        tools.wait_until("the alarm ends", NOTICE_SECONDS_MAX, lambda: all(
            each["code"] != "volume-damaged" for each in (winner.status() or {"alarms": [{"code": "volume-damaged"}]})["alarms"]))
        findings.say(f"block {block} was lost everywhere: it alone failed, and is whole since it was written")
        mesh.stop()
    findings.figures = {"hurt": 2 * HURT_BLOCKS, "wrong": wrong, "lost_flushed": lost, "blocks_flushed": blocks}


def main():
    parser = argparse.ArgumentParser(description="images whose bytes turn under a mesh that serves them")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--mib", type=int, default=96, help="more than a checkpoint waits for")
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_rot(findings, options))


if __name__ == "__main__":
    sys.exit(main())
