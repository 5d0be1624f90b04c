#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
#
# The C code of the documentation compiles: in a chapter, all ```c blocks together,
# from top to bottom, are one file.  So do the EXAMPLES of the manual pages that
# are whole programs.  Prints `ok NAME` or `FAILED NAME: why`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0
compile() # name, C file
{
	local messages

	# A chapter shows functions that nobody calls.
	if messages=$(gcc -std=c17 -D_GNU_SOURCE -Iinclude -Wall -Wextra \
		-Wconversion -Wno-unused-function -Werror -O1 -S -o /dev/null \
		"$2" 2>&1); then
		echo "ok compile/$1"
	else
		echo "FAILED compile/$1"
		printf '%s\n' "$messages" | head -n 10 | sed 's/^/	/'
		status=1
	fi
}

for chapter in doc/guide/*.md; do
	# Lines of prose become empty ones, so that line numbers stay right.
	awk '/^```c$/ { on = 1; print ""; next }
		/^```$/ { on = 0 }
		{ print on ? $0 : "" }' "$chapter" > "$scratch/chapter.c"
	grep -q '[^[:space:]]' "$scratch/chapter.c" || continue
	compile "$chapter" "$scratch/chapter.c"
done
for page in doc/man/*.[37]; do
	awk '/^\.Sh EXAMPLES/ { in_examples = 1 }
		/^\.Ed/ { on = 0 }
		on { gsub(/\\e/, "\\"); print }
		in_examples && /^\.Bd -literal/ { on = 1 }' "$page" \
		> "$scratch/page.c"
	if grep -q '^#include' "$scratch/page.c"; then
		compile "$page" "$scratch/page.c"
	fi
done
exit $status
