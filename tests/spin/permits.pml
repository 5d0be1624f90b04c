/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Permits: src/sync/permits.c over roll.c. What each has stands in its own lane; who
 * wants one takes the object's lock and sums up. The lock is one guarded store here
 * (lock.pml proves it); its dead owner is recovered by whoever wants it.
 *
 * Threads 0 and 1 take the only one and give it back; so does thread 2 with THREE, or
 * it looks for the dead. Any of them dies anywhere.
 *
 *	exclusion            never more inside than TOTAL, the dead until undone
 *	no wake-up is lost   nobody sleeps beside a free one, unless a dead one owes
 *	                     the wake-up, or was seen dying: then the sleep is short
 *	progress             few ticks, and none without a death
 *
 * Broken on purpose: GIVEN_LATE, ONE_LOOK, UNLOCKED, NO_WATCH.
 */
#define TOTAL 1

#define UNDO(s) undo(s)
#include "slot.pml"

byte mutex;       /* owner + 1 */
byte seq;         /* counts modulo 16 */
bool sleepers;    /* bit 0 of the word */
bool listed[N];   /* the lane has an entry: owes as waiting[] does */
bool has[N];
byte inside;      /* no part of the protocol */
bool brief[N];    /* sleeps as one is dying: ticks of 100 us */

#define TAKEN     (has[0] + has[1] + has[2])
#define LISTS(s)  (token[s] == DEAD && listed[s])
#define FREE_ONE  (TAKEN < TOTAL)

inline undo(s) {
	atomic { if :: mutex == s + 1 -> mutex = 0 :: else fi }
	if :: listed[s] -> wake_all_word() :: else fi;
	atomic {
		if :: has[s] -> inside-- :: else fi;
		has[s] = false;
		listed[s] = false
	}
	wake_all_word()
}

inline lock() {
	do
	:: atomic { mutex == 0 -> mutex = p + 1 } break
	:: mutex != 0 && mutex != p + 1 && token[mutex - 1] == DEAD ->
		o = mutex - 1;
		if :: o < N -> recover(o) :: else fi
	od
}

/*
 * The dead are recovered, where that can be; then the sum. It may be less by now, as
 * giving needs no lock, and never more. watch: one who has some, + 1.
 */
inline sum() {
	i = 0;
	do
	:: i < N ->
		if
		:: listed[i] && token[i] == DEAD -> recover(i)
		:: else
		fi;
		i++
	:: else -> break
	od;
	atomic {
		i = 0;
		taken = TAKEN;
		watch = (has[2] -> 3 : (has[1] -> 2 : (has[0] -> 1 : 0)));
		dying = LISTS(0) || LISTS(1) || LISTS(2)
	}
}

inline look() {
	sum();
	if
	:: taken < TOTAL ->
		atomic {
			has[p] = true;
			inside++;
			assert(inside <= TOTAL)
		}
	:: else
	fi
}

inline snooze() {
	o = watch - 1;
	if
	:: dying || watch == 0 ->
		atomic {
			if
			:: seq == seen && sleepers -> asleep[p] = 1; brief[p] = dying
			:: else
			fi
		}
	:: else ->
		atomic {
			if
			:: token[o] == TID && seq == seen && sleepers ->
#ifdef NO_WATCH
				asleep[p] = 1
#else
				waiters[o] = true;
				by_token[p] = false;
				asleep[p] = 2 + o
#endif
			:: else
			fi
		}
	fi;
	if
	:: asleep[p] == 0 ->
		if :: by_token[p] -> by_token[p] = false; wake_all_token(o) :: else fi
	:: timeout ->
		assert(brief[p] || !FREE_ONE || OWED || LISTS(0) || LISTS(1) || LISTS(2));
		/* whom one waits for is dead, and the kernel has said so */
		assert(brief[p] || watch == 0 || token[watch - 1] != DEAD);
		if
		:: atomic { !FREE_ONE && ended[0] + ended[1] + ended[2] == N - 1 && BURIED -> goto over }
		:: else -> tick()
		fi
	fi;
	atomic { brief[p] = false; dying = false; watch = 0; taken = 0; seen = 0; o = 0 }
}

inline take() {
	listed[p] = true;
	do
	:: true ->
#ifndef UNLOCKED
		lock();
#endif
		look();
		if
		:: has[p]
		:: else ->
			atomic { sleepers = true; seen = seq }
#ifndef ONE_LOOK
			again = true;
#endif
		fi;
		if
		:: again -> look(); again = false
		:: else
		fi;
		atomic { if :: mutex == p + 1 -> mutex = 0 :: else fi };
		if
		:: has[p] -> d_step { dying = false; watch = 0; taken = 0; seen = 0; o = 0 } break
		:: else -> owe(); snooze()
		fi
	od;
	waiting[p] = false
}

inline notify() {
	do
	:: atomic { sleepers -> owe(); seen = seq }
		got = waiting[(p + 1) % N] || waiting[(p + 2) % N];
		atomic {
			if
			:: sleepers && seq == seen ->
				seq = (seq + 1) % 16;
				sleepers = got;
				goto told
			:: else
			fi
		}
	:: atomic { !sleepers -> goto done }
	od;
told:	if :: got -> wake_one_word() :: else -> wake_all_word() fi;
done:	atomic { waiting[p] = false; seen = 0; got = false }
}

inline give() {
#ifdef GIVEN_LATE
	notify();
	atomic { has[p] = false; inside-- }
#else
	atomic { has[p] = false; inside-- }
	notify();
#endif
	listed[p] = false
}

proctype thread(byte p) {
	byte o, i, taken, watch, seen;
	bool got, dying, again;

	{
		if
#ifndef THREE
		:: p == 2 -> sweep()
		:: p != 2 ->
#else
		:: true ->
#endif
			take(); give()
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
