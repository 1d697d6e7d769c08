/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <elf.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/arch.h"
#include "dump.h"
#include "util/bits.h"

enum { PAGES = 1000, PAGE = 4096, BAD = 700 };

static char dir[] = "/tmp/gd-test-split.XXXXXX";

/* Page n is all n; BAD cannot be read, or all ends there. */
struct fake {
	struct source source;
	bool bad, ends;
};

static struct gdump_error *fake_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	for (size_t i = 0; i < len; i += PAGE) {
		const uint64_t pfn = (paddr + i) / PAGE;

		if (((struct fake *)s)->bad && pfn == BAD)
			return error_new(GDUMP_ERR_CORRUPT, "bad page");
		if (((struct fake *)s)->ends && pfn == BAD)
			return error_new(GDUMP_ERR_CANCELED, "canceled");
		memset((char *)buf + i, (int)pfn & 0xff, MIN(len - i, PAGE));
	}
	return NULL;
}

static void fake_close(struct source *s)
{
	(void)s;
}

static const struct source_ops fake_ops = { .name = "fake", .read = fake_read,
					    .close = fake_close };

static struct gdump_error *write_fake(unsigned int num, struct fake f,
				      struct gdump_result *result)
{
	char where[] = "fake";
	struct gdump g = { .source = &f.source, .where = where };
	const struct gdump_write_options opt = {
		.size = sizeof(opt), .split = num, .threads = 2, .result = result,
	};
	struct gdump_error *err;

	source_init(&f.source, &fake_ops);
	f.source.image.machine = EM_X86_64;
	f.source.image.is64 = true;
	CHECK_OK(image_add_range(&f.source.image, 0, PAGES * PAGE, GDUMP_RANGE_RAM));
	CHECK_OK(image_seal(&f.source.image));
	*result = (struct gdump_result){ .size = sizeof(*result) };
	err = gdump_write(&g, NULL, "d", &opt);
	source_close(&f.source);
	return err;
}

static struct gdump_error *write_split(unsigned int num, bool bad, struct gdump_result *result)
{
	return write_fake(num, (struct fake){ .bad = bad }, result);
}

static void remove_parts(unsigned int num)
{
	for (unsigned int i = 1; i <= num; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d-%u", i);
		CHECK(!unlink(name));
	}
}

static void test_split(bool bad)
{
	static const char *const parts[] = { "d-1", "d-2" };
	const struct gdump_open_options opt = { .size = sizeof(opt), .parts = parts,
						.num_parts = 2 };
	struct gdump_result r;
	struct gdump *g;
	unsigned char page[PAGE];

	CHECK_OK(write_split(3, bad, &r));
	CHECK_INT(r.pages, PAGES - bad);
	CHECK_INT(r.unreadable, bad);
	CHECK_INT(r.first_error != NULL, bad);
	free(r.first_error);
	CHECK_OK(gdump_open("d-3", &opt, &g));
	CHECK_INT(gdump_info(g)->incomplete, bad);
	for (uint64_t i = 0; i < PAGES; i++) {
		if (bad && i == BAD) {
			CHECK_ERR(gdump_read(g, i * PAGE, page, 1), GDUMP_ERR_NODATA, "");
			continue;
		}
		CHECK_OK(gdump_read(g, i * PAGE, page, PAGE));
		CHECK(page[0] == (i & 0xff) && page[PAGE - 1] == (i & 0xff));
	}
	gdump_close(g);
	remove_parts(3);
}

static void test_refused(void)
{
	struct gdump_result r;
	FILE *f = fopen("d-2", "w");

	CHECK(f && !fclose(f));
	CHECK_ERR(write_split(3, false, &r), GDUMP_ERR_OS, "d-2");
	CHECK(access("d-1", F_OK) && access("d-1.incomplete", F_OK));
	CHECK(!unlink("d-2"));
	CHECK_ERR(write_split(PAGES + 1, false, &r), GDUMP_ERR_USAGE, "split");
	CHECK_OK(write_split(PAGES, false, &r));
	remove_parts(PAGES);
}

/* What was written stays, and can be opened: all parts, also those without a page. */
static void test_cut_short(void)
{
	static const char *const parts[] = { "d-1.incomplete", "d-2.incomplete" };
	const struct gdump_open_options opt = { .size = sizeof(opt), .parts = parts,
						.num_parts = 2 };
	struct gdump_result r;
	struct gdump *g;
	uint64_t there = 0;
	unsigned char page[PAGE];

	CHECK_ERR(write_fake(3, (struct fake){ .ends = true }, &r), GDUMP_ERR_CANCELED, "");
	CHECK(access("d-1", F_OK) && access("d-2", F_OK) && access("d-3", F_OK));
	CHECK_STR(r.partial_path, "d-1.incomplete");
	free(r.partial_path);
	CHECK_OK(gdump_open("d-3.incomplete", &opt, &g));
	CHECK(gdump_info(g)->incomplete);
	for (uint64_t i = 0; i < PAGES; i++) {
		struct gdump_error *err = gdump_read(g, i * PAGE, page, PAGE);

		CHECK(!err || i > PAGES / 3);
		CHECK(err || (page[0] == (i & 0xff) && page[PAGE - 1] == (i & 0xff)));
		there += !err;
		gdump_error_destroy(err);
	}
	CHECK_INT(there, r.pages);
	CHECK_INT(gdump_info(g)->num_excluded, PAGES - there);
	gdump_close(g);
	CHECK(!unlink("d-1.incomplete") && !unlink("d-2.incomplete") && !unlink("d-3.incomplete"));
}

int main(void)
{
	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	test_split(false);
	test_split(true);
	test_refused();
	test_cut_short();
	rmdir(dir);
	return check_done();
}
