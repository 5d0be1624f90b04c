/* SPDX-License-Identifier: BSL-1.0 */
/*
 * The processor's own single step: SIGTRAP behind each instruction of the calling thread,
 * from the one after stoai_trap_on on. A handler runs without; it ends it by taking
 * STOAI_TRAP_FLAG out of the REG_EFL that it returns to.
 */
#ifndef STOAI_EXPLORE_TRAP_H
#define STOAI_EXPLORE_TRAP_H

enum {
	STOAI_TRAP_FLAG = 0x100 /* EFLAGS.TF */
};

/* The stack pointer is moved over a red zone that the compiler may be using. */
static inline void
stoai_trap_on(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "orq $0x100, (%%rsp)\n\t"
			 "popfq\n\t"
			 "lea 128(%%rsp), %%rsp" ::
				 : "memory", "cc");
}

static inline void
stoai_trap_off(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "andq $~0x100, (%%rsp)\n\t"
			 "popfq\n\t"
			 "lea 128(%%rsp), %%rsp" ::
				 : "memory", "cc");
}

#endif
