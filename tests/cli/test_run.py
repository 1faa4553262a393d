#!/usr/bin/env python3
"""`spillway run`: what it leaves on disk, how it is repeated, what it shows, how it is stopped."""
import json
import os
import signal
import struct
import subprocess
import sys
import time

import harness

TRIALS = ["mlp-1", "mlp-2", "conv-1", "conv-2"]


def lines_of(folder, name):
    return [json.loads(line) for line in folder.read(name).decode().splitlines()]


def files_of(folder, run, name):
    return [folder.read(f"{run}/trials/{trial}/{name}") for trial in TRIALS]


def a_run_leaves_what_the_manual_says(folder):
    result = folder.run("run", "tiny.yaml", "--out", "a/b", code=0)
    assert result.stdout.startswith("run folder: a/b\n"), result.stdout
    assert sorted(os.listdir(folder.file("a/b"))) == [
        "config.yaml", "decisions.log", "environment.json", "plan.txt", "summary.json", "trials"]
    assert sorted(os.listdir(folder.file("a/b/trials"))) == sorted(TRIALS)
    for trial in TRIALS:
        assert sorted(os.listdir(folder.file(f"a/b/trials/{trial}"))) == [
            "metrics.jsonl", "model.safetensors", "timing.jsonl"]
        metrics = lines_of(folder, f"a/b/trials/{trial}/metrics.jsonl")
        steps = [line for line in metrics if "eval" not in line]
        evals = [line for line in metrics if "eval" in line]
        assert [line["step"] for line in steps] == list(range(1, 19))
        assert [line["step"] for line in evals] == [7, 14, 18]
        assert all(set(line) == {"step", "loss", "grad_norm", "lr"} for line in steps)
        assert all(set(line) == {"eval", "step", "loss", "accuracy"} for line in evals)
        assert steps[-1]["loss"] < steps[0]["loss"], trial
        timing = lines_of(folder, f"a/b/trials/{trial}/timing.jsonl")
        assert len(timing) == len(metrics)
    environment = json.loads(folder.read("a/b/environment.json"))
    assert environment["cores"] >= 1 and environment["spillway"]


def the_summary_has_trials_devices_and_the_run(folder):
    folder.run("run", "tiny.yaml", "--out", "r", code=0)
    summary = json.loads(folder.read("r/summary.json"))
    assert [trial["id"] for trial in summary["trials"]] == TRIALS
    for trial in summary["trials"]:
        assert trial["state"] == "done" and trial["steps"] == 18
        assert trial["best_accuracy"] >= trial["last_accuracy"] > 0
        assert trial["samples_per_second"] > 0 and trial["last_loss"] > 0
        last = lines_of(folder, f"r/trials/{trial['id']}/metrics.jsonl")[-2]
        assert abs(trial["last_loss"] - last["loss"]) < 1e-8 * last["loss"]
    for device in summary["devices"]:
        total = device["busy"] + device["waiting_copy"] + device["waiting_work"]
        assert 0.9 < total < 1.1, device
        assert device["evictions"] >= 0 and device["bytes_in"] >= 0
    assert [device["name"] for device in summary["devices"]] == ["host:0", "host:1", "cores"]
    assert summary["policy"] == "weave" and summary["machine"] == "host*2 mem=64KiB"
    assert summary["wall_s"] > 0 and summary["interrupted"] is False


def the_resolved_config_reproduces_the_run(folder):
    folder.run("run", "tiny.yaml", "train.lr=5e-3", "--out", "first", code=0)
    os.mkdir(folder.file("elsewhere"))
    os.rename(folder.file("first/config.yaml"), folder.file("elsewhere/again.yaml"))
    folder.run("run", "elsewhere/again.yaml", "--out", "second", code=0)
    for name in ["metrics.jsonl", "model.safetensors"]:
        assert files_of(folder, "first", name) == files_of(folder, "second", name), name
    second = folder.read("second/config.yaml")
    assert second == folder.read("elsewhere/again.yaml")


def machine_and_policy_change_no_bit(folder):
    folder.run("run", "tiny.yaml", "--out", "base", code=0)
    cases = [["--policy", "serial", "--machine", "host*1 mem=1MiB"],
             ["--policy", "fifo", "--machine", "host*3 mem=96KiB threads=2"],
             ["policy={name: random, seed: 9}", "resources.update=device"]]
    for number, words in enumerate(cases):
        folder.run("run", "tiny.yaml", *words, "--out", f"r{number}", code=0)
        for name in ["metrics.jsonl", "model.safetensors"]:
            assert files_of(folder, "base", name) == files_of(folder, f"r{number}", name), words


def a_log_of_decisions_can_be_replayed(folder):
    folder.run("run", "tiny.yaml", "policy={name: random, seed: 5}", "--out", "a", code=0)
    folder.run("run", "tiny.yaml", "policy={name: replay, decisions: a/decisions.log}",
               "--out", "b", code=0)
    assert files_of(folder, "a", "model.safetensors") == files_of(folder, "b", "model.safetensors")

    def choices(run):
        """What was decided, per device, whatever the interleaving of the log's lines."""
        devices = {}
        for line in folder.read(f"{run}/decisions.log").decode().splitlines()[1:]:
            words = line.split()
            devices.setdefault(words[1], []).append(words[2:])
        return devices
    first, second = choices("a"), choices("b")
    assert first == second


def a_seed_that_is_searched_differs(folder):
    folder.run("run", "tiny.yaml", "search.parameters={seed: [1, 2]}", "--out", "r", code=0)
    assert folder.read("r/trials/mlp-1/model.safetensors") != \
        folder.read("r/trials/mlp-2/model.safetensors")


def weights_can_start_another_run(folder):
    folder.run("run", "tiny.yaml", "--out", "a", code=0)
    folder.run("run", "tiny.yaml", "models.mlp.init=a/trials/mlp-1/model.safetensors",
               "--out", "b", code=0)
    start = lines_of(folder, "b/trials/mlp-1/metrics.jsonl")[0]["loss"]
    assert start < lines_of(folder, "a/trials/mlp-1/metrics.jsonl")[0]["loss"] * 0.8


def runs_get_names_of_their_own(folder):
    for expected in ["runs/tiny", "runs/tiny-2"]:
        out = folder.run("run", "tiny.yaml", "train.epochs=1", code=0).stdout
        assert out.startswith(f"run folder: {expected}\n"), out


def json_and_progress_go_to_their_streams(folder):
    result = folder.run("run", "tiny.yaml", "--json", "--progress", "json", code=0)
    assert json.loads(result.stdout)["trials"][0]["state"] == "done"
    events = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    states = [(event["trial"], event["state"]) for event in events if event["event"] == "state"]
    for trial in TRIALS:
        assert (trial, "running") in states and (trial, "done") in states
    assert any(event["event"] == "eval" for event in events)
    quiet = folder.run("run", "tiny.yaml", "--progress", "none", code=0)
    assert quiet.stderr == "", quiet.stderr
    plain = folder.run("run", "tiny.yaml", code=0, environment={"TERM": "xterm"})
    assert "\r" not in plain.stderr and "\x1b" not in plain.stderr
    assert "mlp-1 is done: loss " in plain.stderr
    for words in ["best acc", "compute", "waits: copy", "waits: work"]:
        assert words in plain.stdout, plain.stdout


def a_timeline_is_written_on_request(folder):
    folder.run("run", "tiny.yaml", "run.trace=true", "--out", "r", code=0)
    assert os.path.getsize(folder.file("r/trace.pftrace")) > 1000


def one_bad_trial_harms_no_other(folder):
    folder.run("run", "tiny.yaml", "--out", "good", code=0)
    words = ["models.mlp.train={lr: 1e30, optimizer: {grad_clip: none}}",
             "models.mlp.search={parameters: {train.lr: [1e30]}}"]
    result = folder.run("run", "tiny.yaml", *words, "--out", "bad", code=3)
    summary = json.loads(folder.read("bad/summary.json"))
    states = {trial["id"]: trial["state"] for trial in summary["trials"]}
    assert states == {"mlp": "failed", "conv-1": "done", "conv-2": "done"}, states
    failed = [trial for trial in summary["trials"] if trial["id"] == "mlp"][0]
    assert "step" in failed["error"], failed
    assert "mlp failed: " in result.stdout
    assert not os.path.exists(folder.file("bad/trials/mlp/model.safetensors"))
    for name in ["metrics.jsonl", "model.safetensors"]:
        for trial in ["conv-1", "conv-2"]:
            assert folder.read(f"good/trials/{trial}/{name}") == \
                folder.read(f"bad/trials/{trial}/{name}"), (trial, name)
    last = folder.run("run", "tiny.yaml", "train.lr=1e30", "train.optimizer.grad_clip=none",
                      "search.parameters={seed: [1]}", code=1)
    assert "failed" in last.stdout


def a_gradient_that_overflows_names_parameter_and_op(folder):
    """Activations are 1e10, 1 and 1e30, and so is the loss. On the way back 1e30 times 1e10 is too
    large for op 1, and then op 0 has no number either; but op 1 is nearer to the loss."""
    folder.write_npy("x.npy", "<f4", [4, 1], struct.pack("<4f", *[1e30] * 4))
    folder.write_npy("y.npy", "<i4", [4], struct.pack("<4i", *[1] * 4))
    weights = {"0.weight": [1e-20], "1.weight": [1e-10], "2.weight": [1e30, 0]}
    table, data = {}, b""
    for name, values in weights.items():
        begin = len(data)
        data += struct.pack(f"<{len(values)}f", *values)
        table[name] = {"dtype": "F32", "shape": [len(values), 1],
                       "data_offsets": [begin, len(data)]}
    text = json.dumps(table).encode()
    with open(folder.file("w.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    folder.write("over.yaml", """version: 1
machine: "host*1 mem=64KiB"
models:
  - id: net
    init: w.safetensors
    layers:
      - linear: {out: 1, bias: false}
      - linear: {out: 1, bias: false}
      - linear: {out: 2, bias: false}
data:
  train: {path: x.npy, labels: y.npy, format: npy}
train: {batch: 4, max_steps: 2}
""")
    result = folder.run("run", "over.yaml", "--out", "r", code=1)
    assert "trial net, step 1: the gradient of parameter 1.weight (op 1, linear) is not finite" in \
        result.stderr, result.stderr
    step = lines_of(folder, "r/trials/net/metrics.jsonl")[0]
    assert step["loss"] > 1e29 and step["grad_norm"] is None and step["nonfinite"] is True, step


def a_folder_that_cannot_be_made_is_refused(folder):
    folder.write("file", "x")
    result = folder.run("run", "tiny.yaml", "--out", "file/a/r", code=2)
    assert "cannot" in result.stderr and result.stdout == "", result
    folder.run("run", "tiny.yaml", "--out", "new/r/", "train.epochs=1", code=0)
    assert os.path.exists(folder.file("new/r/summary.json"))


def start(folder, *words):
    """A run that would take hours."""
    return subprocess.Popen([folder.command, "run", "tiny.yaml", "--out", "r",
                             "train={batch: 16, micro_batch: 5, max_steps: 1000000}", *words],
                            cwd=folder.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_steps(folder):
    """Until some trial has written steps, so that the run is under way; returns that file."""
    for _ in range(600):
        for trial in TRIALS:
            name = f"r/trials/{trial}/metrics.jsonl"
            if os.path.exists(folder.file(name)) and os.path.getsize(folder.file(name)) > 0:
                return name
        time.sleep(0.05)
    raise AssertionError("the run did not get under way")


def a_signal_ends_the_run_with_its_code(folder):
    for number, code in [(signal.SIGINT, 130), (signal.SIGTERM, 143)]:
        process = start(folder, "--progress", "none")
        wait_for_steps(folder)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, (number, process.returncode, err)
        assert b"can't be resumed" in err, err
        assert b"cancelled" in out, out
        summary = json.loads(folder.read("r/summary.json"))
        assert summary["interrupted"] is True
        assert {trial["state"] for trial in summary["trials"]} == {"cancelled"}
        for trial in TRIALS:
            for line in folder.read(f"r/trials/{trial}/metrics.jsonl").decode().splitlines():
                json.loads(line)
        subprocess.run(["rm", "-rf", folder.file("r")], check=True)


def metrics_can_be_followed(folder):
    process = start(folder, "--progress", "none")
    name = wait_for_steps(folder)
    before = len(folder.read(name))
    time.sleep(1.5)
    after = len(folder.read(name))
    process.kill()
    process.communicate()
    assert after > before
    assert folder.read(name).decode().endswith("}\n")


if __name__ == "__main__":
    sys.exit(harness.main([
        a_run_leaves_what_the_manual_says, the_summary_has_trials_devices_and_the_run,
        the_resolved_config_reproduces_the_run, machine_and_policy_change_no_bit,
        a_log_of_decisions_can_be_replayed, a_seed_that_is_searched_differs,
        weights_can_start_another_run, runs_get_names_of_their_own,
        json_and_progress_go_to_their_streams, a_timeline_is_written_on_request,
        one_bad_trial_harms_no_other, a_gradient_that_overflows_names_parameter_and_op,
        a_folder_that_cannot_be_made_is_refused, a_signal_ends_the_run_with_its_code,
        metrics_can_be_followed]))
