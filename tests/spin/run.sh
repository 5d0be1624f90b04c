#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
#
# The protocols in Promela, verified by spin, and broken on purpose.
#
#	run.sh [--deep]
#
# Prints `ok spin/NAME (states, s)` or `FAILED spin/NAME: why`.  --deep: bounds
# that take minutes too.  At most 2 GB of memory each, one a processor.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v spin > /dev/null; then
	echo "FAILED spin: spin is not installed (script/bootstrap)"
	exit 1
fi
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT
at_once=$(nproc)
[ "$at_once" -lt 4 ] || at_once=4 # of 2 GB each
begun=0

bad() # name: why
{
	echo "FAILED spin/$1"
	: > "$all/failed"
}

# Some at once, each in a directory of its own.
begin() # command...
{
	local work=$all/$begun
	begun=$((begun + 1))
	while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do
		wait -n || true
	done
	mkdir "$work"
	{
		"$@" || bad "$*: status $?"
		rm -rf "$work"
	} &
}

# Makes and runs the verifier of a model; its report is in $work/report.
verify() # model definition...
{
	local model=$1 definition how=(-DSAFETY) search=()
	shift
	for definition in "$@"; do
		if [ "$definition" = -DLIVE ]; then
			how=(-DNFAIR=3)
			search=(-a -f)
		fi
	done
	cd "$work"
	rm -f pan pan.* report ./*.trail
	spin -a "$@" "$here/$model.pml" > report 2>&1 || return 1
	cc "$optimise" -w -DCOLLAPSE -DMEMLIM=2000 "${how[@]}" -o pan pan.c || return 1
	./pan "${search[@]}" -m1000000 > report 2>&1 || return 1
	grep -q 'errors: ' report
}

states()
{
	sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$work/report"
}

complete()
{
	! grep -qE 'max search depth too small|out of memory|interrupted' \
		"$work/report"
}

it_holds() # name model definition...
{
	local name=$1 began=$SECONDS optimise=-O1
	shift
	if verify "$@" && complete && grep -q 'errors: 0' "$work/report"; then
		echo "ok spin/$name ($(states) states, $((SECONDS - began)) s)"
	else
		bad "$name: $(grep -m1 'pan:' "$work/report" ||
			tail -n 1 "$work/report")"
	fi
}

it_is_caught() # model definition...
{
	local name=$1 definition began=$SECONDS optimise=-O0 # found soon
	for definition in "${@:2}"; do
		name=$name-${definition#-D}
	done
	if verify "$@" && grep -qE 'errors: [1-9]' "$work/report"; then
		echo "ok spin/$name is caught ($(states) states, $((SECONDS - began)) s)"
	else
		bad "$name: it was not found"
	fi
}

holds()
{
	begin it_holds "$@"
}

broken()
{
	begin it_is_caught "$@"
}

holds lock lock
holds lock-ticks lock -DTHREADS=2 -DDEATHS=2 -DEARLY=2 -DLEAVE
holds lock-progress lock -DTHREADS=2 -DLIVE
for mistake in NO_WAITERS STORE_UNLOCK SLEPT_FORGOTTEN UNLISTED_EARLY \
	RELEASE_BEFORE_UNDO; do
	broken lock -D$mistake
done
broken lock -DBYTE_FIRST -DEARLY=1 -DLEAVE
broken lock -DNO_BYTE -DEARLY=1
broken lock -DNO_CONFIRM -DDEATHS=2

holds condition condition -DDEATHS=0 -DGIVES=2
holds condition-death condition -DTAKERS=1
for mistake in NO_REPLAY TICKET_LATE SETTLE_EARLY NO_WAKE UNDO_COMMITTED; do
	broken condition -D$mistake
done

holds rwlock rwlock -DDEATHS=0 -DWRITES=2
holds rwlock-death rwlock
for mistake in NO_SECOND_LOOK LISTED_LATE NOT_COUNTED NOT_TOLD; do
	broken rwlock -D$mistake
done
for mistake in BIT_LATE BITS_FIRST; do
	broken rwlock -D$mistake -DWRITES=2
done

holds semaphore semaphore
holds semaphore-late semaphore -DDEATHS=0 -DLATE=true
for mistake in NOT_OWED NO_REPLAY; do
	broken semaphore -D$mistake
done
for mistake in WAKE_FIRST SLEPT_FORGOTTEN NOT_HANDED_ON LEFT_SILENTLY; do
	broken semaphore -D$mistake -DLATE=true -DDEATHS=0
done

holds event event
holds event-reset event -DRESET -DDEATHS=0
for mistake in NOT_OWED NO_REPLAY; do
	broken event -D$mistake
done
broken event -DSLEPT_FORGOTTEN -DDEATHS=0
for mistake in ONE_WOKEN NOT_COUNTED; do
	broken event -D$mistake -DRESET -DDEATHS=0
done

holds permits permits
for mistake in GIVEN_LATE ONE_LOOK UNLOCKED; do
	broken permits -D$mistake -DDEATHS=0
done
broken permits -DNO_WATCH

holds barrier barrier -DDEATHS=0
holds barrier-death barrier -DLEAVER
for mistake in NOT_OWED NO_WAKE NO_WATCH; do
	broken barrier -D$mistake -DLEAVER
done

holds upgrade upgrade
for mistake in DOOR_OPEN DOOR_SILENT LET_GO NOT_TOLD; do
	broken upgrade -D$mistake -DDEATHS=0
done

if [ "${1-}" = --deep ]; then
	holds lock-deep lock -DTHREADS=3 -DDEATHS=2
	holds condition-deep condition
	holds rwlock-deep rwlock -DWRITES=2
	holds semaphore-deep semaphore -DLATE=true -DDEATHS=2
	holds permits-deep permits -DTHREE
	holds barrier-deep barrier
	holds upgrade-deep upgrade -DREADERS -DDEATHS=0
	holds event-deep event -DRESET
fi
wait
[ ! -e "$all/failed" ]
