# Each target makes what it needs: a virtual environment with the package and its tools.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
BENCHED := $(VENV)/.bench
DOCUMENTED := $(VENV)/.docs
# Tests run in one process per core; a thread each keeps them out of each other's way.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -q
# The tests of numbers once more, with the kernels that older processors get.
define OTHER_PROCESSORS
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 $(NUMERIC)
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell $(NUMERIC)
endef
NUMERIC := $(PYTEST) -m 'numeric and not slow' \
	$(addprefix tests/,cache evaluation heads inference pretraining probe tasks training)

.PHONY: help demo test test-all bench docs check format clean

help:  ## Show the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Graft needs Python 3.10 or later; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(READY)  ## Show on handwritten digits what transfer learning buys; about a minute.
	$(BIN)/graft demo

test: $(READY)  ## Run the tests, without the slow ones.
	$(PYTEST) -m 'not slow'
	$(OTHER_PROCESSORS)

test-all: $(READY)  ## Run every test.
	$(PYTEST)
	$(OTHER_PROCESSORS)

$(BENCHED): $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	touch $@

bench: $(BENCHED)  ## Measure Graft against its peers on ../shared; about 50 minutes.
	$(BIN)/python -m benchmarks --json benchmarks/results.json --write

$(DOCUMENTED): $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

docs: $(DOCUMENTED)  ## Build the documentation into build/site; a broken link is an error.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

check: $(READY)  ## Lint, check types and the directions of imports.
	$(BIN)/ruff check src tests tools benchmarks
	$(BIN)/ruff format --check src tests tools benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## Format the code.
	$(BIN)/ruff check --fix src tests tools benchmarks
	$(BIN)/ruff format src tests tools benchmarks

clean:  ## Remove what the other targets made.
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
