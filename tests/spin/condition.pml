/* SPDX-License-Identifier: BSL-1.0 */
/*
 * A condition: src/sync/condition.c, with the log's part of a signal (tx/lane.c).
 * The mutex is one guarded store here (lock.pml proves it); its dead owner is
 * recovered by whoever wants it.
 *
 * Threads 0 and 1 (TAKERS) wait for a token and take it; thread 2 gives GIVES of them, one
 * a transaction, and then looks for the dead. Any thread dies anywhere.
 *
 *	no wake-up is lost   at the tick: only if somebody's death is not yet
 *	                     recovered, or there is no token to be had
 *	all of it or nothing   the tokens are as many as commits say
 *
 * Broken on purpose: NO_REPLAY, TICKET_LATE, SETTLE_EARLY, NO_WAKE,
 * UNDO_COMMITTED.
 */
#include "kernel.pml"

#ifndef GIVES
 #define GIVES 1
#endif

#ifndef TAKERS
 #define TAKERS 2
#endif

byte mutex;          /* owner + 1 */
byte tokens, committed;
byte seq;            /* counts modulo 16 */
bool sleepers;       /* bit 0 of the word */
bool woken[N];       /* in the slot: waits, or has not yet used its wake-up */
mtype = { OPEN, COMMITTED, SIGNALLED };
mtype state[N] = OPEN;
bool saved[N];       /* the log has the old value */
byte old[N];
bool gives[N];       /* the log has a signal */

inline mark() {
	atomic {
		if
		:: sleepers ->
			seq = (seq + 1) % 16;
			sleepers = woken[0] || woken[1] || woken[2]
		:: else
		fi
	}
}

inline recover(s) {
	byte_take(s, got);
	if
	:: got ->
		atomic {
			if
			:: token[s] == DEAD -> token[s] = TID; holder[s] = p + 1
			:: else -> got = false
			fi
		}
		if
		:: got ->
			atomic {
				LINK(p, s) = true;
				if
#ifdef UNDO_COMMITTED
				:: saved[s] ->
#else
				:: state[s] == OPEN && saved[s] ->
#endif
					tokens = old[s];
					saved[s] = false
				:: else
				fi
			}
			if
			:: state[s] == COMMITTED && gives[s] -> mark()
			:: else
			fi;
			if :: mutex == s + 1 -> mutex = 0 :: else fi;
			if
			:: state[s] != OPEN && gives[s] -> wake_one_word()
			:: else
			fi;
			atomic {
				saved[s] = false;
				gives[s] = false;
				state[s] = OPEN;
#ifndef NO_REPLAY
				if :: woken[s] -> wake_all_word() :: else fi;
#endif
				woken[s] = false
			}
			atomic {
				LINK(p, s) = false;
				token[s] = FREE;
				owner[s] = 0
			}
		:: else -> owner[s] = 0
		fi
	:: else
	fi
}

inline sweep() {
	i = 0;
	do
	:: i < N ->
		if :: token[i] == DEAD -> recover(i) :: else fi;
		i++
	:: else -> break
	od
}

inline lock() {
	do
	:: atomic { mutex == 0 -> mutex = p + 1 } break
	:: mutex != 0 && mutex != p + 1 && token[mutex - 1] == DEAD ->
		o = mutex - 1;
		if :: o < N -> recover(o) :: else fi
	od;
	assert(tokens == committed)
}

/* The old value first, then the change, both before the commit. */
inline change(by) {
	atomic { old[p] = tokens; saved[p] = true }
	tokens = tokens + by
}

inline take() {
	lock();
	do
	:: tokens > 0 -> break
	:: tokens == 0 ->
		woken[p] = true;
		atomic { seq = (seq + 1) % 16; sleepers = true; ticket = seq }
		mutex = 0;
#ifdef TICKET_LATE
		ticket = seq;
#endif
		atomic {
			if
			:: seq == ticket && sleepers -> asleep[p] = 1
			:: else -> goto awake
			fi
		}
		if
		:: asleep[p] == 0
		:: timeout ->
			assert(deaths > 0 || tokens == 0);
			assert(tokens == 0 || token[0] == DEAD ||
				token[1] == DEAD || token[2] == DEAD);
			asleep[p] = 0;
			sweep();
			/* nothing will ever come: as if it were killed */
			if
			:: ended[2] && tokens == 0 -> goto over
			:: else
			fi
		fi;
awake:
#ifdef SETTLE_EARLY
		woken[p] = false;
#endif
		lock()
	od;
	change(-1);
	atomic { saved[p] = false; committed = tokens }
	mutex = 0;
	woken[p] = false
}

inline give() {
	lock();
	change(1);
	gives[p] = true;
	atomic { state[p] = COMMITTED; committed = tokens }
	mark();
	state[p] = SIGNALLED;
	mutex = 0;
#ifndef NO_WAKE
	wake_one_word();
#endif
	atomic { saved[p] = false; gives[p] = false }
	state[p] = OPEN
}

proctype thread(byte p) {
	byte o, i, n, ticket;
	bool got;

	{
		if
		:: p < 2 -> take()
		:: else ->
			do
			:: n < GIVES -> give(); n++
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
		do
		:: n < N ->
			token[n] = TID; holder[n] = n + 1; owner[n] = n + 1; LINK(n, n) = true;
			n++
		:: else -> break
		od;
		n = 0;
		run thread(0);
#if TAKERS > 1
		run thread(1);
#else
		ended[1] = true;
#endif
		run thread(2)
	}
}
