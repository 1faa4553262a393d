/* table.c — text tables. Tested by tests/cli/test_table.c. */
#include "cli/table.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void cli_table_init(struct cli_table *table, const struct spw_world *world,
                    const struct cli_column *columns, uint32_t count)
{
    SPW_ASSERT(count <= CLI_TABLE_COLUMNS_MAX);
    *table = (struct cli_table){.world = world, .column_count = count};
    memcpy(table->columns, columns, count * sizeof(*columns));
}

void cli_table_deinit(struct cli_table *table)
{
    for (uint64_t i = 0; i < table->cell_count; i++) {
        spw_release(table->world, table->cells[i]);
    }
    spw_release(table->world, table->cells);
    *table = (struct cli_table){0};
}

void cli_table_add(struct cli_table *table, const char *format, ...)
{
    char text[512];
    char *copy = NULL;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (spw_grow(table->world, &table->cells, &table->cell_capacity, table->cell_count + 1,
                 sizeof(char *), "a table", NULL) != SPW_OK ||
        spw_copy_text(table->world, text, NULL, &copy) != SPW_OK) {
        table->failed = true;
        return;
    }
    table->cells[table->cell_count++] = copy;
}

/* Characters on the screen: UTF-8's continuation bytes take no place. */
static uint32_t width_of(const char *text)
{
    uint32_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static const char *cell(const struct cli_table *table, uint64_t row, uint32_t column)
{
    return table->cells[row * table->column_count + column];
}

static bool is_constant(const struct cli_table *table, uint64_t rows, uint32_t column)
{
    for (uint64_t row = 1; row < rows; row++) {
        if (strcmp(cell(table, row, column), cell(table, 0, column)) != 0) {
            return false;
        }
    }
    return rows > 1;
}

/* Says which columns stay, and prints the constant ones on one line. */
static void lift(const struct cli_table *table, uint64_t rows, bool *shown, struct spw_text *out)
{
    bool any = false;
    for (uint32_t i = 0; i < table->column_count; i++) {
        const bool constant = is_constant(table, rows, i);
        const bool empty = rows > 0 && (rows == 1 || constant) && cell(table, 0, i)[0] == '\0';
        shown[i] = table->columns[i].keep || (!constant && !empty);
        if (!shown[i] && !empty) {
            spw_text_add(out, "%s%s: %s", any ? ", " : "all: ", table->columns[i].name,
                         cell(table, 0, i));
            any = true;
        }
    }
    if (any) {
        spw_text_add(out, "\n");
    }
}

static void add_padded(struct spw_text *out, const char *text, uint32_t width, bool right,
                       bool last)
{
    const uint32_t own = width_of(text);
    const int padding = own < width ? (int)(width - own) : 0;
    if (right) {
        spw_text_add(out, "%*s%s", padding, "", text);
    } else {
        spw_text_add(out, "%s%*s", text, last ? 0 : padding, "");
    }
}

/* Characters of a line. */
static uint32_t line_width(const struct cli_table *table, const bool *shown, const uint32_t *widths)
{
    uint32_t width = 0;
    for (uint32_t i = 0; i < table->column_count; i++) {
        width += shown[i] ? widths[i] + (width > 0 ? 2 : 0) : 0;
    }
    return width;
}

/* Leaves out columns until lines fit, and says which. */
static void narrow(const struct cli_table *table, uint32_t columns_max, bool *shown,
                   const uint32_t *widths, struct spw_text *out)
{
    bool any = false;
    for (uint32_t i = table->column_count; i-- > 0;) {
        if (columns_max == 0 || line_width(table, shown, widths) <= columns_max) {
            break;
        }
        if (shown[i] && !table->columns[i].keep) {
            spw_text_add(out, "%s%s", any ? ", " : "left out, as the terminal is narrow: ",
                         table->columns[i].name);
            shown[i] = false;
            any = true;
        }
    }
    if (any) {
        spw_text_add(out, "\n");
    }
}

static void add_row(const struct cli_table *table, uint64_t row, bool heading, const bool *shown,
                    const uint32_t *widths, struct spw_text *out)
{
    uint32_t last = 0;
    bool first = true;
    for (uint32_t i = 0; i < table->column_count; i++) {
        last = shown[i] ? i : last;
    }
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (shown[i]) {
            spw_text_add(out, "%s", first ? "" : "  ");
            add_padded(out, heading ? table->columns[i].name : cell(table, row, i), widths[i],
                       table->columns[i].right, i == last);
            first = false;
        }
    }
    spw_text_add(out, "\n");
}

void cli_table_print(const struct cli_table *table, uint32_t rows_max, uint32_t columns_max,
                     struct spw_text *out)
{
    if (table->failed || table->column_count == 0) {
        out->failed = out->failed || table->failed;
        return;
    }
    const uint64_t rows = table->cell_count / table->column_count;
    const uint64_t printed = rows_max != 0 && rows > rows_max ? rows_max : rows;
    bool shown[CLI_TABLE_COLUMNS_MAX];
    uint32_t widths[CLI_TABLE_COLUMNS_MAX];
    lift(table, rows, shown, out);
    for (uint32_t i = 0; i < table->column_count; i++) {
        widths[i] = width_of(table->columns[i].name);
        for (uint64_t row = 0; row < printed; row++) {
            const uint32_t width = width_of(cell(table, row, i));
            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    narrow(table, columns_max, shown, widths, out);
    add_row(table, 0, true, shown, widths, out);
    for (uint64_t row = 0; row < printed; row++) {
        add_row(table, row, false, shown, widths, out);
    }
    if (printed < rows) {
        spw_text_add(out, "... and %llu more\n", (unsigned long long)(rows - printed));
    }
}
