/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * view.c - the ELF core that gdump_write() would make of an image, without making it
 *
 * The writer of ELF cores lays out the file and writes its headers and notes to a sink in memory:
 * the head.  From then on its pieces say which guest-physical memory each other byte is.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "damage.h"
#include "dump.h"
#include "format/elf.h"
#include "util/bisect.h"
#include "util/bits.h"
#include "util/cleanup.h"
#include "write/plan.h"

/* Takes the bytes in front of all memory */
struct view_head {
	struct sink sink;
	unsigned char *bytes;
	uint64_t len;
};

struct gdump_view {
	struct gdump *g;
	struct gdump_plan *plan;
	struct view_head head;
	struct writer *writer;
	const struct pieces *pieces;    /* of the writer: ascending by paddr and by off */
	uint64_t size;
};

static struct gdump_error *view_head_write(struct sink *s, uint64_t off, const void *buf, size_t len)
{
	struct view_head *head = (struct view_head *)s;
	const uint64_t end = MAX(head->len, off + len);
	unsigned char *bytes = realloc(head->bytes, (size_t)end);

	if (!bytes)
		return error_nomem();
	head->bytes = bytes;
	memset(bytes + head->len, 0, (size_t)(end - head->len));
	memcpy(bytes + off, buf, len);
	head->len = end;
	return NULL;
}

static const struct sink_ops view_head_ops = { .write = view_head_write };

static struct gdump_error *view_lay_out(struct gdump_view *v)
{
	const struct write_spec spec = {
		.image = &v->g->source->image, .plan = v->plan, .source = v->g->source,
		.sink = &v->head.sink,
	};
	struct gdump_error *err = elf_create(&spec, &v->writer);

	if (!err)
		err = v->writer->ops->finish(v->writer, &v->size);
	if (!err)
		v->pieces = elf_pieces(v->writer);
	return err;
}

/* What the checks of gdump_write() find: memory that must not be used, and whether the file is to
 * be marked as incomplete
 */
static struct gdump_error *view_avoid_damage(struct gdump *g)
{
	struct gdump_result result = { .size = sizeof(result) };
	struct gdump_error *err = damage_avoid(g->source, false, 1, &result);

	g->info.incomplete = g->source->image.incomplete;
	gdump_result_deinit(&result);
	return err;
}

struct gdump_error *gdump_view_open(struct gdump *g, struct gdump_view **ret)
{
	struct gdump_view *v;
	struct gdump_error *err = source_usable(g->source);

	if (!err && !g->source->image.num_ranges)
		err = error_new(GDUMP_ERR_NODATA, "there is no memory to show");
	if (err)
		return error_prefix(err, "%s", g->where);
	v = calloc(1, sizeof(*v));
	if (!v)
		return error_nomem();
	v->g = g;
	v->head.sink.ops = &view_head_ops;
	err = view_avoid_damage(g);
	if (!err)
		err = plan_create(g->source, &v->plan);
	if (!err)
		err = view_lay_out(v);
	if (err) {
		gdump_view_close(v);
		return error_prefix(err, "%s", g->where);
	}
	*ret = v;
	return NULL;
}

void gdump_view_close(struct gdump_view *v)
{
	if (!v)
		return;
	if (v->writer)
		v->writer->ops->close(v->writer);
	gdump_plan_destroy(v->plan);
	free(v->head.bytes);
	free(v);
}

uint64_t gdump_view_size(const struct gdump_view *v)
{
	return v->size;
}

/* The first bytes at @off, which is not in a piece: those of the head, or zeros up to a piece */
static size_t view_read_head(const struct gdump_view *v, uint64_t off, uint64_t end, void *buf,
			     size_t len)
{
	if (off >= v->head.len) {
		len = (size_t)MIN(len, end - off);
		memset(buf, 0, len);
		return len;
	}
	len = (size_t)MIN(len, v->head.len - off);
	memcpy(buf, v->head.bytes + off, len);
	return len;
}

static struct gdump_error *view_read_piece(struct gdump_view *v, const struct piece *p,
					   uint64_t off, void *buf, size_t *len)
{
	*len = (size_t)MIN(*len, p->size - (off - p->off));
	return source_read(v->g->source, p->paddr + (off - p->off), buf, *len);
}

struct gdump_error *gdump_view_read(struct gdump_view *v, uint64_t off, void *buf, size_t len)
{
	const struct pieces *ps = v->pieces;
	unsigned char *to = buf;

	if (!range_fits(off, len, v->size))
		return error_new(GDUMP_ERR_NODATA,
				 "%s: %zu bytes at offset 0x%" PRIx64 " exceed the view (%" PRIu64 " bytes)",
				 v->g->where, len, off, v->size);
	while (len) {
		const size_t i = BISECT(ps->num, k, ps->list[k].off + (ps->list[k].size - 1) >= off);
		const struct piece *p = i < ps->num ? &ps->list[i] : NULL;
		struct gdump_error *err = NULL;
		size_t n = len;

		if (p && p->off <= off)
			err = view_read_piece(v, p, off, to, &n);
		else
			n = view_read_head(v, off, p ? p->off : v->size, to, len);
		if (err)
			return error_prefix(err, "%s", v->g->where);
		to += n, off += n, len -= n;
	}
	return NULL;
}
