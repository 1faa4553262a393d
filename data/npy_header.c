/* npy_header.c — the header of an npy file: a Python dictionary, read by a fixed grammar.
 *
 *   header     = magic, major, minor, length, dictionary padded with spaces, newline
 *   dictionary = "{" entry ("," entry)* [","] "}"
 *   entry      = quoted ":" (quoted | "True" | "False" | tuple)
 *   tuple      = "(" [integer ("," integer)* [","]] ")"
 *
 * with the keys descr, fortran_order and shape, each once.
 *
 * Versions 1.0, 2.0 and 3.0 as described in NumPy's numpy.lib.format. Nothing is ever evaluated,
 * and the object type, whose values are pickled Python, is refused by name. Tested by
 * tests/data/test_npy.c and tests/fuzz/fuzz_npy.c. */
#include "data/npy_header.h"

#include "base/checked.h"
#include "base/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAGIC_BYTES 6
/* The longest key or type name, with its NUL. */
#define QUOTED_BYTES_MAX 32

/* A place in the dictionary. */
struct scanner {
    const char *path;
    const uint8_t *bytes;
    uint64_t at;  /* in the file */
    uint64_t end; /* of the dictionary, in the file */
    struct spw_error *error;
};

static enum spw_status expected(const struct scanner *scanner, const char *what)
{
    return SPW_FAIL(scanner->error, SPW_ERR_USAGE,
                    "%s: byte %" PRIu64 ": bad npy header: %s expected; write the file with "
                    "numpy.save",
                    scanner->path, scanner->at, what);
}

static void skip_blanks(struct scanner *scanner)
{
    while (scanner->at < scanner->end && scanner->bytes[scanner->at] == ' ') {
        scanner->at++;
    }
}

/* Takes `symbol`, with blanks before it, if it is next. */
static bool take(struct scanner *scanner, char symbol)
{
    skip_blanks(scanner);
    if (scanner->at < scanner->end && scanner->bytes[scanner->at] == (uint8_t)symbol) {
        scanner->at++;
        return true;
    }
    return false;
}

static bool take_word(struct scanner *scanner, const char *word)
{
    skip_blanks(scanner);
    const uint64_t length = strlen(word);
    if (scanner->end - scanner->at < length ||
        memcmp(scanner->bytes + scanner->at, word, (size_t)length) != 0) {
        return false;
    }
    scanner->at += length;
    return true;
}

/* Text between single or double quotes: printable ASCII without backslashes, NUL-terminated. */
static enum spw_status scan_quoted(struct scanner *scanner, char out[QUOTED_BYTES_MAX])
{
    skip_blanks(scanner);
    const uint8_t quote = scanner->at < scanner->end ? scanner->bytes[scanner->at] : 0;
    if (quote != '\'' && quote != '"') {
        return expected(scanner, "a text in quotes");
    }
    scanner->at++;
    uint64_t length = 0;
    while (scanner->at < scanner->end && scanner->bytes[scanner->at] != quote) {
        const uint8_t byte = scanner->bytes[scanner->at];
        if (byte < ' ' || byte > '~' || byte == '\\' || length + 1 == QUOTED_BYTES_MAX) {
            return expected(scanner, "a short printable text");
        }
        out[length++] = (char)byte;
        scanner->at++;
    }
    if (scanner->at == scanner->end) {
        return expected(scanner, "the closing quote");
    }
    scanner->at++;
    out[length] = '\0';
    return SPW_OK;
}

static enum spw_status scan_dimension(struct scanner *scanner, uint64_t *out)
{
    skip_blanks(scanner);
    uint64_t value = 0;
    const uint64_t start = scanner->at;
    while (scanner->at < scanner->end) {
        const uint8_t byte = scanner->bytes[scanner->at];
        if (byte < '0' || byte > '9') {
            break;
        }
        if (!spw_checked_multiply(value, 10, &value) ||
            !spw_checked_add(value, (uint64_t)(byte - '0'), &value)) {
            return expected(scanner, "a dimension below 2^64");
        }
        scanner->at++;
    }
    if (scanner->at == start) {
        return expected(scanner, "a dimension that is a positive whole number");
    }
    if (value == 0) {
        scanner->at = start;
        return expected(scanner, "a dimension that isn't 0 (the array has no values)");
    }
    *out = value;
    return SPW_OK;
}

static enum spw_status scan_shape(struct scanner *scanner, struct spw_npy_header *header)
{
    if (!take(scanner, '(')) {
        return expected(scanner, "the shape's \"(\"");
    }
    header->rank = 0;
    while (!take(scanner, ')')) {
        if (header->rank == SPW_ARRAY_RANK_MAX) {
            return expected(scanner, "a shape of at most 4 dimensions");
        }
        SPW_TRY(scan_dimension(scanner, &header->dims[header->rank]));
        header->rank++;
        if (!take(scanner, ',')) {
            if (!take(scanner, ')')) {
                return expected(scanner, "\",\" or \")\"");
            }
            break;
        }
    }
    /* "(5)" is a number in Python, but no version of NumPy ever wrote or meant that: harmless. */
    return SPW_OK;
}

static enum spw_status scan_descr(struct scanner *scanner, char descr[QUOTED_BYTES_MAX])
{
    skip_blanks(scanner);
    if (scanner->at < scanner->end && scanner->bytes[scanner->at] == '[') {
        return SPW_FAIL(scanner->error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": a structured type isn't served; save the fields as "
                        "arrays of their own",
                        scanner->path, scanner->at);
    }
    return scan_quoted(scanner, descr);
}

static enum spw_status scan_order(struct scanner *scanner)
{
    if (take_word(scanner, "False")) {
        return SPW_OK;
    }
    if (take_word(scanner, "True")) {
        return SPW_FAIL(scanner->error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": the array is in Fortran order, but only C order is "
                        "served; save numpy.ascontiguousarray(array)",
                        scanner->path, scanner->at - 4);
    }
    return expected(scanner, "True or False");
}

/* Which keys were seen. */
struct keys {
    bool descr, order, shape;
};

static enum spw_status scan_entry(struct scanner *scanner, struct keys *seen,
                                  char descr[QUOTED_BYTES_MAX], struct spw_npy_header *header)
{
    char key[QUOTED_BYTES_MAX];
    skip_blanks(scanner);
    const uint64_t place = scanner->at;
    SPW_TRY(scan_quoted(scanner, key));
    bool *flag = strcmp(key, "descr") == 0           ? &seen->descr
                 : strcmp(key, "fortran_order") == 0 ? &seen->order
                 : strcmp(key, "shape") == 0         ? &seen->shape
                                                     : NULL;
    if (flag == NULL || *flag) {
        scanner->at = place;
        return expected(scanner, "each of descr, fortran_order and shape once, and nothing else,");
    }
    *flag = true;
    if (!take(scanner, ':')) {
        return expected(scanner, "\":\"");
    }
    skip_blanks(scanner);
    if (flag == &seen->descr) {
        header->type_place = scanner->at;
        return scan_descr(scanner, descr);
    }
    if (flag == &seen->order) {
        return scan_order(scanner);
    }
    header->shape_place = scanner->at;
    return scan_shape(scanner, header);
}

static enum spw_status scan_dictionary(struct scanner *scanner, char descr[QUOTED_BYTES_MAX],
                                       struct spw_npy_header *header)
{
    struct keys seen = {0};
    if (!take(scanner, '{')) {
        return expected(scanner, "\"{\"");
    }
    while (!take(scanner, '}')) {
        SPW_TRY(scan_entry(scanner, &seen, descr, header));
        if (!take(scanner, ',')) {
            if (!take(scanner, '}')) {
                return expected(scanner, "\",\" or \"}\"");
            }
            break;
        }
    }
    if (!seen.descr || !seen.order || !seen.shape) {
        return expected(scanner, "each of descr, fortran_order and shape");
    }
    skip_blanks(scanner);
    if (scanner->at + 1 != scanner->end || scanner->bytes[scanner->at] != '\n') {
        return expected(scanner, "spaces and one newline at the end of the header");
    }
    return SPW_OK;
}

static enum spw_status refuse_type(const char *path, const char *descr, uint64_t place,
                                   struct spw_error *error)
{
    /* '|O' or 'O', with a size after it in some versions. */
    const char *kind = descr + strspn(descr, "<>|=");
    if (*kind == 'O') {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64
                        ": the object type holds pickled Python programs, which "
                        "are never run; save an array of numbers",
                        path, place);
    }
    if (descr[0] == '>') {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": type '%s' is big-endian, but only little-endian is "
                        "served; save array.astype(array.dtype.newbyteorder('<'))",
                        path, place, descr);
    }
    return SPW_FAIL(error, SPW_ERR_USAGE,
                    "%s: byte %" PRIu64 ": type '%s' isn't served; items may be f4, f8 or u1, "
                    "labels i4, i8 or u1",
                    path, place, descr);
}

static enum spw_status find_type(const char *path, const char *descr, struct spw_error *error,
                                 struct spw_npy_header *header)
{
    static const struct {
        const char *descr;
        enum spw_npy_type type;
        uint64_t bytes;
    } types[] = {
        {"|u1", SPW_NPY_U8, 1},  {"<u1", SPW_NPY_U8, 1},  {"<i4", SPW_NPY_I32, 4},
        {"<i8", SPW_NPY_I64, 8}, {"<f4", SPW_NPY_F32, 4}, {"<f8", SPW_NPY_F64, 8},
    };
    for (size_t index = 0; index < sizeof(types) / sizeof(types[0]); index++) {
        if (strcmp(descr, types[index].descr) == 0) {
            header->type = types[index].type;
            header->element_bytes = types[index].bytes;
            return SPW_OK;
        }
    }
    return refuse_type(path, descr, header->type_place, error);
}

/* Magic and version; then where the dictionary begins and how long it is. */
static enum spw_status parse_prefix(const char *path, const uint8_t *bytes, uint64_t count,
                                    struct spw_error *error, uint64_t *start, uint64_t *length)
{
    if (count >= 4 && memcmp(bytes, "PK\3\4", 4) == 0) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 0: a zip archive, perhaps npz, which isn't served; save each "
                        "array with numpy.save",
                        path);
    }
    const uint64_t magic_bytes = count < MAGIC_BYTES ? count : MAGIC_BYTES;
    if (memcmp(bytes, "\x93NUMPY", (size_t)magic_bytes) != 0) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte 0: not an npy file: it doesn't begin with \\x93NUMPY; check "
                        "`format:` and `path:`",
                        path);
    }
    if (count < MAGIC_BYTES + 4) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": the file ends inside the npy header; get the file "
                        "again",
                        path, count);
    }
    const uint8_t major = bytes[MAGIC_BYTES];
    const uint8_t minor = bytes[MAGIC_BYTES + 1];
    if (major < 1 || major > 3 || minor != 0) {
        return SPW_FAIL(
            error, SPW_ERR_USAGE,
            "%s: byte %d: npy version %d.%d, but only 1.0, 2.0 and 3.0 are served; save "
            "the file with another version of NumPy",
            path, MAGIC_BYTES, major, minor);
    }
    const uint64_t length_bytes = major == 1 ? 2 : 4;
    *start = MAGIC_BYTES + 2 + length_bytes;
    *length = 0;
    for (uint64_t index = 0; index < length_bytes && MAGIC_BYTES + 2 + index < count; index++) {
        *length |= (uint64_t)bytes[MAGIC_BYTES + 2 + index] << (8 * index);
    }
    if (*start<count && * length> SPW_NPY_DICTIONARY_MAX) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %d: a header of %" PRIu64 " bytes, but at most %d are read; get "
                        "the file again",
                        path, MAGIC_BYTES + 2, *length, SPW_NPY_DICTIONARY_MAX);
    }
    if (count < *start || count - *start < *length) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": the file ends inside the npy header; get the file "
                        "again",
                        path, count);
    }
    return SPW_OK;
}

static enum spw_status find_sizes(const char *path, struct spw_error *error,
                                  struct spw_npy_header *header)
{
    uint64_t bytes = header->element_bytes;
    for (uint64_t axis = 0; axis < header->rank; axis++) {
        if (!spw_checked_multiply(bytes, header->dims[axis], &bytes)) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "%s: byte %" PRIu64 ": with dimension %" PRIu64 " = %" PRIu64
                            " the size overflows 64 bits; get the file again",
                            path, header->shape_place, axis, header->dims[axis]);
        }
    }
    if (!spw_checked_add(bytes, header->data_offset, &header->total_bytes)) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: byte %" PRIu64 ": the size overflows 64 bits; get the file again",
                        path, header->shape_place);
    }
    header->count = bytes / header->element_bytes;
    return SPW_OK;
}

enum spw_status spw_npy_parse_header(const char *path, const uint8_t *bytes, uint64_t count,
                                     struct spw_error *error, struct spw_npy_header *out)
{
    uint64_t start = 0;
    uint64_t length = 0;
    SPW_TRY(parse_prefix(path, bytes, count, error, &start, &length));

    struct spw_npy_header header = {.data_offset = start + length};
    char descr[QUOTED_BYTES_MAX] = "";
    struct scanner scanner = {path, bytes, start, start + length, error};
    SPW_TRY(scan_dictionary(&scanner, descr, &header));
    SPW_TRY(find_type(path, descr, error, &header));
    SPW_TRY(find_sizes(path, error, &header));
    *out = header;
    return SPW_OK;
}
