# Every target sets up what it needs: a virtual environment in .venv, with the
# exact packages of tests/requirements/ and this project itself, editable.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUNS   := $(VENV)/.runs
READY  := $(VENV)/.ready

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RESOLVE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet \
	$(if $(UPGRADE),--upgrade)
LOCK    := $(RESOLVE) pyproject.toml

# Microsoft's clients, each in an environment of its own; az takes longer than the others.
INTEROP := $(VENV)/interop
SDKS    := $(INTEROP)/azure-batch-15/.ready $(INTEROP)/azure-batch-14/.ready
OLD     := $(patsubst %,$(INTEROP)/azure-batch-%/.ready,13 10 9 8 5)
AZ      := $(INTEROP)/azure-cli/.ready

# What the benchmark compares beside them, each likewise; ours have this project as others install it.
BENCH   := $(VENV)/bench
PEERS   := $(patsubst %,$(BENCH)/%/.ready,azure-batch-15 httpx httpx2 urllib3 aiohttp pyreqwest pycurl)
OURS    := $(patsubst %,$(BENCH)/%/.installed,default cli)

.DEFAULT_GOAL := help
.PHONY: help demo test unit lint format generate api check-generated drift contract mutants interop histories matrix bench bench-reference bench-emulator lock clean

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(RUNS) ## Start the emulator, move some tasks, ask for their counts
	@$(BIN)/taskcounts demo

test: $(READY) $(SDKS) $(OLD) lint check-generated ## Pass every check and test, in some minutes
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

unit: $(READY) ## Run the quick unit tests, in under a minute: ARGS='-k redact', or other options of pytest
	@HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest --quiet --numprocesses logical --maxprocesses 4 \
		--dist worksteal -m 'not slow' tests/unit $(ARGS)

lint: $(READY) ## Check style and types
	@$(BIN)/ruff format --check --quiet . || { echo "lint: run 'make format'"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

format: $(READY) ## Format the code
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

generate: $(READY) ## Write generated/ from spec/
	@$(BIN)/python spec/generate.py

api: $(READY) ## Write tests/data/public_api.txt, the public API as it is
	@PYTHONPATH=tests $(BIN)/python -m support.public_api

check-generated: $(READY) ## Fail if generated/ is not what spec/ gives
	@$(BIN)/python spec/generate.py --check

drift: $(READY) ## Compare spec/ with what Microsoft published: PUBLISHED=file-or-folder
	@$(BIN)/python spec/drift.py '$(PUBLISHED)'

contract: $(READY) ## Check the emulator, or ENDPOINT=https://… JOB=job-id; VERSION=2025-06-01 for one, REPLAY=file for findings again
	@PYTHONPATH=tests $(BIN)/python -m contract $(if $(ENDPOINT),--endpoint '$(ENDPOINT)') $(if $(JOB),--job '$(JOB)') \
		$(if $(VERSION),--api-version '$(VERSION)') $(if $(REPLAY),--replay '$(REPLAY)') $(ARGS)

mutants: $(READY) ## Check servers that are wrong on purpose, at every api-version, and show what finds each
	@ALL_MUTANTS=1 $(BIN)/python -m pytest --quiet --numprocesses logical --maxprocesses 4 \
		--dist worksteal tests/contract/test_contract_mutants.py $(ARGS)

interop: $(READY) $(SDKS) $(OLD) $(AZ) ## Run Microsoft's clients against the emulator: ARGS='15.1 az', or all
	@PYTHONPATH=tests $(BIN)/python -m interop $(ARGS)

histories: $(READY) ## Judge waits for 1,000 random jobs: ARGS='--seed 5000', or ARGS='--only 7' tells one
	@PYTHONPATH=tests $(BIN)/python -m histories $(ARGS)

matrix: $(READY) ## Test every CPython from 3.11 to 3.14 that is here, and the lowest versions: ARGS='3.12 lowest', or all
	@PYTHONPATH=tests $(BIN)/python -m support.matrix $(ARGS)

bench: $(READY) $(SDKS) $(PEERS) $(OURS) $(if $(QUICK),,$(AZ)) ## Compare with other clients: QUICK=1 in two minutes, CHECK=1 fails if ours got worse
	@PYTHONPATH=tests $(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(CHECK),--check) $(ARGS)

bench-reference: ## Make both forms of bench anew what CHECK=1 compares with: some twelve minutes on a quiet machine
	@$(MAKE) --no-print-directory bench QUICK=1 CHECK= ARGS=--record
	@$(MAKE) --no-print-directory bench QUICK= CHECK= ARGS=--record

bench-emulator: $(READY) ## Measure what a count costs the emulator, and how it fills: ARGS=1000000 tasks, or 200,000
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.emulator $(ARGS)

.PHONY: pictures
pictures: $(READY) ## Draw the README's pictures in .github/ anew
	@PYTHONPATH=tests $(BIN)/python -m pictures

lock: $(READY) ## Bring tests/requirements/ in line with pyproject.toml; UPGRADE=1 takes newer versions too
	@$(LOCK) --extra cli --extra emulator --group build --output-file tests/requirements/run.txt
	@$(LOCK) --all-extras --group dev --constraint tests/requirements/run.txt --output-file tests/requirements/all.txt
	@$(LOCK) --resolution lowest-direct --override tests/requirements/lowest-overrides.txt --all-extras --group dev --output-file tests/requirements/lowest.txt
	@for client in $(patsubst %,azure-batch-%,15 14 13 10 9 8 5) azure-cli; do \
		$(RESOLVE) tests/requirements/interop/$$client.in --output-file tests/requirements/interop/$$client.txt || exit 1; \
	done
	@for client in azure-batch-15 httpx httpx2 urllib3 aiohttp pyreqwest pycurl; do \
		$(RESOLVE) tests/requirements/bench/$$client.in --output-file tests/requirements/bench/$$client.txt || exit 1; \
	done
	@$(LOCK) --constraint tests/requirements/run.txt --output-file tests/requirements/bench/default.txt
	@$(LOCK) --constraint tests/requirements/run.txt --extra cli --output-file tests/requirements/bench/cli.txt

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
define ENVIRONMENT
	@echo "Setting up $(@D) (once) ..."
	@$(PYTHON) -m venv --clear --without-pip $(@D)
	@$(BIN)/python -m pip --python $(@D)/bin/python install --quiet --disable-pip-version-check --no-compile --require-hashes -r $< \
		|| { echo "$(@D): not set up; is a package index within reach?" >&2; exit 1; }
	@touch $@
endef

$(INTEROP)/%/.ready: tests/requirements/interop/%.txt | $(RUNS)
	$(ENVIRONMENT)

$(BENCH)/%/.ready: tests/requirements/bench/%.txt | $(RUNS)
	$(ENVIRONMENT)

$(BENCH)/.wheel: pyproject.toml $(shell find wrapper generated -name __pycache__ -prune -o -print) | $(RUNS)
	@rm -rf $(BENCH)/wheel
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir $(BENCH)/wheel .
	@touch $@

$(OURS): $(BENCH)/%/.installed: $(BENCH)/%/.ready $(BENCH)/.wheel
	@$(BIN)/python -m pip --python $(@D)/bin/python install --quiet --disable-pip-version-check --no-compile --no-deps --force-reinstall $(BENCH)/wheel/*.whl
	@touch $@
