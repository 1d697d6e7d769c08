/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "subject.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const unsigned char zero_unit[UNIT];

void subject_write(const struct subject *s, const void *buf, size_t len)
{
	FILE *f = fopen(s->path, "wb");

	if (!f || fwrite(buf, 1, len, f) != len || fclose(f)) {
		perror(s->path);
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

bool memory_look(struct memory *m, const struct subject *s)
{
	const char *parts[MAX_INPUTS];
	const struct gdump_open_options how = {
		.size = sizeof(how), .parts = parts, .num_parts = s->num_inputs - 1,
		.key_file = *s->key ? s->key : NULL,
	};
	const struct gdump_write_options opt = { .size = sizeof(opt), .threads = 1 };
	const struct gdump_info *info;
	struct gdump *g = NULL;
	bool good;

	m->num = 0;
	for (size_t i = 1; i < s->num_inputs; i++)
		parts[i - 1] = s->inputs[i];
	if (failed(gdump_open(s->inputs[0], &how, &g)))
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
	const char *p;
	size_t n = 0;

	for (size_t i = 0; i < s->num_fields; i++) {
		const struct field *f = &s->fields[i];

		if (f->off <= off && (!best || f->off >= best->off))
			best = f;
	}
	p = best ? best->name : "start";
	for (p += strncmp(p, "in.", 3) ? 0 : 3; *p && n + 1 < size; p++) {
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
		if (strstr(f->name, ".memory"))
			memset(s->is_page + f->off, true, f->size);
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
	return f && !pclose(f);
}

/* Of a raw file the text is changed. */
static void subject_find_text(struct subject *s)
{
	snprintf(s->path, sizeof(s->path), "%.*s.ranges", MAX_PATH - 8, s->inputs[0]);
	if (access(s->path, R_OK)) {
		strcpy(s->path, s->inputs[0]);
		return;
	}
	s->fields[0] = (struct field){ .name = "ranges" };
	s->num_fields = 1;
}

static bool subject_find_inputs(struct subject *s, const char *mkdump, const char *path)
{
	char command[1024];
	FILE *f;

	snprintf(command, sizeof(command), "'%s' --inputs '%s' '%s'", mkdump, s->text, path);
	f = popen(command, "r");
	while (f && s->num_inputs < MAX_INPUTS && fscanf(f, "%159s", s->inputs[s->num_inputs]) == 1)
		s->num_inputs++;
	if (!f || pclose(f) || !s->num_inputs || s->inputs[0][0] == '-')
		return false;
	snprintf(s->key, sizeof(s->key), "%.*s.key", MAX_PATH - 5, path);
	if (access(s->key, R_OK))
		s->key[0] = '\0';
	subject_find_text(s);
	return true;
}

static bool subject_load(struct subject *s)
{
	FILE *f = fopen(s->path, "rb");

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
	if (!memory_init(&s->memory) || !subject_make(s, mkdump, path) ||
	    !subject_find_inputs(s, mkdump, path) || !subject_load(s) || !s->num_fields ||
	    !memory_look(&s->memory, s) || s->memory.num == MAX_UNITS)
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
