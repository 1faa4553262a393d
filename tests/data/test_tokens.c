/* Tests of data/tokens.c: llm.c's token files. */
#include "files.h"

#include <criterion/criterion.h>
#include <string.h>

static struct file tokens, changed;

static struct request request_of(const struct file *path, int64_t seq_len)
{
    return (struct request){.format = SPW_DATA_TOKENS, .path = path, .seq_len = seq_len};
}

/* Sequence i is tokens [i * seq_len, i * seq_len + seq_len], the last of which begins the next. */
static void check_sequences(bool wide, uint32_t count, uint32_t first, int64_t seq_len)
{
    file_tokens(&tokens, wide, count, first);
    struct spw_memory_world memory;
    struct spw_memory_file files[2];
    struct spw_error error = {0};
    struct spw_dataset *set;
    struct spw_cursor *cursor;
    const struct request request = request_of(&tokens, seq_len);
    cr_assert(request_open(&request, &memory, files, &error, &set) == SPW_OK, "%s", error.what);
    const struct spw_data_info *info = spw_dataset_info(set);
    cr_assert(info->is_tokens && info->rank == 1 && info->dim[0] == seq_len);
    cr_assert(info->targets_per_item == seq_len);
    cr_assert(info->items == ((int64_t)count - 1) / seq_len);
    cr_assert(info->classes == (int64_t)first + count);
    cr_assert(info->resident_bytes == (uint64_t)count * (wide ? 4 : 2));

    static int32_t x[4096], targets[4096];
    cr_assert(spw_cursor_create(&memory.world, set,
                                &(struct spw_cursor_config){.batch = info->items}, &error,
                                &cursor) == SPW_OK);
    spw_cursor_gather(cursor, 1, 0, info->items, x, targets);
    for (int64_t index = 0; index < info->items * seq_len; index++) {
        cr_assert(x[index] == (int64_t)first + index);
        cr_assert(targets[index] == (int64_t)first + index + 1);
    }
    spw_cursor_destroy(cursor);
    spw_dataset_close(set);
    cr_assert(spw_memory_world_clean(&memory));
}

Test(tokens, sequences_overlap_by_one_token)
{
    for (int wide = 0; wide < 2; wide++) {
        for (int64_t seq_len = 1; seq_len < 40; seq_len += 3) {
            check_sequences(wide, 41, 0, seq_len);
            check_sequences(wide, 100, 12345, seq_len);
        }
        check_sequences(wide, 2, 7, 1);
        check_sequences(wide, 1001, 50257 - 1001, 1000);
    }
    check_sequences(false, 100, 65536 - 100, 9);
    check_sequences(true, 100, (uint32_t)INT32_MAX - 99, 9);
}

Test(tokens, refuses_sequences_longer_than_the_file)
{
    file_tokens(&tokens, false, 10, 0);
    struct request request = request_of(&tokens, 9);
    struct spw_error error = {0};
    cr_assert(request_try(&request, &error) == SPW_OK, "%s", error.what);
    request.seq_len = 10;
    request_refused(&request, "path: byte 1024: 10 tokens make no sequence of 10 and one more");
    request.seq_len = INT64_MAX;
    request_refused(&request, "set `data.seq_len` to less than the number of tokens");
}

Test(tokens, refuses_every_truncation)
{
    for (int wide = 0; wide < 2; wide++) {
        file_tokens(&tokens, wide, 20, 50000);
        for (uint64_t bytes = 0; bytes < tokens.bytes; bytes++) {
            struct spw_error error = {0};
            changed = tokens;
            changed.bytes = bytes;
            const struct request request = request_of(&changed, 3);
            cr_assert(request_try(&request, &error) == SPW_ERR_USAGE, "%d bytes", (int)bytes);
        }
    }
}

/* Magic, version and count are 12 bytes, of which no bit may change; the rest of the header is
 * free, and a token may become any other, but no negative one. */
Test(tokens, refuses_every_flipped_header_bit)
{
    for (int wide = 0; wide < 2; wide++) {
        file_tokens(&tokens, wide, 20, 50000);
        for (uint64_t bit = 0; bit < tokens.bytes * 8; bit++) {
            struct spw_error error = {0};
            changed = tokens;
            changed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            const struct request request = request_of(&changed, 3);
            const bool negative = wide && bit >= UINT64_C(1024) * 8 && bit % 32 == 31;
            const enum spw_status expected = bit < 96 || negative ? SPW_ERR_USAGE : SPW_OK;
            cr_assert(request_try(&request, &error) == expected, "bit %d: %s", (int)bit,
                      error.what);
        }
    }
}

Test(tokens, reads_compressed_files)
{
    static struct file packed;
    file_tokens(&tokens, true, 300, 100000);
    file_add_gzip(&packed, &tokens);
    struct request request = request_of(&packed, 16);
    request.compressed = true;
    struct spw_error error = {0};
    cr_assert(request_try(&request, &error) == SPW_OK, "%s", error.what);
}
