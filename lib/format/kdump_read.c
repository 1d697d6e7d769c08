/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * format/kdump_read.c - kdump-compressed, header versions 1 to 6
 *
 * The layout is in kdump.h.  Nothing in the file says its word size or byte
 * order: both are found by what makes sense.  A page's descriptor is found by
 * counting the bits of bitmap 2 below it, with a counter for each 4096 pages.
 */
#include "kdump.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../codec/codec.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	RANK_PAGES = 4096,
	READ_AHEAD = 1 << 20,           /* most bytes of page data in one read  */
	MAX_NOTES = 1 << 28,
};

struct kdump_source {
	struct source source;
	struct bytes *in;
	struct kdump_header header;
	struct kdump_sub sub;
	struct kdump_layout layout;
	uint64_t max_mapnr;
	unsigned char *bitmap;          /* 2: the page is in the file           */
	uint64_t *rank;                 /* pages in the file below i * RANK_PAGES */
	uint64_t num_pages;
	bool shared_zero;               /* the page at layout.data is all zero  */
};

struct desc {
	uint64_t off;
	uint32_t size, flags;
};

static bool kdump_probe(const unsigned char *head, size_t len)
{
	return len >= 8 && (!memcmp(head, "KDUMP   ", 8) || !memcmp(head, "DISKDUMP", 8));
}

static struct gdump_error *corrupt(const char *what, uint64_t value)
{
	return error_new(GDUMP_ERR_CORRUPT, "kdump header: %s (%llu)", what,
			 (unsigned long long)value);
}

static void get_main(struct cursor *c, struct kdump_header *h)
{
	cursor_take(c, 8);
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

static bool main_makes_sense(const struct kdump_header *h)
{
	return h->version >= 1 && h->version <= 64 && is_power_of_2(h->block_size) &&
	       h->block_size >= KDUMP_MIN_BLOCK && h->block_size <= KDUMP_MAX_BLOCK &&
	       h->sub_hdr_size >= 1 && h->sub_hdr_size < 1 << 20 && h->bitmap_blocks >= 1;
}

static struct gdump_error *read_main(struct bytes *in, struct kdump_header *ret)
{
	unsigned char buf[KDUMP_HEAD_SIZE];
	struct gdump_error *err = bytes_read(in, 0, buf, sizeof(buf));

	if (err)
		return error_prefix(err, "kdump header");
	for (int i = 0; i < 4; i++) {
		const bool big = i & 1, is64 = !(i & 2);
		struct kdump_header h = { .big = big, .is64 = is64 };
		struct cursor c = cursor_init(buf, sizeof(buf), big, is64);

		get_main(&c, &h);
		if (main_makes_sense(&h)) {
			*ret = h;
			return NULL;
		}
	}
	return error_new(GDUMP_ERR_CORRUPT,
			 "kdump header: block size, sub header size and bitmap size make no sense in any byte order and word size");
}

static void get_sub(struct cursor *c, struct kdump_sub *s, const struct kdump_header *h)
{
	const uint32_t v = h->version;

	s->phys_base = get_word(c);
	s->dump_level = v >= 1 ? get_u32(c) : 0;
	s->split = v >= 2 ? get_u32(c) : 0;
	s->start_pfn = v >= 2 ? get_word(c) : 0;
	s->end_pfn = v >= 2 ? get_word(c) : 0;
	s->off_vmcoreinfo = v >= 3 ? get_u64(c) : 0;
	s->size_vmcoreinfo = v >= 3 ? get_word(c) : 0;
	s->off_note = v >= 4 ? get_u64(c) : 0;
	s->size_note = v >= 4 ? get_word(c) : 0;
	s->off_eraseinfo = v >= 5 ? get_u64(c) : 0;
	s->size_eraseinfo = v >= 5 ? get_word(c) : 0;
	if (v >= 6) {
		s->start_pfn = get_u64(c);
		s->end_pfn = get_u64(c);
		s->max_mapnr = get_u64(c);
	} else {
		s->max_mapnr = h->max_mapnr;
	}
}

static struct gdump_error *read_sub(struct kdump_source *k)
{
	const struct kdump_header *h = &k->header;
	unsigned char buf[KDUMP_SUB_SIZE];
	struct gdump_error *err = bytes_read(k->in, h->block_size, buf, sizeof(buf));
	struct cursor c = cursor_init(buf, sizeof(buf), h->big, h->is64);

	if (err)
		return error_prefix(err, "kdump sub header");
	get_sub(&c, &k->sub, h);
	k->max_mapnr = k->sub.max_mapnr;
	k->layout = kdump_layout(h, 0);
	if (!k->max_mapnr)
		return corrupt("no pages: max_mapnr is", k->max_mapnr);
	if (!range_fits(k->layout.desc, 0, k->in->size))
		return corrupt("the bitmaps are past the end of the file: blocks",
			       h->bitmap_blocks);
	if (div_up(k->max_mapnr, 8) > k->layout.bitmap_size)
		return corrupt("the bitmaps are too small for max_mapnr", k->max_mapnr);
	if (k->sub.split)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "is one part of a split dump; put the parts together with makedumpfile --reassemble");
	return NULL;
}

static struct gdump_error *read_area(struct kdump_source *k, uint64_t off, uint64_t size,
				     unsigned char **ret)
{
	CLEANUP_FREE unsigned char *buf = NULL;
	struct gdump_error *err;

	if (size > MAX_NOTES)
		return error_new(GDUMP_ERR_CORRUPT, "claims %llu bytes",
				 (unsigned long long)size);
	buf = malloc(size + 1);
	if (!buf)
		return error_nomem();
	err = bytes_read(k->in, off, buf, size);
	if (err)
		return err;
	*ret = TAKE_PTR(buf);
	return NULL;
}

static bool has_note(const struct image *image, const char *name)
{
	for (size_t i = 0; i < image->num_notes; i++) {
		if (!strcmp(image->notes[i].name, name))
			return true;
	}
	return false;
}

static struct gdump_error *read_notes(struct kdump_source *k)
{
	struct image *image = &k->source.image;
	const struct kdump_sub *s = &k->sub;
	CLEANUP_FREE unsigned char *notes = NULL, *text = NULL;
	struct gdump_error *err = NULL;
	size_t understood;

	if (s->size_note) {
		err = read_area(k, s->off_note, s->size_note, &notes);
		if (!err)
			err = image_parse_notes(image, notes, s->size_note, &understood);
		if (err)
			return error_prefix(err, "kdump notes");
	}
	/* older files have VMCOREINFO, but no notes */
	if (s->size_vmcoreinfo && !has_note(image, "VMCOREINFO")) {
		err = read_area(k, s->off_vmcoreinfo, s->size_vmcoreinfo, &text);
		if (!err)
			err = image_add_note(image, "VMCOREINFO", 0, text, s->size_vmcoreinfo);
	}
	return error_prefix(err, "kdump VMCOREINFO");
}

/* Turn runs of bits into ranges; the runs may go on in the next chunk. */
static struct gdump_error *add_runs(struct kdump_source *k, const unsigned char *bits,
				    uint64_t first, size_t num, uint64_t *run_start)
{
	const uint64_t bs = k->header.block_size;

	for (size_t i = 0; i < num; i++) {
		const bool set = bits[i / 8] >> i % 8 & 1;
		struct gdump_error *err;

		/* whole bytes that change nothing */
		if (i % 8 == 0 && i + 8 <= num &&
		    bits[i / 8] == (*run_start == UINT64_MAX ? 0x00 : 0xff)) {
			i += 7;
			continue;
		}
		if (set && *run_start == UINT64_MAX)
			*run_start = first + i;
		if (set || *run_start == UINT64_MAX)
			continue;
		err = image_add_range(&k->source.image, *run_start * bs,
				      (first + i - *run_start) * bs, GDUMP_RANGE_RAM);
		if (err)
			return err;
		*run_start = UINT64_MAX;
	}
	return NULL;
}

static struct gdump_error *read_ranges(struct kdump_source *k)
{
	enum { CHUNK = 65536 };
	CLEANUP_FREE unsigned char *buf = malloc(CHUNK);
	const uint64_t bs = k->header.block_size;
	uint64_t run_start = UINT64_MAX;
	struct gdump_error *err = NULL;

	if (!buf)
		return error_nomem();
	if (k->max_mapnr > UINT64_MAX / bs)
		return corrupt("memory ends past the end of all memory: max_mapnr is", k->max_mapnr);
	for (uint64_t pfn = 0; !err && pfn < k->max_mapnr; pfn += 8 * CHUNK) {
		uint64_t num = MIN(k->max_mapnr - pfn, 8 * CHUNK);

		err = bytes_read(k->in, k->layout.bitmap1 + pfn / 8, buf, (size_t)div_up(num, 8));
		if (!err)
			err = add_runs(k, buf, pfn, (size_t)num, &run_start);
	}
	if (!err && run_start != UINT64_MAX)
		err = image_add_range(&k->source.image, run_start * bs,
				      (k->max_mapnr - run_start) * bs, GDUMP_RANGE_RAM);
	return error_prefix(err, "kdump bitmap 1");
}

static uint64_t count_bits(const unsigned char *p, size_t len)
{
	uint64_t n = 0, word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		n += (unsigned int)__builtin_popcountll(word);
	}
	while (len--)
		n += (unsigned int)__builtin_popcount(*p++);
	return n;
}

static struct gdump_error *read_bitmap(struct kdump_source *k)
{
	const uint64_t num_ranks = div_up(k->max_mapnr, RANK_PAGES);
	const size_t size = (size_t)num_ranks * RANK_PAGES / 8;
	const size_t len = (size_t)div_up(k->max_mapnr, 8);
	struct gdump_error *err;

	k->bitmap = calloc(1, size);
	k->rank = calloc(num_ranks, sizeof(*k->rank));
	if (!k->bitmap || !k->rank)
		return error_nomem();
	err = bytes_read(k->in, k->layout.bitmap2, k->bitmap, len);
	if (err)
		return error_prefix(err, "kdump bitmap 2");
	if (k->max_mapnr % 8)
		k->bitmap[len - 1] &= (unsigned char)((1 << k->max_mapnr % 8) - 1);
	for (uint64_t i = 0; i < num_ranks; i++) {
		k->rank[i] = k->num_pages;
		k->num_pages += count_bits(k->bitmap + i * (RANK_PAGES / 8), RANK_PAGES / 8);
	}
	k->layout = kdump_layout(&k->header, k->num_pages);
	if (!range_fits(k->layout.data, 0, k->in->size))
		k->source.image.incomplete = true;
	return NULL;
}

static bool in_file(const struct kdump_source *k, uint64_t pfn)
{
	return pfn < k->max_mapnr && k->bitmap[pfn / 8] >> pfn % 8 & 1;
}

/* The place of @pfn's descriptor in their array. */
static uint64_t desc_index(const struct kdump_source *k, uint64_t pfn)
{
	const uint64_t group = pfn / RANK_PAGES * RANK_PAGES;
	uint64_t n = k->rank[pfn / RANK_PAGES] +
		     count_bits(k->bitmap + group / 8, (size_t)(pfn - group) / 8);

	if (pfn % 8)
		n += (unsigned int)__builtin_popcount(k->bitmap[pfn / 8] & ((1u << pfn % 8) - 1));
	return n;
}

static struct gdump_error *page_error(struct gdump_error *err, uint64_t pfn)
{
	return error_prefix(err, "page 0x%llx", (unsigned long long)pfn);
}

/* Descriptors of @num pages that are all in the file, from @pfn on. */
static struct gdump_error *read_descs(struct kdump_source *k, uint64_t pfn, size_t num,
				      struct desc *ret)
{
	unsigned char buf[64 * KDUMP_DESC_SIZE];
	uint64_t off = k->layout.desc + desc_index(k, pfn) * KDUMP_DESC_SIZE;

	for (size_t i = 0, n; i < num; i += n, off += n * KDUMP_DESC_SIZE) {
		struct gdump_error *err;
		struct cursor c;

		n = MIN(num - i, 64);
		err = bytes_read(k->in, off, buf, n * KDUMP_DESC_SIZE);
		if (err)
			return page_error(error_prefix(err, "descriptor"), pfn + i);
		c = cursor_init(buf, sizeof(buf), k->header.big, true);
		for (size_t j = 0; j < n; j++) {
			ret[i + j].off = get_u64(&c);
			ret[i + j].size = get_u32(&c);
			ret[i + j].flags = get_u32(&c);
			get_u64(&c);
		}
	}
	return NULL;
}

static struct gdump_error *check_desc(const struct kdump_source *k, const struct desc *d)
{
	const uint32_t bs = k->header.block_size, packed = d->flags & KDUMP_PACKED_MASK;

	if (!d->off)
		return error_new(GDUMP_ERR_NODATA, "was lost when the dump was cut short");
	if (d->flags & ~(uint32_t)KDUMP_PACKED_MASK || (packed && !is_power_of_2(packed)))
		return error_new(GDUMP_ERR_CORRUPT, "descriptor: unknown flags 0x%x", d->flags);
	if (d->size > bs || (!packed && d->size != bs) || !d->size)
		return error_new(GDUMP_ERR_CORRUPT, "descriptor: %u bytes for a page of %u",
				 d->size, bs);
	if (d->off < k->layout.data || !range_fits(d->off, d->size, k->in->size))
		return error_new(GDUMP_ERR_CORRUPT,
				 "descriptor: %u bytes at offset 0x%llx are outside of the page data",
				 d->size, (unsigned long long)d->off);
	return NULL;
}

/* What one call of kdump_read() needs to unpack. */
struct unpack {
	void *state[NUM_CODECS];
};

static void unpack_cleanup(struct unpack *u)
{
	const struct codec *codec;

	for (size_t i = 0; (codec = codec_at(i)); i++) {
		if (u->state[i])
			codec->unpack_close(u->state[i]);
	}
}

static struct gdump_error *unpack_page(struct unpack *u, const struct desc *d, void *dst,
				       size_t len, const void *src)
{
	const struct codec *codec;
	size_t i = 0;

	if (!d->flags) {
		memcpy(dst, src, len);
		return NULL;
	}
	while ((codec = codec_at(i)) && codec->kdump_flag != d->flags)
		i++;
	if (!codec || !codec->unpack)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "is packed with %s, which this build does not have",
				 codec ? codec->name : "an unknown codec");
	if (!u->state[i])
		u->state[i] = codec->unpack_open();
	if (!u->state[i])
		return error_nomem();
	if (!codec->unpack(u->state[i], dst, len, src, d->size))
		return error_new(GDUMP_ERR_CORRUPT,
				 "the %u bytes at offset 0x%llx do not unpack to a page with %s",
				 d->size, (unsigned long long)d->off, codec->name);
	return NULL;
}

/* How many of the pages have their data back to back, from the first on. */
static size_t contiguous(const struct desc *d, size_t num, size_t *len)
{
	size_t n = 1;

	*len = d[0].size;
	while (n < num && d[n].off == d[0].off + *len && *len + d[n].size <= READ_AHEAD) {
		*len += d[n].size;
		n++;
	}
	return n;
}

static bool is_shared_zero(const struct kdump_source *k, const struct desc *d)
{
	return k->shared_zero && d->off == k->layout.data && !d->flags;
}

/* Read and unpack @num whole pages, all in the file, to @buf. */
static struct gdump_error *read_pages(struct kdump_source *k, uint64_t pfn, size_t num,
				      unsigned char *buf)
{
	const uint32_t bs = k->header.block_size;
	__attribute__((__cleanup__(unpack_cleanup))) struct unpack u = { 0 };
	CLEANUP_FREE struct desc *d = malloc(num * sizeof(*d));
	CLEANUP_FREE unsigned char *data = NULL;
	struct gdump_error *err;
	size_t room = 0;

	if (!d)
		return error_nomem();
	err = read_descs(k, pfn, num, d);
	for (size_t i = 0; !err && i < num; i++) {
		err = check_desc(k, &d[i]);
		if (err)
			return page_error(err, pfn + i);
	}
	for (size_t i = 0, n, len; !err && i < num; i += n) {
		if (is_shared_zero(k, &d[i])) {
			n = 1;
			memset(buf + i * bs, 0, bs);
			continue;
		}
		n = contiguous(d + i, num - i, &len);
		if (len > room) {
			free(data);
			data = malloc(len);
			room = data ? len : 0;
			if (!data)
				return error_nomem();
		}
		err = bytes_read(k->in, d[i].off, data, len);
		for (size_t j = 0; !err && j < n; j++) {
			err = unpack_page(&u, &d[i + j], buf + (i + j) * bs, bs,
					  data + (d[i + j].off - d[i].off));
			err = page_error(err, pfn + i + j);
		}
	}
	return err;
}

/* A piece of one page. */
static struct gdump_error *read_part(struct kdump_source *k, uint64_t paddr, void *buf, size_t len)
{
	const uint32_t bs = k->header.block_size;
	CLEANUP_FREE unsigned char *page = malloc(bs);
	struct gdump_error *err;

	if (!page)
		return error_nomem();
	err = read_pages(k, paddr / bs, 1, page);
	if (!err)
		memcpy(buf, page + paddr % bs, len);
	return err;
}

/* Whether @block is not in the file, but another one of its page is: then the
 * page counts as there, and what is missing of it as zero.
 */
static bool is_gap(const struct kdump_source *k, uint64_t block)
{
	const uint64_t per_page = MAX(k->source.image.page_size / k->header.block_size, 1);
	const uint64_t first = round_down(block, per_page);
	bool some = false;

	for (uint64_t i = 0; per_page > 1 && i < per_page; i++)
		some |= in_file(k, first + i);
	return some && !in_file(k, block);
}

static struct gdump_error *kdump_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct kdump_source *k = (struct kdump_source *)s;
	const uint32_t bs = k->header.block_size;
	unsigned char *p = buf;

	while (len) {
		const uint64_t block = paddr / bs;
		const size_t part = (size_t)MIN(len, bs - paddr % bs);
		struct gdump_error *err = NULL;
		size_t n = 0;

		while (paddr % bs == 0 && (n + 1) * (size_t)bs <= len && in_file(k, block + n))
			n++;
		if (n)
			err = read_pages(k, block, n, p);
		else if (in_file(k, block))
			err = read_part(k, paddr, p, part);
		else if (is_gap(k, block))
			memset(p, 0, part);
		else
			err = error_new(GDUMP_ERR_NODATA, "page 0x%llx was left out of the dump",
					(unsigned long long)block);
		if (err)
			return err;
		n = n ? n * bs : part;
		p += n, paddr += n, len -= n;
	}
	return NULL;
}

/* The states of @num blocks from @block on. */
static struct gdump_error *scan_blocks(struct kdump_source *k, uint64_t block, size_t num,
				       unsigned char *state, bool holes)
{
	const bool incomplete = k->source.image.incomplete;
	struct desc d[64];

	for (size_t i = 0, n; i < num; i += n) {
		struct gdump_error *err;

		n = 1;
		state[i] = in_file(k, block + i) ? PAGE_THERE : PAGE_ABSENT;
		if (state[i] == PAGE_ABSENT || !(holes || incomplete))
			continue;
		while (n < ARRAY_SIZE(d) && i + n < num && in_file(k, block + i + n))
			n++;
		err = read_descs(k, block + i, n, d);
		if (err && !incomplete)
			return err;
		for (size_t j = 0; j < n; j++) {
			state[i + j] = is_shared_zero(k, &d[j]) ? PAGE_HOLE : PAGE_THERE;
			if (err || (!d[j].off && incomplete))
				state[i + j] = PAGE_ABSENT;
		}
		gdump_error_destroy(err);
	}
	return NULL;
}

/* A page of several blocks: absent or a hole when all of them are. */
static unsigned char join_states(const unsigned char *state, size_t num)
{
	for (size_t i = 1; i < num; i++) {
		if (state[i] != state[0])
			return PAGE_THERE;
	}
	return state[0];
}

/* Pages and blocks may have different sizes: the kernel chooses one, the
 * writer of the dump the other.  Both are powers of two.
 */
static struct gdump_error *kdump_scan(struct source *s, uint64_t pfn, size_t num,
				      unsigned char *state, bool holes)
{
	struct kdump_source *k = (struct kdump_source *)s;
	const uint32_t bs = k->header.block_size, page_size = s->image.page_size;
	const size_t per_page = MAX(page_size / bs, 1), per_block = MAX(bs / page_size, 1);
	unsigned char blocks[KDUMP_MAX_BLOCK / KDUMP_MIN_BLOCK];
	struct gdump_error *err = NULL;

	if (bs == page_size)
		return scan_blocks(k, pfn, num, state, holes);
	for (size_t i = 0, n; !err && i < num; i += n) {
		n = MIN(num - i, per_block - (pfn + i) % per_block);
		err = scan_blocks(k, (pfn + i) * per_page / per_block, per_page, blocks, holes);
		if (!err)
			memset(state + i, join_states(blocks, per_page), n);
	}
	return err;
}

static void kdump_source_close(struct source *s)
{
	struct kdump_source *k = (struct kdump_source *)s;

	bytes_close(k->in);
	free(k->bitmap);
	free(k->rank);
	free(k);
}

static const struct source_ops kdump_source_ops = {
	.name = "kdump",
	.has_absent = true,
	.read = kdump_read,
	.scan = kdump_scan,
	.close = kdump_source_close,
};

static void find_shared_zero(struct kdump_source *k)
{
	const uint32_t bs = k->header.block_size;
	CLEANUP_FREE unsigned char *page = malloc(bs);
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (!page || !(k->sub.dump_level & GDUMP_DROP_ZERO))
		return;
	err = bytes_read(k->in, k->layout.data, page, bs);
	k->shared_zero = !err && is_zero(page, bs);
}

/* The ELF machine behind utsname.machine; QEMU writes some names of its own. */
static uint16_t find_machine(const struct kdump_header *h)
{
	const struct arch *arch;

	if (!strncmp(h->machine, "i686", 4) || !strncmp(h->machine, "i386", 4))
		return arch_i386.machine;
	if (!strncmp(h->machine, "S390X", 5))
		return arch_s390x.machine;
	if (!strncmp(h->machine, "ppc64", 5))
		return arch_ppc64.machine;
	for (size_t i = 0; (arch = arch_at(i)); i++) {
		if (!strncmp(h->machine, arch->name, strlen(arch->name)))
			return arch->machine;
	}
	return 0;
}

static const char *codec_name(uint32_t status)
{
	const struct codec *codec = codec_by_kdump_flag(status & KDUMP_PACKED_MASK);

	return codec ? codec->name : "not packed";
}

/* What the headers tell of the machine; seal() adds what VMCOREINFO knows. */
static void fill_image(struct kdump_source *k)
{
	struct image *image = &k->source.image;
	const struct kdump_header *h = &k->header;

	image->big = h->big;
	image->is64 = h->is64;
	image->machine = find_machine(h);
	image->incomplete |= (h->status & KDUMP_INCOMPLETE) != 0;
	image->dump_level = k->sub.dump_level;
	image->phys_base = k->sub.phys_base;
	image->num_cpus = MIN(h->nr_cpus, 65536);
	if (!strcmp(h->sysname, "Linux") && !strchr(h->uts_version, '(')) {
		memcpy(image->release, h->release, UTS_LEN - 1);
		memcpy(image->version, h->uts_version, UTS_LEN - 1);
		memcpy(image->nodename, h->nodename, UTS_LEN - 1);
	}
	snprintf(image->detail, sizeof(image->detail), "%skdump-compressed, version %u, %s",
		 k->in->kind, h->version, codec_name(h->status));
}

static bool fits_machine(const struct image *image, const struct arch *arch,
			 const struct gdump_note *n)
{
	return !strcmp(n->name, "CORE") && n->type == NT_PRSTATUS &&
	       n->size == arch->prstatus_size &&
	       !(image->big ? arch->only_little : arch->only_big);
}

/* When utsname tells nothing, the size of the register notes may. */
static void guess_machine(struct image *image)
{
	const struct arch *arch;

	for (size_t i = 0; !image->machine && (arch = arch_at(i)); i++) {
		for (size_t j = 0; j < image->num_notes && !image->machine; j++) {
			if (fits_machine(image, arch, &image->notes[j]))
				image->machine = arch->machine;
		}
	}
}

static void count_absent(struct kdump_source *k)
{
	struct image *image = &k->source.image;
	const uint64_t bs = k->header.block_size;
	uint64_t blocks = 0;

	for (size_t i = 0; i < image->num_ranges; i++)
		blocks += image->ranges[i].size / bs;
	blocks -= MIN(k->num_pages, blocks);
	image->num_absent = div_up(blocks * bs, image->page_size);
}

static struct gdump_error *read_all(struct kdump_source *k)
{
	struct gdump_error *err = read_main(k->in, &k->header);

	if (!err)
		err = read_sub(k);
	if (err)
		return err;
	fill_image(k);
	err = read_notes(k);
	if (!err)
		err = read_ranges(k);
	if (!err)
		err = read_bitmap(k);
	if (err)
		return err;
	guess_machine(&k->source.image);
	find_shared_zero(k);
	/* QEMU's blocks are of 64 KiB for aarch64 and ppc64, whatever the kernel
	 * has: what tells its page size comes first
	 */
	k->source.image.page_size = k->header.block_size;
	err = image_seal(&k->source.image);
	count_absent(k);
	return err;
}

static struct gdump_error *kdump_open(struct bytes *in, struct source **ret)
{
	struct kdump_source *k = calloc(1, sizeof(*k));
	CLEANUP_SOURCE struct source *guard = NULL;
	struct gdump_error *err;

	if (!k) {
		bytes_close(in);
		return error_nomem();
	}
	guard = &k->source;
	source_init(&k->source, &kdump_source_ops);
	k->in = in;
	k->source.image.incomplete = in->truncated;
	err = read_all(k);
	if (err)
		return err;
	guard = NULL;
	*ret = &k->source;
	return NULL;
}

const struct format format_kdump = {
	.name = "kdump",
	.summary = "kdump-compressed, each page packed by itself; what crash and drgn like best",
	.seeks = true,
	.packs = true,
	.drops_zero = true,
	.trims_devices = true,
	.codec = "zlib",
	.probe = kdump_probe,
	.open = kdump_open,
	.create = kdump_create,
};
