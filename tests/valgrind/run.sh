#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
#
# The unit and prop tests under valgrind's memcheck: no byte is read that nobody
# wrote, no private block is left or used after it was given back.
#
#	run.sh [NAME...]        unit-test_lock, ...; without: all
#
# Builds in build/valgrind, with 4 GiB of address space for a segment instead of 64,
# which valgrind does not have.  What a test cannot do there it says, with the reason
# (scene_valgrind_cannot).  Children are watched as well, also those that are killed
# before they could tell: every process writes a log of its own.  One line a
# program: `ok valgrind/NAME (N s)` or `FAILED valgrind/NAME: why`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$root/build/valgrind
# Of the random tests: as many as make memory run out in the one where it must.
export STOA_STEPS=${STOA_STEPS:-1500}
export STOA_VALGRIND=1

if ! command -v valgrind > /dev/null; then
	echo "FAILED valgrind: it is not installed (script/bootstrap)"
	exit 1
fi
ninja=()
if [ ! -e "$build/CMakeCache.txt" ] && command -v ninja > /dev/null; then
	ninja=(-G Ninja)
fi
mkdir -p "$root/build"
if ! (cd "$root" &&
	cmake --preset dev -B "$build" "${ninja[@]}" \
		-DCMAKE_C_FLAGS_DEBUG="-Og -g -DSTOA_LIMIT_SHIFT=32" \
		-DSTOA_BENCH=OFF -DSTOA_EXAMPLES=OFF -DSTOA_TOOLS=OFF &&
	cmake --build "$build" --parallel "$(nproc)" --target suite-unit suite-prop) \
	> "$root/build/valgrind.log" 2>&1; then
	grep -E '(error|warning): |CMake Error' -A 3 "$root/build/valgrind.log" |
		head -n 40 || true
	echo "FAILED build/valgrind: the whole log: $root/build/valgrind.log"
	exit 1
fi

logs=$(mktemp -d)
export logs build
trap 'rm -rf "$logs"' EXIT

one() # NAME
{
	local name=$1 log=$logs/$1 began=$SECONDS status=0 why=""

	timeout 200 valgrind --quiet --leak-check=no --error-exitcode=99 \
		--log-file="$log.%p.vg" "$build/tests/$name" \
		> "$log.out" 2>&1 || status=$?
	# A child that dies on purpose is told of too, and is no error.
	if grep -lE '^==[0-9]+== (Invalid|Conditional|Use of|Syscall param|Argument|Mismatched|Source and|Jump to|Process terminating with default action of signal (4|8))' \
		"$log".*.vg > "$log.errors"; then
		why="memcheck has found something"
	elif [ "$status" != 0 ]; then
		why="status $status"
	fi
	grep -A 1 '^\*\*\*\*\*\*\*\* SKIPPED' "$log.out" || true
	if [ -z "$why" ]; then
		echo "ok valgrind/$name ($((SECONDS - began)) s)"
		return
	fi
	echo "FAILED valgrind/$name: $why"
	xargs -r cat < "$log.errors" | head -n 60
	grep -vE '^\[ +(RUN|OK) ' "$log.out" | tail -n 30
}
export -f one

names=("$@")
if [ ${#names[@]} = 0 ]; then # the longest first
	mapfile -t names < <(cd "$build/tests" &&
		printf '%s\n' prop-test_containers unit-test_object_damage \
			unit-test_slot_damage unit-test_type \
			unit-test_* prop-test_* | awk '!seen[$0]++')
fi
# Each prints in one piece.
# shellcheck disable=SC2016 # the inner shell expands it
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -I '{}' \
	bash -c 'set -eu; text=$(one "$1"); printf "%s\n" "$text"' one '{}' |
	tee "$logs/all"
! grep -q '^FAILED ' "$logs/all"
