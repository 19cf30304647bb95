# Every command works on a machine with Python 3.11 alone; the first call builds .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVE ?= 1
SEEDS ?= 3
ROWS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test test-quick check format lint types imports bench evidence stress pages screenshots lock clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Aegle needs Python 3.11 or newer, found " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,dev]'
	@touch $@

install: $(VENV)/.installed ## build the environment in .venv

PAGES := app/web/static/assets.json
CLIENT := app/web/client

pages: $(PAGES) ## bundle the scripts and styles of the pages (needs Node 20 or newer)

$(PAGES): $(wildcard $(CLIENT)/src/*) $(CLIENT)/build.mjs $(CLIENT)/package-lock.json
	@if ! command -v npm >/dev/null; then \
		echo "Node is not installed: the service will run without its pages (install Node 20 or newer, then: make pages)"; \
	elif npm --prefix $(CLIENT) ci --no-audit --no-fund --loglevel=error && npm --prefix $(CLIENT) run --silent build; then \
		echo "pages: app/web/static"; \
	else \
		echo "The pages could not be bundled: the service will run without them (then: make pages)"; \
	fi

demo: install pages ## train on the embedded cohort, evaluate, serve with its scans (SERVE=0: stop before)
	@$(BIN)/aegle demo --out var/demo $(if $(filter-out 0,$(SERVE)),--serve)

format: install ## lay the code out and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: install ## names, docstrings, annotations, bugs, security, sizes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install ## mypy, strict
	$(BIN)/mypy

imports: install ## who may import whom
	$(BIN)/lint-imports

check: lint types imports ## all static checks

test: check pages ## all static checks, then the whole suite in parallel
	$(BIN)/pytest -n 2 --dist worksteal

test-quick: install ## the suite without the slow tests
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

bench: install ## ratios against bare loops, measured in one run
	$(BIN)/python -m tests.bench

evidence: install ## every method and baseline on the cohorts of AEGLE_REAL_DATA; SEEDS=1 for fewer (goes on where it was)
	$(BIN)/aegle evidence --seeds $(SEEDS) --page training/EVIDENCE.md --head README.md

stress: install ## long rows of faults and attacks; ROWS=a,b for some of them
	$(BIN)/python -m tests.stress --rows "$(ROWS)"

screenshots: install pages ## take the README's pictures of the pages anew
	$(BIN)/python -m tests.screenshots

lock: install ## write the versions of this environment to constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//' > constraints.txt

clean: ## remove the environment and the tools' caches; var/ stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
