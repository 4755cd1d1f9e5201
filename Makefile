# Every target sets up what it needs: a virtual environment in .venv, with the
# exact packages of tests/requirements/ and this project itself, editable.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUNS   := $(VENV)/.runs
READY  := $(VENV)/.ready

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RESOLVE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade --quiet
LOCK    := $(RESOLVE) pyproject.toml

# Microsoft's clients, each in an environment of its own; az takes longer than the others.
INTEROP := $(VENV)/interop
QUICK   := $(INTEROP)/azure-batch-15/.ready $(INTEROP)/azure-batch-14/.ready
AZ      := $(INTEROP)/azure-cli/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test lint format generate check-generated contract interop histories bench lock clean

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(RUNS) ## Start the emulator, move some tasks, ask for their counts
	@$(BIN)/taskcounts demo

test: $(READY) $(QUICK) lint check-generated ## Pass every check and test
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

lint: $(READY) ## Check style and types
	@$(BIN)/ruff format --check --quiet . || { echo "lint: run 'make format'"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

format: $(READY) ## Format the code
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

generate: $(READY) ## Write generated/ from spec/
	@$(BIN)/python spec/generate.py

check-generated: $(READY) ## Fail if generated/ is not what spec/ gives
	@$(BIN)/python spec/generate.py --check

contract: $(READY) ## Check an endpoint: ENDPOINT=https://… JOB=job-id, or the emulator
	@PYTHONPATH=tests $(BIN)/python -m contract $(if $(ENDPOINT),--endpoint '$(ENDPOINT)') $(if $(JOB),--job '$(JOB)') $(ARGS)

interop: $(READY) $(QUICK) $(AZ) ## Run Microsoft's clients against the emulator: ARGS='15.1 az', or all
	@PYTHONPATH=tests $(BIN)/python -m interop $(ARGS)

histories: $(READY) ## Judge waits for 1,000 random jobs: ARGS='--seed 5000', or ARGS='--only 7' tells one
	@PYTHONPATH=tests $(BIN)/python -m histories $(ARGS)

bench: $(READY) ## Measure the emulator as it fills: ARGS=1000000 tasks, or 200,000
	@PYTHONPATH=tests $(BIN)/python -m benchmarks $(ARGS)

lock: $(READY) ## Resolve tests/requirements/ anew from pyproject.toml
	@$(LOCK) --extra cli --extra emulator --group build --output-file tests/requirements/run.txt
	@$(LOCK) --all-extras --group dev --constraint tests/requirements/run.txt --output-file tests/requirements/all.txt
	@for client in azure-batch-15 azure-batch-14 azure-cli; do \
		$(RESOLVE) tests/requirements/interop/$$client.in --output-file tests/requirements/interop/$$client.txt || exit 1; \
	done

clean: ## Remove what the targets made
	rm -rf $(VENV) build dist reports .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

# Two steps, so that the demo waits only for what it runs.
$(RUNS): tests/requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "make: Python 3.11 or later is needed; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --require-hashes -r tests/requirements/run.txt
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(READY): tests/requirements/all.txt $(RUNS)
	@echo "Adding the tools for development (once) ..."
	@$(INSTALL) --require-hashes -r tests/requirements/all.txt
	@touch $@

# Without pip and without compiled files, which takes half of the time; pip itself is the project's.
$(INTEROP)/%/.ready: tests/requirements/interop/%.txt | $(RUNS)
	@echo "Setting up $(@D) (once) ..."
	@$(PYTHON) -m venv --clear --without-pip $(@D)
	@$(BIN)/python -m pip --python $(@D)/bin/python install --quiet --disable-pip-version-check --no-compile --require-hashes -r $<
	@touch $@
