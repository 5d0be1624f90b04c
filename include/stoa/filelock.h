/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Locks on files: whole files or ranges of bytes, exclusive or shared, between
 * processes and between threads. Nothing is written to the file and no segment is
 * needed; the kernel keeps the lock and gives it up when its holder dies.
 *
 *	STOA_CLEANUP(stoa_filelock) file = NULL;
 *	STOA_CLEANUP(stoa_filelock_hold) hold = NULL;
 *	rc = stoa_filelock_open("journal", 0, &file);
 *	rc = stoa_filelock_lock(file, 0, 0, stoa_in_ms(100), &hold);
 *	... hold is released, then file closed, where the block ends
 *
 * A file is what one opens, a hold what one has. Each hold has an open file
 * description of its own: two holds exclude each other, whoever took them, also in
 * one thread. Closing anything else never drops a hold. A guard that holds nothing
 * yet is a NULL hold; assigning the pointer and setting the other NULL moves it.
 *
 * Synchronisation: a file may be used by any threads at the same time, a hold by
 * one at a time, not always the same; a hold outlives the close of its file.
 *
 * Caveats: advisory: who does not ask is not stopped. The file's content needs a
 * flush of stdio's buffers before the release. A fork child has not what its parent
 * holds, yet its copy of the descriptor keeps the lock if the parent dies first: it
 * releases its copy of the hold (which takes nothing from the parent), or executes
 * something. Network file systems: only as good as their server's locks.
 */
#ifndef STOA_FILELOCK_H
#define STOA_FILELOCK_H
#include <stdbool.h>
#include <stdint.h>
#include <stoa/attr.h>
#include <stoa/segment.h>
#include <stoa/time.h>
STOA_BEGIN_DECLS

typedef struct stoa_filelock stoa_filelock;
typedef struct stoa_filelock_hold stoa_filelock_hold;

/*
 * stoa_filelock_open - a regular file that is there, to lock it.
 *
 * flags: 0, or STOA_RDONLY: it is opened to read only, and can be shared only. A
 * symbolic link as the last part of the path is not followed.
 *
 * Blocks:  no.     Crash: changes nothing.
 * Owner:   close it; *ret is untouched on failure.
 * Cost:    2 system calls.
 * Returns: 0, -ENOENT, -EACCES, -EROFS, -ELOOP, -EINVAL (flags, no regular file),
 *          -EMFILE, -ENOMEM.
 */
STOA_NODISCARD int
stoa_filelock_open(const char *path, unsigned flags, stoa_filelock **ret);
/* NULL is fine; returns NULL. What is held stays held. */
stoa_filelock *stoa_filelock_close(stoa_filelock *file);

/*
 * stoa_filelock_lock, stoa_filelock_share - the range, exclusively or shared.
 *
 * size bytes from byte `from` on, which may lie beyond the end of the file; size 0:
 * all from there on, however long the file gets. 0, 0 is the whole file.
 *
 * Blocks:  until nobody's hold stands in the way, or the deadline. STOA_FOREVER
 *          sleeps in the kernel and takes its turn; another deadline looks again
 *          and again, at first after 50 us, at last every 10 ms. Signals do not end it.
 *          A thread that waits for a hold of its own waits in vain.
 * Crash:   the kernel gives up what the dead held, and wakes who waits.
 * Owner:   release it; *ret is untouched on failure.
 * Cost:    3 system calls with the release after it, none of them writes.
 * Returns: 0, -EAGAIN (STOA_NOW), -ETIMEDOUT, -EROFS (exclusive, opened with
 *          STOA_RDONLY), -EACCES (may not be opened any more), -EINVAL (range),
 *          -ENOTSUP (no /proc; a file system without such locks), -EMFILE, -ENOMEM.
 */
STOA_NODISCARD int stoa_filelock_lock(stoa_filelock *file, uint64_t from,
	uint64_t size, uint64_t deadline, stoa_filelock_hold **ret);
STOA_NODISCARD int stoa_filelock_share(stoa_filelock *file, uint64_t from,
	uint64_t size, uint64_t deadline, stoa_filelock_hold **ret);
/* NULL is fine; returns NULL. */
stoa_filelock_hold *stoa_filelock_release(stoa_filelock_hold *hold);

/*
 * stoa_filelock_upgrade, stoa_filelock_downgrade - shared becomes exclusive, and back.
 *
 * Nobody gets between: the range is never free meanwhile. An upgrade that fails
 * leaves the hold shared, as it was. What is so already stays so: 0. Two who both
 * share and both upgrade wait for each other: give a deadline, and release when it
 * has passed.
 *
 * Blocks:  upgrade: until nobody else shares; deadlines as above. downgrade: no.
 * Crash:   as above.
 * Returns: 0, -EAGAIN, -ETIMEDOUT, -EROFS, -EINVAL (NULL), -EPERM (it is the
 *          parent's: this is a fork child), -ENOTSUP, -ENOMEM.
 */
STOA_NODISCARD int
stoa_filelock_upgrade(stoa_filelock_hold *hold, uint64_t deadline);
STOA_NODISCARD int stoa_filelock_downgrade(stoa_filelock_hold *hold);
/* Does this process have it, and exclusively? false for NULL */
bool stoa_filelock_is_exclusive(const stoa_filelock_hold *hold);

static inline void stoa_filelock_cleanup_(stoa_filelock **file)
{
	*file = stoa_filelock_close(*file);
}

static inline void stoa_filelock_hold_cleanup_(stoa_filelock_hold **hold)
{
	*hold = stoa_filelock_release(*hold);
}

STOA_END_DECLS
#endif
