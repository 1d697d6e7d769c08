/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * bytes_join.c - several files as one: one after the other, or one over the other
 */
#include <stdlib.h>

#include "../util/bits.h"
#include "companions.h"

struct bytes_joined {
	struct bytes bytes;
	struct joined_part {
		struct bytes *in;
		uint64_t start;
	} *parts;
	size_t num;
};

/* The part that has byte @off, which is in the file */
static const struct joined_part *joined_part_at(const struct bytes_joined *j, uint64_t off)
{
	size_t i = 0;

	while (i + 1 < j->num && j->parts[i + 1].start <= off)
		i++;
	return &j->parts[i];
}

static struct gdump_error *joined_read(struct bytes *b, uint64_t off, void *buf, size_t len)
{
	const struct bytes_joined *j = (struct bytes_joined *)b;
	struct gdump_error *err = NULL;
	unsigned char *to = buf;

	while (!err && len) {
		const struct joined_part *p = joined_part_at(j, off);
		const size_t n = (size_t)MIN(len, p->start + p->in->size - off);

		err = bytes_read(p->in, off - p->start, to, n);
		off += n;
		to += n;
		len -= n;
	}
	return err;
}

static uint64_t joined_hole(struct bytes *b, uint64_t off, uint64_t len)
{
	const struct joined_part *p = joined_part_at((struct bytes_joined *)b, off);

	return bytes_hole(p->in, off - p->start, MIN(len, p->start + p->in->size - off));
}

static void joined_close(struct bytes *b)
{
	struct bytes_joined *j = (struct bytes_joined *)b;

	for (size_t i = 0; i < j->num; i++)
		bytes_close(j->parts[i].in);
	free(j->parts);
	free(j);
}

static const struct bytes_ops joined_ops = {
	.read = joined_read, .hole = joined_hole, .close = joined_close,
};

static bool joined_add(struct bytes_joined *j, struct bytes *in)
{
	if (in->size > UINT64_MAX - j->bytes.size)
		return false;
	j->parts[j->num].in = in;
	j->parts[j->num++].start = j->bytes.size;
	j->bytes.size += in->size;
	return true;
}

struct gdump_error *bytes_join(struct bytes *const *in, size_t num, struct bytes **ret)
{
	struct bytes_joined *j = calloc(1, sizeof(*j));
	struct gdump_error *err = NULL;

	if (j)
		j->parts = calloc(num, sizeof(*j->parts));
	if (!j || !j->parts)
		err = error_nomem();
	for (size_t i = 0; i < num; i++) {
		if (!err && in[i]->size && joined_add(j, in[i]))
			continue;
		if (!err && in[i]->size)
			err = error_new(GDUMP_ERR_UNSUPPORTED, "the files are too large together");
		bytes_close(in[i]);
	}
	if (!err) {
		j->bytes.ops = &joined_ops;
		j->bytes.kind = "";
		*ret = &j->bytes;
		return NULL;
	}
	if (j)
		joined_close(&j->bytes);
	return err;
}

struct bytes_overlaid {
	struct bytes bytes;
	struct bytes *top, *base;
};

/* How many bytes from @off on, of @len, are a hole of the upper file, or else data */
static uint64_t overlaid_run(struct bytes_overlaid *o, uint64_t off, uint64_t len, bool *is_hole)
{
	enum { STEP = 4096 };
	uint64_t n = bytes_hole(o->top, off, len);

	*is_hole = n;
	while (!*is_hole && n < len && !bytes_hole(o->top, off + n, 1))
		n = MIN(len, n + STEP - (off + n) % STEP);
	return n;
}

static struct gdump_error *overlaid_read(struct bytes *b, uint64_t off, void *buf, size_t len)
{
	struct bytes_overlaid *o = (struct bytes_overlaid *)b;
	struct gdump_error *err = NULL;
	unsigned char *to = buf;

	while (!err && len) {
		bool is_hole;
		const size_t n = (size_t)overlaid_run(o, off, len, &is_hole);

		err = bytes_read(is_hole ? o->base : o->top, off, to, n);
		off += n;
		to += n;
		len -= n;
	}
	return err;
}

static uint64_t overlaid_hole(struct bytes *b, uint64_t off, uint64_t len)
{
	struct bytes_overlaid *o = (struct bytes_overlaid *)b;
	const uint64_t n = bytes_hole(o->top, off, len);

	return n ? bytes_hole(o->base, off, n) : 0;
}

static void overlaid_close(struct bytes *b)
{
	struct bytes_overlaid *o = (struct bytes_overlaid *)b;

	bytes_close(o->top);
	bytes_close(o->base);
	free(o);
}

static const struct bytes_ops overlaid_ops = {
	.read = overlaid_read, .hole = overlaid_hole, .close = overlaid_close,
};

struct gdump_error *bytes_overlay(struct bytes *top, struct bytes *base, struct bytes **ret)
{
	struct bytes_overlaid *o = calloc(1, sizeof(*o));
	struct gdump_error *err = o ? NULL : error_nomem();

	if (!err && top->size != base->size)
		err = error_new(GDUMP_ERR_USAGE,
				"the file with the changed memory and the one that it is based on have different sizes");
	if (err) {
		bytes_close(top);
		bytes_close(base);
		free(o);
		return err;
	}
	*o = (struct bytes_overlaid){ .top = top, .base = base };
	o->bytes = (struct bytes){ .ops = &overlaid_ops, .size = top->size, .kind = "" };
	*ret = &o->bytes;
	return NULL;
}
