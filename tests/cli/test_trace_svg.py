#!/usr/bin/env python3
"""scripts/trace_svg.py and the traces it reads: its figures are those of summary.json and
decisions.log, its picture is a picture, and files that are no traces are refused in words."""
import json
import os
import random
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml

import harness

MODELLED = "machine=host*2 mem=64KiB link=20MB/s pace=model"
SVG = "{http://www.w3.org/2000/svg}"


def tool(folder, *words, code=0):
    result = subprocess.run(
        [sys.executable, os.path.join(folder.source, "scripts", "trace_svg.py"), *words],
        cwd=folder.path, capture_output=True, check=False, timeout=120, encoding="utf-8")
    assert result.returncode == code, f"{words}: exit {result.returncode}\n{result.stderr}"
    return result


def table_of(text):
    """{track: (slices, busy seconds, bytes, percent hidden)}; the last two None for compute."""
    table = {}
    for line in text.splitlines()[1:-1]:
        name, words = line[:20].strip(), line[20:].split()
        moved = (int(words[3]), float(words[4])) if len(words) > 3 else (None, None)
        table[name] = (int(words[0]), float(words[1]), *moved)
    return table


def works_of(folder, run):
    """{device: commands on its compute queue} that the decisions imply, updates on the cores."""
    works = {}
    for line in folder.read(f"{run}/decisions.log").decode().splitlines():
        if not line.startswith("#"):
            _, device, *_, micro_batches = line.split()
            name = device if device == "cores" else f"host:{device}"
            works[name] = works.get(name, 0) + max(int(micro_batches), 1)
    return works


def close(value, wanted):
    return abs(value - wanted) <= 0.02 * wanted + 1e-6


def check_figures(folder, run):
    summary = json.loads(folder.read(f"{run}/summary.json"))
    table = table_of(tool(folder, f"{run}/trace.pftrace", "--summary").stdout)
    works = works_of(folder, run)
    assert len(table) == 7, table
    for device in summary["devices"]:
        name = device["name"]
        slices, busy_s, _, _ = table[f"{name} compute"]
        assert slices == works[name], (name, slices, works)
        assert close(busy_s, device["busy"] * summary["wall_s"]), (name, busy_s, device)
        if name != "cores":
            assert table[f"{name} copy in"][2] == device["bytes_in"] > 0, (table, device)
            assert table[f"{name} copy out"][2] == device["bytes_out"] > 0, (table, device)
    return table


def the_figures_are_those_of_the_summary(folder):
    folder.run("run", "tiny.yaml", "run.trace=true", "--out", "r", code=0)
    check_figures(folder, "r")


def copies_that_take_modelled_time_take_it_in_the_table(folder):
    folder.run("run", "tiny.yaml", "run.trace=true", MODELLED, "--out", "r", code=0)
    table = check_figures(folder, "r")
    hidden = []
    for name, (_, busy_s, moved, percent) in table.items():
        if moved is not None:
            assert close(busy_s, moved / 20e6), (name, busy_s, moved)
            assert 0 <= percent <= 100, (name, percent)
            hidden.append(percent)
    assert any(hidden), "no copy ran while its device computed"


def halves_of_the_time_add_up_to_the_whole(folder):
    folder.run("run", "tiny.yaml", "run.trace=true", MODELLED, "--out", "r", code=0)
    whole = tool(folder, "r/trace.pftrace", "--summary").stdout
    begin, end = (float(word) for word in whole.splitlines()[-1].split()[0:4:3])
    middle = str((begin + end) / 2)
    parts = [table_of(tool(folder, "r/trace.pftrace", "--summary", option, middle).stdout)
             for option in ("--to", "--from")]
    for name, (slices, busy_s, moved, _) in table_of(whole).items():
        first, second = parts[0][name], parts[1][name]
        assert slices <= first[0] + second[0] <= slices + 1, name  # one may be cut in two
        assert abs(busy_s - first[1] - second[1]) < 5e-6, name
        assert moved is None or moved == first[2] + second[2], name


def the_picture_shows_every_slice(folder):
    folder.run("run", "tiny.yaml", "run.trace=true", "--out", "r", code=0)
    slices = sum(row[0] for row in table_of(
        tool(folder, "r/trace.pftrace", "--summary").stdout).values())
    root = xml.fromstring(tool(folder, "r/trace.pftrace", "--title", "a < b & c").stdout)
    width = float(root.get("viewBox").split()[2])
    boxes = root.findall(f"{SVG}rect")
    tips = [box.find(f"{SVG}title") for box in boxes]
    assert sum(tip is not None and ", step " in tip.text for tip in tips) == slices
    assert len(boxes) == slices + 1 + 2 * 4  # the card, and two boxes in the legend of four jobs
    for box in boxes:
        assert 0 <= float(box.get("x")) and float(box.get("width")) > 0
        assert float(box.get("x")) + float(box.get("width")) <= width
    words = [text.text for text in root.iter(f"{SVG}text")]
    for word in ["a < b & c", "host:0", "host:1", "cores", "copy in", "mlp-1", "conv-2"]:
        assert word in words, f"'{word}' is not in the picture"
    assert "trace_svg.py r/trace.pftrace --title 'a < b & c'" in root.find(f"{SVG}title").text


def a_trace_cut_off_anywhere_is_read_up_to_there(folder):
    folder.run("run", "tiny.yaml", "run.trace=true", "--out", "r", code=0)
    trace = folder.read("r/trace.pftrace")
    whole = table_of(tool(folder, "r/trace.pftrace", "--summary").stdout)
    places = random.Random(1)
    for _ in range(8):
        with open(folder.file("cut.pftrace"), "wb") as file:
            file.write(trace[:places.randrange(len(trace) // 4, len(trace))])
        table = table_of(tool(folder, "cut.pftrace", "--summary").stdout)
        assert set(table) == set(whole)
        assert 0 < sum(row[0] for row in table.values()) <= sum(row[0] for row in whole.values())


def what_is_no_trace_is_refused(folder):
    folder.write("empty", "")
    for words, complaint in ((["missing"], "No such file"), (["empty"], "nothing happened"),
                             (["tiny.yaml"], "no trace of Spillway's")):
        result = tool(folder, *words, code=1)
        assert result.stderr.startswith(f"trace_svg.py: {words[0]}: "), result.stderr
        assert complaint in result.stderr and result.stderr.count("\n") == 1, result.stderr
        assert result.stdout == ""


def protobuf_itself_reads_the_trace(folder):
    folder.run("run", "tiny.yaml", "run.trace=true", "--out", "r", code=0)
    if shutil.which("protoc") is None:
        print("protoc is not installed: traces were not given to it")
        return
    result = subprocess.run(["protoc", "--decode_raw"], input=folder.read("r/trace.pftrace"),
                            capture_output=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    slices = sum(row[0] for row in table_of(
        tool(folder, "r/trace.pftrace", "--summary").stdout).values())
    packets = result.stdout.decode().count("\n1 {") + 1
    assert packets > 2 * slices, (packets, slices)


if __name__ == "__main__":
    sys.exit(harness.main([
        the_figures_are_those_of_the_summary,
        copies_that_take_modelled_time_take_it_in_the_table,
        halves_of_the_time_add_up_to_the_whole,
        the_picture_shows_every_slice,
        a_trace_cut_off_anywhere_is_read_up_to_there,
        what_is_no_trace_is_refused,
        protobuf_itself_reads_the_trace,
    ]))
