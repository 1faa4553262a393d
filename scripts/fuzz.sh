#!/usr/bin/env bash
# Runs every libFuzzer target for FUZZ_SECONDS (default 60) from its corpus in tests/fuzz/corpus/.
# What crashes one is kept in tests/fuzz/findings/; the last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}
scripts/build.sh fuzz || exit 1
findings=tests/fuzz/findings
mkdir -p "$findings"
passed=0
failed=0
for program in build/fuzz/fuzz/fuzz_*; do
    [ -x "$program" ] || continue
    name=$(basename "$program")
    # New inputs go to the scratch directory, as it comes first; the committed corpus stays.
    scratch=build/fuzz/corpus/$name
    mkdir -p "$scratch" "tests/fuzz/corpus/$name"
    echo "-- $name, $seconds s"
    log=build/fuzz/$name.log
    if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$findings/$name-" "$scratch" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        grep -E 'number_of_executed_units|average_exec_per_sec' "$log"
        passed=$((passed + 1))
    else
        tail -40 "$log"
        failed=$((failed + 1))
    fi
done
[ $((passed + failed)) -gt 0 ] || failed=1
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
