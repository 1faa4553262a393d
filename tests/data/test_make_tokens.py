#!/usr/bin/env python3
"""Tests of scripts/make_tokens.py, whose path is the argument. Standard library only."""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

SCRIPT = sys.argv[1]


def run(*arguments, expected=0, seed="0"):
    """Standard output of the script; hash order differs by `seed`."""
    result = subprocess.run([sys.executable, SCRIPT, *arguments], check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=dict(os.environ, PYTHONHASHSEED=seed))
    assert result.returncode == expected, (arguments, result.returncode, result.stderr)
    if expected != 0:
        assert result.stderr.startswith(b"make_tokens.py: "), result.stderr
        assert result.stdout == b""
    return result.stdout


def load(path):
    with open(path, "rb") as file:
        data = file.read()
    magic, version, count = struct.unpack_from("<3I", data)
    assert (magic, version) == (20240520, 1)
    assert data[12:1024] == bytes(1012)
    assert len(data) == 1024 + 2 * count, "the size is what the reader demands"
    return struct.unpack_from(f"<{count}H", data, 1024)


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def test_text_survives(folder):
    """Any bytes, in both files together, document by document."""
    generator = random.Random(1)
    texts = [b"the cat and the other cat", b"\xff\x00\n\n  x\x80 \xc3\xa4 12 3,4;\t", b"",
             bytes(generator.randrange(256) for _ in range(5000)), b" a" * 3000, b"aaaa" * 50]
    for percent in (0, 10):
        for merges in (0, 1, 50000):
            out = os.path.join(folder, f"out-{percent}-{merges}")
            # Documents one by one, as the two files split each of them.
            for index, text in enumerate(texts):
                if text == b"":
                    continue
                part = f"{out}-{index}"
                run("--out", part, "--valid", str(percent), "--merges", str(merges),
                    write(folder, "text", text))
                got = run("--decode", os.path.join(part, "train.bin"))
                if os.path.exists(os.path.join(part, "valid.bin")):
                    got += run("--decode", os.path.join(part, "valid.bin"))
                assert got == text, (percent, merges, index)


def test_merges_are_the_most_frequent_first(folder):
    """Worked by hand: "ab" occurs 3 times, then "abc" twice; "d" never with the same neighbour."""
    out = os.path.join(folder, "hand")
    run("--out", out, "--valid", "0", write(folder, "hand.txt", b"abc abc abd"))
    with open(os.path.join(out, "merges.json"), encoding="ascii") as file:
        merges = json.load(file)
    a, b, c, space = b"abc "
    # " a" is part of two words; "ab" beats it with 3.
    assert merges[0] == [a, b]
    assert merges[1] == [space, 256], "of the pairs that occur twice, the least numbers first"
    assert merges[2:] == [[256, c]] or merges[2:] == [], merges
    tokens = load(os.path.join(out, "train.bin"))
    assert tokens[0] == 50256 and tokens[1:3] == (256, c), tokens


def test_real_texts_and_their_order(folder):
    """The default texts: twice the same files; documents begin with 50256; numbers fit."""
    one, two = os.path.join(folder, "one"), os.path.join(folder, "two")
    run("--out", one, seed="1")
    run("--out", two, seed="2")
    for name in ("train.bin", "valid.bin", "merges.json"):
        with open(os.path.join(one, name), "rb") as first:
            with open(os.path.join(two, name), "rb") as second:
                assert first.read() == second.read(), name
    train, valid = load(os.path.join(one, "train.bin")), load(os.path.join(one, "valid.bin"))
    assert train[0] == valid[0] == 50256
    assert max(train) == 50256 and train.count(50256) >= 12
    assert len(train) > 30000 and 0.02 < len(valid) / len(train) < 0.1
    text = run("--decode", os.path.join(one, "train.bin"))
    assert b"GNU GENERAL PUBLIC LICENSE" in text and b"Apache License" in text
    assert len(text) / len(train) > 3, "bytes per token"


def test_refusals(folder):
    run("--out", folder, write(folder, "some", b"text"), expected=2)
    run("--out", os.path.join(folder, "new"), os.path.join(folder, "missing"), expected=2)
    run("--out", os.path.join(folder, "new"), write(folder, "empty", b""), expected=2)
    run("--out", os.path.join(folder, "new"), "--merges", "50001", expected=2)
    run("--out", os.path.join(folder, "new"), "--valid", "51", expected=2)
    run("--decode", os.path.join(folder, "some"), expected=2)
    assert not os.path.exists(os.path.join(folder, "new")), "nothing is left behind"


def main():
    tests = [value for name, value in sorted(globals().items()) if name.startswith("test_")]
    failed = 0
    for test in tests:
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
            except AssertionError as error:
                print(f"{test.__name__}: {error}")
                failed += 1
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
