#!/usr/bin/env bash
# Builds and runs the tests: scripts/test.sh sampled|full. Three builds: release; address and
# undefined-behaviour sanitizers; thread sanitizer (the plain stress programs). The last line
# is "N passed, N failed" over all of them.
set -uo pipefail
cd "$(dirname "$0")/.."

extent=${1:-sampled}
case "$extent" in
sampled) leave_out=full ;;
full) leave_out=no-test-has-this-label ;;
*)
    echo "test.sh: sampled or full?" >&2
    exit 2
    ;;
esac

jobs=$(nproc)
broken=0
presets=(release asan tsan)
# Counts of an earlier run must not be added up.
for preset in "${presets[@]}"; do
    rm -rf "build/$preset/test_state"
done

for preset in "${presets[@]}"; do
    case "$preset" in
    release) excluded="^($leave_out)$" ;;
    *) excluded="^($leave_out|no-$preset)$" ;;
    esac
    if ! scripts/build.sh "$preset"; then
        broken=$((broken + 1))
        continue
    fi
    echo "-- testing $preset"
    if ! ctest --test-dir "build/$preset" --parallel "$jobs" --no-tests=error --output-on-failure \
        --label-exclude "$excluded"; then
        broken=$((broken + 1))
    fi
done

python3 scripts/test_totals.py --broken "$broken" "${presets[@]/#/build/}"
