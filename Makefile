# Looksee: `make serve` and `make test` set up what they need and start again in seconds.

PYTHON ?= python3.11
PORT ?=
WEIGHTS ?=
MODEL ?=
BIN := .venv/bin

.PHONY: help setup serve test lint types check format samples evaluate bench build image docs lock clean

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: .venv/ready  ## make the environment in .venv

.venv/ready: pyproject.toml requirements.txt
	@echo "looksee: setting up .venv with $(PYTHON) (two minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --constraint requirements.txt -e '.[dev]' \
		| sed -u -n 's/^Collecting \([^ ]*\).*/  \1/p;s/^Successfully.*/looksee: .venv is ready/p'
	@# Tested against; what it asks for beside itself is an inference engine, which its client part does without.
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps moondream==2.6.1
	@$(BIN)/python -c 'import bentoml' && touch $@

serve: setup  ## serve on PORT (3000) with a Redis of its own and the sample weights (WEIGHTS=hub: the published ones)
	@exec $(BIN)/python -m deploy.local $(if $(PORT),--port $(PORT)) $(if $(WEIGHTS),--weights $(WEIGHTS))

test: setup  ## the whole suite, against a real Redis, real servers and a real browser
	@$(BIN)/python -m pytest

lint: setup  ## style and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup  ## strict types
	@$(BIN)/mypy

check: lint types test  ## all of it

format: setup  ## put the code into form
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

samples: setup  ## train the sample weights of MODEL (blip)
	@$(BIN)/python -m samples.training $(or $(MODEL),blip)

evaluate: setup  ## measure the sample weights of MODEL (all) through a running service, best with MODEL_CAPACITY=0
	@$(BIN)/python -m samples.evaluate $(MODEL)

bench: setup  ## throughput of MODEL (all) beside a plain server, in one run
	@$(BIN)/python -m bench $(MODEL)

build: setup  ## make the bento
	@$(BIN)/bentoml build

image: build  ## make the container image of the newest bento
	@$(BIN)/bentoml containerize looksee:latest --image-tag looksee:latest

docs: setup  ## print the tables of README.md, docs/ and .env.example from the code
	@$(BIN)/python -m tools.documents

lock: setup  ## write the versions of this environment into requirements.txt
	@$(BIN)/python -m deploy.lock

clean:  ## remove the environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
