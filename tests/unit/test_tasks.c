/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "fake_types.h"

#include "kernel/state.h"
#include "kernel/tasks.h"

enum {
	MEMORY = 1 << 20, TYPES = 0x20000, INIT = 0xff000, SIGNALS = 0x40000, RQ = 0x50000,
	OFFSETS_OF_CPUS = 0x51000, NR_CPUS = 0x51800, ONLINE = 0x51810, PRESENT = 0x51818, PANIC_CPU = 0x51820,
	TIME = 0x52000, STRIDE = 0x200,
	/* in a task */
	STATE = 8, ON_CPU = 12, CPU = 16, TASKS = 24, PID = 40, TGID = 44, NODE = 48, NAME = 64,
	SIGNAL = 80, EXIT = 88, TASK_SIZE = 96, HEAD = 16,
};

static const uint64_t kernel = 0xffffffff80000000;

#define INFO "PAGESIZE=4096\nNUMBER(phys_base)=0\nSYMBOL(swapper_pg_dir)=ffffffff80001000\n" \
	"SYMBOL(_stext)=ffffffff80010000\n"
#define TABLE SYMS_INFO "SYMBOL(kallsyms_offsets)=ffffffff80010a00\n" \
	"SYMBOL(kallsyms_relative_base)=ffffffff80010ff0\n"

static uint64_t relative(uint64_t vaddr, uint64_t number)
{
	(void)number;
	return vaddr - kernel;
}

static uint64_t put_types(struct fake *f, const char *state_name)
{
	struct types t = { .len = 0 };
	const uint32_t u32 = types_int(&t, "unsigned int", 4), s64 = types_int(&t, "long", 8);
	const uint32_t c = types_int(&t, "char", 1), name = types_array(&t, c, 16);
	const uint32_t pointer = types_add(&t, "", BTF_PTR, 0, 0);
	const uint32_t list = types_add(&t, "list_head", BTF_STRUCT, 2, 16);
	uint32_t info, ts;

	types_member(&t, "next", pointer, 0);
	types_member(&t, "prev", pointer, 8);
	info = types_add(&t, "thread_info", BTF_STRUCT, 1, 8);
	types_member(&t, "cpu", u32, 0);
	/* it says to be larger than what is there: the last ones end with the memory */
	types_add(&t, "task_struct", BTF_STRUCT, 11, TASK_SIZE + 0x1000);
	types_member(&t, "thread_info", info, CPU);
	types_member(&t, state_name, u32, STATE);
	types_member(&t, "on_cpu", u32, ON_CPU);
	types_member(&t, "tasks", list, TASKS);
	types_member(&t, "pid", u32, PID);
	types_member(&t, "tgid", u32, TGID);
	types_member(&t, "thread_node", list, NODE);
	types_member(&t, "comm", name, NAME);
	types_member(&t, "signal", pointer, SIGNAL);
	types_member(&t, "exit_state", u32, EXIT);
	types_member(&t, "filler", u32, EXIT + 4);
	types_add(&t, "signal_struct", BTF_STRUCT, 1, 64);
	types_member(&t, "thread_head", list, HEAD);
	types_add(&t, "rq", BTF_STRUCT, 1, 16);
	types_member(&t, "curr", pointer, 8);
	ts = types_add(&t, "timespec64", BTF_STRUCT, 1, 16);
	types_member(&t, "tv_sec", s64, 0);
	types_add(&t, "timekeeper", BTF_STRUCT, 5, 48);
	types_member(&t, "ktime_sec", s64, 0);
	types_member(&t, "xtime_sec", s64, 8);
	types_member(&t, "wall_to_monotonic", ts, 16);
	types_member(&t, "offs_real", s64, 32);
	types_member(&t, "offs_boot", s64, 40);
	return types_put(f, TYPES, &t);
}

/* Task @i is thread @pid of @tgid; its list nodes are put by link(). */
static void put_task(struct fake *f, unsigned int i, uint32_t pid, uint32_t tgid, const char *name,
		     uint32_t state)
{
	const uint64_t at = INIT + STRIDE * i;

	put(f, at + STATE, state, 4);
	put(f, at + CPU, i % 2, 4);
	put(f, at + PID, pid, 4);
	put(f, at + TGID, tgid, 4);
	put(f, at + SIGNAL, kernel + SIGNALS + 0x100 * tgid, 8);
	strcpy((char *)f->memory + at + NAME, name);
}

static void link_nodes(struct fake *f, const uint64_t *nodes, size_t num)
{
	for (size_t i = 0; i < num; i++) {
		put(f, nodes[i], kernel + nodes[(i + 1) % num], 8);
		put(f, nodes[i] + 8, kernel + nodes[(i + num - 1) % num], 8);
	}
}

/* swapper/0, init (a process of two threads) and worker; swapper/1 is in no list */
static void put_tasks(struct fake *f)
{
	const uint64_t processes[] = { INIT + TASKS, INIT + STRIDE + TASKS, INIT + 3 * STRIDE + TASKS };
	const uint64_t swapper[] = { SIGNALS + HEAD, INIT + NODE };
	const uint64_t init[] = { SIGNALS + 0x100 + HEAD, INIT + STRIDE + NODE,
				  INIT + 2 * STRIDE + NODE };
	const uint64_t worker[] = { SIGNALS + 0x300 + HEAD, INIT + 3 * STRIDE + NODE };

	put_task(f, 0, 0, 0, "swapper/0", 0);
	put_task(f, 1, 1, 1, "init", 1);
	put_task(f, 2, 2, 1, "thread", 2);
	put_task(f, 3, 3, 3, "worker", 0x402);
	put_task(f, 4, 0, 0, "swapper/1", 0);
	link_nodes(f, processes, 3);
	link_nodes(f, swapper, 2);
	link_nodes(f, init, 3);
	link_nodes(f, worker, 2);
	/* CPU 0 runs init, CPU 1 its idle task, CPU 2 is off */
	put(f, NR_CPUS, 3, 4);
	put(f, ONLINE, 3, 8);
	put(f, PRESENT, 7, 8);
	for (unsigned int cpu = 0; cpu < 3; cpu++)
		put(f, OFFSETS_OF_CPUS + 8 * cpu, 0x40 * cpu, 8);
	put(f, RQ + 8, kernel + INIT + STRIDE, 8);
	put(f, RQ + 0x40 + 8, kernel + INIT + 4 * STRIDE, 8);
	put(f, INIT + STRIDE + ON_CPU, 1, 4);
}

static void put_time(struct fake *f)
{
	put(f, PANIC_CPU, UINT32_MAX, 4);
	put(f, TIME + 8, 100, 8);                       /* ktime_sec */
	put(f, TIME + 16, 1700000100, 8);               /* xtime_sec */
	put(f, TIME + 24, (uint64_t)-1700000001, 8);    /* with nanoseconds that carry */
	put(f, TIME + 40, 1700000000500000000, 8);      /* offs_real */
	put(f, TIME + 48, 7000000000, 8);               /* slept for 7 s */
}

static struct fake *begin(bool symbols)
{
	struct fake *f = fake_create(EM_X86_64, MEMORY, symbols ? INFO TABLE : INFO);
	const uint64_t len = put_types(f, "__state");
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
	syms_add(&s, "Drunqueues", kernel + RQ);
	syms_add(&s, "D__per_cpu_offset", kernel + OFFSETS_OF_CPUS);
	syms_add(&s, "Dnr_cpu_ids", kernel + NR_CPUS);
	syms_add(&s, "D__cpu_online_mask", kernel + ONLINE);
	syms_add(&s, "D__cpu_present_mask", kernel + PRESENT);
	syms_add(&s, "Dpanic_cpu", kernel + PANIC_CPU);
	syms_add(&s, "dtk_core", kernel + TIME);
	put_tasks(f);
	put_time(f);
	return f;
}

struct heard {
	char text[4096];
	size_t num;
};

static void hear(void *arg, const struct gdump_task *t)
{
	struct heard *h = arg;
	const size_t len = strlen(h->text);

	h->num++;
	if (len + 128 < sizeof(h->text))
		snprintf(h->text + len, sizeof(h->text) - len, "%s%d/%d %c %d %d %s", len ? ", " : "",
			 t->tgid, t->pid, t->state, t->cpu, t->running_cpu, t->name);
}

static void check_tasks(struct fake *f, const char *wanted)
{
	struct heard h = { .num = 0 };

	CHECK_OK(tasks_read(&f->source, hear, &h));
	CHECK_STR(h.text, wanted);
}

static void test_tasks(void)
{
	struct fake *f = begin(true);

	check_tasks(f, "0/0 R 0 1 swapper/1, 0/0 R 0 -1 swapper/0, 1/1 S 1 0 init, "
		       "1/2 D 0 -1 thread, 3/3 I 1 -1 worker");
	/* CPU 0 panics and stops the others; CPU 2 was never used */
	put(f, ONLINE, 1, 8);
	put(f, PRESENT, 3, 8);
	check_tasks(f, "0/0 R 0 -1 swapper/0, 1/1 S 1 0 init, 1/2 D 0 -1 thread, 3/3 I 1 -1 worker");
	put(f, PANIC_CPU, 0, 4);
	check_tasks(f, "0/0 R 0 1 swapper/1, 0/0 R 0 -1 swapper/0, 1/1 S 1 0 init, "
		       "1/2 D 0 -1 thread, 3/3 I 1 -1 worker");
	/* a zombie, a stopped, a traced and a parked one, an older kernel */
	put(f, INIT + STRIDE + EXIT, 0x20, 4);
	put(f, INIT + 2 * STRIDE + STATE, 4, 4);
	put(f, INIT + 3 * STRIDE + STATE, 8, 4);
	put(f, INIT + STATE, 0x40, 4);
	put_types(f, "state");
	check_tasks(f, "0/0 R 0 1 swapper/1, 0/0 P 0 -1 swapper/0, 1/1 Z 1 0 init, "
		       "1/2 T 0 -1 thread, 3/3 t 1 -1 worker");
	source_close(&f->source);
}

/* No symbols: types and init_task are found by what they are, CPUs by their tasks. */
static void test_search(void)
{
	struct fake *f = begin(false);

	strcpy((char *)f->memory + 0x15008, "swapper/0");       /* some other text */
	check_tasks(f, "0/0 R 0 -1 swapper/0, 1/1 S 1 1 init, 1/2 D 0 -1 thread, 3/3 I 1 -1 worker");
	memset(f->memory + INIT + NAME, 0, 10);
	CHECK_ERR(tasks_read(&f->source, hear, &(struct heard){ 0 }), GDUMP_ERR_UNSUPPORTED,
		  "init_task");
	f->memory[TYPES] = 0;
	CHECK_ERR(tasks_read(&f->source, hear, &(struct heard){ 0 }), GDUMP_ERR_UNSUPPORTED, "BTF");
	source_close(&f->source);
}

/* A member that is far outside of its struct: this one can be done without */
static void test_far_member(void)
{
	struct fake *f = begin(true);
	unsigned char *types = f->memory + TYPES, *name = memmem(types, 4096, "on_cpu", 7), *member = NULL;
	const unsigned char *strings = memmem(types, 4096, "unsigned int", 13);
	uint32_t off;

	CHECK(name && strings);
	off = (uint32_t)(name - strings + 1);
	for (unsigned char *p = types + 24; p < strings && !member; p += 4) {
		if (!memcmp(p, &off, sizeof(off)))
			member = p;
	}
	if (CHECK(member))
		put(f, (uint64_t)(member - f->memory) + 8, 0xfffffff8, 4);
	check_tasks(f, "0/0 R 0 1 swapper/1, 0/0 R 0 -1 swapper/0, 1/1 S 1 0 init, "
		       "1/2 D 0 -1 thread, 3/3 I 1 -1 worker");
	source_close(&f->source);
}

/* Nobody is told of a list that does not come back to where it began. */
static void test_broken(void)
{
	static const struct {
		uint64_t at, value;
	} cases[] = {
		{ INIT + TASKS, 0x1000 },                               /* not mapped */
		{ INIT + STRIDE + TASKS, kernel + INIT + STRIDE + TASKS },      /* to itself */
		{ INIT + 3 * STRIDE + TASKS, kernel + INIT + STRIDE + TASKS },  /* not to the start */
		{ INIT + 3 * STRIDE + TASKS + 8, kernel },              /* the one before is another */
		{ INIT + STRIDE + NODE, kernel + INIT + STRIDE + NODE },
		{ INIT + 2 * STRIDE + NODE, kernel + INIT + STRIDE + NODE },
		{ INIT + 2 * STRIDE + NODE + 8, kernel },
		{ INIT + STRIDE + SIGNAL, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake *f = begin(true);
		struct heard h = { .num = 0 };

		put(f, cases[i].at, cases[i].value, 8);
		CHECK_ERR(tasks_read(&f->source, hear, &h), GDUMP_ERR_CORRUPT, "breaks off after");
		CHECK_INT(h.num, 0);
		source_close(&f->source);
	}
}

/* Memory that claims more tasks than it has room for */
static void test_endless(void)
{
	struct fake *f = begin(true);
	const uint64_t first = 0x60000, num = (INIT - first - TASK_SIZE) / 32;
	uint64_t *nodes = malloc((size_t)(num + 1) * sizeof(*nodes));

	/* they overlap, and have a process's empty list of threads */
	nodes[0] = INIT + TASKS;
	for (uint64_t i = 0; i < num; i++) {
		nodes[i + 1] = first + 32 * i;
		put(f, nodes[i + 1] + SIGNAL - TASKS, kernel + SIGNALS + 0x400, 8);
	}
	put(f, SIGNALS + 0x400 + HEAD, kernel + SIGNALS + 0x400 + HEAD, 8);
	put(f, SIGNALS + 0x400 + HEAD + 8, kernel + SIGNALS + 0x400 + HEAD, 8);
	link_nodes(f, nodes, (size_t)(num - 1));
	CHECK_ERR(tasks_read(&f->source, hear, &(struct heard){ 0 }), GDUMP_ERR_CORRUPT,
		  "breaks off after 11398");
	free(nodes);
	source_close(&f->source);
}

static struct gdump_kernel state(struct fake *f)
{
	struct gdump_kernel k = { .size = sizeof(k) };

	CHECK_OK(state_read(&f->source, &k));
	return k;
}

static void test_state(void)
{
	struct fake *f = begin(true), *none = fake_create(EM_X86_64, MEMORY, "PAGESIZE=4096\n");
	struct gdump_kernel k = state(f);

	CHECK(k.has_uptime && !k.uptime_is_lower_bound && !k.panicked);
	CHECK_INT(k.uptime, 107);
	CHECK_INT(k.boot_time, 1699999993);
	CHECK_INT(k.panic_cpu, -1);
	put(f, PANIC_CPU, 1, 4);
	k = state(f);
	CHECK(k.panicked && !k.panic[0]);
	CHECK_INT(k.panic_cpu, 1);
	/* times that contradict each other are none */
	put(f, TIME + 8, 1000, 8);
	CHECK(!state(f).has_uptime);
	put_time(f);
	put(f, TIME + 40, 1600000000000000000, 8);
	CHECK(!state(f).has_uptime);
	put_time(f);
	put(f, TIME + 48, UINT64_MAX, 8);
	CHECK(!state(f).has_uptime);
	CHECK_ERR(state_read(&none->source, &k), GDUMP_ERR_UNSUPPORTED, "page tables");
	source_close(&none->source);
	source_close(&f->source);
}

static void test_mutations(void)
{
	struct fake *f = begin(true);
	unsigned char *good = malloc(MEMORY);
	uint64_t seed = 7;

	memcpy(good, f->memory, MEMORY);
	for (unsigned int i = 0; i < 3000; i++) {
		static const uint64_t from[] = { TYPES, SIGNALS, INIT };
		static const uint64_t to[] = { TYPES + 0x400, TIME + 64, MEMORY };
		struct gdump_kernel k = { .size = sizeof(k) };
		struct heard h = { .num = 0 };

		fake_mutate(f, &seed, from[i % 3], to[i % 3], false);
		gdump_error_destroy(tasks_read(&f->source, hear, &h));
		gdump_error_destroy(state_read(&f->source, &k));
		CHECK(h.num <= MEMORY / (EXIT + 4) + 3);
		memcpy(f->memory, good, MEMORY);
	}
	free(good);
	source_close(&f->source);
}

int main(void)
{
	test_tasks();
	test_search();
	test_far_member();
	test_broken();
	test_endless();
	test_state();
	test_mutations();
	return check_done();
}
