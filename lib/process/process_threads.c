/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * process_threads.c - the registers that the threads of a process have in user space
 *
 * The kernel saves them at the top of a thread's stack when the thread enters the kernel.  Those of
 * a thread that is in user space on a CPU are that CPU's.
 */
#include "process.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../kernel/tasks.h"
#include "../stacks/stacks.h"
#include "../util/array.h"
#include "../util/bits.h"

enum {
	PRSTATUS_REGS = 112,            /* in NT_PRSTATUS                       */
	FRED_PADDING = 16,              /* at the top of stacks of x86-64 with FRED */
};

struct process_threads {
	struct process *p;
	struct stacks *stacks;          /* NULL: they cannot be found           */
	bool no_memory;
};

static bool process_is_user(const struct process_arch *arch, const uint64_t *regs)
{
	return (regs[arch->mode_reg] & arch->mode_mask) == arch->user_mode;
}

static bool process_regs_of_cpu(const struct process *p, int32_t cpu, uint64_t *regs)
{
	const struct image *image = &p->kernel->source->image;
	const struct gdump_note *n;

	for (size_t i = 0; cpu >= 0 && (n = image_cpu_note(image, (size_t)cpu, i)); i++) {
		if (n->type != NT_PRSTATUS || strcmp(n->name, "CORE") ||
		    n->size < PRSTATUS_REGS + 8u * p->arch->num_regs)
			continue;
		for (size_t r = 0; r < p->arch->num_regs; r++)
			regs[r] = kernel_get(p->kernel, (const unsigned char *)n->desc + PRSTATUS_REGS + 8 * r, 8);
		return process_is_user(p->arch, regs);
	}
	return false;
}

/* The registers that end @padding bytes below the top of a stack */
static bool process_regs_at_top(const struct process *p, uint64_t top, uint32_t padding, uint64_t *regs)
{
	const uint32_t size = btf_size(&p->kernel->btf, "pt_regs");
	unsigned char buf[8 * PROCESS_REGS];
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (size < 8u * p->arch->num_saved)
		return false;
	err = walker_read(&p->kernel->walker, top - padding - size, buf, 8u * p->arch->num_saved);
	if (err)
		return false;
	for (size_t r = 0; r < p->arch->num_saved; r++)
		regs[r] = kernel_get(p->kernel, buf + 8 * r, 8);
	return process_is_user(p->arch, regs);
}

static bool process_regs_of_stack(const struct process_threads *t, const struct gdump_task *task,
				  uint64_t *regs)
{
	uint64_t lo, hi;

	if (!t->stacks || !stacks_range(t->stacks, task, &lo, &hi) ||
	    !(process_regs_at_top(t->p, hi, 0, regs) ||
	      (t->p->arch->machine == EM_X86_64 && process_regs_at_top(t->p, hi, FRED_PADDING, regs))))
		return false;
	if (t->p->arch->complete)
		t->p->arch->complete(t->p->kernel, task->vaddr, regs);
	return true;
}

static void process_take_thread(void *arg, const struct gdump_task *task)
{
	struct process_threads *t = arg;
	struct process *p = t->p;
	struct process_thread th = { .pid = task->pid, .state = task->state };

	if (task->tgid != p->pid || t->no_memory)
		return;
	if (!ARRAY_GROW(p->threads, p->num_threads)) {
		t->no_memory = true;
		return;
	}
	th.has_regs = process_regs_of_cpu(p, task->running_cpu, th.regs) ||
		      process_regs_of_stack(t, task, th.regs);
	if (!th.has_regs)
		memset(th.regs, 0, sizeof(th.regs));
	p->threads[p->num_threads++] = th;
	/* the leader first */
	if (task->pid == p->pid && p->num_threads > 1) {
		p->threads[p->num_threads - 1] = p->threads[0];
		p->threads[0] = th;
	}
}

struct gdump_error *process_read_threads(struct process *p)
{
	struct process_threads t = { .p = p };
	struct gdump_error *err = stacks_open(p->kernel, &t.stacks);

	/* without them, there are registers of running threads at least */
	gdump_error_destroy(err);
	err = tasks_of(p->kernel, process_take_thread, &t);
	stacks_close(t.stacks);
	return !err && t.no_memory ? error_nomem() : err;
}
