/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Self-relative pointers: a field that says how far from itself its target lies.
 * It leads to the same bytes wherever the memory around both is mapped, needs no
 * segment and no transaction, and may stand in a plain region, in a file, in a
 * buffer that is copied as a whole.
 *
 *	typedef struct node node;
 *	struct node { int value; STOA_PTR(node) next; };      any T, also incomplete
 *	stoa_ptr_set(n->next, other);
 *	for (node *i = stoa_ptr_get(list->head); i; i = stoa_ptr_get(i->next)) ...
 *
 * Zero bytes are null. Null and the field's own address are both values that it can
 * have. Seven more bits (stoa_ptr_tag) are the user's, whatever T's alignment; set
 * keeps them, and null may have them too.
 *
 * Which one: STOA_REF (ref.h) in a segment. A reference may be copied, moved by a
 * vector, and stored in a map; it is verified each time that it is followed, and
 * the description knows where it leads (JSON, deletion, leaks). A stoa_ptr is
 * verified by nobody, is faster by that, and is for memory without a segment, or
 * inside one object of a segment, where a const T is pointed to: STOA_PTR(const T),
 * set by STOA_PTR_SET.
 *
 * Synchronisation: a field is one aligned word of 8 bytes; the user's locks guard it.
 *
 * Caveats: a copy of the field alone (assignment, memcpy, realloc of what is around
 * it) leads elsewhere: stoa_ptr_copy. A copy of field and target together is fine.
 * Field and target lie in one mapping. Fork is no matter.
 */
#ifndef STOA_PTR_H
#define STOA_PTR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stoa/attr.h>

/* bits 8..63: distance in bytes, signed; bit 7: it is not null; bits 0..6: the tag */
typedef struct stoa_ptr {
	uint64_t word_;
} stoa_ptr;

/* Half the size, no tag: reaches 1 GiB to either side. Bits 1..31: distance; bit 0: not null. */
typedef struct stoa_ptr32 {
	uint32_t word_;
} stoa_ptr32;

enum {
	STOA_PTR_TAG_MAX  = 127,
	STOA_PTR_SET_BIT_ = 128
};

/* type_ is never read; it carries T for the macros */
#define STOA_PTR(T) union { stoa_ptr ptr; T *type_; }

#ifdef __cplusplus
#define STOA_PTR_TYPE_(p) std::remove_cv_t<std::remove_reference_t<decltype((p).type_)>>
#else
#define STOA_PTR_TYPE_(p) __typeof__(((void)0, (p).type_)) /* a comma's value has no const */
#endif

/* -> T *, NULL when null */
#define stoa_ptr_get(p)          ((STOA_PTR_TYPE_(p))stoa_ptr_at_(&(p).ptr))
/* target: T *, or NULL. The tag stays. */
#define stoa_ptr_set(p, target)  stoa_ptr_put_(&(p).ptr, 1 ? (target) : (p).type_)
/* to = from, wherever the two fields are; the tag comes along */
#define stoa_ptr_copy(to, from) \
	(stoa_ptr_set((to), stoa_ptr_get(from)), stoa_ptr_set_tag((to), stoa_ptr_tag(from)))
/* n elements further, or back; n may be negative; null stays null */
#define stoa_ptr_add(p, n)       stoa_ptr_move_(&(p).ptr, (ptrdiff_t)(n) * (ptrdiff_t)sizeof(*(p).type_))
/* elements from b to a; neither is null */
#define stoa_ptr_diff(a, b)      (stoa_ptr_get(a) - stoa_ptr_get(b))
#define stoa_ptr_is_null(p)      (!((p).ptr.word_ & STOA_PTR_SET_BIT_))
/* by target, whatever the tags; against a raw pointer: stoa_ptr_get(a) == p */
#define stoa_ptr_equal(a, b)     (stoa_ptr_get(a) == stoa_ptr_get(b))
#define stoa_ptr_less(a, b)      ((uintptr_t)stoa_ptr_get(a) < (uintptr_t)stoa_ptr_get(b))
/* -> U *, of the same address; const is not cast away */
#define stoa_ptr_cast(U, p)      ((U *)(void *)stoa_ptr_get(p))
#define stoa_ptr_cast_const(U, p) ((const U *)(const void *)stoa_ptr_get(p))
/* 0 to STOA_PTR_TAG_MAX */
#define stoa_ptr_tag(p)          ((unsigned)((p).ptr.word_ & STOA_PTR_TAG_MAX))
#define stoa_ptr_set_tag(p, tag) stoa_ptr_put_tag_(&(p).ptr, (tag))
/* stoa_ptr_set inside a transaction (stoa/tx.h), undone with it. The field is const there. */
#define STOA_PTR_SET(tx, p, target) \
	STOA_SET((tx), (p).ptr, stoa_ptr_made_(&(p).ptr, 1 ? (target) : (p).type_))

/* ---- what the macros stand on ---- */

static inline void *stoa_ptr_at_(const stoa_ptr *p)
{
	const uint64_t set = (p->word_ >> 7) & 1;

	/* no branch: a mask of all ones, or of none */
	return (void *)(((uintptr_t)p + (uintptr_t)((int64_t)p->word_ >> 8)) & (uintptr_t)(0 - set));
}

/* What p has to hold to lead to target; p itself stays as it is. */
static inline stoa_ptr stoa_ptr_made_(const stoa_ptr *p, const void *target)
{
	stoa_ptr made;

	made.word_ = p->word_ & STOA_PTR_TAG_MAX;
	if (target)
		made.word_ |= (uint64_t)((uintptr_t)target - (uintptr_t)p) << 8 | STOA_PTR_SET_BIT_;
	return made;
}

static inline void stoa_ptr_put_(stoa_ptr *p, const void *target)
{
	*p = stoa_ptr_made_(p, target);
}

static inline void stoa_ptr_move_(stoa_ptr *p, ptrdiff_t bytes)
{
	if (p->word_ & STOA_PTR_SET_BIT_)
		p->word_ += (uint64_t)bytes << 8;
}

static inline void stoa_ptr_put_tag_(stoa_ptr *p, unsigned tag)
{
	p->word_ = (p->word_ & ~(uint64_t)STOA_PTR_TAG_MAX) | (tag & STOA_PTR_TAG_MAX);
}

/* -> T *, NULL when null */
#define stoa_ptr32_get(T, p) ((T *)stoa_ptr32_at_(p))

static inline void *stoa_ptr32_at_(const stoa_ptr32 *p)
{
	const uint32_t set = p->word_ & 1;

	return (void *)(((uintptr_t)p + (uintptr_t)(intptr_t)((int32_t)p->word_ >> 1)) & (0 - (uintptr_t)set));
}

/* false, and null: the target is more than 1 GiB away */
static inline STOA_NODISCARD bool stoa_ptr32_set(stoa_ptr32 *p, const void *target)
{
	const int64_t far = (int64_t)((uintptr_t)target - (uintptr_t)p);
	const bool reached = target && far >= -(INT64_C(1) << 30) && far < INT64_C(1) << 30;

	p->word_ = reached ? (uint32_t)(uint64_t)far << 1 | 1u : 0u;
	return reached || !target;
}

#ifdef __cplusplus
#include <iterator>
#include <type_traits>

namespace stoa {

/*
 * The same 8 bytes with the manners of a C++ pointer: copying leads to the same
 * target, a pointer to a derived class becomes one to its base, and it is a random
 * access iterator (so a container's allocator may name it as its pointer).
 */
template <class T> class ptr {
	stoa_ptr ptr_;
	template <class U> friend class ptr;

public:
	using element_type = T;
	using value_type = std::remove_cv_t<T>;
	using difference_type = std::ptrdiff_t;
	using pointer = ptr;
	using reference = std::add_lvalue_reference_t<T>;
	using iterator_category = std::random_access_iterator_tag;
	template <class U> using rebind = ptr<U>;

	ptr(T *to = nullptr) noexcept : ptr_() { stoa_ptr_put_(&ptr_, to); }
	ptr(const ptr &other) noexcept : ptr_() { *this = other; }
	template <class U, class = std::enable_if_t<std::is_convertible<U *, T *>::value>>
	ptr(const ptr<U> &other) noexcept : ptr_() { stoa_ptr_put_(&ptr_, static_cast<T *>(other.get())); }
	ptr &operator=(const ptr &other) noexcept
	{
		stoa_ptr_put_(&ptr_, other.get());
		tag(other.tag());
		return *this;
	}
	ptr &operator=(T *to) noexcept { stoa_ptr_put_(&ptr_, to); return *this; }
	static ptr pointer_to(std::conditional_t<std::is_void<T>::value, char, T> &r) noexcept { return ptr(&r); }

	T *get() const noexcept { return static_cast<T *>(stoa_ptr_at_(&ptr_)); }
	unsigned tag() const noexcept { return static_cast<unsigned>(ptr_.word_ & STOA_PTR_TAG_MAX); }
	void tag(unsigned bits) noexcept { stoa_ptr_put_tag_(&ptr_, bits); }
	reference operator*() const noexcept { return *get(); }
	T *operator->() const noexcept { return get(); }
	template <class R = reference> R operator[](difference_type i) const noexcept { return get()[i]; }
	explicit operator bool() const noexcept { return ptr_.word_ & STOA_PTR_SET_BIT_; }

	ptr &operator+=(difference_type n) noexcept { return *this = get() + n; }
	ptr &operator-=(difference_type n) noexcept { return *this = get() - n; }
	ptr &operator++() noexcept { return *this += 1; }
	ptr &operator--() noexcept { return *this -= 1; }
	ptr operator++(int) noexcept { ptr was(*this); ++*this; return was; }
	ptr operator--(int) noexcept { ptr was(*this); --*this; return was; }
	friend ptr operator+(const ptr &p, difference_type n) noexcept { return ptr(p.get() + n); }
	friend ptr operator+(difference_type n, const ptr &p) noexcept { return ptr(p.get() + n); }
	friend ptr operator-(const ptr &p, difference_type n) noexcept { return ptr(p.get() - n); }
	friend difference_type operator-(const ptr &a, const ptr &b) noexcept { return a.get() - b.get(); }
	friend bool operator==(const ptr &a, const ptr &b) noexcept { return a.get() == b.get(); }
	friend bool operator!=(const ptr &a, const ptr &b) noexcept { return a.get() != b.get(); }
	friend bool operator<(const ptr &a, const ptr &b) noexcept { return a.get() < b.get(); }
	friend bool operator>(const ptr &a, const ptr &b) noexcept { return b < a; }
	friend bool operator<=(const ptr &a, const ptr &b) noexcept { return !(b < a); }
	friend bool operator>=(const ptr &a, const ptr &b) noexcept { return !(a < b); }
};

template <class U, class T> ptr<U> static_pointer_cast(const ptr<T> &p) { return ptr<U>(static_cast<U *>(p.get())); }
template <class U, class T> ptr<U> const_pointer_cast(const ptr<T> &p) { return ptr<U>(const_cast<U *>(p.get())); }
template <class U, class T> ptr<U> dynamic_pointer_cast(const ptr<T> &p) { return ptr<U>(dynamic_cast<U *>(p.get())); }
template <class U, class T> ptr<U> reinterpret_pointer_cast(const ptr<T> &p) { return ptr<U>(reinterpret_cast<U *>(p.get())); }

} /* namespace stoa */
#endif

#endif
