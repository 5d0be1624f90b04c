/* SPDX-License-Identifier: BSL-1.0 */
/* Boost.Interprocess, as its manual shows its use. See peer_boost.h. */
#include "peer_boost.h"
#include <boost/functional/hash.hpp>
#include <boost/interprocess/allocators/adaptive_pool.hpp>
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/allocators/cached_adaptive_pool.hpp>
#include <boost/interprocess/allocators/cached_node_allocator.hpp>
#include <boost/interprocess/allocators/node_allocator.hpp>
#include <boost/interprocess/allocators/private_adaptive_pool.hpp>
#include <boost/interprocess/allocators/private_node_allocator.hpp>
#include <boost/interprocess/containers/string.hpp>
#include <boost/interprocess/containers/vector.hpp>
#include <boost/interprocess/indexes/iset_index.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/mem_algo/simple_seq_fit.hpp>
#include <boost/interprocess/sync/interprocess_condition.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/interprocess_semaphore.hpp>
#include <boost/interprocess/sync/interprocess_sharable_mutex.hpp>
#include <boost/interprocess/sync/interprocess_upgradable_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/interprocess/sync/sharable_lock.hpp>
#include <boost/unordered_map.hpp>
#include <boost/version.hpp>
#include <exception>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace ip = boost::interprocess;

namespace
{

constexpr uint64_t BATCH = 16;

using segment = ip::managed_shared_memory;
using manager = segment::segment_manager;
template <class T> using in_segment = ip::allocator<T, manager>;
using number_pair = std::pair<const uint64_t, uint64_t>;
using numbers = boost::unordered_map<uint64_t, uint64_t, boost::hash<uint64_t>,
	std::equal_to<uint64_t>, in_segment<number_pair>>;
using sequence = ip::vector<uint64_t, in_segment<uint64_t>>;
using string = ip::basic_string<char, std::char_traits<char>, in_segment<char>>;

struct cell {
	alignas(64) ip::interprocess_mutex mutex;
	alignas(64) ip::interprocess_sharable_mutex lock;
	alignas(64) ip::interprocess_upgradable_mutex upgradable;
	alignas(64) ip::interprocess_semaphore semaphore{0};
	alignas(64) ip::interprocess_semaphore way[2] = {
		ip::interprocess_semaphore{0}, ip::interprocess_semaphore{0}};
	alignas(64) ip::interprocess_mutex guard;
	ip::interprocess_condition changed;
	uint32_t ball[2] = {0, 0}; // under guard
	uint64_t value = 0;
};

using seq_segment = ip::basic_managed_shared_memory<char,
	ip::simple_seq_fit<ip::mutex_family>, ip::iset_index>;

uint64_t seg_size;
int seg_opened; // more often than closed
segment *seg;
seq_segment *seq;
cell *theirs;
numbers *full, *map;
sequence *vec;
string *str;
uint64_t key_count;

/* Run it; what it throws is told. */
template <class F>
bool
told(F &&f)
{
	try {
		f();
		return true;
	} catch (const std::exception &e) {
		return measure_failed("boost: %s", e.what());
	}
}

std::string
name_of(const char *what)
{
	return std::string("stoa-bench-") + what + std::to_string(getpid());
}

} // namespace

const char *
boost_version(void)
{
	static const std::string text =
		std::to_string(BOOST_VERSION / 100000) + "." +
		std::to_string(BOOST_VERSION / 100 % 1000);

	return text.c_str();
}

/* The name goes at once: the workers inherit the mapping. */
bool
boost_open(uint64_t size)
{
	if (seg_opened++)
		return true;
	return told([size] {
		const std::string name = name_of("segment-");

		seg_size = size;

		ip::shared_memory_object::remove(name.c_str());
		seg = new segment(ip::create_only, name.c_str(), size);
		ip::shared_memory_object::remove(name.c_str());
		theirs = seg->construct<cell>("cell")();
	});
}

bool
boost_start(const struct measure_row *row, int)
{
	if (!row->untouched)
		measure_touch(seg->get_address(), seg->get_size());
	return true;
}

void
boost_close(void)
{
	if (--seg_opened)
		return;
	delete seg;
	seg = nullptr;
	delete seq;
	seq = nullptr;
}

/* ---- locks ---- */

bool
boost_lock_loop(const struct measure_row *row, int, uint64_t count)
{
	return told([row, count] {
		for (uint64_t i = 0; i < count; i++) {
			theirs->mutex.lock();
			measure_use(theirs);
			theirs->mutex.unlock();
			measure_between(row);
		}
	});
}

bool
boost_shared_loop(const struct measure_row *row, int, uint64_t count)
{
	return told([row, count] {
		for (uint64_t i = 0; i < count; i++) {
			theirs->lock.lock_sharable();
			measure_use(theirs);
			theirs->lock.unlock_sharable();
			measure_between(row);
		}
	});
}

bool
boost_exclusive_loop(const struct measure_row *row, int, uint64_t count)
{
	return told([row, count] {
		for (uint64_t i = 0; i < count; i++) {
			theirs->lock.lock();
			measure_use(theirs);
			theirs->lock.unlock();
			measure_between(row);
		}
	});
}

bool
boost_upgradable_loop(const struct measure_row *row, int, uint64_t count)
{
	return told([row, count] {
		for (uint64_t i = 0; i < count; i++) {
			theirs->upgradable.lock_upgradable();
			measure_use(theirs);
			theirs->upgradable.unlock_upgradable();
			measure_between(row);
		}
	});
}

bool
boost_semaphore_loop(const struct measure_row *row, int, uint64_t count)
{
	return told([row, count] {
		for (uint64_t i = 0; i < count; i++) {
			theirs->semaphore.post();
			theirs->semaphore.wait();
			measure_use(theirs);
			measure_between(row);
		}
	});
}

bool
boost_semaphore_give(int from)
{
	return told([from] { theirs->way[from].post(); });
}

bool
boost_semaphore_take(int from)
{
	return told([from] { theirs->way[from].wait(); });
}

bool
boost_condition_give(int from)
{
	return told([from] {
		ip::scoped_lock<ip::interprocess_mutex> held(theirs->guard);

		theirs->ball[from] = 1;
		theirs->changed.notify_one();
	});
}

bool
boost_condition_take(int from)
{
	return told([from] {
		ip::scoped_lock<ip::interprocess_mutex> held(theirs->guard);

		while (!theirs->ball[from])
			theirs->changed.wait(held);
		theirs->ball[from] = 0;
	});
}

bool
boost_word_loop(const struct measure_row *, int, uint64_t count)
{
	return told([count] {
		for (uint64_t i = 0; i < count; i++) {
			theirs->mutex.lock();
			theirs->value++;
			measure_use(theirs);
			theirs->mutex.unlock();
		}
	});
}

/* ---- heap ---- */

void *
boost_alloc(size_t size)
{
	return seg->allocate(size, std::nothrow);
}

void
boost_free(void *p)
{
	seg->deallocate(p);
}

/* As one chain, and back as one: its links are written into the blocks. */
bool
boost_many(size_t size, size_t count)
{
	return told([size, count] {
		segment::multiallocation_chain chain;

		seg->allocate_many(size, count, chain);
		seg->deallocate_many(chain);
	});
}

/* To that size in place; false: it cannot be. */
bool
boost_resize(void *p, size_t from, size_t to)
{
	segment::size_type size = to;
	char *reuse = static_cast<char *>(p);
	const auto how = to > from ? ip::expand_fwd : ip::shrink_in_place;

	return seg->allocation_command<char>(
		       static_cast<ip::allocation_type>(
			       how | ip::nothrow_allocation),
		       to > from ? to : from, size, reuse) != nullptr;
}

int64_t
boost_used(void)
{
	return static_cast<int64_t>(seg->get_size() - seg->get_free_memory());
}

/* Its free list is one for all sizes, so each worker gets a fresh segment. */
bool
boost_seq_start(const struct measure_row *row, int)
{
	return told([row] {
		const std::string name = name_of("seq-");

		ip::shared_memory_object::remove(name.c_str());
		seq = new seq_segment(ip::create_only, name.c_str(), seg_size);
		ip::shared_memory_object::remove(name.c_str());
		if (!row->untouched)
			measure_touch(seq->get_address(), seq->get_size());
	});
}

void *
boost_seq_alloc(size_t size)
{
	return seq->allocate(size, std::nothrow);
}

void
boost_seq_free(void *p)
{
	seq->deallocate(p);
}

int64_t
boost_seq_used(void)
{
	return static_cast<int64_t>(seq->get_size() - seq->get_free_memory());
}

/* ---- pools ---- */

namespace
{
struct fixed {
	uint64_t word[8];
};

/* What it allocates by, and that is all there is to it. */
template <class A> struct pool {
	static A *a;

	static bool
	start()
	{
		return told([] { a = new A(seg->get_segment_manager()); });
	}

	static void *
	alloc()
	{
		try {
			return a->allocate_one().get();
		} catch (const std::exception &) {
			return nullptr;
		}
	}

	static void
	free(void *p)
	{
		a->deallocate_one(static_cast<fixed *>(p));
	}

	static void
	stop()
	{
		delete a; // a private one gives its memory back
		a = nullptr;
	}
};
template <class A> A *pool<A>::a;
} // namespace

#define BOOST_POOL(name, type) \
 using name##_pool = pool<ip::type<fixed, manager>>; \
 bool boost_##name##_start(const struct measure_row *row, int role) \
 { \
  return boost_start(row, role) && name##_pool::start(); \
 } \
 void boost_##name##_stop(const struct measure_row *, int) \
 { \
  name##_pool::stop(); \
 } \
 void *boost_##name##_alloc(size_t) \
 { \
  return name##_pool::alloc(); \
 } \
 void boost_##name##_free(void *p) \
 { \
  name##_pool::free(p); \
 }

BOOST_POOL(node, node_allocator)
BOOST_POOL(private_node, private_node_allocator)
BOOST_POOL(cached_node, cached_node_allocator)
BOOST_POOL(adaptive, adaptive_pool)
BOOST_POOL(private_adaptive, private_adaptive_pool)
BOOST_POOL(cached_adaptive, cached_adaptive_pool)

/* ---- names ---- */

bool
boost_names_make(const char *(*name)(uint64_t i), uint64_t count)
{
	return told([name, count] {
		for (uint64_t i = 0; i < count; i++)
			seg->construct<uint64_t>(name(i))(i);
	});
}

bool
boost_name_find(const char *name)
{
	return seg->find<uint64_t>(name).first != nullptr;
}

/* ---- containers ---- */

bool
boost_containers_make(uint64_t keys)
{
	return told([keys] {
		manager *m = seg->get_segment_manager();

		full = seg->construct<numbers>("full")(
			in_segment<number_pair>(m));
		map = seg->construct<numbers>("map")(
			in_segment<number_pair>(m));
		vec = seg->construct<sequence>("vec")(in_segment<uint64_t>(m));
		str = seg->construct<string>("str")(in_segment<char>(m));
		for (uint64_t i = 0; i < keys; i++)
			full->emplace(measure_key(i), i);
		key_count = keys;
	});
}

/* Its buckets too: it begins small again. */
bool
boost_map_clear(void)
{
	return told([] {
		manager *m = seg->get_segment_manager();

		seg->destroy<numbers>("map");
		map = seg->construct<numbers>("map")(
			in_segment<number_pair>(m));
	});
}

bool
boost_map_insert(uint64_t keys)
{
	return told([keys] {
		for (uint64_t i = 0; i < keys; i += BATCH) {
			ip::scoped_lock<ip::interprocess_mutex> l(
				theirs->mutex);

			for (uint64_t k = i; k < i + BATCH; k++)
				map->emplace(measure_key(k), k);
		}
	});
}

bool
boost_map_erase(uint64_t keys)
{
	return told([keys] {
		for (uint64_t i = 0; i < keys; i += BATCH) {
			ip::scoped_lock<ip::interprocess_mutex> l(
				theirs->mutex);

			for (uint64_t k = i; k < i + BATCH; k++)
				map->erase(measure_key(k));
		}
	});
}

bool
boost_map_find_loop(const struct measure_row *, int, uint64_t count)
{
	static uint64_t state;

	return told([count] {
		for (uint64_t i = 0; i < count; i += BATCH) {
			ip::sharable_lock<ip::interprocess_sharable_mutex> l(
				theirs->lock);

			for (uint64_t k = 0; k < BATCH; k++) {
				uint64_t n = (measure_random(&state) >> 32) *
						     key_count >>
					     32;
				auto at = full->find(measure_key(n));

				if (at == full->end())
					throw std::runtime_error("not found");
				measure_use(&*at);
			}
		}
	});
}

bool
boost_vec_push(uint64_t count, uint64_t batch)
{
	return told([count, batch] {
		for (uint64_t i = 0; i < count; i += batch) {
			ip::scoped_lock<ip::interprocess_mutex> l(
				theirs->mutex);

			for (uint64_t k = i; k < i + batch; k++)
				vec->push_back(k);
		}
	});
}

bool
boost_vec_clear(void)
{
	return told([] {
		vec->clear();
		vec->shrink_to_fit();
	});
}

bool
boost_str_append(const char *text, size_t size, uint64_t count)
{
	return told([text, size, count] {
		for (uint64_t i = 0; i < count; i += BATCH) {
			ip::scoped_lock<ip::interprocess_mutex> l(
				theirs->mutex);

			for (uint64_t k = 0; k < BATCH; k++)
				str->append(text, size);
		}
	});
}

bool
boost_str_clear(void)
{
	return told([] {
		str->clear();
		str->shrink_to_fit();
	});
}

/* ---- attach ---- */

namespace
{
std::string attach_name;
}

bool
boost_attach_open(void)
{
	return told([] {
		attach_name = name_of("attach-");
		ip::shared_memory_object::remove(attach_name.c_str());
		segment made(ip::create_only, attach_name.c_str(), 1 << 20);
		made.construct<uint64_t>("word")(1);
	});
}

bool
boost_attach_loop(const struct measure_row *, int, uint64_t count)
{
	return told([count] {
		for (uint64_t i = 0; i < count; i++) {
			segment s(ip::open_only, attach_name.c_str());

			if (!s.find<uint64_t>("word").first)
				throw std::runtime_error("not found");
		}
	});
}

void
boost_attach_close(void)
{
	ip::shared_memory_object::remove(attach_name.c_str());
}
