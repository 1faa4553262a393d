#!/usr/bin/env python3
"""`spillway simulate`: it predicts, says the same each time, and refuses what it can't simulate."""
import math
import sys

import harness

SPEC = """
version: 1
models:
  - {id: mlp, arch: mlp, hidden: [64, 64, 64, 64, 64, 64]}
data: {train: {path: x.idx, labels: y.idx, format: idx}}
train: {batch: 16, micro_batch: 8, max_steps: 6}
search: {method: grid, parameters: {train.lr: [1e-3, 2e-3, 3e-3, 4e-3]}}
"""

MACHINE = """
name: small
device:
  mem: 48KiB
  fp32_tflops: 0.002
  memory: 0.4GB/s
  link: %s
  busy_watts: 100
  idle_watts: 10
  dollars_per_hour: 3.6
host:
  mem: 1GiB
  cores: 10GB/s
  watts: 50
"""


def prepare(folder):
    folder.write("spec.yaml", SPEC)
    folder.write("fast.yaml", MACHINE % "1GB/s")
    folder.write("slow.yaml", MACHINE % "10MB/s")


def simulate(folder, machine, *words):
    return folder.json("simulate", "spec.yaml", "--machine", machine, "--json", *words)


def shares_add_up(folder):
    prepare(folder)
    result = simulate(folder, "sim:fast.yaml*2")
    for it in result["devices"] + [result]:
        total = sum(it[key] for key in ["busy", "waiting_copy", "waiting_norm", "no_work", "tail"])
        assert math.isclose(total, 1, abs_tol=1e-6), it
        assert it["useful"] <= it["busy"]
    assert len(result["devices"]) == 3 and len(result["trials"]) == 4
    finish = [trial["finish_s"] for trial in result["trials"]]
    assert math.isclose(max(finish), result["makespan_s"], rel_tol=1e-6), finish
    assert all(trial["state"] == "done" and trial["steps"] == 6 for trial in result["trials"])
    assert result["device_peak_bytes"] <= 48 * 1024


def the_same_input_gives_the_same_output(folder):
    prepare(folder)
    words = ["simulate", "spec.yaml", "--machine", "sim:fast.yaml*3"]
    for more in [[], ["--json"]]:
        first = folder.run(*words, *more, code=0).stdout
        assert first == folder.run(*words, *more, code=0).stdout
    folder.run(*words, "--trace", "a.pftrace", code=0)
    folder.run(*words, "--trace", "b.pftrace", code=0)
    assert len(folder.read("a.pftrace")) > 10000
    assert folder.read("a.pftrace") == folder.read("b.pftrace")


def more_devices_and_faster_links_help(folder):
    prepare(folder)
    one, four = simulate(folder, "sim:fast.yaml*1"), simulate(folder, "sim:fast.yaml*4")
    slow = simulate(folder, "sim:slow.yaml*4")
    assert one["makespan_s"] > 2.5 * four["makespan_s"], (one["makespan_s"], four["makespan_s"])
    assert slow["makespan_s"] > 2 * four["makespan_s"]
    assert slow["waiting_copy"] > four["waiting_copy"] + 0.2
    override = simulate(folder, "sim:slow.yaml*4 link=1GB/s")
    assert override["makespan_s"] == four["makespan_s"]


def energy_and_price_follow_from_the_file(folder):
    prepare(folder)
    result = simulate(folder, "sim:fast.yaml*2")
    seconds = result["makespan_s"]
    busy = sum(device["busy"] for device in result["devices"][:2]) * seconds
    joules = busy * 100 + (2 * seconds - busy) * 10 + seconds * 50
    assert math.isclose(result["joules"], joules, rel_tol=1e-6), (result["joules"], joules)
    assert math.isclose(result["dollars"], 2 * 3.6 / 3600 * seconds, rel_tol=1e-6)
    folder.write("fast.yaml", (MACHINE % "1GB/s").replace("  dollars_per_hour: 3.6\n", ""))
    assert simulate(folder, "sim:fast.yaml*2")["dollars"] is None


def unlike_devices_work_together(folder):
    prepare(folder)
    quick = MACHINE % "1GB/s"
    for slow, fast in [("0.002", "0.02"), ("0.4GB/s", "4GB/s"), ("48KiB", "96KiB")]:
        quick = quick.replace(slow, fast)
    folder.write("quick.yaml", quick)
    mixed = simulate(folder, "sim:fast.yaml*1+quick.yaml*1")
    alone = simulate(folder, "sim:fast.yaml*2")
    assert mixed["makespan_s"] < 0.8 * alone["makespan_s"]
    assert [device["region_bytes"] for device in mixed["devices"][:2]] == [48 << 10, 96 << 10]
    assert mixed["devices"][1]["units"] > 1.3 * mixed["devices"][0]["units"]


def a_shared_link_slows_all(folder):
    prepare(folder)
    folder.write("shared.yaml", (MACHINE % "40MB/s") + "  link: 40MB/s\n")
    folder.write("own.yaml", MACHINE % "40MB/s")
    shared, own = simulate(folder, "sim:shared.yaml*4"), simulate(folder, "sim:own.yaml*4")
    assert shared["makespan_s"] > 1.5 * own["makespan_s"]


def hosts_work_side_by_side(folder):
    prepare(folder)
    one, two = simulate(folder, "sim:fast.yaml*2"), simulate(folder, "sim:fast.yaml*4 hosts=2")
    assert 1.7 < one["makespan_s"] / two["makespan_s"] < 2.3, (one, two)
    assert sorted(trial["host"] for trial in two["trials"]) == [0, 0, 1, 1]
    assert [device["host"] for device in two["devices"]] == [0, 0, 0, 1, 1, 1]
    words = ["simulate", "spec.yaml", "--machine", "sim:fast.yaml*8 hosts=4"]
    text = folder.run(*words, code=0).stdout
    assert "sim:7" in text and "hosts=4" in text
    assert "several hosts" in folder.run(*words, "--trace", "x", code=2).stderr


def paced_hosts_are_predicted(folder):
    """The same modelled times with threads and a real clock, which other work on the machine can
    only make later."""
    prepare(folder)
    machine = "host*2 mem=48KiB pace=model link=30MB/s"
    words = ["train.max_steps=30"]
    simulated = simulate(folder, machine, *words)
    late = math.inf
    for attempt in range(5):  # other work can only make it later: the best counts
        run = folder.json("run", "spec.yaml", "--machine", machine, "--json", "--progress", "none",
                          "--out", f"out{attempt}", *words)
        late = min(late, run["wall_s"] / simulated["makespan_s"])
        if late < 3:
            break
    assert 0.95 < late < 3, (simulated["makespan_s"], run["wall_s"])
    print(f"      {run['wall_s']:.3f} s, simulated {simulated['makespan_s']:.3f} s")


def what_cannot_be_simulated_is_refused(folder):
    prepare(folder)
    words = ["simulate", "spec.yaml", "--machine"]
    assert "only modelled machines" in folder.run(*words, "host*2", code=2).stderr
    assert "did you mean h200" in folder.run(*words, "sim:h20", code=2).stderr
    assert "mem=" in folder.run(*words, "sim:fast.yaml mem=4KiB", code=4).stderr
    folder.write("bad.yaml", (MACHINE % "1GB"))
    assert "bad.yaml:7:9: machine.device.link" in folder.run(*words, "sim:bad.yaml", code=2).stderr
    assert "spillway simulate" in folder.run("run", "spec.yaml", "--machine", "sim:h200",
                                             code=2).stderr
    folder.write("there.pftrace", "")
    assert "there.pftrace" in folder.run(*words, "sim:fast.yaml", "--trace", "there.pftrace",
                                         code=2).stderr


def plans_are_for_simulated_machines_too(folder):
    prepare(folder)
    plan = folder.json("plan", "spec.yaml", "--machine", "sim:fast.yaml*2", "--json")
    assert plan["device_bytes"] == 48 << 10 and plan["machine"].startswith("sim:fast.yaml*2")


if __name__ == "__main__":
    sys.exit(harness.main([shares_add_up, the_same_input_gives_the_same_output,
                           more_devices_and_faster_links_help,
                           energy_and_price_follow_from_the_file, unlike_devices_work_together,
                           a_shared_link_slows_all, hosts_work_side_by_side,
                           paced_hosts_are_predicted,
                           what_cannot_be_simulated_is_refused,
                           plans_are_for_simulated_machines_too]))
