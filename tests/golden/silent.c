/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * silent MKDUMP TEXT... - no change of a dump goes unnoticed
 *
 * Of a good dump, each byte of headers, tables and descriptors is changed in three ways, each
 * sector is zeroed, the file is cut at each length, and bytes are appended.  Afterwards its
 * memory is the same, or something says that it is not: an error of opening, reading or
 * verifying, or the incomplete mark.  Bytes of pages that are stored uncompressed are passed
 * over: only a checksum can tell.  Further than DENSE bytes behind the beginning of a field,
 * only a sample of bytes and lengths is tried: there is compressed data, or padding.
 *
 * What a format cannot tell is in the text, as lines "expect silent FIELD", where FIELD is the
 * name of a field as mkdump --fields has it, with digits as #, or "appended".  They must be
 * exactly those that are found.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <guestdump.h>

enum {
	UNIT = 4096, MAX_UNITS = 1024, MAX_FILE = 1 << 20, MAX_FIELDS = 4096, MAX_NAMES = 256,
	SECTOR = 512, MAX_RANGES = 64, DENSE = 128, STEP = 61,
};

struct field {
	char name[64];
	uint64_t off;
	unsigned int size;
};

/* All memory of a dump. */
struct memory {
	struct gdump_range ranges[MAX_RANGES];
	size_t num_ranges, num;
	uint64_t paddr[MAX_UNITS];
	bool there[MAX_UNITS];
	unsigned char data[MAX_UNITS][UNIT];
};

/* A file that is changed. */
struct subject {
	const char *text;
	unsigned char *good, *bytes;
	size_t len;
	bool *is_page;                  /* bytes of an uncompressed page        */
	bool *is_dense;                 /* bytes that are tried one by one      */
	struct field fields[MAX_FIELDS];
	size_t num_fields;
	struct memory memory;
	/* names of the fields whose change was not noticed */
	char found[MAX_NAMES][64];
	size_t num_found, num_tried, num_silent;
};

static char dir[64], path[128];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void write_file(const void *buf, size_t len)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(buf, 1, len, f) != len || fclose(f))
		die(path);
}

/* Whether an error was there; it is gone then. */
static bool failed(struct gdump_error *err)
{
	gdump_error_destroy(err);
	return err;
}

/* All memory of the file; false: something says that it is not good. */
static bool look(struct memory *m)
{
	struct gdump *g = NULL;
	const struct gdump_write_options opt = { .size = sizeof(opt), .threads = 1 };
	const struct gdump_info *info;
	bool good;

	m->num = m->num_ranges = 0;
	if (failed(gdump_open(path, NULL, &g)))
		return false;
	info = gdump_info(g);
	good = !info->incomplete && info->num_ranges <= MAX_RANGES && !failed(gdump_verify(g, &opt));
	if (good) {
		m->num_ranges = info->num_ranges;
		memcpy(m->ranges, info->ranges, info->num_ranges * sizeof(m->ranges[0]));
	}
	for (size_t i = 0; good && i < m->num_ranges; i++) {
		for (uint64_t at = 0; at < m->ranges[i].size && m->num < MAX_UNITS; at += UNIT) {
			m->paddr[m->num] = m->ranges[i].start + at;
			m->there[m->num] = !failed(gdump_read(g, m->paddr[m->num], m->data[m->num], UNIT));
			m->num++;
		}
	}
	gdump_close(g);
	return good;
}

static bool same_memory(const struct memory *a, const struct memory *b)
{
	if (a->num != b->num)
		return false;
	for (size_t i = 0; i < a->num; i++) {
		if (a->paddr[i] != b->paddr[i] || a->there[i] != b->there[i] ||
		    (a->there[i] && memcmp(a->data[i], b->data[i], UNIT)))
			return false;
	}
	return true;
}

static void take_note(struct subject *s, const char *name)
{
	s->num_silent++;
	for (size_t i = 0; i < s->num_found; i++) {
		if (!strcmp(s->found[i], name))
			return;
	}
	if (s->num_found < MAX_NAMES)
		snprintf(s->found[s->num_found++], sizeof(s->found[0]), "%s", name);
}

/* The field of a byte, each number in its name as one #. */
static void name_of(const struct subject *s, size_t off, char *name, size_t size)
{
	const struct field *best = NULL;
	size_t n = 0;

	for (size_t i = 0; i < s->num_fields; i++) {
		const struct field *f = &s->fields[i];

		if (f->off <= off && (!best || f->off >= best->off))
			best = f;
	}
	for (const char *p = best ? best->name : "start"; *p && n + 1 < size; p++) {
		const bool digit = *p >= '0' && *p <= '9';

		if (!digit || !n || name[n - 1] != '#')
			name[n++] = digit ? '#' : *p;
	}
	name[n] = '\0';
}

static void try(struct subject *s, const char *name, size_t len)
{
	static struct memory now;

	write_file(s->bytes, len);
	s->num_tried++;
	if (look(&now) && !same_memory(&now, &s->memory))
		take_note(s, name);
}

static bool is_tried(const struct subject *s, size_t off)
{
	return s->is_dense[off] || off % STEP == 0;
}

static void change_bytes(struct subject *s)
{
	static const unsigned char ways[] = { 0x01, 0x80, 0xff };
	char name[64];

	for (size_t off = 0; off < s->len; off++) {
		for (size_t i = 0; is_tried(s, off) && !s->is_page[off] && i < sizeof(ways); i++) {
			s->bytes[off] ^= ways[i];
			name_of(s, off, name, sizeof(name));
			try(s, name, s->len);
			s->bytes[off] = s->good[off];
		}
	}
}

static void zero_sectors(struct subject *s)
{
	char name[64];

	for (size_t off = 0; off < s->len; off += SECTOR) {
		const size_t n = s->len - off < SECTOR ? s->len - off : SECTOR;

		for (size_t i = off; i < off + n; i++)
			s->bytes[i] = s->is_page[i] ? s->good[i] : 0;
		strcpy(name, "sector of ");
		name_of(s, off, name + 10, sizeof(name) - 10);
		try(s, name, s->len);
		memcpy(s->bytes + off, s->good + off, n);
	}
}

static void cut(struct subject *s)
{
	for (size_t len = s->len - 1; len; len--) {
		if (len % STEP == 0 || (s->is_dense[len] && !s->is_page[len]))
			try(s, "cut", len);
	}
}

static void append(struct subject *s)
{
	memset(s->bytes + s->len, 0, SECTOR);
	try(s, "appended zeros", s->len + SECTOR);
	memset(s->bytes + s->len, 0xa5, SECTOR);
	try(s, "appended garbage", s->len + SECTOR);
	memcpy(s->bytes + s->len, s->good, s->len);
	try(s, "appended copy", 2 * s->len);
}

/* Zero pages of the memory at @off, which are too many in a file to be found by contents. */
static void find_zero_pages(struct subject *s, size_t off)
{
	static const unsigned char zero[UNIT];

	for (; off + UNIT <= s->len; off += UNIT) {
		if (!memcmp(s->good + off, zero, UNIT))
			memset(s->is_page + off, true, UNIT);
	}
}

/* Where in the file pages are, by their contents and by the names of fields. */
static void find_pages(struct subject *s)
{
	static const unsigned char zero[UNIT];

	for (size_t i = 0; i < s->num_fields; i++) {
		const struct field *f = &s->fields[i];

		for (size_t off = f->off; off < s->len && off < f->off + DENSE; off++)
			s->is_dense[off] = true;
		if (!strncmp(f->name, "memory", 6))
			find_zero_pages(s, f->off);
	}

	for (size_t i = 0; i < s->memory.num; i++) {
		unsigned char *at = s->good, *hit;

		if (!s->memory.there[i] || !memcmp(s->memory.data[i], zero, UNIT))
			continue;
		while ((hit = memmem(at, s->len - (size_t)(at - s->good), s->memory.data[i], UNIT))) {
			memset(s->is_page + (hit - s->good), true, UNIT);
			at = hit + UNIT;
		}
	}
}

static void prepare(struct subject *s, const char *mkdump, const char *text)
{
	char command[512];
	FILE *f;

	*s = (struct subject){ .text = text };
	snprintf(command, sizeof(command), "'%s' --fields '%s' '%s'", mkdump, text, path);
	f = popen(command, "r");
	while (f && s->num_fields < MAX_FIELDS &&
	       fscanf(f, "%63s %" SCNu64 " %u", s->fields[s->num_fields].name,
		      &s->fields[s->num_fields].off, &s->fields[s->num_fields].size) == 3)
		s->num_fields++;
	if (!f || pclose(f) || !s->num_fields)
		die(text);
	s->good = calloc(1, 3 * MAX_FILE);
	s->bytes = s->good + MAX_FILE;
	s->is_page = calloc(2 * MAX_FILE, sizeof(bool));
	s->is_dense = s->is_page + MAX_FILE;
	f = fopen(path, "rb");
	if (!f || !s->good || !s->is_page)
		die(path);
	s->len = fread(s->good, 1, MAX_FILE, f);
	fclose(f);
	memcpy(s->bytes, s->good, s->len);
	if (!look(&s->memory) || s->len == MAX_FILE || s->memory.num == MAX_UNITS) {
		fprintf(stderr, "%s: not good, or too large\n", text);
		exit(1);
	}
	find_pages(s);
}

/* The lines "expect silent NAME" of the text, each of which must have been found. */
static int compare(const struct subject *s)
{
	bool expected[MAX_NAMES] = { false };
	char line[256], name[64];
	FILE *f = fopen(s->text, "r");
	int status = 0;

	while (f && fgets(line, sizeof(line), f)) {
		size_t i = 0;

		if (sscanf(line, "expect silent %63[^\n]", name) != 1)
			continue;
		while (i < s->num_found && strcmp(s->found[i], name))
			i++;
		if (i < s->num_found) {
			expected[i] = true;
		} else {
			fprintf(stderr, "%s: a change of %s is noticed by now: take the line out\n", s->text, name);
			status = 1;
		}
	}
	if (f)
		fclose(f);
	for (size_t i = 0; i < s->num_found; i++) {
		if (!expected[i]) {
			fprintf(stderr, "%s: other memory, and nothing says so: %s\n", s->text, s->found[i]);
			status = 1;
		}
	}
	fprintf(stderr, "%s: %zu changes, %zu of them are not noticed\n", s->text, s->num_tried, s->num_silent);
	return status;
}

int main(int argc, char **argv)
{
	static struct subject s;
	int status = 0;

	snprintf(dir, sizeof(dir), "%s/gd-silent.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (argc < 3 || !mkdtemp(dir))
		return 2;
	snprintf(path, sizeof(path), "%s/dump", dir);
	for (int i = 2; i < argc; i++) {
		prepare(&s, argv[1], argv[i]);
		change_bytes(&s);
		zero_sectors(&s);
		cut(&s);
		append(&s);
		status |= compare(&s);
		free(s.good);
		free(s.is_page);
	}
	unlink(path);
	rmdir(dir);
	return status;
}
