# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out
STAMPS := $(VENV)/.stamps
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-slow check format bench train-spectra clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

$(STAMPS)/venv:
	$(PYTHON) -m venv $(VENV)
	mkdir -p $(STAMPS)
	touch $@

$(STAMPS)/core: $(STAMPS)/venv pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(STAMPS)/test: $(STAMPS)/core
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,test]'
	touch $@

$(STAMPS)/check: $(STAMPS)/core
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[check]'
	touch $@

demo: $(STAMPS)/core ## install, then simulate, reconstruct and plot an event (no download)
	$(BIN)/particleflux demo -o $(OUT)/demo

test: $(STAMPS)/test ## install what the tests need, run them
	$(BIN)/python -m pytest -m 'not slow and not gpu and not network'

test-slow: $(STAMPS)/test ## the longer checks
	$(BIN)/python -m pytest -m slow

check: $(STAMPS)/check ## format, lint, types, import layers, docstrings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m numpydoc.hooks.validate_docstrings $$(git ls-files 'src/*.py')

format: $(STAMPS)/check ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

DATA ?= $(or $(PARTICLEFLUX_DATA),../shared/data)
TABLES := $(DATA)/radem/response

bench: $(STAMPS)/test ## measure everything that benchmarks/results states (long)
	mkdir -p $(OUT)/response
	@if [ -d $(TABLES) ]; then $(BIN)/python benchmarks/fit_response.py $(TABLES) $(OUT)/response && \
	for species in proton electron; do \
	cmp $(OUT)/response/radem_$$species.csv src/particleflux/instruments/radem_$$species.csv; done; \
	else echo "fit_response.py: skipped, no tables in $(TABLES)"; fi
	$(BIN)/python benchmarks/background.py
	$(BIN)/python benchmarks/simulated_truth.py
	$(BIN)/python benchmarks/stereo.py
	$(BIN)/python benchmarks/speed.py

train-spectra: $(STAMPS)/test ## train the networks that ship
	$(BIN)/particleflux train spectra -o runs/radem-protons --commit $$(git describe --always --abbrev=40 --dirty)
	rm -rf src/particleflux/models/radem-protons
	cp -r runs/radem-protons src/particleflux/models/radem-protons

clean: ## remove what the other targets made
	rm -rf $(VENV) $(OUT)
