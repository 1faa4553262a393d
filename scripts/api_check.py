#!/usr/bin/env python3
"""The shared library exports exactly what include/spillway.h marks with SPW_API."""
import argparse
import re
import subprocess
import sys

DECLARED = re.compile(r"^SPW_API\b[^;{]*?\b(spw_\w+)\s*\(", re.MULTILINE)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--header", required=True)
    parser.add_argument("--library", required=True)
    arguments = parser.parse_args()

    with open(arguments.header, encoding="utf-8") as file:
        declared = set(DECLARED.findall(file.read()))
    listing = subprocess.run(["nm", "--dynamic", "--defined-only", arguments.library],
                             capture_output=True, text=True, check=True).stdout
    exported = {line.split()[2].split("@")[0] for line in listing.splitlines()
                if line.split()[1] in "TDBRVWi"}
    for name in sorted(declared - exported):
        print(f"{name} is in spillway.h, but not exported")
    for name in sorted(exported - declared):
        print(f"{name} is exported, but not in spillway.h")
    wrong = len(declared ^ exported)
    print(f"{len(declared & exported)} passed, {wrong} failed")
    return 0 if wrong == 0 and declared else 1


if __name__ == "__main__":
    sys.exit(main())
