/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * waits.c - what a task waits for, and who holds it
 *
 * Some kernels note the lock in the task_struct.  Else a task that waits has a struct on its
 * stack, mutex_waiter for example, which is in a ring with those of others and a head inside the
 * lock.  It is recognized by its pointer to the task.  Old ones may remain on a stack, so the
 * whole ring is followed, in both directions, to the head, which is on no stack; and the function
 * that waits must be there now.  For what has no lock, wait_entry.c finds the page or the word of
 * bits.
 *
 * Facts: Linux's kernel/locking/, include/linux/rwsem.h, include/linux/percpu-rwsem.h,
 * include/linux/hung_task.h.
 */
#include "waits.h"

#include <stdlib.h>
#include <string.h>

#include "../util/bisect.h"
#include "../util/bits.h"
#include "block_device.h"
#include "wait_entry.h"

enum { MAX_RING = 4096, FLAGS = 7, RT_FLAGS = 3, READER_OWNED = 1 };

/* Functions in which tasks wait, and the struct that they have on the stack meanwhile */
static const struct wait_way {
	const char *function;           /* how its name begins                  */
	const char *waiter, *task, *node;       /* that struct, and members of it */
	const char *lock, *head;        /* the lock, and a member of it         */
	enum wait_kind kind;
} wait_ways[] = {
	{ "__mutex_lock", "mutex_waiter", "task", "list", "mutex", "wait_list", WAIT_MUTEX },
	{ "__ww_mutex_lock", "mutex_waiter", "task", "list", "mutex", "wait_list", WAIT_MUTEX },
	{ "rwsem_down_read", "rwsem_waiter", "task", "list", "rw_semaphore", "wait_list",
	  WAIT_RWSEM_READ },
	{ "rwsem_down_write", "rwsem_waiter", "task", "list", "rw_semaphore", "wait_list",
	  WAIT_RWSEM_WRITE },
	{ "__down", "semaphore_waiter", "task", "list", "semaphore", "wait_list", WAIT_SEMAPHORE },
	{ "percpu_down_write", "wait_queue_entry", "private", "entry", "percpu_rw_semaphore",
	  "waiters.head", WAIT_PERCPU_WRITE },
	{ "percpu_rwsem_wait", "wait_queue_entry", "private", "entry", "percpu_rw_semaphore",
	  "waiters.head", WAIT_PERCPU_READ },
	{ "__wait_for_common", "swait_queue", "task", "task_list", "completion", "wait.task_list",
	  WAIT_COMPLETION },
};

/* Functions that show by themselves what is waited for; the first one that is there counts. */
static const struct {
	const char *function;
	enum wait_kind kind;
} wait_functions[] = {
	{ "rpc_wait_bit_killable", WAIT_NFS },
	{ "nfs_wait_bit_killable", WAIT_NFS },
	{ "request_wait_answer", WAIT_FUSE },
	{ "handle_userfault", WAIT_USERFAULT },
	{ "jbd2_log_wait_commit", WAIT_JOURNAL },
	{ "blk_mq_get_tag", WAIT_REQUEST },
	{ "submit_bio_wait", WAIT_REQUEST },
	{ "folio_wait_bit", WAIT_PAGE },
	{ "wait_on_page_bit", WAIT_PAGE },
	{ "__lock_page", WAIT_PAGE },
	{ "out_of_line_wait_on_bit", WAIT_BIT },
	{ "__wait_rcu_gp", WAIT_RCU },
	{ "synchronize_rcu", WAIT_RCU },
	{ "wait_for_completion", WAIT_COMPLETION },
	{ "__wait_for_common", WAIT_COMPLETION },
};

static const struct {
	const char *word, *text;
} wait_names[] = {
	[WAIT_NONE] = { "none", "nothing" },
	[WAIT_MUTEX] = { "mutex", "the mutex" },
	[WAIT_RWSEM_READ] = { "rwsem-read", "the rwsem, to read," },
	[WAIT_RWSEM_WRITE] = { "rwsem-write", "the rwsem, to write," },
	[WAIT_SEMAPHORE] = { "semaphore", "the semaphore" },
	[WAIT_RT_MUTEX] = { "rt-mutex", "the rt_mutex" },
	[WAIT_PERCPU_READ] = { "percpu-rwsem-read", "the percpu_rwsem, to read," },
	[WAIT_PERCPU_WRITE] = { "percpu-rwsem-write", "the percpu_rwsem, to write," },
	[WAIT_NFS] = { "nfs", "the NFS server" },
	[WAIT_FUSE] = { "fuse", "a FUSE server" },
	[WAIT_USERFAULT] = { "userfaultfd", "a process that handles page faults (userfaultfd)" },
	[WAIT_JOURNAL] = { "journal", "the journal of a file system" },
	[WAIT_REQUEST] = { "block-device", "a block device" },
	[WAIT_PAGE] = { "page", "a page's lock or I/O," },
	[WAIT_BUFFER] = { "buffer", "a block's lock or I/O," },
	[WAIT_BIT] = { "bit", "a bit," },
	[WAIT_RCU] = { "rcu", "an RCU grace period" },
	[WAIT_COMPLETION] = { "completion", "a completion" },
};

const char *wait_word(enum wait_kind kind)
{
	return wait_names[kind].word;
}

const char *wait_text(enum wait_kind kind)
{
	return wait_names[kind].text;
}

/* A stack of a task */
struct wait_stack {
	uint64_t lo, hi;
};

struct waits {
	struct report *report;
	struct kernel *kernel;
	/* in task_struct; size 0: there is none */
	struct btf_field blocker, blocked_on, pi_blocked_on;
	struct { struct btf_field task, node, head; bool good; } ways[ARRAY_SIZE(wait_ways)];
	struct wait_stack *stacks;      /* of all tasks, by lo; read when they are needed */
	bool has_stacks;
	size_t num_stacks;
	struct wait_words words;
};

static int wait_stack_compare(const void *a, const void *b)
{
	const struct wait_stack *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

static void waits_find_stacks(struct waits *w)
{
	const struct report *r = w->report;

	w->has_stacks = true;
	for (size_t i = 0; r->stacks && i < r->num_tasks; i++) {
		struct wait_stack *s = &w->stacks[w->num_stacks];

		if (stacks_range(r->stacks, &r->tasks[i], &s->lo, &s->hi))
			w->num_stacks++;
	}
	if (w->num_stacks)
		qsort(w->stacks, w->num_stacks, sizeof(*w->stacks), wait_stack_compare);
}

static bool waits_on_stack(struct waits *w, uint64_t vaddr)
{
	size_t next;

	if (!w->has_stacks)
		waits_find_stacks(w);
	next = BISECT(w->num_stacks, i, w->stacks[i].lo > vaddr);
	return next && vaddr < w->stacks[next - 1].hi;
}

static void waits_find_pointer(struct waits *w, const char *member, struct btf_field *ret)
{
	/* some kernels have flags of the same name */
	if (!btf_field(&w->kernel->btf, "task_struct", member, ret) || !ret->is_pointer)
		ret->size = 0;
}

static void waits_find_members(struct waits *w)
{
	const struct btf *btf = &w->kernel->btf;

	if (!btf_field(btf, "task_struct", "blocker", &w->blocker) || w->blocker.size > 8)
		w->blocker.size = 0;
	waits_find_pointer(w, "blocked_on", &w->blocked_on);
	waits_find_pointer(w, "pi_blocked_on", &w->pi_blocked_on);
	for (size_t i = 0; i < ARRAY_SIZE(wait_ways); i++) {
		const struct wait_way *way = &wait_ways[i];

		w->ways[i].good = btf_field(btf, way->waiter, way->task, &w->ways[i].task) &&
				  btf_field(btf, way->waiter, way->node, &w->ways[i].node) &&
				  btf_field(btf, way->lock, way->head, &w->ways[i].head);
	}
}

struct gdump_error *waits_create(struct report *r, struct waits **ret)
{
	struct waits *w = calloc(1, sizeof(*w));

	if (!w)
		return error_nomem();
	w->report = r;
	w->kernel = &r->kernel;
	w->stacks = calloc(r->num_tasks + 1, sizeof(*w->stacks));
	if (!w->stacks || !wait_words_init(&w->words, w->kernel)) {
		waits_destroy(w);
		return error_nomem();
	}
	waits_find_members(w);
	*ret = w;
	return NULL;
}

void waits_destroy(struct waits *w)
{
	if (!w)
		return;
	free(w->stacks);
	wait_words_deinit(&w->words);
	free(w);
}

/* The owner ----------------------------------------------------------------- */

/* Read a member that has the owner and flags, by the first name that there is. */
static bool wait_read_owner(struct waits *w, uint64_t lock, const char *type,
			    const char *const *members, uint64_t *ret)
{
	for (; *members; members++) {
		if (kernel_member(w->kernel, lock, type, *members, ret))
			return true;
	}
	return false;
}

static void wait_find_owner(struct waits *w, struct wait *wait)
{
	/* with PREEMPT_RT, these locks are made of others */
	static const char *const plain[] = { "owner", NULL };
	static const char *const mutex[] = { "rtmutex.owner", NULL };
	static const char *const rwsem[] = { "rwbase.rtmutex.owner", NULL };
	uint64_t owner;

	switch (wait->kind) {
	case WAIT_MUTEX:
		if (wait_read_owner(w, wait->lock, "mutex", plain, &owner))
			wait->owner = owner & ~(uint64_t)FLAGS;
		else if (wait_read_owner(w, wait->lock, "mutex", mutex, &owner))
			wait->owner = owner & ~(uint64_t)RT_FLAGS;
		return;
	case WAIT_RWSEM_READ:
	case WAIT_RWSEM_WRITE:
		if (wait_read_owner(w, wait->lock, "rw_semaphore", plain, &owner)) {
			wait->owner = owner & ~(uint64_t)FLAGS;
			wait->owner_may_be_gone = owner & READER_OWNED;
		} else if (wait_read_owner(w, wait->lock, "rw_semaphore", rwsem, &owner)) {
			wait->owner = owner & ~(uint64_t)RT_FLAGS;
		}
		return;
	case WAIT_RT_MUTEX:
		if (wait_read_owner(w, wait->lock, "rt_mutex_base", plain, &owner) ||
		    wait_read_owner(w, wait->lock, "rt_mutex", plain, &owner))
			wait->owner = owner & ~(uint64_t)RT_FLAGS;
		return;
	default:
		return;
	}
}

/* By the task_struct --------------------------------------------------------- */

static uint64_t wait_task_word(struct waits *w, const struct gdump_task *task,
			       const struct btf_field *field)
{
	uint64_t value;

	return field->size && kernel_uint(w->kernel, task->vaddr + field->off, field->size, &value)
		       ? value : 0;
}

bool wait_by_task(struct waits *w, const struct gdump_task *task, struct wait *ret)
{
	static const enum wait_kind kinds[] = {
		WAIT_MUTEX, WAIT_SEMAPHORE, WAIT_RWSEM_READ, WAIT_RWSEM_WRITE,
	};
	const uint64_t blocker = wait_task_word(w, task, &w->blocker);
	const uint64_t mutex = blocker ? 0 : wait_task_word(w, task, &w->blocked_on);
	const uint64_t waiter = blocker || mutex ? 0 : wait_task_word(w, task, &w->pi_blocked_on);

	*ret = (struct wait){ WAIT_NONE };
	if (blocker)
		*ret = (struct wait){ kinds[blocker & 3], .lock = blocker & ~(uint64_t)3 };
	else if (mutex)
		*ret = (struct wait){ WAIT_MUTEX, .lock = mutex };
	else if (waiter && kernel_member(w->kernel, waiter, "rt_mutex_waiter", "lock", &ret->lock))
		ret->kind = WAIT_RT_MUTEX;
	if (ret->kind)
		wait_find_owner(w, ret);
	return ret->kind;
}

/* By the stack --------------------------------------------------------------- */

static bool wait_is_in(const struct gdump_stack *stack, const char *function)
{
	for (size_t i = 0; i < stack->num_frames; i++) {
		const struct gdump_frame *f = &stack->frames[i];

		if (f->function && f->kind != GDUMP_FRAME_GUESS &&
		    !strncmp(f->function, function, strlen(function)))
			return true;
	}
	return false;
}

/* Follow the ring of waiters from @node to its head, the one node that is on no stack. */
static bool wait_find_head(struct waits *w, uint64_t node, uint64_t *ret)
{
	const unsigned int word = w->kernel->source->image.is64 ? 8 : 4;
	uint64_t at = node, next, prev;

	for (unsigned int i = 0; i < MAX_RING; i++) {
		if (!kernel_word(w->kernel, at, &next) || next == node ||
		    !kernel_word(w->kernel, next + word, &prev) || prev != at)
			return false;
		if (!waits_on_stack(w, next)) {
			*ret = next;
			return true;
		}
		at = next;
	}
	return false;
}

static bool wait_by_ring(struct waits *w, size_t way, const struct gdump_task *task,
			 const struct wait_words *words, struct wait *ret)
{
	uint64_t head;

	for (size_t i = 0; w->ways[way].good && i < words->num; i++) {
		const uint64_t waiter = wait_words_vaddr(words, i) - w->ways[way].task.off;

		if (wait_words_at(words, i) != task->vaddr ||
		    !wait_find_head(w, waiter + w->ways[way].node.off, &head))
			continue;
		*ret = (struct wait){ wait_ways[way].kind, .lock = head - w->ways[way].head.off };
		wait_find_owner(w, ret);
		return true;
	}
	return false;
}

/* A task that waits for the readers of a percpu_rwsem has a pointer to it, which points back. */
static bool wait_by_writer(struct waits *w, const struct gdump_task *task,
			   const struct wait_words *words, struct wait *ret)
{
	struct btf_field writer;
	uint64_t who;

	if (!btf_field(&w->kernel->btf, "percpu_rw_semaphore", "writer.task", &writer))
		return false;
	for (size_t i = 0; i < words->num; i++) {
		const uint64_t lock = wait_words_at(words, i);

		if (lock % words->size || waits_on_stack(w, lock) ||
		    !kernel_word(w->kernel, lock + writer.off, &who) || who != task->vaddr)
			continue;
		*ret = (struct wait){ WAIT_PERCPU_WRITE, .lock = lock };
		return true;
	}
	return false;
}

static bool wait_read_words(struct waits *w, const struct gdump_task *task,
			    const struct gdump_stack *stack)
{
	uint64_t lo, hi;

	return stack->num_frames && stacks_range(w->report->stacks, task, &lo, &hi) &&
	       wait_words_read(&w->words, stack->frames[0].sp, lo, hi);
}

static bool wait_by_stack(struct waits *w, const struct gdump_task *task,
			  const struct gdump_stack *stack, struct wait *ret)
{
	if (!wait_read_words(w, task, stack))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(wait_ways); i++) {
		if (wait_is_in(stack, wait_ways[i].function) &&
		    wait_by_ring(w, i, task, &w->words, ret))
			return true;
	}
	return wait_is_in(stack, "percpu_down_write") && wait_by_writer(w, task, &w->words, ret);
}

/* The state of a buffer, its first member, has the bit. */
static bool wait_is_of_buffer(struct waits *w, uint64_t buffer)
{
	uint64_t device;

	return kernel_member(w->kernel, buffer, "buffer_head", "b_bdev", &device) && device &&
	       block_device_exists(w->kernel, device);
}

/* By functions that show it; what it is exactly, by an entry of a wait queue */
static bool wait_by_function(struct waits *w, const struct gdump_task *task,
			     const struct gdump_stack *stack, struct wait *ret)
{
	for (size_t i = 0; !ret->kind && i < ARRAY_SIZE(wait_functions); i++) {
		if (wait_is_in(stack, wait_functions[i].function))
			ret->kind = wait_functions[i].kind;
	}
	if (ret->kind && wait_read_words(w, task, stack) &&
	    wait_entry_find(&w->words, task->vaddr, ret) && ret->kind == WAIT_BIT &&
	    wait_is_of_buffer(w, ret->lock))
		ret->kind = WAIT_BUFFER;
	return ret->kind;
}

bool wait_find(struct waits *w, const struct gdump_task *task, const struct gdump_stack *stack,
	       struct wait *ret)
{
	return wait_by_task(w, task, ret) || wait_by_stack(w, task, stack, ret) ||
	       wait_by_function(w, task, stack, ret);
}
