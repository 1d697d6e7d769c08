/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_metadata.c - the note that says where a dump comes from
 */
#include "dumpfile.h"

#include <time.h>

#include "machine/image.h"
#include "metadata.h"
#include "util/clock.h"

enum { TYPE = 0x47440001, SIZE = 64 << 10 };

static unsigned char memory[SIZE];

static int vm_switch(void *arg)
{
	(void)arg;
	return 0;
}

static struct gdump *open_guest(const struct gdump_metadata *m)
{
	const struct gdump_slot slot = { .size = SIZE, .host = memory };
	const struct gdump_guest desc = {
		.size = sizeof(desc), .arch = "x86_64", .slots = &slot, .num_slots = 1,
		.pause = vm_switch, .resume = vm_switch,
	};
	const struct gdump_open_options opt = {
		.size = sizeof(opt), .pause_guest = true, .metadata = m,
	};
	struct gdump *g = NULL;

	CHECK_OK(gdump_open_guest(&desc, &opt, &g));
	if (!g)
		exit(check_done());
	return g;
}

static struct gdump *open_file(const char *path, bool no_metadata)
{
	const struct gdump_open_options opt = { .size = sizeof(opt), .no_metadata = no_metadata };
	struct gdump *g = NULL;

	CHECK_OK(gdump_open(path, &opt, &g));
	if (!g)
		exit(check_done());
	return g;
}

static void write_dump(struct gdump *g, const char *format, const char *path)
{
	const struct gdump_write_options opt = { .size = sizeof(opt), .format = format,
						 .force = true };

	CHECK_OK(gdump_write(g, NULL, path, &opt));
}

static bool has_note(const struct gdump *g)
{
	const struct gdump_info *info = gdump_info(g);

	for (size_t i = 0; i < info->num_notes; i++) {
		if (info->notes[i].type == TYPE && !strcmp(info->notes[i].name, "GUESTDUMP"))
			return true;
	}
	return false;
}

static void check_same(const struct gdump_metadata *a, const struct gdump_metadata *b)
{
	if (!CHECK(a && b))
		return;
	CHECK_STR(a->guest, b->guest);
	CHECK_STR(a->uuid, b->uuid);
	CHECK_STR(a->host, b->host);
	CHECK_STR(a->vmm, b->vmm);
	CHECK_STR(a->creator, b->creator);
	CHECK_STR(a->command, b->command);
	CHECK_INT(a->time_ms, b->time_ms);
}

/* What is given is in the dump, in each format with notes, also after conversions. */
static void test_travels(void)
{
	static const char *const formats[] = { "elf", "kdump", "elf", "kdump" };
	const struct gdump_metadata m = {
		.size = sizeof(m), .guest = "v\xc3\xa4m=1", .uuid = "u", .host = "h", .vmm = "v",
		.creator = "c", .command = "dump 'a b'", .time_ms = 1796041290591,
	};
	struct gdump *g = open_guest(&m);

	check_same(gdump_info(g)->metadata, &m);
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		write_dump(g, formats[i], "dump");
		gdump_close(g);
		g = open_file("dump", false);
		check_same(gdump_info(g)->metadata, &m);
	}
	write_dump(g, "lime", "lime");
	gdump_close(g);
	g = open_file("lime", false);
	CHECK(!gdump_info(g)->metadata && !has_note(g));
	gdump_close(g);
	g = open_file("dump", true);
	CHECK(!gdump_info(g)->metadata && !has_note(g));
	write_dump(g, "elf", "plain");
	gdump_close(g);
	g = open_file("plain", false);
	CHECK(!gdump_info(g)->metadata && !has_note(g));
	gdump_close(g);
}

/* What is not given: the time of the pause, the library, and nothing else. */
static void test_defaults(void)
{
	const struct gdump_metadata m = { .size = sizeof(m), .guest = "", .command = "a\nHOST=b\x7f" };
	const uint64_t before = clock_wall_ms();
	struct gdump *g = open_guest(&m);
	const struct gdump_metadata *got = gdump_info(g)->metadata;

	if (CHECK(got)) {
		CHECK(!got->guest && !got->uuid && !got->host && !got->vmm);
		CHECK(!strncmp(got->creator, "libguestdump ", 13));
		CHECK_STR(got->command, "a?HOST=b?");
		CHECK(got->time_ms + 5000 >= before && got->time_ms <= clock_wall_ms());
	}
	gdump_close(g);
	g = open_guest(NULL);
	CHECK(!gdump_info(g)->metadata && !has_note(g));
	gdump_close(g);
}

static void test_size_forgotten(void)
{
	const struct gdump_metadata m = { .guest = "vm" };
	const struct gdump_slot slot = { .size = SIZE, .host = memory };
	const struct gdump_guest desc = {
		.size = sizeof(desc), .arch = "x86_64", .slots = &slot, .num_slots = 1,
	};
	const struct gdump_open_options opt = { .size = sizeof(opt), .metadata = &m };
	struct gdump *g;

	CHECK_ERR(gdump_open_guest(&desc, &opt, &g), GDUMP_ERR_USAGE, "gdump_metadata");
}

static void test_long_value(void)
{
	static char text[10000];
	const struct gdump_metadata m = { .size = sizeof(m), .command = text };
	struct gdump *g;

	memset(text, 'x', sizeof(text) - 1);
	g = open_guest(&m);
	CHECK_INT(strlen(gdump_info(g)->metadata->command), 4096);
	gdump_close(g);
}

/* Notes that someone else wrote; NULL: they say nothing. */
static const struct {
	const char *desc;
	size_t size;                    /* 0: strlen()                          */
	const char *guest, *host;
	uint64_t time_ms;
	bool none;
} foreign[] = {
	{ .desc = "GUESTDUMP=1\nTIME=2026-11-30T12:21:30.591Z\nGUEST=vm\nHOST=h\n", .guest = "vm",
	  .host = "h", .time_ms = 1796041290591 },
	{ .desc = "GUESTDUMP=1\nNEW=x\nHOST=h", .host = "h" },
	{ .desc = "GUESTDUMP=1\nGUEST=\nHOST\n=\n\n\nGUEST=a=b", .guest = "a=b" },
	{ .desc = "GUESTDUMP=1\nGUEST=\x1b[31m", .guest = "\x1b[31m" },
	{ .desc = "GUESTDUMP=1\nGUEST=a\0HOST=h\n", .size = 25, .guest = "a" },
	{ .desc = "GUESTDUMP=1\nTIME=2026-11-30T12:21:30.591\n" },
	{ .desc = "GUESTDUMP=1\nTIME=2026-11-30T12:21:30.59xZ\n" },
	{ .desc = "GUESTDUMP=1\nTIME=0000-00-00T00:00:00.000Z\n" },
	{ .desc = "GUESTDUMP=1\nTIME=-026-11-30T12:21:30.591Z\n" },
	{ .desc = "GUESTDUMP=1\nTIME=" },
	{ .desc = "GUESTDUMP=2\nGUEST=vm\n", .none = true },
	{ .desc = "GUESTDUMP=1", .none = true },
	{ .desc = "x", .size = 1, .none = true },
};

static void test_foreign(void)
{
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		const size_t size = foreign[i].size ? foreign[i].size : strlen(foreign[i].desc);
		struct image image = { 0 };
		struct gdump_metadata m;
		char *text = NULL;

		CHECK_OK(image_add_note(&image, "GUESTDUMP", TYPE, foreign[i].desc, size));
		CHECK_OK(metadata_read(&image, &text, &m));
		CHECK_INT(!text, foreign[i].none);
		CHECK_STR(m.guest, foreign[i].guest);
		CHECK_STR(m.host, foreign[i].host);
		CHECK_INT(m.time_ms, foreign[i].time_ms);
		free(text);
		image_deinit(&image);
	}
}

static void test_too_large(void)
{
	static char desc[(1 << 16) + 1] = "GUESTDUMP=1\nGUEST=vm\n";
	struct image image = { 0 };
	struct gdump_metadata m;
	char *text = NULL;

	CHECK_OK(image_add_note(&image, "GUESTDUMP", TYPE, desc, sizeof(desc)));
	CHECK_OK(image_add_note(&image, "GUESTDUMP", 1, desc, 21));
	CHECK_OK(image_add_note(&image, "OTHER", TYPE, desc, 21));
	CHECK_OK(metadata_read(&image, &text, &m));
	CHECK(!text && !m.guest);
	image_deinit(&image);
}

int main(void)
{
	dumpfile_dir();
	test_travels();
	test_defaults();
	test_size_forgotten();
	test_long_value();
	test_foreign();
	test_too_large();
	dumpfile_done();
	return check_done();
}
