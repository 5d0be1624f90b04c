/* SPDX-License-Identifier: BSL-1.0 */
/* A C++17 program that wraps the C interface in a guard of its own taste. */
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <stoa/stoa.h>

typedef struct quote {
	int64_t bid, ask;
	stoa_str venue;
} quote;
STOA_TYPE(quote, bid, ask, venue);

#define STOA_NAME quotes
#define STOA_KEY  uint64_t
#define STOA_VAL  quote
#include <stoa/template/hashmap.h>

typedef struct entry {
	stoa_str key;
	uint64_t size;
} entry;
STOA_TYPE(entry, key, size);

#define STOA_NAME entries
#define STOA_VAL  entry
#include <stoa/template/vec.h>

typedef struct market {
	stoa_rwlock lock;
	quotes now;
	entries files;
} market;
STOA_TYPE(market, lock, (now, quotes), (files, entries));

namespace stoa
{

struct error : std::runtime_error {
	int code;
	explicit error(int rc) : std::runtime_error(stoa_error_text()), code(rc)
	{
	}
};

inline void
check(int rc)
{
	if (rc < 0)
		throw error(rc);
}

struct closer {
	void
	operator()(stoa_segment *s) const
	{
		stoa_segment_close(s);
	}
};
using segment = std::unique_ptr<stoa_segment, closer>;

inline segment
open(const char *name)
{
	stoa_segment *s = nullptr;
	stoa_segment_options o = stoa_segment_options_init();

	o.size = 1 << 20;
	check(stoa_segment_open(name, STOA_CREATE, &o, &s));
	return segment(s);
}

/* A scope guard: an exception undoes. */
class tx
{
	stoa_tx *tx_;

      public:
	template <class... L> explicit tx(stoa_segment *seg, L... lock)
	{
		const stoa_hold holds[] = {stoa_hold_of(lock)..., stoa_hold()};

		tx_ = stoa_tx_begin(seg, holds, sizeof...(lock), STOA_FOREVER);
	}
	~tx()
	{
		stoa_tx_end(tx_);
	}
	tx(const tx &) = delete;
	tx &operator=(const tx &) = delete;
	operator stoa_tx *() const
	{
		return tx_;
	}
	void
	commit()
	{
		check(stoa_tx_commit(tx_));
	}
};

template <class F, class... L>
void
transact(stoa_segment *seg, F &&body, L... lock)
{
	tx t(seg, lock...);

	std::forward<F>(body)(static_cast<stoa_tx *>(t));
	t.commit();
}

} // namespace stoa

/* The C macros work as they are. */
static std::optional<int64_t>
bid(stoa_segment *seg, const market *m, uint64_t id)
{
	STOA_READ(rd, seg, &m->lock);
	const quote *q = quotes_get(rd, &m->now, id);

	return q ? std::optional<int64_t>(q->bid) : std::nullopt;
}

static void
fill(stoa_segment *seg, const market *m)
{
	stoa::tx tx(seg, &m->lock);
	quote *q = quotes_ensure(tx, &m->now, 42);

	q->bid = 99;
	stoa_str_set(tx, &q->venue, "XETR");
	entry *e = entries_add(tx, &m->files);
	e->size = 4096;
	stoa_str_set(tx, &e->key, "a.txt");
	tx.commit();
}

static void
fail(stoa_segment *seg, const market *m)
try {
	stoa::tx tx(seg, &m->lock);

	quotes_ensure(tx, &m->now, 42)->bid = 0;
	throw std::runtime_error("changed my mind");
} catch (const std::exception &e) {
	std::printf("%s: undone\n", e.what());
}

static void
print(stoa_segment *seg, const market *m)
{
	STOA_READ(rd, seg, &m->lock);
	const quote *q = quotes_get(rd, &m->now, 42);
	const entry *e = entries_get(rd, &m->files, 0);

	if (q && e)
		std::printf("%lld/%lld at %s, %s of %llu bytes\n",
			static_cast<long long>(q->bid),
			static_cast<long long>(q->ask),
			stoa_str_get(rd, &q->venue), stoa_str_get(rd, &e->key),
			static_cast<unsigned long long>(e->size));
}

int
main()
try {
	stoa::segment seg = stoa::open("cxx");
	const market *m = nullptr;

	stoa::check(stoa_object_open(seg.get(), "market", market, &m));
	fill(seg.get(), m);
	fail(seg.get(), m);
	stoa::transact(
		seg.get(),
		[&](stoa_tx *t) {
			const quote *old = quotes_get(t, &m->now, 42);

			if (old != nullptr)
				STOA_SET(t, old->ask, old->bid + 2);
		},
		&m->lock);
	int rc =
		STOA_DO(t, (seg.get(), &m->lock), quotes_remove(t, &m->now, 7));
	stoa::check(rc);
	print(seg.get(), m);
	std::printf("bid %lld\n",
		static_cast<long long>(bid(seg.get(), m, 42).value_or(0)));
} catch (const std::exception &e) {
	std::fprintf(stderr, "%s\n", e.what());
	return 1;
}
