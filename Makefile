# Needs python3 (3.11 or newer), make and git; everything else is installed into .venv, by the locks in
# requirements/. Another Python: make PYTHON=python3.13 TARGET

PYTHON ?= python3
# A file at a time: what its tests share is set up once. (Groups of xdist 3.8 do nothing with pytest 9.2.)
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
LOCK_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
UV := $(BIN)/uv

# uv reads the system's certificates, as pip does, and is never to fetch a Python of its own.
export UV_SYSTEM_CERTS ?= true
export UV_PYTHON_DOWNLOADS ?= never

# Compiled modules are kept, in .venv, whatever the environment says: hundreds of processes start, and to compile
# Prefect anew takes each of them longer than all the rest.
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/bytecode
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow soak mutants test-ray check docs docs-serve screenshots bench lock clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.runtime  ## The main job on a sample: nodes, a Prefect server, both tables (ARGS=--serve keeps it up)
	@$(BIN)/workmesh demo $(ARGS)

test: $(VENV)/.dev  ## The tests, but for the slow ones
	@$(BIN)/pytest $(PYTEST_ARGS)

test-slow: $(VENV)/.dev  ## Every test, the slow ones too
	@$(BIN)/pytest $(PYTEST_ARGS) -m "slow or not slow"

SECONDS ?= 600
NODES ?= 20
ENTITIES ?= 500
SEED ?= $(shell date +%s)
SOAK_ARGS ?=

soak: $(VENV)/.dev  ## Kills, restarts and faults for ten minutes (SECONDS=, NODES=, ENTITIES=, SEED=)
	@$(PY) -m tests.reliability.soak --seconds $(SECONDS) --nodes $(NODES) --entities $(ENTITIES) --seed $(SEED) $(SOAK_ARGS)

mutants: $(VENV)/.dev  ## Seed bugs of delivery, one at a time: the tests have to catch each
	@$(PY) -m tests.reliability.mutants

test-ray: $(VENV)/.ray  ## The tests of lanes on a Ray cluster; it installs Ray
	@$(BIN)/pytest tests/flows/test_ray.py $(RAY_ARGS)

check: $(VENV)/.dev  ## Format, lint, types, the floors (imports go down only), and the documentation's site
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(MKDOCS) build --quiet

# MkDocs 1.6 is what we build with; what is said of its successors is not for readers of this output.
MKDOCS = NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs

docs: $(VENV)/.dev  ## The documentation's site, into site/
	@$(MKDOCS) build

docs-serve: $(VENV)/.dev  ## The site at http://127.0.0.1:8000, made anew when a page changes
	@$(MKDOCS) serve

screenshots: $(VENV)/.dev  ## The documentation's pictures of the UI, taken anew in Chromium
	@$(PY) -m tests.ui.screenshots

bench: $(VENV)/.bench  ## The budgets, measured as ratios in one run
	@$(PY) -m benchmarks

# dev.txt comes first: runtime.txt then holds the same releases. For the newest that fit: LOCK_ARGS=--upgrade
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" $(LOCK_ARGS)
lock: $(VENV)/.uv  ## Write requirements/*.txt anew (LOCK_ARGS=--upgrade takes the newest releases that fit)
	$(COMPILE) --group pyproject.toml:bootstrap --output-file requirements/bootstrap.txt
	$(COMPILE) pyproject.toml --extra postgres --extra dask --extra sqlalchemy --group dev --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --extra postgres --constraint requirements/dev.txt --output-file requirements/runtime.txt
	$(COMPILE) pyproject.toml --extra ray --constraint requirements/dev.txt --output-file requirements/ray.txt
	$(COMPILE) --group pyproject.toml:bench --constraint requirements/dev.txt --output-file requirements/bench.txt

clean:  ## Remove .venv and what the tools left behind
	rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment. Each stamp is newer than what it was made from, so a changed lock installs again and a second
# run starts at once. .runtime is what the demo needs; .dev holds that and the tools.

OWN = $(UV) pip install --quiet --python $(PY) --no-deps --build-constraints requirements/dev.txt --editable .

# $(call install,LOCK): exactly what is in the lock. Where uv fails (a mirror that only pip's settings name, a home
# that cannot be written to), pip installs the same files. --no-deps: the lock is whole, and pip, unlike uv, would
# not see that its sqlalchemy is the sqlalchemy[asyncio] that Prefect asks for.
define install
	@echo "Installing $(1) into $(VENV)"
	@{ $(UV) pip sync --quiet --python $(PY) --require-hashes requirements/bootstrap.txt $(1) && $(OWN); } || \
	{ echo "uv could not; pip tries" && \
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

# On top of .dev: what only the benchmarks need.
$(VENV)/.bench: $(VENV)/.dev requirements/bench.txt
	@echo "Installing requirements/bench.txt into $(VENV)"
	@$(UV) pip install --quiet --python $(PY) --no-deps --require-hashes -r requirements/bench.txt || \
	{ echo "uv could not; pip tries" && \
	  $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/bench.txt; }
	@touch $@

# On top of .dev: Ray, whose protobuf is another than that of the benchmarks. So each of the two installs again after
# the other.
$(VENV)/.ray: $(VENV)/.dev requirements/ray.txt $(wildcard $(VENV)/.bench)
	@echo "Installing requirements/ray.txt into $(VENV)"
	@rm -f $(VENV)/.bench
	@$(UV) pip install --quiet --python $(PY) --no-deps --require-hashes -r requirements/ray.txt || \
	{ echo "uv could not; pip tries" && \
	  $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/ray.txt; }
	@touch $@

$(VENV)/.uv: requirements/bootstrap.txt
	@command -v $(PYTHON) >/dev/null || \
	{ echo "No $(PYTHON) here: install Python 3.11 or newer, or name one, as in: make PYTHON=python3.13 demo" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "$$($(PYTHON) --version) is too old: Python 3.11 or newer is needed. Name one, as in: make PYTHON=python3.13 demo" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	{ echo "$$($(PYTHON) --version) has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@
