# Two commands are enough on a fresh machine: `make demo` and `make test` do all their set-up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
XVFB   := xvfb-run -a -s "-screen 0 1920x1200x24"
JOBS   ?= 2
RUN_GUI := $(if $(DISPLAY)$(WAYLAND_DISPLAY),,$(XVFB))
COVER   := $(if $(COVERAGE),--cov --cov-report=term:skip-covered)

.PHONY: help setup system demo test test-fast check format wheel-test lock smoke study bench \
        pictures docs clean
.DEFAULT_GOAL := help

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

system:
	@bash scripts/system_packages.sh

$(STAMP): pyproject.toml | system
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

setup: $(STAMP)  ## make .venv and install everything into it (a second run installs nothing)

demo: setup  ## type findings on a simulated chest CT, or on yours: make demo CT=path
	$(BIN)/napari-ctclip demo $(if $(CT),"$(CT)") --out demo_output

test: setup  ## all tests, those of the window in one of JOBS=2 processes; COVERAGE=1 keeps its floor
	$(RUN_GUI) $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --max-worker-restart 0 $(COVER)

test-fast: setup  ## the tests that need no model, no window and no patience: under a minute
	$(BIN)/python -m pytest tests -n $(JOBS) --ignore tests/plugin -m "not slow and not gui and not model"

check: setup  ## format, lint, types, layers, manifest
	$(BIN)/ruff format --check src tests benchmarks scripts
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari_ctclip

format: setup  ## put the code into the house format
	$(BIN)/ruff format src tests benchmarks scripts
	$(BIN)/ruff check --fix-only src tests benchmarks scripts

wheel-test: setup  ## build the wheel, install it in a fresh environment, score a simulated scan with it
	@VENV=$(VENV) bash scripts/test_wheel.sh

lock: setup  ## write requirements-dev.lock: names, versions and hashes of this environment
	$(BIN)/python scripts/lock.py

smoke: setup  ## a training of seconds from every recipe
	@rm -rf runs/smoke
	@for recipe in training/*/smoke.toml; do \
	  $(BIN)/napari-ctclip-train $$(basename $$(dirname $$recipe)) --recipe $$recipe \
	    --out runs/smoke/$$(basename $$(dirname $$recipe)) || exit 1; done

study: setup  ## the methods with equal compute on a simulated cohort: an hour; resumes when stopped
	$(BIN)/napari-ctclip-train study --out runs/study --page docs/explanation/study.md

bench: setup  ## speed: reading, encoding, slices, prompt to layer, the longest block of the window
	$(RUN_GUI) $(BIN)/python -m benchmarks

pictures: setup  ## drive the window as a user does and take its pictures, in runs/pictures
	$(RUN_GUI) $(BIN)/python -m scripts.pictures

docs: setup  ## the documentation as pages, in site/
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/mkdocs build --strict --quiet

clean:  ## remove what the commands above made, the environment excepted
	rm -rf demo_output runs site .pytest_cache .mypy_cache .ruff_cache .hypothesis
