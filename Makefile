# make run     install what is missing, build, start a collector with an agent inside
# make test    install what is missing, run every test: unit, end to end, browser
# make soak    the loss oracle for long: 200 kills of the agent and of the collector, 10,000 faults of the disk, and more
# make check   format, lints, licences, types, house rules
# make bench   all benches, ending in one table
#
# Set VERVET_DATA_DIR, VERVET_HTTP, VERVET_OTLP_GRPC, VERVET_OTLP_HTTP, VERVET_WATCH (globs of log files, separated
# by commas) for `make run`. CARGO_TARGET_DIR and VERVET_CACHE (default ~/.cache/vervet) say where things are built.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

export VERVET_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/vervet
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
PYTHON_ENV := $(VERVET_CACHE)/py
INSTALL := .ci/install
NPM_CI = npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

WEB_SOURCES := $(shell find dashboards/src dashboards/public dashboards/dev -type f 2>/dev/null) \
	$(wildcard dashboards/*.html dashboards/*.ts dashboards/*.json)

.DEFAULT_GOAL := help
.PHONY: help run test soak check bench web bench-tools test-tools run-tools

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

# ---- run

run: run-tools web
	@cargo build --release -p vervet-collector -p vervet-agent
	@exec "$(TARGET_DIR)/release/vervet-collector" standalone

run-tools:
	@$(INSTALL) compiler rust node

# ---- the web app, which the collector embeds

web: dashboards/dist/index.html

dashboards/dist/index.html: dashboards/node_modules/.installed $(WEB_SOURCES)
	@echo "building the web app"
	@npm --prefix dashboards run --silent build
	@touch $@

# npm's packages of a folder, as its lock file says.
%/node_modules/.installed: %/package-lock.json %/package.json
	@echo "installing the npm packages of $*"
	@cd $* && $(NPM_CI)
	@touch $@

# ---- test

test: test-tools web
	@VERVET_DUCKDB_PYTHON="$(PYTHON_ENV)/bin/python" .ci/tests

test-tools: run-tools
	@$(INSTALL) --or-skip chromium python git promtool prometheus-node-exporter
	@$(MAKE) --silent --no-print-directory tests/node-service/node_modules/.installed \
		|| $(INSTALL) skip "tests/node-service" "its npm packages cannot be installed"
	@$(MAKE) --silent --no-print-directory tests/browser/node_modules/.installed \
		|| $(INSTALL) skip "tests/browser" "its npm packages cannot be installed"
	@$(MAKE) --silent --no-print-directory "$(PYTHON_ENV)/.installed" \
		|| $(INSTALL) skip "DuckDB and Python" "the packages of tests/python-service cannot be installed"

$(PYTHON_ENV)/.installed: tests/python-service/requirements.txt
	@echo "installing the Python packages of tests/python-service into $(PYTHON_ENV)"
	@mkdir -p "$(PYTHON_ENV)"
	@python3 -m venv "$(PYTHON_ENV)"
	@"$(PYTHON_ENV)/bin/pip" install --quiet --only-binary :all: --disable-pip-version-check -r $<
	@touch "$@"

# ---- soak

# Needs not the web app.
soak: run-tools
	@cargo build -p vervet-agent -p vervet-collector --bins
	@VERVET_SOAK_KILLS="$(or $(VERVET_SOAK_KILLS),200)" \
		cargo test -p vervet-tests --test oracle -- --test-threads 2
	@VERVET_SOAK_KILLS="$(or $(VERVET_SOAK_KILLS),200)" VERVET_DUCKDB_PYTHON="$(PYTHON_ENV)/bin/python" \
		cargo test -p vervet-tests --test e2e killed_collector
	@VERVET_SOAK_ROWS="$(or $(VERVET_SOAK_ROWS),2000000)" VERVET_SOAK_SERIES="$(or $(VERVET_SOAK_SERIES),1000000)" \
		cargo test -p vervet-tests --test e2e small_memory -- --nocapture
	@VERVET_FAULT_CASES="$(or $(VERVET_FAULT_CASES),10000)" cargo test -p vervet-collector --lib faults:: -- --nocapture

# ---- check

check: run-tools web
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then echo cargo deny check; cargo deny check; \
		else echo "not checked: licences and advisories (cargo-deny is not installed)"; fi
	npm --prefix dashboards run --silent check
	cargo test --workspace --test tidy

# ---- bench

bench: run-tools web
	@cargo build --release -p vervet-collector -p vervet-agent -p vervet-benches
	@"$(TARGET_DIR)/release/vervet-benches"
