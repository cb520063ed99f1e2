"""`make bench-journal`: the replicated log beside etcd's, and a volume beside the raw disk, in one run.

Appends: 256 B, fsynced on a quorum of three processes, 64 in flight, from a client process of its own over mutual TLS. Ours
are NBD writes with FUA at consecutive offsets; etcd's are puts, and of three ways to connect its best one counts.
Only one system runs at a time; they take turns, and medians are compared.
"""

import argparse
import mmap
import os
import socket
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Tests", "Rig"))

import measure  # noqa: E402
import tools  # noqa: E402
from clients import Program, nbdload  # noqa: E402
from cluster import Cluster  # noqa: E402

MIB = 1 << 20
APPEND_BYTES, APPEND_DEPTH = 256, 64
PIECE_BYTES, PIECE_DEPTH = 262144, 16
WARM_SECONDS = 1
APPEND_VOLUME_MIB = 512
DISK_WRITE_BYTES = 1 << 20
ETCD_SECONDS_MAX, ROUND_SECONDS_MAX = 120, 300
PORT_TRIES_MAX = 50
ETCD_PORTS = [offset + kind for offset in (0, 10, 20) for kind in (0, 1)]


class Usage:
    """CPU of every agent, and what went to their disk, between two moments."""

    def __init__(self, mesh):
        self.pids, self.home = {node.region: node.process.pid for node in mesh.nodes.values()}, mesh.home
        self.before, self.written = self.now(), tools.device_written_bytes(self.home)

    def now(self):
        return {name: tools.cpu_seconds(pid) for name, pid in self.pids.items()}

    def spent(self):
        """(CPU seconds by region, bytes to the disk which all of them share)."""
        written = tools.device_written_bytes(self.home) - self.written
        return {name: after - self.before[name] for name, after in self.now().items()}, written


def certificates(place):
    """etcd gets an authority of its own kind: P-256, as ours."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    tools.command("openssl", "req", "-x509", *curve, "-subj", "/CN=bench", "-days", 2, "-keyout", f"{place}/ca.key",
                  "-out", f"{place}/ca.pem")
    tools.command("openssl", "req", *curve, "-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1",
                  "-addext", "extendedKeyUsage=serverAuth,clientAuth", "-keyout", f"{place}/node.key",
                  "-out", f"{place}/node.csr")
    tools.command("openssl", "x509", "-req", "-in", f"{place}/node.csr", "-CA", f"{place}/ca.pem", "-CAkey",
                  f"{place}/ca.key", "-CAcreateserial", "-copy_extensions", "copy", "-days", 2,
                  "-out", f"{place}/node.pem")


def free_base():
    """A port whose neighbours that etcdbench uses are free, too."""
    for _ in range(PORT_TRIES_MAX):
        base = tools.free_ports(1)[0]
        sockets = []
        try:
            for offset in ETCD_PORTS:
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", base + offset))
            return base
        except (OSError, OverflowError):
            continue
        finally:
            for each in sockets:
                each.close()
    raise measure.Unmeasured("no free ports for etcd")


def etcd_round(findings, place, options):
    """Puts per second of etcd's best way to connect."""
    words = [os.path.join(options.rig, "etcdbench"), "-mode", "append", "-certs", place, "-secs", options.seconds,
             "-data", os.path.join(place, "etcd"), "-port", free_base()]
    with Program(words) as program:
        program.report(ETCD_SECONDS_MAX)
        told = [each for each in program.told() if "ops" in each]
    if len(told) != 3:
        raise measure.Unmeasured(f"etcdbench: {list(program.lines)[-5:]}")
    best = max(told, key=lambda each: each["ops"])
    others = ", ".join(f"{each['conns']} to {each['target']} {each['ops']:.0f}" for each in told if each is not best)
    findings.say(f"etcd    {best['ops']:8.0f} puts/s, p50 {best['p50Ms']:.2f} ms, p99 {best['p99Ms']:.2f} ms "
                 f"({best['conns']} connections to {best['target']}; {others})")
    cpu = [seconds / best["answered"] * 1e6 for seconds in [*best["cpuSeconds"], best["clientCpuSeconds"]]]
    findings.say(f"          CPU per put: leader {cpu[0]:.0f} µs, followers {cpu[1]:.0f} and {cpu[2]:.0f} µs, client "
                 f"{cpu[3]:.0f} µs; {best['answered'] / max(best['fsyncs'], 1):.1f} puts a sync of the leader, "
                 f"{best['leaderDiskBytes'] / best['answered']:.0f} B to its disk each")
    return best["ops"]


def append_round(findings, mesh, primary, options):
    """Appends per second through NBD over TLS."""
    words = dict(block=APPEND_BYTES, depth=APPEND_DEPTH, fua=True, certificates=mesh.client_certificates())
    uri, total = primary.tls_uri("append"), APPEND_VOLUME_MIB * MIB
    nbdload(options.rig, "write", uri, total, WARM_SECONDS, seed=1, **words)
    usage = Usage(mesh)
    load = nbdload(options.rig, "write", uri, total, options.seconds, seed=2, **words)
    (spent, written), count = usage.spent(), load["answered"]
    ops = count / load["seconds"]
    findings.say(f"ours    {ops:8.0f} appends/s, p50 {load['p50Ms']:.2f} ms, p99 {load['p99Ms']:.2f} ms "
                 f"(1 connection to the primary)")
    cpu = ", ".join(f"{name}{' (primary)' if name == primary.region else ''} {seconds / count * 1e6:.0f} µs"
                    for name, seconds in spent.items())
    findings.say(f"          CPU per append: {cpu}, client {load['cpuSeconds'] / count * 1e6:.0f} µs; "
                 f"{written / count:.0f} B to the one disk of all three each")
    return ops


def base_of(node):
    said = node.status()
    if said is None:
        raise measure.Unmeasured(f"{node.region} gives no status")
    return said["raft"]["base"]["index"]


def sequential_round(findings, mesh, primary, options):
    """MB/s of a flushed sequential write to a sync volume."""
    total = options.sequential_mib * MIB
    base, usage = base_of(primary), Usage(mesh)
    load = nbdload(options.rig, "write", primary.uri("sequential"), total, ROUND_SECONDS_MAX, seed=3,
                   block=PIECE_BYTES, depth=PIECE_DEPTH)
    rate = load["bytes"] / 1e6 / load["seconds"]
    moved = base_of(primary)
    checkpoints = f"the log's base moved from {base} to {moved}" if moved > base else \
        "NO checkpoint fell into it: raise --sequential-mib"
    spent, written = usage.spent()
    cpu = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in spent.items())
    findings.say(f"volume  {rate:8.1f} MB/s sequential, {options.sequential_mib} MiB in sync mode; {checkpoints}")
    findings.say(f"          CPU: {cpu}, client {load['cpuSeconds']:.2f} s; {written / load['bytes']:.1f} B to their one disk per byte")
    return rate


def disk_round(findings, place, options):
    """MB/s of the raw disk: direct writes of 1 MiB into a new file and one fdatasync, as dd would."""
    path, total = os.path.join(place, "raw"), options.sequential_mib * MIB
    piece = mmap.mmap(-1, DISK_WRITE_BYTES)  # page-aligned, as O_DIRECT demands
    piece.write(os.urandom(DISK_WRITE_BYTES))
    how = "direct"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_DIRECT, 0o600)
    except OSError:
        how = "buffered, since the file system knows no direct writes"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        started = time.monotonic()
        for _ in range(total // DISK_WRITE_BYTES):
            os.write(file, piece)
        os.fdatasync(file)
        rate = total / 1e6 / (time.monotonic() - started)
    finally:
        os.close(file)
        os.unlink(path)
    findings.say(f"disk    {rate:8.1f} MB/s raw, {options.sequential_mib} MiB, {how}, one fdatasync")
    return rate


def our_round(findings, options):
    with Cluster(options.bin, nbd=True) as mesh, measure.explained(mesh):
        mesh.start()
        primary = mesh.ready()
        mesh.create_volume("append", f"{APPEND_VOLUME_MIB}M")
        ops = append_round(findings, mesh, primary, options)
        mesh.create_volume("sequential", f"{options.sequential_mib}M")
        rate = sequential_round(findings, mesh, primary, options)
        return ops, rate, len(mesh.data_nodes)


def measure_journal(findings, options):
    ours, etcd, nbd, disk, copies = [], [], [], [], 3
    # Where the agents' data goes, too: all of them are measured on one file system.
    with tempfile.TemporaryDirectory(prefix="hf-bench-") as place:
        certificates(place)
        for number in range(options.rounds):
            findings.say(f"== round {number + 1} of {options.rounds}")
            etcd.append(etcd_round(findings, place, options))
            disk.append(disk_round(findings, place, options))
            ops, rate, copies = our_round(findings, options)
            ours.append(ops)
            nbd.append(rate)
            disk.append(disk_round(findings, place, options))
    medians = [statistics.median(each) for each in (ours, etcd, nbd, disk)]
    findings.say()
    findings.say(f"appends: ours {medians[0]:.0f}/s, etcd {medians[1]:.0f}/s, ratio {medians[0] / medians[1]:.2f}")
    findings.say(f"sequential: volume {medians[2]:.1f} MB/s, disk {medians[3]:.1f} MB/s; {copies} copies on this one disk: "
                 f"volume × copies ÷ disk = {medians[2] * copies / medians[3]:.2f}")
    findings.figures = {"ours_ops": round(medians[0]), "etcd_ops": round(medians[1]),
                        "ratio": round(medians[0] / medians[1], 2), "nbd_mb_s": round(medians[2], 1),
                        "disk_mb_s": round(medians[3], 1), "nbd_to_disk": round(medians[2] * copies / medians[3], 2)}


def main():
    parser = argparse.ArgumentParser(description="the replicated log beside etcd's, a volume beside the raw disk")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each append load")
    parser.add_argument("--sequential-mib", type=int, default=256)
    options = parser.parse_args()
    return measure.run(60 + options.rounds * ROUND_SECONDS_MAX, lambda findings: measure_journal(findings, options))


if __name__ == "__main__":
    sys.exit(main())
