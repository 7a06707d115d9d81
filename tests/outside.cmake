# Builds and runs a program that uses Weft from outside:
#   WAY=consumer    installs the build tree, moves the installed folder (it must not know where it was) and finds it
#   WAY=subproject  adds the source folder
# Variables: WAY, SOURCE, BUILD, COMPILER.

set(work "${BUILD}/outside/${WAY}")

function(step what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${WAY}: ${what} failed (${result}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

set(options "")
if(WAY STREQUAL "consumer")
  file(REMOVE_RECURSE "${work}/first" "${work}/prefix")
  step("cmake --install" "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${work}/first")
  file(RENAME "${work}/first" "${work}/prefix")
  list(APPEND options "-DCMAKE_PREFIX_PATH=${work}/prefix")
else()
  # A compiler cache turns the second build of the same sources into a copy.
  list(APPEND options -DCMAKE_CXX_FLAGS=-O1 -DWEFT_CCACHE=ON "-DWEFT_FOLDER=${SOURCE}")
endif()
step("configuring" "${CMAKE_COMMAND}" -G Ninja -S "${SOURCE}/tests/${WAY}" -B "${work}/build"
     "-DCMAKE_CXX_COMPILER=${COMPILER}" ${options})
step("building" "${CMAKE_COMMAND}" --build "${work}/build")
file(REMOVE_RECURSE "${work}/out")
step("running" "${work}/build/consumer" "${SOURCE}/recipes/zoo/adapters" "${work}/out")
message("${output}")
