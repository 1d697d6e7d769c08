/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * silent.c - changes of a good dump of any format: other memory, and nothing says so
 *
 * The input is not a dump, but the number of one and a list of changes.  The dumps are those of
 * the texts in $FUZZ_TEXTS, made by $FUZZ_MKDUMP: tests/fuzz/run sets both.  What a format
 * cannot tell is not changed: see ../golden/subject.h.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

#include "../golden/subject.h"
#include "util/bits.h"

enum { MAX_SUBJECTS = 128, EDIT_SIZE = 8, MAX_EDITS = 3, MAX_EXCEPTIONS = 64, MAX_ERASE = 4096 };

static struct subject *subjects[MAX_SUBJECTS];
static size_t num_subjects;
static char exceptions[MAX_EXCEPTIONS][64];
static size_t num_exceptions;
static bool has_weak_codec;
static struct memory now;               /* what is read of the changed dump     */

enum edit_kind {
	EDIT_XOR, EDIT_ADD, EDIT_COPY_FIELD, EDIT_SET_FIELD, EDIT_ADD_FIELD, EDIT_ERASE, EDIT_CUT,
	EDIT_APPEND, NUM_EDITS
};

/* One change, of EDIT_SIZE bytes of the input */
struct edit {
	enum edit_kind kind;
	uint8_t value;
	uint32_t where, arg;
};

static bool is_excepted(const char *name)
{
	for (size_t i = 0; i < num_exceptions; i++) {
		if (!strcmp(exceptions[i], name))
			return true;
	}
	return false;
}

/* Whether a change of the byte may be one that the format cannot tell.  Only zlib has a checksum
 * of each page.
 */
static bool is_excused(const struct subject *s, size_t off)
{
	char name[64];

	subject_name(s, off, name, sizeof(name));
	return s->is_page[off] || is_excepted(name) || (has_weak_codec && !strcmp(name, "data"));
}

static void put(struct subject *s, size_t off, uint8_t value)
{
	if (off < s->len && !is_excused(s, off))
		s->bytes[off] = value;
}

static void edit_field(struct subject *s, const struct edit *e)
{
	const struct field *to = &s->fields[e->where % s->num_fields];
	const struct field *from = &s->fields[e->arg % s->num_fields];

	for (size_t i = 0; i < MIN(to->size, 8); i++) {
		uint8_t old = to->off + i < s->len ? s->bytes[to->off + i] : 0;

		if (e->kind == EDIT_COPY_FIELD && from->off + i < s->len)
			put(s, to->off + i, s->good[from->off + i]);
		else if (e->kind == EDIT_SET_FIELD)
			put(s, to->off + i, (uint8_t)(i < 4 ? e->arg >> 8 * i : 0));
		else if (e->kind == EDIT_ADD_FIELD && i == e->arg % MIN(to->size, 8))
			put(s, to->off + i, (uint8_t)(old + e->value));
	}
}

/* The length of the file after an edit, which had @len bytes */
static size_t edit(struct subject *s, const struct edit *e, size_t len)
{
	const size_t off = e->where % s->len;

	switch (e->kind) {
	case EDIT_XOR:
		put(s, off, s->bytes[off] ^ e->value);
		return len;
	case EDIT_ADD:
		put(s, off, (uint8_t)(s->bytes[off] + e->value));
		return len;
	case EDIT_ERASE:
		for (size_t i = off; i < off + e->arg % MAX_ERASE; i++)
			put(s, i, e->value);
		return len;
	case EDIT_CUT:
		return is_excepted("cut") ? len : MIN(len, off + 1);
	case EDIT_APPEND:
		if (len != s->len)
			return len;     /* it was appended to, or cut, before */
		memset(s->bytes + len, e->value, off);
		return len + off;
	default:
		edit_field(s, e);
		return len;
	}
}

static struct edit take_edit(const uint8_t *p)
{
	return (struct edit){
		.kind = p[0] % NUM_EDITS, .value = p[1],
		.where = p[2] | (uint32_t)p[3] << 8 | (uint32_t)p[4] << 16,
		.arg = p[5] | (uint32_t)p[6] << 8 | (uint32_t)p[7] << 16,
	};
}

/* The rest of the first line of @text that begins with @key, or "" */
static void find_line(const char *text, const char *key, char *value, size_t size)
{
	FILE *f = fopen(text, "r");
	char line[256];

	*value = '\0';
	while (f && !*value && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, strlen(key)))
			snprintf(value, size, "%.60s", line + strlen(key));
	}
	if (f)
		fclose(f);
}

/* The exceptions of all texts with the same format */
static void find_exceptions(const char *text)
{
	static const char *of;
	char format[64], other[64];

	if (of == text)
		return;
	of = text;
	num_exceptions = 0;
	find_line(text, "codec ", format, sizeof(format));
	has_weak_codec = *format && strcmp(format, "zlib\n");
	find_line(text, "format ", format, sizeof(format));
	for (size_t i = 0; i < num_subjects; i++) {
		find_line(subjects[i]->text, "format ", other, sizeof(other));
		if (!strcmp(format, other))
			num_exceptions += subject_exceptions(subjects[i]->text,
							     exceptions + num_exceptions,
							     MAX_EXCEPTIONS - num_exceptions);
	}
}

/* The changes are made of what a text has in one file.  Where records overlap, one that is moved
 * uncovers what the other wrote, which nothing can tell.
 */
static bool is_wanted(const char *name)
{
	return (!strncmp(name, "good-", 5) || !strncmp(name, "mutate-", 7)) &&
	       !strstr(name, "-parts") && !strstr(name, "-overlap");
}

static void load(const char *dir, const char *name, const char *path)
{
	const char *mkdump = getenv("FUZZ_MKDUMP");
	struct subject *s = calloc(1, sizeof(*s));
	char *text;

	if (!mkdump || !s || asprintf(&text, "%s/%s", dir, name) < 0)
		fuzz_die("FUZZ_MKDUMP is not set, or there is no memory");
	if (num_subjects < MAX_SUBJECTS && subject_init(s, mkdump, text, path)) {
		subjects[num_subjects++] = s;
		return;
	}
	subject_deinit(s);
	free(s);
	free(text);
}

static void load_all(const char *path)
{
	const char *dir = getenv("FUZZ_TEXTS");
	struct dirent **list;
	const int num = dir ? scandir(dir, &list, NULL, alphasort) : -1;

	if (num < 0)
		fuzz_die("FUZZ_TEXTS is not a directory");
	for (int i = 0; i < num; i++) {
		if (is_wanted(list[i]->d_name))
			load(dir, list[i]->d_name, path);
		free(list[i]);
	}
	free(list);
	fprintf(stderr, "fuzz: %zu good dumps\n", num_subjects);
	if (!num_subjects)
		fuzz_die("no good dump in FUZZ_TEXTS");
}

/* Say which field each change is in. */
static void report(const struct subject *s, const uint8_t *data, size_t size)
{
	char name[64];

	for (size_t at = 1, n = 0; at + EDIT_SIZE <= size && n < MAX_EDITS; at += EDIT_SIZE, n++) {
		const struct edit e = take_edit(data + at);
		const bool by_field = e.kind >= EDIT_COPY_FIELD && e.kind <= EDIT_ADD_FIELD;
		const size_t off = by_field ? s->fields[e.where % s->num_fields].off : e.where % s->len;

		subject_name(s, off, name, sizeof(name));
		fprintf(stderr, "fuzz: change of kind %d at offset %zu, in or after field %s; value 0x%x, argument 0x%x\n",
			e.kind, off, name, e.value, e.arg);
	}
	fuzz_die("%s: other memory, and nothing says so", s->text);
}

/* Making the dumps takes seconds, of a busy machine more than an input may take. */
void fuzz_silent_prepare(void)
{
	static char path[32];

	/* mkdump writes it as well */
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), memfd_create("fuzz", MFD_CLOEXEC));
	if (!memory_init(&now))
		fuzz_die("no memory");
	load_all(path);
}

void fuzz_silent(const uint8_t *data, size_t size)
{
	struct subject *s;
	size_t len;

	if (size < 1 + EDIT_SIZE)
		return;
	s = subjects[data[0] % num_subjects];
	find_exceptions(s->text);
	len = s->len;
	for (size_t at = 1, n = 0; at + EDIT_SIZE <= size && n < MAX_EDITS; at += EDIT_SIZE, n++) {
		const struct edit e = take_edit(data + at);

		len = edit(s, &e, len);
	}
	subject_write(s, s->bytes, len);
	memcpy(s->bytes, s->good, s->len);
	if (memory_look(&now, s) && !memory_is_same(&now, &s->memory))
		report(s, data, size);
}
