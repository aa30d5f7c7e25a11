# Two commands do everything: `make demo` and `make test`. Both make .venv and install into it once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt
# More threads than cores make small tensors 4-5 times slower; xdist runs a process a core.
export OMP_NUM_THREADS ?= 1
SHAPES := grpo_core._tensors,grpo_core.losses,grpo_core.off_policy,grpo_core.advantages,grpo_core.metrics,beartype.beartype
# Arguments of `make demo`, as in: make demo ARGS="--steps 20 --control"
ARGS ?=

.PHONY: demo test test-all test-trainers trainers lint types imports tests shapes kernels mutants format clean

demo: $(VENV)/.demo
	$(BIN)/python -m grpo_core.recipes.demo $(ARGS)

test: lint types imports tests shapes kernels

test-all: test mutants
	$(BIN)/python -m pytest -m slow --numprocesses auto

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev
	$(BIN)/basedpyright --warnings

imports: $(VENV)/.dev
	$(BIN)/lint-imports --no-cache

tests: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow" --numprocesses auto tests src
# The fences of a document are one program, which xdist would deal out.
	$(BIN)/python -m pytest -m "not slow" README.md docs

# The same tests once more, with every annotation checked as it is called.
shapes: $(VENV)/.dev
	HYPOTHESIS_PROFILE=shapes $(BIN)/python -m pytest -m "not slow and not no_shape_hook" --numprocesses auto \
		--jaxtyping-packages=$(SHAPES) tests/losses tests/off_policy tests/advantages tests/metrics

# Triton's interpreter runs the kernels; it divides by zero and multiplies infinities as numpy does, with a warning.
kernels: $(VENV)/.dev
	TRITON_INTERPRET=1 $(BIN)/python -m pytest --numprocesses auto tests/kernels \
		-W "ignore::RuntimeWarning" -W "ignore:Conversion of an array:DeprecationWarning"

# Trainers that cannot be installed beside the rest: their wheels are unpacked into .trainers, and where they are there
# `make test` runs the tests that call their code, which it skips otherwise.
trainers: $(VENV)/.dev
	$(BIN)/python tests/trainers.py

test-trainers: trainers
	$(BIN)/python -m pytest --numprocesses auto -rs tests/adapters tests/cli/test_serve.py
	$(BIN)/python -m pytest docs/trainers

mutants: $(VENV)/.dev
	$(BIN)/python tests/mutants/run.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) .trainers build dist demo.png demo.jsonl

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing grpo_core[demo] into $(VENV), once"
	$(INSTALL) --editable ".[demo]"
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing grpo_core[dev] into $(VENV), once"
	$(INSTALL) --editable ".[dev]"
# torch's CPU builds bring no Triton, whose interpreter runs kernels there; its CUDA builds pin their own.
	@$(BIN)/python -c "import triton" 2>/dev/null || test "$$(uname)" != Linux || $(INSTALL) triton==3.6.0
	@touch $(VENV)/.demo $@
