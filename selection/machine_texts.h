/* machine_texts.h — the files of machines/, as the build put them into the program.
 *
 * A program that is a single file needs no search path, and a name means the same everywhere. The
 * build writes machine_texts.c (selection/CMakeLists.txt). */
#ifndef SPW_SELECTION_MACHINE_TEXTS_H
#define SPW_SELECTION_MACHINE_TEXTS_H

#include <stdint.h>

struct spw_machine_text {
    const char *bytes;
    uint64_t count;
};

extern const char *const spw_machine_text_names[];        /* ends in NULL */
extern const struct spw_machine_text spw_machine_texts[]; /* of these names */

#endif
