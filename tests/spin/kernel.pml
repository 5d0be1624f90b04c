/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The kernel's part, shared by all models: sleeping on two words, robust lists,
 * owner bytes. Thread p has slot p. Every thread has the same TID, so the kernel
 * takes any token that says TID, on the list of whoever dies, for the dead one's.
 *
 * asleep[p]  0: awake; 1: on the word; 2 + s: on the word and on slot s's token
 */
#ifndef N
 #define N 3
#endif
#ifndef DEATHS
 #define DEATHS 1
#endif

mtype = { FREE, TID, DEAD };
mtype token[N] = FREE;
bool waiters[N];     /* of the token: the kernel wakes only if asked to */
byte holder[N];      /* who made it TID: process + 1; no part of the protocol */
byte owner[N];       /* byte of the slot: process + 1 */
bool linked[N * N];  /* process * N + slot: on its robust list */
byte asleep[N];
bool by_token[N];    /* what the last wake-up came from */
bool dies[N], ended[N];
byte deaths;

#define LINK(p, s) linked[(p) * N + (s)]

/* of its own name: arguments are put in as text, and cond may name an i */
inline wake_if(sleeper, cond) {
	if :: (cond) -> asleep[sleeper] = 0 :: else fi
}

inline wake_all_word() {
	d_step {
		wake_if(0, asleep[0]); wake_if(1, asleep[1]);
		wake_if(2, asleep[2])
	}
}

/* any one of them */
inline wake_one_word() {
	atomic {
		if
		:: asleep[0] -> asleep[0] = 0
		:: asleep[1] -> asleep[1] = 0
		:: asleep[2] -> asleep[2] = 0
		:: else
		fi
	}
}

inline wake_all_token(s) {
	d_step {
		wake_if(0, asleep[0] == 2 + s); wake_if(1, asleep[1] == 2 + s);
		wake_if(2, asleep[2] == 2 + s)
	}
}

inline wake_one_token(s) {
	atomic {
		if
		:: asleep[0] == 2 + s -> asleep[0] = 0; by_token[0] = true
		:: asleep[1] == 2 + s -> asleep[1] = 0; by_token[1] = true
		:: asleep[2] == 2 + s -> asleep[2] = 0; by_token[2] = true
		:: else
		fi
	}
}

inline byte_take(s, got) {
	atomic {
		if
		:: owner[s] == 0 -> owner[s] = p + 1; got = true
		:: else -> got = false
		fi
	}
}

/* What happens to a dead process: its list, entry by entry, then its bytes. */
inline bury() {
	i = 0;
	do
	:: i < N ->
		atomic {
			got = false;
			if
			:: LINK(p, i) && token[i] == TID ->
				/* nobody else's may be marked */
				assert(holder[i] == p + 1);
				token[i] = DEAD;
				got = waiters[i]
			:: else
			fi
		}
		if :: got -> wake_one_token(i) :: else fi;
		i++
	:: else -> break
	od;
	atomic {
		i = 0;
		do
		:: i < N ->
			if :: owner[i] == p + 1 -> owner[i] = 0 :: else fi;
			i++
		:: else -> break
		od;
		i = 0;
		asleep[p] = 0;
		ended[p] = true
	}
}

/* Kills up to DEATHS threads, each at any step. */
active proctype reaper() {
	do
	:: atomic { deaths < DEATHS && !ended[0] && !dies[0] -> dies[0] = true; deaths++ }
	:: atomic { deaths < DEATHS && !ended[1] && !dies[1] -> dies[1] = true; deaths++ }
	:: atomic { deaths < DEATHS && !ended[2] && !dies[2] -> dies[2] = true; deaths++ }
	:: break
	od
}

/* The kernel did not mark it, but its byte is free: prove it and mark. */
inline confirm(s) {
	byte_take(s, got);
	if
	:: got ->
		atomic {
			if
			:: token[s] == TID ->
				assert(dies[holder[s] - 1]);
				token[s] = DEAD;
				wake_all_token(s)
			:: else
			fi
		}
		owner[s] = 0
	:: else
	fi
}
