#!/bin/sh
# Runs the vendor's own Python client against the simulator: what it cannot parse, the simulator has wrong.
# The client is installed once, into the cache. Needs python3 with venv; every process started here ends here.
set -eu

version=2.1.2
here=$(cd "$(dirname "$0")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/label-studio-operator"
client="$cache/label-studio-sdk-$version"

if ! command -v python3 >/dev/null; then
    echo "python3 is missing: install it with your package manager (Debian: apt-get install python3-venv)" >&2
    exit 1
fi

if [ ! -e "$client/complete" ]; then
    echo "Installing label-studio-sdk $version into $client (once)" >&2
    mkdir -p "$cache"
    # A half-made one, from a run that was interrupted, is made anew.
    rm -rf "$client"
    python3 -m venv "$client"
    "$client/bin/pip" install --quiet --disable-pip-version-check "label-studio-sdk==$version"
    touch "$client/complete"
fi

cd "$here/../.."
cargo build --quiet -p label-studio-simulator
simulator="${CARGO_TARGET_DIR:-target}/debug/label-studio-simulator"

work=$(mktemp -d)
process=
stop() {
    if [ -n "$process" ]; then
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
        process=
    fi
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

check() {
    edition=$1
    "$simulator" --edition "$edition" --listen 127.0.0.1:0 --members 30 --token-file "$work/$edition.json" >"$work/$edition.log" 2>&1 &
    process=$!
    waited=0
    while [ ! -e "$work/$edition.json" ]; do
        waited=$((waited + 1))
        if [ "$waited" -gt 100 ] || ! kill -0 "$process" 2>/dev/null; then
            cat "$work/$edition.log" >&2
            echo "the simulator did not start" >&2
            exit 1
        fi
        sleep 0.1
    done
    if ! "$client/bin/python" "$here/check-with-vendor-client.py" "$edition" "$work/$edition.json"; then
        echo "what the $edition simulator was asked:" >&2
        # From the first request on: the lines before hold the tokens.
        grep -E '^ *[0-9.]+s ' "$work/$edition.log" | tail -n 20 >&2 || true
        exit 1
    fi
    stop
}

check enterprise
check community
