# FindZlib.cmake — zlib, compressed files: target spw::zlib.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
    pkg_check_modules(PC_Zlib QUIET zlib)
endif()
find_path(Zlib_INCLUDE_DIR zlib.h HINTS ${PC_Zlib_INCLUDE_DIRS})
find_library(Zlib_LIBRARY z HINTS ${PC_Zlib_LIBRARY_DIRS})
set(Zlib_VERSION "${PC_Zlib_VERSION}")
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Zlib
    REQUIRED_VARS Zlib_LIBRARY Zlib_INCLUDE_DIR VERSION_VAR Zlib_VERSION)
mark_as_advanced(Zlib_INCLUDE_DIR Zlib_LIBRARY)
if(Zlib_FOUND AND NOT TARGET spw::zlib)
    add_library(spw::zlib UNKNOWN IMPORTED)
    set_target_properties(spw::zlib PROPERTIES IMPORTED_LOCATION "${Zlib_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${Zlib_INCLUDE_DIR}")
endif()
