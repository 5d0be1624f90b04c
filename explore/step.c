/* SPDX-License-Identifier: BSL-1.0 */
/*
 * Stepping: how is every image between two instructions found, in this process?
 *
 *	EACH     EFLAGS.TF: the processor traps after each instruction; the
 *	         handler compares the whole segment with its copy
 *	STORES   the segment is write-protected: a store faults, its page is
 *	         opened, TF runs just that instruction, the page is closed
 *
 *	         store ──SIGSEGV──▶ open page, TF on ──SIGTRAP──▶ look, close, TF off
 *
 *	COUNT    like STORES, but nobody looks: before or behind the store with a
 *	         given number a function is called, which may let another thread run
 *
 * The first two see the same images: nothing but a store changes the segment, and a
 * repeated string store traps after each repetition either way. STORES costs two
 * signals a store instead of one an instruction, about a tenth. What it cannot see
 * is a change by the kernel (a hole punched): where those matter, use EACH.
 *
 * Invariants
 *	I1  handlers run with TF off (the kernel clears it) and never store into
 *	    the segment, so they are not part of what is explored
 *	I2  progress is a new image: a loop that leaves none is found hanging
 *	I3  a fault that is not a store to a closed page is a crash of the code
 *	    under test: it is written down for the watching process and happens
 *	    again with its default action
 */
#include "explore/step.h"
#include "explore/trap.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

/* The handlers' way to the stepper: one a process. */
static struct stoai_stepper *active;
static bool stepping;
static char *opened[4]; /* pages open for the instruction that runs */
static unsigned opened_count;
static void (*reached)(void); /* COUNT */

#if defined(__x86_64__)

enum {
	FAULT_IS_WRITE = 2
};

static void
capture(uintptr_t at)
{
	uint32_t count = active->images->count;

	if (stoai_view_look(active->view))
		(void)stoai_images_add(
			active->images, active->view, active->steps, at);
	if (active->images->count != count)
		active->watch->beat++; /* I2 */
}

/* COUNT: is it here that the function is to be called? */
static bool
is_reached(uint64_t now)
{
	return active->how == STOAI_STEP_COUNT && now == active->until;
}

static void
reach(void)
{
	void (*f)(void) = reached;

	stoai_step_until(active, 0, NULL);
	f();
}

static void
on_trap(int number, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)number;
	(void)info;
	/* I1: nothing below stores into the segment */
	if (!stepping) {
		regs[REG_EFL] &= ~(greg_t)STOAI_TRAP_FLAG;
		return;
	}
	active->steps++;
	if (is_reached(2 * active->steps)) {
		regs[REG_EFL] &= ~(greg_t)STOAI_TRAP_FLAG;
		reach();
		return;
	}
	if (active->how == STOAI_STEP_EACH) {
		if (stoai_view_differs(active->view))
			capture((uintptr_t)regs[REG_RIP]);
		return;
	}
	if (active->how == STOAI_STEP_STORES)
		capture((uintptr_t)regs[REG_RIP]);
	while (opened_count)
		(void)mprotect(
			opened[--opened_count], STOAI_IMAGE_PAGE, PROT_READ);
	regs[REG_EFL] &= ~(greg_t)STOAI_TRAP_FLAG;
}

/* The page of a store to the closed segment; NULL: it is something else. */
static char *
closed_page(const siginfo_t *info, const greg_t *regs)
{
	const stoa_segment *seg = active->view->seg;
	uintptr_t on = (uintptr_t)info->si_addr, base = (uintptr_t)seg->base;

	if (!stepping || active->how == STOAI_STEP_EACH ||
		!(regs[REG_ERR] & FAULT_IS_WRITE) || on < base ||
		on >= base + seg->size ||
		opened_count == sizeof opened / sizeof opened[0])
		return NULL;
	return seg->base + (on - base) / STOAI_IMAGE_PAGE * STOAI_IMAGE_PAGE;
}

static void
on_fault(int number, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	char *page = number == SIGSEGV ? closed_page(info, regs) : NULL;
	struct sigaction fatal = {.sa_handler = SIG_DFL};

	if (page && is_reached(2 * active->steps + 1)) {
		reach();
		return; /* and the store is made */
	}
	if (page && !mprotect(page, STOAI_IMAGE_PAGE, PROT_READ | PROT_WRITE)) {
		opened[opened_count++] = page;
		regs[REG_EFL] |= STOAI_TRAP_FLAG;
		return;
	}
	active->watch->signal = (uint32_t)number; /* I3 */
	active->watch->fault_at = (uintptr_t)regs[REG_RIP];
	active->watch->fault_on = (uintptr_t)info->si_addr;
	(void)sigaction(number, &fatal, NULL);
	if (info->si_code <= 0) /* sent, so returning does not repeat it */
		(void)raise(number);
	regs[REG_EFL] &= ~(greg_t)STOAI_TRAP_FLAG;
}

int
stoai_step_begin(struct stoai_stepper *stepper)
{
	struct sigaction trap = {.sa_flags = SA_SIGINFO};
	struct sigaction fault = {.sa_flags = SA_SIGINFO};

	active = stepper;
	trap.sa_sigaction = on_trap;
	fault.sa_sigaction = on_fault;
	if (sigaction(SIGTRAP, &trap, NULL) ||
		sigaction(SIGSEGV, &fault, NULL) ||
		sigaction(SIGBUS, &fault, NULL) ||
		sigaction(SIGILL, &fault, NULL) ||
		sigaction(SIGFPE, &fault, NULL))
		return stoai_explore_error(-errno, "cannot handle signals");
	return 0;
}

static int
run(enum stoai_step_how how, int (*f)(void *), void *user)
{
	stoa_segment *seg = active->view->seg;
	size_t size = active->view->pages * (size_t)STOAI_IMAGE_PAGE;
	int rc;

	if (how == STOAI_STEP_EACH) {
		stepping = true;
		stoai_trap_on();
		rc = f(user);
		stoai_trap_off();
		stepping = false;
		return rc;
	}
	if (mprotect(seg->base, size, PROT_READ))
		return stoai_explore_error(
			-errno, "cannot protect the segment");
	stepping = true;
	rc = f(user);
	stepping = false;
	if (mprotect(seg->base, size, PROT_READ | PROT_WRITE))
		return stoai_explore_error(-errno, "cannot open the segment");
	return rc;
}

int
stoai_step(struct stoai_stepper *stepper, struct stoai_images *images,
	enum stoai_step_how how, int (*f)(void *), void *user, uint32_t *last)
{
	int rc;

	stoai_images_clear(images);
	stepper->images = images;
	stepper->how = how;
	stepper->steps = 0;
	(void)stoai_view_look(stepper->view);
	(void)stoai_images_add(images, stepper->view, 0, 0);
	rc = run(how, f, user);
	(void)stoai_view_look(stepper->view);
	*last = stoai_images_add(images, stepper->view, stepper->steps, 0);
	return rc;
}

void
stoai_step_until(struct stoai_stepper *stepper, uint64_t until, void (*f)(void))
{
	const struct stoai_view *view = stepper->view;
	size_t size = view->pages * (size_t)STOAI_IMAGE_PAGE;

	if (!until && !stepping)
		return;
	stepper->how = STOAI_STEP_COUNT;
	stepper->steps = 0;
	stepper->until = until;
	reached = f;
	opened_count = 0;
	stepping = until != 0;
	if (mprotect(view->seg->base, size,
		    until ? PROT_READ : PROT_READ | PROT_WRITE))
		abort(); /* it is the explorer's own mapping */
}

#else

void
stoai_step_until(struct stoai_stepper *stepper, uint64_t until, void (*f)(void))
{
	(void)stepper, (void)until, (void)f;
}

int
stoai_step_begin(struct stoai_stepper *stepper)
{
	(void)stepper;
	return stoai_explore_error(
		-ENOTSUP, "the step explorer knows x86-64 only");
}

int
stoai_step(struct stoai_stepper *stepper, struct stoai_images *images,
	enum stoai_step_how how, int (*f)(void *), void *user, uint32_t *last)
{
	(void)stepper, (void)images, (void)how, (void)f, (void)user, (void)last;
	return -ENOTSUP;
}

#endif
