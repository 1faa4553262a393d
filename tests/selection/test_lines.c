/* test_lines.c — growing files. */
#include "selection/lines.h"
#include "tests/support/fault_world.h"
#include "tests/support/temporary.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(lines, every_line_arrives_once_and_in_order)
{
    struct spw_temporary temporary;
    struct spw_lines lines;
    struct spw_error error = {0};
    char path[512];
    spw_temporary_init(&temporary);
    spw_temporary_path(&temporary, "log", path);
    cr_assert(spw_lines_open(&lines, spw_world_system(), path, &error) == SPW_OK, "%s", error.what);
    for (int i = 0; i < 5000; i++) {
        spw_lines_add(&lines, "line %d\n", i);
    }
    cr_assert(spw_lines_close(&lines, true, &error) == SPW_OK, "%s", error.what);
    cr_assert(spw_lines_close(&lines, true, &error) == SPW_OK, "closing twice does nothing");
    FILE *file = fopen(path, "r");
    int number, count = 0;
    while (fscanf(file, "line %d\n", &number) == 1) {
        cr_assert(number == count, "%d instead of %d", number, count);
        count++;
    }
    fclose(file);
    cr_assert(count == 5000, "%d lines", count);
    spw_temporary_deinit(&temporary);
}

Test(lines, what_exists_is_not_overwritten)
{
    struct spw_temporary temporary;
    struct spw_lines lines;
    char path[512];
    spw_temporary_init(&temporary);
    spw_temporary_write(&temporary, "log", "x", 1);
    cr_assert(spw_lines_open(&lines, spw_world_system(),
                             spw_temporary_path(&temporary, "log", path), NULL) == SPW_ERR_EXISTS,
              "refused");
    spw_temporary_deinit(&temporary);
}

Test(lines, a_failed_write_is_told_at_the_end)
{
    struct spw_temporary temporary;
    struct spw_fault_world fault;
    struct spw_lines lines;
    char path[512];
    spw_temporary_init(&temporary);
    spw_temporary_path(&temporary, "log", path);
    spw_fault_world_init(&fault, spw_world_system());
    /* Calls: open, write, close. */
    for (uint64_t at = 1; at <= 3; at++) {
        struct spw_error error = {0};
        spw_fault_world_arm(&fault, SPW_FAULT_FILE, (struct spw_fault_rule){.at = at});
        enum spw_status status = spw_lines_open(&lines, &fault.world, path, &error);
        if (status == SPW_OK) {
            spw_lines_add(&lines, "x\n");
            status = spw_lines_close(&lines, false, &error);
            remove(path);
        }
        cr_assert(status == SPW_ERR_IO, "call %d: %s", (int)at, spw_status_name(status));
        cr_assert(strstr(error.what, path) != NULL, "%s", error.what);
        cr_assert(spw_fault_world_clean(&fault), "call %d left something open", (int)at);
    }
    spw_temporary_deinit(&temporary);
}
