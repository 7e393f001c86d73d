# Two commands for a newcomer: `make demo` and `make test`. Each sets up what is missing first, and says what it does.

VENV := .venv
BIN  := $(VENV)/bin
ARGS ?=

.PHONY: help install demo run test check soak bench pictures clean

help:
	@echo "make demo     set up what is missing, then run a simulated community with its dashboard"
	@echo "make test     set up what is missing, then run all tests"
	@echo "make install  only make $(BIN)/zhian"
	@echo "make check    format, lint, types, import contracts"
	@echo "make soak     the long tests"
	@echo "make pictures every page in both sizes, languages and colour schemes, into build/pictures"
	@echo "make bench    the figures of docs/benchmarks.md, on this machine"

install: $(VENV)/.runtime

$(VENV)/.runtime: pyproject.toml deploy/constraints.txt deploy/setup.sh
	@deploy/setup.sh runtime

$(VENV)/.development: $(VENV)/.runtime
	@deploy/setup.sh development

demo: $(VENV)/.runtime
	@deploy/setup.sh demo-programs
	@$(BIN)/zhian demo $(ARGS)

test: $(VENV)/.development
	@deploy/setup.sh test-programs
ifeq ($(ARGS),)
	@deploy/tests.sh
else
	@$(BIN)/pytest $(ARGS)
endif

check: $(VENV)/.development
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.runtime
	@deploy/setup.sh demo-programs
	@for name in ingest alarm modbus rules dashboard; do $(BIN)/zhian bench $$name $(ARGS) || exit 1; done

pictures: $(VENV)/.development
	@deploy/setup.sh test-programs
	@mkdir -p build/pictures
	@ZHIAN_SHOTS=build/pictures $(BIN)/pytest -p no:randomly tests/dashboard/browser/test_pictures.py tests/e2e/test_night.py $(ARGS)

soak: $(VENV)/.development
	@deploy/setup.sh test-programs
	@$(BIN)/pytest -m soak $(ARGS)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
