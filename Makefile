# Everything a newcomer types. Needs Python 3.11 or newer, pip and gcc; no Docker, no AWS account.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_WORKERS ?= 2

.PHONY: help demo test check bench simulate clean

help:
	@echo "make demo      run a real batch of work: the standard library's documentation"
	@echo "make test      run every test, on SQLite and PostgreSQL"
	@echo "make check     ruff, mypy, import rules, tidy rules"
	@echo "make bench     measure every claim beside its peer or limit"
	@echo "make simulate  the long form of the seeded simulations and of the crash tests"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -e .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -e '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -e '.[dev,bench]'
	@touch $@

demo: $(VENV)/.run
	$(BIN)/tidemill demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/unit/test_tidy.py

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.all

simulate: $(VENV)/.dev
	TIDEMILL_SIMULATE_SEEDS=$${TIDEMILL_SIMULATE_SEEDS:-2000} $(BIN)/python -m pytest tests/simulation tests/acceptance/test_crash*.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-site
