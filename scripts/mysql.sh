#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Fetches a real MySQL for `make test-mysql` into .tools/mysql-VERSION, once:
#
#   scripts/mysql.sh 8.4   or 8.0
#
# No stable Debian has one, Ubuntu has these two. Nothing is installed and no root is needed: debootstrap picks and downloads the
# packages of a small Ubuntu and checks their signatures, and the server and its libraries are taken out of them.
set -eu

ARCHIVE=http://archive.ubuntu.com/ubuntu
# The keys that Ubuntu signs its archive with. The sum is the one in Ubuntu's own signed index; the key of 2018 has the
# fingerprint F6EC B376 2474 EDA9 D21B 7022 8719 20D1 991B C93C.
KEYRING=ubuntu-keyring_2023.11.28.1build1_all.deb
KEYRING_SHA256=c377ccf26964f4c206c05c0bc7adb708e031beb919bb9a0ff63af983d064cd66
PATH=$PATH:/usr/sbin:/sbin
cd "$(dirname "$0")/.."

fail() {
    echo "mysql: $*" >&2
    exit 1
}

case ${1:-} in
8.4) suite=resolute package=mysql-server-core ;;
8.0) suite=noble package=mysql-server-core-8.0 ;;
*) fail "there is no VERSION=${1:-}: it is 8.4 or 8.0; for any other server name yours, make test-mysql DSN=…" ;;
esac
root=.tools/mysql-$1
[ ! -x "$root/usr/sbin/mysqld" ] || exit 0

command -v debootstrap >/dev/null || fail "debootstrap is missing; please run: sudo apt-get install debootstrap"
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] ||
    fail "this needs Debian or Ubuntu on amd64; name a server of yours instead: make test-mysql DSN=…"
mkdir -p .tools
echo "mysql: downloading MySQL $1 (about 70 MB)"
work=$(mktemp -d .tools/mysql.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
work=$PWD/$work

wget -q -P "$work" "$ARCHIVE/pool/main/u/ubuntu-keyring/$KEYRING" || fail "$ARCHIVE cannot be reached from here"
echo "$KEYRING_SHA256  $work/$KEYRING" | sha256sum --check --status || fail "$KEYRING is not the file it should be"
dpkg -x "$work/$KEYRING" "$work/keys"
# Every Ubuntu is made like gutsy, and debootstrap may be older than the one that is asked for.
debootstrap --download-only --variant=minbase --include="$package" --force-check-gpg \
    --keyring="$work/keys/usr/share/keyrings/ubuntu-archive-keyring.gpg" \
    "$suite" "$work/ubuntu" "$ARCHIVE" gutsy >"$work/log" 2>&1 || {
    tail -n 15 "$work/log" >&2
    fail "debootstrap could not download $package of Ubuntu $suite"
}
for file in "$work"/ubuntu/var/cache/apt/archives/mysql-*.deb "$work"/ubuntu/var/cache/apt/archives/lib*.deb \
    "$work"/ubuntu/var/cache/apt/archives/zlib1g*.deb; do
    dpkg -x "$file" "$work/root"
done
mv "$work/root" "$root"
