# Targets are what README and CI call; each installs or builds what it needs itself.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
JOBS ?= 2
CHECK_IMPORTS := --explicit-target-dependency-import-check error

# What building, testing and measuring need from Debian.
DEBIAN := binutils curl e2fsprogs fio fuse3 gcc iproute2 libargon2-dev liblz4-dev libnbd-bin libnbd-dev libssl-dev make nbdkit \
	nftables openssl pkg-config python3 python3-libnbd qemu-utils sqlite3 zlib1g-dev
# For these processors alone; others do without it.
DEBIAN += $(if $(filter amd64,$(shell dpkg --print-architecture)),libipsec-mb-dev)
# What the rigs need that stand against more than our own programs; the rest comes from PyPI (Tests/Rig/requirements.txt).
DEBIAN_RIGS := python3-venv
# The peers which our figures stand beside.
DEBIAN_BENCH := borgbackup borgbackup2 etcd-server golang-etcd-server-dev golang-go restic serf

# How many takeovers; how long a mesh is watched or tortured in each shape (three, witness or both).
N ?= 50
MINUTES ?= 10
SHAPE ?= both
# How many seeds are simulated: one where one is named. `torture` draws one when none is named.
SEEDS ?= $(if $(SEED),1,100)
# In how many seeds a planted bug is looked for at most.
SEEDS_MAX ?= 200
# How many times a volume is restored at.
POINTS ?= 1000
# In how many objects a byte turns.
OBJECTS ?= 500
# How many volumes get a past.
HISTORIES ?= 200
# How large a repository is whose key is rotated.
GIB ?= 10
# How many disk operations the power is cut at.
OPERATIONS ?= 10000
# Tests of what has threads.
SHELLS ?= ^(Backup|Control|Copies|Driver|Holdfast|Journal|KeyServices|Launch|Mounts|ObjectStores|Transport|Volumes)Tests
# Files that measure nothing go to memory or TMPDIR; what the agents write goes to TMPDIR.
MEASURE := PYTHONDONTWRITEBYTECODE=1 python3
EXECUTABLES := --bin .build/release
RIG := --rig .build-rig

# Installs what is missing of the packages named in $(1), and lets none of them start a daemon.
define install
missing=""; for p in $(1); do \
	dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
done; \
if [ -n "$$missing" ]; then \
	policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then \
		trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' > $$policy; chmod +x $$policy; \
	fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
fi
endef

.PHONY: deps deps-rigs deps-bench build release rig test scenarios test-thread lint format proto demo takeover takeover-idle witness \
	full-disk torture backup mount pace snapshot demo-bare-metal backup-killpoints bitrot rehearse rotation schedule histories pitr wal-lag s3 resync members upgrade rot differ bench-journal bench-gossip bench-backup simulate mutants powercut \
	fuzz-build fuzz corpus

deps:
	@$(call install,$(DEBIAN))

# In a folder of its own: nothing of the system's Python changes.
deps-rigs: deps
	@$(call install,$(DEBIAN_RIGS))
	@test -x .build-rigs/bin/python || python3 -m venv .build-rigs
	@.build-rigs/bin/pip install --quiet --disable-pip-version-check --requirement Tests/Rig/requirements.txt

deps-bench: deps
	@$(call install,$(DEBIAN_BENCH))

build: deps
	swift build --jobs $(JOBS) $(CHECK_IMPORTS)

# What is measured is what ships.
release: deps
	# Statically linked: a host needs no Swift, and the witness stays small.
	swift build -c release --static-swift-stdlib --jobs $(JOBS) $(CHECK_IMPORTS)

rig: deps
	$(MAKE) -C Tests/Rig

# A disk outlives its region: three regions, then two and a witness.
demo: release rig
	$(MEASURE) Tests/Rig/demo.py $(EXECUTABLES) $(RIG)

# From a fault to the first flushed write in another region; needs root for its network namespaces.
takeover: release rig
	$(MEASURE) Tests/Rig/takeover.py $(EXECUTABLES) $(RIG) --runs $(N) --shape $(SHAPE)

# Nothing is wrong but a full load: nobody may stand for election.
takeover-idle: release rig
	$(MEASURE) Tests/Rig/steady.py $(EXECUTABLES) --minutes $(MINUTES) --shape $(SHAPE)

# A whole mesh in one thread, with faults: SEEDS of them, fresh ones for HOURS, or the one of SEED with its story.
simulate: release
	.build/release/simulate $(if $(HOURS),--hours $(HOURS),--seeds $(SEEDS)) \
		$(if $(SEED),--seed $(SEED) $(if $(HOURS),,--story)) \
		$(if $(filter-out both,$(SHAPE)),--shape $(SHAPE)) $(if $(MUTANT),--mutant $(MUTANT)) $(if $(SPELLS),--spells $(SPELLS)) \
		$(if $(FAULTS),--faults $(FAULTS)) $(if $(LEASE_MS),--lease-ms $(LEASE_MS))

# Cuts the power at every write and sync of a script of at least OPERATIONS, and lets each state recover.
powercut: release
	.build/release/simulate powercut --operations $(OPERATIONS) $(if $(SEED),--seed $(SEED))

# Every bug that can be planted is planted, and has to be found: in a build of its own, for what ships has none.
mutants: deps
	swift build -c release -Xswiftc -DPLANTED --scratch-path .build-planted --jobs $(JOBS) --product simulate
	$(MEASURE) Tests/Rig/mutants.py --simulate .build-planted/release/simulate --seeds $(SEEDS_MAX) --jobs $(JOBS) \
		$(if $(MUTANT),--mutant $(MUTANT))

# libFuzzer and its coverage of what is fuzzed; ADDRESS=1 adds the address sanitizer, at half the speed.
FUZZ_BUILD := .build-fuzz$(if $(ADDRESS),-address)
COMMA := ,
FUZZ_SANITIZE := fuzzer$(if $(ADDRESS),$(COMMA)address)
FUZZ := $(MEASURE) Tests/Rig/fuzz.py --fuzz $(FUZZ_BUILD)/release/fuzz --corpus Tests/Corpus --work $(FUZZ_BUILD) \
	--jobs $(JOBS) $(if $(ADDRESS),--address) $(if $(TARGET),--target $(TARGET))

fuzz-build: deps
	# gold can't link what libFuzzer's coverage makes.
	FUZZ_SANITIZE=$(FUZZ_SANITIZE) SWIFT_EXEC=$(CURDIR)/Tests/Rig/covered/swiftc CC=$(CURDIR)/Tests/Rig/covered/clang \
		swift build -c release --scratch-path $(FUZZ_BUILD) --product fuzz --jobs $(JOBS) \
		-Xswiftc -use-ld=lld -Xcc -DFUZZER

# Every decoder under hostile bytes: SECONDS of each target, or EXECUTIONS; TARGET names one.
fuzz: fuzz-build
	$(FUZZ) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(EXECUTIONS),--executions $(EXECUTIONS))

# Takes what fuzzing learnt on this machine into Tests/Corpus: as few files as reach as much.
corpus: fuzz-build
	$(FUZZ) --merge

# What the witness costs, and what it hands over; needs root for its network namespaces.
witness: release rig
	$(MEASURE) Tests/Rig/witness.py $(EXECUTABLES) $(RIG)

# Full disks, of the primary and of a follower; needs root for its small file systems.
full-disk: release rig
	$(MEASURE) Tests/Rig/full_disk.py $(EXECUTABLES) $(RIG)

# A region is dead while more is written than the log keeps for it, comes back, and takes over.
resync: release rig
	$(MEASURE) Tests/Rig/resync.py $(EXECUTABLES) $(RIG) --shape $(SHAPE)

# Regions and witnesses that are lost for good are replaced by fresh nodes, under load, and the newcomers take over.
members: release rig
	$(MEASURE) Tests/Rig/members.py $(EXECUTABLES) $(RIG) --shape $(SHAPE)

# A mesh of the previous release gets this one, node by node, under load; PREVIOUS names a folder with its programs, which
# are built from the commit in Tests/Rig/previous_release otherwise.
upgrade: release rig
	$(MEASURE) Tests/Rig/upgrade.py $(EXECUTABLES) $(RIG) --shape $(SHAPE) --jobs $(JOBS) $(if $(PREVIOUS),--previous $(PREVIOUS))

# A region whose log rots while it is down; and images whose bytes turn under a mesh that serves them.
rot: release rig
	$(MEASURE) Tests/Rig/rot.py $(EXECUTABLES) $(RIG)
	$(MEASURE) Tests/Rig/rot_images.py $(EXECUTABLES) $(RIG) --mib 256

# A disk that loses blocks and their sums together: only the other regions can tell.
differ: release rig
	$(MEASURE) Tests/Rig/differ.py $(EXECUTABLES) $(RIG)

# Backups of a mesh under load, of one whose agent is killed, and behind a takeover, and what comes back of them.
backup: release rig
	$(MEASURE) Tests/Rig/backup.py $(EXECUTABLES) $(RIG)

# A backup looked into over NBD, without a restore; by Debian's python, which has Debian's libnbd.
mount: release
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 Tests/Rig/mount.py $(EXECUTABLES) $(if $(MIB),--mib $(MIB))

# Rates that backups and restores keep to, and what they tell of themselves meanwhile.
pace: release rig
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 Tests/Rig/pace.py $(EXECUTABLES) $(RIG)

# Volumes as they were, under load, on a primary and a replica; by Debian's python as well.
snapshot: release
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 Tests/Rig/snapshot.py $(EXECUTABLES)

# One byte turns in each of OBJECTS objects, in one of two stores.
bitrot: release rig
	$(MEASURE) Tests/Rig/bitrot.py $(EXECUTABLES) $(RIG) --objects $(OBJECTS) $(if $(SEED),--seed $(SEED))

# Restores for a trial, checked by e2fsck, thrown away.
rehearse: release
	$(MEASURE) Tests/Rig/rehearse.py $(EXECUTABLES)

# Backups that the mesh makes by its schedule, while whoever makes one is killed.
schedule: release
	$(MEASURE) Tests/Rig/schedule.py $(EXECUTABLES)

# Two tenants of one repository: what a rotation writes, and whom an erasure concerns.
rotation: release
	$(MEASURE) Tests/Rig/rotation.py $(EXECUTABLES) --gib $(GIB)

# HISTORIES volumes with trims, growth and power cuts, backed up as they changed and whole; by Debian's python,
# which has Debian's libnbd.
histories: release rig
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 Tests/Rig/histories.py $(EXECUTABLES) $(RIG) --histories $(HISTORIES) \
		$(if $(SEED),--seed $(SEED))

# All regions are lost, and come back from the repository and the spare key alone.
demo-bare-metal: release rig
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 Tests/Rig/bare_metal.py $(EXECUTABLES) $(RIG) $(if $(SEED),--seed $(SEED))

# A volume at POINTS times drawn at random, over three timelines, restored from the shipped log and compared with what was written.
pitr: release
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 Tests/Rig/pitr.py $(EXECUTABLES) --points $(POINTS) $(if $(SEED),--seed $(SEED))

# How long writes take to each replica's disk, and how old what is missing in the repository gets, with a primary killed.
wal-lag: release
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 Tests/Rig/wal_lag.py $(EXECUTABLES) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(EVERY),--every $(EVERY))

# Who backs up, collects and rotates keys is killed behind each write; a writer and a collector take turns in every order.
backup-killpoints: deps
	swift build --build-tests --jobs $(JOBS) $(CHECK_IMPORTS)
	HOLDFAST_ORDERS=all swift test --skip-build --filter '^BackupTests.(KillPoint|Interleaving)Tests' | tee .build/killpoints.log
	@grep -o '^figures: .*' .build/killpoints.log | tail -1

# Repositories in S3-compatible services (SeaweedFS, moto), and what goes wrong with such.
s3: deps-rigs release rig
	swift build --build-tests --jobs $(JOBS) $(CHECK_IMPORTS)
	PYTHONDONTWRITEBYTECODE=1 .build-rigs/bin/python Tests/Rig/s3.py $(EXECUTABLES) $(RIG) --contract

# Faults drawn from a seed at a mesh under load, MINUTES in each shape; needs root for namespaces and small file systems.
torture: release rig
	$(MEASURE) Tests/Rig/torture.py $(EXECUTABLES) $(RIG) --minutes $(MINUTES) --shape $(SHAPE) $(if $(SEED),--seed $(SEED))

# The replicated log beside etcd's, and a volume beside the raw disk.
bench-journal: deps-bench release rig
	$(MAKE) -C Benchmarks
	$(MEASURE) Benchmarks/journal.py $(EXECUTABLES) $(RIG)

# Detection of deaths, simulated in meshes of 3 to 1,000 and by real agents beside serf's.
bench-gossip: deps-bench release
	$(MEASURE) Benchmarks/gossip.py $(EXECUTABLES)

# Backups of a running mesh beside restic's and borg's: four images of MIB each.
bench-backup: deps-bench deps-rigs release
	PYTHONDONTWRITEBYTECODE=1 .build-rigs/bin/python Benchmarks/backup.py $(EXECUTABLES) $(if $(MIB),--mib $(MIB)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(SEED),--seed $(SEED))

# The rig's tools are tested first: whoever judges the rest must be right.
test: deps
	$(MAKE) -C Tests/Rig test
	swift build --build-tests --jobs $(JOBS) $(CHECK_IMPORTS)
	swift test --skip-build
	$(MEASURE) Tests/Rig/resync.py --bin .build/debug $(RIG) --mib 160 --rate 40
	$(MEASURE) Tests/Rig/members.py --bin .build/debug $(RIG) --mib 32
	$(MEASURE) Tests/Rig/rot.py --bin .build/debug $(RIG)
	$(MEASURE) Tests/Rig/rot_images.py --bin .build/debug $(RIG)
	$(MEASURE) Tests/Rig/differ.py --bin .build/debug $(RIG)
	$(MEASURE) Tests/Rig/schedule.py --bin .build/debug
	$(MEASURE) Tests/Rig/rehearse.py --bin .build/debug
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 Tests/Rig/histories.py --bin .build/debug $(RIG) --histories 20

# Writes the scenarios anew, with what comes of them now: read the difference.
scenarios:
	HOLDFAST_RECORD=1 swift test --filter "(Raft|Gossip)Tests.*Scenarios of"
	git diff --stat Tests/Scenarios

# The modules that have threads, under the thread sanitizer; in a folder of its own.
test-thread: deps
	swift build --build-tests --sanitize thread --scratch-path .build-tsan --jobs $(JOBS)
	swift test --skip-build --sanitize thread --scratch-path .build-tsan --no-parallel --filter '$(SHELLS)'

lint:
	swift format lint --strict --parallel --recursive Sources Tests Package.swift

format:
	swift format --in-place --parallel --recursive Sources Tests Package.swift

# Needs protobuf-compiler; the generated code is committed, so that building does not.
proto:
	swift build --product protoc-gen-swift
	protoc --plugin=protoc-gen-swift=.build/debug/protoc-gen-swift --proto_path=Protos \
		--swift_out=Visibility=Internal,UseAccessLevelOnImports=true:Sources/Wire Protos/decisions.proto
