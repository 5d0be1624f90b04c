/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The barrier: src/sync/barrier.c over roll.c. Who is a member, and who is there,
 * stands in the lanes; all is under the object's lock, which is one guarded store here
 * (lock.pml proves it); its dead owner is recovered by whoever wants it.
 *
 * Three members; 0 and 1 wait, twice with ROUNDS=2; thread 2 leaves at once, or,
 * without LEAVER, does so too, and looks for the dead. Any of them dies anywhere.
 *
 *	nobody goes on before all members are there, have left or are dead
 *	no wake-up is lost   nobody sleeps in a phase that is over, or when all are
 *	                     there, unless a dead one owes the wake-up, or was seen dying
 *	progress             few ticks, and none without a death
 *
 * Broken on purpose: NOT_OWED, NO_WAKE, NO_WATCH.
 */
#ifndef ROUNDS
 #define ROUNDS 1
#endif
#define GONE 9

#define UNDO(s) undo(s)
#include "slot.pml"

byte mutex;        /* owner + 1 */
byte phase;
byte mark[N];      /* the entry: 0 none; 1: a member; 2 + phase: there */
byte round[N];     /* no part of the protocol: has arrived so often */
bool brief[N];     /* sleeps as one is dying: ticks of 100 us */

#define MISSES(s)  (mark[s] != 0 && mark[s] != 2 + phase)
#define LISTS(s)   (token[s] == DEAD && mark[s] != 0)
#define HERE(s)    (round[s] >= n || dies[s])
#define ALL_THERE  (!MISSES(0) && !MISSES(1) && !MISSES(2))

inline undo(s) {
	atomic { if :: mutex == s + 1 -> mutex = 0 :: else fi }
	if :: mark[s] != 0 -> wake_all_word() :: else fi;
	mark[s] = 0;
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

inline unlock() {
	atomic { if :: mutex == p + 1 -> mutex = 0 :: else fi }
}

/* Is everybody there? Then the next phase. missing: who is not, + 1; the first one. */
inline move_on() {
	i = 0;
	do
	:: i < N ->
		if :: LISTS(i) -> recover(i) :: else fi;
		i++
	:: else -> break
	od;
	atomic {
		i = 0;
		moved = ALL_THERE;
		missing = (MISSES(0) -> 1 : (MISSES(1) -> 2 : (MISSES(2) -> 3 : 0)));
		dying = LISTS(0) || LISTS(1) || LISTS(2)
	}
	if
	:: moved -> phase++
	:: else
	fi
}

inline told() {
	unlock();
#ifndef NO_WAKE
	if :: moved -> wake_all_word() :: else fi;
#endif
	waiting[p] = false
}

inline snooze() {
	o = missing - 1;
	atomic {
		if
		:: dying -> if :: phase == mine -> asleep[p] = 1; brief[p] = true :: else fi
		:: !dying && token[o] == TID && phase == mine ->
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
	if
	:: asleep[p] == 0 ->
		if :: by_token[p] -> by_token[p] = false; wake_all_token(o) :: else fi
	:: timeout ->
		assert(brief[p] || (phase == mine && !ALL_THERE) || OWED ||
			LISTS(0) || LISTS(1) || LISTS(2));
		/* whom one waits for is dead, and the kernel has said so */
		assert(brief[p] || token[missing - 1] != DEAD);
		tick()
	fi;
	atomic { brief[p] = false; missing = 0; o = 0; dying = false }
}

inline wait() {
	round[p] = n;
	lock();
	atomic { mine = phase; mark[p] = 2 + phase }
	do
	:: phase != mine -> unlock(); break
	:: else ->
		move_on();
		told();
		if
		:: moved -> moved = false; break
		:: else -> owe(); snooze();
			if :: phase != mine -> break :: else -> lock() fi
		fi
	od;
	waiting[p] = false;
	assert(HERE(0) && HERE(1) && HERE(2));
	mine = 0
}

inline leave() {
	round[p] = GONE;
	lock();
	owe();
	mark[p] = 0;
	move_on();
	told();
	moved = false
}

proctype thread(byte p) {
	byte o, i, n, mine, missing;
	bool got, dying, moved;

	{
		if
		:: p == 2 -> leave()
#ifdef LEAVER
		:: p != 2 ->
#else
		:: true ->
#endif
			n = 1;
			do
			:: n <= ROUNDS -> wait(); n++
			:: else -> break
			od
		fi;
		n = 0;
		if :: p == 2 -> sweep() :: p != 2 fi;
		ended[p] = true
	} unless {
		dies[p] -> bury()
	}
}

init {
	byte n;

	atomic {
		mark[0] = 1; mark[1] = 1; mark[2] = 1;
		attach();
		run thread(0); run thread(1); run thread(2)
	}
}
