# Everything starts here; `make help` lists the targets.
PYTHON ?= python3
# What to install: requirements.lock for everything, requirements-site.lock for rendering alone,
# requirements-gpu.lock for everything with TensorFlow on an NVIDIA GPU.
LOCK ?= requirements.lock
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(LOCK)

# Three workers keep two cores busy, since many tests wait for a browser or a kernel. EXECUTED=FOLDER
# spares executing the book again: the tests use the pages that ran in that folder, in full and
# with sketches.
PYTEST = $(BIN)/python -m pytest --numprocesses 3 --dist worksteal $(if $(EXECUTED),--executed=$(EXECUTED))

# The explorers' forward pass, in C and compiled.
CORE := code/onions/extension/explorers/core
WASM ?= $(CORE).wasm

.PHONY: help install book live bundle test test-quick test-browser test-slow check look report
.PHONY: rehearse bench browser gpu core lock clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
	@echo
	@echo 'Example:    ONIONS_DATA=sketches make book'

install: $(READY) ## Make the environment in .venv from a lock (LOCK=requirements-gpu.lock)

$(READY): $(LOCK) pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo 'Install python3, or name a Python: make PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) install.py $(LOCK) $(if $(filter file,$(origin PYTHON)),,--python $(PYTHON))
	@touch $(READY)

book: install ## Execute the pages that changed, render the site, print its address
	@$(BIN)/onions execute
	@$(BIN)/onions render

live: install ## Show every edit in a browser at once (PROFILE=smoke: train briefly first)
	@$(BIN)/onions live $(if $(PROFILE),--profile $(PROFILE))

bundle: install browser ## Make a PDF, an EPUB and a zip of the executed book in _build/bundle
	@$(BIN)/onions bundle

test: install browser ## Run all tests except the slow ones, in a real browser
	@$(PYTEST) -m "not slow"

test-quick: install ## Run the tests that need no browser and no kernel
	@$(PYTEST) -m quick

test-browser: install browser ## Run the other tests, except the slow ones
	@$(PYTEST) -m "(browser or kernel) and not slow"

test-slow: install ## Run the tests that make whole environments, and random edits
	@$(PYTEST) -m slow

check: install ## Format, lint, types, import layers, spelling, page rules, workflows, forms
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/codespell
	@$(BIN)/onions check
	@$(BIN)/zizmor --offline --quiet .github
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*.yml
	@echo 'All checks passed.'

look: install browser ## Test the site in _build/html in a real browser
	@$(PYTEST) -m site --built=.

report: install ## Write _build/report.md: the state of each page, and what differs from BASE (BASE=main)
	@$(BIN)/onions status --markdown > _build/report.md
	@echo >> _build/report.md
	@$(BIN)/onions diff "$(BASE)" . --format markdown >> _build/report.md 2>&1 || test $$? -le 2

rehearse: install browser ## Run the jobs of .github/workflows here, from push to deployed site
	@PYTHONPATH=tests $(BIN)/python -m support.rehearse

bench: install browser ## Compare with other tools on the same pages, in about 40 minutes (PEERS=nbsphinx)
	@$(BIN)/python benchmarks/compare.py $(if $(PEERS),--peers $(PEERS))

browser: install ## Find Chromium, or install it
	@$(BIN)/python tests/support/install_browser.py

gpu: ## Check that an NVIDIA GPU responds
	@nvidia-smi -L || { echo 'No NVIDIA GPU responds. Repair its driver, or run on the CPU: without LOCK' \
	  'on your machine, without the variable GPU_RUNNER on GitHub (.github/README.md).'; exit 1; }

COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --quiet \
  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

core: install ## Compile the explorers' core from C, with a compiler of 411 MB (WASM=FILE)
	@$(BIN)/uv run --quiet --no-project --python $(BIN)/python \
	  --with-requirements $(CORE)/requirements.lock python -m ziglang cc $(CORE)/core.c -o $(WASM) \
	  --target=wasm32-freestanding -mcpu=generic+simd128 -O3 -g0 -s -nostdlib \
	  -Wl,--no-entry -Wl,--export=__heap_base

lock: install ## Pin requirements.txt again, for Python 3.11 to 3.13
	$(COMPILE) --upgrade requirements.txt -o requirements.lock
	$(COMPILE) -c requirements.lock requirements-site.txt -o requirements-site.lock
	$(COMPILE) -c requirements.lock requirements.txt requirements-gpu.txt -o requirements-gpu.lock
	$(COMPILE) --upgrade $(CORE)/requirements.txt -o $(CORE)/requirements.lock
	for peer in benchmarks/peers/*.txt; do $(COMPILE) --upgrade "$$peer" -o "$${peer%.txt}.lock"; done

clean: ## Delete everything that was built
	rm -rf _build
