/* terminal.h — what standard error is: a terminal or not, how large, with colours or not. */
#ifndef SPW_CLI_TERMINAL_H
#define SPW_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

struct cli_terminal {
    bool is_tty; /* can be redrawn */
    bool colours;
};

/* Asks standard error, TERM, NO_COLOR and CLICOLOR_FORCE. */
void cli_terminal_read(struct cli_terminal *terminal);
/* Present size; 80 x 24 if unknown. COLUMNS and LINES win. */
void cli_terminal_size(uint32_t *columns, uint32_t *rows);
/* The same for standard output's width; 0: it is no terminal, don't cut. */
uint32_t cli_output_columns(void);

#endif
