/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Coroutines whose whole state is the bytes between a stack pointer and the
 * stack's end, so that it can be copied away, put back and compared.
 */
#ifndef TESTS_MODEL_COROUTINE_H
#define TESTS_MODEL_COROUTINE_H

#ifndef __x86_64__
 #error "the model's coroutines are written for x86-64"
#endif

/* Stores this one's stack pointer and goes on with the one that `to` belongs to. */
void coroutine_switch(void **from, void *to);
/* A fresh one, which begins in f; f does not return. */
void *coroutine_begin(char *stack_end, void (*f)(void));

#endif
