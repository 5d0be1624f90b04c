/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Token, lock word and tick: src/segment/token.c, liveness.c, recover.c;
 * src/sync/word.c, wait.c, recover.c.
 *
 * Three threads attach and take one lock once; any of them dies anywhere.
 *
 *	exclusion     assertion in the critical section
 *	no false death   assertions in bury() and confirm()
 *	no tick without a death   assertion at the tick
 *	              (EARLY n: n ticks come at any time instead, and do no harm)
 *	progress      few ticks, and no state in which all are stuck; with LIVE and
 *	              weak fairness: all_end, everybody had the lock or is dead
 *
 * Broken on purpose: NO_WAITERS, STORE_UNLOCK, SLEPT_FORGOTTEN, BYTE_FIRST,
 * NO_BYTE, NO_CONFIRM, UNLISTED_EARLY, RELEASE_BEFORE_UNDO.
 */
#include "kernel.pml"

#ifndef THREADS
 #define THREADS 3
#endif
#ifndef TICKS
 #define TICKS 4
#endif

byte ticks;
byte word;        /* owner + 1 */
bool W;
bool listed[N];   /* in the lane: wants, has, or owes a wake-up */
bool inside[N];

inline token_take(s) {
	/* I1: the word first, the list after */
	LINK(p, s) = true
}

inline token_drop(s) {
#ifdef BYTE_FIRST
	owner[s] = 0;
#endif
	LINK(p, s) = false;
	atomic { token[s] = FREE; got = waiters[s]; waiters[s] = false }
	if :: got -> wake_all_token(s) :: else fi;
	owner[s] = 0;
}

inline recover(s) {
#ifdef NO_BYTE
	got = true;
#else
	byte_take(s, got);
#endif
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
			token_take(s);
#ifndef RELEASE_BEFORE_UNDO
			inside[s] = false;
#endif
			if
			:: listed[s] ->
				atomic {
					if
					:: word == s + 1 -> word = 0; W = false
					:: else
					fi
				}
				wake_all_word();
				listed[s] = false
			:: else
			fi;
			inside[s] = false;
			token_drop(s)
		:: else -> owner[s] = 0
		fi
	:: else
	fi
}

proctype thread(byte p) {
	byte o, i;
	bool got, slept;

	{
		atomic { owner[p] == 0 -> owner[p] = p + 1 };
		atomic { token[p] = TID; holder[p] = p + 1 }
		token_take(p);
		listed[p] = true;
		do
		:: atomic { word == 0 -> word = p + 1; W = W || slept } break
		:: atomic { word != 0 -> o = word - 1 }
			if
			:: token[o] == DEAD -> recover(o)
			:: token[o] != DEAD ->
				/* it names nobody: that is called damage */
				atomic { assert(word != o + 1 || token[o] != FREE) }
#ifndef NO_WAITERS
				atomic { if :: word == o + 1 -> W = true :: else -> goto again fi };
#endif
				atomic { if :: token[o] == TID -> waiters[o] = true :: else -> goto again fi };
				atomic {
					if
#ifdef NO_WAITERS
					:: word == o + 1 && token[o] == TID ->
#else
					:: word == o + 1 && W && token[o] == TID && waiters[o] ->
#endif
						asleep[p] = 2 + o; by_token[p] = false
					:: else -> goto again
					fi
				}
#ifndef SLEPT_FORGOTTEN
				slept = true;
#endif
				if
				:: asleep[p] == 0 ->
					if
					:: by_token[p] -> wake_all_token(o)
					:: else
					fi
#ifdef EARLY
				:: atomic { ticks < EARLY -> ticks++; asleep[p] = 0 }
#else
				:: timeout ->
					assert(deaths > 0);
					asleep[p] = 0;
					ticks++;
					assert(ticks <= TICKS);
#endif
#ifndef NO_CONFIRM
					confirm(o);
#endif
					i = 0;
					do
					:: i < N ->
						if
						:: token[i] == DEAD -> recover(i)
						:: else
						fi;
						i++
					:: else -> break
					od
				fi
			fi;
again:			skip
		od;
		assert(!inside[0] && !inside[1] && !inside[2]);
		inside[p] = true;
		inside[p] = false;
#ifdef UNLISTED_EARLY
		listed[p] = false;
#endif
#ifdef STORE_UNLOCK
		got = W;
		atomic { word = 0; W = false }
#else
		atomic { got = W; word = 0; W = false }
#endif
		if :: got -> wake_one_word() :: else fi;
		listed[p] = false;
#ifdef LEAVE
		/* who leaves wakes all who watch him: that hides lost wake-ups */
		token_drop(p);
#endif
		ended[p] = true
	} unless {
		dies[p] -> bury()
	}
}

init {
	atomic {
		run thread(0);
		run thread(1);
#if THREADS > 2
		run thread(2)
#else
		ended[2] = true
#endif
	}
}

#ifdef LIVE
ltl all_end { <> (ended[0] && ended[1] && ended[2]) }
#endif
