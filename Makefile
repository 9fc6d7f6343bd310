VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
MAKEFLAGS += --jobs=2  # of `test`: mypy takes one processor for a while

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VENV)/peers/ready: tests/peers.txt | $(VENV)/ready
	$(PYTHON) -m venv $(VENV)/peers
	$(VENV)/peers/bin/python -m pip install --quiet --requirement tests/peers.txt
	touch $@

.PHONY: format lint suite test test-quick coverage bench soak docs demo
format: $(VENV)/ready
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

lint: $(VENV)/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

suite: $(VENV)/ready $(VENV)/peers/ready
	$(BIN)/python -m pytest -n auto

test: lint suite

test-quick: $(VENV)/ready
	$(BIN)/python .ci/changed_tests.py | xargs -r $(BIN)/python -m pytest -n auto -q

coverage: $(VENV)/ready
	$(BIN)/python -m pytest -n auto --cov --cov-report=term:skip-covered --cov-report=html

bench: $(VENV)/ready
	$(BIN)/python -m tests.benchmarks

soak: $(VENV)/ready
	$(BIN)/python -m pytest -n auto --hypothesis-profile=soak -m soak

docs: $(VENV)/ready
	$(BIN)/python -m docs.build

demo: $(VENV)/ready
	$(BIN)/python manifests/demo.py
