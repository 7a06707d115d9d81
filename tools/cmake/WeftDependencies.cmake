# The libraries that Weft links, as imported targets: weft::torch, weft::yaml, weft::pcre2, weft::utf8proc,
# weft::sentencepiece, weft::nlopt. Installed beside weft-config.cmake, because users of a static libweft link the same libraries.

# Tested with 2.13.0; an older one than this is refused.
set(WEFT_TORCH_OLDEST 2.13.0)

# weft_torch_version(<prefix> <out>): version of the libtorch under a prefix, empty if there is none.
function(weft_torch_version prefix out)
  set(${out} "" PARENT_SCOPE)
  if(EXISTS "${prefix}/share/cmake/Torch/TorchConfigVersion.cmake" AND EXISTS "${prefix}/include/ATen/ATen.h"
     AND EXISTS "${prefix}/lib/libtorch_cpu.so")
    file(STRINGS "${prefix}/share/cmake/Torch/TorchConfigVersion.cmake" line REGEX "^set\\(PACKAGE_VERSION ")
    if(line MATCHES "\"([0-9]+\\.[0-9]+\\.[0-9]+)")
      set(${out} ${CMAKE_MATCH_1} PARENT_SCOPE)
    endif()
  endif()
endfunction()

# weft_find_torch([hint...]): defines weft::torch from the first libtorch that is new enough, in the order Torch_DIR,
# Torch_ROOT, CMAKE_PREFIX_PATH (each as variable, then in the environment), the hints.
#
# TorchConfig.cmake itself is not used: in the CUDA build of the Python wheel it insists on a CUDA toolkit, and it carries
# absolute paths of the machine that built it. The headers, libtorch_cpu and libc10 are all that CPU code needs, and
# libtorch.so would pull in libtorch_cuda.
function(weft_find_torch)
  if(TARGET weft::torch)
    return()
  endif()
  set(candidates "")
  foreach(dir IN ITEMS "${Torch_DIR}" "$ENV{Torch_DIR}")
    if(dir)
      get_filename_component(prefix "${dir}/../../.." ABSOLUTE)
      list(APPEND candidates "${prefix}")
    endif()
  endforeach()
  string(REPLACE ":" ";" from_environment "$ENV{Torch_ROOT}:$ENV{CMAKE_PREFIX_PATH}")
  foreach(prefix IN LISTS Torch_ROOT CMAKE_PREFIX_PATH from_environment)
    if(prefix)
      list(APPEND candidates "${prefix}" "${prefix}/torch")  # the second: a site-packages folder
    endif()
  endforeach()
  set(seen "")
  foreach(prefix IN LISTS candidates ARGN)
    weft_torch_version("${prefix}" version)
    if(NOT version)
      continue()
    endif()
    if(version VERSION_LESS WEFT_TORCH_OLDEST)
      string(APPEND seen "\n  ${prefix}: ${version}, too old")
      continue()
    endif()
    file(STRINGS "${prefix}/share/cmake/Torch/TorchConfig.cmake" old_abi REGEX "_GLIBCXX_USE_CXX11_ABI=0")
    if(old_abi)
      string(APPEND seen "\n  ${prefix}: ${version}, built with the old C++ ABI")
      continue()
    endif()
    weft_import_torch("${prefix}")
    if(NOT WEFT_TORCH_PREFIX STREQUAL prefix)
      message(STATUS "libtorch ${version}: ${prefix}")
    endif()
    set(WEFT_TORCH_PREFIX "${prefix}" CACHE INTERNAL "libtorch in use")
    set(WEFT_TORCH_VERSION "${version}" CACHE INTERNAL "its version")
    if(seen)
      message(WARNING "Passed over, Weft needs libtorch ${WEFT_TORCH_OLDEST} or newer:${seen}")
    endif()
    return()
  endforeach()
  if(seen)
    set(seen "\nFound, but not usable:${seen}")
  endif()
  message(FATAL_ERROR "libtorch ${WEFT_TORCH_OLDEST} or newer was not found. Run tools/setup in Weft's checkout, or set "
                      "Torch_DIR to the folder of its TorchConfig.cmake, or add its prefix to CMAKE_PREFIX_PATH.${seen}")
endfunction()

function(weft_import_torch prefix)
  add_library(weft::torch SHARED IMPORTED GLOBAL)
  set_target_properties(weft::torch PROPERTIES
    IMPORTED_LOCATION "${prefix}/lib/libtorch_cpu.so"
    IMPORTED_SONAME libtorch_cpu.so
    INTERFACE_INCLUDE_DIRECTORIES "${prefix}/include;${prefix}/include/torch/csrc/api/include"
    INTERFACE_COMPILE_FEATURES cxx_std_20
    INTERFACE_LINK_LIBRARIES "${prefix}/lib/libc10.so")
endfunction()

# yaml-cpp names its target yaml-cpp up to 0.7 and yaml-cpp::yaml-cpp since.
function(weft_find_yaml)
  if(TARGET weft::yaml)
    return()
  endif()
  find_package(yaml-cpp CONFIG QUIET)
  if(NOT yaml-cpp_FOUND)
    message(FATAL_ERROR "yaml-cpp was not found. Install libyaml-cpp-dev, or run tools/setup in Weft's checkout.")
  endif()
  add_library(weft::yaml INTERFACE IMPORTED GLOBAL)
  foreach(name IN ITEMS yaml-cpp::yaml-cpp yaml-cpp)
    if(TARGET ${name})
      target_link_libraries(weft::yaml INTERFACE ${name})
      break()
    endif()
  endforeach()
endfunction()

# weft_find_plain(<name> <header> <library> <package>): weft::<name>, for libraries without CMake files of their own.
function(weft_find_plain name header library package)
  if(TARGET weft::${name})
    return()
  endif()
  string(TOUPPER "${name}" upper)
  find_path(WEFT_${upper}_INCLUDE ${header})
  find_library(WEFT_${upper}_LIBRARY ${library})
  mark_as_advanced(WEFT_${upper}_INCLUDE WEFT_${upper}_LIBRARY)
  if(NOT WEFT_${upper}_INCLUDE OR NOT WEFT_${upper}_LIBRARY)
    message(FATAL_ERROR "${name} (${header}, lib${library}) was not found. Install ${package}, or run tools/setup in "
                        "Weft's checkout.")
  endif()
  add_library(weft::${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(weft::${name} PROPERTIES IMPORTED_LOCATION "${WEFT_${upper}_LIBRARY}"
                                                 INTERFACE_INCLUDE_DIRECTORIES "${WEFT_${upper}_INCLUDE}")
endfunction()

function(weft_find_pcre2)
  weft_find_plain(pcre2 pcre2.h pcre2-8 libpcre2-dev)
endfunction()

# Unicode tables, and SentencePiece's .model files.
function(weft_find_text_libraries)
  weft_find_plain(utf8proc utf8proc.h utf8proc libutf8proc-dev)
  weft_find_plain(sentencepiece sentencepiece_processor.h sentencepiece libsentencepiece-dev)
endfunction()

# Optimisers that look at scores alone.
function(weft_find_nlopt)
  weft_find_plain(nlopt nlopt.h nlopt libnlopt-dev)
endfunction()
