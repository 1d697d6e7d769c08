/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "fake_types.h"

#include "kernel/modules.h"

enum {
	MEMORY = 2 << 20, TYPES = 0x20000, HEAD = 0x30000, MODULE = 0x31000, TABLES = 0x32000,
	STRINGS = 0x40000, ENTRIES = 0x100000, ENTRY = 24,
	/* members of struct module */
	LIST = 0, NAME = 16, CORE = 80, INIT = 104, KALLSYMS = 128,
	/* of struct module_layout, and of struct mod_kallsyms */
	SIZE = 8, TEXT_SIZE = 12, SYMTAB = 0, NUM_SYMTAB = 8, STRTAB = 16,
};

static const uint64_t kernel = 0xffffffff80000000, code = 0xffffffffc0000000;

#define INFO "PAGESIZE=4096\nNUMBER(phys_base)=0\nSYMBOL(swapper_pg_dir)=ffffffff80001000\n" SYMS_INFO \
	"SYMBOL(kallsyms_offsets)=ffffffff80010a00\nSYMBOL(kallsyms_relative_base)=ffffffff80010ff0\n"

static uint64_t relative(uint64_t vaddr, uint64_t number)
{
	(void)number;
	return vaddr - kernel;
}

static uint64_t put_types(struct fake *f)
{
	struct types t = { .num = 0 };
	const uint32_t u32 = types_int(&t, "u32", 4), u64 = types_int(&t, "u64", 8);
	const uint32_t name = types_array(&t, types_int(&t, "char", 1), 64);
	uint32_t layout, list;

	types_add(&t, "task_struct", BTF_STRUCT, 1, 8);
	types_member(&t, "state", u64, 0);
	list = types_add(&t, "list_head", BTF_STRUCT, 1, 16);
	types_member(&t, "next", u64, 0);
	layout = types_add(&t, "module_layout", BTF_STRUCT, 3, 16);
	types_member(&t, "base", u64, 0);
	types_member(&t, "size", u32, SIZE);
	types_member(&t, "text_size", u32, TEXT_SIZE);
	types_add(&t, "mod_kallsyms", BTF_STRUCT, 3, 24);
	types_member(&t, "symtab", u64, SYMTAB);
	types_member(&t, "num_symtab", u32, NUM_SYMTAB);
	types_member(&t, "strtab", u64, STRTAB);
	types_add(&t, "module", BTF_STRUCT, 5, 136);
	types_member(&t, "list", list, LIST);
	types_member(&t, "name", name, NAME);
	types_member(&t, "core_layout", layout, CORE);
	types_member(&t, "init_layout", layout, INIT);
	types_member(&t, "kallsyms", u64, KALLSYMS);
	return types_put(f, TYPES, &t);
}

static void put_symbol(struct fake *f, unsigned int i, uint32_t name, uint64_t vaddr)
{
	put(f, ENTRIES + ENTRY * i, name, 4);
	put(f, ENTRIES + ENTRY * i + 8, vaddr, 8);
}

/* A kernel with the module "net", whose code is at @code and has two symbols */
static struct fake *begin(struct kernel *k)
{
	struct fake *f = fake_create(EM_X86_64, MEMORY, INFO);
	struct syms s;
	uint64_t len;

	set(f, 0x1000, 511, 0x2001);
	set(f, 0x2000, 510, 0x3001);
	set(f, 0x3000, 0, 0x81);
	len = put_types(f);
	syms_begin(&s, f);
	s.encode = relative;
	put(f, SYMS_BASE, kernel, 8);
	syms_add(&s, "T" "_stext", kernel + 0x10000);
	syms_add(&s, "D" "modules", kernel + HEAD);
	syms_add(&s, "r" "__start_BTF", kernel + TYPES);
	syms_add(&s, "r" "__stop_BTF", kernel + TYPES + len);
	put(f, HEAD, kernel + MODULE, 8);
	put(f, HEAD + 8, kernel + MODULE, 8);
	put(f, MODULE + LIST, kernel + HEAD, 8);
	put(f, MODULE + LIST + 8, kernel + HEAD, 8);
	memcpy(f->memory + MODULE + NAME, "net", 3);
	put(f, MODULE + CORE, code, 8);
	put(f, MODULE + CORE + SIZE, 0x2000, 4);
	put(f, MODULE + CORE + TEXT_SIZE, 0x1000, 4);
	put(f, MODULE + KALLSYMS, kernel + TABLES, 8);
	put(f, TABLES + SYMTAB, kernel + ENTRIES, 8);
	put(f, TABLES + NUM_SYMTAB, 3, 4);
	put(f, TABLES + STRTAB, kernel + STRINGS, 8);
	memcpy(f->memory + STRINGS, "\0send\0count", 12);
	put_symbol(f, 1, 1, code + 0x10);
	put_symbol(f, 2, 6, code + 0x1008);
	CHECK_OK(kernel_open(&f->source, k));
	return f;
}

static void end(struct fake *f, struct kernel *k, struct modules *m)
{
	modules_deinit(m);
	kernel_close(k);
	source_close(&f->source);
}

static void test_symbols(void)
{
	struct kernel k;
	struct modules m;
	struct fake *f = begin(&k);
	uint64_t vaddr = 0;

	CHECK_OK(modules_read(&k, &m));
	if (CHECK_INT(m.num, 1)) {
		CHECK_STR(m.list[0].name, "net");
		CHECK(symtab_find(&m.list[0].symbols, "send", &vaddr));
		CHECK_INT(vaddr, code + 0x10);
		CHECK(symtab_find(&m.list[0].variables, "count", &vaddr));
		CHECK_INT(vaddr, code + 0x1008);
	}
	end(f, &k, &m);
}

/* More symbols than the guest's memory could hold */
static void test_too_many(void)
{
	struct kernel k;
	struct modules m;
	struct fake *f = begin(&k);

	put(f, TABLES + NUM_SYMTAB, MEMORY / ENTRY + 1, 4);
	CHECK_OK(modules_read(&k, &m));
	if (CHECK_INT(m.num, 1))
		CHECK_INT(m.list[0].symbols.num, 0);
	end(f, &k, &m);
}

/* Many symbols have one name, which has no end. */
static void test_long_name(void)
{
	enum { NUM = 30000 };
	struct kernel k;
	struct modules m;
	struct fake *f = begin(&k);

	put(f, TABLES + NUM_SYMTAB, NUM, 4);
	memset(f->memory + STRINGS + 64, 'x', ENTRIES - STRINGS - 64);
	for (unsigned int i = 3; i < NUM; i++)
		put_symbol(f, i, 64, code + 8 * i);
	put_symbol(f, NUM, ENTRIES - STRINGS - 1, code + 0x20);
	put(f, TABLES + NUM_SYMTAB, NUM + 1, 4);
	CHECK_OK(modules_read(&k, &m));
	if (CHECK_INT(m.num, 1)) {
		CHECK_INT(m.list[0].symbols.num + m.list[0].variables.num, 3);
		CHECK(m.list[0].symbols.names_max <= 64 << 20);
	}
	end(f, &k, &m);
}

int main(void)
{
	test_symbols();
	test_too_many();
	test_long_name();
	return check_done();
}
