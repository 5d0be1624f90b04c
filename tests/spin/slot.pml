/* SPDX-License-Identifier: BSL-1.0 */
/*
 * What the slots of owed wake-ups share: src/sync/signal.h, recover.c. A slot names the
 * place at which it waits, or owes a wake-up, from before until after; whoever recovers
 * it wakes everybody there. UNDO(s): what else recovery does, before that.
 */
#include "kernel.pml"

#ifndef TICKS
 #define TICKS 4
#endif
#ifndef UNDO
 #define UNDO(s) skip
#endif

bool waiting[N];
byte ticks;

#define OWES(s) (token[s] == DEAD && waiting[s])
#define OWED    (OWES(0) || OWES(1) || OWES(2))
#define BURIED  (token[0] != DEAD && token[1] != DEAD && token[2] != DEAD)

inline owe() {
#ifndef NOT_OWED
	waiting[p] = true
#else
	skip
#endif
}

inline recover(s) {
	byte_take(s, got);
	if
	:: got ->
		atomic {
			if
			:: token[s] == DEAD ->
				token[s] = TID; holder[s] = p + 1;
				LINK(p, s) = true
			:: else -> got = false
			fi
		}
		if
		:: got ->
			UNDO(s);
#ifndef NO_REPLAY
			if :: waiting[s] -> wake_all_word() :: else fi;
#endif
			waiting[s] = false;
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

inline sweep() {
	i = 0;
	do
	:: i < N ->
		if :: token[i] == DEAD -> recover(i) :: else fi;
		i++
	:: else -> break
	od
}

/* At a tick: there is no progress without an end of them. */
inline tick() {
	atomic {
		assert(deaths > 0);
		asleep[p] = 0;
		ticks++;
		assert(ticks <= TICKS)
	}
	sweep()
}

/* All slots are taken: thread p has slot p. */
inline attach() {
	n = 0;
	do
	:: n < N ->
		token[n] = TID; holder[n] = n + 1; owner[n] = n + 1;
		LINK(n, n) = true;
		n++
	:: else -> break
	od;
	n = 0
}
