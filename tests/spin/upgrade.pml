/* SPDX-License-Identifier: BSL-1.0 */
/*
 * From one mode of a reader/writer lock to another: src/sync/rwlock.c. The word has an
 * owner, and a bit that says that readers may enter although it has one. Its claim is
 * one step here (lock.pml proves it), and so is falling asleep on it.
 *
 * Thread 0 is upgradable, upgrades, and shares what it wrote; thread 2 reads, writes, or
 * shares and tries to become exclusive; with READERS it and thread 1 read. Any of them
 * dies anywhere.
 *
 *	exclusion            readers beside readers and one upgradable, else nobody; what
 *	                     an upgradable has read is so when it has become exclusive
 *	no wake-up is lost   nobody sleeps on a word that is free for him
 *	progress             few ticks, and none without a death
 *
 * Broken on purpose: DOOR_OPEN, DOOR_SILENT, LET_GO, NOT_TOLD.
 */
#define UNDO(s) undo(s)
#include "slot.pml"

mtype = { NONE, READS, LEAVING, OWNS };
mtype entry[N] = NONE;
bool sticky[N];
byte word;         /* owner + 1 */
bool door, W;      /* readers may enter; somebody sleeps on it */
byte left;
bool on_left[N];   /* sleeps on left, not on the word */
byte readers, writers, upgradables; /* no part of the protocol */
mtype inside[N] = NONE;             /* READS, OWNS (writes), LEAVING (upgradable) */
byte version;      /* what is written */

#define CLOSED (word != 0 && !door)

inline wake_one() {
	atomic {
		if
		:: asleep[0] && !on_left[0] -> asleep[0] = 0
		:: asleep[1] && !on_left[1] -> asleep[1] = 0
		:: asleep[2] && !on_left[2] -> asleep[2] = 0
		:: else
		fi
	}
}

inline wake_all(its_left) {
	d_step {
		wake_if(0, asleep[0] && on_left[0] == its_left);
		wake_if(1, asleep[1] && on_left[1] == its_left);
		wake_if(2, asleep[2] && on_left[2] == its_left)
	}
}

inline outside(s) {
	d_step {
		if
		:: inside[s] == READS -> readers--
		:: inside[s] == OWNS -> writers--
		:: inside[s] == LEAVING -> upgradables--
		:: else
		fi;
		inside[s] = NONE
	}
}

inline go_in(as) {
	atomic {
		outside(p);
		inside[p] = as;
		if
		:: as == READS -> readers++
		:: as == OWNS -> writers++
		:: as == LEAVING -> upgradables++
		fi;
		assert(writers + upgradables <= 1 && (writers == 0 || readers == 0))
	}
}

inline undo(s) {
	outside(s);
	atomic { if :: word == s + 1 -> word = 0; door = false; W = false :: else fi }
	wake_all_word();
	entry[s] = NONE
}

inline word_drop() {
	atomic { got = W; word = 0; door = false; W = false }
	if :: got -> wake_one() :: else fi
}

inline readers_may() {
	atomic { got = W; door = true; W = false }
#ifndef DOOR_SILENT
	if :: got -> wake_all(false) :: else fi
#endif
}

/* Takes the word; or (shared) finds that readers may enter: opened. */
inline word_take(shared) {
	opened = false;
	do
	:: atomic { word == 0 -> word = p + 1; door = false; W = W || slept } break
	:: atomic { shared && word != 0 && door -> opened = true } break
	:: word != 0 && !(shared && door) ->
		atomic {
			o = (word -> word - 1 : 0);
			if
			:: word != 0 && !(shared && door) && token[o] == TID ->
				W = true;
				waiters[o] = true;
				by_token[p] = false;
				asleep[p] = 2 + o;
				slept = true
			:: else
			fi
		}
		if
		:: asleep[p] == 0 && by_token[p] -> by_token[p] = false; wake_all_token(o)
		:: asleep[p] == 0 && !by_token[p]
		:: timeout ->
			assert(word != 0 && !(shared && door));
			tick()
		fi;
		if :: token[o] == DEAD -> recover(o) :: else fi;
		o = 0
	od;
	slept = false
}

inline reader_wait(s) {
	do
	:: true ->
		seen = left;
		if
		:: entry[s] != READS || token[s] == FREE -> break
		:: else ->
			atomic {
				if
				:: left == seen && token[s] == TID ->
					waiters[s] = true;
					on_left[p] = true;
					asleep[p] = 2 + s
				:: else
				fi
			}
			if
			:: asleep[p] == 0
			:: timeout ->
				assert(entry[s] == READS);
				tick()
			fi;
			on_left[p] = false;
			if :: token[s] == DEAD -> recover(s) :: else fi
		fi
	od;
	seen = 0
}

inline readers_wait() {
	s = 0;
	do
	:: s < N ->
		if
		:: s != p && sticky[s] -> reader_wait(s); sticky[s] = false
		:: else
		fi;
		s++
	:: else -> break
	od;
	s = 0
}

/* The same without waiting: late if somebody reads. */
inline readers_look() {
	s = 0;
	do
	:: s < N ->
		if
		:: sticky[s] ->
			if
			:: s != p && entry[s] == READS -> late = true; break
			:: else -> sticky[s] = false
			fi
		:: else
		fi;
		s++
	:: else -> break
	od;
	s = 0
}

inline share_owned() {
	entry[p] = READS;
	sticky[p] = true;
	word_drop()
}

inline read_leave() {
	outside(p);
	entry[p] = LEAVING;
	if
	:: word != 0 ->
		left = (left + 1) % 8;
#ifndef NOT_TOLD
		wake_all(true)
#endif
	:: else
	fi;
	entry[p] = NONE
}

inline read_enter() {
	do
	:: true ->
		entry[p] = READS;
		if
		:: !CLOSED ->
			if
			:: sticky[p] -> break
			:: else -> sticky[p] = true
			fi
		:: else ->
			read_leave();
			entry[p] = OWNS;
			word_take(true);
			if
			:: opened
			:: else -> share_owned(); break
			fi
		fi
	od;
	go_in(READS)
}

inline upgrade() {
	entry[p] = OWNS;
	word_take(false);
	readers_may();
	go_in(LEAVING);
	seen = version;
#ifdef LET_GO
	outside(p);
	word_drop();
	word_take(false);
#else
 #ifndef DOOR_OPEN
	door = false;
 #endif
#endif
	o = seen;
	readers_wait();
	go_in(OWNS);
	assert(version == o);
	version++;
	o = 0;
	outside(p);
	share_owned();
	go_in(READS);
	read_leave()
}

inline write() {
	entry[p] = OWNS;
	word_take(false);
	readers_wait();
	go_in(OWNS);
	version++;
	outside(p);
	word_drop();
	entry[p] = NONE
}

/* Shared, and tries to be exclusive; fails if anybody else is there. */
inline try() {
	atomic { if :: word == 0 -> word = p + 1 :: else -> late = true fi }
	if
	:: !late ->
		readers_look();
		if
		:: late ->
			sticky[p] = true;
			word_drop()
		:: else ->
			entry[p] = OWNS;
			go_in(OWNS);
			version++;
			outside(p);
			word_drop();
			entry[p] = NONE;
			goto over
		fi
	:: else
	fi
}

proctype thread(byte p) {
	byte o, i, s, seen;
	bool got, slept, opened, late;

	{
		if
		:: p == 0 -> upgrade()
#ifndef READERS
		:: p == 2 -> write()
#endif
		:: p != 0 ->
			read_enter();
#ifndef READERS
			if
			:: p == 2 -> try()
			:: p == 2
			fi;
#endif
			read_leave()
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
		run thread(0); run thread(2);
#ifdef READERS
		run thread(1)
#else
		ended[1] = true
#endif
	}
}
