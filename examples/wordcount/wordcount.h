/* SPDX-License-Identifier: BSL-1.0 */
/* The job that all workers share: what there is to count, and the counts. */
#ifndef WORDCOUNT_H
#define WORDCOUNT_H
#include <stdbool.h>
#include <stdint.h>
#include <stoa/stoa.h>

/* A piece of a file. Whoever takes it writes his name on it. */
typedef struct chunk {
	stoa_str path;
	uint64_t from, size;
	stoa_owner worker; /* who counts it; free again if he dies */
	uint32_t tries;    /* how often it was taken */
	bool done;
} chunk;
STOA_TYPE(chunk, path, from, size, worker, tries, done);

#define STOA_NAME chunks
#define STOA_VAL  chunk
#include <stoa/template/vec.h>

#define STOA_NAME counts
#define STOA_KEY  stoa_str
#define STOA_VAL  uint64_t
#include <stoa/template/hashmap.h>

/* Zero bytes are a job without work, so nobody has to set one up. */
typedef struct job {
	chunks list;
	counts words;
	uint64_t left;  /* chunks not done */
	uint64_t first; /* all before it are done */
	stoa_cond changed;
} job;
STOA_TYPE(job, (list, chunks), (words, counts), left, first, changed);

/* A word is a run of letters, digits and underscores; UTF-8 counts as letters. */
bool is_word(int ch);

/* Put the file's chunks on the list. */
int add(stoa_segment *seg, const job *j, const char *path);
/* Count chunks until all are done, by whomever. */
int work(stoa_segment *seg, const job *j);

#endif
