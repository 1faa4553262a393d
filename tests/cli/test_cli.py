#!/usr/bin/env python3
"""Commands, flags and exit codes of `spillway`, as a user meets them."""
import json
import os
import re
import sys

import harness


def help_lists_and_explains_every_command(folder):
    text = folder.run("help", code=0).stdout
    for name in ["run", "plan", "check", "doctor", "schema", "help", "version"]:
        assert re.search(rf"^  {name} ", text, re.M), name
        manual = folder.run("help", name, code=0).stdout
        assert manual.startswith(f"spillway {name} — "), manual
        assert "Examples\n" in manual, manual
        assert folder.run(name, "--help", code=0).stdout == manual, name
    assert folder.run("--help", code=0).stdout == text
    assert folder.run(code=2).stderr.endswith(text[-60:])


def unknown_words_are_refused_with_the_nearest(folder):
    assert "did you mean `spillway plan`?" in folder.run("plna", code=2).stderr
    assert "`spillway help` lists them" in folder.run("frobnicate", code=2).stderr
    assert "did you mean --machine?" in folder.run("run", "x", "--machin", "y", code=2).stderr
    assert "needs a value" in folder.run("run", "x", "--out", code=2).stderr
    assert "a word is missing" in folder.run("run", code=2).stderr
    assert "one word too many" in folder.run("doctor", "now", code=2).stderr
    assert "is none of auto" in folder.run("run", "x", "--progress=loud", code=2).stderr
    assert "takes no value" in folder.run("plan", "x", "--json=1", code=2).stderr


def a_missing_spec_is_refused(folder):
    result = folder.run("check", "nowhere.yaml", code=2)
    assert "nowhere.yaml" in result.stderr and result.stdout == ""


def version_and_doctor_speak_json(folder):
    version = folder.json("version", "--json")
    assert folder.run("version", code=0).stdout == f"spillway {version['version']}\n"
    assert "oneDNN" in version["libraries"]
    doctor = folder.json("doctor", "--json")
    assert doctor["devices"] == {"host": True, "cuda": False}
    assert doctor["environment"]["cores"] >= 1
    assert doctor["memory_free_bytes"] <= doctor["memory_limit_bytes"]
    assert "this build serves host only" in folder.run("doctor", code=0).stdout


def the_schema_is_json(folder):
    schema = folder.json("schema")
    assert schema["properties"]["train"]["properties"]["lr"]["default"] == 1e-3


def the_spec_of_the_manual_is_good(folder):
    text = folder.run("help", "spec", code=0).stdout
    lines = [line[2:] for line in text.splitlines() if line.startswith("  ")]
    spec = re.sub(r"path: \S+-images.gz, labels: \S+-labels.gz", "path: x.idx, labels: y.idx",
                  "\n".join(lines))
    spec = spec.replace("linear: {out: 10}", "linear: {out: 4}")
    folder.write("manual.yaml", spec)
    folder.run("check", "manual.yaml", code=0)


def check_lists_the_trials(folder):
    result = folder.run("check", "tiny.yaml", code=0)
    assert "tiny.yaml is in order: 4 trials of 2 models" in result.stdout
    assert result.stderr == ""
    data = folder.json("check", "tiny.yaml", "--json", "train.batch=8")
    assert [trial["id"] for trial in data["trials"]] == ["mlp-1", "mlp-2", "conv-1", "conv-2"]
    assert data["trials"][0]["steps"] == 3 * 96 // 8
    assert data["trials"][0]["settings"] == "lr=1e-2"
    assert os.listdir(folder.path).sort() == ["tiny.yaml", "x.idx", "y.idx"].sort()


def refusals_come_as_json_too(folder):
    result = folder.run("check", "tiny.yaml", "--json", "train.lr=abc", code=2)
    data = json.loads(result.stdout)
    assert data["exit"] == 2 and data["status"] == "ERR_USAGE"
    assert data["error"].startswith("override 1: train.lr=abc: train.lr: "), data
    assert data["error"] in result.stderr


def plan_prints_what_a_run_needs(folder):
    data = folder.json("plan", "tiny.yaml", "--json")
    mlp = data["trials"][0]
    parameters = 36 * 24 + 24 + 24 * 24 + 24 + 24 * 4 + 4
    assert mlp["parameters"] == parameters and mlp["state_bytes"] == 16 * parameters
    assert mlp["steps"] == 18 and mlp["items"] == 288
    assert mlp["eval_items"] == 96 * 3  # after steps 7, 14 and 18
    assert mlp["largest_unit_bytes"] <= data["device_bytes"] == 65536
    assert data["flops"] > sum(trial["steps"] for trial in data["trials"])
    text = folder.run("plan", "tiny.yaml", code=0).stdout
    for words in ["mlp-1", "shards", "largest unit", "FLOP", "host memory:", "in all: "]:
        assert words in text, text


def machines_larger_than_this_one_can_be_planned_for(folder):
    data = folder.json("plan", "tiny.yaml", "--json", "--machine", "host*8 mem=1TiB")
    assert data["device_bytes"] == 1 << 40
    assert all(trial["shards"] == 1 for trial in data["trials"])


def the_least_memory_is_exact(folder):
    data = folder.json("plan", "tiny.yaml", "--min-memory", "--json")
    least = data["least_device_bytes"]
    assert least == max(trial["least_device_bytes"] for trial in data["trials"])
    assert folder.json("plan", "tiny.yaml", "--json", "--machine", data["machine"])["trials"]
    result = folder.run("run", "tiny.yaml", "--machine", f"host*2 mem={least - 1}", code=4)
    assert re.search(r"\b\d+ bytes? (is|are) missing", result.stderr), result.stderr
    assert not os.path.exists(folder.file("runs"))
    folder.run("run", "tiny.yaml", "--machine", f"host*2 mem={least}", code=0)


def too_little_host_memory_is_refused(folder):
    result = folder.run("run", "tiny.yaml", "resources.host_memory=1KiB", code=4)
    assert "host memory" in result.stderr and not os.path.exists(folder.file("runs"))


def out_may_not_exist(folder):
    os.mkdir(folder.file("there"))
    result = folder.run("run", "tiny.yaml", "--out", "there", code=2)
    assert "there: exists already" in result.stderr
    assert os.listdir(folder.file("there")) == []


if __name__ == "__main__":
    sys.exit(harness.main([
        help_lists_and_explains_every_command, unknown_words_are_refused_with_the_nearest,
        a_missing_spec_is_refused, version_and_doctor_speak_json, the_schema_is_json,
        the_spec_of_the_manual_is_good, check_lists_the_trials, refusals_come_as_json_too,
        plan_prints_what_a_run_needs,
        machines_larger_than_this_one_can_be_planned_for, the_least_memory_is_exact,
        too_little_host_memory_is_refused, out_may_not_exist]))
