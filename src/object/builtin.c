/* SPDX-License-Identifier: BSL-1.0 */
/* The built-in words as types: what stoa_type_of(uint64_t) names. */
#include "object/builtin.h"
#include "object/kind.h"

#define BUILTIN(T, n, k, C) \
 const stoa_type stoa_type_##T = {.name = n, \
	 .size = sizeof(C), \
	 .align = _Alignof(C), \
	 .kind = STOA_KIND_##k}

BUILTIN(_Bool, "bool", BOOL, _Bool);
BUILTIN(char, "char", CHAR, char);
BUILTIN(int8_t, "int8_t", I8, int8_t);
BUILTIN(int16_t, "int16_t", I16, int16_t);
BUILTIN(int32_t, "int32_t", I32, int32_t);
BUILTIN(int64_t, "int64_t", I64, int64_t);
BUILTIN(uint8_t, "uint8_t", U8, uint8_t);
BUILTIN(uint16_t, "uint16_t", U16, uint16_t);
BUILTIN(uint32_t, "uint32_t", U32, uint32_t);
BUILTIN(uint64_t, "uint64_t", U64, uint64_t);
BUILTIN(float, "float", F32, float);
BUILTIN(double, "double", F64, double);
BUILTIN(stoa_str, "stoa_str", STR, stoa_str);
BUILTIN(bool, "bool", BOOL, _Bool);

static const stoa_type *const builtins[] = {&stoa_type__Bool, &stoa_type_char,
	&stoa_type_int8_t, &stoa_type_int16_t, &stoa_type_int32_t,
	&stoa_type_int64_t, &stoa_type_uint8_t, &stoa_type_uint16_t,
	&stoa_type_uint32_t, &stoa_type_uint64_t, &stoa_type_float,
	&stoa_type_double, &stoa_type_stoa_str};

const stoa_type *
stoai_builtin_of_id(uint64_t id)
{
	uint64_t k = id - 1;

	for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++)
		if (builtins[i]->kind == k)
			return builtins[i];
	return NULL;
}

bool
stoai_is_builtin(const stoa_type *type)
{
	return stoai_kind_info(type->kind)->name != NULL;
}
