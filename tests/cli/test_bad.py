#!/usr/bin/env python3
"""Every bad file of tests/bad/ goes through the real command, and each must be refused before
anything is started: exit code 2, a message with file, place and cure, nothing on standard output,
no file made.

tests/bad/spec/MANIFEST names the place and the words of each message; tests/bad/data/MANIFEST the
words of data files; for weights the message must name the file, and the boxes' own tests know the
words.
"""
import argparse
import concurrent.futures
import os
import subprocess
import sys
import tempfile

SPEC = """version: 1
machine: "host*1 mem=4MiB"
models:
  - {model}
data:
  train: {data}
{seq_len}train: {{batch: 2, max_steps: 2}}
"""
IMAGES = "{{path: {bad}/data/ok_images.idx, labels: {bad}/data/ok_labels.idx, format: idx}}"
TOKENS = "{{path: {bad}/data/ok_tokens.bin, format: tokens}}"
MLP = "{id: small, arch: mlp, hidden: [4], classes: 10}"


def manifest(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                yield line.rstrip("\n").split("\t")


def run(command, spec, directory):
    """Runs `spillway run` in an empty directory; returns what is wrong with how it refused."""
    result = subprocess.run([command, "run", spec, "--out", "out"], cwd=directory,
                            capture_output=True, check=False, timeout=60)
    message = result.stderr.decode("utf-8", errors="replace")
    complaints = []
    if result.returncode != 2:
        complaints.append(f"exit status {result.returncode}, not 2")
    if result.stdout:
        complaints.append(f"standard output: {result.stdout[:200]}")
    if not message.startswith("spillway run: ") or message.count("\n") != 1:
        complaints.append("not one line that begins with 'spillway run: '")
    return message, complaints


def check(case, command):
    name, text, wanted, path = case
    with tempfile.TemporaryDirectory() as directory:
        if text is not None:
            path = os.path.join(directory, "spec.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        message, complaints = run(command, path, directory)
        left = set(os.listdir(directory)) - {"spec.yaml"}
        if left:
            complaints.append(f"left behind: {left}")
    complaints += [f"the message lacks '{words}'" for words in wanted if words not in message]
    return [f"{name}: {complaint}\n    {message.strip()}" for complaint in complaints]


def spec_cases(bad):
    for file, place, words in manifest(f"{bad}/spec/MANIFEST"):
        path = f"{bad}/spec/{file}"
        yield f"spec/{file}", None, [path + place + ": ", words], path


def data_cases(bad):
    for file, role, form, words in manifest(f"{bad}/data/MANIFEST"):
        path = f"{bad}/data/{file}"
        is_text = form in ("tokens", "text")
        good = "ok_items.npy", "ok_labels.npy"
        if form == "idx":
            good = "ok_images.idx", "ok_labels.idx"
        items = path if role == "items" else f"{bad}/data/{good[0]}"
        labels = path if role == "labels" else f"{bad}/data/{good[1]}"
        model = MLP
        if is_text:
            vocabulary = 50257 if form == "tokens" else 256
            model = ("{id: small, arch: gpt2, config: {vocab_size: %d, n_positions: 4, n_embd: 4, "
                     "n_layer: 1, n_head: 1}}" % vocabulary)
        data = f"{{path: {items}, " + ("" if is_text else f"labels: {labels}, ") + \
            f"format: {form}}}"
        text = SPEC.format(model=model, data=data, seq_len="  seq_len: 4\n" if is_text else "")
        yield f"data/{file}", text, [path, words], None


def weight_cases(bad):
    for file in sorted(os.listdir(f"{bad}/safetensors")):
        path = f"{bad}/safetensors/{file}"
        text = SPEC.format(model=MLP.replace("hidden", f"init: {path}, hidden"),
                           data=IMAGES.format(bad=bad), seq_len="")
        yield f"safetensors/{file}", text, ["spec.yaml:4:", path], None
    for folder in sorted(os.listdir(f"{bad}/hf")):
        path = f"{bad}/hf/{folder}"
        text = SPEC.format(model="{id: small, from: %s}" % path, data=TOKENS.format(bad=bad),
                           seq_len="  seq_len: 4\n")
        yield f"hf/{folder}", text, ["spec.yaml:4:", path], None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--command", required=True)
    parser.add_argument("--bad", required=True, help="tests/bad of the source tree")
    arguments = parser.parse_args()
    command = os.path.abspath(arguments.command)
    bad = os.path.abspath(arguments.bad)

    cases = [*spec_cases(bad), *data_cases(bad), *weight_cases(bad)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for complaints in pool.map(lambda case: check(case, command), cases):
            failed += bool(complaints)
            for complaint in complaints:
                print(complaint)
    if len(cases) < 200:
        print(f"only {len(cases)} bad files were found")
        failed += 1
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
