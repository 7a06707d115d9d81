# install and find_package(weft).

include(CMakePackageConfigHelpers)

set(weft_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weft)
install(TARGETS weft EXPORT weft-targets)
install(DIRECTORY include/weft DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT weft-targets NAMESPACE weft:: DESTINATION ${weft_cmake_dir})
if(WEFT_CLI)
  # The program finds libtorch where it was built with it.
  set_target_properties(weft_cli PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS weft_cli)
endif()

configure_package_config_file(tools/cmake/weft-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/weft-config.cmake
                              INSTALL_DESTINATION ${weft_cmake_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/weft-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/weft-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/weft-config-version.cmake
              ${CMAKE_CURRENT_SOURCE_DIR}/tools/cmake/WeftDependencies.cmake
        DESTINATION ${weft_cmake_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
