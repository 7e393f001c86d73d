# Two commands for a newcomer: `make demo` and `make test`. Each sets up what is missing first, and says what it does.

VENV := .venv
BIN  := $(VENV)/bin
ARGS ?=

.PHONY: help install demo run test check lock wheels soak bench pictures clean

help:
	@echo "make demo     set up what is missing, then run a simulated community with its dashboard"
	@echo "make test     set up what is missing, then run all tests"
	@echo "make install  only make $(BIN)/zhian"
	@echo "make check    format, lint, types, import contracts, and whether what is installed is what is locked"
	@echo "make lock     renew deploy/*.lock from pyproject.toml; ARGS=NAME takes the newest of one package, ARGS=--all of all"
	@echo "make wheels   what an update is made of, into build/wheels"
	@echo "make soak     the long tests"
	@echo "make pictures every page in both sizes, languages and colour schemes, into build/pictures"
	@echo "make bench    the figures of docs/benchmarks.md, on this machine"

install: $(VENV)/.runtime

$(VENV)/.runtime: pyproject.toml deploy/runtime.lock deploy/setup.sh deploy/lock.py
	@deploy/setup.sh runtime

$(VENV)/.development: $(VENV)/.runtime deploy/development.lock
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
	@$(BIN)/python deploy/lock.py installed
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lock:
	@[ -e $(VENV)/.development ] || { echo "run 'make check' once, before pyproject.toml asks for more"; exit 2; }
	@$(BIN)/python deploy/lock.py renew $(ARGS)

wheels: $(VENV)/.runtime
	@rm -rf build/lib build/wheels
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --require-hashes --requirement deploy/runtime.lock --wheel-dir build/wheels
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheels .

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
