/* temporary.c — see the header. Plain libc: a test's scratch must not depend on what it tests. */
#include "tests/support/temporary.h"

#include "base/assert.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void spw_temporary_init(struct spw_temporary *temporary)
{
    const char *parent = getenv("TMPDIR");
    const int length = snprintf(temporary->path, sizeof(temporary->path), "%s/spillway-XXXXXX",
                                parent != NULL ? parent : "/tmp");
    SPW_ASSERT(length > 0 && (size_t)length < sizeof(temporary->path));
    SPW_ASSERT(mkdtemp(temporary->path) != NULL);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    (void)remove(path);
    return 0;
}

void spw_temporary_deinit(struct spw_temporary *temporary)
{
    (void)nftw(temporary->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *spw_temporary_path(const struct spw_temporary *temporary, const char *name,
                               char out[512])
{
    const int length = snprintf(out, 512, "%s/%s", temporary->path, name);
    SPW_ASSERT(length > 0 && length < 512);
    return out;
}

void spw_temporary_write(const struct spw_temporary *temporary, const char *name, const void *data,
                         size_t bytes)
{
    char path[512];
    FILE *file = fopen(spw_temporary_path(temporary, name, path), "wb");
    SPW_ASSERT(file != NULL);
    SPW_ASSERT(fwrite(data, 1, bytes, file) == bytes);
    SPW_ASSERT(fclose(file) == 0);
}

int spw_temporary_count(const struct spw_temporary *temporary)
{
    DIR *directory = opendir(temporary->path);
    SPW_ASSERT(directory != NULL);
    int count = 0;
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            count++;
        }
    }
    (void)closedir(directory);
    return count;
}
