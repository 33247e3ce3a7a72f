# `make demo` and `make test` work on a fresh machine: the first one that runs makes .venv and installs the pinned packages.
PYTHON3 ?= python3
VENV   := .venv
PYTHON := $(VENV)/bin/python
STAMP  := $(VENV)/installed
UV     := $(VENV)/bootstrap/bin/uv
LOCK   := requirements/lock.txt

.PHONY: demo test check bench clean install lock
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(STAMP): $(LOCK) pyproject.toml
	@$(PYTHON3) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "$(PYTHON3) is $$($(PYTHON3) --version); Modelyard needs Python 3.11, 3.12 or 3.13: name one with PYTHON3=python3.12"; exit 1; }
	@test -x $(PYTHON) || $(PYTHON3) -m venv $(VENV)
	@test -x $(VENV)/bootstrap/bin/uv || { $(PYTHON3) -m venv $(VENV)/bootstrap && $(VENV)/bootstrap/bin/pip install --quiet uv==0.13.9; }
	$(UV) pip install --python $(PYTHON) --require-hashes -r $(LOCK)
	$(UV) pip install --python $(PYTHON) --quiet --no-deps -e .
	@touch $@

install: $(STAMP) ## Make .venv with the pinned packages

demo: $(STAMP) ## Fetch, tune, score, serve and ground a real model on this machine; KEEP=1 leaves it running
	$(PYTHON) examples/python-helper/demo.py $(if $(KEEP),--keep)

test: $(STAMP) ## Run every test, the slow end-to-end ones too
	$(PYTHON) -m pytest $(ARGS)

check: $(STAMP) ## Formatting, lint, types, import contracts
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(STAMP) ## Measure the operator against a real API server, then the demo; each writes its section of docs/benchmarks.md
	$(PYTHON) bench/operator_speed.py
	$(PYTHON) bench/demo.py

lock: $(STAMP) ## Resolve the pins anew (needs the network)
	$(UV) pip compile pyproject.toml --extra laptop --group dev --python-version 3.11 --universal \
		--no-emit-index-url --no-header --no-annotate --generate-hashes -o $(LOCK)

clean: ## Stop the platform and remove everything that was made here
	-@test ! -x $(VENV)/bin/modelyard || $(VENV)/bin/modelyard down
	rm -rf .modelyard $(VENV) examples/*/data .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
