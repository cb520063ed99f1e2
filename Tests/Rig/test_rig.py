"""Tests of the judge and the fault tools, against servers that are not ours."""

import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import test_cluster
import test_measures
import test_torture

OUT = os.path.abspath(sys.argv[1])
FLUSHCHECK = os.path.join(OUT, "flushcheck")
SHIM = os.path.join(OUT, "powercut.so")
PROBE = os.path.join(OUT, "powercut_probe")
SOCKET_SECONDS_MAX = 5
RUN_SECONDS_MAX = 20
DISK_BYTES = 8 << 20


class Place:
    """A fresh directory and the servers started in it, all of which end with it."""

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="rig-")
        self.path = self.temporary.name
        self.started = []
        return self

    def __exit__(self, *_):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait(RUN_SECONDS_MAX)
        self.temporary.cleanup()

    def file(self, name):
        return os.path.join(self.path, name)

    def uri(self, name):
        return "nbd+unix:///?socket=" + self.file(name)

    def serve(self, socket, words, powercut=None):
        environment = dict(os.environ)
        if powercut:
            environment |= {"LD_PRELOAD": SHIM, "HOLDFAST_POWERCUT_DIR": powercut}
        # A server that refuses on purpose is loud about it; its words matter only when it doesn't come up.
        with open(self.file(socket + ".log"), "wb") as log:
            process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        self.started.append(process)
        until = time.monotonic() + SOCKET_SECONDS_MAX
        while not os.path.exists(self.file(socket)):
            if time.monotonic() > until or process.poll() is not None:
                with open(self.file(socket + ".log")) as log:
                    raise AssertionError(f"no server: {words}: {log.read()}")
            time.sleep(0.01)
        return process

    def nbdkit(self, socket, *words, powercut=None):
        return self.serve(socket, ["nbdkit", "-f", "-U", self.file(socket), *words], powercut)

    def disk(self, name="disk"):
        os.makedirs(os.path.dirname(self.file(name)), exist_ok=True)
        with open(self.file(name), "wb") as file:
            file.truncate(DISK_BYTES)
        return self.file(name)


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
    lines = done.stdout.splitlines()
    return done.returncode, (json.loads(lines[-1]) if lines else {}), done.stderr


def write(place, socket, seconds=1, blocks=200):
    return run(FLUSHCHECK, "write", "--uri", place.uri(socket), "--ledger", place.file("ledger"),
               "--seed", "7", "--blocks", str(blocks), "--seconds", str(seconds))


def verify(place, socket):
    return run(FLUSHCHECK, "verify", "--uri", place.uri(socket), "--ledger", place.file("ledger"))


def kill_while_writing(place, server, socket, after=0.5):
    writer = subprocess.Popen(
        [FLUSHCHECK, "write", "--uri", place.uri(socket), "--ledger", place.file("ledger"), "--seed", "7",
         "--blocks", "200", "--seconds", "10"], stdout=subprocess.PIPE, text=True)
    place.started.append(writer)
    time.sleep(after)
    server.kill()
    output, _ = writer.communicate(timeout=RUN_SECONDS_MAX)
    return writer.returncode, json.loads(output.splitlines()[-1])


def an_honest_disk_is_acquitted():
    with Place() as place:
        place.nbdkit("a", "memory", str(DISK_BYTES))
        code, told, errors = write(place, "a")
        assert code == 0 and told["flushesAnswered"] > 0 and told["fuaAnswered"] > 0, (told, errors)
        code, told, _ = verify(place, "a")
        assert code == 0 and told["blocksFlushed"] > 0, told


def a_flushed_write_survives_the_power_cut():
    with Place() as place:
        disk = place.disk("under/disk")
        server = place.nbdkit("a", "file", disk, powercut=place.file("under"))
        code, told = kill_while_writing(place, server, "a")
        assert code == 3 and told["outcome"] == "lost" and told["flushesAnswered"] > 0, told
        place.nbdkit("b", "file", disk)
        code, told, _ = verify(place, "b")
        assert code == 0 and told["blocksFlushed"] > 0, told


def a_disk_that_ignores_flush_is_convicted():
    with Place() as place:
        disk = place.disk("under/disk")
        words = ["qemu-nbd", "-t", "-k", place.file("a"), "-f", "raw", "--cache=unsafe", disk]
        server = place.serve("a", words, powercut=place.file("under"))
        code, told = kill_while_writing(place, server, "a")
        assert code == 3 and told["flushesAnswered"] > 0, told
        place.nbdkit("b", "file", disk)
        code, told, _ = verify(place, "b")
        assert code == 1 and told["lostFlushed"] > 0 and told["foreign"] == 0, told


def write_at(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def torn_foreign_and_misplaced_blocks_are_told_apart():
    with Place() as place:
        disk = place.disk()
        place.nbdkit("a", "file", disk)
        assert write(place, "a")[0] == 0
        with open(disk, "rb") as file:
            whole = file.read(200 * 4096)
        write_at(disk, 0 * 4096 + 512, bytes(512))
        write_at(disk, 1 * 4096 + 700, bytes([whole[4096 + 700] ^ 1]))
        write_at(disk, 2 * 4096, b"x" * 4096)
        write_at(disk, 3 * 4096, whole[4 * 4096:5 * 4096])
        write_at(disk, 5 * 4096, bytes(4096))
        code, told, _ = verify(place, "a")
        assert code == 1, told
        assert (told["torn"], told["foreign"], told["lostFlushed"]) == (2, 2, 1), told


def an_old_version_is_lost_and_one_never_issued_is_foreign():
    with Place() as place:
        disk = place.disk()
        place.nbdkit("a", "file", disk)
        assert write(place, "a", blocks=20)[0] == 0
        with open(disk, "rb") as file:
            old = file.read(4096)
        shutil.copy(place.file("ledger"), place.file("ledger.old"))
        assert write(place, "a", blocks=20)[0] == 0
        assert verify(place, "a")[0] == 0
        write_at(disk, 0, old)
        code, told, _ = verify(place, "a")
        assert code == 1 and told["lostFlushed"] == 1, told
        os.rename(place.file("ledger.old"), place.file("ledger"))
        code, told, _ = verify(place, "a")
        assert code == 1 and told["foreign"] == 19 and told["lostFlushed"] == 0, told


def a_refused_write_is_not_owed():
    with Place() as place:
        place.nbdkit("a", "--filter=error", "memory", str(DISK_BYTES), "error-pwrite-rate=20%", "error=EIO")
        code, told, _ = write(place, "a")
        assert code == 0 and told["writesRefused"] > 0, told
        assert verify(place, "a")[0] == 0


def a_refused_flush_covers_nothing():
    with Place() as place:
        disk = place.disk()
        place.nbdkit("a", "eval", f"get_size=echo {DISK_BYTES}", "can_write=exit 0", "can_flush=exit 0",
                     f"pread=dd if={disk} bs=$3 skip=$4 count=1 iflag=skip_bytes status=none",
                     f"pwrite=dd of={disk} bs=$3 seek=$4 conv=notrunc oflag=seek_bytes status=none",
                     "flush=echo EIO >&2; exit 1")
        code, told, _ = write(place, "a")
        assert told["flushesRefused"] > 0 and told["flushesAnswered"] == 0 and told["writesAnswered"] > 0, told
        write_at(disk, 0, bytes(DISK_BYTES))
        code, told, _ = verify(place, "a")
        assert code == 0 and told["blocksFlushed"] == 0, told


def a_flush_covers_only_what_was_answered_before_it():
    with Place() as place:
        disk, safe = place.disk(), place.file("safe")
        # The one flush that succeeds keeps the disk as it was at its beginning, and answers late.
        place.nbdkit("a", "eval", f"get_size=echo {DISK_BYTES}", "can_write=exit 0", "can_flush=exit 0",
                     # FUA would be emulated by the server with a flush of its own, and use up the one that succeeds.
                     "can_fua=echo none", "thread_model=echo parallel",
                     f"pread=dd if={disk} bs=$3 skip=$4 count=1 iflag=skip_bytes status=none",
                     f"pwrite=dd of={disk} bs=$3 seek=$4 conv=notrunc oflag=seek_bytes status=none",
                     f"flush=if test -e {safe}; then echo EIO >&2; exit 1; fi; cp {disk} {safe}; sleep 0.3")
        code, told, _ = write(place, "a")
        assert told["flushesAnswered"] == 1, told
        place.nbdkit("b", "file", safe)
        code, told, _ = verify(place, "b")
        assert code == 0 and told["blocksFlushed"] > 0, told


def a_damaged_ledger_refuses_to_judge():
    with Place() as place:
        place.nbdkit("a", "memory", str(DISK_BYTES))
        assert write(place, "a")[0] == 0
        with open(place.file("ledger"), "ab") as file:
            file.write(b"torn tail")
        assert verify(place, "a")[0] == 0
        write_at(place.file("ledger"), 100, b"\xff\xff")
        assert verify(place, "a")[0] == 2


def a_silent_server_stalls_nobody_for_ever():
    with Place() as place:
        server = place.nbdkit("a", "memory", str(DISK_BYTES))
        server.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        code, _, errors = write(place, "a")
        assert code == 2 and time.monotonic() - started < 10, errors


def try_both(place, seconds, interval_ms=5):
    trial = subprocess.Popen(
        [FLUSHCHECK, "try", "--uri", place.uri("a"), "--uri", place.uri("b"), "--seconds", str(seconds),
         "--interval-ms", str(interval_ms)], stdout=subprocess.PIPE, text=True)
    place.started.append(trial)
    return trial


def two_servers_that_both_accept_are_convicted():
    with Place() as place:
        place.nbdkit("a", "memory", str(DISK_BYTES))
        place.nbdkit("b", "memory", str(DISK_BYTES))
        trial = try_both(place, 1)
        told = json.loads(trial.communicate(timeout=RUN_SECONDS_MAX)[0].splitlines()[-1])
        assert trial.returncode == 1 and told["dual_accept"] > 0, told


def a_takeover_is_acquitted_and_timed():
    with Place() as place:
        first = place.nbdkit("a", "memory", str(DISK_BYTES))
        trial = try_both(place, 2)
        time.sleep(0.5)
        fault_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        first.kill()
        time.sleep(0.2)
        place.nbdkit("b", "memory", str(DISK_BYTES))
        lines = [json.loads(line) for line in trial.communicate(timeout=RUN_SECONDS_MAX)[0].splitlines()]
        assert trial.returncode == 0 and lines[-1]["dual_accept"] == 0, lines[-1]
        accepted = [line["ns"] for line in lines[:-1] if line["event"] == "accepted" and line["uri"] == 1]
        assert len(accepted) == 1 and accepted[0] > fault_ns + 200_000_000, lines
        assert any(line["event"] == "lost" and line["uri"] == 0 for line in lines[:-1]), lines


def a_late_answer_of_a_paused_primary_is_lawful():
    with Place() as place:
        first = place.nbdkit("a", "memory", str(DISK_BYTES))
        trial = try_both(place, 2, interval_ms=300)
        assert json.loads(trial.stdout.readline())["event"] == "accepted"
        first.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        place.nbdkit("b", "memory", str(DISK_BYTES))
        assert json.loads(trial.stdout.readline())["uri"] == 1
        first.send_signal(signal.SIGCONT)
        time.sleep(0.1)
        first.kill()
        told = json.loads(trial.communicate(timeout=RUN_SECONDS_MAX)[0].splitlines()[-1])
        assert trial.returncode == 0 and told["dual_accept"] == 0 and told["overlapping"] > 0, told


def shim(directory, *words, **extra):
    environment = dict(os.environ) | {"LD_PRELOAD": SHIM, "HOLDFAST_POWERCUT_DIR": directory} | extra
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS_MAX)


def unsynced_bytes_die_with_the_process():
    with Place() as place:
        done = shim(place.path, PROBE, "dies", place.path)
        assert done.returncode == -signal.SIGKILL, done.stderr
        left = subprocess.run([PROBE, "found", place.path], capture_output=True, text=True)
        assert left.returncode == 0, left.stderr


def without_the_shim_the_kernel_keeps_them():
    with Place() as place:
        done = subprocess.run([PROBE, "dies", place.path], capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        left = subprocess.run([PROBE, "found", place.path], capture_output=True, text=True)
        assert left.returncode == 1 and "unsynced bytes are gone" in left.stderr, left.stderr


def the_shim_agrees_with_a_model(**extra):
    for seed in range(2):
        with Place() as place:
            os.mkdir(place.file("under"))
            done = shim(place.file("under"), PROBE, "model", place.file("under"), str(seed), **extra)
            assert done.returncode == 0, (seed, done.stderr)
            assert filecmp.cmp(place.file("under/model"), place.file("model-expected"), shallow=False), seed
            assert ("wrote" in done.stderr) == bool(extra), done.stderr


def over_its_limit_the_shim_writes_through_and_says_so():
    the_shim_agrees_with_a_model(HOLDFAST_POWERCUT_BYTES_MAX="65536")


def a_shim_with_nothing_to_watch_refuses():
    assert shim("/nonexistent", PROBE, "found", "/").returncode == 127


def sqlite(place, *statements):
    return ["sqlite3", place.file("under/base"), *statements]


def sqlite_keeps_what_it_committed():
    with Place() as place:
        os.mkdir(place.file("under"))
        for mode, expected in (("FULL", "3"), ("OFF", None)):
            for left in os.listdir(place.file("under")):
                os.unlink(os.path.join(place.file("under"), left))
            make = "; ".join(["create table t(x)"] + [f"insert into t values({i})" for i in range(3)])
            environment = dict(os.environ) | {"LD_PRELOAD": SHIM, "HOLDFAST_POWERCUT_DIR": place.file("under")}
            client = subprocess.Popen(["sqlite3", "-batch", place.file("under/base")], env=environment, text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            place.started.append(client)
            client.stdin.write(f"pragma synchronous={mode}; {make}; select count(*) from t;\n")
            client.stdin.flush()
            assert client.stdout.readline() == "3\n"
            client.kill()
            client.wait(RUN_SECONDS_MAX)
            after = subprocess.run(sqlite(place, "pragma integrity_check; select count(*) from t;"),
                                   capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
            if expected:
                assert after.stdout == "ok\n3\n", (after.stdout, after.stderr)
            else:
                assert "no such table" in after.stderr, (after.stdout, after.stderr)


TESTS = [
    an_honest_disk_is_acquitted, a_flushed_write_survives_the_power_cut, a_disk_that_ignores_flush_is_convicted,
    torn_foreign_and_misplaced_blocks_are_told_apart, an_old_version_is_lost_and_one_never_issued_is_foreign,
    a_refused_write_is_not_owed, a_refused_flush_covers_nothing,
    a_flush_covers_only_what_was_answered_before_it, a_damaged_ledger_refuses_to_judge, a_silent_server_stalls_nobody_for_ever,
    two_servers_that_both_accept_are_convicted, a_takeover_is_acquitted_and_timed,
    a_late_answer_of_a_paused_primary_is_lawful,
    unsynced_bytes_die_with_the_process, without_the_shim_the_kernel_keeps_them, the_shim_agrees_with_a_model,
    over_its_limit_the_shim_writes_through_and_says_so, a_shim_with_nothing_to_watch_refuses,
    sqlite_keeps_what_it_committed, *test_cluster.TESTS, *test_measures.TESTS,
    *test_torture.TESTS,
]


def main():
    failed = 0
    for test in TESTS:
        started = time.monotonic()
        try:
            test()
            word = "ok"
        except Exception:
            traceback.print_exc(file=sys.stdout)
            failed += 1
            word = "FAILED"
        print(f"{word} {test.__name__.replace('_', ' ')} ({time.monotonic() - started:.1f} s)", flush=True)
    print(f"{len(TESTS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
