# SpwBox.cmake — boxes whose include directions the build enforces.
#
# Headers are spelled from the root: "base/world.h". The source root itself is on no include path.
# Each box has an include root in the build tree that holds one symbolic link, to that box; linking
# a box adds its root. So a box can open the headers of what it links, and of nothing else.

# spw_include_root(name out): makes the root that holds `name` alone and returns its path.
function(spw_include_root name out)
    set(root "${PROJECT_BINARY_DIR}/include_roots/${name}")
    file(MAKE_DIRECTORY "${root}")
    if(NOT EXISTS "${root}/${name}")
        file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${name}" "${root}/${name}" SYMBOLIC)
    endif()
    set(${out} "${root}" PARENT_SCOPE)
endfunction()

# spw_add_box(name SOURCES file... [DEPENDS box...] [LIBS library...])
# Target spw_<name>. DEPENDS are boxes further left, seen by whoever links this box; LIBS are vendor
# libraries (spw::hwloc), seen by this box only.
function(spw_add_box name)
    cmake_parse_arguments(PARSE_ARGV 1 BOX "" "" "SOURCES;DEPENDS;LIBS")
    if(BOX_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "spw_add_box(${name}): what is '${BOX_UNPARSED_ARGUMENTS}'?")
    endif()
    spw_include_root(${name} root)
    add_library(spw_${name} STATIC ${BOX_SOURCES})
    target_include_directories(spw_${name} PUBLIC "${root}" "${PROJECT_SOURCE_DIR}/include")
    target_compile_options(spw_${name} PUBLIC "-fmacro-prefix-map=${root}/=")
    foreach(dependency IN LISTS BOX_DEPENDS)
        target_link_libraries(spw_${name} PUBLIC spw_${dependency})
    endforeach()
    target_link_libraries(spw_${name} PRIVATE spw_flags spw_warnings ${BOX_LIBS})
endfunction()

# spw_add_program(name SOURCES file... LIBS library...): an executable of ours. One that may open
# spillway.h alone, such as an example, links spw::spillway.
function(spw_add_program name)
    cmake_parse_arguments(PARSE_ARGV 1 PROGRAM "" "" "SOURCES;LIBS")
    add_executable(${name} ${PROGRAM_SOURCES})
    target_link_libraries(${name} PRIVATE ${PROGRAM_LIBS} spw_flags spw_warnings)
endfunction()

# The library as a user sees it: the public header and, for the linker only, the box behind it.
add_library(spw_spillway INTERFACE)
add_library(spw::spillway ALIAS spw_spillway)
target_include_directories(spw_spillway INTERFACE "${PROJECT_SOURCE_DIR}/include")
target_link_libraries(spw_spillway INTERFACE
    $<$<TARGET_EXISTS:spw_api>:$<LINK_ONLY:spw_api>>)
