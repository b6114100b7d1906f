# Each target first brings .venv up to date with what it needs; that takes a minute once, and no time after.
# Needs Python 3.11 or later with venv, and a network the first time. Settings: shop/settings.py.

BUYERS ?= 2000
STOCK ?= 100
SEED ?=
CHAOS ?= 1
ARGS ?=

PYTHON := .venv/bin/python

.PHONY: help demo up test check requirements bench model clean always

help:
	@echo 'make demo [BUYERS=2000] [STOCK=100]  a flash sale, while things break, from nothing to its audit'
	@echo '          [SEED=7] [CHAOS=0]         the faults: again those of that seed; or none'
	@echo 'make up [ARGS="--port 8000"]         the shop, until Ctrl-C'
	@echo 'make test [ARGS="-k outbox"]         the tests, without the slow ones'
	@echo '          [ARGS="-m slow"]           the slow ones; -m "slow or not slow" is all, as .ci/run has it'
	@echo 'make check                           format, lint, types, import rules, migrations'
	@echo 'make requirements                    requirements*.txt from requirements*.in'
	@echo 'make bench [ARGS=...]                the measurements'
	@echo 'make model [ARGS=...]                every state of the messaging protocol, with more faults; hours'
	@echo 'make clean                           stop everything, delete all data and .venv'

demo: .venv/for-requirements
	@HUSH_MAKE=$$PPID SHOP_INSTANCE=demo exec $(PYTHON) manage.py demo --buyers $(BUYERS) --stock $(STOCK) \
	  $(if $(SEED),--seed $(SEED)) $(if $(filter 0,$(CHAOS)),--no-chaos) $(ARGS)

up: .venv/for-requirements
	@HUSH_MAKE=$$PPID exec $(PYTHON) manage.py up $(ARGS)

test: .venv/for-requirements
	@exec $(PYTHON) -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: .venv/for-requirements-dev
	$(PYTHON) -m tests.requirements
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports
	$(PYTHON) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(PYTHON) manage.py check

# One file for every Python from 3.11 on and every kind of machine. What is pinned already stays as it is.
requirements: .venv/for-requirements-dev
	for name in requirements requirements-dev; do \
	  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-config \
	    --custom-compile-command 'make requirements' --output-file $$name.txt $$name.in || exit 1; \
	done

bench: .venv/for-requirements
	@exec $(PYTHON) -m bench $(ARGS)

model: .venv/for-requirements
	@exec $(PYTHON) -m tests.model --deep $(ARGS)

clean:
	@for folder in var/*/; do \
	  if [ -x $(PYTHON) ] && [ -f "$$folder/servers.lock" ]; then \
	    $(PYTHON) -m shop.local clean --instance "$$(basename "$$folder")"; \
	  fi; \
	done
	rm -rf .venv var .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# A stamp holds the sum of the requirements and the place: a moved .venv does not work, so it is made anew.
.venv/for-%: always
	@want="$$(cat requirements*.txt | cksum) $$(pwd -P)"; \
	if [ "$$(cat $@ 2>/dev/null)" = "$$want" ] && $(PYTHON) -c '' 2>/dev/null; then exit 0; fi; \
	place="$$(cat .venv/place 2>/dev/null)"; \
	if ! $(PYTHON) -c 'import pip' 2>/dev/null || [ "$$place" != "$$(pwd -P)" ]; then \
	  rm -rf .venv; found=; \
	  for python in python3.13 python3.12 python3.11 python3; do \
	    if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	      found=$$python; break; \
	    fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo 'No Python 3.11 or later with the venv module was found as python3.13, python3.12, python3.11 or' \
	      'python3. On Debian and Ubuntu: apt install python3-venv. Elsewhere: https://www.python.org/downloads/' >&2; \
	    exit 1; \
	  fi; \
	  echo "making .venv with $$($$found --version)"; \
	  $$found -m venv .venv && pwd -P > .venv/place || exit 1; \
	fi; \
	echo 'installing $*.txt into .venv (a minute the first time)'; \
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r $*.txt || exit 1; \
	echo "$$want" > $@; \
	if [ $* = requirements-dev ]; then cp $@ .venv/for-requirements; fi  # it holds the other
