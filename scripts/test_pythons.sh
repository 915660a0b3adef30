#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Unit and DAG tests on each supported Python that is installed, each in a virtualenv of its own below .tools. For one that is
# not, only this is found out: whether the index has a wheel of every pinned package for it (mysqlclient has none for Linux).
# Goes on after a failure, so that one run shows everything, and then fails.
set -u
cd "$(dirname "$0")/.." || exit
uv=.tools/bin/uv
failed=

# pyenv puts a python3.X for each version that it has on PATH, which works for the chosen one only.
find_python() {
    for candidate in "python$1" "$(pyenv root 2>/dev/null)/versions/$1".*/bin/python; do
        "$candidate" -c '' 2>/dev/null && command -v "$candidate" && return
    done
    return 1
}

on() {
    venv=.tools/python$1
    "$venv/bin/python" -c '' 2>/dev/null || $uv venv -q --clear --python "$2" "$venv" || return
    $uv pip install -q --python "$venv/bin/python" -r requirements.txt -r requirements-dev.txt || return
    "$venv/bin/python" -m pytest -q tests/unit tests/dags
}

has_wheels() {
    $uv pip compile -q --python-version "$1" --python-platform linux --only-binary :all: --no-binary mysqlclient \
        requirements.txt >/dev/null
}

for version in ${PYTHONS:-3.11 3.12 3.13}; do
    if python=$(find_python "$version"); then
        if on "$version" "$python"; then result="tests passed"; else result="FAILED"; fi
    elif has_wheels "$version"; then
        result="not installed, so nothing was run; every pinned package has a wheel for it"
    else
        result="not installed, and FAILED to find a wheel of every pinned package"
    fi
    echo "Python $version: $result"
    case $result in *FAILED*) failed="$failed $version" ;; esac
done

[ -z "$failed" ] || { echo "test-pythons: see above:$failed" >&2; exit 1; }
