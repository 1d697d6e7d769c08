/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#include "guestdump.h"

static char dir[] = "/tmp/gd-test-settings.XXXXXX";

/* What does not go together is said before anything is written. */
static void test_refused(void)
{
	static const struct {
		struct gdump_write_options opt;
		const char *path, *message;
	} rows[] = {
		{ { .format = "no-format" }, "out", "format 'no-format' cannot be written" },
		{ { .format = "avml" }, "out", "format 'avml' cannot be written" },
		{ { .codec = "no-codec" }, "out", "codec 'no-codec' is unknown" },
		{ { .codec = "zlib", .level = 99 }, "out", " to 12, not 99" },
		{ { .format = "kdump-zlib", .codec = "zstd" }, "out",
		  "format 'kdump-zlib' cannot be combined with codec 'zstd'" },
		{ { .format = "elf", .codec = "zlib" }, "out", "omit codec 'zlib'" },
		{ { .format = "elf", .flatten = true }, "out", "is never flattened" },
		{ { .format = "lime", .split = 2 }, "out", "cannot be split into 2 files" },
		{ { .split = 1000000 }, "out", "cannot be split into 1000000 files" },
		{ { .split = 2, .flatten = true }, "out", "split or flattened, not both" },
		{ { .split = 2 }, "-", "- is one stream and cannot be split" },
		{ { .paging = true }, "out", "format 'kdump' has no virtual addresses" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gdump_write_options opt = rows[i].opt;

		opt.size = sizeof(opt);
		CHECK_ERR(gdump_write_check(rows[i].path, &opt), GDUMP_ERR_USAGE, rows[i].message);
		CHECK(access("out", F_OK) && access("out.incomplete", F_OK));
	}
}

static void test_allowed(void)
{
	static const struct gdump_write_options rows[] = {
		{ 0 },
		{ .format = "kdump-zlib", .codec = "zlib" },
		{ .format = "elf", .codec = "none", .paging = true },
		{ .codec = "zlib", .level = 12 },
		{ .split = 2 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gdump_write_options opt = rows[i];

		opt.size = sizeof(opt);
		CHECK_OK(gdump_write_check("out", &opt));
	}
}

int main(void)
{
	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	test_refused();
	test_allowed();
	CHECK(!rmdir(dir));
	return check_done();
}
