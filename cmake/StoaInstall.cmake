# SPDX-License-Identifier: BSL-1.0
#
# Headers, libraries, stoaConfig.cmake, stoa.pc; the man pages are installed by
# doc/CMakeLists.txt.
include(CMakePackageConfigHelpers)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/stoa)

install(DIRECTORY include/stoa DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
	FILES_MATCHING PATTERN "*.h")
install(TARGETS stoa stoa_static stoa_strict EXPORT stoa
	LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
	ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
	INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET stoa_explore)
	install(TARGETS stoa_explore EXPORT stoa
		LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
		INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()
install(EXPORT stoa NAMESPACE stoa:: DESTINATION ${config_dir}
	FILE stoaTargets.cmake)

configure_package_config_file(cmake/stoaConfig.cmake.in
	${PROJECT_BINARY_DIR}/stoaConfig.cmake INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/stoaConfigVersion.cmake
	COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/stoaConfig.cmake
	${PROJECT_BINARY_DIR}/stoaConfigVersion.cmake DESTINATION ${config_dir})

# The prefix in stoa.pc is found from where the file lies, so an installed tree
# may be moved, and `cmake --install --prefix` needs no second configuration.
file(RELATIVE_PATH STOA_PC_PREFIX
	/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" STOA_PC_PREFIX "${STOA_PC_PREFIX}")
list(JOIN STOA_STRICT_CXX " " STOA_PC_STRICT)
list(JOIN STOA_STRICT_C " " strict_c)
set(STOA_PC_STRICT_CLANG "${STOA_PC_STRICT} ${strict_c} ${STOA_STRICT_CLANG}")
set(STOA_PC_STRICT "${STOA_PC_STRICT} ${strict_c} ${STOA_STRICT_GCC}")
set(packages stoa)
if(TARGET stoa_explore)
	list(APPEND packages stoa-explore)
endif()
foreach(package ${packages})
	configure_file(cmake/${package}.pc.in
		${PROJECT_BINARY_DIR}/${package}.pc @ONLY)
	install(FILES ${PROJECT_BINARY_DIR}/${package}.pc
		DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
# With what the README links to, so that its links lead somewhere.
install(FILES LICENSE README.md CHANGELOG.md SECURITY.md
	DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY doc/guide DESTINATION ${CMAKE_INSTALL_DOCDIR}/doc)
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
