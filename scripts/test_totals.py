#!/usr/bin/env python3
"""Adds up what cmake/run_test.py counted, in each build directory and in all.

--broken N says how many builds or test runs as a whole went wrong: if no single test says so (it
may not even have been built), that counts as a failure all the same.
"""
import argparse
import json
import os
import sys


def counts_of(build):
    state = os.path.join(build, "test_state")
    if not os.path.isdir(state):
        return
    for name in sorted(os.listdir(state)):
        path = os.path.join(state, name, "counts.json")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                yield json.load(file)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--broken", type=int, default=0)
    parser.add_argument("builds", nargs="+")
    arguments = parser.parse_args()

    passed = failed = 0
    for build in arguments.builds:
        counts = list(counts_of(build))
        build_passed = sum(count["passed"] for count in counts)
        build_failed = sum(count["failed"] for count in counts)
        print(f"{build}: {build_passed} passed, {build_failed} failed in {len(counts)} programs")
        for count in counts:
            if count["failed"] > 0:
                print(f"    {count['name']}: {count['failed']} failed")
        passed += build_passed
        failed += build_failed
    if arguments.broken > failed:
        failed = arguments.broken
    if passed == 0 and failed == 0:
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
