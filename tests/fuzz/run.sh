#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
#
# Fuzz.  Needs `cmake --build build/clang --target fuzz`.
#
#	run.sh [SECONDS] [TARGET...]
#
# SECONDS in all (default 20), shared by the targets (default: all).  Begins with the
# corpus beside this script; what is found goes to build/fuzz: inputs that reach new
# code, and crash-*, timeout-* to be given to the target as its argument.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
seconds=${1:-20}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- segment dump type str vec hashmap

status=0
for target; do
	program=$root/build/clang/tests/fuzz-$target
	found=$root/build/fuzz/$target
	log=$root/build/fuzz/$target.log
	mkdir -p "$found"
	# The seeds are made before the time begins to count, so a second at least.
	if [ -x "$program" ] && "$program" "$found" "$here/corpus/$target" \
		-max_total_time=$((seconds / $# + 1)) -timeout=20 \
		-rss_limit_mb=4096 -max_len=1024 \
		-artifact_prefix="$root/build/fuzz/$target-" \
		> "$log" 2>&1; then
		echo "ok fuzz/$target ($(sed -n 's/^Done \([0-9]*\) runs.*/\1 inputs/p' "$log"))"
	else
		[ ! -e "$log" ] || tail -n 40 "$log"
		echo "FAILED fuzz/$target"
		status=1
	fi
done
exit $status
