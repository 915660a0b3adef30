# SPDX-License-Identifier: MIT
# Every command of this project. `make` alone lists them.

SCENARIO ?= phase_failures

PY   := .venv/bin/python
RUN  := .venv/.run-requirements
DEV  := .venv/.dev-requirements

# Redis may be a link in .tools, and MariaDB's server is in a directory that only root has on PATH.
export PATH := $(CURDIR)/.tools/bin:$(PATH):/usr/sbin:/sbin
export PYTHONPATH := $(CURDIR)/plugins:$(CURDIR)
# Without byte-code every start of Airflow takes two seconds more.
unexport PYTHONDONTWRITEBYTECODE
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- See it ---------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(RUN)  ## run the hourly check once in real Airflow and show what it told Slack (SCENARIO=healthy …)
	@$(PY) -m demo.run $(SCENARIO)

.PHONY: demo-reports
demo-reports: $(RUN)  ## make the weekly and the monthly report of the stand-in application, and say where they are
	@$(PY) -m demo.reports

.PHONY: up
up: $(RUN)  ## the check of `make demo`, and stay: Airflow's pages and the stand-in Slack's (SCENARIO=…), until Ctrl-C
	@$(PY) -m demo.run $(SCENARIO) --up

.PHONY: clean
clean:  ## remove everything that was made here: data, servers, virtualenv, caches
	@if [ -x $(PY) ]; then $(PY) -m demo.clean && $(PY) -m benchmarks.clean; fi
	@find . -path ./.git -prune -o -path ./.venv -prune -o -name __pycache__ -exec rm -rf {} +
	@rm -rf .venv .tools .demo .bench .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.PHONY: picture
picture: $(RUN)  ## render the pictures in docs/: a Slack thread, the status page, the reports (needs Chromium)
	@$(PY) -m demo.picture

# --- Use it ---------------------------------------------------------------------------------------------------------

.PHONY: doctor
doctor: $(RUN)  ## go through the connections of this installation: what works, what to fix
	@$(PY) -m processing_time.doctor

.PHONY: test-rules
test-rules: $(RUN)  ## test alert rules: the shipped ones, or your own (FILE=rules.yaml)
	@$(PY) -m processing_time.rule_tests $(or $(FILE),tests/rules/*.yaml)

.PHONY: replay
replay: $(RUN)  ## what the settings in force would have alerted, beside what was (FROM=2026-03-01 TO=2026-03-08)
	@if [ -z "$(FROM)" ]; then echo "Say since when: make replay FROM=2026-03-01, and TO=2026-03-08 if not until now" >&2; exit 2; fi
	@$(PY) -m processing_time.replay --from "$(FROM)" $(if $(TO),--to "$(TO)")

# --- Change it ------------------------------------------------------------------------------------------------------

.PHONY: test
test: $(DEV)  ## every test but those of several workers and of containers
	@$(PY) -m pytest -n 2 --dist loadfile

.PHONY: test-unit test-sql test-dags test-integration
test-unit: $(DEV)  ## the tests that need no server and no network
test-sql: $(DEV)  ## every query, rows in and rows out, on a real MariaDB
test-dags: $(DEV)  ## the DAGs as Airflow loads them
test-integration: $(DEV)  ## whole checks against a real MariaDB, Redis and HTTP
test-unit test-sql test-dags test-integration:
	@$(PY) -m pytest tests/$(@:test-%=%)

.PHONY: test-laravel
test-laravel: $(DEV)  ## the actions that go through the application, on a real Laravel, here and over SSH
	@$(PY) -m pytest tests/integration/test_artisan_laravel.py tests/integration/test_artisan_ssh.py tests/integration/test_env_file.py

.PHONY: test-distributed
test-distributed: $(DEV)  ## checks on several workers (CeleryExecutor, Redis, PostgreSQL), of which one dies; minutes
	@scripts/setup.sh distributed
	@$(PY) -m pytest tests/distributed

.PHONY: test-mysql
test-mysql: export PROCESSING_TIME_TEST_DSN = $(DSN)
test-mysql: $(DEV)  ## what uses the database, on a real MySQL (VERSION=8.4|8.0), or the queries on yours (DSN=mysql://…)
	@if [ -n "$$PROCESSING_TIME_TEST_DSN" ]; then $(PY) -m pytest tests/sql; else \
	    scripts/mysql.sh $(or $(VERSION),8.4) && PROCESSING_TIME_TEST_MYSQL=.tools/mysql-$(or $(VERSION),8.4) \
	        $(PY) -m pytest -n 2 --dist loadfile tests/sql tests/integration; fi

.PHONY: test-pythons
test-pythons:  ## unit and DAG tests on each of Python 3.11, 3.12 and 3.13 that is installed; wheels for the others
	@scripts/setup.sh uv
	@scripts/test_pythons.sh

.PHONY: test-compose
test-compose: $(DEV)  ## the Compose file, up for a check on an engine of its own (as root; not part of `make test`)
	@scripts/test_compose.sh -n 0

.PHONY: lint
lint: $(DEV)  ## style, types, SQL, YAML, shell and the direction of imports
	@scripts/lint.sh

.PHONY: format
format: $(DEV)  ## put Python and SQL files into the project's style
	@$(PY) -m ruff check --quiet --fix-only .
	@$(PY) -m ruff format --quiet .

.PHONY: settings-docs
settings-docs: $(RUN)  ## write the tables of docs/settings.md from the model
	@$(PY) -m scripts.settings_reference

.PHONY: requirements
requirements: export UV_CUSTOM_COMPILE_COMMAND = make requirements
requirements:  ## pin the newest packages that fit requirements.in and requirements-dev.in
	@scripts/setup.sh uv
	@.tools/bin/uv pip compile -q --upgrade --universal --python-version 3.11 requirements.in -o requirements.txt
	@.tools/bin/uv pip compile -q --upgrade --universal --python-version 3.11 requirements-dev.in -o requirements-dev.txt

# --- Measure it -----------------------------------------------------------------------------------------------------

.PHONY: bench
bench: $(RUN)  ## what it costs at production scale, as a table (SIZE=small|full PART=cache PEERS=1)
	@$(PY) -m benchmarks --size $(or $(SIZE),full) $(if $(PEERS),--peers) $(PART)

.PHONY: bench-docs
bench-docs: $(RUN)  ## take the last full run into docs/performance.md
	@$(PY) -m benchmarks.report

# --- Set-up: once, and again when the pins or the script change ---------------------------------------------------------

$(RUN): requirements.txt scripts/setup.sh
	@scripts/setup.sh run
	@touch $@

$(DEV): requirements-dev.txt $(RUN)
	@scripts/setup.sh dev
	@touch $@
