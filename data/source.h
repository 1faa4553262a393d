/* source.h — the bytes of one data file in order, plain or compressed, with the checks that all
 * formats share. Internal to the data box.
 *
 * The order of work that keeps declared sizes from hurting: peek at the header, parse it, hold the
 * size it declares against the file (spw_source_declare), only then allocate, read, and make sure
 * that nothing follows (spw_source_finish). Offsets in messages count decompressed bytes unless
 * they say "compressed". Tested by tests/data/test_gzip.c. */
#ifndef SPW_DATA_SOURCE_H
#define SPW_DATA_SOURCE_H

#include "base/world.h"

/* The longest header that can be peeked at: that of an npy file. */
#define SPW_SOURCE_PEEK_MAX 10240

struct spw_gunzip;

struct spw_source {
    const struct spw_world *world;
    const char *path; /* borrowed */
    struct spw_file *file;
    struct spw_gunzip *gunzip; /* NULL: not compressed */
    uint64_t file_bytes;       /* on disk, when it was opened */
    uint64_t declared_bytes; /* what the header says of the whole, decompressed; 0: not known yet */
    uint64_t position;       /* decompressed bytes handed out */
    uint64_t head_used;
    uint64_t head_bytes;
    uint8_t
        head[SPW_SOURCE_PEEK_MAX]; /* peeked at; [head_used, head_bytes) are not handed out yet */
};

/* Records a failed file call: SPW_ERR_USAGE where the path is at fault (missing, a directory, no
 * permission), else what spw_errno_status() says. Is the status. */
enum spw_status spw_source_fail(struct spw_error *error, int native, const char *action,
                                const char *path);

/* A path that ends in ".gz" is decompressed. `path` is borrowed until the source is closed. Files
 * of no size, such as pipes, are refused. */
enum spw_status spw_source_open(const struct spw_world *world, const char *path,
                                struct spw_error *error, struct spw_source *source);
void spw_source_close(struct spw_source *source);

bool spw_source_is_compressed(const struct spw_source *source);

/* The first `bytes` bytes (at most SPW_SOURCE_PEEK_MAX) without handing them out; *got is less only
 * if the file has no more. For the start of the file only. *out is valid until the next call. */
enum spw_status spw_source_peek(struct spw_source *source, uint64_t bytes, struct spw_error *error,
                                const uint8_t **out, uint64_t *got);

/* Holds the size of the whole, as the header declares it, against the size of the file: equal, or,
 * compressed, not more than the file could possibly become. */
enum spw_status spw_source_declare(struct spw_source *source, uint64_t bytes,
                                   struct spw_error *error);

/* Up to `bytes` bytes; *got is less only at the end. */
enum spw_status spw_source_read(struct spw_source *source, void *into, uint64_t bytes,
                                struct spw_error *error, uint64_t *got);
/* Exactly `bytes` bytes, or SPW_ERR_USAGE. */
enum spw_status spw_source_read_all(struct spw_source *source, void *into, uint64_t bytes,
                                    struct spw_error *error);
/* Hands out `bytes` bytes to nobody: the header, after it was peeked at. */
enum spw_status spw_source_skip(struct spw_source *source, uint64_t bytes, struct spw_error *error);
/* Back to the first byte. */
enum spw_status spw_source_rewind(struct spw_source *source, struct spw_error *error);
/* The file must end here: one byte more is asked for and must not come. This also makes sure of the
 * checksum of a compressed file. */
enum spw_status spw_source_finish(struct spw_source *source, struct spw_error *error);

/* Memory for `count` elements of `size` bytes, not zeroed, so that pages which a lying header asked
 * for are never touched. The caller releases with spw_release(). */
enum spw_status spw_source_allocate(const struct spw_source *source, uint64_t count, uint64_t size,
                                    struct spw_error *error, void *out_pointer);

#endif
