/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/kdump_pages.c - the pages of a kdump file
 *
 * The unit of the file is the block, that of the kernel the page.  They usually have the same
 * size; see kdump_scan() for the other cases.
 */
#include "kdump_source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../codec/codec.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	READ_AHEAD = 1 << 20,           /* page data to read at once, at most   */
	SCAN_BLOCKS = 128,
};

/* The decompressors of one call, opened as needed */
struct kdump_decompress {
	void *state[NUM_CODECS];
};

static void kdump_decompress_cleanup(struct kdump_decompress *u)
{
	const struct codec *codec;

	for (size_t i = 0; (codec = codec_at(i)); i++) {
		if (u->state[i])
			codec->decompress_close(u->state[i]);
	}
}

static struct gdump_error *kdump_decompress_page(struct kdump_decompress *u,
						 const struct kdump_desc *d, void *dst, size_t len,
						 const void *src)
{
	const struct codec *codec;
	size_t i = 0;

	if (!d->flags) {
		memcpy(dst, src, len);
		return NULL;
	}
	while ((codec = codec_at(i)) && codec->kdump_flag != d->flags)
		i++;
	if (!codec || !codec->decompress)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "it is compressed with %s, which this build does not have",
				 codec ? codec->name : "an unknown codec");
	if (!u->state[i])
		u->state[i] = codec->decompress_open();
	if (!u->state[i])
		return error_nomem();
	if (!codec->decompress(u->state[i], dst, len, src, d->size))
		return error_new(GDUMP_ERR_CORRUPT,
				 "the %u bytes at offset 0x%" PRIx64 " do not decompress to a page with %s",
				 d->size, d->off, codec->name);
	return NULL;
}

/* How many pages, from the first on, have their data back to back; @len: of it */
static size_t kdump_contiguous(const struct kdump_desc *d, size_t num, size_t *len)
{
	size_t n = 1;

	*len = d[0].size;
	while (n < num && d[n].off == d[0].off + *len && *len + d[n].size <= READ_AHEAD) {
		*len += d[n].size;
		n++;
	}
	return n;
}

/* Read and decompress @num whole blocks, all in one part, into @buf. */
static struct gdump_error *kdump_read_pages(struct kdump_source *k, uint64_t pfn, size_t num,
					    unsigned char *buf)
{
	const uint32_t bs = k->header.block_size;
	const struct kdump_part *part = kdump_part_of(k, pfn);
	__attribute__((__cleanup__(kdump_decompress_cleanup))) struct kdump_decompress u = { 0 };
	CLEANUP_FREE struct kdump_desc *d = malloc(num * sizeof(*d));
	CLEANUP_FREE unsigned char *data = NULL;
	struct gdump_error *err;
	size_t room = 0;

	if (!d)
		return error_nomem();
	err = kdump_good_descs(k, part, pfn, num, d);
	for (size_t i = 0, n, len; !err && i < num; i += n) {
		if (kdump_is_shared_zero(k, part, &d[i])) {
			n = 1;
			memset(buf + i * bs, 0, bs);
			continue;
		}
		n = kdump_contiguous(d + i, num - i, &len);
		if (len > room) {
			free(data);
			data = malloc(len);
			room = data ? len : 0;
			if (!data)
				return error_nomem();
		}
		err = bytes_read_data(part->in, d[i].off, data, len);
		for (size_t j = 0; !err && j < n; j++) {
			err = kdump_decompress_page(&u, &d[i + j], buf + (i + j) * bs, bs,
					  data + (d[i + j].off - d[i].off));
			err = kdump_page_error(err, pfn + i + j);
		}
	}
	return err;
}

/* Fail unless the pages, back to back in @data, can be decompressed. */
static struct gdump_error *kdump_check_compressed(struct kdump_source *k,
						  struct kdump_decompress *u,
						  const struct kdump_desc *d, size_t num,
						  const unsigned char *data)
{
	CLEANUP_FREE unsigned char *page = malloc(k->header.block_size);
	struct gdump_error *err = page ? NULL : error_nomem();

	for (size_t i = 0; !err && i < num; data += d[i++].size)
		err = kdump_decompress_page(u, &d[i], page, k->header.block_size, data);
	return err;
}

/* Copy the compressed data of pages, all in one part, to *@at, which moves past it. */
static struct gdump_error *kdump_take_pages(struct kdump_source *k, const struct kdump_part *part,
					    const struct kdump_desc *d, size_t num,
					    unsigned char **at, struct stored_page *ret)
{
	/* Verify each page of a plain file.  Flattened or split input is only rearranged,
	 * without decompressing anything.
	 */
	const bool check = !k->in->kind[0] && k->num_parts == 1;
	__attribute__((__cleanup__(kdump_decompress_cleanup))) struct kdump_decompress u = { 0 };
	struct gdump_error *err = NULL;

	for (size_t i = 0, n, len; !err && i < num; i += n) {
		n = 1;
		ret[i] = (struct stored_page){ 0 };
		if (kdump_is_shared_zero(k, part, &d[i]))
			continue;
		n = kdump_contiguous(d + i, num - i, &len);
		for (size_t j = i; j < i + n; j++)
			ret[j] = (struct stored_page){ d[j].size, d[j].flags };
		err = bytes_read_data(part->in, d[i].off, *at, len);
		if (!err && check)
			err = kdump_check_compressed(k, &u, d + i, n, *at);
		*at += len;
	}
	return err;
}

/* kdump_stored() for pages that are all in one part; *@at moves past their data. */
static bool kdump_stored_in_part(struct kdump_source *k, uint64_t pfn, size_t num, uint32_t flag,
				 unsigned char **at, struct stored_page *ret)
{
	const struct kdump_part *part = kdump_part_of(k, pfn);
	CLEANUP_FREE struct kdump_desc *d = malloc(num * sizeof(*d));
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (!d)
		return false;
	err = kdump_good_descs(k, part, pfn, num, d);
	if (err)
		return false;
	for (size_t i = 0; i < num; i++) {
		if (d[i].flags && d[i].flags != flag)
			return false;
	}
	err = kdump_take_pages(k, part, d, num, at, ret);
	return !err;
}

bool kdump_stored(struct source *s, uint64_t pfn, size_t num, uint32_t flag, void *buf,
		  struct stored_page *ret)
{
	struct kdump_source *k = (struct kdump_source *)s;
	unsigned char *at = buf;

	/* the blocks of the file are not the pages of the kernel */
	if (s->image.page_size != k->header.block_size)
		return false;
	for (size_t done = 0, some; done < num; done += some) {
		some = kdump_count_there(k, pfn + done, num - done);
		if (!some || !kdump_stored_in_part(k, pfn + done, some, flag, &at, ret + done))
			return false;
	}
	return true;
}

/* Bytes within one block */
static struct gdump_error *kdump_read_in_page(struct kdump_source *k, uint64_t paddr, void *buf,
					      size_t len)
{
	const uint32_t bs = k->header.block_size;
	CLEANUP_FREE unsigned char *page = malloc(bs);
	struct gdump_error *err;

	if (!page)
		return error_nomem();
	err = kdump_read_pages(k, paddr / bs, 1, page);
	if (!err)
		memcpy(buf, page + paddr % bs, len);
	return err;
}

/* Whether @block is not in the file, but another block of the same page is: then the page
 * counts as present, and its missing blocks read as zero.
 */
static bool kdump_is_gap(const struct kdump_source *k, uint64_t block)
{
	const uint64_t per_page = MAX(k->source.image.page_size / k->header.block_size, 1);
	const uint64_t first = round_down(block, per_page);
	bool some = false;

	for (uint64_t i = 0; per_page > 1 && i < per_page; i++)
		some |= kdump_has(k, first + i);
	return some && !kdump_has(k, block);
}

struct gdump_error *kdump_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct kdump_source *k = (struct kdump_source *)s;
	const uint32_t bs = k->header.block_size;
	unsigned char *p = buf;

	while (len) {
		const uint64_t block = paddr / bs;
		const size_t part = (size_t)MIN(len, bs - paddr % bs);
		struct gdump_error *err = NULL;
		size_t n = 0;

		if (paddr % bs == 0)
			n = kdump_count_there(k, block, len / bs);
		if (n)
			err = kdump_read_pages(k, block, n, p);
		else if (kdump_has(k, block))
			err = kdump_read_in_page(k, paddr, p, part);
		else if (kdump_is_gap(k, block))
			memset(p, 0, part);
		else
			err = error_new(GDUMP_ERR_NODATA,
					"page 0x%" PRIx64 " was omitted from the dump",
					block);
		if (err)
			return err;
		n = n ? n * bs : part;
		p += n, paddr += n, len -= n;
	}
	return NULL;
}

/* The states of @num blocks from @block on. */
static struct gdump_error *kdump_scan_blocks(struct kdump_source *k, uint64_t block, size_t num,
					     unsigned char *state, bool holes)
{
	const bool incomplete = k->source.image.incomplete;
	struct kdump_desc d[SCAN_BLOCKS];

	for (size_t i = 0, n; i < num; i += n) {
		const struct kdump_part *part = kdump_part_of(k, block + i);
		struct gdump_error *err;

		n = 1;
		state[i] = kdump_has(k, block + i) ? PAGE_THERE : PAGE_ABSENT;
		if (state[i] == PAGE_ABSENT || !(holes || incomplete))
			continue;
		n = kdump_count_there(k, block + i, MIN(num - i, SCAN_BLOCKS));
		err = kdump_read_descs(k, part, block + i, n, d);
		if (err && incomplete && n > 1) {
			/* the file ends between these descriptors */
			gdump_error_destroy(err);
			n = 1;
			err = kdump_read_descs(k, part, block + i, n, d);
		}
		if (err && !incomplete)
			return err;
		for (size_t j = 0; j < n; j++) {
			if (incomplete && (err || kdump_is_lost(part, &d[j])))
				state[i + j] = PAGE_ABSENT;
			else
				state[i + j] = kdump_is_shared_zero(k, part, &d[j]) ? PAGE_HOLE :
										      PAGE_THERE;
		}
		gdump_error_destroy(err);
	}
	return NULL;
}

/* The state of a page of several blocks: absent, or a hole, if all of them are */
static unsigned char kdump_join_states(const unsigned char *state, size_t num)
{
	for (size_t i = 1; i < num; i++) {
		if (state[i] != state[0])
			return PAGE_THERE;
	}
	return state[0];
}

/* The kernel chooses the size of pages, and the writer of the dump that of blocks.  Both are
 * powers of two, and either may be the larger one.
 */
struct gdump_error *kdump_scan(struct source *s, uint64_t pfn, size_t num,
			       unsigned char *state, bool holes)
{
	struct kdump_source *k = (struct kdump_source *)s;
	const uint32_t bs = k->header.block_size, page_size = s->image.page_size;
	const size_t per_page = MAX(page_size / bs, 1), per_block = MAX(bs / page_size, 1);
	unsigned char blocks[KDUMP_MAX_BLOCK / KDUMP_MIN_BLOCK];
	struct gdump_error *err = NULL;

	if (bs == page_size)
		return kdump_scan_blocks(k, pfn, num, state, holes);
	for (size_t i = 0, n; !err && i < num; i += n) {
		n = MIN(num - i, per_block - (pfn + i) % per_block);
		err = kdump_scan_blocks(k, (pfn + i) * per_page / per_block, per_page, blocks,
					holes);
		if (!err)
			memset(state + i, kdump_join_states(blocks, per_page), n);
	}
	return err;
}

uint64_t kdump_gap(struct source *s, uint64_t pfn, uint64_t num, enum page_state *state)
{
	const struct kdump_source *k = (const struct kdump_source *)s;

	*state = PAGE_ABSENT;
	return k->header.block_size == s->image.page_size ? kdump_count_absent(k, pfn, num) : 0;
}
