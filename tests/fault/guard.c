/* guard.c — see guard.h. */
#include "guard.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_S = 60 };

/* A signal handler can be told no other way. */
static struct {
    char what[256];
    int passed, failed;
} state;

static void give_up(int number)
{
    static const char text[] = "HANG ";
    ssize_t written = write(STDOUT_FILENO, text, sizeof text - 1);
    written += write(STDOUT_FILENO, state.what, strlen(state.what));
    written += write(STDOUT_FILENO, "\n", 1);
    (void)written;
    (void)number;
    _exit(1);
}

void guard_begin(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(state.what, sizeof state.what, format, arguments);
    va_end(arguments);
    (void)signal(SIGALRM, give_up);
    (void)alarm(PATIENCE_S);
}

void guard_end(bool ok, const char *why)
{
    (void)alarm(0);
    state.passed += ok;
    state.failed += !ok;
    if (!ok) {
        printf("FAIL %s: %s\n", state.what, why);
        (void)fflush(stdout);
    }
}

int guard_report(void)
{
    printf("%d passed, %d failed\n", state.passed, state.failed);
    return state.failed > 0 || state.passed == 0;
}

uint64_t guard_stride(uint64_t count, uint64_t wanted)
{
    const uint64_t stride = wanted > 0 ? count / wanted : 1;
    return stride > 0 ? stride : 1;
}
