/* SPDX-License-Identifier: BSL-1.0 */
/*
 * STOA_TYPE and STOA_TYPE_OPAQUE: a description as constant data, and three kinds
 * of compile error.
 *
 *	STOA_TYPE(order, id, (fills, levels), (next, order, own))
 *	    enum stoa_there_is_no_STOA_TYPE_for_order
 *	                              0: a name that compilers quote where it is missing
 *	    enum stoa_pinned_order    does a lock lie in it? then it must not move
 *	    enum stoa_owning_order    does it own memory? then it must not be copied
 *	    stoa_fields_order[]       one stoa_field for each argument
 *	    stoa_type_order           the stoa_type
 *
 * Each of these is made by going over the arguments once (STOA_EACH_): a word is a
 * plain field (..._0), something in parentheses a typed one (..._1), which is told
 * by its number of parts (..._TYPED_3, ..._TYPED_4). Errors are made where the
 * offset is computed, so that they name type and field: a pointer; a kind that
 * cannot be found out; a type that is not the field's.
 *
 * C finds kinds with _Generic, C++ with templates; what is described is the same.
 */
#ifndef STOA_DETAIL_TYPE_MACROS_H
#define STOA_DETAIL_TYPE_MACROS_H

/* ---- the description ---------------------------------------------------------- */

#define STOA_TYPE(T, ...) \
	enum { \
		stoa_there_is_no_STOA_TYPE_for_##T = 0, \
		stoa_pinned_##T = 0 STOA_EACH_(STOA_PINNED_, T, __VA_ARGS__), \
		stoa_owning_##T = 0 STOA_EACH_(STOA_OWNING_, T, __VA_ARGS__) \
	}; \
	STOA_TYPE_DECLARE(T); \
	static const stoa_field stoa_fields_##T[] = { \
		STOA_EACH_(STOA_FIELD_, T, __VA_ARGS__) \
	}; \
	STOA_TYPE_DEFINE_(T) = { #T, (uint32_t)sizeof(T), (uint32_t)STOA_ALIGNOF_(T), \
		STOA_KIND_STRUCT, 0, \
		stoa_fields_##T, sizeof stoa_fields_##T / sizeof stoa_fields_##T[0], \
		NULL, NULL }

/* Bytes without fields: you promise that no pointer, lock or reference is inside.
 * Dumped as hex. */
#define STOA_TYPE_OPAQUE(T) \
	enum { stoa_there_is_no_STOA_TYPE_for_##T = 0, stoa_pinned_##T = 0, stoa_owning_##T = 0 }; \
	STOA_TYPE_DECLARE(T); \
	STOA_TYPE_DEFINE_(T) = { #T, (uint32_t)sizeof(T), (uint32_t)STOA_ALIGNOF_(T), \
		STOA_KIND_OPAQUE, 0, NULL, 0, NULL, NULL }

/* STOA_TYPE_DECLARE(T): for two types that refer to each other, before the first
 * STOA_TYPE */
#ifndef __cplusplus
#define STOA_TYPE_DECLARE(T)  STOA_UNUSED_ static const stoa_type stoa_type_##T
#define STOA_TYPE_DEFINE_(T)  static const stoa_type stoa_type_##T
#else
#define STOA_TYPE_DECLARE(T) \
	struct stoa_described_##T { static const stoa_type type; }; \
	STOA_UNUSED_ static constexpr const stoa_type &stoa_type_##T = \
		stoa_described_##T::type
#define STOA_TYPE_DEFINE_(T)  inline const stoa_type stoa_described_##T::type
#endif

/* ---- going over the arguments -------------------------------------------------- */

#define STOA_FIELD_(T, x)   STOA_CAT(STOA_FIELD_, STOA_IS_PAREN_(x))(T, x)
#define STOA_FIELD_0(T, m)  STOA_FIELD_PLAIN_(T, m),
#define STOA_FIELD_1(T, x)  STOA_FIELD_ARGS_(T, STOA_STRIP_ x),
#define STOA_FIELD_ARGS_(...) STOA_CAT(STOA_FIELD_TYPED_, STOA_NARGS(__VA_ARGS__))(__VA_ARGS__)
#define STOA_FIELD_TYPED_3(T, m, F)      STOA_FIELD_INSIDE_(T, m, F)
#define STOA_FIELD_TYPED_4(T, m, F, how) STOA_FIELD_LINK_(T, m, F, STOA_FIELD_HOW_##how)
#define STOA_FIELD_HOW_ref STOA_KIND_REF
#define STOA_FIELD_HOW_own STOA_KIND_OWN

#define STOA_PINNED_(T, x)   STOA_CAT(STOA_PINNED_, STOA_IS_PAREN_(x))(T, x)
#define STOA_PINNED_0(T, m)  | STOA_PINNED_PLAIN_(STOA_MEMBER_(T, m))
#define STOA_PINNED_1(T, x)  STOA_PINNED_ARGS_(T, STOA_STRIP_ x)
#define STOA_PINNED_ARGS_(...) STOA_CAT(STOA_PINNED_TYPED_, STOA_NARGS(__VA_ARGS__))(__VA_ARGS__)
#define STOA_PINNED_TYPED_3(T, m, F)      | (int)(stoa_there_is_no_STOA_TYPE_for_##F | stoa_pinned_##F)
#define STOA_PINNED_TYPED_4(T, m, F, how)

#define STOA_OWNING_(T, x)   STOA_CAT(STOA_OWNING_, STOA_IS_PAREN_(x))(T, x)
#define STOA_OWNING_0(T, m)  | STOA_OWNING_PLAIN_(STOA_MEMBER_(T, m))
#define STOA_OWNING_1(T, x)  STOA_OWNING_ARGS_(T, STOA_STRIP_ x)
#define STOA_OWNING_ARGS_(...) STOA_CAT(STOA_OWNING_TYPED_, STOA_NARGS(__VA_ARGS__))(__VA_ARGS__)
#define STOA_OWNING_TYPED_3(T, m, F)      | (int)stoa_owning_##F
#define STOA_OWNING_TYPED_4(T, m, F, how) | STOA_OWNING_HOW_##how
#define STOA_OWNING_HOW_ref 0
#define STOA_OWNING_HOW_own 1

#define STOA_MEMBER_(T, m) (((T *)0)->m)

/* ---- kinds and errors: C -------------------------------------------------------- */

#ifndef __cplusplus

#define STOA_ALIGNOF_(T) _Alignof(T)
#define STOA_ONE_OR_MANY_(t, v) t: v, t *: v

#define STOA_KIND_OF_(m) _Generic((m), \
	STOA_ONE_OR_MANY_(_Bool, STOA_KIND_BOOL), STOA_ONE_OR_MANY_(char, STOA_KIND_CHAR), \
	STOA_ONE_OR_MANY_(signed char, STOA_KIND_I8), STOA_ONE_OR_MANY_(unsigned char, STOA_KIND_U8), \
	STOA_ONE_OR_MANY_(short, STOA_KIND_I16), STOA_ONE_OR_MANY_(unsigned short, STOA_KIND_U16), \
	STOA_ONE_OR_MANY_(int, STOA_KIND_I32), STOA_ONE_OR_MANY_(unsigned int, STOA_KIND_U32), \
	STOA_ONE_OR_MANY_(long, sizeof(long) == 8 ? STOA_KIND_I64 : STOA_KIND_I32), \
	STOA_ONE_OR_MANY_(unsigned long, sizeof(long) == 8 ? STOA_KIND_U64 : STOA_KIND_U32), \
	STOA_ONE_OR_MANY_(long long, STOA_KIND_I64), STOA_ONE_OR_MANY_(unsigned long long, STOA_KIND_U64), \
	STOA_ONE_OR_MANY_(float, STOA_KIND_F32), STOA_ONE_OR_MANY_(double, STOA_KIND_F64), \
	STOA_ONE_OR_MANY_(stoa_str, STOA_KIND_STR), STOA_ONE_OR_MANY_(stoa_owner, STOA_KIND_OWNER), \
	STOA_ONE_OR_MANY_(stoa_mutex, STOA_KIND_MUTEX), STOA_ONE_OR_MANY_(stoa_rwlock, STOA_KIND_RWLOCK), \
	STOA_ONE_OR_MANY_(stoa_cond, STOA_KIND_COND), \
	STOA_ONE_OR_MANY_(stoa_semaphore, STOA_KIND_SEMAPHORE), STOA_ONE_OR_MANY_(stoa_permits, STOA_KIND_PERMITS), \
	STOA_ONE_OR_MANY_(stoa_event, STOA_KIND_EVENT), STOA_ONE_OR_MANY_(stoa_latch, STOA_KIND_LATCH), \
	STOA_ONE_OR_MANY_(stoa_once, STOA_KIND_ONCE), STOA_ONE_OR_MANY_(stoa_eventcount, STOA_KIND_EVENTCOUNT), \
	STOA_ONE_OR_MANY_(stoa_barrier, STOA_KIND_BARRIER), \
	STOA_ONE_OR_MANY_(stoa_ref, STOA_KIND_REF), \
	default: STOA_KIND_UNKNOWN)

#define STOA_PINNED_PLAIN_(m) _Generic((m), \
	STOA_ONE_OR_MANY_(stoa_mutex, 1), STOA_ONE_OR_MANY_(stoa_rwlock, 1), STOA_ONE_OR_MANY_(stoa_cond, 1), \
	STOA_ONE_OR_MANY_(stoa_semaphore, 1), STOA_ONE_OR_MANY_(stoa_permits, 1), STOA_ONE_OR_MANY_(stoa_event, 1), \
	STOA_ONE_OR_MANY_(stoa_latch, 1), STOA_ONE_OR_MANY_(stoa_once, 1), STOA_ONE_OR_MANY_(stoa_eventcount, 1), \
	STOA_ONE_OR_MANY_(stoa_barrier, 1), \
	default: 0)

#define STOA_OWNING_PLAIN_(m) _Generic((m), STOA_ONE_OR_MANY_(stoa_str, 1), default: 0)

/* The type of a by-value parameter: T; for a T that owns memory one that nothing
 * converts to, so that a call says why not. */
struct stoa_it_owns_memory_so_fill_it_in_place { char stoa_; };
#define STOA_BY_VALUE_(T) __typeof__(*__builtin_choose_expr(STOA_CAT(stoa_owning_, T), \
	(struct stoa_it_owns_memory_so_fill_it_in_place *)0, (T *)0))

/* a pointer, and not an array (which decays to one) */
#define STOA_CLASS_IS_POINTER_(m) (__builtin_classify_type(m) == 5)
#define STOA_IS_POINTER_(m) \
	(STOA_CLASS_IS_POINTER_(m) && __builtin_types_compatible_p(__typeof__(m), \
		__typeof__(&*__builtin_choose_expr( \
			STOA_CLASS_IS_POINTER_(m), (m), (char *)0))))

/* m is an F or an array of F */
#define STOA_IS_INSIDE_(m, F) \
	_Generic((m), F: 1, F *: _Generic(&(m), F **: 0, default: 1), default: 0)

/* 0, or a compile error that says why */
#define STOA_REQUIRE_(c, text) (0 * sizeof(struct { int stoa_; _Static_assert(c, text); }))

#define STOA_FIELD_PLAIN_(T, m) { #m, \
	(uint32_t)(offsetof(T, m) \
		+ STOA_REQUIRE_(!STOA_IS_POINTER_(STOA_MEMBER_(T, m)), \
			"STOA_TYPE(" #T "): '" #m "' is a pointer, which means nothing in " \
			"another process; use STOA_REF or stoa_str") \
		+ STOA_REQUIRE_(STOA_KIND_OF_(STOA_MEMBER_(T, m)) != STOA_KIND_UNKNOWN \
				|| STOA_IS_POINTER_(STOA_MEMBER_(T, m)), \
			"STOA_TYPE(" #T "): give the type of '" #m "' as (" #m ", type)")), \
	(uint32_t)sizeof(STOA_MEMBER_(T, m)), STOA_KIND_OF_(STOA_MEMBER_(T, m)), NULL }

#define STOA_FIELD_INSIDE_(T, m, F) { #m, \
	(uint32_t)(offsetof(T, m) + STOA_REQUIRE_(STOA_IS_INSIDE_(STOA_MEMBER_(T, m), F), \
		"STOA_TYPE(" #T "): '" #m "' is not of type " #F)), \
	(uint32_t)sizeof(STOA_MEMBER_(T, m)), STOA_KIND_STRUCT, &stoa_type_##F }

#define STOA_FIELD_LINK_(T, m, F, k) { #m, \
	(uint32_t)(offsetof(T, m) + STOA_REQUIRE_(!STOA_IS_POINTER_(STOA_MEMBER_(T, m)) \
			&& sizeof(STOA_MEMBER_(T, m)) % 8 == 0, \
		"STOA_TYPE(" #T "): '" #m "' is not a STOA_REF(" #F ")")), \
	(uint32_t)sizeof(STOA_MEMBER_(T, m)), k, &stoa_type_##F }

/* ---- kinds and errors: C++ ------------------------------------------------------ */

#else

#define STOA_ALIGNOF_(T) alignof(T)

extern "C++" {
#include <type_traits>
template <class M> struct stoa_kind_of_ {
	static constexpr stoa_kind kind = STOA_KIND_UNKNOWN;
	static constexpr bool pointer = false, pinned = false;
};
template <class M> struct stoa_kind_of_<M *> : stoa_kind_of_<void> {
	static constexpr bool pointer = true;
};
template <class M, size_t n> struct stoa_kind_of_<M[n]> : stoa_kind_of_<M> {};
#define STOA_KIND_CXX_(T, k, p) \
	template <> struct stoa_kind_of_<T> { \
		static constexpr stoa_kind kind = k; \
		static constexpr bool pointer = false, pinned = p; \
	}
STOA_KIND_CXX_(bool, STOA_KIND_BOOL, false);          STOA_KIND_CXX_(char, STOA_KIND_CHAR, false);
STOA_KIND_CXX_(signed char, STOA_KIND_I8, false);     STOA_KIND_CXX_(unsigned char, STOA_KIND_U8, false);
STOA_KIND_CXX_(short, STOA_KIND_I16, false);          STOA_KIND_CXX_(unsigned short, STOA_KIND_U16, false);
STOA_KIND_CXX_(int, STOA_KIND_I32, false);            STOA_KIND_CXX_(unsigned int, STOA_KIND_U32, false);
STOA_KIND_CXX_(long, (sizeof(long) == 8 ? STOA_KIND_I64 : STOA_KIND_I32), false);
STOA_KIND_CXX_(unsigned long, (sizeof(long) == 8 ? STOA_KIND_U64 : STOA_KIND_U32), false);
STOA_KIND_CXX_(long long, STOA_KIND_I64, false);      STOA_KIND_CXX_(unsigned long long, STOA_KIND_U64, false);
STOA_KIND_CXX_(float, STOA_KIND_F32, false);          STOA_KIND_CXX_(double, STOA_KIND_F64, false);
STOA_KIND_CXX_(stoa_str, STOA_KIND_STR, false);       STOA_KIND_CXX_(stoa_owner, STOA_KIND_OWNER, false);
STOA_KIND_CXX_(stoa_mutex, STOA_KIND_MUTEX, true);    STOA_KIND_CXX_(stoa_rwlock, STOA_KIND_RWLOCK, true);
STOA_KIND_CXX_(stoa_cond, STOA_KIND_COND, true);      STOA_KIND_CXX_(stoa_semaphore, STOA_KIND_SEMAPHORE, true);
STOA_KIND_CXX_(stoa_permits, STOA_KIND_PERMITS, true); STOA_KIND_CXX_(stoa_event, STOA_KIND_EVENT, true);
STOA_KIND_CXX_(stoa_latch, STOA_KIND_LATCH, true);    STOA_KIND_CXX_(stoa_once, STOA_KIND_ONCE, true);
STOA_KIND_CXX_(stoa_eventcount, STOA_KIND_EVENTCOUNT, true);
STOA_KIND_CXX_(stoa_barrier, STOA_KIND_BARRIER, true);
STOA_KIND_CXX_(stoa_ref, STOA_KIND_REF, false);
#undef STOA_KIND_CXX_

template <class M, class F> struct stoa_inside_                { static constexpr bool yes = false; };
template <class F> struct stoa_inside_<F, F>                   { static constexpr bool yes = true; };
template <class F, size_t n> struct stoa_inside_<F[n], F>      { static constexpr bool yes = true; };

template <class M> constexpr stoa_field stoa_field_plain_(const char *name, size_t offset)
{
	static_assert(!stoa_kind_of_<M>::pointer,
		"a pointer means nothing in another process; use STOA_REF or stoa_str");
	static_assert(stoa_kind_of_<M>::pointer || stoa_kind_of_<M>::kind != STOA_KIND_UNKNOWN,
		"give the type as (field, type)");
	return { name, (uint32_t)offset, (uint32_t)sizeof(M), stoa_kind_of_<M>::kind, nullptr };
}
template <class M, class F>
constexpr stoa_field stoa_field_inside_(const char *name, size_t offset, const stoa_type *type)
{
	static_assert(stoa_inside_<M, F>::yes, "the field is not of that type");
	return { name, (uint32_t)offset, (uint32_t)sizeof(M), STOA_KIND_STRUCT, type };
}
template <class M>
constexpr stoa_field stoa_field_link_(
	const char *name, size_t offset, stoa_kind kind, const stoa_type *type)
{
	static_assert(!stoa_kind_of_<M>::pointer && sizeof(M) % 8 == 0,
		"the field is not a STOA_REF");
	return { name, (uint32_t)offset, (uint32_t)sizeof(M), kind, type };
}
}
#define STOA_OWNING_PLAIN_(m) STOA_OWNING_CXX_(decltype(m))
#define STOA_OWNING_CXX_(M)   (int)(stoa_kind_of_<std::remove_reference_t<M>>::kind == STOA_KIND_STR)
struct stoa_it_owns_memory_so_fill_it_in_place { char stoa_; };
#define STOA_BY_VALUE_(T) \
	std::conditional_t<(bool)STOA_CAT(stoa_owning_, T), \
		stoa_it_owns_memory_so_fill_it_in_place, T>
#define STOA_PINNED_PLAIN_(m) STOA_PINNED_CXX_(decltype(m))
#define STOA_PINNED_CXX_(M)   (int)stoa_kind_of_<std::remove_reference_t<M>>::pinned
#define STOA_FIELD_PLAIN_(T, m)      stoa_field_plain_<decltype(T::m)>(#m, offsetof(T, m))
#define STOA_FIELD_INSIDE_(T, m, F)  stoa_field_inside_<decltype(T::m), F>(#m, offsetof(T, m), &stoa_type_##F)
#define STOA_FIELD_LINK_(T, m, F, k) stoa_field_link_<decltype(T::m)>(#m, offsetof(T, m), k, &stoa_type_##F)
#endif

#endif
