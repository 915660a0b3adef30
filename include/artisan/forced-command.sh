#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the monitor's key may do on the application's machine, and nothing else. In authorized_keys, on one line:
#
#   restrict,command="/usr/local/lib/processing-time/forced-command.sh /srv/app" ssh-ed25519 AAAA… processing-time
#
# with processing_time.php beside this script. Arguments: the directory that holds artisan, and php by name or path.
# What the monitor asks for is in SSH_ORIGINAL_COMMAND: words without quotes, or it is refused. The program that the monitor
# sends along is not read; the one beside this script runs.
set -euf
export LC_ALL=C

application=$1
php=${2:-php}
program=$(dirname "$0")/processing_time.php
uuid='[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}'

refuse() {
    echo "processing-time: {\"error\": \"the forced command on the application's machine does not allow this\"}"
    exit 1
}

# Every argument is a whole number or a UUID, and there is one at least.
ids() {
    [ $# -gt 0 ] || refuse
    for id in "$@"; do
        printf '%s' "$id" | grep -Eqx "[0-9]{1,20}|$uuid" || refuse
    done
}

case ${SSH_ORIGINAL_COMMAND:-} in
'' | *[!A-Za-z0-9/._:\ -]*) refuse ;;
esac
# Words are letters, digits and / . _ : - here, and set -f keeps them from meaning files.
# shellcheck disable=SC2086
set -- $SSH_ORIGINAL_COMMAND

# timeout -k 5 SECONDS php
if [ $# -lt 6 ] || [ "$1 $2 $3" != 'timeout -k 5' ]; then refuse; fi
seconds=$4
printf '%s' "$seconds" | grep -Eqx '[0-9]{1,3}' || refuse
shift 5

if [ "$1" = "$application/artisan" ]; then
    shift
    case $1 in
    cache:clear | config:cache) [ $# = 1 ] || refuse ;;
    queue:retry) (shift && ids "$@") || exit 1 ;;
    *) refuse ;;
    esac
    exec timeout -k 5 "$seconds" "$php" "$application/artisan" "$@" </dev/null
fi

if [ $# -lt 3 ] || [ "$1 $2" != "-- $application" ]; then refuse; fi
shift 2
case $1 in
features | observer | failed-syncs) [ $# = 1 ] || refuse ;;
create-phases) (shift && ids "$@") || exit 1 ;;
flags | set-flags) case "$#${2:-}" in 2disable | 2enable) ;; *) refuse ;; esac ;;
*) refuse ;;
esac
exec timeout -k 5 "$seconds" "$php" "$program" "$application" "$@" </dev/null
