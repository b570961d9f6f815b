# Everything a developer runs. `make` lists it. CI runs `make ci` and nothing else.
.DEFAULT_GOAL := help
.PHONY: help setup build
BIN := .venv/bin
RUST := rust/Cargo.toml

help:   ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-8s %s\n", $$1, $$2}'
