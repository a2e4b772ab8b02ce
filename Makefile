# make demo     from a clone to forecasts: environment, example database, two nights, a report
# make setup    the environment only
# make test     every test
# make test-jax the tests that train a network, on JAX
# make check    lint, layout, types, import rules
# make bench    measure accuracy, speed and scale into benchmarks/results/; PEERS=--peers adds other products
# make docs     write the reference parts of docs/ from the code, check every link, and make the site: site/index.html
# make test-docs  make the site, and open it from the disk in a browser
# make pictures draw the pictures of docs/ and take those of pages of the demo; needs chromium
# make graph    write the wings and their import graph into docs/architecture.md
# make dbt      run the dbt package of examples/dbt on a small job, in SQLite and PostgreSQL
# make containers  check Dockerfile, compose.yaml and kubernetes/, and run what they say without an engine; needs root
# make audit    ask whether locked packages have known vulnerabilities; needs a network that lets pypi.org be asked
# make clean    remove the environment and the demo

PYTHON ?= python3
DEMO   ?= demo
DATA   ?= ../shared/data
BIN    := .venv/bin
# One more worker than cores, four at most: many tests wait for a server or another process.
WORKERS := $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() + 1, 4))')
# A file stays with one worker, so that its fixtures are made once; files start in order, the long ones first.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
JAX_TESTS := tests/models/network tests/models/training tests/models/lifecycle/test_comparison.py \
             tests/models/evaluation/test_hindcast.py
UV     := $(BIN)/uv pip install --quiet --python $(BIN)/python
SHELL  := /bin/bash
# Many containers set this variable. Every process would then compile its imports again, ten seconds in each night.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-jax check bench docs test-docs pictures graph dbt containers audit clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# make/make/p' Makefile

setup: .venv/.base

demo: .venv/.base
	@$(BIN)/nightcast demo $(DEMO)

test: .venv/.dev
	@$(PYTEST) $(TESTS)

test-jax: .venv/.dev
	@KERAS_BACKEND=jax $(PYTEST) $(JAX_TESTS)

check: .venv/.dev
	@echo "ruff";         $(BIN)/ruff check .
	@echo "ruff format";  $(BIN)/ruff format --check .
	@echo "mypy";         $(BIN)/mypy
	@echo "import rules"; $(BIN)/lint-imports --no-logo

bench: .venv/.dev
	$(BIN)/python -m benchmarks.speed --data $(DATA) $(PEERS)
	$(BIN)/python -m benchmarks.accuracy --data $(DATA) $(PEERS)
	$(BIN)/python -m benchmarks.scale $(PEERS)
	$(BIN)/python -m benchmarks.loading
	$(BIN)/python -m benchmarks.prefect_cost

docs: .venv/.dev .venv-docs/.done
	@$(BIN)/python docs/build.py
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet
	@echo "The site: site/index.html"

test-docs: docs
	@$(BIN)/python -m pytest tests/end_to_end/test_site.py --site site

pictures: .venv/.dev demo
	@$(BIN)/python docs/drawings.py
	@$(BIN)/python docs/pictures.py $(DEMO)

graph: .venv/.dev
	@$(BIN)/python docs/build.py wings

dbt: .venv/.dev .venv-dbt/.done
	@$(BIN)/python -m pytest tests/end_to_end/downstream/test_dbt.py --dbt "$$PWD/.venv-dbt/bin/dbt"

containers: .venv/.dev .venv-containers/.done
	@$(BIN)/python -m pytest -n 0 tests/containers --containers "$$PWD/.venv-containers/bin"

audit: .venv-audit/.done
	@.venv-audit/bin/python requirements/audit.py

clean:
	rm -rf .venv .venv-audit .venv-containers .venv-dbt .venv-docs site build *.egg-info $(DEMO)

# Each stamp marks requirements that are installed; the next run skips them.
.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)))' \
	  || { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); this project needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.11 ..."; exit 1; }
	@echo "Making the environment in .venv"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.bootstrap: .venv/.python requirements/bootstrap.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

.venv/.base: .venv/.bootstrap requirements/base.txt pyproject.toml
	@echo "Installing $$(grep -c '==' requirements/base.txt) locked packages (TensorFlow is the big one)"
	@$(UV) --require-hashes -r requirements/base.txt
	@$(UV) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.base requirements/dev.txt
	@echo "Installing the tools of the tests"
	@$(UV) --require-hashes -r requirements/dev.txt
	@touch $@

# dbt needs other versions of some packages than the product.
.venv-dbt/.done: .venv/.bootstrap requirements/dbt.txt
	@$(PYTHON) -m venv --without-pip .venv-dbt
	@$(BIN)/uv pip install --quiet --python .venv-dbt/bin/python --require-hashes -r requirements/dbt.txt
	@touch $@

# The tools of the site, which neither the product nor its tests need.
.venv-docs/.done: .venv/.bootstrap requirements/docs.txt
	@$(PYTHON) -m venv --without-pip .venv-docs
	@$(BIN)/uv pip install --quiet --python .venv-docs/bin/python --require-hashes -r requirements/docs.txt
	@touch $@

# Linters and schemas of containers; they need packages that the product does not.
.venv-containers/.done: .venv/.bootstrap requirements/containers.txt
	@$(PYTHON) -m venv --without-pip .venv-containers
	@$(BIN)/uv pip install --quiet --python .venv-containers/bin/python --require-hashes -r requirements/containers.txt
	@touch $@

# pip-audit in an environment of its own: what it needs must not change what is locked for the product.
.venv-audit/.done: .venv/.bootstrap requirements/audit.txt
	@$(PYTHON) -m venv --without-pip .venv-audit
	@$(BIN)/uv pip install --quiet --python .venv-audit/bin/python --require-hashes -r requirements/audit.txt
	@touch $@
