#!/bin/bash
# Runs the benchmarks: bench/run.sh BUILD [--only NAME] [--rounds N] [--out FOLDER]
#
# BUILD is a release build. NAME is spill, pace, sched or pytorch. Each prints a table and writes a
# CSV file into FOLDER, which is bench/results/<date>-<commit> if not given. The comparison with
# PyTorch needs a Python that has it, named by PYTORCH_PYTHON. README.md says what is measured; all
# takes about half an hour, on a machine that does nothing else.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

usage() {
    echo "usage: $0 BUILD [--only spill|pace|sched|pytorch] [--rounds N] [--out FOLDER]" >&2
    exit 2
}

[ $# -ge 1 ] && [ -x "$1/bench/bench_spill" ] || usage
build=$1
shift
only=
rounds=5
out=
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
    --only) only=$2 ;;
    --rounds) rounds=$2 ;;
    --out) out=$2 ;;
    *) usage ;;
    esac
    shift 2
done
case $only in
"" | spill | pace | sched | pytorch) ;;
*) usage ;;
esac
if [ -z "$out" ]; then
    commit=$(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo unknown)
    out=$here/results/$(date +%Y-%m-%d)-$commit
fi
mkdir -p "$out"

# What the figures belong to.
{
    date -u +"date: %Y-%m-%d %H:%M UTC"
    echo "commit: $(git -C "$here" describe --always --dirty 2>/dev/null || echo unknown)"
    echo "processor: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores"
    echo "memory: $(awk '/MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)"
    echo "kernel: $(uname -sr)"
    echo "load before: $(cut -d' ' -f1-3 /proc/loadavg)"
} | tee "$out/machine.txt"
echo

wants() {
    [ -z "$only" ] || [ "$only" = "$1" ]
}

for name in sched pace spill; do
    if wants "$name"; then
        "$build/bench/bench_$name" --rounds "$rounds" --csv "$out" | tee "$out/$name.txt"
    fi
done
if wants pytorch; then
    python3 "$here/bench_pytorch.py" "$build" --rounds "$rounds" --csv "$out" |
        tee "$out/pytorch.txt"
fi
echo "The figures are in $out."
