#!/usr/bin/env python3
"""The rules of STYLE.md that a program can check, each said in words.

Fails on: includes against the arrows or not spelled from the root; lines over 100 columns; a vendor
library named outside its file; sources that the build doesn't compile and headers that nobody
includes; files without an opening comment; calls that the library must not make by itself; typedefs
of structs and enums. Files over 500 lines are listed, no more: some have a reason.
"""
import argparse
import json
import os
import re
import sys

from include_check import VISIBLE

LINE_COLUMNS_MAX = 100
FILE_LINES_MAX = 500
LEFT_OUT = {".git", ".cache", "build", "runs", "__pycache__", "findings", "corpus"}
CODE_SUFFIXES = (".c", ".h", ".inc", ".py", ".sh", ".cmake", "CMakeLists.txt")

# Programs and tests may open any box. Examples see the public header alone.
EVERYTHING = sorted(VISIBLE)
MAY_INCLUDE = dict(VISIBLE, cli=EVERYTHING + ["cli"], tests=EVERYTHING + ["tests", "cli", "bench"],
                   bench=EVERYTHING + ["bench", "tests"], examples=["examples"], include=[])

# Where each vendor's header may be named; tests and benches may use it as an oracle.
VENDORS = {
    r"(oneapi/dnnl/)?dnnl.*\.h": r"kernels/host/dnnl.*\.[ch]",
    r"hwloc(/.*)?\.h": r"runtime/device/topology\.c",
    r"yaml\.h": r"selection/\w+\.c",
    r"jansson\.h": r"\w+/\w+\.c",
    r"zlib\.h": r"data/\w+\.c",
    r"xxhash\.h": r"base/hash\.c",
    r"pthread\.h": r"base/thread\.h",
}

# The library prints nothing, ends nobody, reads no environment, and reaches memory and files
# through a world only.
OWN_CALLS = re.compile(
    r"(?<![\w.>])(printf|puts|putchar|perror|exit|_exit|getenv|setenv|abort|malloc|calloc|realloc"
    r"|free|fopen|unlink|mkdir|clock_gettime|nanosleep|usleep)\(")
OWN_CALLS_ALLOWED = {"base/assert.c", "base/world_system.c"}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
TYPEDEF = re.compile(r"^\s*typedef\s+(struct|enum|union)\b")


class Report:
    """Collects complaints; a rule that no file breaks counts as one passed test."""

    def __init__(self):
        self.rules = {}
        self.remarks = []

    def rule(self, name):
        self.rules.setdefault(name, [])

    def complain(self, name, place, text):
        self.rules[name].append(f"{place}: {text}")

    def finish(self):
        for remark in self.remarks:
            print(f"remark: {remark}")
        failed = 0
        for name, complaints in self.rules.items():
            if complaints:
                failed += 1
                print(f"{name}:")
                for complaint in complaints:
                    print(f"    {complaint}")
        print(f"{len(self.rules) - failed} passed, {failed} failed")
        return 0 if failed == 0 else 1


def code_files(source):
    for directory, directories, names in os.walk(source):
        directories[:] = sorted(set(directories) - LEFT_OUT)
        for name in sorted(names):
            if name.endswith(CODE_SUFFIXES):
                yield os.path.relpath(os.path.join(directory, name), source)


def without_comments(text):
    """Comments and texts become blanks, so that words in them aren't taken for code."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def check_includes(path, lines, report, included):
    box = path.split("/")[0]
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if match is None:
            continue
        place = f"{path}:{number}"
        header = match.group(2)
        included.add(header)
        for vendor, allowed in VENDORS.items():
            if re.fullmatch(vendor, header) and box not in ("tests", "bench"):
                if not re.fullmatch(allowed, path):
                    report.complain("vendor libraries", place,
                                    f"<{header}> may be named in {allowed} only")
        if match.group(1) == "<":
            continue
        target = header.split("/")[0]
        # A helper of tests or benches may stand beside them, as nobody else includes it.
        if "/" not in header and box in ("tests", "bench"):
            included.add(os.path.join(os.path.dirname(path), header))
            continue
        if "/" not in header or header.startswith(".") or target not in MAY_INCLUDE:
            report.complain("include directions", place,
                            f'"{header}" is not spelled from the root, as "base/world.h" is')
        elif box in MAY_INCLUDE and target not in MAY_INCLUDE[box]:
            report.complain("include directions", place,
                            f"{box} must not know of {target}; arrows point the other way")


def check_code(path, text, report):
    """Rules of C code that a search can find."""
    for number, line in enumerate(without_comments(text).split("\n"), 1):
        if TYPEDEF.match(line):
            report.complain("typedefs", f"{path}:{number}", "struct tags are used without typedef")
        if path.split("/")[0] in VISIBLE and path not in OWN_CALLS_ALLOWED:
            match = OWN_CALLS.search(line)
            if match is not None:
                report.complain("calls past the world", f"{path}:{number}",
                                f"{match.group(1)}() is for the world or the program")


def check_vendor_spread(source, paths, report):
    """A vendor library is named in one file, or in one family of files."""
    for vendor in ("hwloc.h", "yaml.h", "jansson.h", "zlib.h"):
        users = []
        for path in paths:
            if path.split("/")[0] in VISIBLE and path.endswith((".c", ".h")):
                with open(os.path.join(source, path), encoding="utf-8") as file:
                    if f"#include <{vendor}>" in file.read():
                        users.append(path)
        if len(users) > 1:
            report.complain("vendor libraries", vendor, "named in " + " and ".join(users))


def check_dead(source, build, paths, included, report):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        compiled = {os.path.relpath(os.path.realpath(entry["file"]), source)
                    for entry in json.load(file)}
    for path in paths:
        # One of the two wrappers of oneDNN is compiled, as its version asks.
        other_version = re.fullmatch(r"kernels/host/dnnl_v[23]\.c", path) is not None
        if path.endswith(".c") and path not in compiled and not other_version:
            report.complain("dead files", path, "the build doesn't compile it")
        if path.endswith(".h") and path not in included and path != "include/spillway.h":
            report.complain("dead files", path, "nobody includes it")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--build", help="with it, sources that are not compiled are found")
    arguments = parser.parse_args()
    source = os.path.realpath(arguments.source)

    report = Report()
    for name in ("include directions", "line length", "vendor libraries", "opening comments",
                 "typedefs", "calls past the world"):
        report.rule(name)
    included = set()
    paths = list(code_files(source))
    for path in paths:
        with open(os.path.join(source, path), encoding="utf-8") as file:
            text = file.read()
        lines = text.split("\n")
        if len(lines) > FILE_LINES_MAX:
            report.remarks.append(f"{path} has {len(lines)} lines: two responsibilities?")
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_COLUMNS_MAX:
                report.complain("line length", f"{path}:{number}", f"{len(line)} columns")
        if path.endswith((".c", ".h")):
            check_includes(path, lines, report, included)
            check_code(path, text, report)
            if not text.startswith("/* "):
                report.complain("opening comments", path, "says nothing about itself")
    check_vendor_spread(source, paths, report)
    if arguments.build is not None:
        report.rule("dead files")
        check_dead(source, arguments.build, paths, included, report)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
