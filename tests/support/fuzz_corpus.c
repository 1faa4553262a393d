/* fuzz_corpus.c — a main for a fuzz target that is not being fuzzed: feeds it every file of the
 * directories named on the command line, and the empty input. Ends with "N passed, 0 failed"; what
 * fails, fails by crashing. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    if (file == NULL || fstat(fileno(file), &status) != 0 || status.st_size < 0) {
        (void)fprintf(stderr, "%s: cannot read it\n", path);
        return 1;
    }
    const size_t bytes = (size_t)status.st_size;
    /* Exactly as long as the input, so that the sanitizer sees a read past its end. */
    uint8_t *data = malloc(bytes > 0 ? bytes : 1);
    if (data == NULL || fread(data, 1, bytes, file) != bytes) {
        (void)fprintf(stderr, "%s: cannot read it\n", path);
        return 1;
    }
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(data, bytes);
    free(data);
    return 0;
}

int main(int argument_count, char **arguments)
{
    int passed = 0;
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    passed++;
    for (int i = 1; i < argument_count; i++) {
        DIR *directory = opendir(arguments[i]);
        if (directory == NULL) {
            continue; /* no corpus yet */
        }
        for (const struct dirent *entry = readdir(directory); entry != NULL;
             entry = readdir(directory)) {
            char path[4096];
            if (entry->d_name[0] == '.') {
                continue;
            }
            (void)snprintf(path, sizeof(path), "%s/%s", arguments[i], entry->d_name);
            if (feed(path) != 0) {
                return 1;
            }
            passed++;
        }
        (void)closedir(directory);
    }
    printf("%d passed, 0 failed\n", passed);
    return 0;
}
