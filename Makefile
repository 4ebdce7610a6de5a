# Two commands: `make demo` and `make test`. Both set up what they need in .venv first.
VENV ?= .venv
# The first that runs and is new enough: a name on the PATH may be a shim that does not run.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
BIN := $(VENV)/bin

.PHONY: demo test fast lint setup setup-dev clean licences sbom audit

demo: setup
	$(BIN)/unskew demo

setup: $(VENV)/.setup
setup-dev: $(VENV)/.setup-dev

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Unskew needs Python 3.11 or newer, and found none. Install one, or say: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.setup: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing Unskew and PyTorch into $(VENV): a few minutes the first time."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@# Sentences for the set "reviews": in the source distribution only. Without them everything else works.
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest $(VENV)/share/unskew vaderSentiment==3.3.2 || echo "The set of reviews could not be fetched."
	@touch $@

$(VENV)/.setup-dev: $(VENV)/.setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Everything: static checks, fast tests, slow ones, real Postgres, real browser.
test: lint
	bash tests/prepare.sh
	$(BIN)/pytest -m "not gpu"

# What one runs while working: seconds, no browser, no database server.
fast: setup-dev
	$(BIN)/pytest -m "not slow and not browser and not postgres and not gpu"

# Every package that an installation brings, with its licence.
licences: setup-dev
	$(BIN)/python tools/licences.py

# Software bill of materials of this environment, for a release: dist/sbom.json (CycloneDX).
sbom: setup
	@test -x $(VENV)/tools/bin/cyclonedx-py || { $(PYTHON) -m venv $(VENV)/tools && $(VENV)/tools/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0; }
	@mkdir -p dist
	$(VENV)/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible --of JSON -o dist/sbom.json $(BIN)/python

# Known vulnerabilities of the pinned versions; says so where their database cannot be reached.
audit: setup-dev
	@bash tools/audit.sh

clean:
	rm -rf $(VENV)
