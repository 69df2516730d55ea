# The only commands anyone needs. They want make and a Python of at least 3.10; the rest is fetched from the
# package index into .venv, and everything the stack writes goes below .backstop (or BACKSTOP_HOME).
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
.PHONY: help venv up down status demo wipe test test-unit test-deps test-long compose-test trials year lint audit format lock clean

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
STAMP := $(VENV)/.installed
# Three workers by default, which wait for servers half of their time: each runs its own PostgreSQL and S3.
# `make test JOBS=0` runs in one process.
JOBS ?= 3
PYTEST := $(PY) -m pytest
export PYTHONPATH := plugins

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP) ## Create .venv with everything pinned and checked by hash

$(STAMP): requirements-dev.txt requirements-bootstrap.txt scripts/bootstrap.sh
	@sh scripts/bootstrap.sh $(VENV)
	@touch $@

up: $(STAMP) ## Start PostgreSQL, S3 and Airflow on loopback
	@$(PY) -m embedded up

down: $(STAMP) ## Stop them; what they hold stays
	@$(PY) -m embedded down

status: $(STAMP) ## Show addresses, process ids, health and memory
	@$(PY) -m embedded status

demo: $(STAMP) ## Back up, prove, break and restore a sample database, through Airflow
	@$(PY) -m embedded.demo

wipe: $(STAMP) ## Stop the stack and delete its state: databases, backups, keys
	@$(PY) -m embedded wipe

test: $(STAMP) ## Run every test but the long ones; ends with what was skipped and why
	$(PYTEST) -m "not long and not compose" -n $(JOBS) --dist loadgroup -rs $(ARGS)

test-unit: $(STAMP) ## Run the tests that need no server
	$(PYTEST) -m "not (integration or system or airflow or browser or long or compose)" -q $(ARGS)

test-deps: ## Install, as root on Debian or Ubuntu, the packages some tests want
	@sh scripts/test-deps.sh

test-long: $(STAMP) ## Run the long tests, some 40 minutes; an interrupted run goes on where it was
	$(PYTEST) -m long -n $(JOBS) --dist loadgroup -rs $(ARGS)
	BACKSTOP_EXAMPLES=5000 $(PYTEST) tests/attacks/test_fuzzing.py $(ARGS)

# Once with each executor; a quarter of an hour or more each. They are long, so CI leaves them to whoever asks.
compose-test: $(STAMP) ## Bring docker-compose.yaml up from nothing, hurt it, and take it down again; needs an engine
	$(PYTEST) tests/compose -m compose -p no:randomly -rs -s $(ARGS)

# One at a time: what is lost is measured in seconds, and another trial's servers would be in the way.
N ?= 50
trials: $(STAMP) ## Kill servers and receivers under load, N=50 times, and recover; test-long includes it
	BACKSTOP_TRIALS=$(N) $(PYTEST) tests/long/test_disasters.py -m long -rs $(ARGS)

SEED ?= 1
year: $(STAMP) ## Live through a simulated year, SEED=1, and judge each day
	@$(PY) -m tests.simulation $(SEED) $(ARGS)

lint: $(STAMP) ## Check style, safety, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --severity-level medium --recursive plugins dags embedded scripts
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(STAMP) ## Ask the package index for what is known against what Backstop runs with
	$(PY) scripts/audit.py

format: $(STAMP) ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(STAMP) ## Pin every dependency anew, with hashes, for Python 3.10 and later
	$(PY) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.10 --no-header \
		--no-emit-index-url --no-emit-find-links requirements.in --output-file requirements.txt
	$(PY) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.10 --no-header \
		--no-emit-index-url --no-emit-find-links requirements-dev.in --output-file requirements-dev.txt
	$(PY) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.10 --no-header \
		--no-emit-index-url --no-emit-find-links requirements-compose.in --output-file requirements-compose.txt
	$(PY) scripts/check_lock.py

clean: ## Remove .venv and caches; the state of the stack stays (see wipe)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find . -name __pycache__ -type d -not -path './.backstop/*' -prune -exec rm -rf {} +
