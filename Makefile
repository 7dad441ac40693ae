# Every target sets up what it needs; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOGDIR ?= outputs
unexport PYTHONDONTWRITEBYTECODE # or every command would compile torch again, which takes seconds

.DEFAULT_GOAL := help
.PHONY: help setup data train sweep board test test-slow test-all test-engines check lint format doctor benchmark docs gallery clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.complete ## create .venv and install everything into it (once)

$(VENV)/.complete: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"Python 3.11 to 3.13 is needed, {sys.executable} is {v[0]}.{v[1]}; try: make PYTHON=python3.12")'
	@echo "setting up $(VENV) with $(PYTHON); torch is large, this takes a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[dev]'
	@$(BIN)/python train.py dataset=synthetic sweep.dry_run=true > /dev/null # compiles what every command imports
	@touch $@

data: setup ## fetch and verify Fashion-MNIST
	@$(BIN)/python scripts/prepare_data.py

train: setup ## train the lesson's model for ten epochs
	@$(BIN)/python train.py

sweep: setup ## compare losses and learning rates in one grid
	@$(BIN)/python train.py -m loss=ce,mse,huber optimizer.lr=0.1,1.0

board: setup ## open TensorBoard on all runs (LOGDIR=FOLDER)
	@$(BIN)/python -m tensorboard.main --logdir $(LOGDIR) --host 127.0.0.1

test: setup ## run the fast tests
	$(BIN)/python -m pytest -n auto --dist loadgroup -m 'not slow'

test-slow: setup ## run the slow tests alone
	$(BIN)/python -m pytest -n auto --dist loadgroup -m slow

test-all: test test-slow ## run all tests

test-engines: build/engines/.complete ## train a grid on joblib, Submitit and Ray, and kill workers
	ENGINES=1 PYTHONPATH=$(CURDIR)/build/engines $(BIN)/python -m pytest tests/sweeps/test_clusters.py $(ARGS)

build/engines/.complete: $(VENV)/.complete # beside the environment, since Ray wants older packages
	@mkdir -p build/engines
	@$(BIN)/python -m pip install --quiet --upgrade --target build/engines \
		hydra-ray-launcher hydra-submitit-launcher 'hydra-core==1.3.*'
	@touch $@

check: lint test ## lint, check formatting and types, then test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## format the code and repair what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

doctor: setup ## check packages, device, data, space and permissions
	@$(BIN)/python scripts/doctor.py

docs: setup ## build the pages of docs/ as a site, in both languages, and open it
	@$(BIN)/python -m sphinx -W -E -q -d build/doctrees/en docs build/docs
	@$(BIN)/python -m sphinx -W -E -q -d build/doctrees/zh -D language=zh_CN docs build/docs/zh-CN
	@echo "the pages are in build/docs/index.html"
	@test -n "$$CI" || $(BIN)/python -m webbrowser build/docs/index.html > /dev/null

gallery: setup ## make every picture that a user sees, into build/gallery (ARGS=--docs: also those of docs/)
	@$(BIN)/python scripts/gallery.py $(ARGS)

benchmark: setup ## measure speed and memory against the bars (ARGS=--quick)
	@$(BIN)/python scripts/benchmark.py $(ARGS)

clean: ## delete .venv and caches; data/ and outputs/ stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
