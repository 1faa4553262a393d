# SpwLibrary.cmake — libspillway.so, and where `cmake --install` puts it and its header.
#
# Programs built in this tree link the boxes themselves. The shared library holds the same objects
# and shows what include/spillway.h marks with SPW_API, nothing else.

# spw_write_exports(path): a linker's list of what the header marks. Visibility alone does not do:
# gcc shows the dispatchers of functions with several versions (base/clones.h) whatever it is told.
function(spw_write_exports path)
    set(header "${PROJECT_SOURCE_DIR}/include/spillway.h")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${header}")
    file(READ "${header}" text)
    string(REGEX MATCHALL "\nSPW_API[^;{(]*[ *]spw_[a-z0-9_]+\\(" declarations "${text}")
    set(names)
    foreach(declaration IN LISTS declarations)
        string(REGEX REPLACE ".*[ *](spw_[a-z0-9_]+)\\($" "\\1" name "${declaration}")
        string(APPEND names "    ${name};\n")
    endforeach()
    file(CONFIGURE OUTPUT "${path}" CONTENT "{\nglobal:\n${names}local:\n    *;\n};\n" @ONLY)
endfunction()

# spw_add_shared_library(box...): called once, after all boxes.
function(spw_add_shared_library)
    set(objects)
    set(boxes)
    foreach(box IN LISTS ARGN)
        if(TARGET spw_${box})
            list(APPEND objects $<TARGET_OBJECTS:spw_${box}>)
            list(APPEND boxes spw_${box})
        endif()
    endforeach()
    add_library(spw_shared SHARED ${objects})
    # The boxes come along for the vendor libraries that they need.
    target_link_libraries(spw_shared PRIVATE ${boxes} spw_flags)
    set_target_properties(spw_shared PROPERTIES OUTPUT_NAME spillway LINKER_LANGUAGE C
        VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
        LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
    set(exports "${PROJECT_BINARY_DIR}/spillway.exports")
    spw_write_exports("${exports}")
    target_link_options(spw_shared PRIVATE -Wl,--no-undefined "-Wl,--version-script=${exports}")
    set_target_properties(spw_shared PROPERTIES LINK_DEPENDS "${exports}")

    include(GNUInstallDirs)
    install(TARGETS spw_shared LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT library)
    install(FILES "${PROJECT_SOURCE_DIR}/include/spillway.h"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT library)
endfunction()
