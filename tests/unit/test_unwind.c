/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "fake_kernel.h"

#include "stacks/orc.h"
#include "stacks/unwind.h"

enum {
	MEMORY = 1 << 20, TEXT = 0x10000, TEXT_SIZE = 0x10000, STACK = 0x40000, STACK_SIZE = 0x4000,
	IRQ_STACK = 0x60000, TABLES = 0x80000, FUNCTION = 0x100,
};

static const uint64_t base = 0xc000000000000000;        /* an address of a kernel of each machine */

/* All memory is mapped from @base on; each FUNCTION bytes of code are a function. */
struct scene {
	struct fake *fake;
	struct kernel kernel;
	struct mapping all;
	struct unwind unwind;
	struct walk walk;
	struct orc orc;
};

static struct scene *begin(uint16_t machine)
{
	struct scene *s = calloc(1, sizeof(*s));

	s->fake = fake_create(machine, MEMORY, "PAGESIZE=4096\nOSRELEASE=6.1.0\n"
					       "NUMBER(KERNELPACMASK)=0xff7f000000000000\n");
	s->all = (struct mapping){ base, 0, MEMORY };
	s->kernel.source = &s->fake->source;
	s->kernel.paging.pieces = &s->all;
	s->kernel.paging.num_pieces = 1;
	walker_init(&s->kernel.walker, &s->kernel.paging, &s->fake->source);
	for (uint32_t i = 0; i < TEXT_SIZE / FUNCTION; i++) {
		char name[16];
		const int len = snprintf(name, sizeof(name), "f%u", i);

		CHECK(symtab_add(&s->kernel.symbols, base + TEXT + i * FUNCTION, i, name, (size_t)len));
	}
	CHECK(symtab_finish(&s->kernel.symbols));
	s->unwind.kernel = &s->kernel;
	s->unwind.text.kernel = &s->kernel;
	s->unwind.text.parts[0].start = base + TEXT;
	s->unwind.text.parts[0].end = base + TEXT + TEXT_SIZE;
	s->unwind.stack_size = STACK_SIZE;
	s->unwind.ops = unwinder_of(&s->kernel);
	s->unwind.tables = &s->orc;
	s->orc.text = &s->unwind.text;
	s->walk.unwind = &s->unwind;
	s->walk.buf = malloc(MAX_STACK);
	s->walk.frames = calloc(MAX_FRAMES, sizeof(*s->walk.frames));
	s->walk.task_stack = base + STACK;
	return s;
}

static void end(struct scene *s)
{
	walker_deinit(&s->kernel.walker);
	symtab_deinit(&s->kernel.symbols);
	source_close(&s->fake->source);
	free(s->walk.buf);
	free(s->walk.frames);
	free(s);
}

static void rewind_walk(struct scene *s)
{
	s->walk.num = 0;
	s->walk.num_visited = 0;
	s->walk.at = s->walk.lo = s->walk.hi = 0;
	s->unwind.budget = 16 * MEMORY;
	walk_end(&s->walk, GDUMP_STACK_UNSUPPORTED, 0);
}

static uint64_t code(unsigned int function, unsigned int off)
{
	return base + TEXT + function * FUNCTION + off;
}

/* The frames as text: "f1+8 ?f2+10 @f3+0 user", and the end */
static void check_walk(const struct scene *s, const char *frames, enum gdump_stack_end wanted)
{
	char text[1024] = "";

	for (size_t i = 0; i < s->walk.num && strlen(text) < sizeof(text) - 64; i++) {
		const struct gdump_frame *f = &s->walk.frames[i];
		const size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len, "%s%s%s", i ? " " : "",
			 f->kind == GDUMP_FRAME_GUESS ? "?" : f->kind == GDUMP_FRAME_EXACT ? "@" : "",
			 f->kind == GDUMP_FRAME_USER ? "user" : f->function ? f->function : "-");
		if (f->function)
			snprintf(text + strlen(text), 16, "+%x", (unsigned int)f->offset);
	}
	CHECK_STR(text, frames);
	CHECK_INT(s->walk.end, wanted);
}

/* A frame record: where the next one is, and a return address */
static void put_record(struct scene *s, uint64_t at, uint64_t next, uint64_t pc)
{
	put(s->fake, at, next ? base + next : 0, 8);
	put(s->fake, at + 8, pc, 8);
}

static void walk_sleeping(struct scene *s, uint64_t a, uint64_t b)
{
	const uint64_t start[MAX_STARTS] = { a, b };

	rewind_walk(s);
	s->unwind.ops->sleeping(&s->walk, start);
}

static void test_aarch64(void)
{
	struct scene *s = begin(EM_AARCH64);
	const uint64_t at = STACK + 0x3000;

	put_record(s, at, at + 0x20, code(2, 0x20));
	put_record(s, at + 0x20, at + 0x60, code(4, 0));        /* it was the last one of f3 */
	put_record(s, at + 0x60, 0, 0);
	walk_sleeping(s, code(1, 0x10), base + at);
	check_walk(s, "f1+10 f2+20 f3+100", GDUMP_STACK_COMPLETE);
	/* signed: with bits of the mask that are 0; an address of a kernel has bit 55 */
	put(s->fake, at + 8, (code(2, 0x20) | (uint64_t)1 << 55) & ~((uint64_t)0x5a << 56), 8);
	walk_sleeping(s, code(1, 0x10), base + at);
	check_walk(s, "f1+10", GDUMP_STACK_NOT_CODE);
	CHECK_INT(s->walk.end_at, code(2, 0x20) | 0xffff000000000000);
	/* back, to itself, to where nothing is, askew, to what is no code */
	put_record(s, at, at + 0x20, code(2, 0x20));
	put_record(s, at + 0x20, at, code(3, 4));
	walk_sleeping(s, code(1, 0x10), base + at);
	check_walk(s, "f1+10 f2+20 f3+4", GDUMP_STACK_ASTRAY);
	CHECK_INT(s->walk.end_at, base + at);
	put_record(s, at, at, code(2, 0x20));
	walk_sleeping(s, code(1, 0x10), base + at);
	check_walk(s, "f1+10 f2+20", GDUMP_STACK_ASTRAY);
	put_record(s, at, 0x40000000, code(2, 0x20));
	walk_sleeping(s, code(1, 0x10), base + at);
	check_walk(s, "f1+10 f2+20", GDUMP_STACK_UNREADABLE);
	put_record(s, at, at + 0x21, code(2, 0x20));
	walk_sleeping(s, code(1, 0x10), base + at);
	check_walk(s, "f1+10 f2+20", GDUMP_STACK_ASTRAY);
	put_record(s, at, at + 0x20, base + TABLES);
	walk_sleeping(s, code(1, 0x10), base + at);
	check_walk(s, "f1+10", GDUMP_STACK_NOT_CODE);
	end(s);
}

/* From the stack of interrupts to that of the task, but not back */
static void test_stacks(void)
{
	struct scene *s = begin(EM_AARCH64);
	const uint64_t at = STACK + 0x3000;

	put_record(s, IRQ_STACK, IRQ_STACK + 0x10, code(2, 4));
	put_record(s, IRQ_STACK + 0x10, at, code(3, 4));
	put_record(s, at, at + 0x10, code(4, 4));
	put_record(s, at + 0x10, 0, 0);
	walk_sleeping(s, code(1, 4), base + IRQ_STACK);
	check_walk(s, "f1+4 f2+4 f3+4 f4+4", GDUMP_STACK_COMPLETE);
	put_record(s, at + 0x10, IRQ_STACK + 0x10, code(5, 4));
	walk_sleeping(s, code(1, 4), base + IRQ_STACK);
	check_walk(s, "f1+4 f2+4 f3+4 f4+4 f5+4", GDUMP_STACK_ASTRAY);
	/* more frames than anybody reads */
	for (uint64_t i = 0; i < 300; i++)
		put_record(s, STACK + 16 * i, STACK + 16 * (i + 1), code(6, 4));
	walk_sleeping(s, code(1, 4), base + STACK);
	CHECK_INT(s->walk.num, MAX_FRAMES);
	CHECK_INT(s->walk.end, GDUMP_STACK_TOO_LONG);
	/* nothing may be read anymore */
	rewind_walk(s);
	s->unwind.budget = 100;
	CHECK(!walk_move(&s->walk, base + STACK));
	CHECK_INT(s->walk.end, GDUMP_STACK_TOO_LONG);
	end(s);
}

static void test_scan(void)
{
	struct scene *s = begin(EM_AARCH64);

	put(s->fake, STACK + STACK_SIZE - 16, code(3, 4), 8);
	put(s->fake, STACK + STACK_SIZE - 8, base + STACK, 8);
	put(s->fake, STACK + STACK_SIZE, code(4, 4), 8);        /* another stack */
	rewind_walk(s);
	CHECK(walk_move(&s->walk, base + STACK));
	walk_scan(&s->walk);
	check_walk(s, "?f3+4", GDUMP_STACK_UNSUPPORTED);
	end(s);
}

static void test_riscv64(void)
{
	struct scene *s = begin(EM_RISCV);
	const uint64_t at = STACK + 0x3000;

	put_record(s, at - 16, at + 0x40, code(2, 4));
	put_record(s, at + 0x40 - 16, 0, code(3, 4));
	walk_sleeping(s, code(1, 4), base + at);
	check_walk(s, "f1+4 f2+4 f3+4", GDUMP_STACK_COMPLETE);
	put_record(s, at + 0x40 - 16, at, code(3, 4));
	walk_sleeping(s, code(1, 4), base + at);
	check_walk(s, "f1+4 f2+4 f3+4", GDUMP_STACK_ASTRAY);
	end(s);
}

/* The return address of the first frame is stale; the second one is that of an interrupt. */
static void test_ppc64(void)
{
	struct scene *s = begin(EM_PPC64);
	const uint64_t at = STACK + 0x3000, second = at + 0x40, third = at + 0x200;

	put(s->fake, at, base + second, 8);
	put(s->fake, at + 16, code(9, 4), 8);
	put(s->fake, second, base + third, 8);
	put(s->fake, second + 16, code(2, 4), 8);
	put(s->fake, second + 96, 0x7265677368657265, 8);
	put(s->fake, second + 112 + 32 * 8, code(3, 0), 8);
	put(s->fake, third + 16, code(4, 4), 8);
	walk_sleeping(s, base + at, 0);
	check_walk(s, "f2+4 @f3+0 f4+4", GDUMP_STACK_COMPLETE);
	put(s->fake, second + 112 + 33 * 8, 1 << 14, 8);
	walk_sleeping(s, base + at, 0);
	check_walk(s, "f2+4 user", GDUMP_STACK_USER);
	end(s);
}

/* x86-64 ------------------------------------------------------------------- */

enum { SP_OLD = 5, BP_OLD = 4, PREV_SP_OLD = 1, CALL_OLD = 0, REGS_OLD = 1, END_OLD = 1 << 10 };

static void put_le(unsigned char *p, uint64_t v, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

/* Entry @i, from @ip on: offsets of the stack and frame pointer, and fields */
static void put_orc(struct orc_table *t, size_t i, uint64_t ip, int sp_off, int bp_off,
		    unsigned int fields)
{
	put_le(t->ips + 4 * i, (uint32_t)(ip - (t->vaddr + 4 * i)), 4);
	put_le(t->entries + 6 * i, (uint16_t)sp_off, 2);
	put_le(t->entries + 6 * i + 2, (uint16_t)bp_off, 2);
	put_le(t->entries + 6 * i + 4, fields, 2);
	t->num = i + 1;
}

static void walk_running(struct scene *s, uint64_t ip, uint64_t sp, uint64_t bp, uint64_t cs)
{
	const uint64_t start[MAX_STARTS] = { ip, sp, bp, cs };

	rewind_walk(s);
	s->unwind.ops->running(&s->walk, start);
}

/* By frame pointers; an odd one is of saved registers. */
static void test_frame_pointers(void)
{
	struct scene *s = begin(EM_X86_64);
	const uint64_t at = STACK + 0x3000, regs = at + 0x100;

	put_record(s, at, at + 0x40, code(2, 4));
	put(s->fake, at + 0x40, (base + regs) | 1, 8);
	put(s->fake, at + 0x48, code(3, 4), 8);
	put(s->fake, regs + 32, base + regs + 0x100, 8);        /* bp */
	put(s->fake, regs + 128, code(4, 0), 8);                /* ip */
	put(s->fake, regs + 136, 0x10, 8);                      /* cs */
	put(s->fake, regs + 152, base + regs + 0xf0, 8);        /* sp */
	put_record(s, regs + 0x100, 0, code(5, 4));
	walk_running(s, code(1, 4), base + at - 0x20, base + at, 0x10);
	check_walk(s, "@f1+4 f2+4 f3+4 @f4+0 f5+4", GDUMP_STACK_COMPLETE);
	put(s->fake, regs + 136, 0x33, 8);
	walk_running(s, code(1, 4), base + at - 0x20, base + at, 0x10);
	check_walk(s, "@f1+4 f2+4 f3+4 user", GDUMP_STACK_USER);
	walk_running(s, 0x401000, 0x7ffe0000, 0, 0x33);
	check_walk(s, "user", GDUMP_STACK_USER);
	end(s);
}

static void test_orc(void)
{
	struct scene *s = begin(EM_X86_64);
	struct orc_table *t = &s->orc.kernel;
	const uint64_t at = STACK + 0x3000, regs = at + 0x18;
	struct orc_entry e;

	t->vaddr = base + TABLES;
	t->ips = malloc(64 * 4);
	t->entries = malloc(64 * 6);
	s->orc.late_offset = true;
	put_orc(t, 0, code(1, 0), 8, 0, SP_OLD | CALL_OLD << 8);
	put_orc(t, 1, code(1, 0x10), 16, -16, SP_OLD | PREV_SP_OLD << 4);
	put_orc(t, 2, code(2, 0), 8, 0, SP_OLD | REGS_OLD << 8);
	put_orc(t, 3, code(3, 0), 16, -16, BP_OLD | PREV_SP_OLD << 4);
	put_orc(t, 4, code(4, 0), 0, 0, END_OLD);
	put_orc(t, 5, code(5, 0), 0, 0, 0);
	CHECK(!orc_find(&s->orc, code(0, 5), &e));
	CHECK(!orc_find(&s->orc, base + TABLES, &e));
	CHECK(orc_find(&s->orc, code(1, 0xf), &e) && e.sp_off == 8 && e.type == ORC_CALL &&
	      e.sp_reg == ORC_REG_SP && e.bp_reg == ORC_REG_NONE);
	CHECK(orc_find(&s->orc, code(1, 0x10), &e) && e.sp_off == 16 && e.bp_off == -16 &&
	      e.bp_reg == ORC_REG_PREV_SP);
	CHECK(orc_find(&s->orc, code(2, 0xff), &e) && e.type == ORC_REGS);
	CHECK(orc_find(&s->orc, code(4, 0), &e) && e.type == ORC_END);
	CHECK(orc_find(&s->orc, code(9, 0), &e) && e.type == ORC_UNDEFINED);

	/* f1 with a saved rbp, called by f2, which an interrupt in f3 called; f4 is the first one */
	put(s->fake, at, base + at + 0x200, 8);
	put(s->fake, at + 8, code(2, 4), 8);
	put(s->fake, regs + 32, base + at + 0x200, 8);
	put(s->fake, regs + 128, code(3, 0), 8);
	put(s->fake, regs + 136, 0x10, 8);
	put(s->fake, regs + 152, base + at + 0x180, 8);
	put_record(s, at + 0x200, at + 0x300, code(4, 4));
	walk_running(s, code(1, 0x12), base + at, 0, 0x10);
	check_walk(s, "@f1+12 f2+4 @f3+0 f4+4", GDUMP_STACK_COMPLETE);
	/* the numbers of registers in 7.2, and types of three bits */
	s->orc.new_numbers = s->orc.three_bits = true;
	put_orc(t, 1, code(1, 0x10), 16, -16, 3 | 8 << 4 | 2 << 8);
	put_orc(t, 2, code(2, 0), 8, 0, 3 | 3 << 8);
	put_orc(t, 3, code(3, 0), 16, -16, 4 | 8 << 4 | 2 << 8);
	put_orc(t, 4, code(4, 0), 0, 0, 1 << 8);
	walk_running(s, code(1, 0x12), base + at, 0, 0x10);
	check_walk(s, "@f1+12 f2+4 @f3+0 f4+4", GDUMP_STACK_COMPLETE);
	/* it calls address 0; and a function without an entry */
	put(s->fake, at - 8, code(1, 0x12), 8);
	walk_running(s, 0, base + at - 8, 0, 0x10);
	check_walk(s, "@- f1+12 f2+4 @f3+0 f4+4", GDUMP_STACK_COMPLETE);
	put_record(s, at + 0x300, 0, code(4, 8));
	walk_running(s, code(0, 4), base + at, base + at + 0x300, 0x10);
	check_walk(s, "@f0+4 ?f4+8", GDUMP_STACK_COMPLETE);
	free(t->ips);
	free(t->entries);
	end(s);
}

/* Whatever is in memory, each walk ends. */
static void test_garbage(uint16_t machine)
{
	struct scene *s = begin(machine);
	struct orc_table *t = &s->orc.kernel;
	uint64_t seed = machine;

	t->vaddr = base + TABLES;
	t->ips = malloc(64 * 4);
	t->entries = malloc(64 * 6);
	for (unsigned int round = 0; round < 300; round++) {
		const uint64_t start[MAX_STARTS] = {
			machine == EM_PPC64 ? base + STACK + 8 * random_below(&seed, 64) :
			code((unsigned int)random_below(&seed, 16), 4),
			base + STACK + 8 * random_below(&seed, 64), base + STACK + 0x100,
		};

		s->orc.new_numbers = round & 1;
		s->orc.three_bits = round & 2;
		for (unsigned int i = 0; i < 64; i++)
			put_orc(t, i, code((unsigned int)random_below(&seed, 16), 0),
				(int)(8 * random_below(&seed, 32)), -16,
				(unsigned int)random_next(&seed));
		/* words that lead somewhere */
		for (uint64_t at = STACK; at < STACK + 0x1000; at += 8)
			put(s->fake, at, random_below(&seed, 3) ? base + STACK + 8 * random_below(&seed, 600) :
			    code((unsigned int)random_below(&seed, 16), 4), 8);
		rewind_walk(s);
		if (machine == EM_X86_64 || round % 2)
			s->unwind.ops->running(&s->walk, start);
		else
			s->unwind.ops->sleeping(&s->walk, start);
		CHECK(s->walk.num <= MAX_FRAMES && s->walk.num_visited <= MAX_STACKS);
	}
	free(t->ips);
	free(t->entries);
	end(s);
}

int main(void)
{
	test_aarch64();
	test_stacks();
	test_scan();
	test_riscv64();
	test_ppc64();
	test_frame_pointers();
	test_orc();
	test_garbage(EM_AARCH64);
	test_garbage(EM_RISCV);
	test_garbage(EM_PPC64);
	test_garbage(EM_X86_64);
	return check_done();
}
