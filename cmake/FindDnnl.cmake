# FindDnnl.cmake — oneDNN, 2.x or 3.x: target spw::dnnl.
# The library's own CMake package asks for OpenCL and other things that we don't use.
find_path(Dnnl_INCLUDE_DIR oneapi/dnnl/dnnl.h)
find_library(Dnnl_LIBRARY dnnl)
if(Dnnl_INCLUDE_DIR)
    file(STRINGS "${Dnnl_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h" lines
        REGEX "#define DNNL_VERSION_(MAJOR|MINOR|PATCH) ")
    string(REGEX REPLACE "[^0-9]+([0-9]+)" ".\\1" Dnnl_VERSION "${lines}")
    string(SUBSTRING "${Dnnl_VERSION}" 1 -1 Dnnl_VERSION)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Dnnl REQUIRED_VARS Dnnl_LIBRARY Dnnl_INCLUDE_DIR
    VERSION_VAR Dnnl_VERSION)
mark_as_advanced(Dnnl_INCLUDE_DIR Dnnl_LIBRARY)
if(Dnnl_FOUND AND NOT TARGET spw::dnnl)
    add_library(spw::dnnl UNKNOWN IMPORTED)
    set_target_properties(spw::dnnl PROPERTIES IMPORTED_LOCATION "${Dnnl_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${Dnnl_INCLUDE_DIR}")
endif()
