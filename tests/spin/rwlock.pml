/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Readers and writers: src/sync/lock.c. The word is one guarded store here
 * (lock.pml proves it); its dead owner is recovered by whoever wants it.
 *
 *	entry[s]   the slot's own entry: NONE, READS, LEAVING, WANTS
 *	sticky[s]  in readers_: it may be reading; sticky
 *	left       counts readers who saw a writer and left
 *
 * Thread 0 writes WRITES times, 1 and 2 read once; any of them dies anywhere.
 *
 *	exclusion     assertions inside
 *	no tick without a death, few ticks, nobody stuck
 *
 * Broken on purpose: NO_SECOND_LOOK, LISTED_LATE, NOT_COUNTED, NOT_TOLD, BIT_LATE,
 * BITS_FIRST.
 */
#include "kernel.pml"

#ifndef WRITES
 #define WRITES 1
#endif
#ifndef TICKS
 #define TICKS 4
#endif

mtype = { NONE, READS, LEAVING, WANTS };
mtype entry[N] = NONE;
bool sticky[N];
byte word;           /* owner + 1 */
bool odd;            /* seq_ */
byte left, ticks;
byte readers, writers; /* inside; no part of the protocol */
bool inside[N];

inline outside(s) {
	d_step {
		if
		:: inside[s] && s == 0 -> writers--
		:: inside[s] && s != 0 -> readers--
		:: else
		fi;
		inside[s] = false
	}
}

inline recover(s) {
	byte_take(s, got);
	if
	:: got ->
		atomic {
			if
			:: token[s] == DEAD ->
				token[s] = TID; holder[s] = p + 1;
				LINK(p, s) = true;
				outside(s)
			:: else -> got = false
			fi
		}
		if
		:: got ->
			atomic {
				if
				:: word == s + 1 ->
					odd = (entry[s] == WANTS -> false : odd);
					word = 0
				:: else
				fi
			}
			wake_all_word();
			entry[s] = NONE;
			atomic {
				LINK(p, s) = false;
				token[s] = FREE;
				got = waiters[s];
				waiters[s] = false
			}
			if :: got -> wake_all_token(s) :: else fi;
			owner[s] = 0
		:: else -> owner[s] = 0
		fi
	:: else
	fi
}

inline word_take() {
	do
	:: atomic { word == 0 -> word = p + 1 } break
	:: word != 0 && word != p + 1 && token[word - 1] == DEAD ->
		o = word - 1;
		if :: o < N -> recover(o) :: else fi
	od
}

/* Until slot s does not read. */
inline reader_wait(s) {
	do
	:: true ->
		seen = left;
		if
		:: entry[s] != READS || token[s] == FREE -> break
		:: else ->
			if
			:: token[s] == DEAD -> recover(s)
			:: else ->
				atomic { if :: token[s] == TID -> waiters[s] = true :: else -> goto look fi };
				atomic {
					if
					:: left == seen && token[s] == TID && waiters[s] ->
						asleep[p] = 2 + s
					:: else -> goto look
					fi
				}
				if
				:: asleep[p] == 0
				:: timeout ->
					assert(deaths > 0);
					asleep[p] = 0;
					ticks++;
					assert(ticks <= TICKS);
					confirm(s)
				fi
			fi
		fi;
look:		skip
	od
}

inline write() {
	entry[p] = WANTS;
	word_take();
	s = 1;
	do
	:: s < N ->
		if
		:: sticky[s] ->
#ifdef BITS_FIRST
			sticky[s] = false;
			goto next;
#endif
			reader_wait(s);
			sticky[s] = false
		:: else
		fi;
next:		s++
	:: else -> break
	od;
	odd = true;
	atomic {
		assert(readers == 0 && writers == 0);
		writers++;
		inside[p] = true
	}
	outside(p);
	odd = false;
	word = 0;
	entry[p] = NONE
}

inline read_leave() {
	entry[p] = LEAVING;
	if
	:: word != 0 ->
#ifndef NOT_COUNTED
		left = (left + 1) % 8;
#endif
#ifndef NOT_TOLD
		wake_all_word()
#else
		skip
#endif
	:: else
	fi;
	entry[p] = NONE
}

inline read() {
#ifndef LISTED_LATE
	entry[p] = READS;
#endif
	do
	:: word != 0 ->
		read_leave();
		entry[p] = WANTS; /* the intent; seq_ is not touched */
		word_take();
		entry[p] = READS;
#ifdef BIT_LATE
		word = 0;
		sticky[p] = true;
#else
		sticky[p] = true;
		word = 0;
#endif
		break
	:: word == 0 ->
		if
		:: sticky[p] -> break
		:: else ->
			sticky[p] = true;
#ifdef NO_SECOND_LOOK
			break
#endif
		fi
	od;
#ifdef LISTED_LATE
	entry[p] = READS;
#endif
	atomic { assert(writers == 0 && !odd); readers++; inside[p] = true }
	outside(p);
	read_leave()
}

proctype thread(byte p) {
	byte o, i, s, n, seen;
	bool got;

	{
		if
		:: p == 0 ->
			do
			:: n < WRITES -> write(); n++
			:: else -> break
			od
		:: else -> read()
		fi;
		ended[p] = true
	} unless {
		dies[p] -> bury()
	}
}

init {
	byte n;

	atomic {
		do
		:: n < N ->
			token[n] = TID; holder[n] = n + 1; owner[n] = n + 1;
			LINK(n, n) = true;
			n++
		:: else -> break
		od;
		n = 0;
		run thread(0); run thread(1); run thread(2)
	}
}
