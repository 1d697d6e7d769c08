/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mkkdump.h - make kdump files in memory, from the format's description alone
 *
 * Page n is all n + 1 (0: zero), stored as it is; those that @absent names are
 * left out.  Layouts that guestdump itself never writes can be had.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "format/format.h"
#include "util/bits.h"
#include "util/cursor.h"

struct mkkdump {
	const char *signature;          /* NULL: "KDUMP   "                     */
	uint32_t version;               /* 0: 6                                 */
	bool big, is32, padded;
	uint32_t block_size;            /* 0: 4096                              */
	uint32_t num_pages;
	const char *absent;             /* by page, 'x': not in the file; NULL: all are */
	const char *vmcoreinfo, *eraseinfo;
	uint32_t status, tv_sec;
	uint32_t desc_flags;            /* of all pages, which are stored as they are */
	const char *machine;            /* NULL: "x86_64"                       */
	bool one_bitmap;
	uint32_t split, start, end;     /* a part                               */
	/* made */
	unsigned char *buf;
	size_t len;
};

static inline bool mk_absent(const struct mkkdump *m, uint32_t page)
{
	return m->absent && page < strlen(m->absent) && m->absent[page] == 'x';
}

static inline void mk_align(struct cursor *c, const struct mkkdump *m, const unsigned char *begin)
{
	while (m->padded && (c->p - begin) % 8)
		put_u8(c, 0);
}

static inline void mk_sub(struct cursor *c, const struct mkkdump *m, size_t area)
{
	const unsigned char *begin = c->p;
	const size_t info = m->vmcoreinfo ? strlen(m->vmcoreinfo) : 0;
	const size_t erase = m->eraseinfo ? strlen(m->eraseinfo) : 0;

	put_word(c, 0x123000);          /* phys_base */
	put_u32(c, 0);                  /* dump_level */
	put_u32(c, m->split);
	put_word(c, m->start);
	put_word(c, m->end);
	mk_align(c, m, begin);
	put_u64(c, info ? area : 0);
	put_word(c, info);
	mk_align(c, m, begin);
	put_u64(c, 0);                  /* notes */
	put_word(c, 0);
	mk_align(c, m, begin);
	put_u64(c, erase ? area + info : 0);
	put_word(c, erase);
	mk_align(c, m, begin);
	put_u64(c, m->start);
	put_u64(c, m->end);
	put_u64(c, m->num_pages);
	c->p = m->buf + area;
	put_bytes(c, m->vmcoreinfo, info);
	put_bytes(c, m->eraseinfo, erase);
}

static inline void mk_main(struct cursor *c, const struct mkkdump *m, uint32_t bitmap_blocks)
{
	put_bytes(c, m->signature ? m->signature : "KDUMP   ", 8);
	put_u32(c, m->version);
	put_zeros(c, 4 * 65);
	put_bytes(c, m->machine ? m->machine : "x86_64", strlen(m->machine ? m->machine : "x86_64"));
	c->p = m->buf + 12 + 6 * 65;
	put_zeros(c, m->is32 ? 2 : 6);
	put_word(c, m->tv_sec);
	put_word(c, 0);
	put_u32(c, m->status);
	put_u32(c, m->block_size);
	put_u32(c, 1);
	put_u32(c, bitmap_blocks);
	put_u32(c, m->num_pages);
	put_zeros(c, 16);
	put_u32(c, 1);
}

static inline void mk_pages(struct cursor *c, const struct mkkdump *m, size_t bitmap2, size_t desc)
{
	size_t n = 0, data = desc;

	for (uint32_t i = 0; i < m->num_pages; i++)
		data += mk_absent(m, i) ? 0 : 24;
	for (uint32_t i = 0; i < m->num_pages; i++) {
		const bool here = !m->split || (i >= m->start && i < m->end);

		if (!m->one_bitmap)
			m->buf[2 * m->block_size + i / 8] |= (unsigned char)(1 << i % 8);
		if (mk_absent(m, i))
			continue;
		m->buf[bitmap2 + i / 8] |= (unsigned char)(1 << i % 8);
		if (!here)
			continue;
		c->p = m->buf + desc + 24 * n++;
		put_u64(c, data);
		put_u32(c, m->block_size);
		put_u32(c, m->desc_flags);
		put_u64(c, 0);
		memset(m->buf + data, (int)(i + 1) & 0xff, m->block_size);
		data += m->block_size;
	}
	c->p = m->buf + data;
}

static inline void mkkdump(struct mkkdump *m)
{
	const uint32_t maps = m->one_bitmap ? 1 : 2;
	struct cursor c;
	size_t desc;

	m->version = m->version ? m->version : m->signature ? 0 : 6;
	m->block_size = m->block_size ? m->block_size : 4096;
	m->len = (size_t)(m->num_pages + 16) * (m->block_size + 24);
	m->buf = calloc(1, m->len);
	c = cursor_init(m->buf, m->len, m->big, !m->is32);
	mk_main(&c, m, maps);
	c.p = m->buf + m->block_size;
	mk_sub(&c, m, m->block_size + 512);
	desc = (size_t)(2 + maps) * m->block_size;
	mk_pages(&c, m, desc - m->block_size, desc);
	m->len = (size_t)(c.p - m->buf);
}

static inline struct gdump_error *mkkdump_open(struct mkkdump *m, struct source **ret)
{
	struct gdump_error *err;
	struct bytes *in;

	mkkdump(m);
	err = bytes_memory_open(m->buf, m->len, &in);
	return err ? err : format_kdump.open(in, ret);
}

static inline void mkkdump_free(struct mkkdump *m)
{
	free(m->buf);
}
