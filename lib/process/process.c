/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "process.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "../kernel/tasks.h"
#include "../util/bits.h"

/* x86-64: what the kernel's stack does not have of struct user_regs_struct */
static void process_complete_x86(struct kernel *k, uint64_t task, uint64_t *regs)
{
	static const char *const members[] = { "thread.fsbase", "thread.gsbase", "thread.ds",
					       "thread.es", "thread.fsindex", "thread.gsindex" };

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (!kernel_member(k, task, "task_struct", members[i], &regs[21 + i]))
			regs[21 + i] = 0;
	}
}

static const struct process_arch process_arches[] = {
	/* the privilege level is in cs */
	{ EM_X86_64, 27, 21, 17, 3, 3, process_complete_x86 },
	/* the exception level is in pstate */
	{ EM_AARCH64, 34, 34, 33, 0xf, 0, NULL },
};

static const struct process_arch *process_arch_of(const struct image *image)
{
	for (size_t i = 0; i < ARRAY_SIZE(process_arches); i++) {
		if (process_arches[i].machine == image->machine)
			return &process_arches[i];
	}
	return NULL;
}

static void process_take_leader(void *arg, const struct gdump_task *task)
{
	struct process *p = arg;

	if (task->pid != p->pid || task->tgid != p->pid || !task->pid)
		return;
	p->leader = task->vaddr;
	memcpy(p->name, task->name, sizeof(p->name));
}

/* Its page tables have the form of the kernel's. */
static struct gdump_error *process_find_tables(struct process *p)
{
	uint64_t pgd, len;

	p->paging = p->kernel->paging;
	p->paging.pieces = NULL;
	p->paging.num_pieces = 0;
	if (!p->paging.levels || !kernel_member(p->kernel, p->mm, "mm_struct", "pgd", &pgd) ||
	    !walker_translate(&p->kernel->walker, pgd, &p->paging.root, &len))
		return error_new(GDUMP_ERR_UNSUPPORTED, "the page tables of the process cannot be found");
	walker_init(&p->walker, &p->paging, p->kernel->source);
	return NULL;
}

/* What the kernel told the program when it was started */
static void process_read_auxv(struct process *p)
{
	struct btf_field f;
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (!btf_field(&p->kernel->btf, "mm_struct", "saved_auxv", &f) || f.size > sizeof(p->auxv))
		return;
	err = walker_read(&p->kernel->walker, p->mm + f.off, p->auxv, f.size);
	if (err)
		return;
	while (p->auxv_len + 16 <= f.size &&
	       kernel_get(p->kernel, p->auxv + p->auxv_len, 8))
		p->auxv_len += 16;
	p->auxv_len = MIN(p->auxv_len + 16, f.size);
}

static void process_read_args(struct process *p)
{
	CLEANUP_ERROR struct gdump_error *err = NULL;
	uint64_t start, end;
	size_t len;

	if (!kernel_member(p->kernel, p->mm, "mm_struct", "arg_start", &start) ||
	    !kernel_member(p->kernel, p->mm, "mm_struct", "arg_end", &end) || end <= start)
		return;
	len = (size_t)MIN(end - start, sizeof(p->args) - 1);
	err = walker_read(&p->walker, start, p->args, len);
	if (err)
		len = 0;
	for (size_t i = 0; i + 1 < len; i++)
		p->args[i] = p->args[i] ? p->args[i] : ' ';
	p->args[len] = 0;
}

struct gdump_error *process_open(struct kernel *k, int32_t pid, struct process *ret)
{
	struct gdump_error *err;

	*ret = (struct process){ .kernel = k, .pid = pid, .arch = process_arch_of(&k->source->image) };
	if (!ret->arch)
		return error_new(GDUMP_ERR_UNSUPPORTED, "processes of this architecture cannot be extracted");
	err = tasks_of(k, process_take_leader, ret);
	if (err)
		return err;
	if (!ret->leader)
		return error_new(GDUMP_ERR_USAGE, "there is no process %d in the guest", pid);
	if (!kernel_member(k, ret->leader, "task_struct", "mm", &ret->mm))
		return error_new(GDUMP_ERR_UNSUPPORTED, "struct task_struct lacks the member mm");
	if (!ret->mm)
		return error_new(GDUMP_ERR_USAGE, "process %d has no memory of its own: it is a thread of the kernel, or has exited", pid);
	err = process_find_tables(ret);
	if (!err)
		err = process_read_maps(ret);
	if (!err)
		err = process_read_threads(ret);
	if (err)
		return err;
	process_read_auxv(ret);
	process_read_args(ret);
	return NULL;
}

void process_close(struct process *p)
{
	for (size_t i = 0; i < p->num_maps; i++)
		free(p->maps[i].path);
	free(p->maps);
	free(p->threads);
	walker_deinit(&p->walker);
}
