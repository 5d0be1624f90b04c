/* SPDX-License-Identifier: BSL-1.0 */
/*
 * How does one stack give way to another? The six registers that a call leaves
 * alone go onto the stack that is left, and come from the one that is entered.
 * Nothing else belongs to a coroutine: the model's code uses no floating point and
 * leaves the control words as they are.
 */
#include "coroutine.h"
#include <stdint.h>
#include <string.h>

__asm__(".text\n"
	".globl coroutine_switch\n"
	".type coroutine_switch, @function\n"
	"coroutine_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size coroutine_switch, . - coroutine_switch\n");

void *
coroutine_begin(char *stack_end, void (*f)(void))
{
	/* six registers, f as the return address, and none for f itself */
	uint64_t frame[8] = {0, 0, 0, 0, 0, 0, (uint64_t)(uintptr_t)f, 0};

	memcpy(stack_end - sizeof frame, frame, sizeof frame);
	return stack_end - sizeof frame;
}
