/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "fake_types.h"

#include "arch/arch.h"
#include "kernel/kallsyms.h"

enum { MEMORY = 1 << 20 };

static const uint64_t kernel = 0xffffffff80000000, base = 0xffffffff80010000;

#define INFO "PAGESIZE=4096\nNUMBER(phys_base)=0\nSYMBOL(swapper_pg_dir)=ffffffff80001000\n" SYMS_INFO
#define OFFSETS "SYMBOL(kallsyms_offsets)=ffffffff80010a00\n"
#define BASE "SYMBOL(kallsyms_relative_base)=ffffffff80010ff0\n"

/* Some name of 200 characters, longer than a length of one byte has bits for */
#define TEN "0123456789"
#define LONG TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static uint64_t percpu(uint64_t vaddr, uint64_t number)
{
	(void)number;
	return vaddr < base ? vaddr : (uint64_t)(int64_t)(int32_t)(base - 1 - vaddr);
}

static uint64_t relative(uint64_t vaddr, uint64_t number)
{
	(void)number;
	return vaddr - base;
}

static uint64_t place(uint64_t vaddr, uint64_t number)
{
	return vaddr - (kernel + SYMS_OFFSETS + 4 * number);
}

static uint64_t whole(uint64_t vaddr, uint64_t number)
{
	(void)number;
	return vaddr;
}

static struct fake *begin(const char *info)
{
	struct fake *f = fake_create(EM_X86_64, MEMORY, info);

	set(f, 0x1000, 511, 0x2001);
	set(f, 0x2000, 510, 0x3001);
	set(f, 0x3000, 0, 0x81);
	put(f, SYMS_BASE, base, 8);
	return f;
}

static struct gdump_error *load(struct fake *f, struct symtab *ret)
{
	struct paging paging;
	struct walker w;
	struct gdump_error *err;

	CHECK_OK(paging_of_kernel(&f->source, &paging));
	walker_init(&w, &paging, &f->source);
	err = kallsyms_read(&w, ret);
	walker_deinit(&w);
	return err;
}

static uint64_t find(const struct symtab *t, const char *name)
{
	uint64_t vaddr;

	return symtab_find(t, name, &vaddr) ? vaddr : 0;
}

static void fill(struct syms *s, struct fake *f, uint64_t (*encode)(uint64_t, uint64_t))
{
	const bool one_byte = s->one_byte, is_whole = s->whole;

	syms_begin(s, f);
	s->one_byte = one_byte;
	s->whole = is_whole;
	s->encode = encode;
	syms_add(s, "A" "per_cpu_thing", encode == percpu || encode == whole ? 0x31980 : base + 0x100);
	syms_add(s, "t" LONG, base + 8);
	syms_add(s, "T" "_stext", base);
	syms_add(s, "D" "init_\1", base + 0x12340);
	syms_add(s, "d" "init_task", base + 0x15555);   /* the second of that name */
	syms_add(s, "B" "init_tas", base + 0x10);
}

static void test_form(const char *info, uint64_t (*encode)(uint64_t, uint64_t), struct syms s)
{
	struct fake *f = begin(info);
	struct symtab t;

	fill(&s, f, encode);
	CHECK_OK(load(f, &t));
	CHECK_INT(t.num, 6);
	CHECK_INT(find(&t, "init_task"), base + 0x12340);
	CHECK_INT(find(&t, LONG), base + 8);
	CHECK_INT(find(&t, "per_cpu_thing"), encode == percpu || encode == whole ? 0x31980 : base + 0x100);
	CHECK_INT(find(&t, "nothing"), 0);
	CHECK_INT(find(&t, "nit_task"), 0);
	symtab_deinit(&t);
	source_close(&f->source);
}

static void check_at(const struct symtab *t, uint64_t vaddr, const char *name, uint64_t off,
		     uint64_t size)
{
	struct symbol s;

	if (!CHECK(symtab_at(t, vaddr, base + 0x1000, &s)))
		return;
	CHECK_STR(s.name, name);
	CHECK_INT(vaddr - s.vaddr, off);
	CHECK_INT(s.size, size);
}

/* The first of several symbols with one address, up to the next other one */
static void test_addresses(void)
{
	static const struct {
		const char *name;
		uint64_t off;
	} added[] = { { "b", 0x20 }, { "a", 0x10 }, { "c", 0x20 }, { "d", 0x40 }, { "a", 0x30 } };
	struct symtab t = { .num = 0 };
	struct symbol s;

	for (uint32_t i = 0; i < 5; i++)
		CHECK(symtab_add(&t, base + added[i].off, i, added[i].name, 1));
	CHECK(symtab_finish(&t));
	CHECK(!symtab_at(&t, base + 0xf, base + 0x1000, &s));
	check_at(&t, base + 0x10, "a", 0, 0x10);
	check_at(&t, base + 0x1f, "a", 0xf, 0x10);
	check_at(&t, base + 0x20, "b", 0, 0x10);
	check_at(&t, base + 0x2f, "b", 0xf, 0x10);
	check_at(&t, base + 0x50, "d", 0x10, 0xfc0);
	CHECK_INT(find(&t, "a"), base + 0x10);
	CHECK_INT(find(&t, "c"), base + 0x20);
	symtab_deinit(&t);
}

static void test_forms(void)
{
	test_form(INFO OFFSETS BASE, percpu, (struct syms){ 0 });
	test_form(INFO OFFSETS BASE, percpu, (struct syms){ .one_byte = true });
	test_form(INFO OFFSETS BASE, relative, (struct syms){ 0 });
	test_form(INFO OFFSETS, place, (struct syms){ 0 });
	test_form(INFO "SYMBOL(kallsyms_addresses)=ffffffff80013000\n", whole,
		  (struct syms){ .whole = true });
}

/* What is wrong is no table, and nothing is found in it */
static void test_wrong(void)
{
	struct fake *f = begin(INFO OFFSETS BASE), *none = begin("PAGESIZE=4096\nNUMBER(phys_base)=0\n"
								"SYMBOL(swapper_pg_dir)=ffffffff80001000\n");
	struct symtab t;
	struct syms s = { 0 };

	CHECK_ERR(load(none, &t), GDUMP_ERR_UNSUPPORTED, "lacks its address");
	fill(&s, f, percpu);
	put(f, SYMS_BASE, base + 8, 8);
	CHECK_ERR(load(f, &t), GDUMP_ERR_UNSUPPORTED, "_stext");
	CHECK_INT(t.num, 0);
	put(f, SYMS_BASE, base, 8);
	put(f, SYMS_NUM, 1 << 30, 4);
	CHECK_ERR(load(f, &t), GDUMP_ERR_UNSUPPORTED, "too many");
	put(f, SYMS_NUM, s.num, 4);
	put(f, SYMS_NAMES, 0xff, 1);    /* a name that swallows the others */
	put(f, SYMS_NAMES + 1, 0xff, 1);
	CHECK_ERR(load(f, &t), GDUMP_ERR_UNSUPPORTED, "_stext");
	put(f, SYMS_INDEX + 2 * 'T', 0xffff, 2);        /* a token behind all memory */
	CHECK_ERR(load(f, &t), GDUMP_ERR_UNSUPPORTED, "");
	source_close(&f->source);
	source_close(&none->source);
}

/* Three bytes of the table are a name of 1023 characters, 150,000 times. */
static void test_long_names(void)
{
	enum { NAMES = SYMS_NAMES + 0x400, NUM = 150000 };
	struct fake *f = begin(INFO OFFSETS BASE);
	struct syms s = { 0 };
	struct symtab t;

	fill(&s, f, percpu);
	CHECK(s.at <= NAMES);
	memset(f->memory + s.at, 2, 3 * NUM);
	put(f, SYMS_INDEX + 2 * 2, NAMES - SYMS_TOKENS, 2);
	put(f, SYMS_NUM, NUM, 4);
	CHECK_OK(load(f, &t));
	CHECK_INT(find(&t, LONG), base + 8);
	CHECK(t.names_max <= 64 << 20);
	symtab_deinit(&t);
	source_close(&f->source);
}

static void test_mutations(void)
{
	struct fake *f = begin(INFO OFFSETS BASE);
	unsigned char *good = malloc(MEMORY);
	struct syms s = { 0 };
	uint64_t seed = 3;

	fill(&s, f, percpu);
	memcpy(good, f->memory, MEMORY);
	for (unsigned int i = 0; i < 3000; i++) {
		struct symtab t;
		struct gdump_error *err;

		fake_mutate(f, &seed, i % 2 ? SYMS_NAMES : SYMS_NUM, s.at, false);
		err = load(f, &t);
		if (!err)
			find(&t, "init_task");
		symtab_deinit(&t);
		gdump_error_destroy(err);
		memcpy(f->memory, good, MEMORY);
	}
	free(good);
	source_close(&f->source);
}

int main(void)
{
	test_forms();
	test_addresses();
	test_wrong();
	test_long_names();
	test_mutations();
	return check_done();
}
