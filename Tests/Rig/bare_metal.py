"""`make demo-bare-metal`: all regions are lost for good, and the mesh comes back from its repository and the spare key alone.

Three regions with three volumes under load, a backup, and a log that is shipped. Then every agent is killed at once, and all their
directories go, the authority and the agents' key with them. New nodes with new ids, certificates and directories are made: restores
that are killed on the way leave nothing that starts; two regions are restored, the third one copies from them. A client reads what it
had written, byte for byte, and flushcheck judges what was flushed before the last shipped moment. Clients go on, the primary is killed,
a switchover works, and the new mesh backs up into the same repository. Then a node of the old mesh comes back, with its old key. At the
end two regions and a witness are made of the same repository, as of a moment before the disaster.
"""

import argparse
import contextlib
import filecmp
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import faults
import measure
import pitr
import tools
from backup import Repository, back_up, copy
from clients import Judge
from cluster import POWERCUT_BYTES_MAX, REGIONS, Cluster, Node

MIB = 1 << 20
LEDGER_MIB, BULK_MIB, TIGHT_MIB = 16, 192, 64
OLD_IDS, NEW_IDS = (1, 2, 3), (11, 12, 13)
READY_SECONDS_MAX, SHIPPED_SECONDS_MAX, NOTICE_SECONDS_MAX = 60, 30, 90
RESTORE_SECONDS_MAX, REFUSE_SECONDS_MAX, LOAD_SECONDS_MAX = 300, 20, 300
LEDGER_SECONDS, RETURN_SECONDS = 3, 5
ASKED_EVERY_SECONDS = 0.2
KILLS, TRIES_MAX, CONFIG_FAULT = 6, 5, 78
RUN_SECONDS_MAX = 900


class NewCluster(Cluster):
    """Nodes with other ids; their directories are made by who restores."""

    @classmethod
    def of(cls, options, repository, roles=("data", "data", "data")):
        return cls(options.bin, roles, settings=(repository.setting,))

    def lay_out(self):
        ports = tools.free_ports(2 * len(self.roles))
        for at, (node, role) in enumerate(zip(NEW_IDS, self.roles)):
            self.nodes[node] = Node(self, node, REGIONS[at], role, "127.0.0.1", ports[2 * at], ports[2 * at + 1])
        self.identity = os.urandom(16).hex()
        self.write("cluster.yaml", self.cluster_yaml())
        tools.command(self.program("holdfast"), "cert", "init", "--dir", self.home, "--cluster", self.identity)
        for node in self.nodes.values():
            os.makedirs(node.home, 0o700)
            os.makedirs(node.run, 0o700)
            tools.command(self.program("holdfast"), "cert", "issue", "--dir", self.home, "--node", node.id,
                          "--region", node.region, "--address", node.host)
            self.write(f"node-{node.id}/node.yaml", self.node_yaml(node, "founding: false"))


class Loss:
    """The old mesh: what is known of it when all is lost."""

    def __init__(self, identity, epoch, writer, moment_ns):
        self.identity, self.epoch, self.writer, self.moment_ns = identity, epoch, writer, moment_ns


def shipped_through(node):
    return json.loads(node.holdfast("backup", "status", "-o", "json").stdout)["log"]["through"]


def live_and_die(findings, options, repository, judge, relic):
    """A mesh, its clients, a backup and what was shipped; then nothing."""
    with Cluster(options.bin, settings=(repository.setting,)) as mesh, measure.explained(mesh):
        mesh.start()
        mesh.ready()
        for name, mib in ((pitr.VOLUME, pitr.BYTES // MIB), ("ledger", LEDGER_MIB), ("bulk", BULK_MIB)):
            mesh.create_volume(name, f"{mib}M", mode="async" if name == "bulk" else "sync")
        writer = pitr.Writer(mesh, options.seed)
        writer.connect()
        primary = mesh.primary()
        noise = Judge(options.rig, os.path.join(repository.scratch, "noise"), BULK_MIB * MIB, seed=11)
        with noise.write(primary.uri("bulk"), LOAD_SECONDS_MAX) as load:
            writer.write(2)
            made = back_up(mesh.nodes[2])["backup"]
            writer.write(2)
            pitr.fail_over(findings, mesh, writer)
            primary = mesh.primary()
        with noise.write(primary.uri("bulk"), LOAD_SECONDS_MAX) as load:
            judge.flush(primary.uri("ledger"), LEDGER_SECONDS)
            writer.write(options.seconds)
            tools.wait_until("all that is judged is shipped", SHIPPED_SECONDS_MAX,
                             lambda: pitr.shipped(mesh, writer.deeds[-1]))
            findings.expect(load.is_running, f"clients write on until the end: {list(load.lines)[-3:]}")
            told = primary.status()
            loss = Loss(mesh.identity, told["primary"]["epoch"], writer, writer.deeds[-1].done_ns)
            findings.say(f"backup {made['number']}, epoch {loss.epoch}, {len(writer.deeds)} deeds of the client; the log is "
                         f"shipped through entry {shipped_through(primary)}")
            mesh.cut_power()
        keep_relic(mesh, relic)
        home = mesh.home
    findings.expect(not os.path.exists(home), "nothing of the old mesh is left")
    os.rename(repository.key, os.path.join(relic, "site.key"))
    repository.key += ".spare"
    findings.say("all agents killed at once; all their directories, the authority and the agents' key are gone")
    return loss


def keep_relic(mesh, relic):
    """A copy of node 1 as it was, which turns up later: of two nodes the lower one calls."""
    shutil.copytree(mesh.home, relic, ignore=shutil.ignore_patterns("node-2", "node-3", "r[0-9]"))
    relic_node = os.path.join(relic, "node-1", "node.yaml")
    with open(relic_node) as file:
        text = file.read()
    with open(relic_node, "w") as file:
        file.write(text.replace(mesh.home, relic))


def restore_words(repository, node, *words):
    return ["restore", "--cluster", node.config, "--repository", repository.path, "--key", repository.key, *words]


def restore(repository, node, *words, check=True):
    return repository.holdfast(*restore_words(repository, node, *words), "-o", "json", check=check)


def start_is_refused(node):
    """How the agent ends, and what it says."""
    done = subprocess.run(node.words({}), capture_output=True, text=True, timeout=REFUSE_SECONDS_MAX)
    return done.returncode == CONFIG_FAULT and "a restore began and did not end" in done.stderr, done


def shut_out(findings, repository, relic):
    """The lost machines had a key: it opens nothing that comes from now on."""
    escrow = os.path.join(repository.scratch, "escrow.key")
    repository.holdfast("repository", "keygen", "--escrow", escrow)
    repository.holdfast("repository", "rotate", repository.path, "--key", repository.key, "--drop", "key",
                        "--escrow-public", escrow + ".pub")
    old = os.path.join(relic, "site.key")
    said = repository.holdfast("backup", "list", "--repository", repository.path, "--key", old, check=False)
    findings.expect(said.returncode == 1 and "key" in said.stderr, f"the old key opens nothing: {said}")


def refusals(findings, repository, mesh, loss):
    """What must not be restored says why, and leaves nothing."""
    node = mesh.nodes[NEW_IDS[0]]

    def refused(words, change, *more):
        before = {}
        for path, old, new in change:
            with open(path) as file:
                before[path] = file.read()
            with open(path, "w") as file:
                file.write(before[path].replace(old, new))
        said = restore(repository, node, "--latest", *more, check=False)
        for path, text in before.items():
            with open(path, "w") as file:
                file.write(text)
        findings.expect(said.returncode == 1 and words in said.stderr and not os.path.exists(node.data),
                        f"refused with {words!r}: {said}")
    refused("has backups or a log in this repository",
            [(os.path.join(mesh.home, "cluster.yaml"), mesh.identity, loss.identity)])
    refused("Put `founding: false`", [(node.config, "founding: false", "founding: true")])
    if os.geteuid() == 0:
        tight(findings, repository, node)


def tight(findings, repository, node):
    """A file system that is too small is left as it is."""
    os.mkdir(node.data, 0o700)
    tools.command("mount", "-t", "tmpfs", "-o", f"size={TIGHT_MIB}M", "none", node.data)
    try:
        said = restore(repository, node, "--latest", check=False)
        findings.expect(said.returncode == 1 and "has room for" in said.stderr and not os.listdir(node.data),
                        f"too small a disk is left as it is: {said} {os.listdir(node.data)}")
        findings.say(said.stderr.splitlines()[0])
    finally:
        tools.command("umount", node.data)
    os.rmdir(node.data)


def killed_restores(findings, repository, node, seconds):
    """Killed on the way: the agent does not start on what is there, and asking again begins anew. Returns how many left a half."""
    halves = 0
    for kill in range(KILLS):
        shutil.rmtree(node.data, ignore_errors=True)
        with subprocess.Popen([repository.program, *restore_words(repository, node, "--latest")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            tools.wait_until("the restore has begun", RESTORE_SECONDS_MAX, poll=0.001,
                             holds=lambda: os.path.exists(os.path.join(node.data, "restoring"))
                             or process.poll() is not None)
            # The first ones early: what a busy machine took for a whole one says little.
            time.sleep(seconds * (kill / KILLS) ** 2)
            process.kill()
        if os.path.exists(os.path.join(node.data, "identity")):
            continue
        halves += 1
        refused, said = start_is_refused(node)
        findings.expect(refused, f"no node starts on a half: {said}")
        init = repository.holdfast("init", "--config", node.config, check=False)
        findings.expect(init.returncode == 1 and "a restore began" in init.stderr, f"nor is it taken for empty: {init}")
        if kill % 2:
            continue
        again = restore(repository, node, "--latest", check=False)
        findings.expect(again.returncode == 0, f"asked again it begins anew: {again}")
    shutil.rmtree(node.data, ignore_errors=True)
    return halves


def restored_at_a_power_cut(findings, options, repository, node, *words):
    """Under the shim, and killed as soon as the directory is a node's: all of it was synced by then."""
    environment = os.environ | {"LD_PRELOAD": os.path.abspath(os.path.join(options.rig, "powercut.so")),
                                "HOLDFAST_POWERCUT_DIR": node.home,
                                "HOLDFAST_POWERCUT_BYTES_MAX": str(POWERCUT_BYTES_MAX)}
    for _ in range(TRIES_MAX):
        shutil.rmtree(node.data, ignore_errors=True)
        with subprocess.Popen([repository.program, *restore_words(repository, node, *words)], env=environment,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            tools.wait_until("the directory is a node's", RESTORE_SECONDS_MAX, poll=0.0005,
                             holds=lambda: os.path.exists(os.path.join(node.data, "identity"))
                             or process.poll() is not None)
            process.kill()
            said = process.stderr.read()
        findings.expect("powercut:" not in said, f"the shim holds all that is not synced: {said}")
        if process.returncode == -signal.SIGKILL:
            return
    raise measure.Unmeasured("the restore always ended before it was killed")


def other_members_are_refused(findings, repository, mesh, node, words):
    """A member whose cluster file has other members would begin at the same entry with other decisions."""
    changed = f"{node.config}.changed"
    mesh.write("changed.yaml", mesh.cluster_yaml().replace(mesh.nodes[NEW_IDS[2]].region, "elsewhere-1"))
    with open(node.config, encoding="utf-8") as file, open(changed, "w", encoding="utf-8") as other:
        other.write(file.read().replace("../cluster.yaml", "../changed.yaml"))
    said = repository.holdfast("restore", "--cluster", changed, "--repository", repository.path, "--key", repository.key,
                               *words, check=False)
    findings.expect(said.returncode == 1 and "would begin otherwise" in said.stderr, f"other members are refused: {said}")


def bring_back(findings, options, repository, mesh):
    """Two regions from the repository, the third one from them. Returns the seconds, and what was made."""
    first, second, third = (mesh.nodes[node] for node in NEW_IDS)
    began = time.monotonic()
    made = json.loads(restore(repository, first, "--latest").stdout)
    took = time.monotonic() - began
    findings.say(f"node {first.id} restored in {took:.1f} s: {made}")
    halves = killed_restores(findings, repository, second, took)
    findings.say(f"{halves} of {KILLS} restores that were killed left a half, on which no node starts")
    findings.expect(halves > 0, "some restore was killed on the way")
    same = ("--at-index", str(made["index"]), "--expect", made["beginning"])
    other_members_are_refused(findings, repository, mesh, second, same)
    other = json.loads(restore(repository, second, *same).stdout)
    findings.expect(all(other[key] == made[key] for key in ("index", "epoch", "volumes", "beginning", "of")), f"both are one: {other}")
    twice = restore(repository, second, "--latest", check=False)
    findings.expect(twice.returncode == 1 and "holds something already" in twice.stderr,
                    f"nothing is restored over what is whole: {twice}")
    restored_at_a_power_cut(findings, options, repository, second, "--at-index", str(made["index"]))
    repository.holdfast("init", "--config", third.config)
    return took, made


def compare(findings, node, loss, scratch, when):
    """The client's volume is what the client had written."""
    path = copy(node, pitr.VOLUME, os.path.join(scratch, "read"))
    with open(path, "rb") as file:
        differing = sum(a != b for a, b in zip(file.read(), bytes(loss.writer.image)))
    os.remove(path)
    findings.expect(differing == 0, f"{when}: {differing} bytes differ from what the client wrote")
    return differing


def served(findings, repository, mesh, loss, made, judge):
    """The new mesh serves what there was. Returns (bytes that differ, flushed blocks that are lost)."""
    scratch = repository.scratch
    mesh.start()
    primary = mesh.ready(seconds=READY_SECONDS_MAX)
    mesh.await_served(primary, pitr.VOLUME, "ledger", "bulk")
    epoch = primary.status()["primary"]["epoch"]
    findings.expect(epoch > made["epoch"] > loss.epoch, f"its epochs are above the old ones: {loss.epoch}, {made}, {epoch}")
    listed = json.loads(primary.holdfast("volume", "list", "-o", "json").stdout)["volumes"]
    modes = {each["name"]: each["mode"] for each in listed}
    findings.expect(modes == {pitr.VOLUME: "sync", "ledger": "sync", "bulk": "async"}, f"volumes keep their modes: {modes}")
    differing = compare(findings, primary, loss, scratch, "behind the restore")
    for name in modes:
        raw, read = (os.path.join(scratch, f"{each}-{name}") for each in ("raw", "read"))
        repository.ask("restore", "--at-index", str(made["index"]), "--volume", name, "--to", raw)
        same = filecmp.cmp(raw, copy(primary, name, read), shallow=False)
        findings.expect(same, f"volume {name} is the image that a restore of it alone gives")
        differing += not same
        os.remove(raw)
        os.remove(read)
    faulty = judge.faults(judge.verify(primary.uri("ledger")))
    findings.expect(not faulty, f"every block that was flushed before the last shipped moment is there: {faulty}")
    return differing, sum(faulty.values())


def goes_on(findings, mesh, loss, judge, scratch):
    """Clients write on; the third region copies; one region is killed, and one hands over. Returns (bytes, blocks, seconds)."""
    writer = loss.writer
    writer.mesh = mesh
    writer.connect()
    writer.write(1)
    third = mesh.nodes[NEW_IDS[2]]
    tools.wait_until("the region that came with nothing is complete", NOTICE_SECONDS_MAX,
                     lambda: "resync" not in {alarm["code"] for alarm in (third.status() or {}).get("alarms", [{"code": "resync"}])}
                     and mesh.is_caught_up())
    judge.flush(mesh.primary().uri("ledger"), LEDGER_SECONDS)
    old = mesh.primary()
    began = time.monotonic()
    old.kill()
    writer.one()
    took = time.monotonic() - began
    new = mesh.primary()
    findings.expect(new is not old, f"another region took over from {old.region}")
    old.start()
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    heir = third if new is not third else mesh.nodes[NEW_IDS[0]]
    new.holdfast("switchover", heir.region, "--yes")
    tools.wait_until("the switchover", NOTICE_SECONDS_MAX, lambda: mesh.primary() is heir)
    mesh.await_served(heir, pitr.VOLUME, "ledger")
    writer.write(1)
    differing = compare(findings, heir, loss, scratch, f"in {heir.region}, behind a takeover and a switchover")
    faulty = judge.faults(judge.verify(heir.uri("ledger")))
    findings.expect(not faulty, f"nothing that was flushed since is lost: {faulty}")
    findings.say(f"a takeover in {took:.2f} s, a switchover to {heir.region}")
    return differing, sum(faulty.values()), took


def known_by_its_log(findings, repository, mesh):
    """A mesh ships its log before its first backup: by then another one can't be restored under its name."""
    tools.wait_until("the new mesh ships its log", SHIPPED_SECONDS_MAX,
                     lambda: any(mesh.identity in folder for folder, _, files in os.walk(repository.path) if files))
    node, again = mesh.nodes[NEW_IDS[0]], os.path.join(repository.scratch, "again")
    config = node.config + ".again"
    with open(node.config) as old, open(config, "w") as new:
        new.write(old.read().replace(f"data: {node.data}", f"data: {again}"))
    said = repository.holdfast("restore", "--cluster", config, "--repository", repository.path, "--key", repository.key,
                               "--latest", check=False)
    findings.expect(said.returncode == 1 and "has backups or a log in this repository" in said.stderr
                    and not os.path.exists(again), f"a mesh with a log and no backup is known: {said}")


def backs_up(findings, repository, mesh, loss, model):
    """Into the same repository: two meshes, two histories."""
    known_by_its_log(findings, repository, mesh)
    numbers = [back["number"] for back in listed(repository)]
    node = next(node for node in mesh.data_nodes if node is not mesh.primary())
    made = back_up(node)["backup"]
    findings.expect(made["kind"] == "full" and made["number"] == max(numbers) + 1, f"its first backup is a full one: {made}")
    loss.writer.write(1)
    findings.expect(back_up(node)["backup"]["kind"] == "incremental", "the next one is not")
    loss.writer.write(1)
    tools.wait_until("the new mesh ships its log", SHIPPED_SECONDS_MAX,
                     lambda: pitr.shipped(mesh, loss.writer.deeds[-1]))
    image = image_of(repository, "--latest")
    findings.expect(image == bytes(loss.writer.image), "the latest is what the new mesh has")
    then = image_of(repository, "--at-time", pitr.moment(loss.moment_ns + pitr.SLACK_NS))
    findings.expect(then in model.images(loss.moment_ns), "a moment of the old mesh can still be had")
    check = repository.ask("backup", "verify", check=False)
    findings.expect(check.returncode == 0, f"the backup of the new mesh is whole: {check}")


def into_the_mesh(findings, repository, mesh, loss, model):
    """A moment of the old mesh, and a backup, as new volumes of the mesh that runs; asked of a node that is not primary it is refused."""
    primary = mesh.primary()
    other = next(node for node in mesh.data_nodes if node is not primary)
    at = pitr.moment(loss.moment_ns + pitr.SLACK_NS)
    words = ("restore", "--repository", repository.path, "--key", repository.key, "--volume", pitr.VOLUME)

    def ask(node, *more):
        return repository.holdfast("--socket", f"{node.run}/admin.sock", *words, *more, check=False)
    for node, into, said in ((other, "then", "does not act as primary"), (primary, "ledger", "is there already")):
        refused = ask(node, "--into", into)
        findings.expect(refused.returncode == 1 and said in refused.stderr, f"{said}: {refused}")
    made = ask(primary, "--at-time", at, "--into", "then")
    findings.expect(made.returncode == 0, f"a moment is restored into the mesh: {made}")
    newest = ask(primary, "--into", "newest")
    findings.expect(newest.returncode == 0, f"the newest backup is restored into the mesh: {newest}")
    none = ask(primary, "--at-time", "2001-01-01T00:00:00Z", "--into", "never")
    findings.expect(none.returncode == 1, f"a moment before all backups is none: {none}")
    raw = os.path.join(repository.scratch, "raw")
    repository.ask("restore", "--volume", pitr.VOLUME, "--to", raw)
    primary.kill()
    heir = tools.wait_until("another region takes over", NOTICE_SECONDS_MAX, lambda: next(
        (node for node in [mesh.primary()] if node and node is not primary), None))
    mesh.await_served(heir, "then", "newest", pitr.VOLUME)
    read = copy(heir, "then", os.path.join(repository.scratch, "read"))
    with open(read, "rb") as file:
        findings.expect(file.read() in model.images(loss.moment_ns), "it has what there was, in another region too")
    read = copy(heir, "newest", read)
    findings.expect(filecmp.cmp(raw, read, shallow=False), "and so has the newest backup")
    volumes = {each["name"] for each in json.loads(heir.holdfast("volume", "list", "-o", "json").stdout)["volumes"]}
    findings.expect("never" not in volumes, f"what can't be restored leaves no volume: {volumes}")
    os.remove(raw)
    os.remove(read)
    primary.start()
    faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
    damaged_into(findings, repository, mesh, ask)


def damaged_into(findings, repository, mesh, ask):
    """Each pack in turn is damaged: what was begun then is taken back. The ids of volumes tell that some were begun."""
    primary = mesh.primary()

    def next_id():
        made = json.loads(primary.holdfast("volume", "create", "probe", "--size", "1M", "-o", "json").stdout)
        primary.holdfast("volume", "delete", "probe", "--yes")
        return made["id"]
    number = min(backup["number"] for backup in listed(repository))
    packs = glob.glob(os.path.join(repository.path, "**", "packs", "**", "*"), recursive=True)
    before, passed = next_id(), 0
    for path in filter(os.path.isfile, packs):
        with open(path, "rb") as file:
            content = file.read()
        overwrite(path, content.translate(bytes(byte ^ 1 for byte in range(256))))
        said = ask(primary, str(number), "--into", "damaged")
        overwrite(path, content)
        names = {each["name"] for each in json.loads(primary.holdfast("volume", "list", "-o", "json").stdout)["volumes"]}
        if said.returncode == 0:
            passed += 1
            primary.holdfast("volume", "delete", "damaged", "--yes")
        else:
            findings.expect("damaged" not in names, f"what fails is taken back: {said}, {names}")
    begun = next_id() - before - 1 - passed
    findings.expect(begun > 0, "some volume was begun, and taken back")
    findings.say(f"{len(packs)} objects damaged in turn: {passed} restored into the mesh, {begun} begun and taken back")


def overwrite(path, content):
    with open(path, "r+b") as file:
        file.write(content)


def listed(repository):
    return json.loads(repository.ask("backup", "list", "-o", "json").stdout)["backups"]


def image_of(repository, *moment):
    path = os.path.join(repository.scratch, "image")
    repository.ask("restore", *moment, "--volume", pitr.VOLUME, "--to", path)
    with open(path, "rb") as file:
        image = file.read()
    os.remove(path)
    return image


def old_node_returns(findings, mesh, relic, options):
    """Its cluster file names the new nodes' addresses, as where the new mesh took the old machines: nobody hears it."""
    config = os.path.join(relic, "cluster.yaml")
    with open(config) as file:
        lines = file.read().splitlines()
    for at, line in enumerate(lines):
        for old, new in zip(OLD_IDS[1:], NEW_IDS[1:]):
            if f"{{id: {old}," in line:
                lines[at] = line[:line.index("address:")] + f"address: \"{mesh.nodes[new].address}\"}}"
    with open(config, "w") as file:
        file.write("\n".join(lines) + "\n")
    before = mesh.primary().status()
    run = os.path.join(relic, "r1")
    os.mkdir(run, 0o700)
    program = os.path.join(os.path.abspath(options.bin), "holdfast-agent")
    logs = [os.path.join(relic, "log"), *(mesh.nodes[node].log for node in NEW_IDS[1:])]
    told = []

    def ask():
        said = subprocess.run([os.path.join(options.bin, "holdfast"), "--socket", f"{run}/admin.sock", "status", "-o", "json"],
                              capture_output=True, text=True)
        told.extend([json.loads(said.stdout)] if said.returncode == 0 else [])
        return bool(told)

    def refusals_told():
        lines = []
        for path in logs:
            with open(path, errors="replace") as log:
                lines += [line.strip() for line in log if "peer refused" in line]
        return lines
    with open(logs[0], "wb") as log:
        with subprocess.Popen(["setpriv", "--pdeathsig", "KILL", program, "--config",
                               os.path.join(relic, "node-1", "node.yaml")], stdout=log, stderr=log) as process:
            try:
                tools.wait_until("the old node answers", READY_SECONDS_MAX, ask)
                words = tools.wait_until("it is refused, and that is told", READY_SECONDS_MAX, refusals_told)
                until = time.monotonic() + RETURN_SECONDS
                while time.monotonic() < until:
                    ask()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(ASKED_EVERY_SECONDS)
                findings.expect(process.poll() is None, "the old node runs")
            finally:
                process.kill()
    findings.expect(not any(said.get("leader") or (said.get("primary") or {}).get("acting") for said in told),
                    "a node of the old mesh leads nobody and serves nothing")
    after = mesh.primary().status()
    findings.expect(after["primary"]["epoch"] == before["primary"]["epoch"], "the new mesh does not notice")
    findings.say(f"a node of the old mesh is back: {sorted({alarm['code'] for alarm in told[-1]['alarms']})}; {words[-1:]}")


def beside_a_witness(findings, options, repository, loss, model):
    """Two regions and a witness, as of a moment before the disaster: one region dies, the other takes over."""
    moment = pitr.moment(loss.moment_ns)
    with NewCluster.of(options, repository, ("data", "data", "witness")) as mesh, measure.explained(mesh):
        for node in mesh.data_nodes:
            restore(repository, node, "--at-time", moment)
        witness = mesh.nodes[NEW_IDS[2]]
        said = restore(repository, witness, "--at-time", moment, check=False)
        findings.expect(said.returncode == 1 and "is a witness" in said.stderr, f"a witness has nothing to restore: {said}")
        repository.holdfast("init", "--config", witness.config)
        mesh.start()
        mesh.ready(seconds=READY_SECONDS_MAX)
        faults.await_caught_up(mesh, NOTICE_SECONDS_MAX)
        old = mesh.primary()
        old.kill()
        heir = tools.wait_until("the other region takes over", NOTICE_SECONDS_MAX, lambda: next(
            (node for node in [mesh.primary()] if node and node is not old), None))
        mesh.await_served(heir, pitr.VOLUME)
        path = copy(heir, pitr.VOLUME, os.path.join(repository.scratch, "read"))
        with open(path, "rb") as file:
            findings.expect(file.read() in model.images(loss.moment_ns), "two regions and a witness have it too")


def measure_bare_metal(findings, options):
    options.seed = options.seed or int.from_bytes(os.urandom(4), "little")
    findings.say(f"seed {options.seed}")
    with measure.scratch(4 * BULK_MIB * MIB) as scratch:
        repository = Repository(options.bin, scratch)
        judge = Judge(options.rig, os.path.join(scratch, "judge"), LEDGER_MIB * MIB)
        relic = os.path.join(scratch, "relic")
        loss = live_and_die(findings, options, repository, judge, relic)
        model = pitr.Model(list(loss.writer.deeds))
        shut_out(findings, repository, relic)
        with NewCluster.of(options, repository) as mesh, measure.explained(mesh):
            refusals(findings, repository, mesh, loss)
            took, made = bring_back(findings, options, repository, mesh)
            differing, lost = served(findings, repository, mesh, loss, made, judge)
            again, lost_since, takeover = goes_on(findings, mesh, loss, judge, scratch)
            backs_up(findings, repository, mesh, loss, model)
            into_the_mesh(findings, repository, mesh, loss, model)
            old_node_returns(findings, mesh, relic, options)
            compare(findings, mesh.primary(), loss, scratch, "at the end")
        beside_a_witness(findings, options, repository, loss, model)
    findings.figures = {"volumes": len(made["volumes"]), "differing": differing + again,
                        "lost_flushed_before_shipped": lost, "lost_flushed_since": lost_since,
                        "restore_s": round(took, 2), "takeover_s": round(takeover, 2), "deeds": len(loss.writer.deeds)}


def main():
    parser = argparse.ArgumentParser(description="a mesh from nothing but its repository")
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rig", required=True)
    parser.add_argument("--seconds", type=int, default=4, help="how long the client writes before all is lost")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    return measure.run(RUN_SECONDS_MAX, lambda findings: measure_bare_metal(findings, options))


if __name__ == "__main__":
    sys.exit(main())
