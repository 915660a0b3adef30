#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Brings docker-compose.yaml up with its profile `demo`, looks at one check, and takes it down: tests/compose/up.py.
#
# On an engine of its own, in namespaces of its own: no engine of the machine is asked, no port of it taken, no firewall rule or
# bridge made on it, and what is left when this ends, however it ends, ends with it. Nothing comes from Docker Hub: the base
# images are stand-ins from Debian's packages, Ubuntu's MySQL and PyPI (tests/compose/images).
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

fail() {
    echo "test-compose: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "needs root, for an engine of its own: sudo make test-compose"
missing=
for program in dockerd docker docker-compose debootstrap iptables ip; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
[ -z "$missing" ] || fail "needs an engine, and there is no$missing here:" \
    "apt-get install docker.io docker-compose debootstrap iptables iproute2"

scripts/mysql.sh 8.4
scripts/test_compose_base.sh
# shellcheck disable=SC2016
exec unshare --mount --net --pid --fork --kill-child --mount-proc \
    sh -c 'ip link set lo up && exec "$@"' sh .venv/bin/python -m pytest tests/compose/up.py "$@"
