#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
#
# Every public header compiles alone, and every example too, without a warning:
# C11, C17, C2x and C++17, gcc and clang.  Templates are included as their own
# comments say, since alone they stop with an #error (which is checked as well).
# Prints `ok NAME` or `FAILED NAME: why`; fails if anything failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
include=$root/include
cd "$root"

warnings=(-Wall -Wextra -Wconversion -Werror)
strict=(-Wpedantic -Wshadow -Wsign-conversion -Wcast-qual -Wvla -Wundef
	-Wwrite-strings)
strict_c=(-Wstrict-prototypes -Wmissing-prototypes)
strict_gcc=(-Wjump-misses-init -Wduplicated-branches -Wlogical-op
	-Wnull-dereference)

quiet() # NAME command...: one line of result
{
	local name=$1 messages
	shift
	if messages=$("$@" 2>&1); then
		echo "ok compile/$name"
	else
		echo "FAILED compile/$name: $*"
		printf '%s\n' "$messages" | head -n 10 | sed 's/^/	/'
	fi
}

source_of() # header, relative to include/: a translation unit that includes it
{
	case $1 in
	stoa/template/vec.h)
		printf '#define STOA_NAME ones\n#define STOA_VAL uint64_t\n' ;;
	stoa/template/hashmap.h)
		printf '#define STOA_NAME ones\n#define STOA_KEY stoa_str\n'
		printf '#define STOA_VAL uint64_t\n' ;;
	esac
	printf '#include <%s>\n#include <%s>\n' "$1" "$1" |
		if [ "${1#stoa/template/}" = "$1" ]; then cat; else head -n 1; fi
	printf 'int stoa_header_alone;\n'
}

header() # header: in every language of every compiler
{
	local c standard unit=$scratch/${1//\//_}

	source_of "$1" > "$unit.c"
	cp "$unit.c" "$unit.cc"
	for c in gcc clang; do
		for standard in c11 c17 c2x; do
			quiet "headers/$1 $c $standard" "$c" -std=$standard \
				"${warnings[@]}" "${strict[@]}" -I "$include" \
				-fsyntax-only "$unit.c"
		done
	done
	for c in g++ clang++; do
		quiet "headers/$1 $c c++17" "$c" -std=c++17 "${warnings[@]}" \
			-I "$include" -fsyntax-only "$unit.cc"
	done
}

alone() # template: says what it needs when it is included without
{
	printf '#include <%s>\n' "$1" > "$scratch/alone.c"
	if gcc -I "$include" -fsyntax-only "$scratch/alone.c" 2>&1 |
		grep -q 'stoa: #define STOA_NAME'; then
		echo "ok compile/headers/$1 without its words"
	else
		echo "FAILED compile/headers/$1 without its words: no #error"
	fi
}

example() # .c file
{
	quiet "$1 gcc" gcc -std=c11 "${warnings[@]}" "${strict[@]}" \
		"${strict_c[@]}" "${strict_gcc[@]}" -I "$include" \
		-O2 -S -o /dev/null "$1"
	quiet "$1 gcc c2x" gcc -std=c2x "${warnings[@]}" -I "$include" \
		-O2 -S -o /dev/null "$1"
	quiet "$1 clang" clang -std=c17 "${warnings[@]}" "${strict[@]}" \
		"${strict_c[@]}" -I "$include" -O1 -S -o /dev/null "$1"
}

scratch=$(mktemp -d)
result=$(mktemp)
trap 'rm -rf "$scratch" "$result"' EXIT
{
	(cd include && printf '%s\n' stoa/*.h stoa/template/*.h) |
		LC_ALL=C sort | while read -r h; do
		case $h in
		stoa/template/keyed.h | stoa/template/undef.h) ;; # parts of others
		*) header "$h" ;;
		esac
	done
	for h in stoa/template/vec.h stoa/template/hashmap.h; do
		alone $h
	done
	for c in examples/[0-9]*.c; do
		[ ! -e "$c" ] || example "$c"
	done
	for c in examples/[0-9]*.cc; do
		[ -e "$c" ] || continue
		for cxx in g++ clang++; do
			quiet "$c $cxx" "$cxx" -std=c++17 "${warnings[@]}" \
				-Wpedantic -I "$include" -O1 -S -o /dev/null "$c"
		done
	done
} | tee "$result"
! grep -q '^FAILED' "$result"
