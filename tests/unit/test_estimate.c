/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <elf.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch/arch.h"
#include "dump.h"
#include "random.h"
#include "util/bits.h"

/* More than a sample has; every third one is zero, and every third one does not shrink. */
enum { PAGES = 40000, PAGE = 4096 };

static char dir[] = "/tmp/gd-test-estimate.XXXXXX";
static bool is_broken;

static struct gdump_error *fake_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	(void)s;
	if (is_broken)
		return error_new(GDUMP_ERR_CANCELED, "broken");
	for (size_t i = 0; i < len; i += PAGE) {
		uint64_t pfn = (paddr + i) / PAGE;

		if (pfn % 3 == 2)
			random_bytes(&pfn, (unsigned char *)buf + i, MIN(len - i, PAGE));
		else
			memset((char *)buf + i, pfn % 3 ? 'x' : 0, MIN(len - i, PAGE));
	}
	return NULL;
}

static void fake_close(struct source *s)
{
	(void)s;
}

static const struct source_ops fake_ops = { .name = "fake", .read = fake_read,
					    .close = fake_close };

static void fake_open(struct gdump *g, struct source *s)
{
	static char where[] = "fake";

	source_init(s, &fake_ops);
	s->image.machine = EM_X86_64;
	s->image.is64 = true;
	CHECK_OK(image_add_range(&s->image, 0, (uint64_t)PAGES * PAGE, GDUMP_RANGE_RAM));
	CHECK_OK(image_seal(&s->image));
	*g = (struct gdump){ .source = s, .where = where };
}

/* One twentieth off, at most, is what "about" means. */
static void test_close_to_written(const char *format, const char *codec)
{
	struct gdump_result result = { .size = sizeof(result) };
	const struct gdump_write_options opt = {
		.size = sizeof(opt), .format = format, .codec = codec, .result = &result,
	};
	struct gdump_plan *plan;
	struct source s = { 0 };
	struct gdump g;
	uint64_t bytes, size;

	fprintf(stderr, "%s %s\n", format, codec ? codec : "");
	fake_open(&g, &s);
	CHECK_OK(gdump_plan_create(&g, 0, &plan));
	CHECK_OK(gdump_estimate(&g, plan, &opt, &bytes));
	CHECK_OK(gdump_write(&g, plan, "dump", &opt));
	/* kdump has no room for zero pages, and they are holes elsewhere */
	size = result.bytes - (strcmp(format, "kdump") ? result.zero * PAGE : 0);
	CHECK(bytes > size - size / 20 && bytes < size + size / 20);
	CHECK(!unlink("dump"));
	gdump_plan_destroy(plan);
	source_close(&s);
}

static void test_errors(void)
{
	const struct gdump_write_options no_codec = { .size = sizeof(no_codec), .codec = "no-codec" };
	struct gdump_plan *plan;
	struct source s = { 0 };
	struct gdump g;
	uint64_t bytes;

	fake_open(&g, &s);
	CHECK_OK(gdump_plan_create(&g, 0, &plan));
	CHECK_ERR(gdump_estimate(&g, plan, &no_codec, &bytes), GDUMP_ERR_USAGE, "no-codec");
	is_broken = true;
	CHECK_ERR(gdump_estimate(&g, plan, NULL, &bytes), GDUMP_ERR_CANCELED, "fake: ");
	gdump_plan_destroy(plan);
	source_close(&s);
}

int main(void)
{
	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	test_close_to_written("kdump", "zlib");
	test_close_to_written("kdump", "none");
	test_close_to_written("elf", NULL);
	test_errors();
	CHECK(!rmdir(dir));
	return check_done();
}
