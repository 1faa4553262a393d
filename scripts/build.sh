#!/usr/bin/env bash
# Configures (once, or when a setting changes) and builds one preset:
#     scripts/build.sh PRESET [TARGET...]
# WERROR=ON turns warnings into errors. Output is kept short: the table of what was found, and what
# the compiler has to say.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=$1
shift
settings=()
[ -z "${WERROR:-}" ] || settings+=("-DSPW_WERROR=$WERROR")

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmake --preset "$preset" "${settings[@]}" >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
sed -n '/Spillway [0-9]/,/Configuring done/{/Configuring done/d;p}' "$log"

targets=()
[ $# -eq 0 ] || targets=(--target "$@")
echo "-- building $preset"
if ! cmake --build "build/$preset" "${targets[@]}" >"$log" 2>&1; then
    grep -v '^\[[0-9]*/[0-9]*\] \(Building\|Linking\)' "$log" >&2 || true
    exit 1
fi
grep -n 'warning:' "$log" || true
