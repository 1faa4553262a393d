/* Tests of base/log.c. */
#include "base/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct heard {
    int count;
    enum spw_log_level level;
    char subsystem[32];
    char text[2048];
};

static void hear(void *self, enum spw_log_level level, const char *subsystem, const char *text)
{
    struct heard *heard = self;
    heard->count++;
    heard->level = level;
    (void)snprintf(heard->subsystem, sizeof(heard->subsystem), "%s", subsystem);
    (void)snprintf(heard->text, sizeof(heard->text), "%s", text);
}

Test(log, passes_messages_up_to_its_level)
{
    struct heard heard = {0};
    const struct spw_log log = {.self = &heard, .write = hear, .level = SPW_LOG_WARNING};
    spw_log(&log, SPW_LOG_INFO, "executor", "unheard");
    cr_assert(heard.count == 0);
    spw_log(&log, SPW_LOG_WARNING, "executor", "unit %d of %s", 3, "gpt");
    cr_assert(heard.count == 1 && heard.level == SPW_LOG_WARNING);
    cr_assert_str_eq(heard.subsystem, "executor");
    cr_assert_str_eq(heard.text, "unit 3 of gpt");
    spw_log(&log, SPW_LOG_ERROR, "home", "worse");
    cr_assert(heard.count == 2 && heard.level == SPW_LOG_ERROR);
}

Test(log, silence_is_allowed)
{
    const struct spw_log silent = {.level = SPW_LOG_DEBUG};
    spw_log(&silent, SPW_LOG_ERROR, "executor", "into the void");
    spw_log(NULL, SPW_LOG_ERROR, "executor", "into the void");
}

Test(log, a_long_message_is_cut)
{
    struct heard heard = {0};
    const struct spw_log log = {.self = &heard, .write = hear, .level = SPW_LOG_INFO};
    char text[5000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    spw_log(&log, SPW_LOG_INFO, "executor", "%s", text);
    cr_assert(strlen(heard.text) == 1023);
}
