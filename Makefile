VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.PHONY: demo test lint bench
demo: $(VENV)/ready
	$(BIN)/python manifests/demo.py

lint: $(VENV)/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n auto

bench: $(VENV)/ready
	$(BIN)/python -m tests.benchmarks
