/* judge.c — see judge.h. */
#include "judge.h"

#include <stdio.h>
#include <stdlib.h>

char *judge_read(const char *path, uint64_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    (void)fseek(file, 0, SEEK_END);
    const size_t size = (size_t)ftell(file);
    (void)fseek(file, 0, SEEK_SET);
    char *data = malloc(size + 1);
    if (fread(data, 1, size, file) != size) {
        abort();
    }
    data[size] = '\0';
    (void)fclose(file);
    *bytes = size;
    return data;
}

bool judge_packets(const char *data, uint64_t bytes, bool whole)
{
    uint64_t at = 0;
    while (at < bytes) {
        if ((unsigned char)data[at] != 0x0A) { /* field 1, with a length: a packet */
            return false;
        }
        uint64_t length = 0;
        int shift = 0;
        do {
            if (++at == bytes) {
                return !whole;
            }
            length |= (uint64_t)((unsigned char)data[at] & 0x7F) << shift;
            shift += 7;
        } while (((unsigned char)data[at] & 0x80) != 0);
        at += 1 + length;
    }
    return at == bytes ? true : !whole;
}
