/* gzip.h — a compressed file as a stream of bytes. Internal to the data box. */
#ifndef SPW_DATA_GZIP_H
#define SPW_DATA_GZIP_H

#include "base/world.h"

/* The most bytes that one byte of deflate can become: 258 bytes for a match of two bits. A header
 * that declares more than that is a lie, and is refused before anything is allocated for it. */
#define SPW_GUNZIP_RATIO_MAX UINT64_C(1032)

struct spw_gunzip;

/* Reads `file`, which stays the caller's, from its present position. `path`, for messages, is
 * borrowed. The caller destroys it. */
enum spw_status spw_gunzip_create(const struct spw_world *world, struct spw_file *file,
                                  const char *path, struct spw_error *error,
                                  struct spw_gunzip **out);
void spw_gunzip_destroy(struct spw_gunzip *gunzip);

/* Up to `bytes` decompressed bytes; *got is less only at the end, which is reported only after the
 * checksums of the stream were found right. Bad streams are SPW_ERR_USAGE. */
enum spw_status spw_gunzip_read(struct spw_gunzip *gunzip, void *into, uint64_t bytes,
                                struct spw_error *error, uint64_t *got);

#endif
