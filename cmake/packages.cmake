# The Debian packages `pipe` (runs pipelines) and `pipe-dev` (for those who write plugins): `./dev package`.
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/pipe COMPONENT runtime RENAME copyright)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/pipe-dev COMPONENT sdk RENAME copyright)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/pipe COMPONENT runtime)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pipe)
set(CPACK_PACKAGE_CONTACT "the pipe project")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime sdk)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME pipe)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS ca-certificates)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS "podman | docker.io")
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "set up private container registries, and move images
 Runs pipelines of steps that pull, tag, push, run and verify, and is safe to run again.")
set(CPACK_DEBIAN_SDK_PACKAGE_NAME pipe-dev)
set(CPACK_DEBIAN_SDK_PACKAGE_SECTION libdevel)
# What builds a plugin, and what `find_package(pipe)` looks for.
set(CPACK_DEBIAN_SDK_PACKAGE_DEPENDS
  "pipe (= ${PROJECT_VERSION}), g++, make, cmake, pkg-config, libcurl4-openssl-dev, libssl-dev, libtomlplusplus-dev, libfmt-dev, libisal-dev, libzstd-dev")
set(CPACK_COMPONENT_SDK_DESCRIPTION "steps of one's own for pipe
 Headers, libraries and a template for plugins, with examples in C++ and C.")
include(CPack)
