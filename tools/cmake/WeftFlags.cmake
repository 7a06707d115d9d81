# Flags of our own targets. Nothing here reaches the users of the library.

include(CheckLinkerFlag)
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
endif()
check_linker_flag(CXX -fuse-ld=lld WEFT_HAVE_LLD)

if(WEFT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(WEFT_CCACHE_PROGRAM ccache)
  mark_as_advanced(WEFT_CCACHE_PROGRAM)
  if(WEFT_CCACHE_PROGRAM)
    # What ccache must overlook to cache files that use a precompiled header.
    set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime "${WEFT_CCACHE_PROGRAM}")
  endif()
endif()

if(WEFT_TIDY)
  find_program(WEFT_CLANG_TIDY NAMES clang-tidy-14 clang-tidy REQUIRED)
endif()

# weft_flags(<target>): what all our targets have in common; equal flags let them share one precompiled header.
function(weft_flags target)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
                                             UNITY_BUILD ${WEFT_UNITY} UNITY_BUILD_MODE GROUP)
  target_compile_options(${target} PRIVATE -fPIC)
  if(WEFT_CCACHE_PROGRAM AND WEFT_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
  if(WEFT_DEVELOPER)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Werror -Wno-unknown-pragmas)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # False alarms of g++ 12 in std::string once it is inlined; some of them are on without -Wall.
    target_compile_options(${target} PRIVATE -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow)
  endif()
  if(WEFT_SANITIZE)
    # vptr would need the type information that libtorch hides.
    set(sanitize -fsanitize=${WEFT_SANITIZE} -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(${target} PRIVATE ${sanitize})
    target_link_options(${target} PRIVATE -fsanitize=${WEFT_SANITIZE})
  endif()
  if(WEFT_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  if(WEFT_TIDY)
    set_target_properties(${target} PROPERTIES CXX_CLANG_TIDY "${WEFT_CLANG_TIDY};--quiet")
  endif()
  if(WEFT_HAVE_LLD)
    target_link_options(${target} PRIVATE -fuse-ld=lld)
  endif()
endfunction()

# weft_precompile(<target> [OF <owner>]): the one precompiled header, made for one target and reused by others. Never
# torch/torch.h, which makes everything slower.
function(weft_precompile target)
  cmake_parse_arguments(arg "" "OF" "" ${ARGN})
  if(NOT WEFT_PCH)
    return()
  endif()
  if(arg_OF)
    target_precompile_headers(${target} REUSE_FROM ${arg_OF})
  else()
    target_precompile_headers(${target} PRIVATE <ATen/ATen.h> <fmt/format.h> <fmt/ranges.h> <algorithm> <array> <cmath>
                              <cstdint> <cstring> <filesystem> <functional> <map> <memory> <optional> <set> <span>
                              <string> <string_view> <unordered_map> <utility> <variant> <vector>)
  endif()
endfunction()

# The numeric loops of our own are compiled with -O3 in every preset that optimises. They use no libtorch: a precompiled
# header of another optimisation level makes g++ 12 crash.
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  file(GLOB weft_numeric_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/src/linalg/kernels*.cpp"
       "${CMAKE_CURRENT_SOURCE_DIR}/src/linalg/few_rows.cpp" "${CMAKE_CURRENT_SOURCE_DIR}/src/linalg/decode.cpp"
       "${CMAKE_CURRENT_SOURCE_DIR}/src/linalg/row_ops.cpp")
  set_source_files_properties(${weft_numeric_sources} PROPERTIES COMPILE_OPTIONS -O3 SKIP_PRECOMPILE_HEADERS ON)
endif()
