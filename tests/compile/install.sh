#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
#
# The five minutes of README.md, followed to the letter: install into a prefix,
# take the program from the README, compile it by pkg-config, run it; the same by
# CMake's find_package, by add_subdirectory, as C++, and statically.  Needs
# build/release.  Prints `ok NAME` or `FAILED NAME`.
# shellcheck disable=SC2317,SC2020 # functions are called by try
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
segments=$(mktemp -d /dev/shm/stoa-install-XXXXXX)
trap 'rm -rf "$work" "$segments"' EXIT
export STOA_DIRECTORY=$segments
prefix=$work/prefix
failed=0

try() # NAME command...
{
	local name=$1
	shift
	if "$@" > "$work/log" 2>&1; then
		echo "ok install/$name"
	else
		echo "FAILED install/$name: $*"
		tail -n 15 "$work/log" | sed 's/^/	/'
		failed=1
	fi
}

says() # text command...: prints exactly that
{
	local want=$1 got
	shift
	got=$("$@")
	[ "$got" = "$want" ] || { echo "expected: $want"; echo "got: $got"; return 1; }
}

try cmake cmake --install "$root/build/release" --prefix "$prefix"
pc=$(find "$prefix" -name stoa.pc)
export PKG_CONFIG_PATH=${pc%/*}
# moved after it was installed: stoa.pc finds its own place
mv "$prefix" "$work/moved"
prefix=$work/moved
PKG_CONFIG_PATH=$prefix${PKG_CONFIG_PATH#"$work/prefix"}

# The first C block of the README is a program.
awk '/^```c$/ { on = 1; next } /^```$/ { if (on) exit } on' \
	"$root/README.md" > "$work/hello.c"
try readme-program-is-short test "$(wc -l < "$work/hello.c")" -le 40
# ... and the same as the first example, below its head.
readme_is_example()
{
	sed 1,2d "$root/examples/01-hello.c" | diff - "$work/hello.c"
}
try readme-program-is-example readme_is_example
read -ra flags <<< "$(pkg-config --cflags --libs stoa)"
read -ra strict <<< "$(pkg-config --variable=strict stoa)"
libdir=$(pkg-config --variable=libdir stoa)
try pkg-config gcc -O2 -Wall -Wextra -Wconversion -Werror "${strict[@]}" \
	"$work/hello.c" "${flags[@]}" "-Wl,-rpath,$libdir" -o "$work/hello"
# strict makes errors of what is a warning without
sed 's/stoa_edit(tx, greeting, g)/g/' "$work/hello.c" > "$work/mistake.c"
strict_refuses() # compiler variable
{
	local -a more

	read -ra more <<< "$(pkg-config --variable="$2" stoa)"
	"$1" -w -c "$work/mistake.c" "${flags[@]}" -o "$work/mistake.o" &&
		! "$1" -c "$work/mistake.c" "${more[@]}" "${flags[@]}" \
			-o "$work/mistake.o"
}
try strict strict_refuses gcc strict
try strict-clang strict_refuses clang strict_clang
try run says "visit 1, after ''" "$work/hello" ann
try run-again says "visit 2, after 'ann'" "$work/hello" bob
read -ra cflags <<< "$(pkg-config --cflags stoa)"
try static gcc -O2 "$work/hello.c" "${cflags[@]}" "$libdir/libstoa.a" \
	-o "$work/hello-static"
try run-static says "visit 3, after 'bob'" "$work/hello-static" eve

printf '#include <stoa/explore.h>\nint main(void) { return sizeof(&stoa_explore_run) != 8; }\n' \
	> "$work/explore.c"
read -ra explore <<< "$(pkg-config --cflags --libs stoa-explore)"
try explore gcc "$work/explore.c" "${explore[@]}" "-Wl,-rpath,$libdir" \
	-o "$work/explore"
try run-explore "$work/explore"

mkdir "$work/user"
cp "$work/hello.c" "$work/user/hello.c"
cat > "$work/user/hello.cc" <<'END'
#include <cstdio>
#include <stoa/stoa.h>

int main()
{
	STOA_CLEANUP(stoa_segment) seg = nullptr;
	const uint64_t *n = nullptr;

	if (stoa_segment_open("count", STOA_CREATE, nullptr, &seg)
		|| stoa_object_open(seg, "n", uint64_t, &n)
		|| STOA_DO(tx, seg, STOA_ADD(tx, *n, 1)))
		return 1;
	std::printf("%llu\n", (unsigned long long)*n);
	return 0;
}
END
cat > "$work/user/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES C CXX)
if(STOA_SOURCE)
	add_subdirectory(${STOA_SOURCE} stoa)
else()
	find_package(stoa 0.1 REQUIRED)
endif()
add_executable(hello hello.c)
target_link_libraries(hello PRIVATE stoa::stoa stoa::strict)
add_executable(hello-cxx hello.cc)
set_target_properties(hello-cxx PROPERTIES CXX_STANDARD 17)
target_link_libraries(hello-cxx PRIVATE stoa::static stoa::strict)
END
by_cmake() # folder arguments...
{
	local folder=$work/$1
	shift
	cmake -S "$work/user" -B "$folder" "$@" && cmake --build "$folder"
}
try find-package by_cmake found -DCMAKE_PREFIX_PATH="$prefix"
try run-find-package says "visit 4, after 'eve'" "$work/found/hello" x
try run-c++ says 1 "$work/found/hello-cxx"
try add-subdirectory by_cmake sub -DSTOA_SOURCE="$root"
try run-add-subdirectory says 2 "$work/sub/hello-cxx"

# What the shared library exports: public names, and the explorer's few.
exported()
{
	nm -D --defined-only "$libdir/libstoa.so" |
		awk '$2 != "A" && $3 !~ /^stoa_/ && $3 !~ /^stoai_explore_/ {
			print "exported: " $3
			bad = 1
		}
		END { exit bad }'
}
try exports exported
declared() # every public function of the headers is there, but those that are inline
{
	local name status=0

	nm -D --defined-only "$libdir/libstoa.so" "$libdir/libstoa-explore.so" |
		awk '{ print $3 }' | sed 's/@.*//' > "$work/names"
	printf '#include <stoa/stoa.h>\n#include <stoa/explore.h>\n#include <stoa/detail/core.h>\n' |
		gcc -I "$prefix/include" -E -P -x c - | tr '\n' ' ' |
		tr ';{}' '\n\n\n' > "$work/declarations"
	grep 'static inline' "$work/declarations" |
		grep -oE '\bstoa_[a-z0-9_]+ ?\(' | tr -d ' (' >> "$work/names"
	while read -r name; do
		grep -qx "$name" "$work/names" || {
			echo "declared and not there: $name"
			status=1
		}
	done < <(grep -v 'static inline\|typedef' "$work/declarations" |
		grep -oE '\bstoa_[a-z0-9_]+ ?\(([^*]|$)' |
		sed 's/[ (].*//' | LC_ALL=C sort -u)
	return "$status"
}
try declared declared
man_pages()
{
	local name

	for name in stoa.7 stoa_tx.7 stoa_segment_open.3; do
		[ -n "$(find "$prefix" -name "$name")" ] || { echo "no $name"; return 1; }
	done
}
try man man_pages
# The command is built where its libraries are.
if [ -e "$root/build/release/tools/stoa/stoa" ]; then
	try command test -e "$(find "$prefix" -name stoa.1)"
	try run-command "$prefix/bin/stoa" info hello
	try completion bash -c "source '$prefix/share/bash-completion/completions/stoa'"
else
	echo "install/command: no command stoa was built"
fi
exit $failed
