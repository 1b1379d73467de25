# Two commands matter: make up and make test. Both install what they need, so both need root.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.SUFFIXES:
.PHONY: help up down status shell test test-long bench engine venv lint checks format requirements

python := .venv/bin/python
# Runs a command as root and leaves its files to the owner of the checkout, whether it succeeds or not.
owned = @trap : INT; status=0; { $(1); } || status=$$?; tools/bootstrap own; exit $$status

# Tests wait for machines and packets as much as they compute: twice as many at a time as there are processors.
at_once = -n $$(($$(nproc) * 2)) --dist worksteal

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

up: ## start the sample network in namespaces, bring it up, show who reaches whom; with STACK=prod another (root)
	@tools/bootstrap lab up
	$(call owned,$(python) -m lab up $(STACK))

down: ## take down what `make up` started, without a trace (root)
	$(call owned,tools/bootstrap down)

status: ## ask the hosts of the lab that `make up` left running how they are (root)
	@$(python) -m lab meshctl --stack $(or $(STACK),dev) status

shell: ## a shell on one of its hosts: make shell host=nyc (root)
	@$(python) -m lab shell --stack $(or $(STACK),dev) $(or $(host),$(error name a site: make shell host=nyc))

test: ## every check and every test, the lab's included (root)
	@tools/bootstrap lab test
	$(call owned,$(MAKE) --no-print-directory checks && $(python) -m lab.toolchain && $(python) -m pytest $(at_once))

test-long: ## at length: 10,000 random meshes by texts, 25 by packets; every fault at every site and step (root)
	@tools/bootstrap lab test
	$(call owned,$(python) -m lab.toolchain \
		&& HYPOTHESIS_PROFILE=nightly MESHES=25 $(python) -m pytest tests/mesh/reachability tests/lab/test_random_meshes.py \
		&& FAULTS=all $(python) -m pytest $(at_once) tests/host/test_fault_kill.py \
		&& $(python) -m pytest $(at_once) -m long)

bench: ## measure, and write docs/benchmarks.md (root); part=loss, up or texts (no root) alone; quick=--quick for a glance
	@tools/bootstrap $(if $(filter-out texts,$(or $(part),all)),lab bench,venv)
	$(call owned,$(python) -m bench $(quick) $(part))

engine: ## get the Pulumi engine that the lab uses: from PATH, the release, or built
	@tools/bootstrap venv
	$(call owned,$(python) -m lab.toolchain)

venv: ## make .venv from the pinned requirements, meshctl included
	@tools/bootstrap venv

lint: ## ruff, mypy and shellcheck
	@tools/bootstrap venv
	$(call owned,$(MAKE) --no-print-directory checks)

checks:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	cat host/*.sh | .venv/bin/shellcheck -
	.venv/bin/shellcheck cli/onhost.sh lab/machine.sh tools/bootstrap .ci/run

format: ## put the code into ruff's form
	@tools/bootstrap venv
	$(call owned,.venv/bin/ruff check --fix . && .venv/bin/ruff format .)

compile = "$$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make requirements" $(upgrade)

requirements: ## compile requirements*.in again; with upgrade=--upgrade to the newest versions
	@tools/bootstrap venv
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
		&& $(python) -m venv "$$folder" && "$$folder/bin/pip" install --quiet uv==0.13.9 && uv="$$folder/bin/uv" \
		&& $(compile) requirements.in --output-file requirements.txt \
		&& $(compile) requirements-dev.in --constraint requirements.txt --output-file requirements-dev.txt \
		&& $(compile) requirements-bench.in --constraint requirements.txt --output-file requirements-bench.txt \
		&& $(compile) tools/requirements-go.in --output-file tools/requirements-go.txt
