# The doors of the project. Each target says what it needs and how long it takes
# on two cores.

CARGO ?= cargo
# Rounds for each engine of the power-cut test; 3 in `make test`.
ROUNDS ?= 20
# Simulated clusters of `make simulate`, each from the next seed, for so many minutes.
SEED ?= 1
MINUTES ?= 10
# Clusters of the end-to-end suite at the same time: they wait more than they compute.
CLUSTERS ?= 4
# What Pebble is asked for in `make test`: all that depends on the CA. `make end-to-end` takes
# the whole suite.
OF_THE_CA = certificate:: challenge:: crash:: failover:: fence:: secrets::
# What `make test` and CI build, they build once: all crates together, and the programs with
# their failpoints, which the end-to-end tests are told of instead of building their own.
TOGETHER = --locked --workspace --features node/failpoints
PROGRAMS_BUILT = HOSTQUORUM_E2E_BINARIES="$${CARGO_TARGET_DIR:-$(CURDIR)/target}/debug"
# Seconds for each target of `make fuzz`.
SECONDS ?= 60
# Most that a release's package may have: a fifth more than it had when this was written.
PACKAGE_BYTES ?= 45000000
# How often `make faults` does what it does; a few times in `make test`.
KILLS ?= 200
POWER_CUTS ?= 50
PARTITIONS ?= 10

.PHONY: help dev check build test format lint tidy end-to-end crash-matrix renewals power-cut simulate fresh-seeds teeth some-teeth slices fuzz faults peers soak schedule figures bench deploy-test deploy-teeth package package-test package-teeth static image clean-dev

help: ## This list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

dev: build ## Three nodes, a development CA and an origin on loopback, until Ctrl-C.
	$(CARGO) run --locked --package node --bin hostquorumd -- dev

check: build ## The same tour, verified, with a leader killed; ends by itself.
	$(CARGO) run --locked --package node --bin hostquorumd -- dev --check

build: ## Both programs, for development.
	$(CARGO) build --locked --package node --package cli

test: ## All that must hold before a merge; installs Pebble and moto if they are missing.
	scripts/install-test-tools.sh
	scripts/install-aws-tools.sh
	$(MAKE) format lint
	$(PROGRAMS_BUILT) $(CARGO) test $(TOGETHER) --exclude e2e
	$(PROGRAMS_BUILT) $(CARGO) test $(TOGETHER) --test e2e -- --test-threads $(CLUSTERS)
	$(PROGRAMS_BUILT) HOSTQUORUM_E2E_CA=pebble $(CARGO) test $(TOGETHER) --test e2e -- --test-threads $(CLUSTERS) $(OF_THE_CA)
	$(PROGRAMS_BUILT) $(CARGO) test $(TOGETHER) --test peers echo

slices: ## What CI runs besides: a little of the long suites, with what `make test` built. Needs root.
	scripts/fuzz.sh 5
	$(PROGRAMS_BUILT) $(CARGO) test $(TOGETHER) --test faults
	mkdir -p target/simulation
	target/debug/simulation --seed $$(date +%s) --minutes 6 --log-dir target/simulation
	PROFILE=dev SOME=1 scripts/teeth.sh some

format:
	$(CARGO) fmt --all -- --check

lint:
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings

tidy: ## What the tree must look like; part of `make test`.
	$(CARGO) tidy

end-to-end: ## Real processes, the whole suite against each of both CAs.
	scripts/install-test-tools.sh
	$(CARGO) test --locked --workspace --test e2e -- --test-threads $(CLUSTERS)
	HOSTQUORUM_E2E_CA=pebble $(CARGO) test --locked --workspace --test e2e -- --test-threads $(CLUSTERS)

crash-matrix: ## A leader killed at each point of an order and each two; forty minutes.
	scripts/install-test-tools.sh
	HOSTQUORUM_CRASH_MATRIX=all $(CARGO) test --locked --workspace --test e2e crash:: -- --nocapture
	HOSTQUORUM_CRASH_MATRIX=all HOSTQUORUM_E2E_CA=pebble $(CARGO) test --locked --workspace --test e2e crash:: -- --nocapture
	$(CARGO) test --locked --package leader --features failpoints

renewals: ## Certificates of a minute under load, ten minutes long.
	HOSTQUORUM_RENEWAL_MINUTES=10 $(CARGO) test --locked --workspace --test e2e renewal:: -- --nocapture

power-cut: ## File systems shut down under a writer; ROUNDS=20. Needs root.
	POWER_CUT_ROUNDS=$(ROUNDS) $(CARGO) test --locked --package consensus --test power_cut -- --nocapture

simulate: ## Whole clusters on virtual time; SEED=1 MINUTES=10. A failing one leaves its events and a scenario.
	mkdir -p target/simulation
	$(CARGO) simulate --seed $(SEED) --minutes $(MINUTES) --log-dir target/simulation

fresh-seeds: ## What no run has seen yet: simulation from a seed that the clock gives; MINUTES=10.
	mkdir -p target/simulation
	$(CARGO) simulate --seed $$(date +%s) --minutes $(MINUTES) --log-dir target/simulation

teeth: ## Bugs planted in a copy of the tree: seeds until the simulation notices each. An hour and a half.
	scripts/teeth.sh

some-teeth: ## SOME=2 of them, others in each hour.
	scripts/teeth.sh some

fuzz: ## What strangers, peers and CAs can send, by libFuzzer; SECONDS=60 for each target. Needs a C++ compiler.
	scripts/fuzz.sh $(SECONDS)

faults: ## Real nodes killed, paused, cut off, without power, disk, clock or descriptors; an hour. Needs root.
	scripts/install-test-tools.sh
	HOSTQUORUM_KILLS=$(KILLS) HOSTQUORUM_POWER_CUTS=$(POWER_CUTS) HOSTQUORUM_PARTITIONS=$(PARTITIONS) \
		$(CARGO) test --locked --package e2e --test faults -- --nocapture --test-threads=1
	$(CARGO) test --locked --package e2e --test e2e -- --nocapture --test-threads=1 disk:: failover:: restart::
	$(CARGO) run --locked --package harness --bin figures -- failover 50
	$(CARGO) run --locked --package harness --bin figures -- no-quorum 10

peers: ## Hostile framings on their way to seven real origins, and what real clients make of the edge; five minutes.
	scripts/install-peers.sh
	$(CARGO) test --locked --workspace --test peers -- --nocapture --test-threads 2

soak: build ## Traffic of all kinds, renewals and changes; MINUTES=10. What fails, and what grows.
	$(CARGO) run --locked --package harness --bin figures -- soak $(MINUTES)

schedule: ## A takeover with a million names, weeks of 100,000 orders under the CA's limits; 5 minutes.
	HOSTQUORUM_HOSTNAMES=1000000 $(CARGO) test --locked --package leader --lib scheduler::tests::size -- --nocapture
	HOSTQUORUM_ORDERS=100000 $(CARGO) test --locked --package leader --lib scheduler::tests::year -- --nocapture

figures: build ## Onboarding, bursts, failover and a hung disk, measured on real processes.
	scripts/install-test-tools.sh
	$(CARGO) run --locked --package harness --bin figures -- onboarding
	$(CARGO) run --locked --package harness --bin figures -- issuance-burst 200
	$(CARGO) run --locked --package harness --bin figures -- issuance-burst 1000
	$(CARGO) run --locked --package harness --bin figures -- takeover-burst 100
	$(CARGO) run --locked --package harness --bin figures -- failover 30
	$(CARGO) run --locked --package harness --bin figures -- hung-disk
	$(CARGO) run --locked --package harness --bin figures -- rolling-restart
	$(CARGO) run --locked --package harness --bin figures -- restore 10000

bench: ## The edge beside nginx, HAProxy and others, by CPU time; writes docs/performance.md; ten minutes.
	scripts/install-bench-tools.sh
	$(CARGO) build --locked --release --package node --package bench --bins
	target/release/bench compare --write docs/performance.md

deploy-test: ## deploy/ checked without AWS: Terraform, units, alerts; a minute. Needs Terraform or OpenTofu.
	scripts/install-deploy-tools.sh
	scripts/deploy-test.sh

deploy-teeth: ## Mistakes planted in a copy of deploy/: which check catches each; four minutes.
	scripts/install-deploy-tools.sh
	scripts/deploy-teeth.sh

package: ## The Debian package of this tree for this machine's architecture, into target/debian; twelve minutes.
	scripts/install-package-tools.sh
	$(CARGO) build --locked --release --package node --package cli
	rm -f target/debian/hostquorum_*.deb
	scripts/package.sh target/release target/debian
	scripts/package-test.sh target/debian/hostquorum_*.deb $(PACKAGE_BYTES)

package-test: ## The same with programs as `make test` leaves them: a minute, and nothing is built. Needs root.
	scripts/install-package-tools.sh
	scripts/package-test.sh

package-teeth: ## Mistakes planted in a copy of what makes the package: which check catches each; ten minutes. Needs root.
	scripts/install-package-tools.sh
	scripts/package-teeth.sh

static: ## Both programs without any library, into target/static, and run in an empty root. Needs root.
	scripts/static.sh

image: static ## An image that holds nothing but them, as an OCI archive in target/image. Needs root.
	scripts/install-package-tools.sh
	scripts/image.sh target/static target/image

clean-dev: ## Forget the cluster of `make dev`.
	rm -rf dev-data
