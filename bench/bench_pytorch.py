#!/usr/bin/env python3
"""bench_pytorch.py — our in-memory speed over PyTorch's on this processor.

    bench/bench_pytorch.py BUILD [--python PYTHON] [--rounds N] [--csv FOLDER]

PYTHON is one that has PyTorch. The two sides take turns, process by process, with the same number
of threads; a ratio is PyTorch's seconds per step over ours of one round. What is ours is the faster
of two ways of the in-memory executor, which uses no other thread; the runtime's figure stands
beside it. See pytorch_train.py for what PyTorch may choose.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = ["mlp", "cnn", "gpt"]
AT_LEAST = 1.3


def output(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment,
                          text=True).stdout.strip()


def ours(build, model, threads):
    lines = output([os.path.join(build, "bench", "bench_train"), "--model", model, "--threads",
                    str(threads)], threads).splitlines()
    return {way: float(seconds) for way, seconds in (line.split() for line in lines)}


class Torch:
    def __init__(self, python):
        self.command = [python, os.path.join(HERE, "pytorch_train.py")]

    def version(self):
        try:
            return output(self.command + ["--version"], 1)
        except (OSError, subprocess.CalledProcessError):
            return None

    def choose(self, model, threads):
        return output(self.command + ["--model", model, "--threads", str(threads), "--choose"],
                      threads)

    def seconds(self, model, threads, variant):
        return float(output(self.command + ["--model", model, "--threads", str(threads),
                                            "--variant", variant], threads))


class Report:
    def __init__(self, folder):
        self.file = None
        if folder:
            self.file = open(os.path.join(folder, "pytorch.csv"), "w", newline="")
            self.csv = csv.writer(self.file, lineterminator="\n")
            self.csv.writerow("model,setting,what,median,min,max,samples,target,met".split(","))
        print(f"{'model':6} {'setting':34} {'what':28} {'median':>10}  min .. max, target")

    def row(self, model, setting, what, values, at_least=None):
        median = statistics.median(values)
        met = "" if at_least is None else "yes" if median >= at_least else "no"
        goal = "" if at_least is None else f">= {at_least:g}"
        verdict = {"": "", "yes": f", {goal}: met", "no": f", {goal}: MISSED"}[met]
        print(f"{model:6} {setting:34} {what:28} {median:10.4g}  {min(values):.4g} .. "
              f"{max(values):.4g}{verdict}", flush=True)
        if self.file:
            self.csv.writerow([model, setting, what, f"{median:.6g}", f"{min(values):.6g}",
                               f"{max(values):.6g}", len(values), goal, met])
            self.file.flush()


def compare(arguments, torch, report, model, threads):
    variant = torch.choose(model, threads)
    setting = f"{threads} thread{'s' if threads > 1 else ''}"
    theirs, best, run = [], [], []
    for _ in range(arguments.rounds):
        theirs.append(torch.seconds(model, threads, variant))
        mine = ours(arguments.build, model, threads)
        best.append(min(mine["micro_batches"], mine["whole_batch"]))
        run.append(mine["run"])
    report.row(model, f"{setting}: {variant}", "PyTorch, seconds per step", theirs)
    report.row(model, setting, "in memory, seconds per step", best)
    report.row(model, setting, "runtime, seconds per step", run)
    report.row(model, setting, "PyTorch / in memory", [t / m for t, m in zip(theirs, best)],
               AT_LEAST)
    report.row(model, setting, "PyTorch / runtime", [t / m for t, m in zip(theirs, run)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", help="the build folder")
    parser.add_argument("--python", default=os.environ.get("PYTORCH_PYTHON", "python3"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", choices=MODELS)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--csv", help="folder")
    arguments = parser.parse_args()
    torch = Torch(arguments.python)
    version = torch.version()
    if version is None:
        print(f"{arguments.python} has no PyTorch: comparison left out. To have it:\n"
              "    python3 -m venv venv && venv/bin/pip install torch\n"
              "    PYTORCH_PYTHON=venv/bin/python make bench")
        return 0
    print(f"Against PyTorch {version}, eager")
    report = Report(arguments.csv)
    for model in [arguments.model] if arguments.model else MODELS:
        for threads in [arguments.threads] if arguments.threads else [1, 2]:
            if threads <= (os.cpu_count() or 1):
                compare(arguments, torch, report, model, threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
