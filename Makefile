# Everything that people and machines do to this project. Each target installs what it needs and lacks.

# Cargo's subcommands that are not part of Rust, pinned: what passes today passes tomorrow.
NEXTEST_VERSION := 0.9.143
DENY_VERSION := 0.20.2
FUZZ_VERSION := 0.13.2

# Seconds that `make fuzz` spends on each target.
FUZZ_SECONDS ?= 60
# What `make test` runs; `make test ARGS='-E "test(links)"'` narrows it down.
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo demo-down test soak lint bench fuzz guest nextest deny cargo-fuzz practice maestro-ng

help:
	@echo 'make demo       three real Docker Engines on this machine, a registry, and a sample shop deployed on them'
	@echo 'make demo-down  removes all of that'
	@echo 'make test       every test; those on real engines need root'
	@echo 'make soak       forty deployments in a row behind each kind of balancer, under load; half an hour'
	@echo 'make lint       format, clippy, documentation, licences and bans'
	@echo 'make bench      Maestro beside the fewest API calls that could do the same'
	@echo 'make guest      maestro-guest as one static file, to be added to images'
	@echo 'make fuzz       $(FUZZ_SECONDS) seconds of every fuzz target (FUZZ_SECONDS=...)'

demo:
	@scripts/demo

demo-down:
	@scripts/demo-down

# As root, real engines are there, and a test that does without them fails.
test: nextest practice maestro-ng
	[ "$$(id -u)" != 0 ] || export MAESTRO_REQUIRE_NETNS=1; \
	cargo nextest run --workspace --locked $(ARGS)

# Without a lost request; `make test` does a few of them.
soak: nextest practice
	MAESTRO_REQUIRE_NETNS=1 MAESTRO_CUTOVERS=20 cargo nextest run --profile soak -p maestro --test netns --locked -E 'test(cutover::)'

lint: deny
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked --quiet
	cargo deny --locked --log-level warn check licenses bans sources

bench: practice
	cargo build --release --locked --quiet -p maestro -p maestro-testkit --bins --example planning
	@scripts/bench $(ARGS)

# Static for this machine's own target, which has to be named: macros run here and are not.
guest:
	@host=$$(rustc -vV | sed -n 's/^host: //p') && \
	RUSTFLAGS='-C target-feature=+crt-static' \
	cargo build --profile guest --locked --quiet -p maestro-guest --target "$$host" && \
	ls -lh "$${CARGO_TARGET_DIR:-target}/$$host/guest/maestro-guest"

fuzz: cargo-fuzz
	@scripts/fuzz $(FUZZ_SECONDS)

# The tools. Cargo finds its subcommands in its own directory, on PATH or not.

nextest:
	@cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked --version $(NEXTEST_VERSION)

deny:
	@cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked --version $(DENY_VERSION)

cargo-fuzz:
	@cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked --version $(FUZZ_VERSION)

# Engines, a registry and an SSH server for the practice fleet. Without root they cannot run, and the tests that want
# them say so.
practice:
	@if [ "$$(id -u)" = 0 ]; then scripts/install-practice-fleet; \
	else echo 'make: not root: what needs real engines is left out' >&2; fi

# What Maestro is compared with, on the practice fleet's engines.
maestro-ng:
	@if [ "$$(id -u)" = 0 ]; then scripts/install-maestro-ng; fi
