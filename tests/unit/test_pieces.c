/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_pieces.c - memory in pieces of a file, against a plain model of it
 */
#include "check.h"

#include <stdlib.h>

#include "format/pieces.h"
#include "random.h"

enum { FILE_SIZE = 4096, MEMORY = 20000 };

struct model {
	unsigned char byte[MEMORY];
	bool there[MEMORY];
};

/* Pieces that overlap give the same bytes, as segments of one dump do. */
static void add_random(struct pieces *ps, struct model *m, const unsigned char *file,
		       uint64_t *seed)
{
	for (uint64_t n = random_below(seed, 10) + 1; n; n--) {
		uint64_t size = random_below(seed, 600) + 1;
		uint64_t paddr = random_below(seed, MEMORY - size);
		uint64_t off = paddr % 7 ? paddr % (FILE_SIZE - size) : 0;

		for (uint64_t i = 0; i < size; i++) {
			if (m->there[paddr + i])
				size = i;
		}
		if (!size)
			continue;
		CHECK_OK(pieces_add(ps, paddr, size, off));
		memcpy(m->byte + paddr, file + off, (size_t)size);
		memset(m->there + paddr, 1, (size_t)size);
	}
	pieces_sort(ps);
}

static void check_read(const struct pieces *ps, struct bytes *in, const struct model *m,
		       uint64_t paddr, size_t len)
{
	static unsigned char got[MEMORY];
	struct gdump_error *err;
	bool some = false;

	for (size_t i = 0; i < len; i++)
		some |= m->there[paddr + i];
	memset(got, 0xcc, sizeof(got));
	err = pieces_read(ps, in, paddr, got, len);
	if (some) {
		CHECK_OK(err);
		CHECK(!memcmp(got, m->byte + paddr, len));
	} else {
		CHECK_ERR(err, GDUMP_ERR_NODATA, "is not in the dump");
	}
	CHECK_INT(got[len], 0xcc);
}

/* A gap is what a scan would say of each of its pages, and the next page is none of it. */
static void check_gap(const struct pieces *ps, struct bytes *in, uint64_t pfn)
{
	enum { PAGE = 16, PAGES = MEMORY / PAGE };
	unsigned char state[PAGES];
	enum page_state same;
	const uint64_t num = PAGES - pfn, gap = pieces_gap(ps, in, PAGE, pfn, num, &same);

	pieces_scan(ps, in, PAGE, pfn, (size_t)num, state);
	CHECK(gap <= num);
	for (uint64_t i = 0; i < gap; i++)
		CHECK_INT(state[i], same);
	CHECK(gap == num || state[gap] != PAGE_ABSENT);
}

static void test_random(uint64_t seed)
{
	static unsigned char file[FILE_SIZE];
	struct model *m = calloc(1, sizeof(*m));
	struct pieces ps = { 0 };
	struct bytes *in;
	uint64_t bytes = 0;

	random_bytes(&seed, file, sizeof(file));
	CHECK_OK(bytes_memory_open(file, sizeof(file), &in));
	add_random(&ps, m, file, &seed);
	for (size_t i = 0; i < MEMORY; i++)
		bytes += m->there[i];
	CHECK_INT(pieces_bytes(&ps), bytes);
	for (int i = 0; i < 200; i++) {
		uint64_t paddr = random_below(&seed, MEMORY - 1);
		uint64_t room = MEMORY - 1 - paddr;

		check_read(&ps, in, m, paddr,
			   (size_t)random_below(&seed, room < 900 ? room : 900) + 1);
		check_gap(&ps, in, random_below(&seed, MEMORY / 16));
	}
	pieces_deinit(&ps);
	bytes_close(in);
	free(m);
}

/* The first of two that overlap wins, and what is left of the other stays. */
static void test_overlap(void)
{
	struct pieces ps = { 0 };

	CHECK_OK(pieces_add(&ps, 0x2000, 0x1000, 0x500));
	CHECK_OK(pieces_add(&ps, 0x1000, 0x1800, 0x100));
	CHECK_OK(pieces_add(&ps, 0x1400, 0x10, 0x900));
	CHECK_OK(pieces_add(&ps, UINT64_MAX - 0xf, 0x10, 0x10));
	CHECK_OK(pieces_add(&ps, UINT64_MAX - 0x7, 0x8, 0x90));
	pieces_sort(&ps);
	CHECK_INT(ps.num, 3);
	CHECK_INT(ps.list[0].size, 0x1800);
	CHECK_INT(ps.list[1].paddr, 0x2800);
	CHECK_INT(ps.list[1].off, 0xd00);
	CHECK_INT(ps.list[1].size, 0x800);
	CHECK_INT(pieces_after(&ps, 0x27ff), 0);
	CHECK_INT(pieces_after(&ps, 0x2800), 1);
	CHECK_INT(pieces_after(&ps, UINT64_MAX), 2);
	pieces_deinit(&ps);
}

int main(void)
{
	for (uint64_t seed = 0; seed < 200; seed++)
		test_random(seed);
	test_overlap();
	return check_done();
}
