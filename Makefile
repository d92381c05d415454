# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out
STAMPS := $(VENV)/.stamps
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-slow check format bench history correlate train-spectra train-npe train-forecast clean

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
GEO := $(DATA)/geo

# A leading - : these state goals that are missed (by how much stands on their pages), and the rest is still made.
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
	$(BIN)/python benchmarks/bowtie.py
	$(BIN)/python benchmarks/quiet.py
	-$(BIN)/python benchmarks/method_speed.py
	$(BIN)/python benchmarks/electrons.py
	$(BIN)/python benchmarks/events.py
	-$(BIN)/python benchmarks/npe_stereo.py
	-$(BIN)/python benchmarks/coverage.py
	@if [ -d $(GEO) ]; then rm -f $(OUT)/history_measured.nc; $(MAKE) history; fi
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/correlation.py
	$(BIN)/python benchmarks/forecast.py
	$(BIN)/python benchmarks/forecast_gaps.py
	$(BIN)/python benchmarks/forecast_speed.py

# benchmarks/common.py makes the same history where there is none. What is excluded is misdated: see docs/forecast.md.
history: $(STAMPS)/core ## assemble and calibrate the history that the forecasts are trained on
	mkdir -p $(OUT)
	$(BIN)/particleflux history -o $(OUT)/history.nc --dpd $(GEO)/dpd --electrons GOES-13/science=$(GEO)/goes13 \
	--electrons GOES-15=$(GEO)/goes15_hourly/flux --omni $(GEO)/omni2 --kp $(GEO)/kp --dst $(GEO)/dst_2014-2016.csv \
	--reference GOES-13 --calibration $(OUT)/calibration.csv --exclude GOES-13=2014-01-31/2014-03-30

correlate: history ## table and plot of the rank correlations, on the training years of the paper
	$(BIN)/particleflux correlate $(OUT)/history.nc -o $(OUT)/correlation.csv --plot $(OUT)/correlation.png \
	--periods 1999-2007,2011-2016

train-spectra: $(STAMPS)/test ## train the networks that reconstruct spectra
	$(BIN)/particleflux train spectra -o runs/radem-protons --commit $$(git describe --always --abbrev=40 --dirty)
	rm -rf src/particleflux/models/radem-protons
	cp -r runs/radem-protons src/particleflux/models/radem-protons

train-npe: $(STAMPS)/test ## train the networks of npe, for protons and for electrons with protons
	set -e; commit=$$(git describe --always --abbrev=40 --dirty); \
	$(BIN)/particleflux train npe -o runs/radem-protons-npe --commit $$commit; \
	$(BIN)/particleflux train npe -o runs/radem-electrons-npe --species electron --steps 6000 --tuning-steps 2500 \
	--samples 1000000 --commit $$commit
	for species in proton electron; do rm -rf src/particleflux/models/radem-$${species}s-npe; \
	cp -r runs/radem-$${species}s-npe src/particleflux/models/ || exit 1; done

train-forecast: $(STAMPS)/test history ## train the networks that forecast, on daily and on hourly inputs
	set -e; commit=$$(git describe --always --abbrev=40 --dirty); for inputs in daily hourly; do \
	$(BIN)/particleflux train forecast $(OUT)/history.nc -o runs/geo-electrons-$$inputs --periods 1998-2016 \
	--inputs $$inputs --commit $$commit; done
	for inputs in daily hourly; do rm -rf src/particleflux/models/geo-electrons-$$inputs; \
	cp -r runs/geo-electrons-$$inputs src/particleflux/models/ || exit 1; done

clean: ## remove what the other targets made
	rm -rf $(VENV) $(OUT)
