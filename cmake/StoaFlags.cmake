# SPDX-License-Identifier: BSL-1.0
#
# stoa_flags: how our own code is compiled; private to every target of ours and
# never exported.  stoa_strict: the warnings that find mistakes in the use of the
# library, as errors; exported as stoa::strict.

add_library(stoa_flags INTERFACE)

# Not -Wswitch-enum: a switch over a word that was read from shared memory has a
# default, and with it the flag asks to list what the default is for.
set(warnings
	-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
	-Wcast-qual -Wwrite-strings -Wpointer-arith -Wundef -Wvla -Walloca
	-Wformat=2 -Wnull-dereference -Wdouble-promotion
	-Wunused-macros -Wredundant-decls -Wdate-time)
set(warnings_c
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
	-Werror=incompatible-pointer-types
	-Werror=implicit-function-declaration)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
	list(APPEND warnings
		-Wcast-align=strict -Wimplicit-fallthrough=5 -Wduplicated-cond
		-Wduplicated-branches -Wlogical-op -Warith-conversion
		-Wstack-usage=12288)
	list(APPEND warnings_c -Wjump-misses-init)
else()
	list(APPEND warnings -Wcast-align -Wimplicit-fallthrough)
endif()
if(STOA_WERROR)
	list(APPEND warnings -Werror)
endif()
target_compile_options(stoa_flags INTERFACE
	${warnings}
	$<$<COMPILE_LANGUAGE:C>:${warnings_c}>
	-fno-omit-frame-pointer
	$<$<NOT:$<CONFIG:Debug>>:-fstack-protector-strong>)
target_compile_definitions(stoa_flags INTERFACE _GNU_SOURCE)
target_compile_features(stoa_flags INTERFACE c_std_17)
target_include_directories(stoa_flags INTERFACE
	${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)

if(STOA_SANITIZE)
	target_compile_options(stoa_flags INTERFACE
		-fsanitize=${STOA_SANITIZE} -fno-sanitize-recover=all)
	target_link_options(stoa_flags INTERFACE -fsanitize=${STOA_SANITIZE})
	if(STOA_SANITIZE MATCHES "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
		# ThreadSanitizer does not know fences; base/atomic.h has one.
		target_compile_options(stoa_flags INTERFACE -Wno-tsan)
	endif()
endif()
if(STOA_ANNOTATE)
	if(NOT STOA_SANITIZE MATCHES "address")
		find_path(STOA_VALGRIND_DIR valgrind/memcheck.h REQUIRED
			DOC "memcheck.h, for STOA_ANNOTATE")
		mark_as_advanced(STOA_VALGRIND_DIR)
		target_include_directories(stoa_flags SYSTEM INTERFACE
			${STOA_VALGRIND_DIR})
	endif()
	target_compile_definitions(stoa_flags INTERFACE STOA_ANNOTATE)
endif()
if(STOA_COVERAGE)
	target_compile_options(stoa_flags INTERFACE --coverage)
	target_link_options(stoa_flags INTERFACE --coverage)
endif()

add_library(stoa_strict INTERFACE)
add_library(stoa::strict ALIAS stoa_strict)
set_target_properties(stoa_strict PROPERTIES EXPORT_NAME strict)
# The same for pkg-config: --variable=strict (gcc), strict_clang, strict_cxx.
set(STOA_STRICT_CXX -Werror=unused-result)
set(STOA_STRICT_C -Werror=incompatible-pointer-types -Werror=int-conversion)
set(STOA_STRICT_GCC -Werror=discarded-qualifiers)
set(STOA_STRICT_CLANG -Werror=incompatible-pointer-types-discards-qualifiers)
target_compile_options(stoa_strict INTERFACE
	${STOA_STRICT_CXX}
	"$<$<COMPILE_LANGUAGE:C>:${STOA_STRICT_C}>"
	$<$<AND:$<COMPILE_LANGUAGE:C>,$<C_COMPILER_ID:GNU>>:${STOA_STRICT_GCC}>
	$<$<AND:$<COMPILE_LANGUAGE:C>,$<C_COMPILER_ID:Clang,AppleClang>>:${STOA_STRICT_CLANG}>)
