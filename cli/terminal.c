/* terminal.c — asks the terminal. Nothing is kept, as sizes change. */
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Smaller ones are taken for nonsense. */
#define COLUMNS_MIN 20
#define ROWS_MIN 4

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

void cli_terminal_read(struct cli_terminal *terminal)
{
    const char *term = getenv("TERM");
    const bool dumb = term == NULL || term[0] == '\0' || strcmp(term, "dumb") == 0;
    const char *force = getenv("CLICOLOR_FORCE");
    terminal->is_tty = isatty(STDERR_FILENO) != 0 && !dumb;
    terminal->colours = terminal->is_tty && !is_set("NO_COLOR");
    if (force != NULL && force[0] != '\0' && strcmp(force, "0") != 0 && !is_set("NO_COLOR")) {
        terminal->colours = true;
    }
}

static uint32_t number_of(const char *name, uint32_t least, uint32_t fallback)
{
    const char *text = getenv(name);
    if (text == NULL) {
        return fallback;
    }
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    return *end == '\0' && value >= least && value <= 1000 ? (uint32_t)value : fallback;
}

void cli_terminal_size(uint32_t *columns, uint32_t *rows)
{
    struct winsize size = {0};
    *columns = 80;
    *rows = 24;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= COLUMNS_MIN &&
        size.ws_row >= ROWS_MIN) {
        *columns = size.ws_col;
        *rows = size.ws_row;
    }
    *columns = number_of("COLUMNS", COLUMNS_MIN, *columns);
    *rows = number_of("LINES", ROWS_MIN, *rows);
}

uint32_t cli_output_columns(void)
{
    struct winsize size = {0};
    if (isatty(STDOUT_FILENO) == 0) {
        return 0;
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < COLUMNS_MIN) {
        return number_of("COLUMNS", COLUMNS_MIN, 80);
    }
    return number_of("COLUMNS", COLUMNS_MIN, size.ws_col);
}
