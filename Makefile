# Thin verbs: each sets up what it needs, then calls `sluice` or a test runner. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

TARGET ?= local
ENV ?= $(if $(filter aws,$(TARGET)),prod,dev)
ARGS ?=
export TARGET
# Another project's Python would be mixed with ours.
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV

BIN := .sluice/host/bin
SLUICE := $(BIN)/sluice
# Compiled tests are kept, also where the shell forbids it: compiling is a third of the unit tests' time.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest
# Any Python from 3.8 on can run the set-up; it looks for the 3.13 that everything else needs.
BOOTSTRAP = for p in python3 python3.13 python /usr/bin/python3; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1; then exec "$$p" -I -S sluice/setup/bootstrap.py $(1); fi; done; \
	echo "sluice: Python is missing: install Python 3.13 (python3 must run)" >&2; exit 1

.PHONY: help bootstrap setup up down status logs build account plan deploy drift destroy demo \
	run-pipeline verify demo-taxi \
	scaffold test everything unit contract infra-test e2e promote-check fuzz sweep soak bench bench-peer bench-docker bench-scale lint docs fmt clean

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

status: bootstrap ## Shows engine, objects, queues, dead-letter messages, quarantine, failures (ARGS=--watch)
	@$(SLUICE) status $(if $(filter aws,$(TARGET)),--env $(ENV)) $(ARGS)

logs: bootstrap ## Shows logs (ARGS="-f", ARGS=postgres, ARGS=<function>)
	@$(SLUICE) logs $(ARGS)

scaffold: bootstrap ## Makes a dataset from a sample file (DATASET=name SAMPLE=file)
	@$(SLUICE) scaffold "$(DATASET)" "$(SAMPLE)" $(ARGS)

build: bootstrap ## Packages the functions and layers
	@$(SLUICE) build $(ARGS)

account: TARGET = aws
account: bootstrap ## Makes an account's state bucket, and roles for GitHub Actions (ENV=prod ARGS="--repository owner/name")
	@$(SLUICE) bootstrap --target aws --env $(ENV) $(ARGS)

plan: bootstrap ## Shows what a deployment would change; of an account, stores it as a file (TARGET=local|aws, ENV=dev|prod)
	@$(SLUICE) plan --target $(TARGET) --env $(ENV) $(ARGS)

deploy: bootstrap ## Builds and deploys; to an account, checks it and applies the plan (TARGET=local|aws, ENV=dev|prod)
	@$(SLUICE) deploy --target $(TARGET) --env $(ENV) $(ARGS)

drift: bootstrap ## Names what differs from the state; code 1 when something does (TARGET=local|aws, ENV=dev|prod)
	@$(SLUICE) drift --target $(TARGET) --env $(ENV) $(ARGS)

destroy: bootstrap ## Removes what was deployed (TARGET=local|aws, ENV=dev|prod)
	@$(SLUICE) destroy --target $(TARGET) --env $(ENV) $(ARGS)

demo: bootstrap ## Runs the main job on real input and verifies every row
	@$(SLUICE) demo $(ARGS)

run-pipeline: bootstrap ## Loads a month of taxi trips (YEAR=2024 MONTH=09)
	@$(SLUICE) taxi run "$(YEAR)-$(MONTH)" $(ARGS)

verify: bootstrap ## Verifies every row: of the pipeline's objects, and of the months of taxi trips that are loaded
	@$(SLUICE) verify $(ARGS)
	@$(SLUICE) taxi verify $(ARGS)

demo-taxi: bootstrap ## Makes a month of taxi trips, serves it, loads it, verifies it and shows the view
	@$(SLUICE) taxi demo $(ARGS)

test: bootstrap ## Runs all suites: both halves of the end-to-end ones, which mostly wait, beside the others
	@$(PYTEST) -n 4 tests/unit tests/contract tests/infra tests/e2e $(ARGS)

everything: bootstrap ## Runs all suites with the thorough tests, which vary what `make test` shows, and all points of the sweeps: hours
	@THOROUGH=1 SWEEP=full $(PYTEST) -n 4 tests/unit tests/contract tests/infra tests/e2e $(ARGS)

unit: bootstrap ## Runs the unit tests (no network, no engine)
	@$(PYTEST) tests/unit $(ARGS)

contract: bootstrap ## Runs the contract tests: one AWS behaviour each
	@$(PYTEST) tests/contract $(ARGS)

infra-test: bootstrap ## Checks the Terraform: fmt, validate, terraform test, policies, and checkov on the plan of prod
	@SCAN=1 $(PYTEST) tests/infra $(ARGS)

e2e: bootstrap ## Runs the end-to-end tests on engines of their own (STACK=running: on yours; IAM=record: policies not enforced; TARGET=aws ENV=dev: those that an account can be asked)
	@ENV=$(ENV) $(PYTEST) $(if $(filter running,$(STACK))$(filter aws,$(TARGET)),,-n 2) tests/e2e $(ARGS)

promote-check: bootstrap ## The road to an account, on an engine of its own: minutes (ARGS=--all: with all branches)
	@TARGET=aws $(BIN)/python -m sluice.promotion.check $(ARGS)

fuzz: bootstrap ## Tries the readers with random rows, formats and damage for some minutes (FUZZ_EXAMPLES=2000)
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-2000} $(PYTEST) -n 2 tests/unit/core/test_row_properties.py tests/unit/core/test_field_checks.py $(ARGS)

sweep: bootstrap ## Breaks every call of every branch in all four ways (in e2e in one way each in turn, a half of them a day)
	@SWEEP=full $(PYTEST) $(if $(filter running,$(STACK)),,-n 2) -m sweep tests/e2e $(ARGS)

soak: bootstrap ## 5,000 objects under duplicates, poison, kills, throttles and replays; HOURS=1: memory under a steady load
	@$(if $(HOURS),$(SLUICE) bench soak --hours $(HOURS) $(ARGS),SOAK_OBJECTS=$${SOAK_OBJECTS:-5000} $(PYTEST) tests/e2e/faults/test_soak.py $(ARGS))

bench: bootstrap ## Measures; prints the figures and writes them as JSON
	@$(SLUICE) bench $(ARGS)

bench-peer: bootstrap ## The hop on other emulators, too, side by side
	@$(SLUICE) bench --peer $(ARGS)

bench-scale: bootstrap ## How it does with 100,000 objects, 1,000,000 messages and a large verify (a quarter of an hour)
	@$(SLUICE) bench scale --measured $(ARGS)

bench-docker: bootstrap ## The same measurement on both engines, embedded and in containers, side by side
	@$(SLUICE) bench --docker $(ARGS)

lint: bootstrap ## Checks style, types, the directions of imports, and the workflows of GitHub Actions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file localstack/extension/pyproject.toml
	@$(BIN)/lint-imports --cache-dir .sluice/cache/import-linter
	@cd localstack/extension && "$(CURDIR)/$(BIN)/lint-imports" --cache-dir ../../.sluice/cache/import-linter
	@$(BIN)/zizmor --offline --no-progress --quiet --strict-collection .github

docs: bootstrap ## Builds the documentation's site; a link that leads nowhere fails it
	@$(SLUICE) docs $(ARGS)

fmt: bootstrap ## Formats Python and Terraform
	@$(BIN)/ruff check -q --fix-only . ; $(BIN)/ruff format . ; if command -v terraform >/dev/null; then terraform fmt -recursive infra; fi

clean: ## Stops the engine and removes everything that was made
	@if [ -x $(SLUICE) ] && $(SLUICE) --version >/dev/null 2>&1; then $(SLUICE) clean $(ARGS); fi
	@rm -rf .sluice
