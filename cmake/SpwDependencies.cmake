# SpwDependencies.cmake — finds what we build on; each library is named in one Find file.
# What is found becomes a target spw::<name>, for the LIBS of the one box that names the library.

set(SPW_SUMMARY "" CACHE INTERNAL "lines of the closing table")

# spw_need(package target purpose [OPTIONAL]): find_package, with a line in the closing table. Only
# what is not OPTIONAL stops the build when it is missing.
macro(spw_need package target purpose)
    find_package(${package} QUIET)
    if(${package}_FOUND)
        set(spw_need_line "  found    ")
    else()
        set(spw_need_line "  NOT FOUND")
        if(NOT "${ARGN}" STREQUAL "OPTIONAL")
            list(APPEND SPW_MISSING ${package})
        endif()
    endif()
    string(APPEND spw_need_line " ${target} ${${package}_VERSION} — ${purpose}")
    list(APPEND SPW_SUMMARY "${spw_need_line}")
endmacro()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

spw_need(Xxhash spw::xxhash "hashes (base)")
spw_need(Zlib spw::zlib "compressed data files (data)")
spw_need(Dnnl spw::dnnl "matrix products and convolutions (kernels)")
spw_need(Hwloc spw::hwloc "cores and NUMA nodes (runtime)")
spw_need(Yaml spw::yaml "spec files (selection)")
spw_need(Jansson spw::jansson "JSON in and out (models, selection)")
if(SPW_TESTS)
    # Only tests need these two: without them everything else is still built.
    spw_need(Criterion spw::criterion "unit tests" OPTIONAL)
    spw_need(Python3 python3 "runs the tests" OPTIONAL)
    if(NOT Criterion_FOUND OR NOT Python3_FOUND)
        list(APPEND SPW_SUMMARY "  so tests are left out")
        set(SPW_TESTS OFF)
    endif()
endif()

if(SPW_MISSING)
    list(JOIN SPW_SUMMARY "\n" text)
    list(JOIN SPW_MISSING ", " missing)
    message(FATAL_ERROR "Spillway needs: ${missing}\n${text}\n"
        "On Debian and Ubuntu `scripts/setup.sh` installs everything.")
endif()

function(spw_print_summary)
    list(JOIN SPW_SUMMARY "\n" text)
    set(sanitizers "${SPW_SANITIZE}")
    if(NOT sanitizers)
        set(sanitizers none)
    endif()
    message(STATUS "Spillway ${PROJECT_VERSION}: ${CMAKE_BUILD_TYPE}, ${CMAKE_C_COMPILER_ID} "
        "${CMAKE_C_COMPILER_VERSION}, sanitizers: ${sanitizers}\n${text}")
endfunction()
