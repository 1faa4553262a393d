#!/usr/bin/env python3
"""Holds the build to its promise: a box can include its own headers and those of the boxes that it
depends on, and nothing else of ours.

For each box it takes the compiler's command line of one of its sources and tries every box's
headers with it. A header that opens although no arrow points there fails, and so does the reverse.
"""
import argparse
import json
import os
import shlex
import subprocess
import sys

# What each box may see, itself included. The arrows of docs/architecture.md.
VISIBLE = {
    "base": ["base"],
    "kernels": ["base", "kernels"],
    "models": ["base", "kernels", "models"],
    "partitioner": ["base", "kernels", "models", "partitioner"],
    "data": ["base", "data"],
    "runtime": ["base", "kernels", "models", "partitioner", "data", "runtime"],
    "api": ["base", "kernels", "models", "partitioner", "data", "runtime", "api"],
    "selection": ["base", "kernels", "models", "partitioner", "data", "runtime", "selection"],
}


def first_header(source, box):
    """Path of a header that stands directly in the box, spelled from the root."""
    for directory, _, names in sorted(os.walk(os.path.join(source, box))):
        for name in sorted(names):
            if name.endswith(".h"):
                return os.path.relpath(os.path.join(directory, name), source)
    return None


def options_of(build, source):
    """Compiler and options of one source file per box."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    options = {}
    for entry in entries:
        box = os.path.relpath(entry["file"], source).split(os.sep)[0]
        if box not in VISIBLE or box in options:
            continue
        words = shlex.split(entry["command"])
        if os.path.basename(words[0]) == "ccache":
            words = words[1:]
        kept = [word for word in words[1:] if word.startswith(("-I", "-D", "-std"))]
        options[box] = [words[0]] + kept
    return options


def opens(command, header):
    """Whether the preprocessor finds the header; what the header itself includes doesn't matter."""
    probe = f'#if !__has_include("{header}")\n#error not found\n#endif\n'
    result = subprocess.run(command + ["-fsyntax-only", "-x", "c", "-"], input=probe.encode(),
                            capture_output=True, cwd="/", check=False)
    return result.returncode == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--build", required=True)
    arguments = parser.parse_args()

    source = os.path.realpath(arguments.source)
    options = options_of(arguments.build, source)
    headers = {box: first_header(source, box) for box in VISIBLE}
    passed = failed = 0
    for box, command in sorted(options.items()):
        for other, header in headers.items():
            if header is None:
                continue
            expected = other in VISIBLE[box]
            if opens(command, header) == expected:
                passed += 1
                continue
            failed += 1
            print(f"{box} {'cannot' if expected else 'can'} include {header}")
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
