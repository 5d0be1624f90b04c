#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
#
# The crash suite in the code of every compiler and optimizer: gcc and clang, each
# at -O0 (assertions on), -O2, -O3, and -O2 -flto (link-time optimization).
#
#	matrix.sh [--whole] [--only WORD] [NAME...]
#
# Without names: all programs of this folder.  --whole: recovery is stepped for
# every image; without, for every fourth.  --only: those combinations whose name
# has the word in it (gcc, O3, 'clang -O2 -flto').  Builds in
# build/crash-<compiler>-<level>.  One line a program and combination:
# `ok crash/NAME (clang -O3, N s)` or `FAILED crash/NAME (...): why`.
#
# Why: protocols rely on stores that no reader in the program is seen to need.  A
# compiler that removes or reorders one makes an image that only its code has.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
sample=(-q)
only=
names=()

while [ $# -gt 0 ]; do
	case $1 in
	--whole) sample=() ;;
	--only)
		only=${2:?--only wants a word}
		shift
		;;
	-*)
		echo "usage: matrix.sh [--whole] [--only WORD] [NAME...]" >&2
		exit 2
		;;
	*) names+=("$1") ;;
	esac
	shift
done
if [ ${#names[@]} = 0 ]; then
	for source in "$here"/*.c; do
		names+=("$(basename "$source" .c)")
	done
fi
status=0

# What an archive of code that is not yet compiled to the end needs.
link_time() # compiler
{
	case $1 in
	gcc) echo "-DCMAKE_AR=$(command -v gcc-ar)" \
		"-DCMAKE_RANLIB=$(command -v gcc-ranlib)" ;;
	clang) echo "-DCMAKE_AR=$(command -v llvm-ar)" \
		"-DCMAKE_RANLIB=$(command -v llvm-ranlib)" \
		-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld ;;
	esac
}

build() # directory compiler flags
{
	local more=() targets=() name
	case $3 in
	*-flto*) read -ra more <<< "$(link_time "$2")" ;;
	esac
	for name in "${names[@]}"; do
		targets+=(--target "crash-$name")
	done
	cmake -S "$root" -B "$1" -DSTOA_WERROR=ON -DSTOA_EXAMPLES=OFF \
		-DSTOA_BENCH=OFF -DSTOA_MAN=OFF -DCMAKE_BUILD_TYPE=Matrix \
		-DCMAKE_C_COMPILER="$2" -DCMAKE_C_FLAGS_MATRIX="$3" "${more[@]}" &&
		cmake --build "$1" --parallel "$(nproc)" "${targets[@]}"
}

run() # directory name what
{
	local log=$1/$2.log began=$SECONDS flags=("${sample[@]}")
	[ "$2" != explorer ] || flags=() # no table of cases
	if "$1/tests/crash-$2" "${flags[@]}" > "$log" 2>&1; then
		echo "ok crash/$2 ($3, $((SECONDS - began)) s)"
	else
		echo "FAILED crash/$2 ($3): see $log"
		grep -A 4 -e '| *[1-9][0-9]* | *[0-9.]* s' -e ': not explored' \
			-e 'ended$' -e ERROR "$log" | head -n 30 || tail "$log"
		status=1
	fi
}

combination() # compiler flags
{
	local what="$1 ${2%% -g*}" dir
	dir=$root/build/crash-${what//[ =]/}
	case $what in
	*"$only"*) ;;
	*) return 0 ;;
	esac
	mkdir -p "$dir"
	if ! build "$dir" "$1" "$2" > "$dir/build.log" 2>&1; then
		echo "FAILED crash/build ($what): see $dir/build.log"
		grep -E '(error|warning): |undefined reference|CMake Error' -A 3 \
			"$dir/build.log" | head -n 30
		status=1
		return 0
	fi
	for name in "${names[@]}"; do
		run "$dir" "$name" "$what"
	done
}

for compiler in gcc clang; do
	for flags in "-O0 -g" "-O2 -g -DNDEBUG" "-O3 -g -DNDEBUG" \
		"-O2 -flto -g -DNDEBUG"; do
		combination $compiler "$flags"
	done
done
exit $status
