#!/bin/sh
# SPDX-License-Identifier: MIT
# As the official image: a first start gives root, from everywhere, the password of the environment; never without one. Then mysqld.
set -eu

usr=/opt/mysql/usr
loader=$(echo "$usr"/lib/*/ld-linux-*.so.*)

set -- setpriv --reuid=mysql --regid=mysql --clear-groups "$loader" --library-path "${loader%/*}" "$usr/sbin/mysqld" --no-defaults \
    --basedir="$usr" --lc-messages-dir="$usr/share/mysql" --plugin-dir="$usr/lib/mysql/plugin" --datadir=/var/lib/mysql --secure-file-priv=NULL

if [ ! -d /var/lib/mysql/mysql ]; then
    [ -n "${MYSQL_ROOT_PASSWORD:-}" ] || { echo "MYSQL_ROOT_PASSWORD is empty" >&2; exit 1; }
    chown mysql:mysql /var/lib/mysql
    # In a container of its own, with words that the test chooses.
    cat >/tmp/first.sql <<SQL
ALTER USER root@localhost IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
CREATE USER root@'%' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
SQL
    "$@" --initialize-insecure --init-file=/tmp/first.sql
fi
exec "$@" --socket=/run/mysqld/mysqld.sock --mysqlx=OFF
