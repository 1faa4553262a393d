/* test_table.c — text tables. */
#include "cli/table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct cli_column columns[] = {
    {"name", false, true}, {"size", true, false}, {"state", false, false}, {"note", false, false}};

static struct cli_table table;
static struct spw_text text;

static void begin(void)
{
    cli_table_init(&table, spw_world_system(), columns, 4);
    spw_text_init(&text, spw_world_system());
}

static void end(void)
{
    cli_table_deinit(&table);
    spw_text_deinit(&text);
}

TestSuite(table, .init = begin, .fini = end);

static void add(const char *name, const char *size, const char *state, const char *note)
{
    cli_table_add(&table, "%s", name);
    cli_table_add(&table, "%s", size);
    cli_table_add(&table, "%s", state);
    cli_table_add(&table, "%s", note);
}

Test(table, columns_are_aligned_and_numbers_stand_right)
{
    add("a", "1", "on", "x");
    add("bcdef", "1000", "off", "y");
    cli_table_print(&table, 0, 0, &text);
    cr_assert(strcmp(text.data, "name   size  state  note\n"
                                "a         1  on     x\n"
                                "bcdef  1000  off    y\n") == 0,
              "%s", text.data);
}

Test(table, constant_columns_are_lifted_and_empty_ones_left_out)
{
    add("a", "1", "on", "");
    add("b", "2", "on", "");
    cli_table_print(&table, 0, 0, &text);
    cr_assert(strcmp(text.data, "all: state: on\nname  size\na        1\nb        2\n") == 0, "%s",
              text.data);
}

Test(table, one_row_keeps_what_it_has)
{
    add("a", "1", "on", "");
    cli_table_print(&table, 0, 0, &text);
    cr_assert(strcmp(text.data, "name  size  state\na        1  on\n") == 0, "%s", text.data);
}

Test(table, long_tables_say_how_many_rows_are_missing)
{
    for (int i = 0; i < 50; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "%d", i);
        add(name, name, i % 2 == 0 ? "on" : "off", "");
    }
    cli_table_print(&table, 9, 0, &text);
    cr_assert(strstr(text.data, "8        8  on\n... and 41 more\n") != NULL, "%s", text.data);
}

Test(table, narrow_terminals_get_fewer_columns)
{
    add("a", "1", "on", "a long note that takes place");
    add("b", "2", "off", "and another one, longer still");
    cli_table_print(&table, 0, 20, &text);
    cr_assert(strcmp(text.data, "left out, as the terminal is narrow: note\n"
                                "name  size  state\na        1  on\nb        2  off\n") == 0,
              "%s", text.data);
}

Test(table, letters_beyond_ascii_take_one_place)
{
    add("ü", "1", "on", "");
    add("abc", "2", "off", "");
    cli_table_print(&table, 0, 0, &text);
    cr_assert(strstr(text.data, "ü        1  on\n") != NULL, "%s", text.data);
}
