#!/usr/bin/env python3
"""Writes the bad data files of tests/bad/data and their MANIFEST, and seeds for the fuzz targets.

    python3 tests/bad/make_data.py [DIRECTORY]

Each file breaks one rule of its format; the manifest says which words the refusal must contain.
The files are small and committed, so that they can be looked at and so that a test needs no Python;
this script says what is wrong with each of them. With one version of zlib it writes the same bytes
whenever it runs. With a DIRECTORY it writes the bad files there, and no seeds.
"""
import gzip
import os
import struct
import sys

MANIFEST_HEAD = """\
# Files that must be refused, one per line: file, role, format, words of the message; tabs between.
# The file is given as `path` (role items) or as `labels` (role labels); the other one is good:
# ok_images.idx and ok_labels.idx, or ok_items.npy and ok_labels.npy. seq_len is 4 for tokens and
# text. The model has 10 classes; its vocabulary is 50257 for tokens, 256 for text. The message
# begins with the path of the bad file. Written by tests/bad/make_data.py.
"""

entries = []
directory = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")


def write(name, data):
    with open(os.path.join(directory, name), "wb") as file:
        file.write(data)


def bad(name, role, data_format, words, data):
    """`data` None: the file is not written."""
    if data is not None:
        write(name, data)
    entries.append((name, role, data_format, words))


def idx(dims, values=None, kind=8):
    count = 1
    for dim in dims:
        count *= dim
    if values is None:
        values = bytes(index % 251 for index in range(count))
    return struct.pack(f">BBBB{len(dims)}I", 0, 0, kind, len(dims), *dims) + values


def compress(data):
    """A gzip file without a name or a time."""
    return gzip.compress(data, 9, mtime=0)


def npy_text(text, values=b"", version=(1, 0)):
    """A header with this text, padded as NumPy does, and the values."""
    length_bytes = 2 if version[0] < 2 else 4
    used = 8 + length_bytes + len(text) + 1
    text = text + " " * (-used % 64) + "\n"
    length = struct.pack("<H" if length_bytes == 2 else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text.encode("latin-1") + values


def npy(descr, shape, values=b"", order="False", version=(1, 0)):
    return npy_text(f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}", values,
                    version)


def tokens(values, magic=20240520, version=1, count=None, kind="H"):
    header = [magic, version, (len(values) if count is None else count) & 0xffffffff]
    header += [0] * (256 - len(header))
    return struct.pack("<256I", *header) + struct.pack(f"<{len(values)}{kind}", *values)


FLOATS = struct.pack("<12f", *range(12))
LABELS = struct.pack("<3q", 0, 1, 9)
IMAGES = idx([3, 2, 2])


def make_good():
    write("ok_images.idx", IMAGES)
    write("ok_images.idx.gz", compress(IMAGES))
    write("ok_labels.idx", idx([3], bytes([0, 1, 9])))
    write("ok_items.npy", npy("<f4", "(3, 2, 2)", FLOATS))
    write("ok_labels.npy", npy("<i8", "(3,)", LABELS))
    write("ok_tokens.bin", tokens([5, 0, 50256, 7, 1, 2, 3, 4, 5]))
    write("ok_text.txt", b"Each byte is a token.\n")


def make_idx():
    def items(name, words, data):
        bad(name, "items", "idx", words, data)

    items("idx_empty.idx", "the file is empty", b"")
    items("idx_magic.idx", "not an IDX file", b"GIF89a, or something else")
    items("idx_npy_inside.idx", "not an IDX file", npy("<f4", "(3, 2, 2)", FLOATS))
    items("idx_gzip_inside.idx", "needs a name that ends in .gz", compress(IMAGES))
    items("idx_type_float.idx", "byte 2: values of IDX type 0x0d", idx([3, 2, 2], FLOATS, 0x0d))
    items("idx_type_unknown.idx", "byte 2: values of IDX type 0xff", idx([3, 2, 2], kind=0xff))
    items("idx_rank_0.idx", "byte 3: 0 dimensions", idx([], b""))
    items("idx_rank_5.idx", "byte 3: 5 dimensions", idx([1, 1, 1, 1, 1]))
    items("idx_cut_magic.idx", "byte 3: the file ends inside the 4 bytes", IMAGES[:3])
    items("idx_cut_header.idx", "byte 10: the file ends inside its 16-byte header", IMAGES[:10])
    items("idx_no_values.idx", "byte 16: the file ends here", IMAGES[:16])
    items("idx_dim_zero.idx", "byte 8: dimension 1 is 0", idx([3, 0, 2]))
    items("idx_overflow.idx", "byte 12: with dimension 2 = 4294967295 the size overflows",
          idx([0xffffffff] * 4, b""))
    items("idx_overflow_last.idx", "byte 16: with dimension 3 = 65536 the size overflows",
          idx([65536] * 4, b""))
    # 2^64 - 1 values: the product fits in 64 bits, the header on top does not.
    items("idx_overflow_header.idx", "byte 4: the size overflows",
          idx([0xffffffff, 641, 6700417], b""))
    items("idx_near_2_64.idx", "header declares 18446744065119617037 bytes",
          idx([0xffffffff, 0xffffffff], b""))
    items("idx_count_over_file.idx", "its header declares 8589934608 bytes",
          idx([0x80000000, 2, 2], bytes(12)))
    items("idx_short_by_one.idx", "byte 27: the file ends here", IMAGES[:-1])
    items("idx_trailing.idx", "byte 28: the data end here by the header, but 1 bytes follow",
          IMAGES + b"\n")
    items("idx_labels_as_items.idx", "are `path` and `labels` swapped?", idx([3]))
    bad("idx_items_as_labels.idx", "labels", "idx", "are `path` and `labels` swapped?", IMAGES)
    bad("idx_labels_too_few.idx", "labels", "idx", "2 labels for the 3 items", idx([2]))
    bad("idx_labels_too_many.idx", "labels", "idx", "4 labels for the 3 items", idx([4]))
    bad("idx_label_too_large.idx", "labels", "idx",
        "byte 9 (item 1): label 10, but the model has 10 classes", idx([3], bytes([0, 10, 255])))
    bad("idx_directory.idx", "items", "idx", "Is a directory", None)
    bad("idx_missing.idx", "items", "idx", "No such file or directory", None)
    bad("idx_missing_labels.idx", "labels", "idx", "No such file or directory", None)


def make_gzip():
    def items(name, words, data, data_format="idx"):
        bad(name, "items", data_format, words, data)

    good = compress(IMAGES)
    items("gzip_empty.idx.gz", "the file is empty", b"")
    items("gzip_not.idx.gz", "not a gzip file", IMAGES)
    items("gzip_method.idx.gz", "not a gzip file", good[:2] + b"\x07" + good[3:])
    items("gzip_cut_header.idx.gz", "compressed byte 5: the file ends inside its gzip stream",
          good[:5])
    items("gzip_cut_data.idx.gz", "the file ends inside its gzip stream", good[:len(good) // 2])
    items("gzip_cut_trailer.idx.gz", "the file ends inside its gzip stream", good[:-1])
    items("gzip_checksum.idx.gz", "incorrect data check", good[:-8] + b"\0\0\0\0" + good[-4:])
    items("gzip_length.idx.gz", "incorrect length check", good[:-4] + b"\xff\0\0\0")
    items("gzip_block.idx.gz", "invalid block type", good[:10] + b"\x07" + good[11:])
    items("gzip_trailing.idx.gz", "goes on with something else", good + b"\0")
    items("gzip_second_member.idx.gz", "compressed byte", good + b"\x1f\x8c")
    items("gzip_more.idx.gz", "byte 28: the data end here by the header, but the file decompresses",
          compress(IMAGES + b"\0"))
    items("gzip_less.idx.gz", "byte 27: the decompressed data end here", compress(IMAGES[:-1]))
    items("gzip_nothing.idx.gz", "byte 0: the file ends inside the 4 bytes", compress(b""))
    items("gzip_lie.idx.gz", "compressed bytes can hold at most",
          compress(idx([0xffffffff, 0xffff, 0x100], b"")))
    # 16 MiB of zeros in 16 KB: the header is right, but for what it says, the file is too long.
    items("gzip_bomb.idx.gz", "the file decompresses to more",
          compress(idx([3, 2, 2], bytes(16 << 20))))
    items("gzip_inside_gzip.idx.gz", "compressed, once, needs a name", compress(good))
    items("gzip_nothing.txt.gz", "the text is empty", compress(b""), "text")
    items("gzip_cut.txt.gz", "the file ends inside its gzip stream",
          compress(bytes(range(256)))[:-9], "text")


def make_npy():
    def items(name, words, data):
        bad(name, "items", "npy", words, data)

    shape = "(3, 2, 2)"
    items("npy_empty.npy", "the file is empty", b"")
    items("npy_magic.npy", "not an npy file", b"\x94NUMPY" + npy("<f4", shape, FLOATS)[6:])
    items("npy_zip.npy", "perhaps npz", b"PK\3\4" + bytes(60))
    items("npy_version_0.npy", "npy version 0.1", npy("<f4", shape, FLOATS, version=(0, 1)))
    items("npy_version_4.npy", "npy version 4.0", npy("<f4", shape, FLOATS, version=(4, 0)))
    items("npy_cut_prefix.npy", "byte 9: the file ends inside the npy header",
          npy("<f4", shape)[:9])
    items("npy_cut_header.npy", "byte 50: the file ends inside the npy header",
          npy("<f4", shape)[:50])
    items("npy_length_huge.npy", "a header of 4294967295 bytes",
          b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(100))
    items("npy_length_past_end.npy", "byte 128: the file ends inside the npy header",
          b"\x93NUMPY\1\0\x77\0" + npy("<f4", shape)[10:])
    items("npy_length_zero.npy", "bad npy header", b"\x93NUMPY\1\0\0\0" + FLOATS)
    items("npy_no_newline.npy", "one newline at the end of the header",
          npy("<f4", shape)[:-1] + b" " + FLOATS)
    items("npy_quote.npy", "the closing quote expected", b"\x93NUMPY\1\0\7\0{'descr")
    items("npy_object.npy", "the object type holds pickled Python",
          npy("|O", "(3,)", b"\x80\4]\x94."))
    items("npy_structured.npy", "a structured type isn't served",
          npy_text("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (3,), }", FLOATS))
    items("npy_fortran.npy", "Fortran order", npy("<f4", shape, FLOATS, order="True"))
    items("npy_order_word.npy", "True or False expected", npy("<f4", shape, FLOATS, order="0"))
    items("npy_big_endian.npy", "type '>f4' is big-endian", npy(">f4", shape, FLOATS))
    items("npy_complex.npy", "type '<c8' isn't served", npy("<c8", shape, FLOATS * 2))
    items("npy_half.npy", "type '<f2' isn't served", npy("<f2", shape, FLOATS[:24]))
    items("npy_text.npy", "type '<U5' isn't served", npy("<U5", "(3,)", bytes(60)))
    items("npy_type_empty.npy", "type '' isn't served", npy("", shape, FLOATS))
    items("npy_type_long.npy", "a short printable text expected", npy("<f4" * 100, shape, FLOATS))
    items("npy_type_control.npy", "a short printable text expected",
          npy_text("{'descr': '<f4\x1b[31m', 'fortran_order': False, 'shape': (3, 4), }", FLOATS))
    items("npy_items_int.npy", "items can't be 32- or 64-bit integers",
          npy("<i4", shape, FLOATS))
    items("npy_dim_negative.npy", "a positive whole number expected",
          npy("<f4", "(3, -2, -2)", FLOATS))
    items("npy_dim_zero.npy", "isn't 0", npy("<f4", "(3, 0, 2)"))
    items("npy_dim_2_64.npy", "a dimension below 2^64 expected",
          npy("<f4", "(18446744073709551616, 2)", FLOATS))
    items("npy_dim_float.npy", "\",\" or \")\" expected", npy("<f4", "(3, 4.0)", FLOATS))
    items("npy_overflow.npy", "the size overflows 64 bits",
          npy("<f4", "(4294967296, 4294967296)", FLOATS))
    items("npy_overflow_header.npy", "the size overflows 64 bits",
          npy("|u1", "(1, 18446744073709551615)", FLOATS))
    items("npy_overflow_element.npy", "the size overflows 64 bits",
          npy("<f8", "(4611686018427387904, 1)", FLOATS))
    items("npy_count_over_file.npy", "its header declares 17592186044544 bytes",
          npy("<f4", "(4, 1099511627776)", FLOATS))
    items("npy_too_many_items.npy", "at most 4294967295 are served",
          npy("|u1", "(4294967296, 1)", FLOATS))
    items("npy_rank_0.npy", "are `path` and `labels` swapped?", npy("<f4", "()", FLOATS[:4]))
    items("npy_rank_5.npy", "at most 4 dimensions", npy("<f4", "(3, 1, 1, 2, 2)", FLOATS))
    items("npy_key_missing.npy", "each of descr, fortran_order and shape",
          npy_text("{'descr': '<f4', 'shape': (3, 4), }", FLOATS))
    items("npy_key_twice.npy", "each of descr, fortran_order and shape once",
          npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), 'shape': (3, 4), }",
                   FLOATS))
    items("npy_key_unknown.npy", "nothing else",
          npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), 'x': 1, }", FLOATS))
    items("npy_code.npy", "the shape's \"(\" expected",
          npy("<f4", "__import__('os').getpid()", FLOATS))
    items("npy_not_closed.npy", "\",\" or \"}\" expected",
          npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)", FLOATS))
    items("npy_after_dictionary.npy", "spaces and one newline",
          npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } + {}", FLOATS))
    items("npy_nul.npy", "spaces and one newline",
          npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\0", FLOATS))
    items("npy_short_by_one.npy", "byte 175: the file ends here",
          npy("<f4", shape, FLOATS[:-1]))
    items("npy_trailing.npy", "byte 176: the data end here by the header",
          npy("<f4", shape, FLOATS + b"\0"))
    items("npy_nan.npy", "byte 152 (item 1, element 2): a number that isn't finite",
          npy("<f4", shape, struct.pack("<12f", *[0.0] * 6, float("nan"), *[0.0] * 5)))
    items("npy_infinity.npy", "(item 2, element 3): a number that isn't finite",
          npy("<f8", shape, struct.pack("<12d", *[0.0] * 11, float("-inf"))))
    items("npy_too_large.npy", "(item 0, element 1): a number too large for fp32",
          npy("<f8", shape, struct.pack("<12d", 0.0, 1e39, *[0.0] * 10)))

    def labels(name, words, data):
        bad(name, "labels", "npy", words, data)

    labels("npy_labels_float.npy", "labels can't be floating-point numbers",
           npy("<f4", "(3,)", FLOATS[:12]))
    labels("npy_labels_rank_2.npy", "labels have one dimension", npy("<i8", "(3, 1)", LABELS))
    labels("npy_labels_negative.npy", "byte 136 (item 1, element 0): a negative label",
           npy("<i8", "(3,)", struct.pack("<3q", 0, -1, 2)))
    labels("npy_labels_negative_i4.npy", "byte 136 (item 2, element 0): a negative label",
           npy("<i4", "(3,)", struct.pack("<3i", 0, 1, -1)))
    labels("npy_labels_2_31.npy", "a label over 2147483647",
           npy("<i8", "(3,)", struct.pack("<3q", 0, 1 << 31, 2)))
    labels("npy_labels_too_few.npy", "2 labels for the 3 items", npy("<i8", "(2,)", LABELS[:16]))
    labels("npy_label_too_large.npy", "byte 144 (item 2): label 10, but the model has 10 classes",
           npy("<i8", "(3,)", struct.pack("<3q", 0, 9, 10)))


def make_tokens():
    def items(name, words, data):
        bad(name, "items", "tokens", words, data)

    stream = [5, 0, 50256, 7, 1, 2, 3, 4, 5]
    items("tokens_empty.bin", "the file is empty", b"")
    items("tokens_cut_header.bin", "byte 1023: the file ends inside the 1024-byte header",
          tokens([])[:1023])
    items("tokens_no_header.bin", "byte 18: the file ends inside the 1024-byte header",
          struct.pack("<9H", *stream))
    items("tokens_magic.bin", "magic 20240521 instead of", tokens(stream, magic=20240521))
    items("tokens_big_endian.bin", "not a token file",
          struct.pack(">3I", 20240520, 1, 9) + tokens(stream)[12:])
    items("tokens_version_0.bin", "byte 4: version 0", tokens(stream, version=0))
    items("tokens_version_7.bin", "byte 4: version 7 of token files with magic 20240520",
          tokens(stream, version=7))
    items("tokens_wide_version_1.bin", "byte 4: version 1 of token files with magic 20240801",
          tokens(stream, magic=20240801, kind="I"))
    items("tokens_count_zero.bin", "byte 8: 0 tokens declared", tokens([]))
    items("tokens_count_negative.bin", "byte 8: -1 tokens declared", tokens(stream, count=-1))
    items("tokens_count_least.bin", "byte 8: -2147483648 tokens declared",
          tokens(stream, count=-2147483648))
    items("tokens_count_over_file.bin", "its header declares 4294968318 bytes",
          tokens(stream, count=2147483647))
    items("tokens_short_by_one.bin", "byte 1041: the file ends here", tokens(stream)[:-1])
    items("tokens_trailing.bin", "byte 1042: the data end here by the header",
          tokens(stream) + b"\0")
    items("tokens_wide_as_narrow.bin", "but 18 bytes follow", tokens(stream, kind="I"))
    items("tokens_vocabulary.bin",
          "byte 1030 (sequence 0, token 3 of the file): token number 50257",
          tokens(stream[:3] + [50257] + stream[4:]))
    items("tokens_wide_negative.bin", "byte 1032 (token 2): token number 4294967295 is over",
          tokens(stream[:2] + [0xffffffff] + stream[3:], 20240801, 7, kind="I"))
    items("tokens_too_few.bin", "4 tokens make no sequence of 4 and one more", tokens(stream[:4]))


def make_text():
    bad("text_empty.txt", "items", "text", "the file is empty", b"")
    bad("text_too_short.txt", "items", "text", "4 tokens make no sequence of 4 and one more",
        b"four")
    bad("text_missing.txt", "items", "text", "No such file or directory", None)


def make_seeds():
    """Good files for the fuzz targets to start from."""
    seeds = {
        "fuzz_idx/items": IMAGES,
        "fuzz_idx/features": idx([3, 4]),
        "fuzz_idx/channels": idx([2, 3, 2, 2]),
        "fuzz_idx/labels": idx([3], bytes([0, 1, 9])),
        "fuzz_idx/items_gzip": compress(IMAGES),
        "fuzz_idx/labels_gzip": compress(idx([3], bytes([0, 1, 9]))),
        "fuzz_npy/items_f4": npy("<f4", "(3, 2, 2)", FLOATS),
        "fuzz_npy/items_f8": npy("<f8", "(3, 2)", struct.pack("<6d", *range(6)), version=(2, 0)),
        "fuzz_npy/items_u1": npy("|u1", "(2, 1, 2, 2)", bytes(range(8)), version=(3, 0)),
        "fuzz_npy/labels_i8": npy("<i8", "(3,)", LABELS),
        "fuzz_npy/labels_i4": npy("<i4", "(3,)", struct.pack("<3i", 0, 1, 9)),
        "fuzz_npy/labels_u1": npy("|u1", "(3,)", bytes([0, 1, 9])),
        "fuzz_npy/items_gzip": compress(npy("<f4", "(3, 2, 2)", FLOATS)),
        "fuzz_tokens/narrow": tokens(list(range(50200, 50257))),
        "fuzz_tokens/wide": tokens(list(range(128000, 128030)), 20240801, 7, kind="I"),
        "fuzz_tokens/gzip": compress(tokens(list(range(40)))),
        "fuzz_tokens/text": b"Each byte is a token.\n",
    }
    for name, data in seeds.items():
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fuzz/corpus", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def main():
    global directory
    if len(sys.argv) > 1:
        directory = sys.argv[1]
    os.makedirs(os.path.join(directory, "idx_directory.idx"), exist_ok=True)
    write("idx_directory.idx/file", b"A directory where a file should be.\n")
    make_good()
    make_idx()
    make_gzip()
    make_npy()
    make_tokens()
    make_text()
    if len(sys.argv) == 1:
        make_seeds()
    names = [entry[0] for entry in entries]
    assert len(names) == len(set(names)), "a file name is used twice"
    write("MANIFEST", (MANIFEST_HEAD + "".join("\t".join(entry) + "\n" for entry in entries))
          .encode())
    print(f"{len(entries)} bad files described in {directory}/MANIFEST")


if __name__ == "__main__":
    main()
