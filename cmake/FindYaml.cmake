# FindYaml.cmake — libyaml, YAML files: target spw::yaml.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
    pkg_check_modules(PC_Yaml QUIET yaml-0.1)
endif()
find_path(Yaml_INCLUDE_DIR yaml.h HINTS ${PC_Yaml_INCLUDE_DIRS})
find_library(Yaml_LIBRARY yaml HINTS ${PC_Yaml_LIBRARY_DIRS})
set(Yaml_VERSION "${PC_Yaml_VERSION}")
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Yaml
    REQUIRED_VARS Yaml_LIBRARY Yaml_INCLUDE_DIR VERSION_VAR Yaml_VERSION)
mark_as_advanced(Yaml_INCLUDE_DIR Yaml_LIBRARY)
if(Yaml_FOUND AND NOT TARGET spw::yaml)
    add_library(spw::yaml UNKNOWN IMPORTED)
    set_target_properties(spw::yaml PROPERTIES IMPORTED_LOCATION "${Yaml_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${Yaml_INCLUDE_DIR}")
endif()
