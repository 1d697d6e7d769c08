/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "subject.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char zero_unit[UNIT];

void subject_write(const char *path, const void *buf, size_t len)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(buf, 1, len, f) != len || fclose(f)) {
		perror(path);
		exit(1);
	}
}

bool memory_init(struct memory *m)
{
	m->num = 0;
	m->data = calloc(MAX_UNITS, UNIT);
	return m->data;
}

void memory_deinit(struct memory *m)
{
	free(m->data);
}

/* Whether an error was there; it is gone then. */
static bool failed(struct gdump_error *err)
{
	gdump_error_destroy(err);
	return err;
}

static void memory_read(struct memory *m, struct gdump *g, const struct gdump_range *r)
{
	for (uint64_t at = 0; at < r->size && m->num < MAX_UNITS; at += UNIT) {
		m->paddr[m->num] = r->start + at;
		m->there[m->num] = !failed(gdump_read(g, m->paddr[m->num], m->data[m->num], UNIT));
		m->num++;
	}
}

bool memory_look(struct memory *m, const char *path)
{
	const struct gdump_write_options opt = { .size = sizeof(opt), .threads = 1 };
	const struct gdump_info *info;
	struct gdump *g = NULL;
	bool good;

	m->num = 0;
	if (failed(gdump_open(path, NULL, &g)))
		return false;
	info = gdump_info(g);
	good = !info->incomplete && info->num_ranges <= MAX_RANGES && !failed(gdump_verify(g, &opt));
	for (size_t i = 0; good && i < info->num_ranges; i++)
		memory_read(m, g, &info->ranges[i]);
	gdump_close(g);
	return good;
}

bool memory_is_same(const struct memory *a, const struct memory *b)
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

void subject_name(const struct subject *s, size_t off, char *name, size_t size)
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

/* Zero pages of the memory at @off, which are too many in a file to be found by contents */
static void subject_find_zero_pages(struct subject *s, size_t off)
{
	for (; off + UNIT <= s->len; off += UNIT) {
		if (!memcmp(s->good + off, zero_unit, UNIT))
			memset(s->is_page + off, true, UNIT);
	}
}

static void subject_find_page(struct subject *s, const unsigned char *page)
{
	unsigned char *at = s->good, *hit;

	while ((hit = memmem(at, s->len - (size_t)(at - s->good), page, UNIT))) {
		memset(s->is_page + (hit - s->good), true, UNIT);
		at = hit + UNIT;
	}
}

/* Where in the file pages are, by their contents and by the names of fields */
static void subject_find_pages(struct subject *s)
{
	for (size_t i = 0; i < s->num_fields; i++) {
		const struct field *f = &s->fields[i];

		for (size_t off = f->off; off < s->len && off < f->off + DENSE; off++)
			s->is_dense[off] = true;
		if (!strncmp(f->name, "memory", 6))
			subject_find_zero_pages(s, f->off);
	}
	for (size_t i = 0; i < s->memory.num; i++) {
		if (s->memory.there[i] && memcmp(s->memory.data[i], zero_unit, UNIT))
			subject_find_page(s, s->memory.data[i]);
	}
}

static bool subject_make(struct subject *s, const char *mkdump, const char *path)
{
	char command[1024];
	FILE *f;

	snprintf(command, sizeof(command), "'%s' --fields '%s' '%s'", mkdump, s->text, path);
	f = popen(command, "r");
	while (f && s->num_fields < MAX_FIELDS &&
	       fscanf(f, "%63s %" SCNu64 " %u", s->fields[s->num_fields].name,
		      &s->fields[s->num_fields].off, &s->fields[s->num_fields].size) == 3)
		s->num_fields++;
	return f && !pclose(f) && s->num_fields;
}

static bool subject_load(struct subject *s, const char *path)
{
	FILE *f = fopen(path, "rb");

	s->good = calloc(3, MAX_FILE);
	s->is_page = calloc(2 * MAX_FILE, sizeof(bool));
	if (!f || !s->good || !s->is_page)
		return false;
	s->bytes = s->good + MAX_FILE;
	s->is_dense = s->is_page + MAX_FILE;
	s->len = fread(s->good, 1, MAX_FILE, f);
	fclose(f);
	memcpy(s->bytes, s->good, s->len);
	return s->len && s->len < MAX_FILE;
}

bool subject_init(struct subject *s, const char *mkdump, const char *text, const char *path)
{
	*s = (struct subject){ .text = text };
	if (!memory_init(&s->memory) || !subject_make(s, mkdump, path) || !subject_load(s, path) ||
	    !memory_look(&s->memory, path) || s->memory.num == MAX_UNITS)
		return false;
	subject_find_pages(s);
	return true;
}

void subject_deinit(struct subject *s)
{
	memory_deinit(&s->memory);
	free(s->good);
	free(s->is_page);
}

size_t subject_exceptions(const char *text, char names[][64], size_t max)
{
	FILE *f = fopen(text, "r");
	char line[256];
	size_t num = 0;

	while (f && num < max && fgets(line, sizeof(line), f))
		num += sscanf(line, "expect silent %63[^\n]", names[num]) == 1;
	if (f)
		fclose(f);
	return num;
}
