# One short command per wish; CI runs the same ones.
.DEFAULT_GOAL := help
.PHONY: help setup demo check test quick messages docs bench clean

BIN := .venv/bin
# Runs only on a Python that backlit can use and that can make a virtual environment.
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
# The first candidate that really runs: some systems have commands that only say which version is missing.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	"$$python" -c '$(USABLE)' >/dev/null 2>&1 && echo "$$python" && break; done)

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: .venv/ready  ## install backlit and its test tools into .venv, once

.venv/ready: pyproject.toml
	@$(PYTHON) -c '$(USABLE)' 2>/dev/null || { \
		echo "backlit needs Python 3.11 or newer with its venv module; found: '$(PYTHON)'." >&2; \
		echo "  fix  install one (Debian, Ubuntu: python3-venv), or name it: make PYTHON=/path/to/python3.12" >&2; \
		exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup  ## train the course's network on 1,797 real handwritten digits
	$(BIN)/backlit fit digits --overwrite

check: setup  ## lint, types, import direction, size budgets
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/imports.py
	$(BIN)/python tools/size.py

test: check  ## check, then every test and every example in the docstrings, as CI does
	BACKLIT_STRICT_SKIPS=1 PYTHONHASHSEED=0 $(BIN)/python -m pytest -n auto --dist worksteal --doctest-modules backlit tests

quick: setup  ## the fast tests only
	$(BIN)/python -m pytest -m 'not slow'

messages: setup  ## write the golden file of all error messages anew
	$(BIN)/python tools/messages.py

docs: setup  ## make the pictures, tables, notebooks and lists of the docs anew
	$(BIN)/python tools/picture.py
	$(BIN)/python -m tools.notebooks
	$(BIN)/python -m tools.questions
	$(BIN)/python -m tools.doctor_page

bench: setup  ## measure what `import backlit` costs, then ours and every installed peer on the same works
	$(BIN)/python bench/imports.py
	$(BIN)/python -m bench.run

clean:  ## remove .venv and everything that was generated
	rm -rf .venv build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
