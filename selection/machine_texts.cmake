# machine_texts.cmake — writes machine_texts.c: the files of machines/ as arrays. Bytes, not string
# literals, as C limits how long these may be.
set(SPW_MACHINES a100 h100 h200 host k80 rtx2080ti rtx4090)
set(arrays "")
set(names "")
set(texts "")
foreach(machine IN LISTS SPW_MACHINES)
    set(file "${PROJECT_SOURCE_DIR}/machines/${machine}.yaml")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    file(READ "${file}" bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(APPEND arrays "static const char ${machine}[] = {${bytes}};\n")
    string(APPEND names "\"${machine}\", ")
    string(APPEND texts "{${machine}, sizeof(${machine})}, ")
endforeach()
file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/machine_texts.c" @ONLY CONTENT
"/* Written by selection/machine_texts.cmake from machines/. */
#include \"selection/machine_texts.h\"

#include <stddef.h>

@arrays@
const char *const spw_machine_text_names[] = {@names@NULL};
const struct spw_machine_text spw_machine_texts[] = {@texts@{NULL, 0}};
")
