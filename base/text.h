/* text.h — numbers with units to and from text, near-miss names, and growing text buffers. */
#ifndef SPW_BASE_TEXT_H
#define SPW_BASE_TEXT_H

#include "base/world.h"

/* "8MiB", "1.5GiB", "4096", "2 GB": bytes, rounded down. False if it is none, negative, or over
 * 2^63. */
bool spw_parse_bytes(const char *text, uint64_t *bytes);
/* "12GB/s", "800MB/s": bytes per second. */
bool spw_parse_rate(const char *text, uint64_t *bytes_per_s);
/* "90s", "12h", "250ms", "5m": nanoseconds. */
bool spw_parse_time(const char *text, uint64_t *ns);
/* Decimal digits only, no sign, in [0, max]. */
bool spw_parse_unsigned(const char *text, uint64_t max, uint64_t *value);
/* A finite number as YAML 1.2 and C write it: 1e-4, .5, -3. The whole text must match. */
bool spw_parse_number(const char *text, double *value);

/* "8.0 MiB", "12.5 GB/s", "1 h 02 m": for people; `out` is the return value. */
const char *spw_format_bytes(uint64_t bytes, char out[32]);
const char *spw_format_time(uint64_t ns, char out[32]);
const char *spw_format_count(uint64_t count, char out[32]); /* 1.24 M */
/* The shortest exact form in one unit that spw_parse_bytes() reads back: "8MiB", "8388609". */
const char *spw_print_bytes(uint64_t bytes, char out[32]);
const char *spw_print_rate(uint64_t bytes_per_s, char out[32]); /* likewise: "12GB/s" */

/* The entry of `names` (NULL-terminated) nearest to `name` by edit distance, or NULL if none is
 * near (distance over a third of the longer length). */
const char *spw_nearest_name(const char *name, const char *const *names);
/* "relu, gelu or silu": at most `count` of `names` (which may end in NULL before), with `word`
 * before the last one; cut at `room` bytes. `out` is the return value. */
const char *spw_join_names(const char *const *names, uint32_t count, const char *word, char *out,
                           size_t room);

/* A text that grows. After a failed append the text stays as it was and `failed` is set, so callers
 * may check once at the end. */
struct spw_text {
    const struct spw_world *world;
    char *data; /* NUL-terminated; NULL while empty */
    uint64_t bytes;
    uint64_t capacity;
    bool failed;
};
void spw_text_init(struct spw_text *text, const struct spw_world *world);
void spw_text_deinit(struct spw_text *text);
void spw_text_add(struct spw_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void spw_text_add_bytes(struct spw_text *text, const void *bytes, uint64_t count);
/* One formatted text, such as a path; the caller releases it with spw_release(). */
enum spw_status spw_format_text(const struct spw_world *world, struct spw_error *error, char **out,
                                const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
