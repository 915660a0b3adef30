#!/bin/sh
# SPDX-License-Identifier: MIT
# As the official image: a first start makes the user and the database that the environment names; never without a password.
set -eu

as_postgres() {
    setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    [ -n "${POSTGRES_PASSWORD:-}" ] || { echo "POSTGRES_PASSWORD is empty" >&2; exit 1; }
    chown postgres:postgres "$PGDATA"
    printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
    chmod 0644 /tmp/password
    as_postgres initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 --auth-local=trust --encoding=UTF8
    rm /tmp/password
    printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    # Not to be reached from outside until the database is there.
    as_postgres pg_ctl start --wait --options="-c listen_addresses=''"
    as_postgres createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    as_postgres pg_ctl stop --wait --mode=fast
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@" -c listen_addresses='*'
