/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Geometry: where everything lies in a segment, from a few wishes; and whether a
 * header that somebody wrote says the same. A header is right only if computing
 * its layout again from its own parameters gives its own offsets: so no offset
 * in it has to be believed.
 */
#include "segment/geometry.h"
#include "base/hash.h"
#include "os/os.h"
#include "segment/upper.h"

/* A build for tools that leave less address space to a program may say less. */
#ifndef STOA_LIMIT_SHIFT
 #define STOA_LIMIT_SHIFT 36
#endif

enum {
	DEFAULT_SIZE_SHIFT = 20,
	DEFAULT_LIMIT_SHIFT = STOA_LIMIT_SHIFT
};

static uint32_t
span_shift_for(uint64_t size)
{
	if (size < UINT64_C(16) << 10)
		return 8;
	if (size < UINT64_C(1) << 20)
		return 12;
	return size < UINT64_C(64) << 20 ? 14 : 16;
}

static uint32_t
slots_for(uint32_t threads, uint64_t size)
{
	if (threads)
		return threads + 1; /* one for the command */
	if (size >= UINT64_C(1) << 20)
		return STOAI_SLOTS_MAX;
	return (uint32_t)stoai_max(4, size >> 12) + 1;
}

/* Offsets from the parameters that are in h already, and the heap's limit. */
static int
lay_out(struct stoai_header *h, uint64_t limit)
{
	uint64_t span = UINT64_C(1) << h->span_shift;
	uint64_t align = stoai_max(span, h->page_size);
	uint64_t spans, at;

	if (stoai_add_overflows(limit, span - 1, &limit))
		return -EINVAL;
	spans = limit >> h->span_shift;
	if (!spans || spans > UINT32_MAX)
		return -EINVAL;
	h->slots_off = STOAI_HEADER_SIZE;
	at = h->slots_off + (uint64_t)h->slot_count * sizeof(struct stoai_slot);
	h->lanes_off = stoai_align_up(at, h->page_size);
	at = h->lanes_off + (uint64_t)h->slot_count * h->lane_stride;
	h->table_off = stoai_align_up(at, 64);
	h->meta_off =
		stoai_align_up(h->table_off + spans * sizeof(uint64_t), 64);
	at = h->meta_off + spans * h->meta_stride;
	h->heap_off = stoai_align_up(at, align);
	h->reserve = h->heap_off + (spans << h->span_shift);
	return h->reserve >> 44 ? -EINVAL : 0;
}

uint64_t
stoai_geometry_size(const struct stoai_wish *wish)
{
	uint64_t size = UINT64_C(1) << DEFAULT_SIZE_SHIFT;

	if (wish->size)
		return wish->size;
	return wish->limit ? stoai_min(size, wish->limit) : size;
}

int
stoai_geometry(const struct stoai_wish *wish, struct stoai_header *h)
{
	uint64_t size = stoai_geometry_size(wish);
	uint64_t limit =
		wish->limit ? wish->limit : UINT64_C(1) << DEFAULT_LIMIT_SHIFT;

	if (wish->threads >= STOAI_SLOTS_MAX)
		return stoai_error(-EINVAL,
			"options.threads is %u; at most %d can be attached at "
			"the same time",
			wish->threads, STOAI_SLOTS_MAX - 1);
	if (wish->limit && wish->limit < size)
		return stoai_error(
			-EINVAL, "options.limit is smaller than options.size");
	limit = stoai_max(limit, size);
	h->span_shift = span_shift_for(size);
	h->meta_stride = stoai_upper.meta_stride(h->span_shift);
	h->slot_count = slots_for(wish->threads, size);
	h->page_size =
		wish->shared ? (uint32_t)stoai_os_page_size() : STOAI_PAGELESS;
	h->lane_stride = wish->shared                ? h->page_size
			 : size < UINT64_C(64) << 10 ? STOAI_LANE_MIN
			 : size < UINT64_C(1) << 20  ? 2 * STOAI_LANE_MIN
						     : 4096;
	if (lay_out(h, limit))
		return stoai_error(-EINVAL, "options.size and .limit do not "
					    "fit: a segment may have "
					    "up to 16 TiB");
	return 0;
}

int
stoai_geometry_growing(uint64_t total, uint64_t limit, uint32_t threads,
	struct stoai_header *h)
{
	struct stoai_wish wish = {.size = stoai_min(total, limit),
		.limit = limit,
		.threads = threads};
	int rc = stoai_geometry(&wish, h);

	if (!rc && (total < h->heap_off ||
			   total - h->heap_off < UINT64_C(1) << h->span_shift))
		rc = stoai_error(-EINVAL,
			"a buffer of %llu bytes is too small for a .limit of "
			"%llu: tables and threads take %llu",
			(unsigned long long)total, (unsigned long long)limit,
			(unsigned long long)h->heap_off);
	return rc;
}

int
stoai_geometry_within(uint64_t total, uint32_t threads, struct stoai_header *h)
{
	uint64_t low = 0, high = total;

	if (total < STOAI_BUFFER_MIN)
		return stoai_error(-EINVAL,
			"a buffer of %llu bytes is too small; %d is the least",
			(unsigned long long)total, STOAI_BUFFER_MIN);
	/* the largest heap whose segment fits; all parameters from the total */
	while (low < high) {
		uint64_t half = low + (high - low + 1) / 2;
		struct stoai_wish wish = {.size = half,
			.limit = half,
			.threads = threads                      ? threads
				   : total < UINT64_C(64) << 10 ? 2
								: 0};

		if (!stoai_geometry(&wish, h) && h->reserve <= total)
			low = half;
		else
			high = half - 1;
	}
	if (low) {
		struct stoai_wish wish = {.size = low,
			.limit = low,
			.threads = threads                      ? threads
				   : total < UINT64_C(64) << 10 ? 2
								: 0};

		return stoai_geometry(&wish, h);
	}
	return stoai_error(-EINVAL,
		"a buffer of %llu bytes has no room for %u threads",
		(unsigned long long)total, threads);
}

uint64_t
stoai_geometry_sum(const struct stoai_header *h)
{
	return stoai_hash_sum(h, offsetof(struct stoai_header, sum));
}

static int
identity_check(const struct stoai_header *h, const char *name)
{
	if (h->magic != STOAI_MAGIC)
		return stoai_error(-EPROTO,
			"%s: not a stoa segment: it begins with %016llx", name,
			(unsigned long long)h->magic);
	if (h->byte_order != STOAI_BYTE_ORDER)
		return stoai_error(-ENOTSUP,
			"%s: made on a machine of another byte order", name);
	if (h->layout_version != STOAI_LAYOUT_VERSION)
		return stoai_error(-ENOTSUP,
			"%s: has layout version %u; this library reads %d",
			name, h->layout_version, STOAI_LAYOUT_VERSION);
	if (h->sum != stoai_geometry_sum(h))
		return stoai_error(-EBADMSG,
			"%s: damaged: header sum is %016llx, should be %016llx",
			name, (unsigned long long)h->sum,
			(unsigned long long)stoai_geometry_sum(h));
	if (h->features_incompat & ~(uint64_t)STOAI_FEATURES)
		return stoai_error(-ENOTSUP,
			"%s: uses features %#llx that this library does not "
			"know",
			name, (unsigned long long)h->features_incompat);
	return 0;
}

int
stoai_geometry_check(const struct stoai_header *h, const char *name, bool write)
{
	struct stoai_header want = *h;
	int rc = identity_check(h, name);

	if (rc)
		return rc;
	if (write && h->features_rocompat)
		return stoai_error(-EROFS,
			"%s: uses features %#llx that this library can only "
			"read",
			name, (unsigned long long)h->features_rocompat);
	if (h->span_shift < 8 || h->span_shift > 16 || !h->slot_count ||
		h->slot_count > STOAI_SLOTS_MAX ||
		h->meta_stride != stoai_upper.meta_stride(h->span_shift) ||
		h->lane_stride < STOAI_LANE_MIN || h->lane_stride % 64 ||
		h->lane_stride > 1 << 20 || !stoai_is_pow2(h->page_size) ||
		h->page_size < 64 || h->page_size > 1 << 20 ||
		h->reserve <= h->heap_off ||
		lay_out(&want, h->reserve - h->heap_off) ||
		memcmp(&want, h, offsetof(struct stoai_header, pad1)) != 0 ||
		h->root_off < h->heap_off || h->root_off >= h->reserve ||
		h->root_off % 16)
		return stoai_error(-EBADMSG,
			"%s: damaged: the header's layout contradicts itself",
			name);
	return 0;
}
