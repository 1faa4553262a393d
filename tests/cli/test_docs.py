#!/usr/bin/env python3
"""The manual says what the program does: docs/spec.md has the tables of the schema, docs/cli.md the
help of every command, and the example of docs/spec.md is a good spec."""
import os
import re
import sys

import harness


def manual(folder, name):
    with open(os.path.join(folder.source, "docs", name), encoding="utf-8") as file:
        return file.read()


def every_key_is_in_the_manual(folder):
    text = manual(folder, "spec.md")
    rows = folder.run("schema", "--markdown", code=0).stdout.splitlines()
    keys = [row for row in rows if row.startswith("| ")]
    assert len(keys) > 80, len(keys)
    missing = [row for row in keys if row not in text.splitlines()]
    assert not missing, missing
    known = {row.split("`")[1] for row in keys if "`" in row}
    written = {row.split("`")[1] for row in text.splitlines()
               if re.match(r"\| `[a-z_.\[\]0-9]+` \| [^|]* \| [^|]* \| [^|]* \|$", row)}
    assert written <= known, written - known


def every_help_is_in_the_manual(folder):
    text = manual(folder, "cli.md")
    for name in ["run", "plan", "simulate", "check", "doctor", "schema", "help", "version"]:
        assert folder.run("help", name, code=0).stdout in text, name
    assert folder.run("help", code=0).stdout in text


def the_example_of_the_manual_is_good(folder):
    text = re.search(r"```yaml\n(.*?)```", manual(folder, "spec.md"), re.S).group(1)
    for ours, theirs in [("train-images.gz", "x.idx"), ("train-labels.gz", "y.idx"),
                         ("t10k-images.gz", "x.idx"), ("t10k-labels.gz", "y.idx"),
                         ("warmup_steps: 100", "warmup_steps: 1"), ("out: 10", "out: 4")]:
        assert ours in text, ours
        text = text.replace(ours, theirs)
    folder.write("example.yaml", text)
    assert "6 trials of 3 models" in folder.run("check", "example.yaml", code=0).stdout


def the_demo_is_good(folder):
    demo = os.path.join(folder.source, "examples", "demo.yaml")
    data = [f"data.{kind}={{path: x.idx, labels: y.idx, format: idx}}"
            for kind in ["train", "valid"]]
    folder.write_images_of(28, 10, 64)
    words = ["train.schedule.warmup_steps=1"]
    trials = folder.json("check", demo, "--json", *data, *words)["trials"]
    assert len(trials) == 12
    machine = folder.json("plan", demo, "--json", *data, *words)
    smallest = min(trial["state_bytes"] for trial in machine["trials"])
    assert machine["device_bytes"] * 4 <= smallest, (machine["device_bytes"], smallest)
    assert all(trial["shards"] > 1 for trial in machine["trials"])


if __name__ == "__main__":
    sys.exit(harness.main([every_key_is_in_the_manual, every_help_is_in_the_manual,
                           the_example_of_the_manual_is_good, the_demo_is_good]))
