"""What every program of the rig needs: waits with limits, commands with limits, and samples of a process."""

import os
import socket
import subprocess
import time

COMMAND_SECONDS_MAX = 15
POLL_SECONDS = 0.02
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Late(Exception):
    """A wait reached its named limit."""


def wait_until(what, seconds, holds, poll=POLL_SECONDS):
    """Polls until `holds()` returns something true, and returns that."""
    until = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() >= until:
            raise Late(f"{what}: not within {seconds} s")
        time.sleep(poll)


def command(*words, check=True, seconds=COMMAND_SECONDS_MAX, given=None):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=seconds, input=given)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done


def free_ports(count):
    """Ports that were free a moment ago; all are held until all are known, so that none is given twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def now_ns():
    """The clock of flushcheck's events."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def memory_mib(pid):
    """Resident memory now and at its highest."""
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def device_written_bytes(path):
    """What was written to the block device below `path`, by anybody; 0 where the kernel doesn't count it.

    Not /proc/PID/io: it counts a whole folio of the page cache for each block of it that is written.
    """
    device = os.stat(path).st_dev
    try:
        with open(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat") as file:
            return int(file.read().split()[6]) * 512
    except OSError:
        return 0


def received_bytes(pid, interface):
    """What came in on an interface of the process's own network namespace."""
    with open(f"/proc/{pid}/net/dev") as file:
        for line in file:
            name, _, counters = line.partition(":")
            if name.strip() == interface:
                return int(counters.split()[0])
    raise RuntimeError(f"process {pid} has no interface {interface}")


def disk_mib(directory):
    """Allocated blocks, so that holes cost nothing and preallocated files cost what they take."""
    blocks = 0
    for place, _, names in os.walk(directory):
        for name in names:
            try:
                blocks += os.lstat(os.path.join(place, name)).st_blocks
            except FileNotFoundError:
                pass  # removed while we looked
    return blocks * 512 / (1 << 20)
