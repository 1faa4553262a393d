/* table.h — text tables for people: aligned columns, constant ones lifted to a line above, empty
 * ones left out, long ones cut with "and 41 more". Tested by tests/cli/test_table.c. */
#ifndef SPW_CLI_TABLE_H
#define SPW_CLI_TABLE_H

#include "base/text.h"

#define CLI_TABLE_COLUMNS_MAX 16

struct cli_column {
    const char *name;
    bool right; /* numbers */
    bool keep;  /* never lifted or left out */
};

struct cli_table {
    const struct spw_world *world;
    struct cli_column columns[CLI_TABLE_COLUMNS_MAX];
    uint32_t column_count;
    char **cells; /* row by row */
    uint64_t cell_count, cell_capacity;
    bool failed; /* no memory */
};

void cli_table_init(struct cli_table *table, const struct spw_world *world,
                    const struct cli_column *columns, uint32_t count);
void cli_table_deinit(struct cli_table *table);
/* Cells come in the order of columns, row after row. */
void cli_table_add(struct cli_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* `rows_max` 0: all. `columns_max` 0: lines are as long as they are; else columns are left out from
 * the right, those with `keep` last of all, until lines fit, and a line says which. */
void cli_table_print(const struct cli_table *table, uint32_t rows_max, uint32_t columns_max,
                     struct spw_text *out);

#endif
