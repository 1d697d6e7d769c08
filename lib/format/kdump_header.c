/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/kdump_header.c - reading the two headers of a kdump file
 *
 * Nothing in them states the byte order or the word size, and there are two layouts of
 * 32-bit sub-headers: i386's and QEMU's have no gaps, those of ARM, MIPS and PowerPC have
 * 64-bit fields aligned to 8 bytes.  All combinations are tried, and the most plausible one
 * is chosen.
 */
#include "kdump.h"

#include <inttypes.h>
#include <string.h>

#include "../util/bits.h"

static void kdump_get_main(struct cursor *c, struct kdump_header *h)
{
	h->diskdump = !memcmp(cursor_take(c, 8), "DISKDUMP", 8);
	h->version = get_u32(c);
	get_bytes(c, h->sysname, UTS_LEN);
	get_bytes(c, h->nodename, UTS_LEN);
	get_bytes(c, h->release, UTS_LEN);
	get_bytes(c, h->uts_version, UTS_LEN);
	get_bytes(c, h->machine, UTS_LEN);
	get_bytes(c, h->domainname, UTS_LEN);
	cursor_take(c, c->is64 ? 6 : 2);
	h->tv_sec = get_word(c);
	get_word(c);
	h->status = get_u32(c);
	h->block_size = get_u32(c);
	h->sub_hdr_size = get_u32(c);
	h->bitmap_blocks = get_u32(c);
	h->max_mapnr = get_u32(c);
	cursor_take(c, 16);
	h->nr_cpus = get_u32(c);
}

static bool kdump_main_makes_sense(const struct kdump_header *h)
{
	return (h->version >= 1 || h->diskdump) && h->version <= 64 &&
	       is_power_of_2(h->block_size) && h->block_size >= KDUMP_MIN_BLOCK &&
	       h->block_size <= KDUMP_MAX_BLOCK && h->sub_hdr_size >= 1 &&
	       h->sub_hdr_size < 1 << 20 && h->bitmap_blocks >= 1;
}

static struct gdump_error *kdump_read_main(struct bytes *in, struct kdump_header *ret)
{
	unsigned char buf[KDUMP_HEAD_SIZE];
	struct gdump_error *err = bytes_read(in, 0, buf, sizeof(buf));

	if (err)
		return error_prefix(err, "kdump header");
	for (int i = 0; i < 4; i++) {
		const bool big = i & 1, is64 = !(i & 2);
		struct kdump_header h = { .big = big, .is64 = is64 };
		struct cursor c = cursor_init(buf, sizeof(buf), big, is64);

		kdump_get_main(&c, &h);
		if (kdump_main_makes_sense(&h)) {
			*ret = h;
			return NULL;
		}
	}
	return error_new(GDUMP_ERR_CORRUPT,
			 "kdump header: invalid block size, sub-header size or bitmap size");
}

static uint64_t kdump_get_u64_at(struct cursor *c, const unsigned char *begin, bool padded)
{
	if (padded)
		cursor_take(c, -(size_t)(c->p - begin) % 8);
	return get_u64(c);
}

/* Each version of the header added fields; older files have other data there. */
static void kdump_get_sub(const unsigned char *buf, const struct kdump_header *h, bool padded,
			  struct kdump_sub *s)
{
	struct cursor c = cursor_init(buf, KDUMP_SUB_SIZE, h->big, h->is64);
	const uint32_t v = h->version;

	*s = (struct kdump_sub){ .padded = padded };
	s->phys_base = get_word(&c);
	s->dump_level = v >= 1 ? get_u32(&c) : 0;
	s->split = v >= 2 ? get_u32(&c) : 0;
	s->start_pfn = v >= 2 ? get_word(&c) : 0;
	s->end_pfn = v >= 2 ? get_word(&c) : 0;
	s->off_vmcoreinfo = v >= 3 ? kdump_get_u64_at(&c, buf, padded) : 0;
	s->size_vmcoreinfo = v >= 3 ? get_word(&c) : 0;
	s->off_note = v >= 4 ? kdump_get_u64_at(&c, buf, padded) : 0;
	s->size_note = v >= 4 ? get_word(&c) : 0;
	s->off_eraseinfo = v >= 5 ? kdump_get_u64_at(&c, buf, padded) : 0;
	s->size_eraseinfo = v >= 5 ? get_word(&c) : 0;
	s->max_mapnr = h->max_mapnr;
	if (v >= 6) {
		s->start_pfn = kdump_get_u64_at(&c, buf, padded);
		s->end_pfn = kdump_get_u64_at(&c, buf, padded);
		s->max_mapnr = kdump_get_u64_at(&c, buf, padded);
	}
}

/* How plausible the offset and size of an area are; an area that does not exist says nothing. */
static int kdump_score_area(const struct bytes *in, const struct kdump_header *h, uint64_t off,
			    uint64_t size)
{
	if (!off && !size)
		return 0;
	return off >= h->block_size && size && range_fits(off, size, in->size) ? 2 : -4;
}

static int kdump_score_sub(const struct bytes *in, const struct kdump_header *h,
			   const struct kdump_sub *s)
{
	int score = kdump_score_area(in, h, s->off_vmcoreinfo, s->size_vmcoreinfo) +
		    kdump_score_area(in, h, s->off_note, s->size_note) +
		    kdump_score_area(in, h, s->off_eraseinfo, s->size_eraseinfo);

	if (s->size_note && s->off_note == h->block_size + kdump_sub_size(h->is64, s->padded))
		score += 4;
	if (h->version >= 6)
		score += (uint32_t)MIN(s->max_mapnr, UINT32_MAX) == h->max_mapnr ? 4 : -4;
	return score;
}

static struct gdump_error *kdump_read_sub(struct bytes *in, const struct kdump_header *h,
					  struct kdump_sub *ret)
{
	unsigned char buf[KDUMP_SUB_SIZE];
	struct gdump_error *err = bytes_read(in, h->block_size, buf, sizeof(buf));
	struct kdump_sub padded;

	if (err)
		return error_prefix(err, "kdump sub-header");
	if (h->diskdump) {
		/* it has the registers of a CPU, in a layout that depends on the machine */
		*ret = (struct kdump_sub){ .max_mapnr = h->max_mapnr };
		return NULL;
	}
	kdump_get_sub(buf, h, false, ret);
	kdump_get_sub(buf, h, true, &padded);
	if (!h->is64 && kdump_score_sub(in, h, &padded) > kdump_score_sub(in, h, ret))
		*ret = padded;
	return NULL;
}

/* Whether the layout that the headers describe is possible in this file */
static struct gdump_error *kdump_check_headers(const struct bytes *in,
					       const struct kdump_header *h,
					       const struct kdump_sub *s)
{
	const struct kdump_layout l = kdump_layout(h, s->max_mapnr, 0);

	if (!s->max_mapnr)
		return error_new(GDUMP_ERR_CORRUPT, "max_mapnr is 0: the dump has no pages");
	if (s->max_mapnr > UINT64_MAX / h->block_size)
		return error_new(GDUMP_ERR_CORRUPT,
				 "max_mapnr %" PRIu64 " exceeds the address space", s->max_mapnr);
	if (!range_fits(l.desc, 0, in->size))
		return error_new(GDUMP_ERR_CORRUPT,
				 "the bitmaps of %u blocks extend past the end of the file",
				 h->bitmap_blocks);
	if (div_up(s->max_mapnr, 8) > l.bitmap_size)
		return error_new(GDUMP_ERR_CORRUPT,
				 "the bitmaps are too small for max_mapnr %" PRIu64, s->max_mapnr);
	if (h->max_mapnr && h->max_mapnr != (uint32_t)s->max_mapnr &&
	    h->max_mapnr != MIN(s->max_mapnr, UINT32_MAX))
		return error_new(GDUMP_ERR_CORRUPT,
				 "max_mapnr is %u, but %" PRIu64 " in the sub-header",
				 h->max_mapnr, s->max_mapnr);
	return NULL;
}

struct gdump_error *kdump_read_headers(struct bytes *in, struct kdump_header *h,
				       struct kdump_sub *s)
{
	struct gdump_error *err = kdump_read_main(in, h);

	if (!err)
		err = kdump_read_sub(in, h, s);
	return err ? err : error_prefix(kdump_check_headers(in, h, s), "kdump header");
}
