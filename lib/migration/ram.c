/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migration/ram.c - the RAM section of QEMU's migration stream: blocks and pages
 */
#include "take.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

enum {
	MAX_BLOCKS = 4096,
};

/* Of all blocks, and so of what is kept about them */
static const uint64_t max_memory = (uint64_t)1 << 44;

/* Low bits of an item's word in the RAM section */
enum {
	RAM_FULL          = 0x01,
	RAM_ZERO          = 0x02,
	RAM_MEM_SIZE      = 0x04,
	RAM_PAGE          = 0x08,
	RAM_EOS           = 0x10,
	RAM_CONTINUE      = 0x20,
	RAM_XBZRLE        = 0x40,
	RAM_HOOK          = 0x80,
	RAM_COMPRESS_PAGE = 0x100,
	RAM_MULTIFD_FLUSH = 0x200,
};

/* Blocks ------------------------------------------------------------------ */

static struct gdump_error *seek(struct migration *m, uint64_t pos)
{
	struct gdump_error *err = NULL;

	if (pos < migration_pos(m))
		return stream_corrupt(m, "%s", "the place of a block's pages is in front of its header");
	if (pos - m->base <= m->tail) {
		m->head = (size_t)(pos - m->base);
		return NULL;
	}
	if (!m->reader->seek)
		return stream_unsupported(m, "a stream with mapped-ram cannot come through a pipe");
	err = m->reader->seek(m->reader, pos);
	m->head = m->tail = 0;
	m->base = pos;
	return err;
}

/* mapped-ram: a header of 28 bytes, a bitmap, and behind it the pages. */
static struct gdump_error *take_mapped(struct migration *m, struct migration_block *b)
{
	const unsigned char *p;
	struct gdump_error *err = stream_take(m, 28, &p);
	const uint64_t pages = b->size / m->page_size;

	if (err)
		return err;
	b->bitmap_off = load_be64(p + 12);
	b->pages_off = load_be64(p + 20);
	if (load_be32(p) != 1)
		return stream_unsupported(m, "the mapped-ram header is not of version 1");
	if (load_be64(p + 4) != m->page_size)
		return stream_corrupt(m, "%s", "the mapped-ram header has another page size");
	if (b->pages_off < b->bitmap_off ||
	    b->pages_off - b->bitmap_off < div_up(pages, 64) * 8 ||
	    b->bitmap_off < migration_pos(m) || b->pages_off > INT64_MAX - b->size)
		return stream_corrupt(m, "%s", "the mapped-ram header contradicts itself");
	return seek(m, b->pages_off + b->size);
}

/* With postcopy a block of huge pages has their size here, and nothing tells which
 * blocks that is.  But else a name's length or a page's address would be here, and
 * those are no power of two with this many zeros.
 */
static struct gdump_error *take_huge_size(struct migration *m)
{
	struct gdump_error *err;
	uint64_t v;

	if (!m->postcopy || m->ignore_shared)
		return NULL;
	err = stream_fill(m, 8);
	if (err || m->tail - m->head < 8)
		return err;
	v = load_be64(m->buf + m->head);
	if (is_power_of_2(v) && v >= 1 << 12 && v < (uint64_t)1 << 56)
		m->head += 8;
	return NULL;
}

/* Where block @name is in m->order, or should be. */
static bool find_block(const struct migration *m, const char *name, size_t *ret)
{
	size_t lo = 0, hi = m->num_blocks;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int cmp = strcmp(name, m->blocks[m->order[mid]].name);

		*ret = mid;
		if (!cmp)
			return true;
		if (cmp < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	*ret = lo;
	return false;
}

static struct gdump_error *take_block(struct migration *m, uint64_t left)
{
	struct migration_block *b = &m->blocks[m->num_blocks];
	struct gdump_error *err;
	const unsigned char *p;
	size_t i;

	*b = (struct migration_block){ 0 };
	err = stream_take_name(m, b->name);
	if (!err)
		err = stream_take_u64(m, &b->size);
	if (err)
		return err;
	if (!b->size || b->size > left || b->size % m->page_size)
		return stream_corrupt(m, "the size of memory block '%s' does not fit the sum of all",
				      b->name);
	if (find_block(m, b->name, &i))
		return stream_corrupt(m, "there are two memory blocks '%s'", b->name);
	memmove(m->order + i + 1, m->order + i, (m->num_blocks - i) * sizeof(*m->order));
	m->order[i] = (uint32_t)m->num_blocks++;
	err = take_huge_size(m);
	if (!err && m->ignore_shared)
		err = stream_take(m, 8, &p);
	if (!err && m->mapped_ram)
		err = take_mapped(m, b);
	return err;
}

static struct gdump_error *make_room(struct migration *m)
{
	const size_t num = m->num_blocks ? 2 * m->num_blocks : 16;
	struct migration_block *blocks;
	uint32_t *order;

	if (m->num_blocks == MAX_BLOCKS)
		return stream_corrupt(m, "%s", "too many memory blocks");
	if (m->num_blocks && (m->num_blocks < 16 || !is_power_of_2(m->num_blocks)))
		return NULL;
	blocks = realloc(m->blocks, num * sizeof(*blocks));
	if (!blocks)
		return error_nomem();
	m->blocks = blocks;
	order = realloc(m->order, num * sizeof(*order));
	if (!order)
		return error_nomem();
	m->order = order;
	return NULL;
}

static struct gdump_error *take_blocks(struct migration *m, uint64_t total)
{
	struct gdump_error *err = NULL;

	if (m->blocks)
		return stream_corrupt(m, "%s", "a second list of memory blocks");
	if (!total || total > max_memory)
		return stream_corrupt(m, "%s", "the list of memory blocks claims an impossible sum");
	while (!err && total) {
		err = make_room(m);
		if (!err)
			err = take_block(m, total);
		if (!err)
			total -= m->blocks[m->num_blocks - 1].size;
	}
	if (!err)
		err = m->events->blocks(m->events->arg, m);
	m->block_seen = !err;
	m->block = UINT32_MAX;
	return err;
}

/* Pages ------------------------------------------------------------------- */

static struct gdump_error *take_block_name(struct migration *m)
{
	char name[256];
	struct gdump_error *err = stream_take_name(m, name);
	size_t i;

	if (err)
		return err;
	if (!find_block(m, name, &i))
		return stream_corrupt(m, "memory block '%s' is not in the list", name);
	m->block = m->order[i];
	return NULL;
}

/* Compressed data is little longer than a page at most. */
static struct gdump_error *take_compressed_len(struct migration *m, uint32_t *len)
{
	struct gdump_error *err = stream_take_u32(m, len);

	if (!err && (!*len || *len > m->page_size + m->page_size / 64 + 64))
		err = stream_corrupt(m, "%s", "the length of a compressed page makes no sense");
	return err;
}

static struct gdump_error *take_delta_len(struct migration *m, uint32_t *len)
{
	const unsigned char *p;
	struct gdump_error *err = stream_take(m, 3, &p);

	if (err)
		return err;
	*len = load_be16(p + 1);
	if (p[0] != 1 || *len > m->page_size)
		return stream_corrupt(m, "%s", "the header of an XBZRLE page makes no sense");
	return NULL;
}

static struct gdump_error *take_page(struct migration *m, uint32_t flags, uint64_t off)
{
	struct migration_page page = { .off = off };
	struct gdump_error *err = NULL;

	if (!m->block_seen)
		return stream_corrupt(m, "%s", "a page in front of the list of memory blocks");
	if (!(flags & RAM_CONTINUE))
		err = take_block_name(m);
	else if (m->block == UINT32_MAX)
		err = stream_corrupt(m, "%s", "the first page names no memory block");
	if (err)
		return err;
	page.block = m->block;
	if (off >= m->blocks[m->block].size)
		return stream_corrupt(m, "a page is behind the end of memory block '%s'",
				      m->blocks[m->block].name);
	switch (flags & ~(uint32_t)RAM_CONTINUE) {
	case RAM_ZERO:
		page.kind = MIGRATION_FILL;
		err = stream_take_u8(m, &page.fill);
		break;
	case RAM_PAGE:
		page.kind = MIGRATION_RAW;
		page.len = m->page_size;
		break;
	case RAM_COMPRESS_PAGE:
		page.kind = MIGRATION_ZLIB;
		err = take_compressed_len(m, &page.len);
		break;
	case RAM_XBZRLE:
		page.kind = MIGRATION_XBZRLE;
		err = take_delta_len(m, &page.len);
		break;
	}
	page.pos = migration_pos(m);
	if (!err && page.len)
		err = stream_take(m, page.len, &page.data);
	return err ? err : m->events->page(m->events->arg, &page);
}

static struct gdump_error *unknown_item(struct migration *m, uint64_t word, uint32_t flags)
{
	m->head -= 8;
	if (flags == RAM_HOOK)
		return stream_unsupported(m, "the memory went another way, by RDMA");
	if (flags == RAM_MULTIFD_FLUSH)
		return stream_unsupported(m, "the pages went through other channels (multifd), so they are not in this file; "
					  "save with multifd off, or with mapped-ram on");
	if (flags == RAM_FULL)
		return stream_unsupported(m, "an obsolete way of sending memory");
	return error_prefix(error_new(GDUMP_ERR_CORRUPT, "0x%" PRIx64 " is no item of a RAM section",
				      word),
			    "migration stream at offset %" PRIu64, migration_pos(m));
}

/* What a START, PART or END of the RAM holds. */
struct gdump_error *stream_take_ram(struct migration *m)
{
	const uint64_t mask = m->page_size - 1;
	struct gdump_error *err = NULL;
	uint64_t word;

	while (!err) {
		uint32_t flags;

		err = stream_take_u64(m, &word);
		if (err)
			break;
		flags = (uint32_t)(word & mask);
		switch (flags & ~(uint32_t)RAM_CONTINUE) {
		case RAM_EOS:
			return NULL;
		case RAM_MEM_SIZE:
			err = take_blocks(m, word & ~mask);
			break;
		case RAM_ZERO: case RAM_PAGE: case RAM_COMPRESS_PAGE: case RAM_XBZRLE:
			err = take_page(m, flags, word & ~mask);
			break;
		case RAM_MULTIFD_FLUSH:
			if (m->mapped_ram)      /* then every page has its place */
				break;
			/* fall through */
		default:
			err = unknown_item(m, word, flags);
		}
	}
	return err;
}
