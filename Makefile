# The targets of this project; `make` alone lists them.
PYTHON ?= python3
UV_VERSION := 0.13.9
UV := $(shell command -v uv 2>/dev/null || echo .make/uv/bin/uv)
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE ?= copy
# an interpreter that was named (make PYTHON=python3.12 …) is also used for .venv; otherwise uv finds one that fits
ifneq ($(origin PYTHON),file)
export UV_PYTHON := $(PYTHON)
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test cases soak lint format docs lock bench down clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/locked  ## Make .venv with the locked dependencies (installs uv into .make if it is missing)

.venv/locked: uv.lock pyproject.toml | $(UV)
	@echo 'Installing the locked packages into .venv; the first time they are downloaded, 300 MB, which takes a minute or two.'
	@bash -o pipefail -c "$(UV) sync --locked --compile-bytecode 2>&1 | sed -u '/^ [-+~] /d'"  # without the list of all
	@touch $@

.make/uv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Anabranch needs Python 3.11 or newer; name it: make PYTHON=python3.12 …")'
	@echo 'Installing uv into .make/uv.'
	$(PYTHON) -m venv .make/uv
	.make/uv/bin/pip install --quiet uv==$(UV_VERSION)

demo: setup  ## Write a sample log archive and parse it in every mode, through Prefect and Dask
	.venv/bin/anabranch demo

test: setup  ## Run the whole suite once, on two to four cores
	.venv/bin/pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

cases: setup  ## Run the recorded cases of $ANABRANCH_CASES (default: tests/data)
	.venv/bin/pytest -m cases $(ARGS)

soak: setup  ## Run the long campaigns, and all properties, on new examples; SOAK_EXAMPLES sets the length of the campaigns
	.venv/bin/pytest -m "soak or properties" --hypothesis-profile soak --timeout 3600 $(ARGS)

lint: setup  ## Check style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: setup  ## Format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

docs: setup  ## Write docs/reference.md from the program
	.venv/bin/python docs/make_reference.py

lock: | $(UV)  ## Take the newest allowed versions into uv.lock
	$(UV) lock --upgrade

bench: setup | $(UV)  ## Run the benchmarks beside their alternatives, which it installs; ARGS=--write keeps their tables
	.venv/bin/python -m benchmarks.runner $(ARGS)
	.venv/bin/python -m benchmarks.history $(ARGS)
	.venv/bin/python -m benchmarks.logs $(ARGS)
	.venv/bin/python -m benchmarks.photos $(ARGS)
	$(UV) run --locked --group bench python -m benchmarks.files $(ARGS)
	$(UV) run --locked --group bench python -m benchmarks.uploads $(ARGS)
	.venv/bin/python -m benchmarks.tables $(ARGS)

down:  ## Stop the background server and worker
	@[ ! -x .venv/bin/anabranch ] || .venv/bin/anabranch down

clean:  ## Remove what setup made
	-@$(MAKE) --no-print-directory down
	rm -rf .venv .make .mypy_cache .pytest_cache .ruff_cache .hypothesis anabranch-demo
