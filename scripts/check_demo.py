#!/usr/bin/env python3
"""Holds the run folder of `make demo` against what the demo promises, and says so in one line, or
names every figure that is not as promised.

Reads what the run left: summary.json, and of each trial metrics.jsonl, timing.jsonl and the head of
model.safetensors. The plan comes from the command itself, which is given the run's config.yaml, or
from a file that holds what `spillway plan --json` printed. Tested by tests/cli/test_check_demo.py.
"""
import argparse
import json
import os
import struct
import subprocess
import sys

TRIALS = 12
MODELS = 4
CONVOLUTIONAL_TRIALS = 4
IMAGES = 60_000
CONVOLUTIONAL_IMAGES = 20_000
LAST_ACCURACY = 0.80
BEST_ACCURACY = 0.88
WALL_S = 300
FLOPS = 25e12
STATE_PER_DEVICE = 4  # the smallest model's training state over a device's memory
EXECUTOR_SHARE = 0.02


class Unreadable(Exception):
    """The folder is not one of a run that came to its end."""


# ---- reading ----

def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: {error}") from error


def read_lines(path):
    """The objects of a .jsonl file."""
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: {error}") from error


def is_convolutional(path):
    """Whether the weights have windows: only those of convolutions are of four dimensions."""
    try:
        with open(path, "rb") as file:
            size, = struct.unpack("<Q", file.read(8))
            head = json.loads(file.read(size))
    except (OSError, ValueError, struct.error) as error:
        raise Unreadable(f"{path}: {error}") from error
    return any(len(tensor["shape"]) == 4 for tensor in head.values() if "shape" in tensor)


def read_plan(folder, command, file):
    if file is not None:
        return read_json(file)
    words = [command, "plan", os.path.join(folder, "config.yaml"), "--json"]
    result = subprocess.run(words, capture_output=True, check=False, encoding="utf-8")
    if result.returncode != 0:
        raise Unreadable(f"{' '.join(words)}: {result.stderr.strip()}")
    return json.loads(result.stdout)


# ---- judging ----

class Verdict:
    """Collects what is not as promised."""

    def __init__(self):
        self.faults = []

    def demand(self, promised, fault):
        if not promised:
            self.faults.append(fault)


def check_steps(verdict, trial, steps, timing):
    """Every step is there, and blocks of the trial were evicted in it."""
    name, count = trial["id"], trial["steps"]
    wanted = list(range(1, count + 1))
    for file, lines in (("metrics.jsonl", steps), ("timing.jsonl", timing)):
        verdict.demand(count > 0 and [line["step"] for line in lines] == wanted,
                       f"{name}: {file} does not hold the steps 1 to {count}")
    without = [line["step"] for line in timing if line["evictions"] < 1]
    verdict.demand(not without, f"{name}: nothing was evicted in {len(without)} of {count} steps, "
                                f"first in step {without[0] if without else 0}")


def check_trial(verdict, folder, trial):
    """Returns (images it saw, last accuracy, best accuracy, whether it is convolutional)."""
    name = trial["id"]
    path = os.path.join(folder, "trials", name)
    metrics = read_lines(os.path.join(path, "metrics.jsonl"))
    timing = [line for line in read_lines(os.path.join(path, "timing.jsonl"))
              if not line.get("eval")]
    accuracies = [line["accuracy"] for line in metrics if line.get("eval")]
    check_steps(verdict, trial, [line for line in metrics if not line.get("eval")], timing)
    convolutional = is_convolutional(os.path.join(path, "model.safetensors"))
    images = sum(line["items"] for line in timing)
    least = CONVOLUTIONAL_IMAGES if convolutional else IMAGES
    verdict.demand(images >= least, f"{name}: it saw {images} images, less than {least}")
    if not accuracies or None in accuracies:
        verdict.demand(False, f"{name}: no validation accuracy")
        return images, 0, 0, convolutional
    verdict.demand(accuracies[-1] >= LAST_ACCURACY,
                   f"{name}: last validation accuracy {accuracies[-1]:.4f}, "
                   f"less than {LAST_ACCURACY:.2f}")
    return images, accuracies[-1], max(accuracies), convolutional


def check_trials(verdict, folder, trials):
    verdict.demand(len(trials) == TRIALS, f"{len(trials)} trials, not {TRIALS}")
    models = {trial["model"] for trial in trials}
    verdict.demand(len(models) >= MODELS, f"{len(models)} models, less than {MODELS}")
    seen = []
    for trial in trials:
        if trial["state"] == "done":
            seen.append(check_trial(verdict, folder, trial))
        else:
            verdict.demand(False, f"{trial['id']}: it is {trial['state']}, not done")
    windows = sum(convolutional for _, _, _, convolutional in seen)
    verdict.demand(windows >= CONVOLUTIONAL_TRIALS,
                   f"{windows} convolutional trials, less than {CONVOLUTIONAL_TRIALS}")
    best = max((best for _, _, best, _ in seen), default=0)
    verdict.demand(best >= BEST_ACCURACY,
                   f"the best validation accuracy is {best:.4f}, less than {BEST_ACCURACY:.2f}")
    return min((last for _, last, _, _ in seen), default=0), best


def check_memory(verdict, summary, plan):
    regions = {device["region_bytes"] for device in summary["devices"]
               if device["name"] != "cores"}
    smallest = min((trial["state_bytes"] for trial in plan["trials"]), default=0)
    largest = max(regions, default=0)
    verdict.demand(0 < STATE_PER_DEVICE * largest <= smallest,
                   f"a device has {largest} bytes, more than 1/{STATE_PER_DEVICE} of the smallest "
                   f"training state, {smallest} bytes")


def check_executor(verdict, summary):
    share = summary.get("executor_share")
    verdict.demand(share is None or share < EXECUTOR_SHARE,
                   f"the executor took {100 * (share or 0):.2f} % of the run, not less than "
                   f"{100 * EXECUTOR_SHARE:.0f} %")


def check(folder, plan):
    """Returns (faults, the line to print if there are none)."""
    verdict = Verdict()
    summary = read_json(os.path.join(folder, "summary.json"))
    worst, best = check_trials(verdict, folder, summary["trials"])
    wall_s, flops = summary["wall_s"], plan["flops"]
    verdict.demand(wall_s <= WALL_S, f"training took {wall_s:.0f} s, more than {WALL_S} s")
    verdict.demand(flops <= FLOPS, f"the plan is {flops:.4g} FLOP, more than {FLOPS:.4g}")
    check_memory(verdict, summary, plan)
    check_executor(verdict, summary)
    line = (f"checked: {TRIALS} trials done, accuracies {worst:.3f} to {best:.3f}, evictions in "
            f"every step, {flops:.3g} FLOP in {wall_s:.0f} s")
    return verdict.faults, line


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("folder", help="of the run")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--command", help="the command spillway, asked for the plan")
    source.add_argument("--plan", help="what `spillway plan --json` printed")
    arguments = parser.parse_args()
    try:
        plan = read_plan(arguments.folder, arguments.command, arguments.plan)
        faults, line = check(arguments.folder, plan)
    except Unreadable as error:
        faults = [str(error)]
    except KeyError as error:
        faults = [f"a file of {arguments.folder} has no {error}"]
    for fault in faults:
        print(f"the demo is not as promised: {fault}")
    if not faults:
        print(line)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
