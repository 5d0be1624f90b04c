#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
#
# What the compilers say about mistakes in the use of the library.
#
#	mistakes.sh [--update] [NAME...]
#
# mistakes/NAME.c holds one mistake between #ifdef MISTAKE and #else, and the
# right way after #else.  Each is compiled by gcc, clang and g++, at three levels
# of warnings (none; -Wall -Wextra -Wconversion; those and the flags of the CMake
# target stoa::strict), with the headers by -I and by -isystem.  A cell of
# mistakes.expected holds one letter a level:
#
#	E error    w warning    . not a word
#
# The right way must compile without a word everywhere; where a file says
# "says: TEXT", gcc's error must hold that text.  Prints `ok NAME` or
# `FAILED NAME: why`; fails if anything failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
include=$(cd "$here/../../include" && pwd)
expected=$here/mistakes.expected

compiler() # gcc|clang|g++ level: the command, one word a line
{
	local c=$1 level=$2

	case $c in
	gcc | clang) printf '%s\n' "$c" -std=c17 ;;
	g++) printf '%s\n' g++ -x c++ -std=c++17 ;;
	esac
	[ "$level" -lt 1 ] || printf '%s\n' -Wall -Wextra -Wconversion
	[ "$level" -ge 2 ] || return 0
	printf '%s\n' -Werror=unused-result
	case $c in
	gcc) printf '%s\n' -Werror=incompatible-pointer-types \
		-Werror=int-conversion -Werror=discarded-qualifiers ;;
	clang) printf '%s\n' -Werror=incompatible-pointer-types \
		-Werror=int-conversion \
		-Werror=incompatible-pointer-types-discards-qualifiers ;;
	esac
}

say() # compiler level how file [-DMISTAKE]: prints . w or E, messages to $out
{
	local -a cc

	mapfile -t cc < <(compiler "$1" "$2")
	if ! "${cc[@]}" "$3" "$include" -O1 -S -o /dev/null ${5+"$5"} "$4" \
		> "$out" 2>&1; then
		echo E
	elif grep -q 'warning:' "$out"; then
		echo w
	else
		echo .
	fi
}

says() # text: gcc's error for the file of row() holds it
{
	say gcc 0 -I "$file" -DMISTAKE > /dev/null
	grep -qF -- "$1" "$out" ||
		echo "wrong $name: gcc does not say '$1'"
}

row() # NAME: its line of the table, and FAILED lines for the right way
{
	local name=$1 file=$here/mistakes/$1.c c how level cell line text
	out=$(mktemp)
	trap 'rm -f "$out"' EXIT
	line=$name
	for how in -I -isystem; do
		for c in gcc clang g++; do
			cell=
			for level in 0 1 2; do
				case $cell in
				E*) cell+=E ;;
				*) cell+=$(say $c $level $how "$file" -DMISTAKE) ;;
				esac
				if [ $c$how = gcc-I ] && [ $level = 2 ]; then
					text=$(sed -n 's|^/\* says: \(.*\) \*/$|\1|p' "$file")
					[ -z "$text" ] || says "$text"
				fi
			done
			line+=" $cell"
			if [ "$(say $c 2 $how "$file")" != . ]; then
				echo "wrong $name: $c $how does not like the right way"
				sed 's/^/	/' "$out" | head -n 5
			fi
		done
	done
	echo "row $line"
}

if [ "${1-}" = --row ]; then
	row "$2"
	exit 0
fi
update=
if [ "${1-}" = --update ]; then
	update=yes
	shift
fi
if [ $# -gt 0 ]; then
	names=("$@")
else
	mapfile -t names < <(cd "$here/mistakes" && printf '%s\n' ./*.c |
		sed 's|^\./||; s|\.c$||' | LC_ALL=C sort)
fi
result=$(mktemp)
trap 'rm -f "$result"' EXIT
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -n 1 "$0" --row > "$result"

if [ -n "$update" ]; then
	{
		echo '# mistake gcc clang g++ with -I; gcc clang g++ with -isystem'
		echo '# levels: none, -Wall -Wextra -Wconversion, stoa::strict'
		sed -n 's/^row //p' "$result" | LC_ALL=C sort | awk \
			'{ printf "%-18s %s %s %s   %s %s %s\n", $1, $2, $3, $4, $5, $6, $7 }'
	} > "$expected"
fi
status=0
for name in "${names[@]}"; do
	want=$(awk -v n="$name" '$1 == n { $1 = $1; print }' "$expected")
	got=$(awk -v n="$name" '$1 == "row" && $2 == n { sub(/^row /, ""); print }' "$result")
	wrong=$(sed -n "s/^wrong $name: //p" "$result" | tr '\n' ';')
	if [ "$want" = "$got" ] && [ -z "$wrong" ]; then
		echo "ok compile/mistakes/$name"
	else
		echo "FAILED compile/mistakes/$name: ${wrong:-expected [$want], got [$got]}"
		status=1
	fi
done
grep "^	" "$result" || true
exit $status
