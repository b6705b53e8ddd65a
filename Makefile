# Belay: everything a developer runs. `make demo` and `make test` set up all they need themselves.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Overridable: make test CLUSTER=existing WORKERS=2 ARGS="-k preview"
CLUSTER ?=
WORKERS ?= 4
ARGS ?=
PYTHON ?=

# A test run starts dozens of Pythons: each would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
READY := .venv/.ready
UV_VERSION := 0.13.9
LOCK_OPTIONS := --generate-hashes --universal --python-version 3.11 --no-header --no-emit-index-url --quiet
RUNNER_LOCK_OPTIONS := $(subst 3.11,3.12,$(LOCK_OPTIONS))
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist worksteal $(if $(CLUSTER),--cluster=$(CLUSTER)) $(ARGS)

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## Make .venv with the locked packages (all other targets do it too)

.PHONY: demo
demo: $(READY) ## Watch Belay promote, catch and revert a real workflow on a real cluster
	@$(BIN)/python -m tests.harness.demo $(ARGS)

.PHONY: test
test: $(READY) ## Run every test; CLUSTER=local|control-plane|kind|existing WORKERS=4 ARGS=
	@$(PYTEST)

.PHONY: test-full
test-full: $(READY) ## The same, with the whole of the matrices that `test` samples
	@$(PYTEST) --full

.PHONY: model-full
model-full: $(READY) ## Search decide for hours, within bounds; ARGS="--total 4 --seconds 3600"
	@$(BIN)/python -m tests.model $(ARGS)

.PHONY: faults
faults: $(READY) ## Meet faults at a sample of all calls; ARGS="--seed 7 --scenario promote --logs"
	@$(BIN)/python -m tests.faults $(ARGS)

.PHONY: faults-full
faults-full: $(READY) ## Every fault at every call, world and all bugs; ARGS="--write" for the docs
	@$(BIN)/python -m tests.faults.full $(ARGS)

.PHONY: schedules
schedules: $(READY) ## Random schedules of the model on a real API server; ARGS="--seed 7 --most 100"
	@$(BIN)/python -m tests.faults.schedules $(ARGS)

.PHONY: coverage
coverage: $(READY) ## List the branches of core/ that neither unit nor model tests take
	@$(BIN)/coverage run --source belay.core -m pytest -q -p no:xdist --cluster control-plane \
		tests/unit tests/model $(ARGS)
	@$(BIN)/coverage report --show-missing --skip-covered

.PHONY: mutants
mutants: .venv/.mutants ## Put small changes into core/ that tests are to notice; ARGS="--seed 7"
	@$(BIN)/python -m tests.mutants $(ARGS)

.venv/.mutants: $(READY) tests/mutants/requirements.lock
	@$(BIN)/uv pip install --quiet --require-hashes --python $(BIN)/python -r tests/mutants/requirements.lock
	@touch $@

.PHONY: world
world: $(READY) ## Lose leaders in every phase, break the world; ARGS="--only etcd --handovers 5"
	@$(BIN)/python -m tests.faults.world $(ARGS)

.PHONY: bench
bench: $(READY) ## Measure the budgets against the floor of the same run (Linux, root)
	@$(BIN)/python -m tests.bench $(if $(CLUSTER),--cluster $(CLUSTER)) $(ARGS)

.PHONY: lint
lint: $(READY) ## Check style, types, layers, and that what is generated is up to date
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy -p belay -p belay_runner -p tests.harness -p tests.model -p tests.faults -p tests.bench
	@$(BIN)/lint-imports
	@$(BIN)/python -m belay.api.crd --check
	@$(BIN)/python -m tests.harness.monitoring --check
	@$(BIN)/python -m tests.harness.chart --check
	@$(BIN)/python -m tests.harness.release
	@$(BIN)/python -m tests.harness.argocd_cm --check

.PHONY: fmt
fmt: $(READY) ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

.PHONY: crds
crds: $(READY) ## Generate crds/ from the models
	@$(BIN)/python -m belay.api.crd
	@$(BIN)/python -m tests.harness.chart

.PHONY: chart
chart: $(READY) ## Bring into charts/belay what it takes from crds/ and deploy/, and its README
	@$(BIN)/python -m tests.harness.chart

.PHONY: monitoring
monitoring: $(READY) ## Generate deploy/monitoring from its rules.yaml and the dashboard's code
	@$(BIN)/python -m tests.harness.monitoring
	@$(BIN)/python -m tests.harness.chart

.PHONY: argocd
argocd: $(READY) ## Generate deploy/argocd/argocd-cm.yaml from its Lua
	@$(BIN)/python -m tests.harness.argocd_cm

.PHONY: cluster
cluster: $(READY) ## Start a local cluster that stays (Linux, root), for developing
	@$(BIN)/python -m tests.harness up

.PHONY: cluster-down
cluster-down: $(READY) ## End it, and whatever a killed one left
	@$(BIN)/python -m tests.harness down

.PHONY: image
image: $(READY) ## Build the operator's image (root), for the local cluster and as an archive
	@$(BIN)/python -m tests.harness image

.PHONY: release-check
release-check: $(READY) ## Check that package, chart, image and CHANGELOG tell one version
	@$(BIN)/python -m tests.harness.release --image

.PHONY: lock
lock: $(READY) ## Resolve the dependencies anew, within pyproject.toml's bounds
	@$(BIN)/uv pip compile pyproject.toml --group dev $(LOCK_OPTIONS) --output-file requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --constraints requirements.lock $(LOCK_OPTIONS) \
		--output-file deploy/image/requirements.lock
	@$(BIN)/uv pip compile --group mutants --constraints requirements.lock $(LOCK_OPTIONS) \
		--output-file tests/mutants/requirements.lock
	@$(BIN)/uv pip compile --group runner $(RUNNER_LOCK_OPTIONS) --output-file deploy/runner/requirements.lock

.PHONY: clean
clean: ## Remove .venv and what tools left here (finished builds stay in the user's cache folder)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The package itself is found by a path file: an editable install would need a build backend.
$(READY): requirements.lock
	@python="$(PYTHON)"; \
	fits='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; \
	for each in python3 python3.13 python3.12 python3.11; do \
		if [ -z "$$python" ] && $$each -c "$$fits" 2>/dev/null; then python=$$each; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "setup: needs Python 3.11 or newer with its venv module (Debian: apt-get install" \
			"python3-venv); or name one: make setup PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "  making .venv with $$($$python --version) ..." >&2; \
	$$python -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements.lock
	@echo "$(CURDIR)/operator" > "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')/belay.pth"
	@touch $@
