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
 * With $GUESTDUMP_EVERY_VALUE set, each byte gets each other value: this takes 40 times as long.
 *
 * What a format cannot tell is in the text, as lines "expect silent FIELD", where FIELD is the
 * name of a field as mkdump --fields has it, with digits as #, or "appended".  They must be
 * exactly those that are found.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "subject.h"

enum { SECTOR = 512, STEP = 61 };

/* Names of the fields whose change was not noticed, and how much was tried */
struct findings {
	char names[MAX_NAMES][64];
	size_t num, num_tried, num_silent;
};

static char dir[64], path[128];
static struct findings found;

static void take_note(const char *name)
{
	found.num_silent++;
	for (size_t i = 0; i < found.num; i++) {
		if (!strcmp(found.names[i], name))
			return;
	}
	if (found.num < MAX_NAMES)
		snprintf(found.names[found.num++], sizeof(found.names[0]), "%s", name);
}

static void try(const struct subject *s, const char *name, size_t len)
{
	static struct memory now;

	if (!now.data && !memory_init(&now))
		exit(1);
	subject_write(s, s->bytes, len);
	found.num_tried++;
	if (memory_look(&now, s) && !memory_is_same(&now, &s->memory))
		take_note(name);
}

static bool is_tried(const struct subject *s, size_t off)
{
	return s->is_dense[off] || off % STEP == 0;
}

static void change_bytes(struct subject *s)
{
	const bool all = getenv("GUESTDUMP_EVERY_VALUE");
	char name[64];

	for (size_t off = 0; off < s->len; off++) {
		for (unsigned int way = 1; is_tried(s, off) && !s->is_page[off] && way < 256; way++) {
			if (!all && way != 0x01 && way != 0x80 && way != 0xff)
				continue;
			s->bytes[off] ^= (unsigned char)way;
			subject_name(s, off, name, sizeof(name));
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
		subject_name(s, off, name + 10, sizeof(name) - 10);
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

/* What was found must be what the text expects. */
static int compare(const struct subject *s)
{
	static char names[MAX_NAMES][64];
	bool expected[MAX_NAMES] = { false };
	const size_t num = subject_exceptions(s->text, names, MAX_NAMES);
	int status = 0;

	for (size_t k = 0; k < num; k++) {
		size_t i = 0;

		while (i < found.num && strcmp(found.names[i], names[k]))
			i++;
		if (i < found.num) {
			expected[i] = true;
		} else {
			fprintf(stderr, "%s: a change of %s is noticed by now: take the line out\n",
				s->text, names[k]);
			status = 1;
		}
	}
	for (size_t i = 0; i < found.num; i++) {
		if (!expected[i]) {
			fprintf(stderr, "%s: other memory, and nothing says so: %s\n", s->text,
				found.names[i]);
			status = 1;
		}
	}
	fprintf(stderr, "%s: %zu changes, %zu of them are not noticed\n", s->text,
		found.num_tried, found.num_silent);
	return status;
}

/* A dump may be several files. */
static void remove_all(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

static int try_all(const char *mkdump, const char *text)
{
	static struct subject s;
	int status = 1;

	found = (struct findings){ 0 };
	if (subject_init(&s, mkdump, text, path)) {
		change_bytes(&s);
		zero_sectors(&s);
		cut(&s);
		append(&s);
		status = compare(&s);
	} else {
		fprintf(stderr, "%s: not good, or too large\n", text);
	}
	subject_deinit(&s);
	remove_all();
	return status;
}

int main(int argc, char **argv)
{
	int status = 0;

	snprintf(dir, sizeof(dir), "%s/gd-silent.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (argc < 3 || !mkdtemp(dir))
		return 2;
	snprintf(path, sizeof(path), "%s/dump", dir);
	for (int i = 2; i < argc; i++)
		status |= try_all(argv[1], argv[i]);
	rmdir(dir);
	return status;
}
