# Needs make and Python 3.11 or newer.
#   make study   set up .venv and find the span of a tanh network on the memory task
#   make test    the same, the linters and all tests except the long ones of `make faults` (-j3: at the same time)
#   make faults  the long tests: the fault scripts, and more sizes of some tests
#   make test-jax  the tests with JAX, flax and equinox, which it installs
#   make docs    the documentation site, in build/docs
#   make dist    the wheel and the sdist, in dist
#   make bench   the benchmarks
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUTPUT ?= runs/study-$(shell date +%Y-%m-%d-%H%M%S)
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: study test tests test-jax lint faults docs dist bench clean

study: $(VENV)/ready
	mkdir -p $(OUTPUT)
	$(BIN)/memspan span --width 0.15 --store $(OUTPUT)/memspan.sqlite --output $(OUTPUT)

test: study lint tests

tests: $(VENV)/ready
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

faults: $(VENV)/ready
	$(BIN)/python -m pytest -m slow tests/faults
	$(BIN)/python -m pytest -m faults --ignore=tests/faults --numprocesses auto

test-jax: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[jax]'
	$(BIN)/python -m pytest tests/jax tests/testing/test_models_jax.py tests/study/test_own_jax_models.py tests/docs/test_blocks.py

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	$(BIN)/sphinx-build -W --keep-going -n -q -d build/docs-trees docs build/docs

dist: $(VENV)/ready
	$(BIN)/python -m build

bench: $(VENV)/ready
	$(BIN)/python benchmarks/calibrate_gradcheck.py
	$(BIN)/python benchmarks/gradient_checkers.py
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/activation_errors.py
	$(BIN)/python benchmarks/first_study.py
	$(BIN)/python benchmarks/span_coverage.py
	$(BIN)/python benchmarks/span_search.py
	$(BIN)/python benchmarks/span_comparison.py
	$(BIN)/python benchmarks/span_answer.py
	$(BIN)/python benchmarks/diagnostics.py
	$(BIN)/python benchmarks/exponent_coverage.py
	-$(BIN)/python benchmarks/study_in_torch.py  # needs PyTorch
	-$(BIN)/python benchmarks/own_cell_costs.py  # needs PyTorch and JAX

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("memspan needs Python 3.11 or newer, but $(PYTHON) is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
