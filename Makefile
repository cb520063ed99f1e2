# Targets are what README and CI call; each installs or builds what it needs itself.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
JOBS ?= 2
CHECK_IMPORTS := --explicit-target-dependency-import-check error

# What building and testing need from Debian; heavier test rigs will get a target of their own.
DEBIAN := curl e2fsprogs fio gcc iproute2 libnbd-bin libnbd-dev libssl-dev make nbdkit nftables openssl \
	pkg-config python3 python3-libnbd qemu-utils sqlite3

.PHONY: deps build test lint format proto

deps:
	@missing=""; for p in $(DEBIAN); do \
		dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
	done; \
	if [ -n "$$missing" ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	fi

build: deps
	swift build --jobs $(JOBS) $(CHECK_IMPORTS)

# The rig's tools are tested first: whoever judges the rest must be right.
test: deps
	$(MAKE) -C Tests/Rig test
	swift build --build-tests --jobs $(JOBS) $(CHECK_IMPORTS)
	swift test --skip-build

lint:
	swift format lint --strict --parallel --recursive Sources Tests Package.swift

format:
	swift format --in-place --parallel --recursive Sources Tests Package.swift

# Needs protobuf-compiler; the generated code is committed, so that building does not.
proto:
	swift build --product protoc-gen-swift
	protoc --plugin=protoc-gen-swift=.build/debug/protoc-gen-swift --proto_path=Protos \
		--swift_out=Visibility=Internal,UseAccessLevelOnImports=true:Sources/Wire Protos/decisions.proto
