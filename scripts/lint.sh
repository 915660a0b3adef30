#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every linter, a line each; goes on after a failure, so that one run shows everything, and then fails.
set -u
cd "$(dirname "$0")/.." || exit
bin=.venv/bin
failed=

step() {
    name=$1
    shift
    if output=$("$@" 2>&1); then
        echo "lint: $name ok"
    else
        printf '%s\n' "$output"
        echo "lint: $name FAILED"
        failed="$failed $name"
    fi
}

tracked() {
    git ls-files -co --exclude-standard -- "$@"
}

step style $bin/ruff check .
step format $bin/ruff format --check .
step types $bin/mypy
step imports env PYTHONPATH=plugins $bin/lint-imports --no-cache
step sql $bin/sqlfluff lint --disable-progress-bar include/sql
# Names of files here hold no blanks.
# shellcheck disable=SC2046
step yaml $bin/yamllint --strict $(tracked '*.yaml' '*.yml')
if command -v shellcheck >/dev/null; then
    # shellcheck disable=SC2046
    step shell shellcheck $(tracked '*.sh' .ci/run)
else
    echo "lint: shell not checked, shellcheck is not installed"
fi

[ -z "$failed" ] || { echo "lint: see above:$failed"; exit 1; }
