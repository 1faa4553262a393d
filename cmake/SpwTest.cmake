# SpwTest.cmake — three kinds of tests, and fuzz targets. Tests are run by cmake/run_test.py, which
# closes the holes of exit codes (no test ran, a sanitizer log nobody looked at) and writes down how
# many passed.
#
# Labels: the name of the tests/ directory is always one. `full` keeps a test out of `make test`
# (`make test-full` runs it), `no-asan` keeps it out of the sanitizer run.

set(SPW_TEST_RUNNER "${Python3_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/cmake/run_test.py"
    --state "${PROJECT_BINARY_DIR}/test_state")
if(SPW_SANITIZE)
    list(APPEND SPW_TEST_RUNNER --sanitized)
endif()

function(spw_register_test name timeout labels environment)
    get_filename_component(directory "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
    set_tests_properties(${name} PROPERTIES LABELS "${directory};${labels}"
        TIMEOUT ${timeout} ENVIRONMENT "${environment}")
endfunction()

function(spw_test_program name)
    cmake_parse_arguments(PARSE_ARGV 1 TEST "" "" "SOURCES;LIBS")
    add_executable(${name} ${TEST_SOURCES})
    target_link_libraries(${name} PRIVATE ${TEST_LIBS} spw_test_support spw_flags
        spw_warnings_tests)
    # Tests may look for files of the source tree, such as tests/bad/.
    target_compile_definitions(${name} PRIVATE SPW_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
        SPW_BINARY_DIR="${PROJECT_BINARY_DIR}")
endfunction()

# spw_add_test(name SOURCES file... [LIBS target...] [LABELS label...] [TIMEOUT seconds]
#              [ENVIRONMENT NAME=value...] [JOBS n])
# A Criterion suite. TIMEOUT (default 60) is per Test(). Not built under the thread sanitizer,
# which Criterion's runner can't start under.
function(spw_add_test name)
    if(NOT SPW_TESTS OR SPW_SANITIZE STREQUAL "thread")
        return()
    endif()
    cmake_parse_arguments(PARSE_ARGV 1 TEST "" "TIMEOUT;JOBS" "SOURCES;LIBS;LABELS;ENVIRONMENT")
    spw_test_program(${name} SOURCES ${TEST_SOURCES} LIBS ${TEST_LIBS} spw::criterion)
    if(NOT TEST_TIMEOUT)
        set(TEST_TIMEOUT 60)
    endif()
    if(NOT TEST_JOBS)
        set(TEST_JOBS 1)
    endif()
    list(TRANSFORM TEST_SOURCES PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/" OUTPUT_VARIABLE paths)
    add_test(NAME ${name} COMMAND ${SPW_TEST_RUNNER} --name ${name} --kind criterion
        --timeout ${TEST_TIMEOUT} --jobs ${TEST_JOBS} --sources ${paths} -- $<TARGET_FILE:${name}>)
    spw_register_test(${name} 1800 "${TEST_LABELS}" "${TEST_ENVIRONMENT}")
endfunction()

# spw_add_plain_test(name SOURCES file... [LIBS target...] [LABELS label...] [TIMEOUT seconds]
#                    [ENVIRONMENT NAME=value...] [ARGUMENTS argument...])
# A program with its own main that ends with a line "N passed, M failed". For thread stress under
# the thread sanitizer and for sweeps of thousands of cases. TIMEOUT (default 300) is for the whole.
function(spw_add_plain_test name)
    if(NOT SPW_TESTS)
        return()
    endif()
    cmake_parse_arguments(PARSE_ARGV 1 TEST "" "TIMEOUT"
        "SOURCES;LIBS;LABELS;ENVIRONMENT;ARGUMENTS")
    spw_test_program(${name} SOURCES ${TEST_SOURCES} LIBS ${TEST_LIBS})
    if(NOT TEST_TIMEOUT)
        set(TEST_TIMEOUT 300)
    endif()
    add_test(NAME ${name} COMMAND ${SPW_TEST_RUNNER} --name ${name} --kind plain
        -- $<TARGET_FILE:${name}> ${TEST_ARGUMENTS})
    spw_register_test(${name} ${TEST_TIMEOUT} "${TEST_LABELS}" "${TEST_ENVIRONMENT}")
endfunction()

# spw_add_command_test(name COMMAND word... [LABELS label...] [TIMEOUT seconds]
#                      [ENVIRONMENT NAME=value...])
# Any command: an example, a script. It counts as one test, or as many as it says in a last line
# "N passed, M failed".
function(spw_add_command_test name)
    if(NOT SPW_TESTS)
        return()
    endif()
    cmake_parse_arguments(PARSE_ARGV 1 TEST "" "TIMEOUT" "COMMAND;LABELS;ENVIRONMENT")
    if(NOT TEST_TIMEOUT)
        set(TEST_TIMEOUT 300)
    endif()
    add_test(NAME ${name} COMMAND ${SPW_TEST_RUNNER} --name ${name} --kind command
        -- ${TEST_COMMAND})
    spw_register_test(${name} ${TEST_TIMEOUT} "${TEST_LABELS}" "${TEST_ENVIRONMENT}")
endfunction()

# spw_add_fuzz(name SOURCES file... [LIBS target...])
# A parser's fuzz target, fuzz_<parser>: the sources define LLVMFuzzerTestOneInput(). With SPW_FUZZ
# it becomes build/fuzz/fuzz/<name>, which scripts/fuzz.sh runs. Otherwise it becomes a plain test
# that feeds it every file of tests/fuzz/corpus/<name>/, so that what was once found stays fixed.
function(spw_add_fuzz name)
    cmake_parse_arguments(PARSE_ARGV 1 FUZZ "" "" "SOURCES;LIBS")
    if(SPW_FUZZ)
        add_executable(${name} ${FUZZ_SOURCES})
        target_link_libraries(${name} PRIVATE ${FUZZ_LIBS} spw_test_support spw_flags
            spw_warnings_tests)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        set_target_properties(${name} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
    else()
        spw_add_plain_test(${name}
            SOURCES ${FUZZ_SOURCES} "${PROJECT_SOURCE_DIR}/tests/support/fuzz_corpus.c"
            LIBS ${FUZZ_LIBS}
            ARGUMENTS "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name}")
    endif()
endfunction()

if(SPW_TESTS)
    enable_testing()
endif()
