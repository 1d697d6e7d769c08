/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * dump.c - a dump file of any format, and all that can be done with one
 *
 * What we write of it must be a dump that we read again: so the writers get images
 * that no machine ever had.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <guestdump.h>

#include "fuzz.h"
#include "util/bits.h"

enum {
	MAX_PAGES = 1 << 14,    /* of a dump that is read as a whole: such a one is
				 * an honest lot of work                        */
	MAX_VERIFIED = 1 << 22, /* of one that we wrote, with holes             */
	MAX_REREAD = 64 << 20,  /* bytes of it: some formats have room for what is not there */
	MAX_READS = 16,
	NAME_SIZE = 64,
};

/* Pages that a dump claims: a plan has a bit for each, which is not touched for this, but
 * too much for tests/fuzz/run in one piece
 */
static const uint64_t max_claimed = (uint64_t)1 << 29;

static const struct kind {
	const char *format;
	bool flatten, paging, rereads;
} kinds[] = {
	{ "kdump", false, false, true }, { "elf", false, false, true },
	{ "kdump", true, false, true }, { "elf", false, true, true },
	{ "lime", false, false, true }, { "raw", false, false, false },
	{ "win-dmp", false, false, true },
};

/* A file of our own in memory */
static int make_file(void)
{
	const int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0)
		fuzz_die("no file in memory");
	return fd;
}

static void fill_file(int fd, const void *data, size_t size)
{
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		fuzz_die("cannot fill a file in memory");
}

static void name_file(char *name, int fd)
{
	snprintf(name, NAME_SIZE, "/proc/self/fd/%d", fd);
}

static const char *out_path(void)
{
	static char path[] = "/dev/shm/guestdump-fuzz.XXXXXX", name[NAME_SIZE];

	if (!name[0]) {
		if (!mkdtemp(path))
			fuzz_die("no directory in /dev/shm");
		snprintf(name, sizeof(name), "%s/out", path);
	}
	return name;
}

/* An error has a message, of one line. */
static bool is_good(struct gdump_error *err)
{
	const char *message = err ? gdump_error_message(err) : "";

	if (err && (!*message || strchr(message, '\n')))
		fuzz_die("the message is \"%s\"", message);
	gdump_error_destroy(err);
	return !err;
}

static void warn(void *arg, const char *message)
{
	(void)arg;
	fuzz_look(message, strlen(message));
}

static void look_at_record(void *arg, const struct gdump_log_record *record)
{
	(void)arg;
	fuzz_look(record->text, record->len);
}

static void look_at_text(const char *text)
{
	if (text)
		fuzz_look(text, strlen(text));
}

static void look_at_metadata(const struct gdump_metadata *m)
{
	look_at_text(m->guest);
	look_at_text(m->uuid);
	look_at_text(m->host);
	look_at_text(m->vmm);
	look_at_text(m->creator);
	look_at_text(m->command);
	fuzz_look(&m->time_ms, sizeof(m->time_ms));
}

static void look_at_info(const struct gdump *g)
{
	const struct gdump_info *info = gdump_info(g);
	struct gdump_register reg;

	look_at_text(info->detail);
	look_at_text(info->arch);
	look_at_text(info->release);
	look_at_text(info->version);
	fuzz_look(info->vmcoreinfo, info->vmcoreinfo_size);
	if (info->metadata)
		look_at_metadata(info->metadata);
	for (size_t i = 0; i < info->num_notes; i++) {
		look_at_text(info->notes[i].name);
		fuzz_look(info->notes[i].desc, info->notes[i].size);
	}
	for (size_t cpu = 0; cpu < MIN(info->num_cpus, 4); cpu++) {
		for (size_t i = 0; gdump_register_at(g, cpu, i, &reg); i++)
			look_at_text(reg.name);
	}
}

static void look_at_memory(struct gdump *g)
{
	const struct gdump_info *info = gdump_info(g);
	static unsigned char buf[65536];

	for (size_t i = 0; i < MIN(info->num_ranges, MAX_READS); i++) {
		const struct gdump_range *r = &info->ranges[i];
		const size_t len = (size_t)MIN(r->size, sizeof(buf));

		if (is_good(gdump_read(g, r->start, buf, len)))
			fuzz_look(buf, len);
		is_good(gdump_read(g, r->start + (r->size - 1), buf, 1));
		is_good(gdump_read(g, r->start + r->size, buf, 8));
	}
}

/* What was written can be read, all of it if nothing may be @lost. */
static void reread(const char *path, const struct kind *kind, bool lost)
{
	const struct gdump_write_options opt = { .size = sizeof(opt), .threads = 1 };
	struct gdump_error *err;
	struct gdump *g = NULL;
	struct stat st;

	if (!stat(path, &st) && st.st_blocks * 512 > MAX_REREAD)
		return;
	err = gdump_open(path, NULL, &g);
	/* not the holes of a terabyte, one page after the other */
	if (!err && !lost && gdump_info(g)->num_pages < MAX_VERIFIED)
		err = gdump_verify(g, &opt);
	if (err)
		fuzz_die("the %s dump cannot be read: %s", kind->format, gdump_error_message(err));
	gdump_close(g);
}

static const uint64_t HIGH_ADDRESS = (uint64_t)1 << 40;

/* The bitmaps of a page up there are gigabytes of zeros: holes of a file, but nothing that
 * is read soon, or goes soon through what cannot seek.
 */
static bool is_high(const struct gdump *g)
{
	const struct gdump_info *info = gdump_info(g);
	const struct gdump_range *last;

	if (!info->num_ranges)
		return false;
	last = &info->ranges[info->num_ranges - 1];
	return last->start + (last->size - 1) > HIGH_ADDRESS;
}

static void copy(struct gdump *g, const struct gdump_plan *plan, const struct kind *kind, bool file)
{
	struct gdump_result result = { .size = sizeof(result) };
	const struct gdump_write_options opt = {
		.size = sizeof(opt), .threads = 1, .force = true, .format = kind->format,
		.flatten = kind->flatten, .paging = kind->paging, .result = &result,
	};
	/* its pages are copied unseen, good or not */
	const bool unseen = !strncmp(gdump_info(g)->detail, "flattened", 9);
	char name[NAME_SIZE + 16];

	if (is_good(gdump_write(g, plan, file ? out_path() : "-", &opt)) && file && kind->rereads &&
	    !is_high(g))
		reread(out_path(), kind, unseen || result.unreadable);
	gdump_result_deinit(&result);
	snprintf(name, sizeof(name), "%s.incomplete", out_path());
	unlink(name);
	snprintf(name, sizeof(name), "%s.ranges", out_path());
	unlink(name);
	unlink(out_path());
}

static void read_view(struct gdump_view *v)
{
	static unsigned char buf[65536];
	const uint64_t size = gdump_view_size(v), step = size / MAX_READS + 1;

	for (uint64_t off = 0; off < size; off += step) {
		const size_t len = (size_t)MIN(size - off, sizeof(buf));

		if (is_good(gdump_view_read(v, off, buf, len)))
			fuzz_look(buf, len);
	}
	if (is_good(gdump_view_read(v, size, buf, 1)))
		fuzz_die("a view of %ju bytes can be read past its end", (uintmax_t)size);
}

/* The bytes that gdump_write() makes, which it is given without a plan, are those of a view. */
static void compare_view(struct gdump *g, struct gdump_view *v)
{
	struct gdump_result result = { .size = sizeof(result) };
	const struct gdump_write_options opt = {
		.size = sizeof(opt), .threads = 1, .force = true, .format = "elf", .no_checksum = true,
		.result = &result,
	};
	static unsigned char a[65536], b[65536];
	const bool good = is_good(gdump_write(g, NULL, out_path(), &opt)) && !result.unreadable;
	const int fd = good ? open(out_path(), O_RDONLY | O_CLOEXEC) : -1;
	ssize_t len;

	for (uint64_t off = 0; fd >= 0 && off < MAX_REREAD; off += (uint64_t)len) {
		len = pread(fd, a, sizeof(a), (off_t)off);
		if (len <= 0)
			break;
		if (!is_good(gdump_view_read(v, off, b, (size_t)len)) || memcmp(a, b, (size_t)len))
			fuzz_die("a view differs from the file at offset %ju", (uintmax_t)off);
	}
	if (fd >= 0)
		close(fd);
	gdump_result_deinit(&result);
	unlink(out_path());
}

static void look_at_view(struct gdump *g, bool compare)
{
	struct gdump_view *v;

	if (!is_good(gdump_view_open(g, &v)))
		return;
	read_view(v);
	if (compare)
		compare_view(g, v);
	gdump_view_close(v);
}

/* Which of the formats is told by the size, so that it stays with the input. */
static void use(struct gdump *g, size_t size)
{
	const struct gdump_write_options opt = { .size = sizeof(opt), .threads = 1 };
	struct gdump_protection protection = { .size = sizeof(protection) };
	const struct kind *kind = &kinds[size % ARRAY_SIZE(kinds)];
	struct gdump_plan *plan = NULL;

	look_at_info(g);
	look_at_memory(g);
	is_good(gdump_protection(g, &protection));
	is_good(gdump_log(g, look_at_record, NULL));
	if (gdump_info(g)->num_pages - gdump_info(g)->num_excluded > MAX_PAGES ||
	    gdump_info(g)->num_pages >= max_claimed)
		return;
	if (!is_good(gdump_plan_create(g, size % 3 ? 31 : 0, &plan)))
		plan = NULL;
	is_good(gdump_verify(g, &opt));
	look_at_view(g, size % 5 == 0);
	if (!is_high(g) || (size % 16 && !kind->flatten))
		copy(g, plan, kind, size % 16);
	gdump_plan_destroy(plan);
}

static void run(const uint8_t *data, size_t size, const char *key)
{
	const struct gdump_open_options opt = {
		.size = sizeof(opt), .warn = warn, .key_file = key, .strict = size % 2,
	};
	static int fd = -1;
	char name[NAME_SIZE];
	struct gdump *g;

	if (fd < 0) {
		const int null = open("/dev/null", O_WRONLY);

		fd = make_file();
		/* standard output is for dumps that cannot seek */
		dup2(null, STDOUT_FILENO);
		close(null);
	}
	fill_file(fd, data, size);
	name_file(name, fd);
	if (!is_good(gdump_open(name, &opt, &g)))
		return;
	use(g, size);
	gdump_close(g);
}

void fuzz_dump(const uint8_t *data, size_t size)
{
	run(data, size, NULL);
}

void fuzz_protected(const uint8_t *data, size_t size)
{
	static char key[NAME_SIZE];
	unsigned char bytes[32];

	if (!key[0]) {
		const int fd = make_file();

		memset(bytes, FUZZ_KEY_BYTE, sizeof(bytes));
		fill_file(fd, bytes, sizeof(bytes));
		name_file(key, fd);
	}
	run(data, size, key);
}
