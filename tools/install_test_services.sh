#!/bin/bash
# Install what tests start themselves: PostgreSQL, a registry of OCI, wrk that asks model servers, and Chromium.
#
# Does nothing when all are there. Only root on a system with apt-get can install them; elsewhere, or when the
# installation fails, the tests that need them skip with the reason. With TEST_SERVICES=required (CI) a missing
# PostgreSQL or registry is an error instead.
set -eu -o pipefail

has_postgres() {
    command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
}

has_chromium() {
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null
}

has_registry() {
    command -v docker-registry >/dev/null
}

install() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$1" >"$log" 2>&1 &&
        return
    echo "warning: \`apt-get install $1\` failed; the tests that need it will skip:" >&2
    tail -n 5 "$log" >&2
}

missing=()
has_postgres || missing+=(postgresql)
has_registry || missing+=(docker-registry)
command -v wrk >/dev/null || missing+=(wrk)
has_chromium || missing+=(chromium)

if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    echo "Installing ${missing[*]} for the tests"
    apt-get -qq update >"$log" 2>&1 || echo "warning: \`apt-get update\` failed: $(tail -n 1 "$log")" >&2
    for package in "${missing[@]}"; do
        install "$package"
    done
elif [ ${#missing[@]} -gt 0 ]; then
    echo "Not installed, and only root on Debian can install it here: ${missing[*]}. The tests that need it will skip"
fi

if [ "${TEST_SERVICES:-}" = required ] && ! has_postgres; then
    echo "error: PostgreSQL is required (TEST_SERVICES=required) and could not be installed" >&2
    exit 1
fi
if [ "${TEST_SERVICES:-}" = required ] && ! has_registry; then
    echo "error: docker-registry is required (TEST_SERVICES=required) and could not be installed" >&2
    exit 1
fi
