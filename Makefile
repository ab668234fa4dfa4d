# Everything installs itself into .venv from the hashed lock files; only Python 3.10 to 3.12 is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# a module's tests stay together: they share a warehouse, and some tell a story in their order
PARALLEL := --numprocesses 2 --dist loadfile --no-loadscope-reorder
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test test-all lint format bench lock clean
.PHONY: metrics-exporter monitoring-up monitoring-down
COMPOSE := docker compose --file ops/compose/compose.yml

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/runtime ## install Rampart into .venv

setup-dev: $(VENV)/dev ## install Rampart and what its tests need into .venv

demo: $(VENV)/runtime ## run the main job on sample data and an embedded Postgres
	@$(BIN)/rampart demo

metrics-exporter: $(VENV)/runtime ## serve /metrics, /health and the page on this machine
	@$(BIN)/rampart serve

monitoring-up: ## Postgres, rampart serve, Prometheus, Alertmanager and Grafana in containers
	$(COMPOSE) up --build --detach --wait

monitoring-down: ## stop them; their data stay
	$(COMPOSE) down

test: $(VENV)/dev lint ## lint, then every test but the slow ones
	$(BIN)/python -m pytest -m "not slow" -q $(PARALLEL)

test-all: $(VENV)/dev lint ## every test, the slow ones too
	$(BIN)/python -m pytest -q $(PARALLEL)

lint: $(VENV)/dev ## ruff, mypy, import order and sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes 2 models examples/*/models

format: $(VENV)/dev ## let ruff and sqlfluff put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix models

bench: $(VENV)/dev ## the benchmarks behind every claim about speed
	$(BIN)/python -m bench

lock: ## resolve both lock files anew (needs uv on the PATH)
	uv pip compile --universal --python-version 3.10 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --quiet pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.10 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --quiet --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove .venv and everything that was built; the embedded database stays
	rm -rf $(VENV) target dbt_packages logs build *.egg-info .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
		sys.exit(0 if (3, 10) <= v <= (3, 12) else "Python 3.10 to 3.12 is needed, this is %d.%d: make PYTHON=python3.11 ..." % v)'
	@$(PYTHON) -m venv $(VENV)

# The lock is complete, so pip resolves nothing; every file is held against its hash.
$(VENV)/runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@test -f $(VENV)/dev || echo "installing into $(VENV), about half a minute ..."
	@test -f $(VENV)/dev || $(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV), about half a minute ..."
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@ $(VENV)/runtime
