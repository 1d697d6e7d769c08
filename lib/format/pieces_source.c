/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "pieces_source.h"

#include <stdlib.h>

#include "../arch/arch.h"

void *pieces_source_create(size_t size, const struct source_ops *ops, struct bytes *in)
{
	struct pieces_source *p = calloc(1, size);

	if (!p) {
		bytes_close(in);
		return NULL;
	}
	source_init(&p->source, ops);
	p->source.image.incomplete = in->truncated;
	p->in = in;
	return p;
}

struct gdump_error *pieces_source_seal(struct pieces_source *p)
{
	struct image *image = &p->source.image;
	struct gdump_error *err = image_seal(image);

	if (err)
		return err;
	if (image->incomplete)
		pieces_trim(&p->pieces, p->in, image);
	image->num_absent = pieces_absent(&p->pieces, image);
	return NULL;
}

struct gdump_error *pieces_source_opened(struct pieces_source *p, struct gdump_error *err,
					 struct source **ret)
{
	if (!err)
		*ret = &p->source;
	else if (p)
		source_close(&p->source);
	return err;
}

struct gdump_error *pieces_source_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct pieces_source *p = (struct pieces_source *)s;

	return pieces_read(&p->pieces, p->in, paddr, buf, len);
}

struct gdump_error *pieces_source_scan(struct source *s, uint64_t pfn, size_t num,
				       unsigned char *state, bool holes)
{
	struct pieces_source *p = (struct pieces_source *)s;

	pieces_scan(&p->pieces, holes ? p->in : NULL, s->image.page_size, pfn, num, state);
	return NULL;
}

uint64_t pieces_source_gap(struct source *s, uint64_t pfn, uint64_t num, enum page_state *state)
{
	struct pieces_source *p = (struct pieces_source *)s;

	return pieces_gap(&p->pieces, p->in, s->image.page_size, pfn, num, state);
}

void pieces_source_close(struct source *s)
{
	struct pieces_source *p = (struct pieces_source *)s;

	bytes_close(p->in);
	pieces_deinit(&p->pieces);
	free(p);
}
