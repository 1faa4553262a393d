/* versions.h — the libraries that this build found; made from versions.c.in by CMake. */
#ifndef SPW_CLI_VERSIONS_H
#define SPW_CLI_VERSIONS_H

#include <stdint.h>

struct cli_library {
    const char *name;
    const char *version;
};
extern const struct cli_library cli_libraries[];
extern const uint32_t cli_library_count;

#endif
