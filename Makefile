# Everything starts here; `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help install book test check browser lock clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo
	@echo 'Example:    ONIONS_DATA=sketches make book'

install: $(READY) ## Make the environment in .venv from requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo 'Python 3.11, 3.12 or 3.13 is needed; name one: make PYTHON=python3.12 book'; exit 1; }
	@echo 'Installing the pinned packages into $(VENV), about 3 GB; this takes a minute or more.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $(READY)

book: install ## Execute the pages that changed, render the site, print its address
	@$(BIN)/onions execute
	@$(BIN)/onions render

test: install browser ## Run all tests, in a real browser
	@$(BIN)/python -m pytest

check: install ## Format, lint, types, import layers, spelling, page rules
	@$(BIN)/ruff format --check code tests benchmarks
	@$(BIN)/ruff check code tests benchmarks
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/codespell
	@$(BIN)/onions check

browser: install ## Find Chromium, or install it
	@$(BIN)/python tests/browser.py

lock: install ## Pin requirements.txt again, for Python 3.11 to 3.13
	$(BIN)/uv pip compile requirements.txt --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --quiet --upgrade \
	  --custom-compile-command 'make lock' -o requirements.lock

clean: ## Delete everything that was built
	rm -rf _build
