#!/usr/bin/env python3
"""scripts/check_demo.py: a made-up run that is as promised passes, each promise broken by itself is
named, and a folder that a real run left is read."""
import json
import os
import struct
import subprocess
import sys

import harness

STATE_BYTES = 16 * 1_000_000
REGION_BYTES = STATE_BYTES // 4
BATCH = 1000


def lines(objects):
    return "".join(json.dumps(it) + "\n" for it in objects)


def weights(convolutional):
    head = {"__metadata__": {"format": "pt"},
            "0.weight": {"dtype": "F32", "shape": [8, 1, 3, 3] if convolutional else [8, 9],
                         "data_offsets": [0, 288]}}
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + bytes(288)


class Demo:
    """The files of a run that is as promised, by name; a test spoils what it likes."""

    def __init__(self):
        self.plan = {"flops": 25e12, "trials": []}
        self.summary = {"trials": [], "wall_s": 300.0, "executor_share": 0.0199, "devices": [
            {"name": "host:0", "region_bytes": REGION_BYTES},
            {"name": "host:1", "region_bytes": REGION_BYTES},
            {"name": "cores", "region_bytes": 1 << 34}]}
        self.metrics, self.timing, self.weights = {}, {}, {}
        for i in range(12):
            name, model = f"{'abcd'[i // 3]}-{1 + i % 3}", "abcd"[i // 3]
            convolutional = model in "cd"
            steps = 20 if convolutional else 60
            self.plan["trials"].append({"id": name, "state_bytes": STATE_BYTES + i})
            self.summary["trials"].append(
                {"id": name, "model": model, "state": "done", "steps": steps})
            self.metrics[name] = [{"step": step, "loss": 1} for step in range(1, steps + 1)]
            self.metrics[name].append({"eval": True, "step": steps, "loss": 1, "accuracy": 0.80})
            self.timing[name] = [{"step": step, "items": BATCH, "evictions": 1}
                                 for step in range(1, steps + 1)]
            self.timing[name].append({"eval": True, "step": steps, "rows": 7})
            self.weights[name] = weights(convolutional)
        self.metrics["b-1"].insert(30, {"eval": True, "step": 30, "loss": 1, "accuracy": 0.88})

    def write(self, folder):
        files = {"plan.json": json.dumps(self.plan), "summary.json": json.dumps(self.summary)}
        for name, metrics in self.metrics.items():
            files[f"trials/{name}/metrics.jsonl"] = lines(metrics)
            files[f"trials/{name}/timing.jsonl"] = lines(self.timing[name])
            files[f"trials/{name}/model.safetensors"] = self.weights[name]
        for name, data in files.items():
            path = folder.file(f"run/{name}")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data if isinstance(data, bytes) else data.encode())


def check(folder, *words):
    """Returns (exit code, lines)."""
    tool = os.path.join(folder.source, "scripts", "check_demo.py")
    result = subprocess.run([sys.executable, tool, *words], cwd=folder.path, capture_output=True,
                            check=False, timeout=120, encoding="utf-8")
    assert result.stderr == "", result.stderr
    return result.returncode, result.stdout.splitlines()


def check_made_up(folder, demo):
    demo.write(folder)
    return check(folder, "run", "--plan", "run/plan.json")


def a_run_as_promised_passes(folder):
    code, said = check_made_up(folder, Demo())
    assert code == 0 and len(said) == 1 and said[0].startswith("checked: 12 trials"), said


def drop_trial(demo):
    demo.summary["trials"].pop()


def fail_trial(demo):
    demo.summary["trials"][4]["state"] = "failed"


def share_models(demo):
    for trial in demo.summary["trials"][:6]:
        trial["model"] = "a"


def lose_windows(demo):
    for name in ("c-1", "c-2", "c-3"):
        demo.weights[name] = weights(False)
        demo.timing[name] *= 3
        for at, line in enumerate(demo.timing[name]):
            line = demo.timing[name][at] = dict(line)
            line["step"] = at + 1
        demo.timing[name] = [line for line in demo.timing[name] if "items" in line]
    for name in ("d-1", "d-2"):
        demo.weights[name] = weights(False)


def see_less(name):
    def spoil(demo):
        demo.timing[name][3]["items"] -= 1
    return spoil


def end_worse(demo):
    demo.metrics["c-2"][-1]["accuracy"] = 0.7999


def end_without_number(demo):
    demo.metrics["c-2"][-1]["accuracy"] = None


def never_evaluate(demo):
    demo.metrics["c-2"].pop()


def be_mediocre(demo):
    demo.metrics["b-1"][30]["accuracy"] = 0.8799


def evict_nothing_once(demo):
    demo.timing["d-3"][17]["evictions"] = 0


def skip_a_step(demo):
    del demo.metrics["a-2"][5]


def skip_a_time(demo):
    demo.timing["a-2"][5]["step"] = 5


def take_long(demo):
    demo.summary["wall_s"] = 300.5


def compute_much(demo):
    demo.plan["flops"] = 25.1e12


def grow_device(demo):
    demo.summary["devices"][1]["region_bytes"] += 64


def shrink_model(demo):
    demo.plan["trials"][7]["state_bytes"] = STATE_BYTES - 1


def decide_slowly(demo):
    demo.summary["executor_share"] = 0.02


def forget_evictions(demo):
    del demo.timing["a-1"][0]["evictions"]


def break_weights(demo):
    demo.weights["a-1"] = b"\x05"


SPOILS = [
    (drop_trial, "11 trials, not 12"),
    (fail_trial, "b-2: it is failed, not done"),
    (share_models, "3 models, less than 4"),
    (lose_windows, "1 convolutional trials, less than 4"),
    (see_less("a-3"), "a-3: it saw 59999 images, less than 60000"),
    (see_less("d-1"), "d-1: it saw 19999 images, less than 20000"),
    (end_worse, "c-2: last validation accuracy 0.7999"),
    (end_without_number, "c-2: no validation accuracy"),
    (never_evaluate, "c-2: no validation accuracy"),
    (be_mediocre, "the best validation accuracy is 0.8799"),
    (evict_nothing_once, "d-3: nothing was evicted in 1 of 20 steps, first in step 18"),
    (skip_a_step, "a-2: metrics.jsonl does not hold the steps 1 to 60"),
    (skip_a_time, "a-2: timing.jsonl does not hold the steps 1 to 60"),
    (take_long, "training took 300 s, more than 300 s"),
    (compute_much, "FLOP, more than 2.5e+13"),
    (grow_device, "a device has 4000064 bytes, more than 1/4"),
    (shrink_model, "training state, 15999999 bytes"),
    (decide_slowly, "the executor took 2.00 % of the run"),
    (forget_evictions, "has no 'evictions'"),
    (break_weights, "model.safetensors"),
]


def each_broken_promise_is_named(folder):
    for spoil, words in SPOILS:
        demo = Demo()
        spoil(demo)
        code, said = check_made_up(folder, demo)
        assert code == 1, (spoil.__name__, said)
        assert any(words in line for line in said), (words, said)
        assert all(line.startswith("the demo is not as promised: ") for line in said), said


def a_run_that_left_nothing_is_refused(folder):
    code, said = check(folder, "nowhere", "--plan", "nothing.json")
    assert code == 1 and len(said) == 1 and "nothing.json" in said[0], said


def the_folder_of_a_real_run_is_read(folder):
    """Of the tiny runs' figures: what can't be as promised is named, nothing else is."""
    folder.run("run", "tiny.yaml", "--out", "out", "machine=host*2 mem=64KiB", code=0)
    code, said = check(folder, "out", "--command", folder.command)
    summary = folder.json("plan", "out/config.yaml", "--json")
    assert summary["flops"] < 25e12
    assert code == 1 and any("4 trials, not 12" in line for line in said), said
    for trial in ("mlp-1", "mlp-2"):
        assert any(f"{trial}: it saw 288 images, less than 60000" in line for line in said), said
    for trial in ("conv-1", "conv-2"):
        assert any(f"{trial}: it saw 288 images, less than 20000" in line for line in said), said
    assert any("2 convolutional trials" in line for line in said), said
    assert not any("FLOP" in line or "took" in line or "steps 1 to" in line for line in said), said


harness.main([a_run_as_promised_passes, each_broken_promise_is_named,
              a_run_that_left_nothing_is_refused, the_folder_of_a_real_run_is_read])
