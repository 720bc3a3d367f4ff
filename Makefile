# Everything runs with the Node 24 and the tools of node_modules.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
SHELL := /bin/sh
# The processes of the demo, the tests and the benches start in half the time.
export NODE_COMPILE_CACHE ?= $(CURDIR)/.grp/compiled
.DEFAULT_GOAL := help

# Of run-<runner tag> and test-runners: where to send, for which repository (without: one that the catalog names), and
# whether something may really be launched.
HOST ?= http://localhost:3000
REPOSITORY ?=
DRY_RUN ?= true
# In the shell of a recipe: the environment's or .env's own, else the one for local tests.
TOKEN = WEBHOOK_TOKEN="$$(node scripts/webhook-token.ts)" && export WEBHOOK_TOKEN
GRP = node apps/ops/src/cli.ts
TO = --to "$(HOST)" $(if $(REPOSITORY),--repository "$(REPOSITORY)")

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-zA-Z%<>_-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install the locked dependencies, Node 24, a Redis server and curl, where missing
	@scripts/setup.sh

.PHONY: demo
demo: setup ## Show the whole product with no account anywhere; ONCE=1 ends by itself with a summary
	@ONCE="$(ONCE)" GRP_ENV_FILE=none node packages/sandbox/src/demo/main.ts

.PHONY: run
run: setup ## Start ingress, worker and ops from the environment or .env; without REDIS_URL a Redis of their own too
	@node scripts/run.ts

.PHONY: grp
grp: setup ## The command line: make grp ARGS="status"
	@$(GRP) $(ARGS)

.PHONY: validate
validate: setup ## Check the catalog of runner classes (RUNNERS_FILE, else runners.yaml)
	@$(GRP) validate

.PHONY: test-tools
test-tools: ## Fetch what some tests need beside Node and Redis: shellcheck, cloud-init, iptables
	@scripts/setup-tests.sh

.PHONY: test
test: setup test-tools ## Run every test
	@scripts/test.sh

.PHONY: unit-tests
unit-tests: setup test-tools ## Run the tests that stand beside the code
	@scripts/test.sh 'packages/*/src/**/*.test.ts' 'apps/*/src/**/*.test.ts'

.PHONY: coverage
coverage: setup test-tools ## Run every test and say which lines they reach; the report is in coverage/
	@NODE_DISABLE_COMPILE_CACHE=1 c8 scripts/test.sh

.PHONY: chaos
chaos: setup ## Break things on purpose for ten minutes at most; SEED=… replays a run, RUNS=… sets their number
	@GRP_ENV_FILE=none node test/chaos/main.ts

.PHONY: scenarios
scenarios: setup ## Outages of a minute, no room, ten thousand jobs: what comes of each; takes 40 minutes
	@GRP_ENV_FILE=none node test/scenarios/main.ts

.PHONY: bench
bench: setup ## Measure everything in ten minutes at most, and compare it with its baselines (docs/benchmarks.md)
	@GRP_ENV_FILE=none node bench/src/main.ts

bench-%: setup FORCE ## Measure the row % of that table, with its baseline
	@GRP_ENV_FILE=none node bench/src/main.ts $*

.PHONY: check
check: static test ## Everything that CI wants: static and test

.PHONY: static
static: types lint imports unused shell generated lockfile ## All checks but the tests

.PHONY: types
types: setup ## Check types
	@tsc --noEmit -p tsconfig.json

.PHONY: lint
lint: setup ## Check lint rules and format
	@biome check .

.PHONY: format
format: setup ## Format, and mend what can be mended safely
	@biome check --write .

.PHONY: imports
imports: setup ## Check the import rules of the house
	@depcruise --config .dependency-cruiser.cjs apps packages bench test scripts

.PHONY: unused
unused: setup ## Find unused files, exports and dependencies
	@knip

.PHONY: shell
shell: ## Check shell scripts
	@scripts/lint-shell.sh

.PHONY: schema
schema: setup ## Write runners.schema.json anew from the catalog's source
	@node scripts/write-schema.ts

.PHONY: generated
generated: setup ## Check that generated files are current
	@scripts/check-generated.sh

.PHONY: lockfile
lockfile: ## Check that the lockfile names no registry
	@scripts/check-lockfile.sh

.PHONY: test-runners
test-runners: setup ## Dry-run deliveries for every runner class to HOST, as of REPOSITORY=owner/name, and a table of what came of them
	@$(TOKEN) && $(GRP) test-runners $(TO)

# An implicit rule can't be phony; FORCE makes it run though a file of that name may exist.
run-%: setup FORCE ## Send a delivery that asks for the label %, as of REPOSITORY=owner/name, to HOST and show what comes of it (DRY_RUN=true unless told otherwise)
	@$(TOKEN) && $(GRP) send --label "$*" $(TO) --wait $(if $(filter false 0 no,$(DRY_RUN)),,60 --dry-run)

.PHONY: FORCE
FORCE:

.PHONY: clean
clean: ## Remove everything that can be made again; the local Redis data in .grp too
	@rm -rf coverage .grp node_modules apps/*/node_modules packages/*/node_modules bench/node_modules
