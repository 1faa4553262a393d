#!/usr/bin/env bash
# check_gpt.sh SPILLWAY SOURCE WORKDIR [key=value ...] — a GPT with a 50,257-token tied head on real
# text, its training state at least five times the device's memory: the loss falls, and all numbers
# equal, bit for bit, those of a device that holds the whole model as one shard.
set -euo pipefail
spillway=$1
source=$2
work=$3
shift 3
rm -rf "$work"
mkdir -p "$work"
python3 "$source/scripts/make_tokens.py" --out "$work/tokens" >/dev/null
data=("data.train.path=$work/tokens/train.bin" "data.valid.path=$work/tokens/valid.bin" "$@")
run() { # NAME MACHINE
    "$spillway" run "$source/examples/gpt.yaml" "${data[@]}" --machine "$2" --progress none \
        --out "$work/$1" >"$work/$1.txt"
}
run spilled "host*1 mem=116MiB threads=2"
run whole "host*1 mem=4GiB threads=2"
python3 - "$work" <<'PYTHON'
import filecmp, json, sys
work = sys.argv[1]
passed = failed = 0
def check(ok, text):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(("ok    " if ok else "FAIL  ") + text)
spilled, whole = (json.load(open(f"{work}/{name}/summary.json")) for name in ("spilled", "whole"))
trial, device = spilled["trials"][0], spilled["devices"][0]
state = 16 * trial["parameters"]
check(state >= 5 * (116 << 20), f"state {state} bytes, {state / (116 << 20):.2f} x the device")
check(device["evictions"] > 0, f"evictions {device['evictions']}, bytes in {device['bytes_in']}")
whole_evictions = whole["devices"][0]["evictions"]
check(whole_evictions == 0, "the run in one piece evicts nothing")
check(whole["devices"][0]["units"] < device["units"] / 8, "and has far fewer units")
for name in ("metrics.jsonl", "model.safetensors"):
    a, b = (f"{work}/{run}/trials/gpt/{name}" for run in ("spilled", "whole"))
    same = filecmp.cmp(a, b, False)
    check(same, f"{name} equals that of the run in one piece")
lines = [json.loads(line) for line in open(f"{work}/spilled/trials/gpt/metrics.jsonl")]
losses = [line["loss"] for line in lines if not line.get("eval")]
check(losses[-1] < losses[0] - 1.0,
      f"loss {losses[0]:.3f} -> {losses[-1]:.3f} in {len(losses)} steps")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
PYTHON
