/* SPDX-License-Identifier: BSL-1.0 */
/* Boost.Interprocess, as its manual shows its use. See peer_boost.h. */
#include "peer_boost.h"
#include <boost/functional/hash.hpp>
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/containers/string.hpp>
#include <boost/interprocess/containers/vector.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/interprocess_sharable_mutex.hpp>
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
	uint64_t value = 0;
};

segment *seg;
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
	return told([size] {
		const std::string name = name_of("segment-");

		ip::shared_memory_object::remove(name.c_str());
		seg = new segment(ip::create_only, name.c_str(), size);
		ip::shared_memory_object::remove(name.c_str());
		theirs = seg->construct<cell>("cell")();
	});
}

bool
boost_start(const struct measure_row *, int)
{
#ifdef MADV_POPULATE_WRITE
	(void)madvise(seg->get_address(), seg->get_size(), MADV_POPULATE_WRITE);
#endif
	return true;
}

void
boost_close(void)
{
	delete seg;
	seg = nullptr;
}

/* ---- locks ---- */

bool
boost_lock_loop(const struct measure_row *, int, uint64_t count)
{
	return told([count] {
		for (uint64_t i = 0; i < count; i++) {
			theirs->mutex.lock();
			measure_use(theirs);
			theirs->mutex.unlock();
		}
	});
}

bool
boost_shared_loop(const struct measure_row *, int, uint64_t count)
{
	return told([count] {
		for (uint64_t i = 0; i < count; i++) {
			theirs->lock.lock_sharable();
			measure_use(theirs);
			theirs->lock.unlock_sharable();
		}
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

uint64_t
boost_free_bytes(void)
{
	return seg->get_free_memory();
}

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
boost_vec_push(uint64_t count)
{
	return told([count] {
		for (uint64_t i = 0; i < count; i += BATCH) {
			ip::scoped_lock<ip::interprocess_mutex> l(
				theirs->mutex);

			for (uint64_t k = i; k < i + BATCH; k++)
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
