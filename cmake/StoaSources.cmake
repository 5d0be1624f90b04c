# SPDX-License-Identifier: BSL-1.0
#
# stoa_sources(<variable> <folder>): the .c files of a folder, sorted.
#
# A folder is a layer or a suite, and every .c file in it belongs to it: the
# folder is the list.  CONFIGURE_DEPENDS looks again at each build, so a new
# file is never forgotten; script/check/layers says whether it may be there.
function(stoa_sources variable folder)
	file(GLOB files CONFIGURE_DEPENDS
		${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.c)
	list(SORT files)
	set(${variable} ${files} PARENT_SCOPE)
endfunction()
