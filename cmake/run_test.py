#!/usr/bin/env python3
"""Runs one test program and decides whether it passed.

An exit status alone lies in several ways: a Criterion filter that matches nothing exits with 0, a
leak or a sanitizer report in a forked test leaves the test green, a test that was skipped counts as
run. So this wrapper also demands that as many tests ran as the sources define, and that no
sanitizer wrote a log. It leaves a small JSON file with the counts for scripts/test_totals.py.
"""
import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

TEST_PATTERN = re.compile(r"^\s*(?:Test|ParameterizedTest|Theory)\s*\(", re.MULTILINE)
FINDING_PATTERN = re.compile(r"ERROR: |runtime error: |WARNING: ThreadSanitizer")
TOTAL_PATTERN = re.compile(r"^(\d+) passed, (\d+) failed\b", re.MULTILINE)


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", required=True, help="directory for logs and counts")
    parser.add_argument("--name", required=True)
    parser.add_argument("--kind", choices=["criterion", "plain", "command"], required=True)
    parser.add_argument("--timeout", default="60", help="seconds per Criterion test")
    parser.add_argument("--jobs", default="1")
    parser.add_argument("--sources", nargs="*", default=[])
    parser.add_argument("--sanitized", action="store_true", help="built with a sanitizer")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def sanitizer_environment(directory):
    """Reports go to files, whichever child of the test program writes them."""
    environment = dict(os.environ)
    log = os.path.join(directory, "sanitizer")
    # Tests that expect SIGABRT or SIGSEGV must see the signal itself.
    environment["ASAN_OPTIONS"] = (
        f"log_path={log}:detect_leaks=1:handle_segv=0:handle_abort=0:"
        "allocator_may_return_null=1:detect_stack_use_after_return=1:"
        + environment.get("ASAN_OPTIONS", ""))
    environment["UBSAN_OPTIONS"] = (
        f"log_path={log}:print_stacktrace=1:" + environment.get("UBSAN_OPTIONS", ""))
    environment["TSAN_OPTIONS"] = (
        f"log_path={log}:exitcode=66:second_deadlock_stack=1:"
        + environment.get("TSAN_OPTIONS", ""))
    return environment


def fixed_addresses():
    """Words that run a command without address randomisation, where that is allowed.

    Older sanitizer runtimes can't place their shadow memory when a kernel randomises with 32 bits.
    """
    command = ["setarch", platform.machine(), "--addr-no-randomize"]
    try:
        works = subprocess.run(command + ["true"], check=False, capture_output=True)
    except FileNotFoundError:
        return []
    return command if works.returncode == 0 else []


def sanitizer_reports(directory):
    """What the sanitizers found. A refused, absurdly large allocation is only a remark to them."""
    reports = []
    for name in sorted(os.listdir(directory)):
        if name.startswith("sanitizer"):
            with open(os.path.join(directory, name), errors="replace") as file:
                report = file.read()
            if FINDING_PATTERN.search(report):
                reports.append(report)
    return reports


def tests_defined(sources):
    count = 0
    for source in sources:
        with open(source, encoding="utf-8") as file:
            count += len(TEST_PATTERN.findall(file.read()))
    return count


def judge_criterion(xml_path, sources):
    """Returns (passed, failed, complaints) from Criterion's XML report."""
    try:
        root = xml.etree.ElementTree.parse(xml_path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        return 0, 1, [f"no readable report: {error}"]
    complaints = []
    ran = failed = 0
    for suite in root.iter("testsuite"):
        total = int(suite.get("tests", "0"))
        idle = max(int(suite.get("skipped", "0")), int(suite.get("disabled", "0")))
        ran += total - idle
        failed += int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
        if idle:
            complaints.append(f"{idle} tests of suite {suite.get('name')} were skipped")
    defined = tests_defined(sources)
    if ran == 0:
        complaints.append("no test ran")
    if ran < defined:
        complaints.append(f"{ran} tests ran, but the sources define {defined}")
    return max(ran - failed, 0), failed, complaints


def write_counts(directory, name, passed, failed):
    with open(os.path.join(directory, "counts.json"), "w", encoding="utf-8") as file:
        json.dump({"name": name, "passed": passed, "failed": failed}, file)


def judge_output(text, kind, exit_code):
    """Returns (passed, failed, complaints) from a last line "N passed, M failed"."""
    totals = TOTAL_PATTERN.findall(text)
    if not totals:
        if kind == "command":
            return (1, 0, []) if exit_code == 0 else (0, 1, [])
        return 0, 1, ['no closing line "N passed, M failed"']
    passed, failed = (int(number) for number in totals[-1])
    return passed, failed, [] if passed + failed > 0 else ["no test ran"]


def main():
    arguments = parse_arguments()
    directory = os.path.join(arguments.state, arguments.name)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    xml_path = os.path.join(directory, "report.xml")
    # Should CTest end this very process for its lateness, the verdict is already there.
    write_counts(directory, arguments.name, 0, 1)

    command = fixed_addresses() if arguments.sanitized else []
    command += arguments.command
    if arguments.kind == "criterion":
        command += [f"--xml={xml_path}", "--timeout", arguments.timeout,
                    f"--jobs={arguments.jobs}"]
    result = subprocess.run(command, env=sanitizer_environment(directory),
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = result.stdout.decode("utf-8", errors="replace")
    sys.stdout.write(text)

    if arguments.kind == "criterion":
        passed, failed, complaints = judge_criterion(xml_path, arguments.sources)
    else:
        passed, failed, complaints = judge_output(text, arguments.kind, result.returncode)
    reports = sanitizer_reports(directory)
    complaints += [f"a sanitizer reported:\n{report}" for report in reports]
    if result.returncode != 0 and failed == 0:
        complaints.append(f"exit status {result.returncode}")
    if complaints and failed == 0:
        failed = 1

    write_counts(directory, arguments.name, passed, failed)
    for complaint in complaints:
        print(f"{arguments.name}: {complaint}")
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
