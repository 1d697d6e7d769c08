/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "igzip.h"

#ifdef HAVE_ISAL
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct igzip {
	struct isal_zstream stream;
};

struct igzip *igzip_open(void)
{
	const size_t align = 64;        /* the library's vectors */
	struct igzip *z = aligned_alloc(align, (sizeof(*z) + align - 1) / align * align);

	if (!z)
		return NULL;
	/* the library's own init leaves the size of the window as it is */
	memset(z, 0, sizeof(*z));
	isal_deflate_stateless_init(&z->stream);
	isal_deflate_set_hufftables(&z->stream, NULL, IGZIP_HUFFTABLE_STATIC);
	return z;
}

size_t igzip_compress(struct igzip *z, void *dst, size_t cap, const void *src, size_t len)
{
	struct isal_zstream *s = &z->stream;

	isal_deflate_reset(s);
	s->gzip_flag = IGZIP_ZLIB;
	s->end_of_stream = 1;
	s->flush = NO_FLUSH;
	s->next_in = (uint8_t *)(uintptr_t)src;
	s->avail_in = (uint32_t)len;
	s->next_out = dst;
	s->avail_out = (uint32_t)cap;
	return isal_deflate_stateless(s) == COMP_OK && !s->avail_in ? s->total_out : 0;
}

void igzip_close(struct igzip *z)
{
	free(z);
}
#else
struct igzip *igzip_open(void)
{
	return NULL;
}

size_t igzip_compress(struct igzip *z, void *dst, size_t cap, const void *src, size_t len)
{
	(void)z, (void)dst, (void)cap, (void)src, (void)len;
	return 0;
}

void igzip_close(struct igzip *z)
{
	(void)z;
}
#endif
