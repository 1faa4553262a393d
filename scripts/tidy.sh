#!/usr/bin/env bash
# clang-tidy over our sources: scripts/tidy.sh [FILE...]; without files, over all that is compiled.
set -euo pipefail
cd "$(dirname "$0")/.."

cmake --preset debug >/dev/null
files=("$@")
if [ ${#files[@]} -eq 0 ]; then
    mapfile -t files < <(git ls-files '*.c' | while read -r file; do
        grep -q "\"file\": \".*/$file\"" build/debug/compile_commands.json && echo "$file"
    done)
fi
printf '%s\0' "${files[@]}" |
    xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p build/debug
