# Isthmus. `make help` lists what can be made.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test test-fast test-root test-lab check bpf proto bench storm simulate clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install what is missing: Debian packages, .venv, the programs in .venv/bin, the BPF objects
	@tools/setup

demo: setup ## a two-node cluster, two containers, one ping by name
	@$(BIN)/python -m isthmus.lab.demo

test: setup check ## every test there is, real engines included
	@tools/test

test-fast: ## the tests that need no root, in seconds
	$(BIN)/pytest -q -n 2 -m "not root and not bpf and not lab and not simulation"

check: ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy
	$(BIN)/lint-imports

bpf: ## compile bpf/*.bpf.c
	$(BIN)/python -m isthmus.edge.kernel.build

proto: ## generate etcd's messages again, after a change of etcd.proto
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I src --python_out=src --grpc_python_out=src \
		--mypy_out=src --mypy_grpc_out=src src/isthmus/edge/store/_etcd/etcd.proto

bench: setup ## side by side: ours, the bare wire, Docker's overlay
	$(BIN)/python -m bench

storm: setup ## operations and disturbances on three nodes: N=10000 of them, SEED=7 to see the same again
	$(BIN)/python -m tests.lab.storm --operations $(or $(N),1000) $(if $(SEED),--seed $(SEED))

simulate: ## agents in simulated time: N=1000000 random schedules, or SEED=7 to see one
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--count $(or $(N),10000))

clean: ## remove what was built
	rm -rf .venv build dist src/isthmus/_bpf .mypy_cache .ruff_cache .pytest_cache .hypothesis
