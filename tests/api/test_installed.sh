#!/usr/bin/env bash
# Installs the library into an empty folder and uses it as a stranger would: compiles an example
# with a bare compiler against the installed header and library alone, and runs it.
# test_installed.sh SOURCE BUILD COMPILER
set -euo pipefail
source=$1 build=$2 compiler=$3

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cmake --install "$build" --component library --prefix "$folder/usr" >"$folder/log"
library=$(find "$folder/usr" -name libspillway.so)
[ -n "$library" ] || { echo "libspillway.so was not installed"; exit 1; }

for standard in c11 c17; do
    "$compiler" -std=$standard -Wall -Wextra -Wpedantic -Werror -I"$folder/usr/include" \
        "$source/examples/04_gpt_text.c" -o "$folder/program" \
        -L"$(dirname "$library")" -lspillway -lm
done
LD_LIBRARY_PATH=$(dirname "$library") "$folder/program" "$source/include/spillway.h" 30 \
    "$folder/weights.safetensors"
[ -s "$folder/weights.safetensors" ] || { echo "no weights were saved"; exit 1; }
