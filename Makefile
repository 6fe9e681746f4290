# Everything runs in .venv, which is made on first use; nothing needs root.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# A test that stands still for ten minutes fails, with what its threads were doing; it does not hold up all others.
WORKERS := -n 2 --dist worksteal -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true

.PHONY: demo example example-chat test test-all check generate bench capacity coverage mutants faults cluster matrix lowest integrations audit docs clean

demo: .venv/ready
	$(BIN)/python -m session_store demo $(ARGS)

# A shop of one page, to be looked at.
example: .venv/ready
	$(BIN)/python -m examples.basket $(ARGS)

# A chat whose answers survive a reload, a second tab and the death of a worker; with two workers.
example-chat: .venv/ready
	$(BIN)/python -m examples.chat $(ARGS)

# What takes long is left out; the examples that Hypothesis draws are the same in every run. Some 10 minutes on 2 idle cores.
test: .venv/ready
	$(BIN)/python -m pytest $(WORKERS) -m "not long" $(ARGS)

# Everything, with examples drawn anew. To draw those of another run: make test-all SEED=its seed. Some 30 minutes.
SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
test-all: .venv/ready
	@echo "examples of seed $(SEED)"
	$(BIN)/python -m pytest $(WORKERS) --hypothesis-profile=fresh --hypothesis-seed=$(SEED) $(ARGS)

coverage: .venv/ready
	rm -f .coverage*
	$(BIN)/python -m coverage run -m pytest $(WORKERS) $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --fail-under=100

mutants: .venv/ready
	$(BIN)/python scripts/mutants.py $(ARGS)

# 20,000 calls of each flavour with faults; 200,000 names; 200 purges against 200 writers each; 500 new examples of the state
# machine and of each property. The seeds are printed. Some 15 minutes.
faults: .venv/ready
	$(BIN)/python tests/faults/soak.py $(ARGS)
	$(BIN)/python tests/security/fuzz.py
	$(BIN)/python tests/security/fences.py
	SESSION_STORE_EXAMPLES=500 $(BIN)/python -m pytest -m hypothesis --hypothesis-profile=fresh --hypothesis-seed=$(SEED)

# 20 primaries killed while slots move and writers write.
cluster: .venv/ready
	$(BIN)/python tests/cluster/soak.py $(ARGS)

# Which Pythons, redis-pys and servers: see scripts/matrix.py.
matrix: .venv/ready
	PYTHONPATH=tests $(BIN)/python scripts/matrix.py $(ARGS)

# The adapters for other frameworks, beside those frameworks, which take 1 GB and so have an environment of their own.
integrations: .venv-integrations/ready
	.venv-integrations/bin/mypy session_store/integrations/*.py
	.venv-integrations/bin/python -m pytest $(WORKERS) -p no:langsmith_plugin tests/integrations $(ARGS)

# The interleavings and the conformance of clients take minutes, and use nothing of a dependency that the others do not.
lowest: .venv-lowest/ready
	.venv-lowest/bin/python -m pytest -n 2 --dist worksteal \
		--ignore tests/testing/interleavings --ignore tests/testing/conformance $(ARGS)

# With the versions that a user would get today. "Error 3": no service that knows of vulnerabilities could be asked.
audit:
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager \
		--editable '.[cli,django,dynamodb,dynamodb-async,encryption,fastapi,flask,json,testing]' pip-audit
	.venv-audit/bin/python scripts/audit.py

# A site of the documentation, in .venv-docs/site; a link that leads nowhere is an error.
docs: .venv-docs/ready
	.venv-docs/bin/python scripts/picture.py --check
	.venv-docs/bin/python scripts/site.py

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

# What a namespace takes, and what a million and a billion would: 6 to 10 minutes. ARGS="--into docs" keeps it, and writes the
# tables of docs/sizing.md; ARGS=--check fills a server with a million, which takes 1 GB and some minutes.
capacity: .venv-bench/ready
	.venv-bench/bin/python -m benchmarks.capacity $(ARGS)

clean:
	rm -rf .venv .venv-* dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv/ready: pyproject.toml
	@echo "First use: makes .venv here, and installs what the tests need, some 110 packages (420 MB), in 1 to 3 minutes"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# For the tests in a real browser, which needs a Chromium beside it (apt-get install chromium).
.venv/browser: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group browser
	touch $@

.venv-integrations/ready: pyproject.toml
	$(PYTHON) -m venv .venv-integrations
	.venv-integrations/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	.venv-integrations/bin/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[dev,claude-agent-sdk,langgraph,mcp,openai-agents]' --group integrations
	touch $@

.venv-docs/ready: pyproject.toml
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --group docs
	touch $@

.venv-bench/ready: pyproject.toml benchmarks/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --no-compile --disable-pip-version-check \
		--requirement benchmarks/requirements.txt --editable '.[json]'
	if command -v npm >/dev/null; then npm install --silent --prefix .venv-bench resumable-stream@2.2 redis@4; fi
	touch $@

.venv-lowest/ready: pyproject.toml scripts/lowest.py .venv/ready
	rm -rf .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	$(BIN)/python scripts/lowest.py > .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .venv-lowest/constraints.txt --editable '.[dev]'
	touch $@
