#!/bin/bash
# SPDX-License-Identifier: MIT
# As the official image: waits for the database, migrates it and makes the first user when it is told to, and goes on when that failed;
# then `bash …` and `python …` are themselves, anything else is a command of Airflow's.
set -eu
umask 0002

tries=${CONNECTION_CHECK_MAX_COUNT:-20}
while [ "$tries" -gt 0 ] && ! airflow db check >/tmp/db-check 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { cat /tmp/db-check >&2; exit 1; }
    sleep 3
done
[ -z "${_AIRFLOW_DB_MIGRATE:-}" ] || airflow db migrate || true
[ -z "${_AIRFLOW_WWW_USER_CREATE:-}" ] || airflow users create --username "$_AIRFLOW_WWW_USER_USERNAME" \
    --password "$_AIRFLOW_WWW_USER_PASSWORD" --firstname Airflow --lastname Admin --email airflowadmin@example.com --role Admin || true

case ${1:-} in
bash | python | airflow) exec "$@" ;;
*) exec airflow "$@" ;;
esac
