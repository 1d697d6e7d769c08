/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "fake_types.h"

#include "arch/arch.h"
#include "kernel/btf.h"

enum { MEMORY = 1 << 20, AT = 0x20000 };

static const uint64_t kernel = 0xffffffff80000000;

static struct fake *begin(void)
{
	struct fake *f = fake_create(EM_X86_64, MEMORY,
				     "PAGESIZE=4096\nNUMBER(phys_base)=0\n"
				     "SYMBOL(swapper_pg_dir)=ffffffff80001000\n");

	set(f, 0x1000, 511, 0x2001);
	set(f, 0x2000, 510, 0x3001);
	set(f, 0x3000, 0, 0x81);
	return f;
}

static struct gdump_error *load(struct fake *f, uint64_t len, struct btf *ret)
{
	struct paging paging;
	struct walker w;
	struct gdump_error *err;

	CHECK_OK(paging_of_kernel(&f->source, &paging));
	walker_init(&w, &paging, &f->source);
	err = btf_read(&w, kernel + AT, len, ret);
	walker_deinit(&w);
	return err;
}

/* A struct with everything that a member can be */
static uint64_t make(struct fake *f)
{
	struct types t = { .len = 0 };
	const uint32_t u32 = types_int(&t, "unsigned int", 4);
	const uint32_t alias = types_add(&t, "u32", BTF_TYPEDEF, 0, u32);
	const uint32_t fixed = types_add(&t, "", BTF_CONST, 0, alias);
	const uint32_t pointer = types_add(&t, "", BTF_PTR, 0, 0);
	const uint32_t pair = types_array(&t, fixed, 2), four = types_array(&t, pair, 2);
	const uint32_t both = types_add(&t, "", BTF_UNION, 2, 8);
	uint32_t inner, loop, deep, rows;

	types_member(&t, "as_word", pointer, 0);
	types_member(&t, "as_half", u32, 4);
	inner = types_add(&t, "", BTF_STRUCT, 2, 16);
	types_member(&t, "first", fixed, 0);
	types_member(&t, "", both, 8);
	types_add(&t, "thing", BTF_TYPEDEF, 0, u32);    /* not the struct of that name */
	deep = types_add(&t, "deep", BTF_STRUCT, 2, 24);
	types_member(&t, "pad", u32, 0);
	types_member(&t, "row", pair, 8);
	rows = types_array(&t, deep, 3);
	types_add(&t, "thing", BTF_STRUCT, 7, 160);
	types_member(&t, "start", fixed, 0);
	types_member(&t, "where", pointer, 8);
	types_member(&t, "", inner, 16);
	types_member(&t, "table", four, 32);
	types_member(&t, "void", 0, 48);
	types_member(&t, "deep", deep, 56);
	types_member(&t, "rows", rows, 80);
	types_add(&t, "numbers", 6, 2, 4);
	types_u32(&t, types_string(&t, "ZERO"));
	types_u32(&t, 0);
	types_u32(&t, types_string(&t, "SEVEN"));
	types_u32(&t, 7);
	/* one whose members have sizes in bits: 3 bits at byte 5 */
	types_add(&t, "bits", BTF_STRUCT, 1, 8);
	t.records[t.len - 5] |= 0x80;
	types_u32(&t, types_string(&t, "flags"));
	types_u32(&t, u32);
	types_u32(&t, 3 << 24 | 41);
	/* what is in itself, by a type without name, and a name for itself */
	loop = t.num + 1;
	types_add(&t, "", BTF_STRUCT, 2, 8);
	types_member(&t, "", loop, 0);
	types_member(&t, "", loop, 0);
	types_add(&t, "circle", BTF_STRUCT, 2, 8);
	types_member(&t, "", loop, 0);
	types_member(&t, "self", loop + 2, 0);
	types_add(&t, "self", BTF_TYPEDEF, 0, loop + 2);
	return types_put(f, AT, &t);
}

static void check_field(const struct btf *b, const char *name, uint32_t off, uint32_t size)
{
	struct btf_field field;

	if (CHECK(btf_field(b, "thing", name, &field))) {
		CHECK_INT(field.off, off);
		CHECK_INT(field.size, size);
	}
}

static void test_members(void)
{
	struct fake *f = begin();
	struct btf_field field;
	struct btf b;
	uint64_t len = make(f);
	uint32_t number;

	CHECK_INT(btf_length(f->memory + AT, 24, false), len);
	CHECK_INT(btf_length(f->memory + AT, 24, true), 0);
	CHECK_OK(load(f, len, &b));
	CHECK_INT(btf_size(&b, "thing"), 160);
	CHECK_INT(btf_size(&b, "u32"), 0);
	CHECK_INT(btf_size(&b, "nothing"), 0);
	check_field(&b, "start", 0, 4);
	check_field(&b, "where", 8, 8);
	check_field(&b, "first", 16, 4);
	check_field(&b, "as_word", 24, 8);
	check_field(&b, "as_half", 28, 4);
	check_field(&b, "table", 32, 16);
	check_field(&b, "deep.row", 64, 8);
	check_field(&b, "deep.row[1]", 68, 4);
	check_field(&b, "rows[2].row[1]", 80 + 2 * 24 + 12, 4);
	CHECK(!btf_field(&b, "thing", "rows[3]", &field));
	CHECK(!btf_field(&b, "thing", "start.x", &field));
	CHECK(!btf_field(&b, "thing", "rows.row", &field));
	CHECK(!btf_field(&b, "thing", "deep[0]", &field));
	CHECK(!btf_field(&b, "thing", ".deep", &field));
	CHECK(btf_field(&b, "thing", "rows", &field) && field.num == 3 && !field.is_pointer);
	CHECK(btf_field(&b, "thing", "where", &field) && field.is_pointer && !field.num);
	CHECK(btf_enumerator(&b, "numbers", "SEVEN", &number) && number == 7);
	CHECK(!btf_enumerator(&b, "numbers", "EIGHT", &number));
	CHECK(!btf_enumerator(&b, "thing", "SEVEN", &number));
	CHECK(!btf_field(&b, "thing", "void", &field));         /* of no size */
	CHECK(!btf_field(&b, "thing", "nothing", &field));
	CHECK(btf_field(&b, "bits", "flags", &field) && field.off == 5 && field.bits == 3);
	CHECK(!btf_field(&b, "circle", "nothing", &field));
	CHECK(!btf_field(&b, "circle", "self", &field));
	btf_deinit(&b);
	source_close(&f->source);
}

/* Types of a module: a struct with members of the kernel's types and of its own, and one that hides
 * the kernel's of the same name
 */
static void test_module(void)
{
	struct fake *f = begin();
	struct btf kernel_types = { 0 }, module = { 0 };
	struct types t = { .len = 0 };
	struct btf_field field;
	unsigned char *data;
	uint32_t own;
	uint64_t len;

	CHECK_OK(load(f, make(f), &kernel_types));
	t.num = kernel_types.num;
	t.base_len = kernel_types.strings_len;
	own = types_int(&t, "own", 2);
	types_add(&t, "of_module", BTF_STRUCT, 3, 16);
	types_member(&t, "u32", 2, 4);          /* the kernel's typedef */
	types_member(&t, "own", own, 8);
	types_member(&t, "far", kernel_types.num + 1000, 12);
	types_add(&t, "deep", BTF_STRUCT, 1, 8);
	types_member(&t, "own", own, 6);
	len = types_put(f, AT, &t);
	data = malloc(len);
	if (!data)
		exit(1);
	memcpy(data, f->memory + AT, len);
	CHECK_OK(btf_take(data, len, false, true, &kernel_types, &module));
	CHECK_INT(btf_size(&module, "of_module"), 16);
	CHECK(btf_field(&module, "of_module", "u32", &field) && field.off == 4 && field.size == 4);
	CHECK(btf_field(&module, "of_module", "own", &field) && field.off == 8 && field.size == 2);
	CHECK(!btf_field(&module, "of_module", "far", &field) || !field.size);
	CHECK(btf_field(&module, "deep", "own", &field) && field.off == 6);
	CHECK(!btf_field(&module, "deep", "row", &field));
	CHECK_INT(btf_size(&module, "thing"), 160);
	CHECK(btf_field(&module, "thing", "where", &field) && field.off == 8 && field.size == 8);
	CHECK_INT(btf_size(&kernel_types, "of_module"), 0);
	CHECK_INT(btf_size(&kernel_types, "deep"), 24);
	btf_deinit(&module);
	btf_deinit(&kernel_types);
	source_close(&f->source);
}

static void test_wrong(void)
{
	static const struct {
		uint64_t at, value;
		unsigned int size;
		const char *message;
	} cases[] = {
		{ 0, 0xeb9e, 2, "no header" }, { 2, 2, 1, "no header" }, { 3, 1, 1, "no header" },
		{ 4, 20, 4, "no header" }, { 4, 1 << 20, 4, "no header" },
		{ 8, 1 << 20, 4, "exceeds the section" }, { 8, 2, 4, "exceeds the section" },
		{ 12, UINT32_MAX, 4, "exceeds the section" }, { 16, UINT32_MAX, 4, "exceeds the section" },
		{ 20, 3, 4, "not terminated" }, { 12, 32, 4, "not valid" },
		{ 24 + 4, (uint64_t)30 << 24, 4, "not valid" }, { 24 + 4, 0, 4, "not valid" },
		{ 24 + 4, (uint64_t)BTF_STRUCT << 24 | 0xffff, 4, "not valid" },
	};
	struct fake *f = begin();
	struct btf b;
	const uint64_t len = make(f);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put(f, AT + cases[i].at, cases[i].value, cases[i].size);
		CHECK_ERR(load(f, len, &b), GDUMP_ERR_CORRUPT, cases[i].message);
		make(f);
	}
	CHECK_ERR(load(f, 20, &b), GDUMP_ERR_CORRUPT, "size");
	CHECK_ERR(load(f, UINT64_MAX, &b), GDUMP_ERR_CORRUPT, "size");
	CHECK_ERR(load(f, len - 1, &b), GDUMP_ERR_CORRUPT, "exceeds the section");
	source_close(&f->source);
}

/* A longer header tells the sizes of all kinds, also of such as nobody knows today */
static void test_layout(void)
{
	enum { KINDS = 31, LAYOUT = 4 * KINDS };
	static const unsigned char once[KINDS] = { [1] = 4, [3] = 12, [14] = 4, [17] = 4, [30] = 8 };
	static const unsigned char each[KINDS] = { [4] = 12, [5] = 12, [6] = 8, [13] = 8, [15] = 12,
						   [19] = 12 };
	struct fake *f = begin();
	struct types t = { .len = 0 };
	const uint32_t u32 = types_int(&t, "unsigned int", 4);
	struct btf_field field;
	struct btf b;
	size_t at;

	types_add(&t, "of tomorrow", 30, 0, 0);
	types_u32(&t, 0);
	types_u32(&t, 0);
	types_add(&t, "thing", BTF_STRUCT, 1, 8);
	types_member(&t, "second", u32, 4);
	types_put(f, AT, &t);
	put(f, AT + 4, 32, 4);
	put(f, AT + 24, t.len + t.strings_len, 4);
	put(f, AT + 28, LAYOUT, 4);
	memcpy(f->memory + AT + 32, t.records, t.len);
	memcpy(f->memory + AT + 32 + t.len, t.strings, t.strings_len);
	at = AT + 32 + t.len + t.strings_len;
	for (unsigned int i = 0; i < KINDS; i++) {
		put(f, at + 4 * i, once[i], 1);
		put(f, at + 4 * i + 1, each[i], 1);
		put(f, at + 4 * i + 2, 0, 2);
	}
	CHECK_OK(load(f, 32 + t.len + t.strings_len + LAYOUT, &b));
	CHECK(btf_field(&b, "thing", "second", &field) && field.off == 4 && field.size == 4);
	btf_deinit(&b);
	put(f, at + 4 * BTF_STRUCT + 1, 13, 1); /* what we know has another size */
	CHECK_ERR(load(f, 32 + t.len + t.strings_len + LAYOUT, &b), GDUMP_ERR_CORRUPT, "not valid");
	source_close(&f->source);
}

static void test_mutations(void)
{
	struct fake *f = begin();
	uint64_t seed = 5;

	for (unsigned int i = 0; i < 3000; i++) {
		const uint64_t len = make(f);
		struct btf_field field;
		struct btf b;
		struct gdump_error *err;

		fake_mutate(f, &seed, AT, AT + len, false);
		err = load(f, len, &b);
		if (!err) {
			btf_field(&b, "thing", "as_half", &field);
			btf_field(&b, "circle", "nothing", &field);
			btf_deinit(&b);
		}
		gdump_error_destroy(err);
	}
	source_close(&f->source);
}

int main(void)
{
	test_members();
	test_module();
	test_wrong();
	test_layout();
	test_mutations();
	return check_done();
}
