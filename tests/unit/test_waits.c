/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "fake_types.h"

#include "kernel/tasks.h"
#include "report/waits.h"

enum {
	MEMORY = 1 << 20, TYPES = 0x20000, INIT = 0x40000, SIGNALS = 0x48000, STACKS = 0x50000,
	LOCKS = 0x60000, STRIDE = 0x1000, STACK_SIZE = 4096, TASKS_NUM = 4,
	/* in a task */
	STATE = 8, TASKS = 24, PID = 40, TGID = 44, NODE = 48, NAME = 64, SIGNAL = 80, EXIT = 88,
	STACK = 96, BLOCKER = 104, TASK_SIZE = 128, HEAD = 16,
	/* in a mutex, which is 0x40 bytes from the next one; in a waiter */
	OWNER = 0, WAITERS = 16, LOCK_SIZE = 0x40, LIST = 0, TASK = 16,
};

static const uint64_t kernel = 0xffffffff80000000;

#define INFO "PAGESIZE=4096\nNUMBER(phys_base)=0\nSYMBOL(swapper_pg_dir)=ffffffff80001000\n" \
	"SYMBOL(_stext)=ffffffff80010000\n" SYMS_INFO "SYMBOL(kallsyms_offsets)=ffffffff80010a00\n" \
	"SYMBOL(kallsyms_relative_base)=ffffffff80010ff0\n"

static uint64_t relative(uint64_t vaddr, uint64_t number)
{
	(void)number;
	return vaddr - kernel;
}

static uint64_t put_types(struct fake *f, bool blocker)
{
	struct types t = { .len = 0 };
	const uint32_t u32 = types_int(&t, "unsigned int", 4), u64 = types_int(&t, "long", 8);
	const uint32_t c = types_int(&t, "char", 1), name = types_array(&t, c, 16);
	const uint32_t pointer = types_add(&t, "", BTF_PTR, 0, 0);
	const uint32_t list = types_add(&t, "list_head", BTF_STRUCT, 2, 16);

	types_member(&t, "next", pointer, 0);
	types_member(&t, "prev", pointer, 8);
	types_add(&t, "task_struct", BTF_STRUCT, 10, TASK_SIZE);
	types_member(&t, "__state", u32, STATE);
	types_member(&t, "tasks", list, TASKS);
	types_member(&t, "pid", u32, PID);
	types_member(&t, "tgid", u32, TGID);
	types_member(&t, "thread_node", list, NODE);
	types_member(&t, "comm", name, NAME);
	types_member(&t, "signal", pointer, SIGNAL);
	types_member(&t, "exit_state", u32, EXIT);
	types_member(&t, "stack", pointer, STACK);
	types_member(&t, blocker ? "blocker" : "unused", u64, BLOCKER);
	types_add(&t, "signal_struct", BTF_STRUCT, 1, 64);
	types_member(&t, "thread_head", list, HEAD);
	types_add(&t, "thread_union", BTF_UNION, 1, STACK_SIZE);
	types_member(&t, "word", u64, 0);
	types_add(&t, "mutex", BTF_STRUCT, 2, 32);
	types_member(&t, "owner", u64, OWNER);
	types_member(&t, "wait_list", list, WAITERS);
	types_add(&t, "mutex_waiter", BTF_STRUCT, 2, 24);
	types_member(&t, "list", list, LIST);
	types_member(&t, "task", pointer, TASK);
	types_add(&t, "rw_semaphore", BTF_STRUCT, 2, 32);
	types_member(&t, "owner", u64, OWNER);
	types_member(&t, "wait_list", list, WAITERS);
	types_add(&t, "rwsem_waiter", BTF_STRUCT, 2, 24);
	types_member(&t, "list", list, LIST);
	types_member(&t, "task", pointer, TASK);
	return types_put(f, TYPES, &t);
}

static uint64_t task_at(unsigned int i)
{
	return INIT + 0x200 * i;
}

static uint64_t stack_at(unsigned int i)
{
	return STACKS + (uint64_t)STACK_SIZE * i;
}

static uint64_t lock_at(unsigned int i)
{
	return LOCKS + (uint64_t)LOCK_SIZE * i;
}

static void link_nodes(struct fake *f, const uint64_t *nodes, size_t num)
{
	for (size_t i = 0; i < num; i++) {
		put(f, nodes[i], kernel + nodes[(i + 1) % num], 8);
		put(f, nodes[i] + 8, kernel + nodes[(i + num - 1) % num], 8);
	}
}

/* swapper, and processes 1 to 3, which are blocked */
static void put_tasks(struct fake *f)
{
	static const char *const names[] = { "swapper/0", "a", "b", "c" };
	uint64_t ring[TASKS_NUM];

	for (unsigned int i = 0; i < TASKS_NUM; i++) {
		const uint64_t at = task_at(i), signal = SIGNALS + 0x100 * i;
		const uint64_t threads[] = { signal + HEAD, at + NODE };

		put(f, at + STATE, i ? 2 : 0, 4);
		put(f, at + PID, i, 4);
		put(f, at + TGID, i, 4);
		put(f, at + SIGNAL, kernel + signal, 8);
		put(f, at + STACK, kernel + stack_at(i), 8);
		strcpy((char *)f->memory + at + NAME, names[i]);
		link_nodes(f, threads, 2);
		ring[i] = at + TASKS;
	}
	link_nodes(f, ring, TASKS_NUM);
}

/* A lock that @owner holds, and for which the tasks @waiters wait, each with a struct at the same
 * place of its stack
 */
static void put_lock(struct fake *f, unsigned int lock, uint64_t owner, const unsigned int *waiters,
		     size_t num)
{
	uint64_t ring[TASKS_NUM] = { lock_at(lock) + WAITERS };

	for (size_t i = 0; i < num; i++) {
		ring[i + 1] = stack_at(waiters[i]) + 0x800;
		put(f, ring[i + 1] + TASK, kernel + task_at(waiters[i]), 8);
	}
	link_nodes(f, ring, num + 1);
	put(f, lock_at(lock) + OWNER, owner, 8);
}

static struct fake *begin(bool blocker)
{
	struct fake *f = fake_create(EM_X86_64, MEMORY, INFO);
	const uint64_t len = put_types(f, blocker);
	struct syms s;

	set(f, 0x1000, 511, 0x2001);
	set(f, 0x2000, 510, 0x3001);
	set(f, 0x3000, 0, 0x81);
	syms_begin(&s, f);
	s.encode = relative;
	put(f, SYMS_BASE, kernel, 8);
	syms_add(&s, "T_stext", kernel + 0x10000);
	syms_add(&s, "D__start_BTF", kernel + TYPES);
	syms_add(&s, "D__stop_BTF", kernel + TYPES + len);
	syms_add(&s, "Dinit_\1", kernel + INIT);
	syms_add(&s, "Dlock_a", kernel + lock_at(1));
	syms_add(&s, "B_end", kernel + 0x70000);
	put_tasks(f);
	return f;
}

/* By the stack --------------------------------------------------------------- */

struct inside {
	struct report report;
	struct gdump_task tasks[TASKS_NUM];
	struct waits *waits;
};

static void take_task(void *arg, const struct gdump_task *task)
{
	struct inside *in = arg;

	in->tasks[task->pid] = *task;
	in->report.num_tasks++;
}

static void inside_open(struct inside *in, struct fake *f)
{
	*in = (struct inside){ .report = { .source = &f->source } };
	CHECK_OK(kernel_open(&f->source, &in->report.kernel));
	CHECK_OK(stacks_open(&in->report.kernel, &in->report.stacks));
	CHECK_OK(tasks_of(&in->report.kernel, take_task, in));
	CHECK_INT(in->report.num_tasks, TASKS_NUM);
	in->report.tasks = in->tasks;
	CHECK_OK(waits_create(&in->report, &in->waits));
}

static void inside_close(struct inside *in, struct fake *f)
{
	waits_destroy(in->waits);
	stacks_close(in->report.stacks);
	kernel_close(&in->report.kernel);
	source_close(&f->source);
}

/* Task @i, whose stack is in use from 0x400 on, is in @function. */
static bool find(struct inside *in, unsigned int i, const char *function, struct wait *ret)
{
	const struct gdump_frame frames[] = {
		{ .pc = kernel + 0x10000, .sp = kernel + stack_at(i) + 0x400, .function = "__schedule" },
		{ .pc = kernel + 0x10000, .sp = kernel + stack_at(i) + 0x700, .function = function },
	};
	const struct gdump_stack stack = { .frames = frames, .num_frames = 2 };

	return wait_find(in->waits, &in->tasks[i], &stack, ret);
}

static void test_stack(void)
{
	static const unsigned int two[] = { 1, 2 };
	struct fake *f = begin(false);
	struct inside in;
	struct wait wait;

	put_lock(f, 1, (kernel + task_at(3)) | 5, two, 2);
	inside_open(&in, f);
	for (unsigned int i = 1; i < 3; i++) {
		CHECK(find(&in, i, "__mutex_lock.constprop.0", &wait));
		CHECK_INT(wait.kind, WAIT_MUTEX);
		CHECK_INT(wait.lock, kernel + lock_at(1));
		CHECK_INT(wait.owner, kernel + task_at(3));
	}
	/* the same struct, as it happens; bit 0: of readers */
	CHECK(find(&in, 1, "rwsem_down_write_slowpath", &wait));
	CHECK_INT(wait.kind, WAIT_RWSEM_WRITE);
	CHECK(wait.owner_may_be_gone);
	/* in no such function, or in another task, or with a ring that is broken */
	CHECK(!find(&in, 1, "schedule", &wait));
	CHECK_INT(wait.kind, WAIT_NONE);
	CHECK(!find(&in, 3, "__mutex_lock", &wait));
	put(f, stack_at(2) + 0x808, 0, 8);
	CHECK(!find(&in, 1, "__mutex_lock", &wait));
	/* what the functions show */
	CHECK(find(&in, 1, "folio_wait_bit_common", &wait));
	CHECK_INT(wait.kind, WAIT_PAGE);
	CHECK(!wait.lock && !wait.owner);
	inside_close(&in, f);
}

/* A waiter of an earlier time points to itself, or to another ring that does not have it. */
static void test_stale(void)
{
	static const unsigned int one[] = { 2 };
	struct fake *f = begin(false);
	const uint64_t alone[] = { stack_at(1) + 0x600 };
	struct inside in;
	struct wait wait;

	put_lock(f, 1, kernel + task_at(3), one, 1);
	link_nodes(f, alone, 1);
	put(f, alone[0] + TASK, kernel + task_at(1), 8);
	put(f, stack_at(1) + 0x900, kernel + lock_at(1) + WAITERS, 8);
	put(f, stack_at(1) + 0x908, kernel + lock_at(1) + WAITERS, 8);
	put(f, stack_at(1) + 0x900 + TASK, kernel + task_at(1), 8);
	inside_open(&in, f);
	CHECK(!find(&in, 1, "__mutex_lock", &wait));
	CHECK(find(&in, 2, "__mutex_lock", &wait));
	inside_close(&in, f);
}

/* By the task_struct, as a report ---------------------------------------------- */

static const struct gdump_fact *below(const struct gdump_fact *above, const char *name)
{
	const struct gdump_fact *f = fact_find(above, name);

	CHECK(f);
	return f;
}

static const struct gdump_fact *read_report(struct fake *f)
{
	static const struct gdump_report_options options = { .size = sizeof(options) };
	const struct gdump_fact *report = NULL;

	CHECK_OK(report_read(&f->source, &options, &report));
	return report;
}

static void test_deadlock(void)
{
	struct fake *f = begin(true);
	const struct gdump_fact *report, *v;

	/* c waits for a, a for b, and b for a */
	put(f, task_at(1) + BLOCKER, kernel + lock_at(2), 8);
	put(f, task_at(2) + BLOCKER, kernel + lock_at(1), 8);
	put(f, task_at(3) + BLOCKER, kernel + lock_at(1), 8);
	put(f, lock_at(1) + OWNER, (kernel + task_at(1)) | 1, 8);
	put(f, lock_at(2) + OWNER, kernel + task_at(2), 8);
	report = read_report(f);
	v = below(report, "verdict")->children;
	CHECK_STR(below(v, "what")->text, "deadlock");
	CHECK_STR(below(v, "text")->text, "DEADLOCK: a (1) -> b (2) -> a (1)");
	CHECK(below(v, "evidence")->children->next);
	v = below(below(below(report, "blocked")->children, "waits_for"), "kind");
	CHECK_STR(v->text, "mutex");
	gdump_fact_destroy(report);
	source_close(&f->source);
}

/* Tasks that wait for readers, or for nobody, are in no circle. */
static void test_no_deadlock(void)
{
	struct fake *f = begin(true);
	const struct gdump_fact *report;

	put(f, task_at(1) + BLOCKER, (kernel + lock_at(2)) | 3, 8);
	put(f, task_at(2) + BLOCKER, (kernel + lock_at(1)) | 2, 8);
	put(f, lock_at(1) + OWNER, (kernel + task_at(1)) | 1, 8);
	put(f, lock_at(2) + OWNER, (kernel + task_at(2)) | 1, 8);
	report = read_report(f);
	CHECK(strcmp(below(below(report, "verdict")->children, "what")->text, "deadlock"));
	CHECK(below(below(below(report, "blocked")->children, "waits_for"), "holder_is_last_reader"));
	gdump_fact_destroy(report);
	source_close(&f->source);
}

/* Past its deadline, nothing of a kernel can be read. */
static void test_deadline(void)
{
	struct fake *f = begin(true);
	struct kernel k;
	unsigned char c;

	CHECK_OK(kernel_open(&f->source, &k));
	CHECK_OK(walker_read(&k.walker, kernel + LOCKS, &c, 1));
	k.walker.deadline_us = 1;
	CHECK_ERR(walker_read(&k.walker, kernel + LOCKS, &c, 1), GDUMP_ERR_CANCELED, "takes too long");
	kernel_close(&k);
	source_close(&f->source);
}

/* What tables were read for is used only for the same kernel. */
static void test_tables(void)
{
	struct fake *f = begin(true), *again = begin(true), *other = begin(true);
	struct gdump_tables *tables;
	uint64_t pid;

	CHECK_OK(tables_read(&f->source, &tables));
	source_close(&f->source);
	*(char *)(uintptr_t)strchr(other->source.image.vmcoreinfo, '=') = '+';
	CHECK(!tables_use(tables, &other->source));
	put(again, task_at(1) + PID, 77, 4);
	CHECK(tables_use(tables, &again->source));
	CHECK(kernel_member(&tables->kernel, kernel + task_at(1), "task_struct", "pid", &pid));
	CHECK_INT(pid, 77);
	gdump_tables_destroy(tables);
	source_close(&again->source);
	source_close(&other->source);
}

/* A damaged kernel: there is a report, whatever it says. */
static void test_mutations(void)
{
	uint64_t seed = 5;

	for (unsigned int i = 0; i < 300; i++) {
		struct fake *f = begin(i % 2);
		const struct gdump_fact *report;

		put(f, task_at(1) + BLOCKER, kernel + lock_at(2), 8);
		put(f, lock_at(2) + OWNER, kernel + task_at(2), 8);
		fake_mutate(f, &seed, i % 3 ? TYPES : INIT, i % 3 ? TYPES + 0x600 : LOCKS + 0x100, false);
		report = read_report(f);
		CHECK(below(report, "verdict")->children);
		gdump_fact_destroy(report);
		source_close(&f->source);
	}
}

int main(void)
{
	test_stack();
	test_stale();
	test_deadlock();
	test_no_deadlock();
	test_deadline();
	test_tables();
	test_mutations();
	return check_done();
}
