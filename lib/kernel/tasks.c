/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * tasks.c - the tasks of the guest's kernel
 *
 * Processes form a ring that begins with init_task; the threads of each process form
 * another.  Offsets of members come from BTF.  Both pointers of each list node are checked,
 * so a walk either returns to its start or fails; it cannot run in a circle.  init_task is a
 * symbol, or else is recognized in the kernel image by its contents.
 *
 * The guest may be running: tasks are reported only after a complete and consistent walk.
 */
#include "tasks.h"

#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "kernel.h"

enum {
	MAX_TASKS = 1 << 22,
	MAX_TASK_STRUCT = 1 << 16,
	TRIES = 5,                      /* while a running guest changes lists  */
};

/* The letters of ps for the bits of a state, TASK_INTERRUPTIBLE first */
static const char state_letters[] = "SDTtXZP";
enum { REPORTED = 0x7f, UNINTERRUPTIBLE = 2, NOLOAD = 0x400, LATER_SLEEPS = 0x9000 };

struct running {
	uint64_t vaddr;                 /* of a task                            */
	unsigned int cpu;
	bool seen;
};

struct tasks {
	struct kernel *kernel;
	uint64_t init_task;
	uint32_t size, word;
	struct btf_field tasks, thread_node, pid, tgid, comm, state, exit_state, cpu, on_cpu,
		signal;
	struct btf_field thread_head;   /* in signal_struct                     */
	bool has_cpu;
	struct running *running;        /* by vaddr                             */
	size_t num_running;
	bool knows_running;
	unsigned char *buf;             /* a task_struct                        */
	struct gdump_task *found;
	size_t num, max;
};

static struct gdump_error *tasks_unsupported(const char *what)
{
	return error_new(GDUMP_ERR_UNSUPPORTED, "cannot find the tasks: %s", what);
}

static struct gdump_error *tasks_broken(const struct tasks *t)
{
	return error_new(GDUMP_ERR_CORRUPT, "the list of tasks breaks off after %zu tasks", t->num);
}

/* False: there is none, or it is not inside the struct; @ret is zero. */
static bool tasks_find_member(const struct tasks *t, const char *member, struct btf_field *ret)
{
	if (btf_field(&t->kernel->btf, "task_struct", member, ret) &&
	    range_fits(ret->off, ret->size, t->size))
		return true;
	*ret = (struct btf_field){ 0 };
	return false;
}

/* ->cpu of the task, or of the thread_info inside it */
static bool tasks_find_cpu(struct tasks *t)
{
	struct btf_field info;

	if (tasks_find_member(t, "cpu", &t->cpu))
		return t->cpu.size <= 8;
	if (!tasks_find_member(t, "thread_info", &info) ||
	    !btf_field(&t->kernel->btf, "thread_info", "cpu", &t->cpu) || t->cpu.size > 8)
		return false;
	t->cpu.off += info.off;
	return range_fits(t->cpu.off, t->cpu.size, t->size);
}

/* How much of a task_struct has to be read.  On x86 the kernel allocates less than its size,
 * which has room for the largest FPU state: the next page may be free, and not in the dump.
 */
static uint32_t tasks_used_size(const struct tasks *t)
{
	const struct btf_field *const fields[] = {
		&t->tasks, &t->thread_node, &t->pid, &t->tgid, &t->comm, &t->state,
		&t->exit_state, &t->cpu, &t->on_cpu, &t->signal,
	};
	uint32_t size = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		size = MAX(size, fields[i]->off + fields[i]->size);
	return size;
}

static struct gdump_error *tasks_find_members(struct tasks *t)
{
	const struct btf *btf = &t->kernel->btf;

	if (!btf->num)
		return tasks_unsupported("the kernel has no BTF, which describes its structs");
	t->size = btf_size(btf, "task_struct");
	if (t->size > MAX_TASK_STRUCT || !tasks_find_member(t, "tasks", &t->tasks) ||
	    t->tasks.size != 2 * t->word || !tasks_find_member(t, "thread_node", &t->thread_node) ||
	    t->thread_node.size != 2 * t->word || !tasks_find_member(t, "signal", &t->signal) ||
	    t->signal.size != t->word || !tasks_find_member(t, "pid", &t->pid) ||
	    t->pid.size != 4 || !tasks_find_member(t, "tgid", &t->tgid) || t->tgid.size != 4 ||
	    !tasks_find_member(t, "comm", &t->comm) ||
	    !tasks_find_member(t, "exit_state", &t->exit_state) || t->exit_state.size > 8 ||
	    /* __state since 5.14 */
	    !(tasks_find_member(t, "__state", &t->state) ||
	      tasks_find_member(t, "state", &t->state)) ||
	    t->state.size > 8 || !btf_field(btf, "signal_struct", "thread_head", &t->thread_head) ||
	    t->thread_head.size != 2 * t->word)
		return tasks_unsupported("struct task_struct lacks a member");
	t->has_cpu = tasks_find_cpu(t);
	if (!t->has_cpu)
		t->cpu = (struct btf_field){ 0 };
	if (!tasks_find_member(t, "on_cpu", &t->on_cpu) || t->on_cpu.size > 8)
		t->on_cpu.size = 0;
	t->size = tasks_used_size(t);
	return NULL;
}

static uint64_t tasks_field(const struct tasks *t, const struct btf_field *f)
{
	return kernel_get(t->kernel, t->buf + f->off, f->size);
}

static bool tasks_read_task(struct tasks *t, uint64_t vaddr)
{
	CLEANUP_ERROR struct gdump_error *err = walker_read(&t->kernel->walker, vaddr, t->buf,
							    t->size);

	return !err;
}

/* The two pointers of a list_head */
struct node {
	uint64_t next, prev;
};

static struct node tasks_get_node(const struct tasks *t, const unsigned char *p)
{
	return (struct node){ .next = kernel_get(t->kernel, p, t->word),
			      .prev = kernel_get(t->kernel, p + t->word, t->word) };
}

static bool tasks_read_node(struct tasks *t, uint64_t vaddr, struct node *ret)
{
	unsigned char buf[16];
	CLEANUP_ERROR struct gdump_error *err = walker_read(&t->kernel->walker, vaddr, buf,
							    2 * t->word);

	if (!err)
		*ret = tasks_get_node(t, buf);
	return !err;
}

/* init_task by its name, for an image without that symbol ------------------- */

static bool tasks_is_init_task(struct tasks *t, uint64_t vaddr)
{
	struct node node, next;

	if (vaddr % t->word || !tasks_read_task(t, vaddr) || tasks_field(t, &t->pid) ||
	    tasks_field(t, &t->tgid))
		return false;
	node = tasks_get_node(t, t->buf + t->tasks.off);
	return tasks_read_node(t, node.next, &next) && next.prev == vaddr + t->tasks.off;
}

static bool tasks_look_for_init_task(struct kernel *k, void *arg, uint64_t vaddr,
				     const unsigned char *p, size_t len)
{
	static const char *const names[] = { "swapper/0", "swapper" };
	struct tasks *t = arg;

	(void)k;
	for (size_t i = 0; i < len; i++) {
		for (size_t n = 0; p[i] == 's' && n < ARRAY_SIZE(names); n++) {
			const size_t size = strlen(names[n]) + 1;

			if (range_fits(i, size, len) && !memcmp(p + i, names[n], size) &&
			    tasks_is_init_task(t, vaddr + i - t->comm.off)) {
				t->init_task = vaddr + i - t->comm.off;
				return true;
			}
		}
	}
	return false;
}

/* The task that each CPU runs ---------------------------------------------- */

static int running_compare(const void *a, const void *b)
{
	const struct running *x = a, *y = b;

	return (x->vaddr > y->vaddr) - (x->vaddr < y->vaddr);
}

static struct gdump_error *tasks_find_running(struct tasks *t)
{
	struct kernel *k = t->kernel;
	const unsigned int num = kernel_max_cpus(k);
	struct btf_field curr;
	uint64_t rq, task;

	t->num_running = 0;
	t->knows_running = btf_field(&k->btf, "rq", "curr", &curr) && curr.size == t->word &&
			   kernel_symbol(k, "runqueues") && num;
	if (!t->knows_running)
		return NULL;
	free(t->running);
	t->running = calloc(num, sizeof(*t->running));
	if (!t->running)
		return error_nomem();
	for (unsigned int cpu = 0; cpu < num; cpu++) {
		if (kernel_uses_cpu(k, cpu) && kernel_percpu(k, "runqueues", cpu, &rq) &&
		    kernel_word(k, rq + curr.off, &task))
			t->running[t->num_running++] = (struct running){.vaddr = task, .cpu = cpu};
	}
	qsort(t->running, t->num_running, sizeof(*t->running), running_compare);
	return NULL;
}

static int tasks_running_cpu(struct tasks *t, uint64_t vaddr, uint64_t cpu)
{
	const struct running key = { .vaddr = vaddr };
	struct running *r;

	if (!t->knows_running)
		return t->has_cpu && t->on_cpu.size && tasks_field(t, &t->on_cpu)
			       ? (int)(cpu & INT32_MAX)
			       : -1;
	r = t->num_running ? bsearch(&key, t->running, t->num_running, sizeof(key), running_compare)
			   : NULL;
	if (!r)
		return -1;
	r->seen = true;
	return (int)r->cpu;
}

/* The tasks ---------------------------------------------------------------- */

static char tasks_state_letter(uint64_t state)
{
	if ((state & (UNINTERRUPTIBLE | NOLOAD)) == (UNINTERRUPTIBLE | NOLOAD))
		return 'I';
	/* waiting for a lock of PREEMPT_RT, or frozen */
	if (!(state & REPORTED))
		return state & LATER_SLEEPS ? 'D' : 'R';
	return state_letters[log2_u64(state & REPORTED)];
}

/* Add the task in t->buf, which is at @vaddr. */
static struct gdump_error *tasks_add(struct tasks *t, uint64_t vaddr)
{
	const uint64_t cpu = t->has_cpu ? tasks_field(t, &t->cpu) : 0;
	struct gdump_task *task;

	if (t->num == t->max)
		return tasks_broken(t);
	if (!ARRAY_GROW(t->found, t->num))
		return error_nomem();
	task = &t->found[t->num++];
	*task = (struct gdump_task){
		.vaddr = vaddr,
		.pid = (int32_t)(uint32_t)tasks_field(t, &t->pid),
		.tgid = (int32_t)(uint32_t)tasks_field(t, &t->tgid),
		.cpu = t->has_cpu && cpu <= INT32_MAX ? (int32_t)cpu : -1,
		.running_cpu = tasks_running_cpu(t, vaddr, cpu),
		.state = tasks_state_letter(tasks_field(t, &t->state) |
					    tasks_field(t, &t->exit_state)),
	};
	memcpy(task->name, t->buf + t->comm.off, MIN(t->comm.size, sizeof(task->name) - 1));
	return NULL;
}

/* Add all threads of the process whose leader is in t->buf. */
static struct gdump_error *tasks_add_threads(struct tasks *t, uint64_t leader)
{
	const uint64_t head = tasks_field(t, &t->signal) + t->thread_head.off;
	struct node node, next;
	struct gdump_error *err;

	if (!tasks_read_node(t, head, &node))
		return tasks_broken(t);
	if (node.next == head)
		return tasks_add(t, leader);
	for (uint64_t at = head; node.next != head; at = node.next, node = next) {
		const uint64_t task = node.next - t->thread_node.off;

		if ((task != leader || at != head) && !tasks_read_task(t, task))
			return tasks_broken(t);
		next = tasks_get_node(t, t->buf + t->thread_node.off);
		if (next.prev != at)
			return tasks_broken(t);
		err = tasks_add(t, task);
		if (err)
			return err;
	}
	return NULL;
}

static struct gdump_error *tasks_walk(struct tasks *t)
{
	const uint64_t head = t->init_task + t->tasks.off;
	struct gdump_error *err = NULL;
	uint64_t at = head, before = 0;
	struct node node;

	t->num = 0;
	do {
		if (!tasks_read_task(t, at - t->tasks.off))
			return tasks_broken(t);
		node = tasks_get_node(t, t->buf + t->tasks.off);
		if (at != head && node.prev != before)
			return tasks_broken(t);
		err = tasks_add_threads(t, at - t->tasks.off);
		before = at;
		at = node.next;
	} while (!err && at != head);
	return err;
}

/* Report the tasks, idle tasks first: those of CPUs other than the first are in no list. */
static struct gdump_error *tasks_report(struct tasks *t, gdump_task_fn *fn, void *arg)
{
	const size_t num = t->num;
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && t->knows_running && i < t->num_running; i++) {
		if (!t->running[i].seen && tasks_read_task(t, t->running[i].vaddr))
			err = tasks_add(t, t->running[i].vaddr);
	}
	for (size_t i = num; !err && i < t->num; i++)
		fn(arg, &t->found[i]);
	for (size_t i = 0; !err && i < num; i++)
		fn(arg, &t->found[i]);
	return err;
}

static struct gdump_error *tasks_find_all(struct tasks *t, gdump_task_fn *fn, void *arg)
{
	struct source *s = t->kernel->source;
	struct gdump_error *err = tasks_find_members(t);

	if (err)
		return err;
	t->buf = malloc(t->size);
	if (!t->buf)
		return error_nomem();
	t->max = (size_t)MIN(image_memory(&s->image) / t->size + 1, MAX_TASKS);
	t->init_task = kernel_symbol(t->kernel, "init_task");
	if (!t->init_task)
		kernel_scan(t->kernel, tasks_look_for_init_task, t);
	if (!t->init_task)
		return tasks_unsupported("the kernel image does not contain init_task");
	for (unsigned int i = 0; i < (s->is_mutable ? TRIES : 1); i++) {
		gdump_error_destroy(err);
		err = tasks_find_running(t);
		if (!err)
			err = tasks_walk(t);
		if (!err)
			return tasks_report(t, fn, arg);
	}
	return err;
}

struct gdump_error *tasks_of(struct kernel *k, gdump_task_fn *fn, void *arg)
{
	struct tasks t = { .kernel = k, .word = k->source->image.is64 ? 8 : 4 };
	struct gdump_error *err = tasks_find_all(&t, fn, arg);

	free(t.running);
	free(t.buf);
	free(t.found);
	return err;
}

struct gdump_error *tasks_read(struct source *s, gdump_task_fn *fn, void *arg)
{
	struct kernel k;
	struct gdump_error *err = kernel_open(s, &k);

	if (err)
		return error_prefix(err, "cannot find the tasks");
	err = tasks_of(&k, fn, arg);
	kernel_close(&k);
	return err;
}
