# Thin verbs: each sets up what it needs, then calls `sluice` or a test runner. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

TARGET ?= local
ENV ?= $(if $(filter aws,$(TARGET)),prod,dev)
ARGS ?=
export TARGET

BIN := .sluice/host/bin
SLUICE := $(BIN)/sluice
# Compiled tests are kept, also where the shell forbids it: compiling is a third of the unit tests' time.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest
# Any Python from 3.8 on can run the set-up; it looks for the 3.13 that everything else needs.
BOOTSTRAP = for p in python3 python3.13 python /usr/bin/python3; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1; then exec "$$p" -I -S sluice/bootstrap.py $(1); fi; done; \
	echo "sluice: Python is missing: install Python 3.13 (python3 must run)" >&2; exit 1

.PHONY: help bootstrap setup up down status logs build plan deploy destroy demo \
	test unit contract infra-test e2e soak bench bench-peer bench-docker lint fmt clean

help: ## Lists the verbs
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bootstrap:
	@$(call BOOTSTRAP,)

setup: ## Sets up the environments, terraform included (every other verb does it first)
	@$(call BOOTSTRAP,--verbose)

up: bootstrap ## Starts the engine: LocalStack with Sluice's extension, and PostgreSQL
	@$(SLUICE) up $(ARGS)

down: bootstrap ## Stops the engine
	@$(SLUICE) down $(ARGS)

status: bootstrap ## Shows engine, objects, queues, dead letters, quarantine, failures (ARGS=--watch)
	@$(SLUICE) status --env $(ENV) $(ARGS)

logs: bootstrap ## Shows logs (ARGS="-f", ARGS=postgres, ARGS=<function>)
	@$(SLUICE) logs $(ARGS)

build: bootstrap ## Packages the functions and layers
	@$(SLUICE) build $(ARGS)

plan: bootstrap ## Shows what a deployment would change (TARGET=local|aws, ENV=dev|prod)
	@$(SLUICE) plan --target $(TARGET) --env $(ENV) $(ARGS)

deploy: bootstrap ## Builds and deploys (TARGET=local|aws, ENV=dev|prod)
	@$(SLUICE) deploy --target $(TARGET) --env $(ENV) $(ARGS)

destroy: bootstrap ## Removes what was deployed (TARGET=local|aws, ENV=dev|prod)
	@$(SLUICE) destroy --target $(TARGET) --env $(ENV) $(ARGS)

demo: bootstrap ## Runs the main job on real input and verifies every row
	@$(SLUICE) demo $(ARGS)

test: bootstrap ## Runs all suites: the two halves of the end-to-end ones, which mostly wait, beside the others
	@$(PYTEST) -n 3 tests/unit tests/contract tests/infra tests/e2e $(ARGS)

unit: bootstrap ## Runs the unit tests (no network, no engine)
	@$(PYTEST) tests/unit $(ARGS)

contract: bootstrap ## Runs the contract tests: one AWS behaviour each
	@$(PYTEST) tests/contract $(ARGS)

infra-test: bootstrap ## Checks the Terraform: fmt, validate, terraform test, policies
	@$(PYTEST) tests/infra $(ARGS)

e2e: bootstrap ## Runs the end-to-end tests on engines of their own (STACK=running: on yours; IAM=enforce: policies enforced)
	@$(PYTEST) $(if $(filter running,$(STACK)),,-n 2) tests/e2e $(ARGS)

soak: bootstrap ## 5,000 objects under duplicates, poison, kills, throttles and replays; not 0 on any difference
	@SOAK_OBJECTS=$${SOAK_OBJECTS:-5000} $(PYTEST) tests/e2e/test_soak.py $(ARGS)

bench: bootstrap ## Measures; prints the figures and writes them as JSON
	@$(SLUICE) bench $(ARGS)

bench-peer: bootstrap ## The same measurement on another emulator, side by side
	@$(SLUICE) bench --peer $(ARGS)

bench-docker: bootstrap ## The same measurement on both engines, embedded and in containers, side by side
	@$(SLUICE) bench --docker $(ARGS)

lint: bootstrap ## Checks style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@for f in lambdas/*/handler.py; do d=$$(dirname $$f); MYPYPATH=$$d:lambdas/shared $(BIN)/mypy $$d; done

fmt: bootstrap ## Formats Python and Terraform
	@$(BIN)/ruff check -q --fix-only . ; $(BIN)/ruff format . ; if command -v terraform >/dev/null; then terraform fmt -recursive infra; fi

clean: ## Stops the engine and removes everything that was made
	@if [ -x $(SLUICE) ] && $(SLUICE) --version >/dev/null 2>&1; then $(SLUICE) clean $(ARGS); fi
	@rm -rf .sluice
