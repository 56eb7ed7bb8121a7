# make demo      set everything up and run the main job
# make test      set everything up and run every test that belongs to a commit
# make check     static checks and the quick tests
# make simulate  play a million schedules of workers and faults (SEEDS=n: fewer; SEED=n: one, with its history)
# make mutants   break the worker on purpose, one mistake at a time, and see each found (MUTANT=name: just that)
# make integration  take PostgreSQL, the registry and Kafka Connect away while results are on their way there
# make analytics  kill the analytics app under load, compare every window, and time it beside its peers (RESULTS=n: fewer)
# make parity    compare the engine with FunASR, one file at a time (CLIPS=n: fewer)
# make hub       pull, load and spoil a model of full size from a hub on this machine, both layouts (6 GB of disk)
# make dashboard  write Grafana's dashboard anew and hold it against Grafana's own types (with Node.js)
# make pictures  take the pictures of docs/operate.md anew, of a worker under load (with Chromium)
# make bench     measure engine, cold starts, pipeline, new events, workers, device, latency, memory, delivery and peers, and hold ratios to their bounds (WHAT=pipeline: just that)
# make lock      resolve the dependencies anew (UPGRADE=--upgrade takes newer ones)
# make clean     remove what was set up; the data of local servers stays in .streamproc

PYTHON ?= python3
ROUNDS ?= 1
SEEDS ?= 1000000
FIRST ?= 0
CLIPS ?= 320
RESULTS ?= 100000

# The servers' programs are built while the big packages download.
MAKEFLAGS += --jobs=2 --no-print-directory

# The worker is several processes: without bytecode each of them compiles torch anew, five seconds each time.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
RUN := $(VENV)/bin/
# A lock names everything there is to install (no-deps), also what builds it (no-build-isolation).
UV := $(RUN)uv pip install --quiet --python $(RUN)python --require-hashes --no-build-isolation --no-deps
ITSELF := $(RUN)uv pip install --quiet --python $(RUN)python --no-deps --no-build-isolation --editable .
COMPILE := $(RUN)uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-header --no-annotate $(UPGRADE)
LEAN := --override requirements/lean.txt
# The longest first. Two at a time, file by file, since half of the tests wait for servers: each half has servers of its own.
SUITES := $(wildcard tests/simulation tests/e2e tests/parity tests/contract tests/integration tests/unit)
HALVES := --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: help demo test check simulate mutants integration analytics parity hub dashboard pictures bench lock clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# //p;/^$$/q' Makefile

demo: $(VENV)/runtime.done $(VENV)/servers.done
	@$(RUN)streamproc demo

test: $(VENV)/dev.done $(VENV)/servers.done $(VENV)/warehouse.done
	@$(RUN)python -m pytest $(HALVES) $(SUITES)

check: $(VENV)/dev.done
	@$(RUN)ruff check .
	@$(RUN)ruff format --check .
	@$(RUN)mypy
	@$(RUN)lint-imports
	@$(RUN)python -m pytest --quiet --cov --cov-report=term:skip-covered tests/unit

# Only the whole of it writes the report. Stopped, it goes on from there when it is called again.
simulate: $(VENV)/dev.done
	@$(RUN)python -m streamproc.testing.simulation $(if $(SEED),--seed $(SEED),--first $(FIRST) --seeds $(SEEDS) \
	$(if $(filter 1000000,$(SEEDS)),--floor 100 --report docs/reports/simulation.md \
	--keep .streamproc/simulation.json))

mutants: $(VENV)/dev.done
	@$(RUN)python -m tools.mutants $(if $(MUTANT),--only "$(MUTANT)",--report docs/reports/mutants.md)

integration: $(VENV)/dev.done $(VENV)/servers.done $(VENV)/warehouse.done
	@$(RUN)python -m tools.warehouse --report docs/reports/warehouse.md

# Only the whole of it writes the report. QUIX is an interpreter with quixstreams, which goes with an older pydantic only.
analytics: $(VENV)/dev.done $(VENV)/servers.done
	@$(RUN)python -m tools.analytics --results $(RESULTS) $(if $(QUIX),--quix $(QUIX)) \
	$(if $(filter 100000,$(RESULTS)),--report docs/reports/analytics.md)

# Only the whole of it writes the report.
parity: $(VENV)/dev.done
	@$(RUN)python -m tools.parity --clips $(CLIPS) $(if $(filter 320,$(CLIPS)),--report docs/reports/parity.md)

hub: $(VENV)/dev.done
	@mkdir -p .streamproc
	@PYTHONPATH=. $(RUN)python -m tools.model_path .streamproc

dashboard: $(VENV)/dev.done
	@$(RUN)python -m tools.dashboard
	@$(RUN)python -m tools.dashboard.check

pictures: $(VENV)/dev.done $(VENV)/servers.done
	@$(RUN)python -m tools.pictures

# With what is for development, since the engine's peer is. Only the whole of it writes the report.
bench: $(VENV)/dev.done $(VENV)/servers.done
	@$(RUN)python -m tools.bench $(WHAT) --rounds $(ROUNDS) $(if $(WHAT),,--report docs/reports/bench.md)

# One after the other, since each keeps to the versions of the one before.
lock: $(VENV)/uv.done
	$(COMPILE) $(LEAN) --extra local --extra warehouse --group dev pyproject.toml --output-file requirements/dev.lock
	$(COMPILE) $(LEAN) --extra local --extra warehouse --constraints requirements/dev.lock pyproject.toml --output-file requirements/runtime.lock
	$(COMPILE) --constraints requirements/dev.lock requirements/local.in --output-file requirements/local.lock
	$(COMPILE) requirements/bootstrap.in --output-file requirements/bootstrap.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

$(VENV)/uv.done: requirements/bootstrap.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else \
	"Python 3.11, 3.12 or 3.13 is needed, this is %d.%d: make PYTHON=python3.12 ..." % v)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make a virtual environment:" \
	"on Debian and Ubuntu install python3-venv (for another Python its own, as in python3.12-venv)" >&2; exit 1; }
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN)python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@touch $@

$(VENV)/local.done: requirements/local.lock $(VENV)/uv.done
	@echo "installing what builds the servers"
	@$(UV) -r requirements/local.lock
	@touch $@

$(VENV)/runtime.done $(VENV)/dev.done: $(VENV)/%.done: requirements/%.lock pyproject.toml $(VENV)/local.done
	@echo "installing the packages of requirements/$*.lock"
	@$(UV) -r requirements/$*.lock
	@$(ITSELF)
	@touch $@

# No reason to stop: whoever needs the servers tries again, and says what is wrong.
$(VENV)/servers.done: $(VENV)/local.done $(wildcard streamproc/local/poms/*)
	@$(RUN)python -m streamproc.local.build && touch $@ || true

$(VENV)/warehouse.done: $(VENV)/dev.done $(VENV)/servers.done
	@$(RUN)python -m streamproc.local.build warehouse && touch $@ || true
