# Everything a person does with a clone of Noria. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
PEERS_VENV ?= .venv-peers
PEERS ?= mlflow dvc airflow kfp kubernetes
# One more than there are cores: tests wait for processes and databases a good part of their time.
JOBS ?= $(shell echo $$(( $$(nproc 2>/dev/null || sysctl -n hw.ncpu) + 1 )))
# Options for the command that a target runs: make demo ARGS='--seed 7', make test ARGS='-k registry'
ARGS ?=

PYTEST = $(VENV)/bin/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: help
help: ## List what can be made
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.runtime ## Watch the loop close on real data: a model goes wrong and is put right
	$(VENV)/bin/noria demo $(ARGS)

.PHONY: rankings
rankings: $(VENV)/.runtime ## Do a published study again, with intervals: make rankings ARGS='--data PATH'
	$(VENV)/bin/python -m noria.examples.rankings $(ARGS)

.PHONY: test
test: prepared ## Run unit, property and integration tests and one smoke of each other lane
	$(PYTEST) $(ARGS)

# Hundreds of tests start the command line, which should not compile the package each time where Python may write no
# byte code by itself.
.PHONY: prepared
prepared: $(VENV)/.dev $(PEERS_VENV)/kfp/.ready $(PEERS_VENV)/mlflow/.ready services ## Install all that `make test` needs
	@$(VENV)/bin/python -W ignore -m compileall -qq src

.PHONY: check
check: $(VENV)/.dev ## Check style, types and the order of imports
	@failed=0; \
	for tool in 'ruff check' 'ruff format --check' mypy 'lint-imports --no-logo'; do \
	    echo "$$tool"; $(VENV)/bin/$$tool || failed=1; \
	done; \
	exit $$failed

.PHONY: bench
bench: $(VENV)/.dev ## Measure; figures in the docs come from here
	@$(VENV)/bin/python tools/show_versions.py
	@for program in benchmarks/bench_*.py benchmarks/*/bench_*.py; do echo; echo "$$program"; $(VENV)/bin/python $$program $(ARGS); done

.PHONY: e2e
e2e: $(VENV)/.dev services ## Drive the real command line, servers and browser
	$(PYTEST) -m e2e --timeout 600 $(ARGS)

.PHONY: peers
peers: $(VENV)/.dev $(PEERS:%=$(PEERS_VENV)/%/.ready) ## Run MLflow, DVC, Airflow, kfp and readers of manifests beside Noria
	$(VENV)/bin/python -m pytest -m peers --timeout 600 -rA $(foreach peer,$(PEERS),$(wildcard tests/peers/test_$(peer)*.py)) $(ARGS)

.PHONY: soak
soak: $(VENV)/.dev services ## Kill processes again and again, and run properties for long
	HYPOTHESIS_PROFILE=soak $(PYTEST) -m 'soak or property' --timeout 3600 $(ARGS)

.PHONY: docs
docs: $(VENV)/.runtime ## Check that every link between the documents leads somewhere
	$(VENV)/bin/python tools/check_links.py

.PHONY: reference
reference: $(VENV)/.dev ## Write what comes from the code: docs/reference, the schema of new databases, statements, the README's transcript
	$(VENV)/bin/python tools/make_schema.py
	$(VENV)/bin/python tools/make_statements.py
	$(VENV)/bin/python tools/make_reference.py
	$(VENV)/bin/python tools/run_readme.py --write

.PHONY: services
services:
	@tools/install_test_services.sh

.PHONY: clean
clean: ## Remove the environments, caches and build results (never a workspace)
	rm -rf $(VENV) $(PEERS_VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# --- environments: each is rebuilt only when the file that lists its packages changes ---

$(VENV)/.runtime: pyproject.toml
	@tools/make_venv.sh "$(PYTHON)" "$(VENV)"
	@echo "Installing Noria and what it runs on into $(VENV) (a minute or two, once)"
	@tools/install.sh "$(VENV)" -e '.[postgres,s3]'
	@touch $@

# Tests turn warnings into errors, so what the compiler has to say about other people's modules must be said before.
$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing the tools for tests and checks into $(VENV) (a minute, once)"
	@tools/install.sh "$(VENV)" --group dev
	@$(VENV)/bin/python -W ignore -m compileall -qq -j $(JOBS) $(VENV)/lib || true
	@touch $@

$(PEERS_VENV)/%/.ready: tests/peers/requirements/%.txt
	@tools/make_venv.sh "$(PYTHON)" "$(@D)"
	@echo "Installing $* into $(@D) (a minute or two, once)"
	@tools/install.sh "$(@D)" -r $<
	@touch $@
