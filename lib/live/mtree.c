/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mtree.c - the guest's memory map, as QEMU's "info mtree -f" prints it
 *
 * Written by mtree_print_flatview() in QEMU's softmmu/memory.c.
 */
#include "mtree.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/warn.h"

/* Kinds by QEMU's memory_region_type(); "nv-" in front marks an nvdimm. */
static const struct kind {
	const char *name;
	bool dumped, ram;
} kinds[] = {
	{ "ram",     true,  true  },
	{ "rom",     true,  false },
	{ "nv-ram",  true,  true  },
	{ "nv-rom",  true,  false },
	{ "romd",    false, false },    /* flash                                */
	{ "ramd",    false, false },    /* of a device that is passed through   */
	{ "i/o",     false, false },
	{ "nv-romd", false, false },
	{ "nv-ramd", false, false },
	{ "nv-i/o",  false, false },
};

/* The line is [text, text + len). */
struct line {
	const char *text;
	size_t len;
};

static bool line_next(const char **pos, struct line *line)
{
	size_t len = strcspn(*pos, "\n");

	if (!**pos)
		return false;
	line->text = *pos;
	line->len = len && (*pos)[len - 1] == '\r' ? len - 1 : len;
	*pos += len + ((*pos)[len] == '\n');
	return true;
}

static bool line_begins(const struct line *line, const char *with)
{
	return line->len >= strlen(with) && !memcmp(line->text, with, strlen(with));
}

/* Skip @what at the start of @line; false: the line begins otherwise, and is unchanged. */
static bool line_skip(struct line *line, const char *what)
{
	if (!line_begins(line, what))
		return false;
	line->text += strlen(what);
	line->len -= strlen(what);
	return true;
}

/* An address: QEMU always prints 16 hexadecimal digits. */
static bool line_addr(struct line *line, uint64_t *ret)
{
	uint64_t value = 0;

	if (line->len < 16)
		return false;
	for (int i = 0; i < 16; i++) {
		char c = line->text[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	line->text += 16;
	line->len -= 16;
	*ret = value;
	return true;
}

/* Skip a decimal number, which may be negative: the priority, which QEMU has resolved. */
static bool line_prio(struct line *line)
{
	size_t n;

	line_skip(line, "-");
	for (n = 0; n < line->len && line->text[n] >= '0' && line->text[n] <= '9'; n++)
		;
	line->text += n;
	line->len -= n;
	return n > 0;
}

/* Cut " @OFFSET" or the accelerator's mark, and what follows it, off the name, which may
 * contain spaces.  Returns the offset.
 */
static uint64_t line_cut_name(struct line *line)
{
	uint64_t off;

	for (size_t i = 0; i + 18 <= line->len; i++) {
		struct line rest = { line->text + i, line->len - i };

		if (line_skip(&rest, " @") && line_addr(&rest, &off) &&
		    (!rest.len || *rest.text == ' ')) {
			line->len = i;
			return off;
		}
	}
	if (line->len > 4 && !memcmp(line->text + line->len - 4, " KVM", 4))
		line->len -= 4;
	return 0;
}

static struct gdump_error *mtree_bad_line(const struct line *line)
{
	return error_new(GDUMP_ERR_REMOTE,
			 "QEMU's \"info mtree -f\" has an invalid line: \"%.*s\"",
			 (int)MIN(line->len, (size_t)200), line->text);
}

static struct gdump_error *mtree_add(struct mtree *m, struct mtree_range *r,
				     const struct line *name)
{
	if (!ARRAY_GROW(m->ranges, m->num_ranges))
		return error_nomem();
	r->name = strndup(name->text, name->len);
	if (!r->name)
		return error_nomem();
	m->ranges[m->num_ranges++] = *r;
	return NULL;
}

static void mtree_unknown_kind(const struct line *line, const struct gdump_open_options *opt)
{
	warn_caller(opt, "QEMU has memory of an unknown kind, which is omitted from the dump: \"%.*s\"",
		    (int)MIN(line->len, (size_t)200), line->text);
}

/* One range: "START-END (prio N, KIND): NAME[ @OFFSET][ KVM]" */
static struct gdump_error *mtree_range(struct line line, const struct gdump_open_options *opt,
				       struct mtree *m)
{
	const struct mtree_range *last = m->num_ranges ? &m->ranges[m->num_ranges - 1] : NULL;
	const struct line whole = line;
	struct line kind;
	struct mtree_range r;
	uint64_t end;
	size_t i;

	if (!line_addr(&line, &r.start) || !line_skip(&line, "-") || !line_addr(&line, &end) ||
	    !line_skip(&line, " (prio ") || !line_prio(&line) || !line_skip(&line, ", "))
		return mtree_bad_line(&whole);
	kind = line;
	for (kind.len = 0; kind.len < line.len && line.text[kind.len] != ')'; kind.len++)
		;
	line.text += kind.len;
	line.len -= kind.len;
	if (!line_skip(&line, "): ") || end < r.start)
		return mtree_bad_line(&whole);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kind.len == strlen(kinds[i].name) && line_begins(&kind, kinds[i].name))
			break;
	if (i == ARRAY_SIZE(kinds))
		mtree_unknown_kind(&whole, opt);
	if (i == ARRAY_SIZE(kinds) || !kinds[i].dumped)
		return NULL;
	r.size = end - r.start + 1;
	r.ram = kinds[i].ram;
	if (!r.size || (last && r.start - last->start < last->size) ||
	    (last && r.start < last->start))
		return mtree_bad_line(&whole);
	r.off = line_cut_name(&line);
	return mtree_add(m, &r, &line);
}

/* The ranges of the block at @pos, up to the next block */
static struct gdump_error *mtree_block(const char *pos, const struct gdump_open_options *opt,
				       struct mtree *m)
{
	struct gdump_error *err = NULL;
	struct line line;

	while (!err && line_next(&pos, &line) && line.len && !line_begins(&line, "FlatView")) {
		/* one space: about the block; two: a range */
		if (line_skip(&line, "  "))
			err = mtree_range(line, opt, m);
		else if (!line_begins(&line, " AS \"") &&
			 !line_begins(&line, " Root memory region: "))
			err = mtree_bad_line(&line);
	}
	return err;
}

struct gdump_error *mtree_parse(const char *text, const struct gdump_open_options *opt,
				struct mtree *ret)
{
	struct gdump_error *err;
	struct mtree m = { 0 };
	struct line line;

	do {
		if (!line_next(&text, &line))
			return error_new(GDUMP_ERR_REMOTE,
					 "QEMU's \"info mtree -f\" does not show the address "
					 "space \"memory\"");
	} while (!line_begins(&line, " AS \"memory\", root:"));
	err = mtree_block(text, opt, &m);
	if (!err && !m.num_ranges)
		err = error_new(GDUMP_ERR_REMOTE, "QEMU's \"info mtree -f\" shows no memory");
	if (err) {
		mtree_deinit(&m);
		return err;
	}
	*ret = m;
	return NULL;
}

void mtree_deinit(struct mtree *m)
{
	for (size_t i = 0; i < m->num_ranges; i++)
		free(m->ranges[i].name);
	free(m->ranges);
	*m = (struct mtree){ 0 };
}
