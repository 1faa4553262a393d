/* gzip.c — a compressed file as a stream of bytes, through zlib: the only file that names it.
 *
 * It takes what RFC 1952 allows: one or more members, each with its checksum. It never holds more
 * than a window of the data, so a file that decompresses to terabytes costs time, not memory.
 * Tested by tests/data/test_gzip.c. */
#include "data/gzip.h"

#include "base/assert.h"
#include "base/status.h"
#include "data/source.h"

#include <inttypes.h>
#include <zlib.h>

/* Compressed bytes per read. */
#define INPUT_BYTES 65536

/* zlib counts in 32 bits. */
#define OUTPUT_BYTES_MAX (UINT64_C(1) << 30)

/* 15: the largest window; 16 more: a gzip header and trailer, nothing else. */
#define WINDOW_BITS (15 + 16)

struct spw_gunzip {
    const struct spw_world *world;
    struct spw_file *file; /* borrowed */
    const char *path;      /* borrowed */
    z_stream stream;
    uint64_t input_bytes; /* read from the file so far */
    bool file_ended;
    bool between_members; /* a member has ended, and no other has begun */
    uint8_t input[INPUT_BYTES];
};

static voidpf stream_allocate(voidpf opaque, uInt count, uInt size)
{
    const struct spw_gunzip *gunzip = opaque;
    return gunzip->world->allocate(gunzip->world->self, (uint64_t)count * size);
}

static void stream_release(voidpf opaque, voidpf memory)
{
    const struct spw_gunzip *gunzip = opaque;
    gunzip->world->release(gunzip->world->self, memory);
}

enum spw_status spw_gunzip_create(const struct spw_world *world, struct spw_file *file,
                                  const char *path, struct spw_error *error,
                                  struct spw_gunzip **out)
{
    struct spw_gunzip *gunzip;
    SPW_TRY(spw_allocate(world, 1, sizeof(*gunzip), "a decompressor", error, &gunzip));
    gunzip->world = world;
    gunzip->file = file;
    gunzip->path = path;
    gunzip->stream.zalloc = stream_allocate;
    gunzip->stream.zfree = stream_release;
    gunzip->stream.opaque = gunzip;
    const int code = inflateInit2(&gunzip->stream, WINDOW_BITS);
    if (code != Z_OK) {
        spw_release(world, gunzip);
        return SPW_FAIL_NATIVE(error, SPW_ERR_NO_MEMORY, code, "%s: the decompressor got no memory",
                               path);
    }
    *out = gunzip;
    return SPW_OK;
}

void spw_gunzip_destroy(struct spw_gunzip *gunzip)
{
    if (gunzip != NULL) {
        (void)inflateEnd(&gunzip->stream);
        spw_release(gunzip->world, gunzip);
    }
}

/* The place of the next compressed byte. */
static uint64_t input_position(const struct spw_gunzip *gunzip)
{
    return gunzip->input_bytes - gunzip->stream.avail_in;
}

static enum spw_status fill_input(struct spw_gunzip *gunzip, struct spw_error *error)
{
    const struct spw_world *world = gunzip->world;
    uint64_t got = 0;
    const int native = world->read(world->self, gunzip->file, gunzip->input, INPUT_BYTES, &got);
    if (native != 0) {
        return spw_source_fail(error, native, "read", gunzip->path);
    }
    gunzip->stream.next_in = gunzip->input;
    gunzip->stream.avail_in = (uInt)got;
    gunzip->input_bytes += got;
    gunzip->file_ended = got == 0;
    return SPW_OK;
}

/* After a member the file may end, or another member may follow at once. */
static enum spw_status begin_member(struct spw_gunzip *gunzip, struct spw_error *error)
{
    if (gunzip->stream.next_in[0] != 0x1f) {
        return SPW_FAIL(error, SPW_ERR_USAGE,
                        "%s: compressed byte %" PRIu64 ": the gzip stream has ended, but the file "
                        "goes on with something else; get the file again",
                        gunzip->path, input_position(gunzip));
    }
    gunzip->between_members = false;
    SPW_ASSERT(inflateReset(&gunzip->stream) == Z_OK);
    return SPW_OK;
}

static enum spw_status stream_failed(struct spw_gunzip *gunzip, int code, struct spw_error *error)
{
    if (code == Z_MEM_ERROR) {
        return SPW_FAIL_NATIVE(error, SPW_ERR_NO_MEMORY, code, "%s: the decompressor got no memory",
                               gunzip->path);
    }
    const char *reason = gunzip->stream.msg != NULL ? gunzip->stream.msg : "bad data";
    /* Nothing decompressed yet, and no more read than a member's fixed header. */
    if (gunzip->stream.total_out == 0 && input_position(gunzip) <= 10) {
        return SPW_FAIL_NATIVE(
            error, SPW_ERR_USAGE, code,
            "%s: compressed byte 0: not a gzip file (%s), although the name ends "
            "in .gz; rename or compress it",
            gunzip->path, reason);
    }
    return SPW_FAIL_NATIVE(error, SPW_ERR_USAGE, code,
                           "%s: compressed byte %" PRIu64 ": the gzip stream is damaged (%s); get "
                           "the file again",
                           gunzip->path, input_position(gunzip), reason);
}

/* One call of inflate, for at most `bytes` bytes. */
static enum spw_status inflate_some(struct spw_gunzip *gunzip, uint8_t *into, uint64_t bytes,
                                    struct spw_error *error, uint64_t *got)
{
    z_stream *stream = &gunzip->stream;
    const uInt wanted = (uInt)(bytes < OUTPUT_BYTES_MAX ? bytes : OUTPUT_BYTES_MAX);
    stream->next_out = into;
    stream->avail_out = wanted;
    const int code = inflate(stream, Z_NO_FLUSH);
    *got = wanted - stream->avail_out;
    if (code == Z_STREAM_END) {
        gunzip->between_members = true;
        return SPW_OK;
    }
    /* Z_BUF_ERROR only says that this call could do nothing without more input. */
    return code == Z_OK || code == Z_BUF_ERROR ? SPW_OK : stream_failed(gunzip, code, error);
}

enum spw_status spw_gunzip_read(struct spw_gunzip *gunzip, void *into, uint64_t bytes,
                                struct spw_error *error, uint64_t *got)
{
    uint64_t done = 0;
    while (done < bytes) {
        if (gunzip->stream.avail_in == 0 && !gunzip->file_ended) {
            SPW_TRY(fill_input(gunzip, error));
        }
        if (gunzip->between_members && gunzip->stream.avail_in == 0) {
            break;
        }
        if (gunzip->between_members) {
            SPW_TRY(begin_member(gunzip, error));
        }
        uint64_t part = 0;
        SPW_TRY(inflate_some(gunzip, (uint8_t *)into + done, bytes - done, error, &part));
        done += part;
        if (part == 0 && gunzip->file_ended && !gunzip->between_members) {
            return SPW_FAIL(error, SPW_ERR_USAGE,
                            "%s: compressed byte %" PRIu64
                            ": the file ends inside its gzip stream: "
                            "it is truncated; get the file again",
                            gunzip->path, gunzip->input_bytes);
        }
    }
    *got = done;
    return SPW_OK;
}
