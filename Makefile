# Everything a developer or a first-time user runs; needs only make and Python 3.11 to 3.13.
#
#   make demo        a real study on this machine: leaderboard in the terminal, best.keras on disk
#   make test        all tests, on SQLite and PostgreSQL
#   make help        the other targets

PYTHON ?= python3
VENV ?= .venv
# EXTRAS=gpu installs TensorFlow with CUDA.
EXTRAS ?=
BIN := $(VENV)/bin
# Test processes; `auto` is one per core and one more, up to eight, as far as memory goes.
PYTEST_WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest --numprocesses $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder
LOCK := requirements$(if $(EXTRAS),-$(EXTRAS)).lock
# One stamp per selection, so that changing EXTRAS installs again.
STAMP := $(VENV)/.installed$(if $(EXTRAS),-$(EXTRAS))
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: install
install: $(STAMP)  ## Make .venv with all that is pinned, and the checkout in it (EXTRAS=gpu for CUDA).

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || { \
	  echo "hpsearch needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1 || true). Name another: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) lacks the module venv; install it (on Debian and Ubuntu: apt-get install python3-venv) and try again."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(STAMP): $(VENV)/.made $(LOCK) pyproject.toml .ci/requirements.py
	$(BIN)/python .ci/requirements.py sync $(EXTRAS)
	$(BIN)/python -m workers.training.native
	@rm -f $(VENV)/.installed*
	@touch $@

.PHONY: demo
demo: $(STAMP)  ## Search a good network for handwritten digits, on this machine.
	$(BIN)/hpsearch run examples/digits.yaml $(ARGS)

.PHONY: test
test: $(STAMP)  ## Run all tests.
	$(PYTEST) $(ARGS)

.PHONY: test-quick
test-quick: $(STAMP)  ## Run the tests that take less than ten seconds each.
	$(PYTEST) -m "not slow" $(ARGS)

.PHONY: coverage
coverage: $(STAMP)  ## Run all tests and measure which branches they take; at least 90 % of hpsearch/ and of api/.
	rm -f .coverage .coverage.*
	$(PYTEST) --cov --cov-report= $(ARGS)
	$(BIN)/python .ci/branches.py

.PHONY: lint
lint: $(STAMP)  ## Look for faults and for style.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: format
format: $(STAMP)  ## Rewrite the code in the one style.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: types
types: $(STAMP)  ## Check the types.
	$(BIN)/mypy

.PHONY: imports
imports: $(STAMP)  ## Check which room imports which.
	$(BIN)/lint-imports --no-logo

.PHONY: benchmarks
benchmarks: $(STAMP)  ## Measure requests per second on both databases.
	$(BIN)/python benchmarks/http.py $(ARGS)

.PHONY: charts
charts:  ## Build the chart library of the web page (api/web/static/echarts.js); needs npm.
	cd api/web/charts && npm ci --ignore-scripts --no-audit --no-fund && npm run --silent build

.PHONY: screenshots
screenshots: $(STAMP)  ## Draw docs/images anew: every page in both themes, on a real study; needs chromium.
	$(BIN)/python -m tests.api.web.browser.screenshots $(ARGS)

.PHONY: chaos
chaos: $(STAMP)  ## Kill everything, thirteen ways, on both databases (ARGS="--seeds 20", or "C1 --seed 7").
	$(BIN)/python -m tests.chaos $(if $(filter C%,$(ARGS)),,all) $(ARGS)

.PHONY: planted
planted: $(STAMP)  ## Plant eleven bugs, one after the other: each must turn the proofs red.
	$(BIN)/python -m tests.mutation $(ARGS)

.PHONY: soak
soak: $(STAMP)  ## 20,000 trials on PostgreSQL and 10,000 on SQLite while everything is killed; takes an hour.
	$(BIN)/python -m tests.chaos.soak --database postgresql $(ARGS)
	$(BIN)/python -m tests.chaos.soak --database sqlite --trials 10000 $(ARGS)

ENGINE ?= native
.PHONY: conformance
conformance: $(STAMP)  ## Check an engine against plain Keras, all points of the contract (ENGINE=fused, ARGS="--points curves --all").
	$(BIN)/python -m workers.training.conformance $(ENGINE) $(ARGS)

.PHONY: verify-fused
verify-fused: $(STAMP)  ## Check what is particular to stacked programs: padding, slots, members apart (ARGS="--all --points 1,3").
	$(BIN)/python -m workers.training.fused.verify $(ARGS)

.PHONY: docs
docs: $(STAMP)  ## Build the pages into site/, from docs/ and from the code; they need no other host.
	$(BIN)/python -m docs.build site

.PHONY: docs-serve
docs-serve: docs  ## Build the pages and show them at http://127.0.0.1:8008.
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory site 8008

.PHONY: wheel
wheel: $(STAMP)  ## Build the wheel and the source distribution into dist/.
	$(BIN)/python -m uv build --no-build-isolation --python $(BIN)/python --out-dir dist

.PHONY: lock
lock: $(STAMP)  ## Resolve the newest versions that fit into the lock files.
	$(BIN)/python .ci/requirements.py lock

.PHONY: ci
ci:  ## All that must pass before a change lands.
	bash .ci/run

.PHONY: clean
clean:  ## Delete what the targets made, .venv included.
	rm -rf $(VENV) dist build site htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
