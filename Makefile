# Everything runs in .venv, which is made on first use; nothing needs root.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: demo test check generate bench coverage mutants faults cluster matrix lowest audit clean

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

# 20,000 calls of each flavour with faults; 200,000 names; 200 purges against 200 writers each; and what Hypothesis draws,
# the same in every `make test`, drawn anew: 500 examples of the state machine, 300 of each property. The seeds are
# printed. Some 15 minutes.
SEED = $(shell $(PYTHON) -c 'import random; print(random.randrange(2**32))')
faults: .venv/ready
	$(BIN)/python tests/faults/soak.py $(ARGS)
	$(BIN)/python tests/security/fuzz.py
	$(BIN)/python tests/security/fences.py
	SESSION_STORE_EXAMPLES=500 $(BIN)/python -m pytest -m hypothesis --hypothesis-profile=fresh --hypothesis-seed=$(SEED)

# 20 primaries killed while slots move and writers write.
cluster: .venv/ready
	$(BIN)/python tests/cluster/soak.py $(ARGS)

# Which Pythons, redis-pys and servers: see tests/matrix.py.
matrix: .venv/ready
	$(BIN)/python tests/matrix.py $(ARGS)

# The interleavings and the conformance of clients take minutes, and use nothing of a dependency that the others do not.
lowest: .venv-lowest/ready
	.venv-lowest/bin/python -m pytest -n 2 --dist worksteal \
		--ignore tests/interleavings --ignore tests/conformance $(ARGS)

# With the versions that a user would get today. "Error 3": no service that knows of vulnerabilities could be asked.
audit:
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager \
		--editable '.[encryption,json,testing]' pip-audit
	.venv-audit/bin/python scripts/audit.py

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/generate.py --check
	$(BIN)/python scripts/public_api.py --check

generate: .venv/ready
	$(BIN)/python scripts/generate.py
	$(BIN)/python scripts/public_api.py

# Everything side by side, 10 to 15 minutes; writes benchmarks/README.md. QUICK=1: at most 2, and writes to the terminal.
bench: .venv-bench/ready
	.venv-bench/bin/python -m benchmarks $(if $(QUICK),--quick) $(ARGS)

clean:
	rm -rf .venv .venv-* dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

.venv-bench/ready: pyproject.toml benchmarks/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --no-compile --disable-pip-version-check \
		--requirement benchmarks/requirements.txt --editable '.[json]'
	touch $@

.venv-lowest/ready: pyproject.toml tests/lowest.py .venv/ready
	rm -rf .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	$(BIN)/python tests/lowest.py > .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .venv-lowest/constraints.txt --editable '.[dev]'
	touch $@
