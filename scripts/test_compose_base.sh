#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The root file system that all stand-in images are made from: Debian 12 with the servers, and Airflow with the pinned packages.
# Kept in .tools/compose/base; made anew when this file changes, its Python packages when the pins do.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
base=.tools/compose/base
log=.tools/compose/base.log

# What the Dockerfile installs is here already, and no list of packages is: `apt-get update` in there has nobody to ask.
PACKAGES=ca-certificates,curl,dumb-init,gcc,libc6-dev,libmariadb-dev,mariadb-client,pkg-config,postgresql-15
PACKAGES=$PACKAGES,python-is-python3,python3-dev,python3-pip,redis-server,tzdata
# The official image brings these.
PROVIDERS="apache-airflow-providers-celery apache-airflow-providers-fab apache-airflow-providers-postgres"

system() {
    rm -rf "$base" # made by this script, and nothing is mounted below it outside of one
    debootstrap --variant=minbase --include="$PACKAGES" bookworm "$base"
    rm -rf "$base"/etc/apt/sources.list* "$base"/var/cache/apt/archives "$base"/var/lib/postgresql/15
    mkdir -p "$base"/etc/apt/sources.list.d "$base"/var/cache/apt/archives/partial
}

# In the system itself, so that what is compiled fits it; with this machine's way to the index.
packages() {
    touch "$base/uv"
    mkdir -p "$base/uv-cache"
    # shellcheck disable=SC2016
    unshare --mount sh -euc '
        mount --bind "$(readlink -f .tools/bin/uv)" "$1/uv"
        mount --bind .tools/compose/uv-cache "$1/uv-cache"
        mount -t proc proc "$1/proc"
        for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
            touch "$1$file"
            mount --bind "$(readlink -f $file)" "$1$file"
        done
        cp requirements.txt "$1/requirements.txt"
        exec chroot "$@"
    ' sh "$base" env UV_CACHE_DIR=/uv-cache SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
        /uv pip install --system --break-system-packages --compile-bytecode -r /requirements.txt "$@"
}

make_base() {
    if [ ! -e "$base.system" ] || [ "$0" -nt "$base.system" ]; then
        rm -f "$base.packages"
        system
        touch "$base.system"
    fi
    if [ ! -e "$base.packages" ] || [ requirements.txt -nt "$base.packages" ]; then
        # shellcheck disable=SC2086
        packages $PROVIDERS
        touch "$base.packages"
    fi
}

mkdir -p .tools/compose/uv-cache
echo "test-compose: the base of the stand-in images (the first time some minutes; see $log)"
set +e
(set -e && make_base) >"$log" 2>&1
status=$?
[ "$status" = 0 ] || {
    tail -n 15 "$log" >&2
    echo "test-compose: the base of the stand-in images cannot be made, see $log" >&2
}
exit "$status"
