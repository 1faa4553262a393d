# FindHwloc.cmake — hwloc, the machine's cores: target spw::hwloc.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
    pkg_check_modules(PC_Hwloc QUIET hwloc)
endif()
find_path(Hwloc_INCLUDE_DIR hwloc.h HINTS ${PC_Hwloc_INCLUDE_DIRS})
find_library(Hwloc_LIBRARY hwloc HINTS ${PC_Hwloc_LIBRARY_DIRS})
set(Hwloc_VERSION "${PC_Hwloc_VERSION}")
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Hwloc
    REQUIRED_VARS Hwloc_LIBRARY Hwloc_INCLUDE_DIR VERSION_VAR Hwloc_VERSION)
mark_as_advanced(Hwloc_INCLUDE_DIR Hwloc_LIBRARY)
if(Hwloc_FOUND AND NOT TARGET spw::hwloc)
    add_library(spw::hwloc UNKNOWN IMPORTED)
    set_target_properties(spw::hwloc PROPERTIES IMPORTED_LOCATION "${Hwloc_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${Hwloc_INCLUDE_DIR}")
endif()
