# SpwFlags.cmake — language, floating point, warnings and sanitizers, as three INTERFACE targets:
#   spw_flags           every target of ours links it
#   spw_warnings        for the boxes and programs
#   spw_warnings_tests  the same without -Wconversion, at which Criterion's macros warn

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
endif()
# Symbols stay in release builds: a crash report without them helps nobody.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O0 -g")

find_program(SPW_CCACHE ccache)
mark_as_advanced(SPW_CCACHE)
if(SPW_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER "${SPW_CCACHE}")
endif()

add_library(spw_flags INTERFACE)
target_compile_definitions(spw_flags INTERFACE _GNU_SOURCE)
# Results must not depend on which multiply-adds a compiler likes to fuse: we fuse by name only.
target_compile_options(spw_flags INTERFACE -ffp-contract=off -fno-omit-frame-pointer
    "-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=")

set(SPW_SANITIZE_FLAGS "")
if(SPW_SANITIZE STREQUAL "address")
    set(SPW_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(SPW_SANITIZE STREQUAL "thread")
    set(SPW_SANITIZE_FLAGS -fsanitize=thread)
elseif(SPW_SANITIZE)
    message(FATAL_ERROR "SPW_SANITIZE is '${SPW_SANITIZE}'; it may be empty, address or thread")
endif()
if(SPW_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "SPW_FUZZ needs clang; try: cmake --preset fuzz")
    endif()
    # Every box is instrumented, so that the fuzzer sees how far into it an input came.
    set(SPW_SANITIZE address)
    set(SPW_SANITIZE_FLAGS -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all)
endif()
if(SPW_SANITIZE)
    target_compile_options(spw_flags INTERFACE ${SPW_SANITIZE_FLAGS})
    target_link_options(spw_flags INTERFACE ${SPW_SANITIZE_FLAGS})
endif()

add_library(spw_warnings_tests INTERFACE)
target_compile_options(spw_warnings_tests INTERFACE -Wall -Wextra -Wshadow -Wstrict-prototypes
    -Wvla -Wundef $<$<BOOL:${SPW_WERROR}>:-Werror>)
add_library(spw_warnings INTERFACE)
target_link_libraries(spw_warnings INTERFACE spw_warnings_tests)
target_compile_options(spw_warnings INTERFACE -Wconversion -Wmissing-prototypes)

# The options of loops that a run spends its time in. They are the same in every build, so that a
# debug build computes the same bits as a release build; only sanitizers lower the level.
if(SPW_SANITIZE)
    set(SPW_HOT_OPTIONS -O1 -fno-math-errno -fno-trapping-math)
else()
    set(SPW_HOT_OPTIONS -O3 -fno-math-errno -fno-trapping-math)
endif()

# spw_hot_sources(file...) marks sources of the current directory as hot.
function(spw_hot_sources)
    set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS ${SPW_HOT_OPTIONS})
endfunction()
