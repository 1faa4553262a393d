# FindCriterion.cmake — Criterion, unit tests: target spw::criterion.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
    pkg_check_modules(PC_Criterion QUIET criterion)
endif()
find_path(Criterion_INCLUDE_DIR criterion/criterion.h HINTS ${PC_Criterion_INCLUDE_DIRS})
find_library(Criterion_LIBRARY criterion HINTS ${PC_Criterion_LIBRARY_DIRS})
set(Criterion_VERSION "${PC_Criterion_VERSION}")
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Criterion
    REQUIRED_VARS Criterion_LIBRARY Criterion_INCLUDE_DIR VERSION_VAR Criterion_VERSION)
mark_as_advanced(Criterion_INCLUDE_DIR Criterion_LIBRARY)
if(Criterion_FOUND AND NOT TARGET spw::criterion)
    add_library(spw::criterion UNKNOWN IMPORTED)
    set_target_properties(spw::criterion PROPERTIES IMPORTED_LOCATION "${Criterion_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${Criterion_INCLUDE_DIR}")
endif()
