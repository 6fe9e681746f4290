# Everything runs in .venv, which is made on first use; nothing needs root.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: demo test check generate bench coverage mutants clean

demo: .venv/ready
	$(BIN)/python -m session_store demo $(ARGS)

test: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

coverage: .venv/ready
	rm -f .coverage*
	$(BIN)/python -m coverage run -m pytest -n 2 --dist worksteal $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --fail-under=100

mutants: .venv/ready
	$(BIN)/python tests/mutants.py $(ARGS)

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/generate.py --check
	$(BIN)/python scripts/public_api.py --check

generate: .venv/ready
	$(BIN)/python scripts/generate.py
	$(BIN)/python scripts/public_api.py

bench: .venv/ready
	$(BIN)/python benchmarks/ratios.py $(ARGS)

clean:
	rm -rf .venv dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
