/* Walks tests/bad/data/MANIFEST: every file there must be refused as it says. */
#include "data/data.h"

#include "tests/support/fault_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define FOLDER SPW_SOURCE_DIR "/tests/bad/data/"
#define FIELDS 4
#define FILES_MIN 100

struct entry {
    char path[512]; /* of the bad file */
    const char *role, *format, *words;
};

/* Opens and checks as a run would; the good partner of the file goes by its format. */
static enum spw_status try_entry(const struct spw_world *world, const struct entry *entry,
                                 struct spw_error *error)
{
    static const struct {
        const char *name;
        enum spw_data_format format;
        const char *items, *labels;
        int64_t seq_len, classes;
    } formats[] = {
        {"idx", SPW_DATA_IDX, FOLDER "ok_images.idx", FOLDER "ok_labels.idx", 0, 10},
        {"npy", SPW_DATA_NPY, FOLDER "ok_items.npy", FOLDER "ok_labels.npy", 0, 10},
        {"tokens", SPW_DATA_TOKENS, FOLDER "ok_tokens.bin", NULL, 4, 50257},
        {"text", SPW_DATA_TEXT, FOLDER "ok_text.txt", NULL, 4, 256},
    };
    size_t kind = 0;
    while (strcmp(formats[kind].name, entry->format) != 0) {
        kind++;
        cr_assert(kind < sizeof(formats) / sizeof(formats[0]), "format %s", entry->format);
    }
    const char *items = formats[kind].items;
    const char *labels = formats[kind].labels;
    if (strcmp(entry->role, "items") == 0) {
        items = entry->path;
    } else if (strcmp(entry->role, "labels") == 0) {
        labels = entry->path;
    } else {
        cr_assert(strcmp(entry->role, "none") == 0, "role %s", entry->role);
    }
    struct spw_dataset *set;
    enum spw_status status = spw_dataset_open(world, formats[kind].format, items, labels,
                                              formats[kind].seq_len, error, &set);
    if (status == SPW_OK) {
        status = spw_dataset_check_classes(set, formats[kind].classes, error);
        spw_dataset_close(set);
    }
    return status;
}

static void check_entry(const struct entry *entry)
{
    struct spw_fault_world fault;
    spw_fault_world_init(&fault, spw_world_system());
    struct spw_error error = {0};
    const enum spw_status status = try_entry(&fault.world, entry, &error);
    cr_assert(status == SPW_ERR_USAGE, "%s: %s %s", entry->path, spw_status_name(status),
              error.what);
    cr_assert(error.status == SPW_ERR_USAGE);
    cr_assert(strstr(error.what, entry->path) == error.what, "the message begins otherwise: %s",
              error.what);
    cr_assert(strstr(error.what, entry->words) != NULL, "expected \"%s\" in: %s", entry->words,
              error.what);
    /* The cure comes after a semicolon, or the message asks what may be wrong. */
    cr_assert(strchr(error.what, ';') != NULL, "no cure: %s", error.what);
    cr_assert(spw_fault_world_clean(&fault), "%s leaves something over", entry->path);
}

Test(bad_files, all_are_refused_with_place_reason_and_cure)
{
    FILE *manifest = fopen(FOLDER "MANIFEST", "r");
    cr_assert(manifest != NULL);
    char line[1024];
    int files = 0;
    while (fgets(line, sizeof(line), manifest) != NULL) {
        if (line[0] == '#') {
            continue;
        }
        line[strcspn(line, "\n")] = '\0';
        char *rest = line;
        const char *fields[FIELDS];
        for (int index = 0; index < FIELDS; index++) {
            fields[index] = strsep(&rest, "\t");
            cr_assert(fields[index] != NULL, "a field is missing");
        }
        struct entry entry = {.role = fields[1], .format = fields[2], .words = fields[3]};
        (void)snprintf(entry.path, sizeof(entry.path), FOLDER "%s", fields[0]);
        check_entry(&entry);
        files++;
    }
    (void)fclose(manifest);
    cr_assert(files >= FILES_MIN, "only %d files", files);
}

/* The partners are good, or every refusal above could be theirs. */
Test(bad_files, the_good_ones_are_taken)
{
    static const char *const formats[] = {"idx", "npy", "tokens", "text"};
    for (size_t index = 0; index < sizeof(formats) / sizeof(formats[0]); index++) {
        struct spw_error error = {0};
        const struct entry entry = {.role = "none", .format = formats[index]};
        cr_assert(try_entry(spw_world_system(), &entry, &error) == SPW_OK, "%s", error.what);
    }
    struct spw_error error = {0};
    struct entry entry = {.role = "items", .format = "idx"};
    (void)snprintf(entry.path, sizeof(entry.path), FOLDER "ok_images.idx.gz");
    cr_assert(try_entry(spw_world_system(), &entry, &error) == SPW_OK, "%s", error.what);
}
