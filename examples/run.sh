#!/bin/bash
# SPDX-License-Identifier: BSL-1.0
# Runs the examples and compares what they print with what they should.
#
#   examples/run.sh BUILD-FOLDER [--update] [NAME...]
#   examples/run.sh PROGRAM      the session of that name alone
#
# expected/NAME.txt is a session: lines that begin with "$ " are run by the shell,
# the lines after them are what comes out, errors included; "[N]" is an exit status
# that is not 0. Each session has a folder and a STOA_DIRECTORY of its own. A line
# with ~ in it matches whatever stands there.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${1:?usage: examples/run.sh BUILD-FOLDER [--update] [NAME...] | PROGRAM}
shift
update=
if [ "${1-}" = --update ]; then
	update=1
	shift
fi
if [ -f "$build" ]; then
	set -- "$build"
	build=$(dirname "$build")
fi
build=$(cd "$build" && pwd) || exit 2
PATH=$build:$build/bin:$build/examples:$build/examples/wordcount:$PATH

work=$(mktemp -d /dev/shm/stoa-examples-XXXXXX) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# stdin: a session; stdout: the same with what really came out
replay() {
	local line status
	while IFS= read -r line; do
		[ "${line:0:2}" = '$ ' ] || continue
		printf '%s\n' "$line"
		timeout 60 bash -c "${line:2}" </dev/null 2>&1
		status=$?
		[ $status = 0 ] || printf '[%d]\n' $status
	done
}

# both files equal, ~ in the first being anything
same() {
	local want got
	exec 3<"$1" 4<"$2"
	while IFS= read -r want <&3; do
		IFS= read -r got <&4 || return 1
		[ "$want" = "$got" ] && continue
		case $want in *"~"*) ;; *) return 1 ;; esac
		[ "${want:0:2}" = '$ ' ] && return 1
		want=$(printf '%s' "$want" | sed 's/[][*?\\]/\\&/g; s/~/*/g')
		# shellcheck disable=SC2053 # a pattern is wanted
		[[ $got == $want ]] || return 1
	done
	! IFS= read -r got <&4
}

passed=0 failed=0
[ $# -gt 0 ] || set -- "$here"/expected/*.txt
for name in "$@"; do
	name=$(basename "$name" .txt)
	session=$here/expected/$name.txt
	mkdir -p "$work/$name/segments"
	(cd "$work/$name" && STOA_DIRECTORY=$PWD/segments replay <"$session" >"$work/$name.out")
	if same "$session" "$work/$name.out"; then
		passed=$((passed + 1))
	elif [ -n "$update" ]; then
		cp "$work/$name.out" "$session"
		echo "$name: updated"
	else
		failed=$((failed + 1))
		echo "$name: not what is expected (-) but (+)"
		diff -u "$session" "$work/$name.out" | tail -n +3
	fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
