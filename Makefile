# All steps on a fresh machine: `make demo`, `make test`. Python 3.11 or 3.12; no root, no service.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test test-s3 test-browser lint types contracts bench format docs
.DEFAULT_GOAL := setup

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v in ((3, 11), (3, 12)) else f"expected Python 3.11 or 3.12, found {v[0]}.{v[1]}; run: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	@echo "Building .venv: about 250 packages, two to four minutes the first time."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps -e .
	@touch $@

demo: setup
	@$(BIN)/undertone demo

# One core for each process: two torches with two threads each would wait for each other on two cores.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

# The promises about S3 on a real server: Ceph's, from Debian's packages, unpacked into .cache, on loopback.
test-s3: setup
	$(BIN)/python tests/helpers/radosgw.py run -- $(BIN)/pytest -n 2 --dist worksteal

# The dashboard in a real Chromium: Debian's, installed first where it is missing (as root).
test-browser: setup
	@.ci/chromium
	$(BIN)/pytest tests/browser

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python tests/bench/end_to_end.py
	$(BIN)/python tests/bench/rtfx.py

docs: setup
	$(BIN)/undertone tables --markdown > docs/tables.md
	$(BIN)/python -m flows.settings.page > docs/settings.md

format: setup
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .
