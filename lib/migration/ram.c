/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/ram.c - the RAM section of QEMU's migration stream: blocks and pages
 */
#include "take.h"

#include <inttypes.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bisect.h"
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

/* mapped-ram: a header of 28 bytes, a bitmap, and after it the pages. */
static struct gdump_error *ram_take_mapped(struct migration *m, struct migration_block *b)
{
	const unsigned char *p = stream_take(m, 28);
	const uint64_t pages = b->size / m->page_size;

	if (!p)
		return NULL;
	b->bitmap_off = load_be64(p + 12);
	b->pages_off = load_be64(p + 20);
	if (load_be32(p) != 1)
		return stream_unsupported(m, "the mapped-ram header is not of version 1");
	if (load_be64(p + 4) != m->page_size)
		return stream_corrupt(m, "the mapped-ram header has another page size");
	if (b->bitmap_off != migration_pos(m))
		return stream_corrupt(m, "invalid bitmap offset of the mapped-ram header: 0x%" PRIx64,
				      b->bitmap_off);
	if (b->pages_off < b->bitmap_off ||
	    b->pages_off - b->bitmap_off < div_up(pages, 64) * 8 ||
	    b->pages_off > INT64_MAX - b->size)
		return stream_corrupt(m, "invalid pages offset of the mapped-ram header: 0x%" PRIx64,
				      b->pages_off);
	m->skip = b->pages_off + b->size - migration_pos(m);
	return NULL;
}

/* With postcopy a block of huge pages has their size here, and nothing says which
 * blocks those are.  But otherwise the length of a name or the address of a page would
 * be here, and those are no power of two with this many zeros.
 */
static void ram_take_huge_size(struct migration *m)
{
	const unsigned char *p = m->postcopy && !m->ignore_shared ? stream_peek(m, 8) : NULL;
	const uint64_t size = p ? load_be64(p) : 0;

	if (is_power_of_2(size) && size >= 1 << 12 && size < (uint64_t)1 << 56)
		stream_take(m, 8);
}

static int ram_compare_block(const struct migration *m, size_t i, const char *name)
{
	return strcmp(m->blocks[m->order[i]].name, name);
}

/* Where block @name is in m->order, or should be. */
static bool ram_find_block(const struct migration *m, const char *name, size_t *ret)
{
	*ret = BISECT(m->num_blocks, i, ram_compare_block(m, i, name) >= 0);
	return *ret < m->num_blocks && !ram_compare_block(m, *ret, name);
}

static struct gdump_error *ram_add_block(struct migration *m, const struct migration_block *b,
					 size_t i)
{
	if (m->num_blocks == MAX_BLOCKS)
		return stream_corrupt(m, "there are more than %d memory blocks", MAX_BLOCKS);
	if (!ARRAY_GROW(m->blocks, m->num_blocks) || !ARRAY_GROW(m->order, m->num_blocks))
		return error_nomem();
	memmove(m->order + i + 1, m->order + i, (m->num_blocks - i) * sizeof(*m->order));
	m->order[i] = (uint32_t)m->num_blocks;
	m->blocks[m->num_blocks++] = *b;
	m->blocks_left -= b->size;
	if (m->blocks_left)
		return NULL;
	m->blocks_seen = true;
	m->next = stream_next_ram;
	return m->events->blocks(m->events->arg, m);
}

static struct gdump_error *ram_next_block(struct migration *m)
{
	struct migration_block b = { 0 };
	struct gdump_error *err = stream_take_name(m, b.name);
	size_t i;

	b.size = stream_take_u64(m);
	if (err || stream_is_short(m))
		return err;
	if (!b.size || b.size > m->blocks_left || b.size % m->page_size)
		return stream_corrupt(m, "the size of memory block '%s' does not fit the sum of all",
				      b.name);
	if (ram_find_block(m, b.name, &i))
		return stream_corrupt(m, "there are two memory blocks '%s'", b.name);
	ram_take_huge_size(m);
	if (m->ignore_shared)
		stream_take(m, 8);
	if (m->mapped_ram)
		err = ram_take_mapped(m, &b);
	return err || stream_is_short(m) ? err : ram_add_block(m, &b, i);
}

static struct gdump_error *ram_take_blocks(struct migration *m, uint64_t total)
{
	if (m->num_blocks)
		return stream_corrupt(m, "a second list of memory blocks begins here");
	if (!total || total > max_memory)
		return stream_corrupt(m, "the memory blocks are said to have 0x%" PRIx64 " bytes in all, which cannot be",
				      total);
	m->blocks_left = total;
	m->next = ram_next_block;
	return NULL;
}

/* Pages ------------------------------------------------------------------- */

static struct gdump_error *ram_take_block_name(struct migration *m)
{
	char name[256];
	struct gdump_error *err = stream_take_name(m, name);
	size_t i;

	if (err || stream_is_short(m))
		return err;
	if (!ram_find_block(m, name, &i))
		return stream_corrupt(m, "memory block '%s' is not in the list", name);
	m->block = m->order[i];
	return NULL;
}

/* QEMU once filled pages with this byte, but since 1.5 it is always 0. */
static struct gdump_error *ram_take_zero(struct migration *m)
{
	const uint8_t fill = stream_take_u8(m);

	return fill ? stream_corrupt(m, "invalid byte of a zero page: 0x%02x", fill) : NULL;
}

/* Compressed data is little longer than a page at most. */
static struct gdump_error *ram_take_compressed_len(struct migration *m, uint32_t *len)
{
	*len = stream_take_u32(m);
	if (!stream_is_short(m) && (!*len || *len > m->page_size + m->page_size / 64 + 64))
		return stream_corrupt(m, "a compressed page cannot have %u bytes", *len);
	return NULL;
}

static struct gdump_error *ram_take_delta_len(struct migration *m, uint32_t *len)
{
	const unsigned char *p = stream_take(m, 3);

	if (!p)
		return NULL;
	*len = load_be16(p + 1);
	if (p[0] != 1 || *len > m->page_size)
		return stream_corrupt(m, "the header of an XBZRLE page in front of this offset is wrong");
	return NULL;
}

/* What is in front of a page's data: what kind it is, and how long */
static struct gdump_error *ram_take_page_header(struct migration *m, uint32_t flags,
						struct migration_page *page)
{
	switch (flags & ~(uint32_t)RAM_CONTINUE) {
	case RAM_ZERO:
		page->kind = MIGRATION_ZERO;
		return ram_take_zero(m);
	case RAM_COMPRESS_PAGE:
		page->kind = MIGRATION_ZLIB;
		return ram_take_compressed_len(m, &page->len);
	case RAM_XBZRLE:
		page->kind = MIGRATION_XBZRLE;
		return ram_take_delta_len(m, &page->len);
	default:
		page->kind = MIGRATION_RAW;
		page->len = m->page_size;
		return NULL;
	}
}

static struct gdump_error *ram_take_page(struct migration *m, uint32_t flags, uint64_t off)
{
	struct migration_page page = { .off = off };
	struct gdump_error *err = NULL;

	if (!m->blocks_seen)
		return stream_corrupt(m, "a page comes before the list of memory blocks");
	if (!(flags & RAM_CONTINUE))
		err = ram_take_block_name(m);
	else if (m->block == UINT32_MAX)
		err = stream_corrupt(m, "the first page names no memory block");
	if (err || stream_is_short(m))
		return err;
	page.block = m->block;
	if (off >= m->blocks[m->block].size)
		return stream_corrupt(m, "a page is past the end of memory block '%s'",
				      m->blocks[m->block].name);
	err = ram_take_page_header(m, flags, &page);
	page.pos = migration_pos(m);
	if (page.len)
		page.data = stream_take(m, page.len);
	return err || stream_is_short(m) ? err : m->events->page(m->events->arg, &page);
}

static struct gdump_error *ram_unknown_item(struct migration *m, uint64_t word, uint32_t flags)
{
	m->used = 0;
	switch (flags) {
	case RAM_HOOK:
		return stream_unsupported(m, "the memory went another way, by RDMA");
	case RAM_MULTIFD_FLUSH:
		return stream_unsupported(m, "the pages went through other channels (multifd), so they are not in this file; "
					  "save with multifd off, or with mapped-ram on");
	case RAM_FULL:
		return stream_unsupported(m, "the memory was sent in an obsolete way");
	default:
		return stream_corrupt(m, "0x%" PRIx64 " is no item of a RAM section", word);
	}
}

/* An item of what a START, PART or END of the RAM holds */
struct gdump_error *stream_next_ram(struct migration *m)
{
	const uint64_t mask = m->page_size - 1, word = stream_take_u64(m);
	const uint32_t flags = (uint32_t)(word & mask);

	if (stream_is_short(m))
		return NULL;
	switch (flags & ~(uint32_t)RAM_CONTINUE) {
	case RAM_EOS:
		m->next = stream_next_footer;
		return NULL;
	case RAM_MEM_SIZE:
		return ram_take_blocks(m, word & ~mask);
	case RAM_ZERO: case RAM_PAGE: case RAM_COMPRESS_PAGE: case RAM_XBZRLE:
		return ram_take_page(m, flags, word & ~mask);
	case RAM_MULTIFD_FLUSH:
		if (m->mapped_ram)      /* then every page has its place */
			return NULL;
		return ram_unknown_item(m, word, flags);
	default:
		return ram_unknown_item(m, word, flags);
	}
}
