/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The kill soak: more worker processes than processors make random transactions
 * over one segment, and SIGKILL takes random ones, or all, at random moments.
 *
 *	soak [--seconds N] [--workers N] [--without-tokens] [--without-waitv]
 *
 * Time goes in turns:
 *	storm   kills every 0.5 to 5 ms, of one, of the newest, of two at once;
 *	        the dead are replaced at once, so many die while they attach
 *	calm    nobody is killed until every thread has finished something: who
 *	        sleeps through it was forgotten (a lost wake-up, a lock of the dead)
 *	judge   sometimes all are killed, and this process looks alone: every
 *	        invariant of world.h, the segment's own check, blocks leaked
 *
 * Whatever stands still for two seconds is a failure, told with a picture of all
 * slots. STOA_SEED repeats the random choices, though not their moments.
 */
#include "base/atomic.h"
#include "ops.h"
#include "segment/seat.h"
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	WORKERS_MAX = 64,
	THREADS_MAX = 3,
	STALL_MS = 2000,
	ERRORS_MAX = 20,
	ERROR_TEXT = 240,
	CHILD_OPS = 30
};

/* What workers tell the main process, in ordinary shared memory. */
struct board {
	struct {
		uint64_t ops;     /* finished, by all that had this place */
		uint64_t started; /* ms, the one that is running */
		uint32_t op;      /* index + 1; 0: none */
		uint32_t alive;   /* its thread has begun */
	} actor[WORKERS_MAX][THREADS_MAX];
	uint64_t per_op[OPS];
	uint32_t errors;
	char error[ERRORS_MAX][ERROR_TEXT];
};

static struct board *board;

static struct {
	unsigned seconds, workers, stall_ms;
	uint32_t without;
	uint64_t seed, random;
	pid_t pid[WORKERS_MAX];
	uint64_t generation; /* workers started so far */
	uint64_t kills, deaths_of_all, judged, longest_stall;
	int64_t leaked;
	char folder[64];
} soak;

/* ---- telling ---- */

void
broken(const char *format, ...)
{
	const uint32_t i = a32_fetch_add_seq_cst(&board->errors, 1);
	va_list ap;

	if (i >= ERRORS_MAX)
		return;
	va_start(ap, format);
	vsnprintf(board->error[i], ERROR_TEXT, format, ap);
	va_end(ap);
	fprintf(stderr, "soak: %s\n", board->error[i]);
}

static uint64_t
ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
us_sleep(unsigned us)
{
	struct timespec t = {us / 1000000, (long)(us % 1000000) * 1000};

	nanosleep(&t, NULL);
}

static uint32_t
random_below(uint32_t n)
{
	return (uint32_t)(next_random(&soak.random) >> 33) % n;
}

/* ---- workers ---- */

static int
open_world(stoa_segment **seg, const world **w)
{
	int rc = stoa_segment_open("soak", STOA_CREATE,
		STOA_SEGMENT_OPTIONS(.limit = 256 << 20,
			.without = soak.without),
		seg);

	return rc ? rc : stoa_object_open(*seg, "world", world, w);
}

static void
run_op(struct actor *me, unsigned worker, unsigned thread)
{
	const uint32_t i = choose_op(me);
	int rc;

	a64_store_relaxed(&board->actor[worker][thread].started, ms_now());
	a32_store_release(&board->actor[worker][thread].op, i + 1);
	rc = ops[i].run(me);
	if (!is_expected(rc))
		broken("%s: %s (%s)", ops[i].name, stoa_strerror(rc),
			stoa_error_text());
	a32_store_release(&board->actor[worker][thread].op, 0);
	a64_fetch_add_seq_cst(&board->actor[worker][thread].ops, 1);
	a64_fetch_add_seq_cst(&board->per_op[i], 1);
}

/* A child of a worker, which inherits all its pointers, works a little too. */
static void
fork_child(struct actor *me, unsigned worker)
{
	const pid_t parent = getpid();
	pid_t pid = fork();

	if (pid > 0) {
		waitpid(pid, NULL, 0);
		return;
	}
	if (pid < 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	me->owns = 0;
	for (int i = 0; i < CHILD_OPS; i++)
		run_op(me, worker, 0);
	_exit(0);
}

struct thread_start {
	unsigned worker, thread;
	uint64_t seed;
};

static void *
act(void *user)
{
	const struct thread_start *start = user;
	struct actor me = {NULL, NULL, start->seed, 0};
	const bool forks = start->thread == 0 && start->seed % 4 == 0;
	int rc = open_world(&me.seg, &me.w);

	if (rc) {
		broken("open: %s (%s)", stoa_strerror(rc), stoa_error_text());
		return NULL;
	}
	a32_store_release(&board->actor[start->worker][start->thread].alive, 1);
	for (;;) {
		run_op(&me, start->worker, start->thread);
		if (forks && below(&me, 300) == 0)
			fork_child(&me, start->worker);
		if (below(&me, 2000) == 0) { /* another handle, for a moment */
			stoa_segment *again = NULL;
			const world *w = NULL;

			if (!open_world(&again, &w) && w != me.w)
				broken("a second mapping");
			stoa_segment_close(again);
		}
	}
	return NULL;
}

/* A quarter have three threads, and of the others a quarter forks. */
static void
be_worker(unsigned worker, uint64_t seed)
{
	struct thread_start start[THREADS_MAX];
	const unsigned threads = seed % 4 == 1 ? THREADS_MAX : 1;
	pthread_t t;

	for (unsigned i = 0; i < THREADS_MAX; i++)
		start[i] = (struct thread_start){worker, i, seed + i * 4};
	for (unsigned i = 1; i < threads; i++)
		if (pthread_create(&t, NULL, act, &start[i]))
			_exit(3);
	act(&start[0]);
	_exit(2);
}

static void
start_worker(unsigned i)
{
	const pid_t parent = getpid();
	uint64_t seed = soak.seed + ++soak.generation * UINT64_C(0x10001);
	pid_t pid;

	memset(board->actor[i], 0, sizeof board->actor[i]);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			be_worker(i, next_random(&seed));
		_exit(0);
	}
	if (pid < 0)
		broken("fork: %s", strerror(errno));
	soak.pid[i] = pid > 0 ? pid : 0;
}

/* ---- death ---- */

static void
buried(pid_t pid, int status)
{
	unsigned i = 0;

	while (i < soak.workers && soak.pid[i] != pid)
		i++;
	if (i < soak.workers)
		soak.pid[i] = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		soak.kills++;
	else if (WIFSIGNALED(status))
		broken("a worker died of signal %d", WTERMSIG(status));
	else if (i < soak.workers)
		broken("a worker ended with %d", WEXITSTATUS(status));
}

static void
bury_and_replace(bool replace)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		buried(pid, status);
	for (unsigned i = 0; replace && i < soak.workers; i++)
		if (!soak.pid[i])
			start_worker(i);
}

static void
kill_worker(unsigned i)
{
	if (soak.pid[i])
		kill(soak.pid[i], SIGKILL);
}

/* Workers and their children, of whom this process is the reaper. */
static void
kill_all(void)
{
	int status;
	pid_t pid;

	for (unsigned i = 0; i < soak.workers; i++)
		kill_worker(i);
	while ((pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR)
		if (pid > 0)
			buried(pid, status);
	soak.deaths_of_all++;
}

/* ---- a picture of all slots ---- */

static void
dump_slot(const stoa_segment *seg, uint32_t i)
{
	const struct stoai_slot *s = stoai_slot_at(seg, i);
	const struct stoai_lane *lane = stoai_lane_at(seg, i);

	if (s->state == STOAI_SLOT_FREE && !s->paged)
		return;
	if (s->state == STOAI_SLOT_FREE && !*stoai_token_at(seg, i))
		return;
	fprintf(stderr,
		"  slot %3u: state %u generation %u token %08x tid %u tries %u "
		"commits %u waiting %" PRIx64 " woken %" PRIx64
		" freeing %" PRIx64 " lane %u cursor %" PRIx64 " held",
		i, s->state, s->generation, *stoai_token_at(seg, i), s->tid,
		s->tries, s->commits, s->waiting, s->woken, s->freeing,
		lane->state, lane->cursor);
	for (int k = 0; k < STOAI_HELD_MAX; k++)
		if (lane->held[k])
			fprintf(stderr, " %" PRIx64 "(%08x)", lane->held[k],
				*(const uint32_t *)(const void
						*)(seg->base +
						   (lane->held[k] &
							   ~UINT64_C(7))));
	fprintf(stderr, "\n");
}

static void
dump_actors(void)
{
	const uint64_t now = ms_now();

	for (unsigned i = 0; i < soak.workers; i++)
		for (unsigned k = 0; k < THREADS_MAX; k++) {
			const uint32_t op = board->actor[i][k].op;

			if (!board->actor[i][k].alive)
				continue;
			fprintf(stderr,
				"  worker %u.%u pid %d: %" PRIu64
				" done, %s for %" PRIu64 " ms\n",
				i, k, (int)soak.pid[i], board->actor[i][k].ops,
				op ? ops[op - 1].name : "between operations",
				now - board->actor[i][k].started);
		}
}

/* Reads only, and takes no slot: what it finds is what the stuck ones see. */
static void
dump(void)
{
	stoa_segment *seg = NULL;

	dump_actors();
	if (stoa_segment_open("soak", STOA_RDONLY, NULL, &seg)) {
		fprintf(stderr, "  no picture: %s\n", stoa_error_text());
		return;
	}
	fprintf(stderr,
		"  flags %x recovered %" PRIu64 " committed %" PRIx64 "\n",
		stoai_header(seg)->flags, stoai_header(seg)->recovered,
		stoai_header(seg)->committed);
	for (uint32_t i = 0; i < seg->slot_count; i++)
		dump_slot(seg, i);
	stoa_segment_close(seg);
}

/* ---- progress ---- */

static uint64_t
ops_done(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < OPS; i++)
		n += a64_load_relaxed(&board->per_op[i]);
	return n;
}

static void
note_stall(uint64_t ms)
{
	if (ms > soak.longest_stall)
		soak.longest_stall = ms;
}

/* Some operation must end now and then; called often. */
static bool
moves(void)
{
	static uint64_t last_ops, last_ms;
	const uint64_t now = ms_now(), done = ops_done();

	if (done != last_ops || !last_ms) {
		last_ops = done;
		last_ms = now;
		return true;
	}
	note_stall(now - last_ms);
	if (now - last_ms < soak.stall_ms)
		return true;
	broken("nobody finished anything for %" PRIu64 " ms", now - last_ms);
	dump();
	last_ms = now;
	return false;
}

/* Nobody is killed: every thread must finish something. */
static bool
calm(void)
{
	uint64_t seen[WORKERS_MAX][THREADS_MAX];
	const uint64_t from = ms_now();
	uint64_t waited = 0;
	bool all = false;

	for (unsigned i = 0; i < soak.workers; i++)
		for (unsigned k = 0; k < THREADS_MAX; k++)
			seen[i][k] = board->actor[i][k].ops;
	while (!all && waited < soak.stall_ms) {
		us_sleep(1000);
		bury_and_replace(true);
		waited = ms_now() - from;
		all = true;
		for (unsigned i = 0; i < soak.workers; i++)
			for (unsigned k = 0; k < THREADS_MAX; k++)
				all &= a64_load_relaxed(
					       &board->actor[i][k].ops) !=
					       seen[i][k] ||
				       (k && !a32_load_acquire(
						     &board->actor[i][k]
							      .alive));
	}
	note_stall(waited);
	if (all)
		return true;
	broken("somebody finished nothing for %" PRIu64 " ms", waited);
	dump();
	return false;
}

static bool
storm(void)
{
	for (uint32_t n = 20 + random_below(150); n; n--) {
		const uint32_t what = random_below(100);
		const unsigned i = random_below(soak.workers);

		us_sleep(500 + random_below(4500));
		kill_worker(i);
		if (what < 20) /* two at once */
			kill_worker((i + 1) % soak.workers);
		bury_and_replace(true);
		if (what >= 80) { /* while it attaches */
			us_sleep(random_below(1500));
			kill_worker(i);
		}
		if (!moves())
			return false;
	}
	return true;
}

/* ---- judgement ---- */

static int
check_world(stoa_segment *seg, const world *w)
{
	{
		STOA_READ(rd, seg, &w->account[0].lock);
		check_accounts(rd, w);
		if (stoa_tx_error(rd))
			return stoa_tx_error(rd);
	}
	STOA_READ(rd, seg, &w->map_lock, &w->text_lock, &w->vec_lock,
		&w->str_lock, &w->graph_lock, &w->box_lock);
	check_map(rd, w);
	check_text(rd, w);
	check_vec(rd, w);
	check_str(rd, w);
	check_graph(rd, w);
	check_boxes(rd, w);
	return stoa_tx_error(rd);
}

static int
check_rest(stoa_segment *seg, const world *w)
{
	STOA_TX(tx, seg, &w->ring_lock, stoa_segment_lock(seg));
	check_ring(tx, w);
	for (stoa_object it = stoa_object_begin(tx); stoa_object_next(&it);)
		if (!strncmp(it.name, "thing", 5))
			check_thing(tx, it.data);
	for (int i = 0; i < OWNERS; i++)
		if (stoa_owner_alive(tx, w->owner[i]))
			broken("owner %d is dead and alive", i);
	return stoa_tx_error(tx);
}

/* Everybody is dead. What is there must be whole, and owned by something. */
static bool
judge(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const uint64_t from = ms_now();
	const world *w = NULL;
	const uint32_t errors = a32_load_acquire(&board->errors);
	int64_t leaked = 0;
	int rc = open_world(&seg, &w);

	if (!rc) {
		const int n = stoa_segment_recover(seg);

		rc = n < 0 ? n : 0;
	}
	if (!rc)
		rc = check_world(seg, w);
	if (!rc)
		rc = check_rest(seg, w);
	note_stall(ms_now() - from);
	if (!rc)
		rc = stoa_segment_check(seg);
	if (!rc)
		leaked = stoa_segment_leaked(seg);
	if (rc || leaked < 0)
		broken("judgement: %s (%s)",
			stoa_strerror(rc ? rc : (int)leaked),
			stoa_error_text());
	if (leaked > 0) {
		soak.leaked += leaked;
		broken("%" PRId64 " blocks leaked: %s", leaked,
			stoa_error_text());
	}
	soak.judged++;
	if (a32_load_acquire(&board->errors) == errors)
		return true;
	dump();
	return false;
}

/* ---- the whole ---- */

static int
fill_world(void)
{
	STOA_CLEANUP(stoa_segment) seg = NULL;
	const world *w = NULL;
	int rc = open_world(&seg, &w);

	if (rc)
		return rc;
	STOA_TX(tx, seg, &w->account[0].lock);
	for (int i = 0; i < ACCOUNTS; i++) {
		if (i && stoa_tx_lock(tx, &w->account[i].lock))
			return stoa_tx_error(tx);
		STOA_SET(tx, w->account[i].balance, START_BALANCE);
	}
	STOA_SET(tx, w->filled, 1);
	return stoa_tx_commit(tx);
}

static void
run(void)
{
	const uint64_t end = ms_now() + (uint64_t)soak.seconds * 1000;
	uint64_t report_at = ms_now() + 10000;
	bool good = true;

	bury_and_replace(true);
	while (good && ms_now() < end &&
		a32_load_acquire(&board->errors) < ERRORS_MAX) {
		good = storm() && calm();
		if (good && random_below(3) == 0) {
			kill_all();
			good = judge();
			bury_and_replace(true);
		}
		if (ms_now() < report_at)
			continue;
		report_at += 10000;
		printf("  %" PRIu64 " kills, %" PRIu64
		       " operations, %u errors\n",
			soak.kills, ops_done(), board->errors);
		fflush(stdout);
	}
	kill_all();
	judge();
}

static int
report(void)
{
	const uint32_t errors = board->errors;

	for (unsigned i = 0; i < OPS; i++)
		if (!board->per_op[i] && soak.seconds >= 5)
			broken("'%s' never ended", ops[i].name);
	printf("kills          %10" PRIu64 "  (all at once: %" PRIu64 ")\n"
	       "operations     %10" PRIu64 "\n"
	       "judgements     %10" PRIu64 "\n"
	       "longest stall  %10" PRIu64 " ms\n"
	       "errors         %10u\n"
	       "leaked         %10" PRId64 "\n",
		soak.kills, soak.deaths_of_all, ops_done(), soak.judged,
		soak.longest_stall, board->errors, soak.leaked);
	if (board->errors)
		printf("again: STOA_SEED=%" PRIu64 "\n", soak.seed);
	printf("%" PRIu64 " passed, %u failed\n",
		soak.judged - (soak.judged && errors ? 1 : 0), board->errors);
	return board->errors != 0;
}

static int
options(int argc, char **argv)
{
	static const struct option known[] = {
		{"seconds", required_argument, NULL, 's'},
		{"workers", required_argument, NULL, 'w'},
		{"stall-ms", required_argument, NULL, 'm'},
		{"without-tokens", no_argument, NULL, 't'},
		{"without-waitv", no_argument, NULL, 'v'}, {NULL, 0, NULL, 0}};
	const char *seed = getenv("STOA_SEED");
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int c;

	soak.seconds = 10;
	soak.stall_ms = STALL_MS;
	soak.workers = 2 * (unsigned)(cores > 0 ? cores : 1) + 1;
	soak.seed = seed ? strtoull(seed, NULL, 0)
			 : ms_now() * UINT64_C(2654435761);
	while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
		if (c == 's')
			soak.seconds = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'w')
			soak.workers = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'm')
			soak.stall_ms = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 't')
			soak.without |= STOA_WITHOUT_TOKENS;
		else if (c == 'v')
			soak.without |= STOA_WITHOUT_WAITV;
		else
			return -1;
	}
	soak.random = soak.seed;
	return soak.workers < 1 || soak.workers > WORKERS_MAX ? -1 : 0;
}

static int
set_up(void)
{
	strcpy(soak.folder, "/dev/shm/stoa-soak-XXXXXX");
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED || !mkdtemp(soak.folder) ||
		setenv("STOA_DIRECTORY", soak.folder, 1))
		return -errno;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return fill_world();
}

static void
clean_up(void)
{
	char command[96];

	snprintf(command, sizeof command, "rm -rf '%s'", soak.folder);
	if (system(command))
		perror(command);
}

int
main(int argc, char **argv)
{
	int rc;

	if (options(argc, argv)) {
		fputs("usage: soak [--seconds N] [--workers 1..64] "
		      "[--stall-ms N] [--without-tokens] [--without-waitv]\n",
			stderr);
		return 2;
	}
	printf("soak: %u s, %u workers%s%s, STOA_SEED=%" PRIu64 "\n",
		soak.seconds, soak.workers,
		soak.without & STOA_WITHOUT_TOKENS ? ", without tokens" : "",
		soak.without & STOA_WITHOUT_WAITV ? ", without waitv" : "",
		soak.seed);
	fflush(stdout);
	rc = set_up();
	if (rc) {
		fprintf(stderr, "soak: %s (%s)\n", stoa_strerror(rc),
			stoa_error_text());
		printf("0 passed, 1 failed\n");
		return 1;
	}
	run();
	rc = report();
	clean_up();
	return rc;
}
