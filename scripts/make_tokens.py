#!/usr/bin/env python3
"""Makes token files for GPT training from texts, with a vocabulary learned from those texts.

    scripts/make_tokens.py --out DIR [--merges N] [--valid PERCENT] [TEXT ...]
    scripts/make_tokens.py --decode DIR/valid.bin

A GPT-2-shaped model has 50,257 tokens, but GPT-2's own tokenizer would have to be downloaded. This
learns one instead: byte-pair merges (P. Gage 1994; R. Sennrich et al. 2016), most frequent pair
first, inside words as GPT-2 cuts them: a word carries the space before it. Numbers 0 to 255 are
the bytes, 256 + i is merge i, and 50256 begins each document, as in GPT-2. So the numbers suit a
model of 50,257 tokens; after some 10,000 merges no pair is left that occurs twice, and the numbers
above the last merge are not used.

Without TEXT it reads what every Debian and Ubuntu system has: the licenses in
/usr/share/common-licenses, and the chapters of the Python manual that help() shows (pydoc_data,
part of python3), some 700 KB of English in all. Each may be copied freely. The last PERCENT
(default 5) of each document become DIR/valid.bin, the rest DIR/train.bin, both in the format that
`format: tokens` reads: 256 32-bit integers (20240520, 1, number of tokens, zeros), then 16-bit
tokens. The vocabulary is learned from both. DIR/merges.json holds the merges, with which --decode
prints a file as text.

Standard library only. Same texts, same files. Exits with 2 if a text is missing or DIR exists.
"""
import argparse
import array
import collections
import heapq
import json
import os
import re
import struct
import sys
import time

LICENSES = "/usr/share/common-licenses"
DOCUMENT_START = 50256
MERGES_MAX = DOCUMENT_START - 256
MAGIC, VERSION, HEADER_INTEGERS = 20240520, 1, 256

# Letters, digits, other signs, each with the space before it; else blanks. Covers every text.
WORD = re.compile(rb" ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+")


def fail(text):
    print(f"make_tokens.py: {text}", file=sys.stderr)
    sys.exit(2)


def default_documents():
    """The bytes of each license (links are skipped: they name the same files) and each chapter."""
    documents = []
    if os.path.isdir(LICENSES):
        for name in sorted(os.listdir(LICENSES)):
            path = os.path.join(LICENSES, name)
            if os.path.isfile(path) and not os.path.islink(path):
                documents.append(read(path))
    try:
        from pydoc_data.topics import topics
        documents += [topics[name].encode("utf-8") for name in sorted(topics)]
    except ImportError:
        pass
    if not documents:
        fail(f"no text in {LICENSES}, and no pydoc_data; name some texts")
    return documents


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        return fail(f"{path}: {error.strerror}")


class Merger:
    """Words as lists of token numbers, with the count of each pair kept up to date."""

    def __init__(self, counts):
        # Sorted: ties between pairs must not depend on the order of the texts.
        self.words = [(list(word), count) for word, count in sorted(counts.items())]
        self.pairs = collections.Counter()
        self.places = collections.defaultdict(set)  # pair -> indices of words that may hold it
        for index, (symbols, count) in enumerate(self.words):
            for pair in zip(symbols, symbols[1:]):
                self.pairs[pair] += count
                self.places[pair].add(index)
        # Stale entries stay in the heap and are skipped: most frequent first, then least numbers.
        self.heap = [(-count, pair) for pair, count in self.pairs.items()]
        heapq.heapify(self.heap)

    def best(self):
        """The most frequent pair that occurs twice or more, or None."""
        while self.heap:
            count, pair = heapq.heappop(self.heap)
            if self.pairs[pair] == -count:
                return pair if -count >= 2 else None
        return None

    def merge(self, pair, number):
        changed = set()
        for index in sorted(self.places.pop(pair)):
            symbols, count = self.words[index]
            for old in zip(symbols, symbols[1:]):
                self.pairs[old] -= count
                changed.add(old)
            joined = join(symbols, pair, number)
            self.words[index] = (joined, count)
            for new in zip(joined, joined[1:]):
                self.pairs[new] += count
                self.places[new].add(index)
                changed.add(new)
        for other in changed:
            if self.pairs[other] > 0:
                heapq.heappush(self.heap, (-self.pairs[other], other))


def join(symbols, pair, number):
    """`symbols` with every `pair`, from the left, as one `number`."""
    out = []
    index = 0
    while index < len(symbols):
        if index + 1 < len(symbols) and (symbols[index], symbols[index + 1]) == pair:
            out.append(number)
            index += 2
        else:
            out.append(symbols[index])
            index += 1
    return out


def learn(counts, merges_max):
    """Returns the merges and, for each word, its tokens."""
    merger = Merger(counts)
    merges = []
    while len(merges) < merges_max:
        pair = merger.best()
        if pair is None:
            break
        merger.merge(pair, 256 + len(merges))
        merges.append(pair)
    return merges, {word: merger.words[index][0] for index, word in enumerate(sorted(counts))}


def encode(documents, tokens_of, valid_percent):
    """The two streams; documents are cut between words."""
    train, valid = array.array("H"), array.array("H")
    for words in documents:
        border = -(-len(words) * (100 - valid_percent) // 100)
        for stream, part in ((train, words[:border]), (valid, words[border:])):
            if part:
                stream.append(DOCUMENT_START)
            for word in part:
                stream.extend(tokens_of[word])
    return train, valid


def write_tokens(path, stream):
    header = struct.pack("<3I", MAGIC, VERSION, len(stream)).ljust(4 * HEADER_INTEGERS, b"\0")
    if sys.byteorder == "big":
        stream.byteswap()
    with open(path, "wb") as file:
        file.write(header)
        file.write(stream.tobytes())


def decode(path):
    """The text of a token file, with the merges beside it."""
    merges_path = os.path.join(os.path.dirname(path), "merges.json")
    try:
        merges = json.loads(read(merges_path))
        data = read(path)
        magic, version, count = struct.unpack_from("<3I", data)
        tokens = struct.unpack_from(f"<{count}H", data, 4 * HEADER_INTEGERS)
    except (ValueError, struct.error) as error:
        fail(f"{path}: {error}")
    if (magic, version) != (MAGIC, VERSION):
        fail(f"{path}: not a token file of this script")
    texts = [bytes([byte]) for byte in range(256)]
    for left, right in merges:
        texts.append(texts[left] + texts[right])
    return b"".join(b"" if token == DOCUMENT_START else texts[token] for token in tokens)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", metavar="DIR", help="a new directory for the three files")
    what.add_argument("--decode", metavar="FILE", help="print this token file as text")
    parser.add_argument("--merges", metavar="N", type=int, default=MERGES_MAX,
                        help=f"at most so many merges, 0 to {MERGES_MAX} (the default)")
    parser.add_argument("--valid", metavar="PERCENT", type=int, default=5,
                        help="of each document for valid.bin, 0 to 50 (default 5)")
    parser.add_argument("texts", metavar="TEXT", nargs="*", help="a file; each is one document")
    arguments = parser.parse_args()
    if arguments.decode is not None:
        sys.stdout.buffer.write(decode(arguments.decode))
        return
    if not 0 <= arguments.merges <= MERGES_MAX:
        fail(f"--merges {arguments.merges}: it may be 0 to {MERGES_MAX}")
    if not 0 <= arguments.valid <= 50:
        fail(f"--valid {arguments.valid}: it may be 0 to 50")
    if os.path.exists(arguments.out):
        fail(f"{arguments.out} exists already; name a new directory")

    start = time.monotonic()
    texts = [read(path) for path in arguments.texts] or default_documents()
    documents = [WORD.findall(text) for text in texts]
    counts = collections.Counter(word for words in documents for word in words)
    if not counts:
        fail("the texts are empty")
    merges, tokens_of = learn(counts, arguments.merges)
    train, valid = encode(documents, tokens_of, arguments.valid)

    os.makedirs(arguments.out)
    with open(os.path.join(arguments.out, "merges.json"), "w", encoding="ascii") as file:
        json.dump(merges, file, separators=(",", ":"))
    tokens = len(train) + len(valid)
    for name, stream in (("train.bin", train), ("valid.bin", valid)):
        if stream:
            write_tokens(os.path.join(arguments.out, name), stream)
    size = sum(len(text) for text in texts)
    print(f"{len(documents)} documents, {size} bytes, {len(counts)} different words\n"
          f"{len(merges)} merges, {size / tokens:.2f} bytes per token\n"
          f"{len(train)} tokens in train.bin, {len(valid)} in valid.bin, all below 50257\n"
          f"{time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()
