#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs what is missing, and only that: system packages from apt, uv, and a virtualenv with pinned packages.
#
#   scripts/setup.sh run   what `make demo` and an installation need
#   scripts/setup.sh dev   the tools of `make lint` and `make test` on top
#   scripts/setup.sh uv    uv alone, for `make requirements`
#   scripts/setup.sh distributed   PostgreSQL's programs, for `make test-distributed`
#
# Nothing is assumed but a POSIX shell. It starts and enables no service: the packages of the two servers are the ones
# that hold the program without the service around it.
set -eu

UV_VERSION=0.13.9
# Byte-code makes every later start of Airflow two seconds faster.
unset PYTHONDONTWRITEBYTECODE
PATH=$PATH:/usr/sbin:/sbin
# The machine's own certificates: uv and pip bring theirs, which do not hold behind a company's proxy.
if [ -r /etc/ssl/certs/ca-certificates.crt ]; then
    export SSL_CERT_FILE="${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}"
    export PIP_CERT="${PIP_CERT:-$SSL_CERT_FILE}"
fi
cd "$(dirname "$0")/.."

fail() {
    echo "setup: $*" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

have_uv() {
    uv --version >/dev/null 2>&1
}

# The first Python on PATH (or $PYTHON) that the pinned packages are made for, as the path of the real program: a shim
# or a link may point elsewhere tomorrow.
find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        "$candidate" - 2>/dev/null <<'PY' && return
import os, sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(1)
print(os.path.join(sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2]))
PY
    done
    return 1
}

# The apt packages that this machine lacks, one a line.
missing_packages() {
    # Ubuntu 22.04 has the version in these two names.
    { have mariadbd && have mariadb-install-db; } || echo 'mariadb-server-core*'
    have my_print_defaults || echo 'mariadb-client-core*'
    # redis-server is this package's redis-check-rdb called by another name; see link_redis.
    have redis-server || have redis-check-rdb || echo redis-tools
    # mysqlclient has no wheels for Linux.
    have cc || printf '%s\n' gcc libc6-dev
    have pkg-config || echo pkg-config
    pkg-config --exists mysqlclient 2>/dev/null || pkg-config --exists libmariadb 2>/dev/null || echo libmariadb-dev
    "$python" -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' 2>/dev/null ||
        echo "$(basename "$python")-dev"
    have_uv || "$python" -c 'import ensurepip, venv' 2>/dev/null || echo "$(basename "$python")-venv"
}

# The same for what only some tests need: PHP with Laravel and what sshd is linked with for incident actions, a browser for the
# status page.
missing_test_packages() {
    [ -r /usr/share/php/Illuminate/autoload.php ] && php -m | grep -qx pdo_mysql ||
        printf '%s\n' php-cli php-mysql php-laravel-framework
    have chromium || have chromium-browser || have google-chrome || echo chromium
    set -- /usr/lib/*/libwrap.so.0 /usr/lib/*/libnss_wrapper.so
    have sshd || { [ -e "$1" ] && [ -e "$2" ]; } || printf '%s\n' libwrap0 libgssapi-krb5-2 libnss-wrapper
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    have apt-get && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

# Adds packages, never removes one (a MySQL that is there conflicts with MariaDB), restarts no service.
apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -o DPkg::Lock::Timeout=300 \
        install -y -q --no-install-recommends --no-remove "$@" >.tools/apt.log 2>&1
}

# Lists of packages that are there serve; absent or outdated ones are fetched.
install_packages() {
    may_install || fail "system packages are missing; please run: sudo apt-get install --no-install-recommends" \
        "$(echo "$*" | sed "s/[^ ]*\*/'&'/g")"
    echo "setup: installing from apt: $*"
    apt_install "$@" || { as_root apt-get update -q >/dev/null && apt_install "$@"; } || {
        tail -n 15 .tools/apt.log >&2
        fail "apt-get could not install $* (see .tools/apt.log)"
    }
}

# Debian's redis-server package adds to redis-tools a name and a service that starts at boot. The name is enough.
link_redis() {
    have redis-server || ln -sf "$(command -v redis-check-rdb)" .tools/bin/redis-server
}

ensure_python() {
    python=$(find_python) && return
    if ! have python3 && may_install; then
        install_packages python3
        python=$(find_python) && return
    fi
    fail "needs Python 3.11, 3.12 or 3.13 and found $("${PYTHON:-python3}" --version 2>/dev/null || echo none);" \
        "install one, or name it: make PYTHON=/path/to/python3.11"
}

ensure_system() {
    # Names of packages hold no blanks, and their asterisk is for apt.
    set -f
    # shellcheck disable=SC2046
    set -- $(missing_packages)
    set +f
    [ $# = 0 ] || install_packages "$@"
}

# Without them `make test` says which tests it skips and why. The package of sshd would start a service, so its program alone is
# taken out of it.
ensure_test_programs() {
    # shellcheck disable=SC2046
    set -- $(missing_test_packages)
    [ $# = 0 ] || (install_packages "$@") || echo "setup: going on without them, so some tests are skipped"
    have sshd || [ -x .tools/sshd/usr/sbin/sshd ] || {
        mkdir -p .tools/sshd
        (cd .tools/sshd && apt-get download -q openssh-server && dpkg -x openssh-server_*.deb .) >.tools/apt.log 2>&1
    } || echo "setup: no sshd, so the tests over SSH are skipped (see .tools/apt.log)"
}

link_postgres() {
    for bin in /usr/lib/postgresql/*/bin "$PWD"/.tools/postgresql/usr/lib/postgresql/*/bin; do
        if [ -x "$bin/initdb" ]; then
            ln -sf "$bin/initdb" "$bin/postgres" .tools/bin/
            return
        fi
    done
    return 1
}

# The libraries of an apt package that this machine lacks. LLVM is for a compiler of queries that a test can do without.
missing_libraries() {
    apt-cache depends "$1" | sed -n 's/.*Depends: \(lib[^ ]*\)$/\1/p' | grep -v llvm | while read -r library; do
        dpkg-query -W -f='${Status}\n' "$library" 2>/dev/null | grep -q ' installed$' || echo "$library"
    done
}

# PostgreSQL's package would start a server at every boot, so the programs alone are taken out of it.
ensure_postgres() {
    if have initdb && have postgres || link_postgres; then return; fi
    may_install || fail "PostgreSQL is missing; please run: sudo apt-get install --no-install-recommends postgresql"
    package=$(apt-cache depends postgresql | sed -n 's/.*Depends: \(postgresql-[0-9]*\)$/\1/p')
    # shellcheck disable=SC2046
    set -- $(missing_libraries "$package")
    [ $# = 0 ] || install_packages "$@"
    mkdir -p .tools/postgresql
    (cd .tools/postgresql && apt-get download -q "$package" && dpkg -x "$package"_*.deb .) >.tools/apt.log 2>&1
    link_postgres || fail "no PostgreSQL was found in the package $package (see .tools/apt.log)"
}

ensure_uv() {
    [ ! -x .tools/bin/uv ] || return 0
    if have_uv; then
        ln -sf "$(command -v uv)" .tools/bin/uv
        return
    fi
    echo "setup: installing uv $UV_VERSION"
    "$python" -m venv .tools/uv
    .tools/uv/bin/python -m pip install -q --disable-pip-version-check "uv==$UV_VERSION"
    ln -sf ../uv/bin/uv .tools/bin/uv
}

# uv reads its own settings, not pip's: a mirror that is named for pip serves uv as well.
install_requirements() {
    if [ -n "${PIP_INDEX_URL:-}" ]; then UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}; export UV_DEFAULT_INDEX; fi
    .venv/bin/python -c '' 2>/dev/null || .tools/bin/uv venv -q --clear --python "$python" .venv
    echo "setup: installing Python packages from $*"
    for file in "$@"; do set -- "$@" -r "$file"; shift; done
    .tools/bin/uv pip install -q --python .venv/bin/python "$@"
}

mkdir -p .tools/bin
ensure_python
case ${1:-} in
run)
    ensure_system
    link_redis
    ensure_uv
    install_requirements requirements.txt
    ;;
dev)
    ensure_test_programs
    ensure_uv
    install_requirements requirements.txt requirements-dev.txt
    ;;
uv)
    ensure_uv
    ;;
distributed)
    ensure_postgres
    ;;
*)
    fail "usage: scripts/setup.sh run | dev | uv | distributed"
    ;;
esac
