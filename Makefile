# Everything a developer runs. `make` lists it. CI runs `make ci` and nothing else.
#
# `make run` and `make test` need only Python, Rust and make. Nothing is built twice: the tools
# depend on pyproject.toml, the extension on the Rust sources. The load tool below bench/ is built
# by its own targets and by `make ci` only.
.DEFAULT_GOAL := help
.PHONY: help setup run quick build format lint test slow bench-setup bench-lint bench-test
.PHONY: fuzz availability soak soak-clients coverage compare ci clean
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST := rust/Cargo.toml
EXTENSION := python/imapvm/_core.abi3.so
SOURCES := $(shell find rust/src -name '*.rs' 2>/dev/null) rust/Cargo.toml rust/Cargo.lock
ENGINE_RUST := bench/rust/Cargo.toml
ENGINE := bench/python/imapvm_bench/_engine.abi3.so
ENGINE_SOURCES := $(shell find bench/rust/src -name '*.rs' 2>/dev/null) bench/rust/Cargo.toml bench/rust/Cargo.lock
PROGRAMS := tests/interop/clients/programs
INTEROP := $(VENV)/interop
MATURIN = VIRTUAL_ENV="$(CURDIR)/$(VENV)" "$(CURDIR)/$(BIN)/maturin" develop -q
RELEASE = $(MATURIN) --release $(1) >$(CURDIR)/$(VENV)/build.log 2>&1 || { cat $(CURDIR)/$(VENV)/build.log >&2; exit 1; }
ARGS ?=

# Install the packages of one extra of pyproject.toml, without building imapvm again.
define extra
@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["$(1)"], sep="\n")' > $@.txt
@$(BIN)/pip install -q --disable-pip-version-check -r $@.txt
@touch $@
endef

FUZZ_SECONDS ?= 120
CLIENTS_SECONDS ?= 1800
CLIENTS_SEED ?= $(shell date +%s)
JOBS ?= auto

help:     ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

setup: $(EXTENSION) $(VENV)/.ready $(VENV)/.tools ## .venv with the tools and the package, optimised

run: $(EXTENSION) $(VENV)/.ready ## a server with a demonstration user and mail, on loopback, until Ctrl-C (ARGS='--imap-port 0')
	@$(BIN)/imapvm demo $(ARGS)

$(VENV)/.maturin: pyproject.toml
	@PYTHON='$(PYTHON)' .ci/ground
	@test -x $(BIN)/python || { echo 'making $(VENV)'; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/pip install -q --disable-pip-version-check 'maturin>=1.16,<2'
	@touch $@

# The package, editable, with its dependencies.
$(VENV)/.ready: $(VENV)/.maturin
	@echo 'compiling the extension and installing the package into $(VENV) (a minute or two, once)'
	@$(call RELEASE)
	@touch $(EXTENSION) $@

$(VENV)/.tools: $(VENV)/.ready
	@echo 'installing the tools of tests and lint into $(VENV)'
	$(call extra,dev)

$(VENV)/.interop: $(VENV)/.tools $(INTEROP)/imapflow/.ready $(INTEROP)/angus/.ready $(INTEROP)/goimap
	$(call extra,interop)

# Mail libraries in other languages, with pinned versions: a directory or program for each.
$(INTEROP)/imapflow/.ready: $(PROGRAMS)/imapflow/package.json $(PROGRAMS)/imapflow/package-lock.json
	@mkdir -p $(@D) && cp $^ $(@D)
	@cd $(@D) && npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

$(INTEROP)/angus/.ready: $(PROGRAMS)/angus/pom.xml
	@mkdir -p $(@D)
	@mvn -q -B -f $< org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DoutputDirectory=$(abspath $(@D))
	@touch $@

$(INTEROP)/goimap: $(wildcard $(PROGRAMS)/goimap/*)
	@mkdir -p $(@D)
	@cd $(PROGRAMS)/goimap && go build -o $(abspath $@) .

$(EXTENSION): $(SOURCES) | $(VENV)/.ready
	@test -f $@ && test -z "$$(find $(SOURCES) -newer $@)" || { \
	  PYTHON='$(PYTHON)' .ci/ground && echo 'compiling the extension' && \
	  { $(call RELEASE,--skip-install); }; }
	@touch $@

# imapvm-bench is a separate package: the same two steps, in its directory.
$(VENV)/.bench: bench/pyproject.toml | $(VENV)/.tools
	@echo 'compiling the load engine and installing imapvm-bench into $(VENV)'
	@cd bench && { $(call RELEASE); }
	@touch $(ENGINE) $@

$(ENGINE): $(ENGINE_SOURCES) | $(VENV)/.bench
	@test -f $@ && test -z "$$(find $(ENGINE_SOURCES) -newer $@)" || { \
	  PYTHON='$(PYTHON)' .ci/ground && echo 'compiling the load engine' && cd bench && { $(call RELEASE,--skip-install); }; }
	@touch $@

quick: setup ## format, lint, types and unit tests: under a minute
	$(BIN)/ruff format -q .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q -n $(JOBS)

build: $(VENV)/.tools ## compile the extension into python/imapvm quickly, not optimised
	$(MATURIN) --skip-install

format: $(VENV)/.tools ## rewrite Python and Rust in the project's format
	$(BIN)/ruff check -q --fix-only . ; $(BIN)/ruff format -q .
	cargo fmt --manifest-path $(RUST)
	cargo fmt --manifest-path $(ENGINE_RUST)

lint: setup ## format, lints, types, layers, and the stub against the binary
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	MYPYPATH=python $(BIN)/python -m mypy.stubtest imapvm._core
	cargo fmt --manifest-path $(RUST) --check
	cargo clippy -q --locked --manifest-path $(RUST) --all-targets -- -D warnings
	cargo clippy -q --locked --manifest-path $(RUST) --all-targets --features python -- -D warnings

test: setup ## tests of the package and the extension: under three minutes
	cargo test -q --locked --manifest-path $(RUST)
	$(BIN)/pytest -q -n $(JOBS)

slow: setup $(VENV)/.interop ## crash tests, other clients and servers, long properties
	$(BIN)/pytest -q -n $(JOBS) -m slow -o faulthandler_timeout=1200

bench-setup: setup $(ENGINE) ## imapvm-bench in .venv, optimised

bench-lint: bench-setup ## formats, types and stub of imapvm-bench
	MYPYPATH=python:bench/python $(BIN)/mypy -p imapvm_bench
	MYPYPATH=python:bench/python $(BIN)/python -m mypy.stubtest imapvm_bench._engine
	cargo fmt --manifest-path $(ENGINE_RUST) --check
	cargo clippy -q --locked --manifest-path $(ENGINE_RUST) --all-targets -- -D warnings
	cargo clippy -q --locked --manifest-path $(ENGINE_RUST) --all-targets --features python -- -D warnings

bench-test: bench-setup ## tests of imapvm-bench (ARGS='-m slow' for the long ones)
	cargo test -q --locked --manifest-path $(ENGINE_RUST)
	$(BIN)/pytest -q -n $(JOBS) bench/tests $(ARGS)

compare: bench-setup ## imapvm beside Dovecot, Cyrus, Courier and pymap: bench/RESULTS.md, alone on the machine (ARGS='--rounds 1')
	$(BIN)/python -m bench.table $(ARGS)

fuzz: setup ## FUZZ_SECONDS (two minutes) a target
	@cargo fuzz --version >/dev/null 2>&1 || { echo 'imapvm: cargo-fuzz is required (cargo install cargo-fuzz).' >&2; exit 1; }
	cd rust && for target in $$(RUSTC_BOOTSTRAP=1 cargo fuzz list); do \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run $$target -- -dict=fuzz/imap.dict -max_total_time=$(FUZZ_SECONDS) || exit 1; done

availability: setup ## worst delay of other sessions, and memory, during expensive commands (ARGS='rename --workers 0')
	$(BIN)/python -m tests.availability.table $(ARGS)

soak: soak-clients ## hours: random clients, long fuzzing, and the properties with many more examples
	$(MAKE) fuzz FUZZ_SECONDS=1800
	HYPOTHESIS_PROFILE=soak $(BIN)/pytest -q -m 'slow or not slow'

soak-clients: setup ## random clients: CLIENTS_SECONDS (half an hour) without workers, and as long with three; mixed clients
	CLIENTS_SECONDS=$(CLIENTS_SECONDS) CLIENTS_SEED=$(CLIENTS_SEED) \
	  $(BIN)/pytest -x -rP -m slow -o faulthandler_timeout=0 tests/server/test_random_clients.py
	HYPOTHESIS_PROFILE=soak MIXED_EXAMPLES=10000 MIXED_RUNS=200 MIXED_SEED=$(CLIENTS_SEED) \
	  $(BIN)/pytest -x -rP -m slow -o faulthandler_timeout=0 tests/commands/mixed tests/server/test_mixed_workers.py

coverage: setup ## branches that no test takes; for reading, not as a goal
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage report --skip-covered --sort=miss

ci: lint bench-lint test bench-test slow ## everything that must pass before a change lands
	$(BIN)/pytest -q -m slow bench/tests

clean: ## remove everything that was built here; var/ stays
	rm -rf $(VENV) rust/target bench/rust/target $(EXTENSION) $(ENGINE)
