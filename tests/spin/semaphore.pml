/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Semaphores: src/sync/semaphore.c.
 *
 * Threads 0 and 1 take one each, and with LATE=true 0 may give up; thread 2 posts two at once, or
 * one, perhaps takes it back, and posts one again; then it looks for the dead. Any of
 * them dies anywhere.
 *
 *	no wake-up is lost   nobody sleeps beside a count, unless a dead one owes the
 *	                     wake-up
 *	progress             few ticks, and none without a death
 *
 * Broken on purpose: NOT_OWED, NO_REPLAY, WAKE_FIRST, SLEPT_FORGOTTEN, NOT_HANDED_ON,
 * LEFT_SILENTLY.
 */
#include "slot.pml"

#ifndef LATE
 #define LATE false
#endif

byte count;
bool sleepers;

inline post(k) {
	atomic {
		got = sleepers;
		if :: got -> owe() :: else fi
	}
#ifdef WAKE_FIRST
	if :: got -> wake_all_word() :: else fi;
#endif
	do
	:: atomic { sleepers == got -> count = count + k; sleepers = false } break
	:: atomic { sleepers && !got -> got = true; owe() }
	:: atomic { !sleepers && got -> got = false }
	od;
#ifndef WAKE_FIRST
	if
	:: got ->
		wake_one_word();
		if :: k == 2 -> wake_one_word() :: else fi
	:: else
	fi;
#endif
	waiting[p] = false
}

inline take() {
	do
	:: atomic {
		count > 0 ->
			count--;
			sleepers = sleepers || slept;
			got = slept && count > 0
	   }
#ifndef NOT_HANDED_ON
		if :: got -> wake_one_word() :: else fi;
#endif
		break
	:: count == 0 ->
		owe();
#ifdef LEFT_SILENTLY
		if :: late -> break :: else fi;
#endif
		atomic { if :: count == 0 -> sleepers = true :: else -> goto again fi }
		if :: late -> break :: else fi;
		atomic {
			if
			:: count == 0 && sleepers -> asleep[p] = 1
			:: else -> goto again
			fi
		}
#ifndef SLEPT_FORGOTTEN
		slept = true;
#endif
		if
		:: asleep[p] == 0
		/* a deadline, which may come together with a wake-up */
		:: atomic { p == 0 && LATE -> asleep[p] = 0; late = true }
		:: timeout ->
			assert(count == 0 || OWED);
			/* nothing will ever come: as if it were killed */
			if
			:: atomic { count == 0 && ended[2] && BURIED -> goto over }
			:: else -> tick()
			fi
		fi;
again:		skip
	od;
	waiting[p] = false
}

proctype thread(byte p) {
	byte i;
	bool got, slept, late;

	{
		if
		:: p < 2 -> take()
		:: p == 2 ->
			if
			:: post(2)
			:: post(1);
				if
				:: atomic { count > 0 -> count-- }
				:: true
				fi;
				post(1)
			fi;
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
