# Needs python3 (3.11 or newer), make and git. Targets install everything else into .venv, from the lock files in
# requirements/. To use another Python: make PYTHON=python3.13 TARGET

PYTHON ?= python3
# One worker runs all tests of a file, so that shared fixtures are set up once. (Groups of xdist 3.8 have no effect
# with pytest 9.2.)
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
LOCK_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
UV := $(BIN)/uv

# uv uses the system's certificates, as pip does, and must not download a Python.
export UV_SYSTEM_CERTS ?= true
export UV_PYTHON_DOWNLOADS ?= never

# Store compiled modules in .venv, regardless of the environment: the tests start hundreds of processes, and compiling
# Prefect again would take most of the time of each.
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/bytecode
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow soak mutants test-ray check docs docs-serve screenshots bench lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.runtime  ## Run a sample mesh: nodes, a Prefect server, both tables (ARGS=--serve keeps it running)
	@$(BIN)/workmesh demo $(ARGS)

test: $(VENV)/.dev  ## Run the tests, except the slow ones
	@$(BIN)/pytest $(PYTEST_ARGS)

test-slow: $(VENV)/.dev  ## Run all tests
	@$(BIN)/pytest $(PYTEST_ARGS) -m "slow or not slow"

SECONDS ?= 600
NODES ?= 20
ENTITIES ?= 500
SEED ?= $(shell date +%s)
SOAK_ARGS ?=

soak: $(VENV)/.dev  ## Run kills, restarts and faults for ten minutes (SECONDS=, NODES=, ENTITIES=, SEED=)
	@$(PY) -m tests.reliability.soak --seconds $(SECONDS) --nodes $(NODES) --entities $(ENTITIES) --seed $(SEED) $(SOAK_ARGS)

mutants: $(VENV)/.dev  ## Insert known bugs of delivery, one at a time; the tests must detect each
	@$(PY) -m tests.reliability.mutants

test-ray: $(VENV)/.ray  ## Install Ray, and test lanes on a Ray cluster
	@$(BIN)/pytest tests/flows/test_ray.py $(RAY_ARGS)

check: $(VENV)/.dev  ## Check format, lint, types, imports (they only go down), and the documentation's site
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(MKDOCS) build --quiet

# The site is built with MkDocs 1.6; this disables its notice about later versions.
MKDOCS = NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs

docs: $(VENV)/.dev  ## Build the documentation's site into site/
	@$(MKDOCS) build

docs-serve: $(VENV)/.dev  ## Serve the site at http://127.0.0.1:8000; rebuild it when a page changes
	@$(MKDOCS) serve

screenshots: $(VENV)/.dev  ## Take the documentation's pictures of the UI again, in Chromium
	@$(PY) -m tests.ui.screenshots

bench: $(VENV)/.bench  ## Measure the performance budgets, as ratios in one run
	@$(PY) -m benchmarks

# dev.txt comes first, so that runtime.txt has the same releases.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" $(LOCK_ARGS)
lock: $(VENV)/.uv  ## Update requirements/*.txt (LOCK_ARGS=--upgrade takes the newest compatible releases)
	$(COMPILE) --group pyproject.toml:bootstrap --output-file requirements/bootstrap.txt
	$(COMPILE) pyproject.toml --extra postgres --extra dask --extra sqlalchemy --group dev --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --extra postgres --constraint requirements/dev.txt --output-file requirements/runtime.txt
	$(COMPILE) pyproject.toml --extra ray --constraint requirements/dev.txt --output-file requirements/ray.txt
	$(COMPILE) --group pyproject.toml:bench --constraint requirements/dev.txt --output-file requirements/bench.txt

clean:  ## Remove .venv and the files that tools leave behind
	rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment. Each stamp file is newer than its sources: a changed lock file triggers a new installation, and a
# second run starts at once. .runtime has what the demo needs; .dev adds the tools.

OWN = $(UV) pip install --quiet --python $(PY) --no-deps --build-constraints requirements/dev.txt --editable .

# $(call install,LOCK) installs exactly the content of the lock file. If uv fails (a mirror that only pip's settings
# name, a home directory without write access), pip installs the same files. --no-deps: the lock file is complete, and
# pip, unlike uv, does not recognize that its sqlalchemy is the sqlalchemy[asyncio] that Prefect requires.
define install
	@echo "Installing $(1) into $(VENV)"
	@{ $(UV) pip sync --quiet --python $(PY) --require-hashes requirements/bootstrap.txt $(1) && $(OWN); } || \
	{ echo "uv failed; retrying with pip" && \
	  $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(1) && \
	  $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .; }
endef

$(VENV)/.runtime: $(VENV)/.uv requirements/runtime.txt pyproject.toml
	@rm -f $(VENV)/.dev
	$(call install,requirements/runtime.txt)
	@touch $@

$(VENV)/.dev: $(VENV)/.uv requirements/dev.txt pyproject.toml
	$(call install,requirements/dev.txt)
	@touch $(VENV)/.runtime $@

# Adds to .dev what only the benchmarks need.
$(VENV)/.bench: $(VENV)/.dev requirements/bench.txt
	@echo "Installing requirements/bench.txt into $(VENV)"
	@$(UV) pip install --quiet --python $(PY) --no-deps --require-hashes -r requirements/bench.txt || \
	{ echo "uv failed; retrying with pip" && \
	  $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/bench.txt; }
	@touch $@

# Adds Ray to .dev. Ray and the benchmarks need different versions of protobuf, so each of the two installs again after
# the other.
$(VENV)/.ray: $(VENV)/.dev requirements/ray.txt $(wildcard $(VENV)/.bench)
	@echo "Installing requirements/ray.txt into $(VENV)"
	@rm -f $(VENV)/.bench
	@$(UV) pip install --quiet --python $(PY) --no-deps --require-hashes -r requirements/ray.txt || \
	{ echo "uv failed; retrying with pip" && \
	  $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/ray.txt; }
	@touch $@

$(VENV)/.uv: requirements/bootstrap.txt
	@command -v $(PYTHON) >/dev/null || \
	{ echo "No $(PYTHON) found: install Python 3.11 or newer, or choose one, for example: make PYTHON=python3.13 demo" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "$$($(PYTHON) --version) is too old: Python 3.11 or newer is required. Choose one, for example: make PYTHON=python3.13 demo" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	{ echo "$$($(PYTHON) --version) has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@
