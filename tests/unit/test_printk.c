/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "fake_kernel.h"

#include "kernel/printk.h"

enum {
	MEMORY = 1 << 20, RB = 0x8000, DESCS = 0x9000, INFOS = 0xa000, TEXT = 0xb000,
	COUNT_BITS = 3, SIZE_BITS = 8,
};

static const uint64_t kernel = 0xffffffff80000000;

#define PAGING "PAGESIZE=4096\nNUMBER(phys_base)=0\nSYMBOL(swapper_pg_dir)=ffffffff80001000\n"

static const char ring_info[] = PAGING
	"SYMBOL(prb)=ffffffff80007000\nOFFSET(printk_ringbuffer.desc_ring)=0\n"
	"OFFSET(printk_ringbuffer.text_data_ring)=40\nOFFSET(prb_desc_ring.count_bits)=0\n"
	"OFFSET(prb_desc_ring.descs)=8\nOFFSET(prb_desc_ring.infos)=16\n"
	"OFFSET(prb_desc_ring.head_id)=24\nOFFSET(prb_desc_ring.tail_id)=32\n"
	"OFFSET(prb_data_ring.size_bits)=0\nOFFSET(prb_data_ring.data)=8\n"
	"OFFSET(atomic_long_t.counter)=0\nSIZE(prb_desc)=24\nOFFSET(prb_desc.state_var)=0\n"
	"OFFSET(prb_desc.text_blk_lpos)=8\nOFFSET(prb_data_blk_lpos.begin)=0\n"
	"OFFSET(prb_data_blk_lpos.next)=8\nSIZE(printk_info)=88\nOFFSET(printk_info.seq)=0\n"
	"OFFSET(printk_info.ts_nsec)=8\nOFFSET(printk_info.text_len)=16\n"
	"OFFSET(printk_info.caller_id)=20\n";

static const char old_info[] = PAGING
	"SYMBOL(log_buf)=ffffffff80007000\nSYMBOL(log_buf_len)=ffffffff80007008\n"
	"SYMBOL(log_first_idx)=ffffffff8000700c\nSYMBOL(log_next_idx)=ffffffff80007010\n"
	"SIZE(printk_log)=16\nOFFSET(printk_log.ts_nsec)=0\nOFFSET(printk_log.len)=8\n"
	"OFFSET(printk_log.text_len)=10\n";

/* What was told, in one line */
struct heard {
	char text[4096];
	size_t len, num;
};

static void hear(void *arg, const struct gdump_log_record *r)
{
	struct heard *h = arg;
	unsigned int sum = 0;

	/* every byte of it can be read */
	for (size_t i = 0; i < r->len; i++)
		sum += (unsigned char)r->text[i];
	h->num += sum < UINT32_MAX;
	if (h->len + r->len + 64 < sizeof(h->text))
		h->len += (size_t)snprintf(h->text + h->len, sizeof(h->text) - h->len, "%s%llu:%u:%.*s",
					   h->len ? " " : "", (unsigned long long)r->seq, r->level,
					   (int)r->len, r->text);
}

/* Keep the record of a number. */
static void hear_who(void *arg, const struct gdump_log_record *r)
{
	struct gdump_log_record *who = arg;

	if (r->seq == who->seq)
		*who = *r;
}

static void check_log(struct fake *f, const char *wanted)
{
	struct heard h = { .len = 0 };

	CHECK_OK(printk_read(&f->source, hear, &h));
	CHECK_STR(h.text, wanted);
}

static struct fake *begin(const char *info)
{
	struct fake *f = fake_create(EM_X86_64, MEMORY, info);

	set(f, 0x1000, 511, 0x2001);
	set(f, 0x2000, 510, 0x3001);
	set(f, 0x3000, 0, 0x81);
	return f;
}

static struct fake *begin_ring(uint64_t tail, uint64_t head)
{
	struct fake *f = begin(ring_info);

	put(f, 0x7000, kernel + RB, 8);
	put(f, RB, COUNT_BITS, 4);
	put(f, RB + 8, kernel + DESCS, 8);
	put(f, RB + 16, kernel + INFOS, 8);
	put(f, RB + 24, (uint64_t)2 << 62 | head, 8);
	put(f, RB + 32, (uint64_t)2 << 62 | tail, 8);
	put(f, RB + 40, SIZE_BITS, 4);
	put(f, RB + 48, kernel + TEXT, 8);
	return f;
}

/* Record @id of @state, from @begin_at to @next; its text is @text. */
static void add(struct fake *f, uint64_t id, uint64_t state, uint64_t begin_at, uint64_t next,
		const char *text)
{
	const uint64_t i = id % (1 << COUNT_BITS), size = 1 << SIZE_BITS;
	const uint64_t at = begin_at / size == (next - 1) / size ? begin_at % size : 0;

	put(f, DESCS + 24 * i, state << 62 | id, 8);
	put(f, DESCS + 24 * i + 8, begin_at, 8);
	put(f, DESCS + 24 * i + 16, next, 8);
	put(f, INFOS + 88 * i, id, 8);
	put(f, INFOS + 88 * i + 16, strlen(text), 2);
	put(f, INFOS + 88 * i + 19, 6 << 5 | 1, 1);
	if (!(begin_at & next & 1)) {
		put(f, TEXT + at, id, 8);
		memcpy(f->memory + TEXT + at + 8, text, strlen(text));
	}
}

static void test_ring(void)
{
	struct fake *f = begin_ring(6, 10);

	add(f, 6, 2, 0x300, 0x310, "six");
	add(f, 7, 1, 0x310, 0x328, "committed");
	add(f, 8, 0, 0x328, 0x340, "reserved");
	add(f, 9, 2, 1, 1, "lost");
	add(f, 10, 2, 0x340, 0x350, "ten");
	check_log(f, "6:6:six 7:6:committed 10:6:ten");
	put(f, INFOS + 88 * 2 + 16, 65535, 2);  /* more text than its block has */
	check_log(f, "6:6:six 7:6:committed 10:6:ten");
	put(f, DESCS + 24 * 7, (uint64_t)2 << 62 | 15, 8);      /* another one's */
	put(f, DESCS + 24 * 2, (uint64_t)3 << 62 | 10, 8);      /* given back */
	check_log(f, "6:6:six");
	source_close(&f->source);
}

static void test_wrap(void)
{
	struct fake *f = begin_ring(0x3ffffffffffffffe, 2);

	/* up to the end exactly; across it; and numbers that go on at 0 */
	add(f, 0x3ffffffffffffffe, 2, 0x1e0, 0x200, "to the end exactly");
	add(f, 0x3fffffffffffffff, 2, 0x200, 0x210, "start");
	add(f, 0, 2, 0x210, 0x2f0, "long");
	add(f, 1, 2, 0x2f0, 0x310, "again");
	put(f, RB + 24, 1, 8);
	/* the last one overwrote "start" */
	check_log(f, "4611686018427387902:6:to the end exactly 0:6:long 1:6:again");
	/* begin and end that no record can have */
	put(f, DESCS + 8, 0x100, 8);
	check_log(f, "4611686018427387902:6:to the end exactly 1:6:again");
	put(f, DESCS + 8, 0x2ee, 8);
	check_log(f, "4611686018427387902:6:to the end exactly 1:6:again");
	put(f, DESCS + 24 + 16, 0, 8);
	check_log(f, "4611686018427387902:6:to the end exactly");
	source_close(&f->source);
}

static void test_hostile_ring(void)
{
	struct fake *f = begin_ring(3, 2);
	struct heard h = { .len = 0 };

	for (uint64_t id = 0; id < 8; id++)
		add(f, id, 2, 32 * id, 32 * (id + 1), "x");
	add(f, 8, 2, 0x100, 0x110, "eight");
	put(f, RB + 24, 1000, 8);               /* a head that never comes */
	check_log(f, "3:6:x 4:6:x 5:6:x 6:6:x 7:6:x 8:6:eight");
	put(f, RB, 40, 4);
	CHECK_ERR(printk_read(&f->source, hear, &h), GDUMP_ERR_CORRUPT, "2^40 records");
	put(f, RB, 24, 4);
	CHECK_ERR(printk_read(&f->source, hear, &h), GDUMP_ERR_CORRUPT, "bytes");
	put(f, RB, COUNT_BITS, 4);
	put(f, RB + 40, 64, 4);
	CHECK_ERR(printk_read(&f->source, hear, &h), GDUMP_ERR_CORRUPT, "2^64 bytes");
	put(f, RB + 40, SIZE_BITS, 4);
	put(f, RB + 48, 0x1000, 8);
	CHECK_ERR(printk_read(&f->source, hear, &h), GDUMP_ERR_NODATA, "not mapped");
	put(f, 0x7000, UINT64_MAX, 8);
	CHECK_ERR(printk_read(&f->source, hear, &h), GDUMP_ERR_NODATA, "");
	CHECK_INT(h.num, 0);
	source_close(&f->source);
}

static uint64_t add_old(struct fake *f, uint64_t at, uint64_t len, const char *text)
{
	put(f, TEXT + at + 8, len, 2);
	put(f, TEXT + at + 10, strlen(text), 2);
	memcpy(f->memory + TEXT + at + 16, text, strlen(text));
	return at + len;
}

static struct fake *begin_old(uint64_t size, uint64_t first, uint64_t next)
{
	struct fake *f = begin(old_info);

	put(f, 0x7000, kernel + TEXT, 8);
	put(f, 0x7008, size, 4);
	put(f, 0x700c, first, 4);
	put(f, 0x7010, next, 4);
	return f;
}

static void test_old(void)
{
	struct fake *f = begin_old(256, 64, 32);
	struct gdump_log_record who = { .seq = 1 };
	struct heard h = { .len = 0 };
	uint64_t at = add_old(f, 64, 32, "first");

	add_old(f, at, 24, "second");           /* len 0 behind it: on at the start */
	add_old(f, 0, 32, "third");
	check_log(f, "0:0:first 1:0:second 3:0:third");
	put(f, TEXT + at + 14, 1, 1);           /* facility; flags and level */
	put(f, TEXT + at + 15, 4 << 5 | 31, 1);
	check_log(f, "0:0:first 1:4:second 3:0:third");
	CHECK_OK(printk_read(&f->source, hear_who, &who));
	CHECK_INT(who.facility, 1);
	CHECK_INT(who.caller, 0);
	put(f, 0x7010, 33, 4);                  /* an end that no record has: a loop */
	CHECK_OK(printk_read(&f->source, hear, &h));
	CHECK(h.num <= 256 / 16 + 1);
	put(f, 0x700c, 200, 4);                 /* lengths of 0, twice */
	put(f, TEXT + 8, 0, 2);
	check_log(f, "");
	put(f, 0x700c, 250, 4);                 /* no room for a record */
	check_log(f, "");
	put(f, 0x700c, 64, 4);
	put(f, TEXT + 64 + 8, 4, 2);            /* shorter than its header */
	check_log(f, "");
	put(f, TEXT + 64 + 8, 200, 2);          /* beyond the end */
	check_log(f, "");
	put(f, 0x7008, UINT32_MAX, 4);
	CHECK_ERR(printk_read(&f->source, hear, &h), GDUMP_ERR_CORRUPT, "claims");
	put(f, 0x7008, 1 << 29, 4);
	CHECK_ERR(printk_read(&f->source, hear, &h), GDUMP_ERR_CORRUPT, "more than the guest's memory");
	source_close(&f->source);
}

/* With CONFIG_PRINTK_CALLER, headers are longer. */
static void test_old_caller(void)
{
	char info[sizeof(old_info) + 64];
	struct gdump_log_record who = { .seq = 0 };
	struct fake *f;

	strcpy(info, old_info);
	strcpy(strstr(info, "SIZE(printk_log)=16"), "SIZE(printk_log)=24");
	strcat(info, "\nOFFSET(printk_log.ts_nsec)=0\nOFFSET(printk_log.len)=8\n"
		     "OFFSET(printk_log.text_len)=10\nOFFSET(printk_log.caller_id)=16\n");
	f = begin(info);
	put(f, 0x7000, kernel + TEXT, 8);
	put(f, 0x7008, 256, 4);
	put(f, 0x7010, 32, 4);
	put(f, TEXT + 8, 32, 2);
	put(f, TEXT + 16, 0x80000003, 4);
	CHECK_OK(printk_read(&f->source, hear_who, &who));
	CHECK_INT(who.caller, 0x80000003);
	source_close(&f->source);
}

static void test_old_end(void)
{
	struct fake *f = begin_old(64, 32, 0);
	char *key = strstr((char *)(uintptr_t)f->source.image.vmcoreinfo, "ts_nsec)=0");
	struct heard h = { .len = 0 };

	add_old(f, 32, 16, "");
	add_old(f, 48, 16, "");
	put(f, 0x7010, 16, 4);
	CHECK_OK(printk_read(&f->source, hear, &h));
	key[9] = '9';                           /* a time that ends behind its record */
	CHECK_ERR(printk_read(&f->source, hear, &h), GDUMP_ERR_UNSUPPORTED, "SIZE(printk_log)");
	source_close(&f->source);
}

static void test_missing(void)
{
	struct fake *f = fake_create(EM_X86_64, MEMORY, "PAGESIZE=4096\n"), *g = begin(PAGING);
	struct heard h = { .len = 0 };

	CHECK_ERR(printk_read(&f->source, hear, &h), GDUMP_ERR_UNSUPPORTED, "page tables");
	CHECK_ERR(printk_read(&g->source, hear, &h), GDUMP_ERR_UNSUPPORTED, "neither prb nor log_buf");
	source_close(&f->source);
	source_close(&g->source);
}

static void test_mutations(void)
{
	uint64_t seed = 1;

	for (unsigned int i = 0; i < 4000; i++) {
		struct fake *f = i % 2 ? begin_ring(3, 9) : begin_old(256, 32, 0);
		struct heard h = { .len = 0 };

		for (uint64_t id = 3; id < 10 && i % 2; id++)
			add(f, id, 2, 32 * id, 32 * (id + 1), "some text");
		for (uint64_t at = 32; at < 224 && !(i % 2);)
			at = add_old(f, at, 32, "some text");
		fake_mutate(f, &seed, i % 3 ? 0x7000 : 0x1000, TEXT + 256, i % 5 == 0);
		if (i % 2)
			fake_mutate(f, &seed, RB, RB + 56, false);
		else
			fake_mutate(f, &seed, TEXT, TEXT + 256, false);
		gdump_error_destroy(printk_read(&f->source, hear, &h));
		CHECK(h.num <= 1 << 16);
		source_close(&f->source);
	}
}

int main(void)
{
	test_ring();
	test_wrap();
	test_hostile_ring();
	test_old();
	test_old_caller();
	test_old_end();
	test_missing();
	test_mutations();
	return check_done();
}
