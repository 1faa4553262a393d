"""What the tests of the command share: running it, small data, counting."""
import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import traceback


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--command", required=True)
    parser.add_argument("--source", required=True, help="root of the source tree")
    parsed = parser.parse_args()
    parsed.command = os.path.abspath(parsed.command)
    parsed.source = os.path.abspath(parsed.source)
    return parsed


class Folder:
    """An empty directory to run the command in, with data that a small model can learn."""

    def __init__(self, command):
        self.command = command
        self.temporary = tempfile.TemporaryDirectory()
        self.path = self.temporary.name

    def __enter__(self):
        self.write_images(96)
        return self

    def __exit__(self, *_):
        self.temporary.cleanup()

    def file(self, name):
        return os.path.join(self.path, name)

    def write(self, name, text):
        with open(self.file(name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(self.file(name), "rb") as file:
            return file.read()

    def write_images(self, count):
        self.write_images_of(6, 4, count)

    def write_images_of(self, side, classes, count):
        """Square images in which a bright spot, one of four, tells the class."""
        images, labels = bytearray(), bytearray()
        for i in range(count):
            label = i * 7 % classes
            labels.append(label)
            for y in range(side):
                for x in range(side):
                    spot = (y >= side // 2) * 2 + (x >= side // 2)
                    bright = spot == label % 4
                    images.append(200 + i % 50 if bright else (i * 13 + x * y) % 90)
        with open(self.file("x.idx"), "wb") as file:
            file.write(struct.pack(">BBBBIII", 0, 0, 8, 3, count, side, side) + images)
        with open(self.file("y.idx"), "wb") as file:
            file.write(struct.pack(">BBBBI", 0, 0, 8, 1, count) + labels)

    def write_npy(self, name, kind, shape, data):
        header = repr({"descr": kind, "fortran_order": False, "shape": tuple(shape)}) + "\n"
        with open(self.file(name), "wb") as file:
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)))
            file.write(header.encode() + data)

    def run(self, *words, code=None, environment=None):
        result = subprocess.run([self.command, *words], cwd=self.path, capture_output=True,
                                check=False, timeout=120,
                                env={**os.environ, **(environment or {})})
        result.stdout = result.stdout.decode()
        result.stderr = result.stderr.decode()
        if code is not None:
            assert result.returncode == code, \
                f"{words}: exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result

    def json(self, *words, code=0):
        return json.loads(self.run(*words, code=code).stdout)


SPEC = """version: 1
name: tiny
seed: 3
machine: "host*2 mem=64KiB"
models:
  - {id: mlp, arch: mlp, hidden: [24, 24], dropout: 0.1}
  - id: conv
    layers:
      - conv2d: {out: 4, kernel: 3, padding: 1}
      - relu
      - maxpool2d: {kernel: 2}
      - flatten
      - linear: {out: 4}
data:
  train: {path: x.idx, labels: y.idx, format: idx}
  valid: {path: x.idx, labels: y.idx, format: idx}
train: {batch: 16, micro_batch: 5, epochs: 3, lr: 1e-2}
eval: {every: 7}
search: {parameters: {train.lr: [1e-2, 3e-3]}}
"""


def main(tests):
    """Runs functions of one Folder argument; prints what failed and the totals."""
    parsed = arguments()
    failed = 0
    for test in tests:
        with Folder(parsed.command) as folder:
            folder.source = parsed.source
            folder.write("tiny.yaml", SPEC)
            try:
                test(folder)
                print(f"ok    {test.__name__}")
            except Exception:  # pylint: disable=broad-except
                failed += 1
                print(f"FAIL  {test.__name__}")
                traceback.print_exc(file=sys.stdout)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 0 if failed == 0 else 1
