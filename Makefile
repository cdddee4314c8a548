# The two commands that matter are `make run` and `make test`. `make help` lists the others.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Where `make run` keeps its mail, the first of its ports, the password of its accounts, and how many
# accounts user1 … userN there are besides alice, bob and carol.
DATA ?= .cache/dev
PORT_BASE ?= 10000
PASSWORD ?= magpie
USERS ?= 3

# `make test STAGE=blackbox ARGS='-k idle'` runs a part; `make stages` lists the parts.
STAGE ?=
ARGS ?=

# How long `make fuzz` keeps drawing new inputs, in minutes.
MINUTES ?= 10

.PHONY: help
help: ## List these commands
	@echo "Magpie: a mail server. Commands:"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.PHONY: run
run: ## Install what is missing, build, and start a server on loopback
	@scripts/prepare.sh build
	@scripts/build.sh dev
	@exec target/debug/magpie dev --data "$(DATA)" --port-base "$(PORT_BASE)" --password "$(PASSWORD)" --users "$(USERS)"

.PHONY: test
test: ## Install what is missing and run every check and test
	@scripts/prepare.sh test
	@scripts/test.py $(if $(STAGE),--stage "$(STAGE)") -- $(ARGS)

.PHONY: stages
stages: ## List the stages of `make test`
	@scripts/test.py --list

.PHONY: build
build: ## Build the optimised binary, target/release/magpie
	@scripts/prepare.sh build
	@scripts/build.sh release

.PHONY: bench
bench: ## Measure speed, memory and disk, next to what the machine itself can do
	@scripts/prepare.sh build
	@scripts/bench.sh $(ARGS)

.PHONY: compare
compare: ## Measure the same load against Magpie and against Debian's Postfix, Dovecot and Cyrus (as root)
	@scripts/prepare.sh build
	@scripts/prepare.sh compare
	@scripts/build.sh release
	@cargo build --locked --quiet --release --package magpie-bench --bin load
	@bench/compare/run.py $(ARGS)

.PHONY: fuzz
fuzz: ## Feed parsers, sessions and models fresh random input for MINUTES (default 10)
	@scripts/prepare.sh build
	@scripts/fuzz.sh "$(MINUTES)"

.PHONY: fmt
fmt: ## Format the Rust and Python code
	@scripts/prepare.sh test
	@cargo fmt --all
	@.cache/venv/bin/ruff check --quiet --fix scripts tests bench
	@.cache/venv/bin/ruff format --quiet scripts tests bench

.PHONY: corpus
corpus: ## Fetch the mails that the tests deliver into .cache/corpus
	@scripts/prepare.sh test
	@scripts/corpus.py
