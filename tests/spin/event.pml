/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Events: src/sync/event.c.
 *
 * Thread 0 takes, thread 1 takes or waits, thread 2 sets twice and looks for the dead;
 * with RESET it resets in between. Any of them dies anywhere.
 *
 *	no wake-up is lost   nobody sleeps in take beside an event that is set, or in
 *	                     wait after it was set, unless a dead one owes the wake-up
 *	progress             few ticks, and none without a death
 *
 * Broken on purpose: NOT_OWED, NO_REPLAY, SLEPT_FORGOTTEN, ONE_WOKEN, NOT_COUNTED.
 */
#include "slot.pml"

bool set, takers, waiters_bit;
byte count;
byte slept_at[N]; /* the count when it first slept in wait, + 1; 0: it did not */

inline event_set() {
	do
	:: atomic {
		got = takers || waiters_bit;
		if :: got && !set -> owe() :: else fi
	   }
		atomic {
			if
			:: set -> got = false; goto done
			:: !set && got == (takers || waiters_bit) ->
				set = true;
				count++;
				got = takers && !waiters_bit;
				all = waiters_bit;
				takers = false;
				waiters_bit = false;
				goto wake
			:: else
			fi
		}
	od;
wake:
#ifdef ONE_WOKEN
	if :: got || all -> wake_one_word() :: else fi;
#else
	if :: got -> wake_one_word() :: else fi;
	if :: all -> wake_all_word() :: else fi;
#endif
done:	waiting[p] = false
}

inline take() {
	do
	:: atomic { set -> set = false; takers = takers || slept } break
	:: !set ->
		owe();
		atomic { if :: !set -> takers = true :: else -> goto again fi }
		atomic {
			if
			:: !set && takers -> asleep[p] = 1
			:: else -> goto again
			fi
		}
#ifndef SLEPT_FORGOTTEN
		slept = true;
#endif
		if
		:: asleep[p] == 0
		:: timeout ->
			assert(!set || OWED);
			if
			:: atomic { !set && ended[2] && BURIED -> goto over }
			:: else -> tick()
			fi
		fi;
again:		skip
	od;
	waiting[p] = false
}

#ifdef NOT_COUNTED
 #define AS_SEEN true
#else
 #define AS_SEEN (count == first)
#endif

inline wait() {
	first = count;
	do
	:: set || !AS_SEEN -> break
	:: !set && AS_SEEN ->
		owe();
		atomic { if :: !set && AS_SEEN -> waiters_bit = true :: else -> goto more fi }
		atomic {
			if
			:: !set && waiters_bit && AS_SEEN ->
				asleep[p] = 1;
				slept_at[p] = (slept_at[p] -> slept_at[p] : count + 1)
			:: else -> goto more
			fi
		}
		if
		:: asleep[p] == 0
		:: timeout ->
			assert((!set && slept_at[p] == count + 1) || OWED);
			if
			:: atomic { !set && ended[2] && BURIED -> goto over }
			:: else -> tick()
			fi
		fi;
more:		skip
	od;
	slept_at[p] = 0;
	waiting[p] = false
}

proctype thread(byte p) {
	byte i, n, first;
	bool got, slept, all;

	{
		if
		:: p < 2 -> take()
		:: p == 1 -> wait()
		:: p == 2 ->
			do
			:: n < 2 ->
				event_set();
#ifdef RESET
				set = false;
#endif
				n++
			:: else -> break
			od;
			sweep()
		fi;
over:		ended[p] = true
	} unless {
		dies[p] -> bury()
	}
}

init {
	byte n;

	atomic {
		attach();
		run thread(0); run thread(1); run thread(2)
	}
}
