# SPDX-License-Identifier: BSL-1.0
#
# stoa_seeded(<variable>): with -DSTOA_SEEDED=NAME, one source of the list is taken
# from the build tree, where it has the mistake NAME in it (tests/seeded).  A library
# built so is good for one thing: to see the tests fail.
set(STOA_SEEDED "" CACHE STRING "Name of a seeded bug, to see the tests find it")

function(stoa_seeded variable)
	if(NOT STOA_SEEDED)
		return()
	endif()
	find_package(Python3 REQUIRED COMPONENTS Interpreter)
	set(folder ${CMAKE_CURRENT_BINARY_DIR}/seeded)
	execute_process(
		COMMAND ${Python3_EXECUTABLE}
			${PROJECT_SOURCE_DIR}/tests/seeded/run.py
			--mutate ${STOA_SEEDED} ${folder}
		OUTPUT_VARIABLE name OUTPUT_STRIP_TRAILING_WHITESPACE
		RESULT_VARIABLE failed)
	if(failed)
		message(FATAL_ERROR "stoa: STOA_SEEDED: ${name}")
	endif()
	message(WARNING "stoa: ${name} with the seeded bug ${STOA_SEEDED}")
	set(sources ${${variable}})
	list(TRANSFORM sources REPLACE "^${PROJECT_SOURCE_DIR}/${name}$"
		"${folder}/${name}")
	set(${variable} ${sources} PARENT_SCOPE)
	# a header: before the one of that name
	target_include_directories(stoa_flags BEFORE INTERFACE ${folder}/src)
	target_compile_options(stoa_flags INTERFACE -w)
endfunction()
