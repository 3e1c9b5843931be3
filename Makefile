# Everything with one command. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: setup demo test check lock help ready-for-tests
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
UV ?= uv
PIN = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links
TRACES ?=
TESTS ?= tests

setup: ## Prepare .venv with everything that runs the service
	@$(if $(PYTHON),,echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=..."; exit 1;) \
	"$(PYTHON)" deploy/bootstrap.py runtime

demo: setup ## Start a demo site and print its address (PAST=30d: with a past; TRACES=folder: replays recorded power traces)
	@.venv/bin/twin demo $(if $(PAST),--past "$(PAST)") $(if $(TRACES),--traces "$(TRACES)")

# Three on two cores: tests of real parts wait for them as long as they compute.
test: check ## Check and test everything (TESTS=path for a part)
	@.venv/bin/python -m tests.chromium
	.venv/bin/python -m pytest -n 3 --dist loadgroup $(TESTS)

check: ready-for-tests ## Style, types and layers, without running anything
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy
	.venv/bin/lint-imports

lock: ## Pin every requirement anew (needs uv)
	$(PIN) pyproject.toml --output-file requirements/runtime.txt
	$(PIN) pyproject.toml --extra dev --constraint requirements/runtime.txt --output-file requirements/dev.txt
	$(PIN) requirements/build.in --output-file requirements/build.txt

help: ## List these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 14

ready-for-tests:
	@$(if $(PYTHON),,echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=..."; exit 1;) \
	"$(PYTHON)" deploy/bootstrap.py dev
