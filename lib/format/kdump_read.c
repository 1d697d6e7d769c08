/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * format/kdump_read.c - kdump-compressed, header versions 1 to 6
 *
 * The layout is in kdump.h.  A page's descriptor is found by counting the bits
 * of bitmap 2 below it, with a counter for each 4096 pages.
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
	struct kdump_part *parts;       /* ascending                            */
	size_t num_parts;
	struct bytes *in;               /* of the first part                    */
	struct kdump_header header;
	struct kdump_sub sub;
	struct kdump_layout layout;
	uint64_t max_mapnr;
	unsigned char *bitmap;          /* 2: the page is in the file           */
	uint64_t *rank;                 /* pages in the file below i * RANK_PAGES */
	uint64_t num_pages;
};

struct desc {
	uint64_t off;
	uint32_t size, flags;
};

static bool kdump_probe(const unsigned char *head, size_t len)
{
	return len >= 8 && (!memcmp(head, "KDUMP   ", 8) || !memcmp(head, "DISKDUMP", 8));
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

/* A text that has a place of its own becomes a note, if it is not one yet. */
static struct gdump_error *read_text(struct kdump_source *k, const char *name, uint64_t off,
				     uint64_t size)
{
	struct image *image = &k->source.image;
	CLEANUP_FREE unsigned char *text = NULL;
	struct gdump_error *err;

	if (!size || image_note(image, name))
		return NULL;
	err = read_area(k, off, size, &text);
	if (!err)
		err = image_add_note(image, name, 0, text, size);
	return error_prefix(err, "kdump %s", name);
}

static struct gdump_error *read_notes(struct kdump_source *k)
{
	struct image *image = &k->source.image;
	const struct kdump_sub *s = &k->sub;
	CLEANUP_FREE unsigned char *notes = NULL;
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
	err = read_text(k, "VMCOREINFO", s->off_vmcoreinfo, s->size_vmcoreinfo);
	return err ? err : read_text(k, "ERASEINFO", s->off_eraseinfo, s->size_eraseinfo);
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
	k->layout = kdump_layout(&k->header, k->max_mapnr, k->num_pages);
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

static const struct kdump_part *part_of(const struct kdump_source *k, uint64_t pfn)
{
	size_t i = 0;

	while (i + 1 < k->num_parts && pfn >= k->parts[i].end)
		i++;
	return &k->parts[i];
}

/* How many pages from @pfn on, at most @max, are in the dump, and in one part. */
static size_t count_there(const struct kdump_source *k, uint64_t pfn, size_t max)
{
	const uint64_t end = part_of(k, pfn)->end;
	size_t n = 0;

	while (n < max && pfn + n < end && in_file(k, pfn + n))
		n++;
	return n;
}

/* Descriptors of @num pages that are all in @part, from @pfn on. */
static struct gdump_error *read_descs(struct kdump_source *k, const struct kdump_part *part,
				      uint64_t pfn, size_t num, struct desc *ret)
{
	unsigned char buf[64 * KDUMP_DESC_SIZE];
	uint64_t off = k->layout.desc + (desc_index(k, pfn) - part->rank) * KDUMP_DESC_SIZE;

	for (size_t i = 0, n; i < num; i += n, off += n * KDUMP_DESC_SIZE) {
		struct gdump_error *err;
		struct cursor c;

		n = MIN(num - i, 64);
		err = bytes_read(part->in, off, buf, n * KDUMP_DESC_SIZE);
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

static struct gdump_error *check_desc(const struct kdump_source *k,
				      const struct kdump_part *part, const struct desc *d)
{
	const uint32_t bs = k->header.block_size, packed = d->flags & KDUMP_PACKED_MASK;

	if (!d->off)
		return error_new(GDUMP_ERR_NODATA, "was lost when the dump was cut short");
	if (d->flags & ~(uint32_t)KDUMP_PACKED_MASK || (packed && !is_power_of_2(packed)))
		return error_new(GDUMP_ERR_CORRUPT, "descriptor: unknown flags 0x%x", d->flags);
	if (d->size > bs || (!packed && d->size != bs) || !d->size)
		return error_new(GDUMP_ERR_CORRUPT, "descriptor: %u bytes for a page of %u",
				 d->size, bs);
	if (d->off < k->layout.data || !range_fits(d->off, d->size, part->in->size))
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

static bool is_shared_zero(const struct kdump_source *k, const struct kdump_part *part,
			   const struct desc *d)
{
	return part->shared_zero && d->off == k->layout.data && !d->flags;
}

/* Descriptors of @num pages that are all in one part, checked. */
static struct gdump_error *read_good_descs(struct kdump_source *k, const struct kdump_part *part,
					   uint64_t pfn, size_t num, struct desc *ret)
{
	struct gdump_error *err = read_descs(k, part, pfn, num, ret);

	for (size_t i = 0; !err && i < num; i++)
		err = page_error(check_desc(k, part, &ret[i]), pfn + i);
	return err;
}

/* Read and unpack @num whole pages, all in one part, to @buf. */
static struct gdump_error *read_pages(struct kdump_source *k, uint64_t pfn, size_t num,
				      unsigned char *buf)
{
	const uint32_t bs = k->header.block_size;
	const struct kdump_part *part = part_of(k, pfn);
	__attribute__((__cleanup__(unpack_cleanup))) struct unpack u = { 0 };
	CLEANUP_FREE struct desc *d = malloc(num * sizeof(*d));
	CLEANUP_FREE unsigned char *data = NULL;
	struct gdump_error *err;
	size_t room = 0;

	if (!d)
		return error_nomem();
	err = read_good_descs(k, part, pfn, num, d);
	for (size_t i = 0, n, len; !err && i < num; i += n) {
		if (is_shared_zero(k, part, &d[i])) {
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
		err = bytes_read(part->in, d[i].off, data, len);
		for (size_t j = 0; !err && j < n; j++) {
			err = unpack_page(&u, &d[i + j], buf + (i + j) * bs, bs,
					  data + (d[i + j].off - d[i].off));
			err = page_error(err, pfn + i + j);
		}
	}
	return err;
}

/* Blocks are pages here. */
static struct gdump_error *kdump_stored(struct source *s, uint64_t pfn, size_t num, void *buf,
					struct stored_page *ret)
{
	struct kdump_source *k = (struct kdump_source *)s;
	CLEANUP_FREE struct desc *d = malloc(num * sizeof(*d));
	struct gdump_error *err = d ? NULL : error_nomem();
	unsigned char *p = buf;

	for (size_t done = 0, some; !err && done < num; done += some) {
		const struct kdump_part *part = part_of(k, pfn + done);

		some = count_there(k, pfn + done, num - done);
		if (!some)
			return error_new(GDUMP_ERR_NODATA, "page 0x%llx was left out of the dump",
					 (unsigned long long)(pfn + done));
		err = read_good_descs(k, part, pfn + done, some, d);
		for (size_t i = 0, n, len; !err && i < some; i += n) {
			struct stored_page *page = &ret[done + i];

			n = 1;
			*page = (struct stored_page){ 0 };
			if (is_shared_zero(k, part, &d[i]))
				continue;
			n = contiguous(d + i, some - i, &len);
			for (size_t j = 0; j < n; j++)
				page[j] = (struct stored_page){ d[i + j].size, d[i + j].flags };
			err = bytes_read(part->in, d[i].off, p, len);
			p += len;
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

		if (paddr % bs == 0)
			n = count_there(k, block, len / bs);
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
		const struct kdump_part *part = part_of(k, block + i);
		struct gdump_error *err;

		n = 1;
		state[i] = in_file(k, block + i) ? PAGE_THERE : PAGE_ABSENT;
		if (state[i] == PAGE_ABSENT || !(holes || incomplete))
			continue;
		n = count_there(k, block + i, MIN(num - i, ARRAY_SIZE(d)));
		err = read_descs(k, part, block + i, n, d);
		if (err && !incomplete)
			return err;
		for (size_t j = 0; j < n; j++) {
			state[i + j] = is_shared_zero(k, part, &d[j]) ? PAGE_HOLE : PAGE_THERE;
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

	for (size_t i = 0; i < k->num_parts; i++)
		bytes_close(k->parts[i].in);
	free(k->parts);
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

/* The same of a flattened file whose blocks are the guest's pages. */
static const struct source_ops kdump_page_ops = {
	.name = "kdump",
	.has_absent = true,
	.read = kdump_read,
	.stored = kdump_stored,
	.scan = kdump_scan,
	.close = kdump_source_close,
};

/* What is known of a part once bitmap 2 is. */
static void look_at_part(struct kdump_source *k, struct kdump_part *part)
{
	const uint32_t bs = k->header.block_size;
	CLEANUP_FREE unsigned char *page = malloc(bs);
	CLEANUP_ERROR struct gdump_error *err = NULL;

	part->rank = part->start < k->max_mapnr ? desc_index(k, part->start) : k->num_pages;
	if (!range_fits(k->layout.data, 0, part->in->size) || part->in->truncated)
		k->source.image.incomplete = true;
	if (!page || !(k->sub.dump_level & GDUMP_DROP_ZERO))
		return;
	err = bytes_read(part->in, k->layout.data, page, bs);
	part->shared_zero = !err && is_zero(page, bs);
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
	image->time = h->tv_sec;
	image->no_vmemmap = h->status & KDUMP_NO_VMEMMAP;
	if (!strcmp(h->sysname, "Linux") && !strchr(h->uts_version, '(')) {
		memcpy(image->release, h->release, UTS_LEN - 1);
		memcpy(image->version, h->uts_version, UTS_LEN - 1);
		memcpy(image->nodename, h->nodename, UTS_LEN - 1);
	}
	snprintf(image->detail, sizeof(image->detail), "%s%s, version %u, %s%s",
		 k->in->kind, h->diskdump ? "diskdump" : "kdump-compressed", h->version,
		 codec_name(h->status), k->num_parts > 1 ? ", in parts" : "");
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

/* Pages whose descriptors say that they were lost, or are lost themselves. */
static uint64_t count_lost(struct kdump_source *k)
{
	enum { DESCS = 4096 };
	CLEANUP_FREE unsigned char *buf = malloc(DESCS * KDUMP_DESC_SIZE);
	uint64_t lost = 0, n;

	for (uint64_t i = 0; buf && i < k->num_pages; i += n) {
		struct cursor c = cursor_init(buf, DESCS * KDUMP_DESC_SIZE, k->header.big, true);
		struct gdump_error *err;

		n = MIN(k->num_pages - i, DESCS);
		err = bytes_read(k->in, k->layout.desc + i * KDUMP_DESC_SIZE, buf,
				 (size_t)n * KDUMP_DESC_SIZE);
		if (err) {
			gdump_error_destroy(err);
			return lost + (k->num_pages - i);
		}
		for (uint64_t j = 0; j < n; j++) {
			lost += !get_u64(&c);
			cursor_take(&c, KDUMP_DESC_SIZE - 8);
		}
	}
	return lost;
}

static void count_absent(struct kdump_source *k)
{
	struct image *image = &k->source.image;
	const uint64_t bs = k->header.block_size;
	uint64_t blocks = 0;

	for (size_t i = 0; i < image->num_ranges; i++)
		blocks += image->ranges[i].size / bs;
	blocks -= MIN(k->num_pages, blocks);
	if (image->incomplete)
		blocks += count_lost(k);
	image->num_absent = div_up(blocks * bs, image->page_size);
}

static struct gdump_error *read_all(struct kdump_source *k)
{
	struct gdump_error *err = kdump_read_headers(k->in, &k->header, &k->sub);

	k->max_mapnr = k->sub.max_mapnr;
	if (!err)
		err = kdump_check_parts(k->parts, k->num_parts, &k->sub);
	if (err)
		return err;
	k->in = k->parts[0].in;
	k->layout = kdump_layout(&k->header, k->max_mapnr, 0);
	fill_image(k);
	err = read_notes(k);
	if (!err)
		err = read_ranges(k);
	if (!err)
		err = read_bitmap(k);
	if (err)
		return err;
	for (size_t i = 0; i < k->num_parts; i++)
		look_at_part(k, &k->parts[i]);
	guess_machine(&k->source.image);
	/* QEMU takes the 64-bit header for i386 too */
	if (k->source.image.machine)
		k->source.image.is64 = arch_by_machine(k->source.image.machine)->is64;
	/* QEMU's blocks are of 64 KiB for aarch64 and ppc64, whatever the kernel
	 * has: what tells its page size comes first
	 */
	k->source.image.page_size = k->header.block_size;
	err = image_seal(&k->source.image);
	count_absent(k);
	return err;
}

static struct gdump_error *kdump_open_parts(struct bytes *const *in, const char *const *names,
					    size_t num, struct source **ret)
{
	struct kdump_source *k = calloc(1, sizeof(*k));
	struct kdump_part *parts = calloc(num, sizeof(*parts));
	CLEANUP_SOURCE struct source *guard = NULL;
	struct gdump_error *err;

	if (!k || !parts) {
		for (size_t i = 0; i < num; i++)
			bytes_close(in[i]);
		free(parts);
		free(k);
		return error_nomem();
	}
	guard = &k->source;
	source_init(&k->source, &kdump_source_ops);
	k->parts = parts;
	k->num_parts = num;
	for (size_t i = 0; i < num; i++)
		parts[i] = (struct kdump_part){ .in = in[i], .name = names[i], .end = UINT64_MAX };
	k->in = in[0];
	err = read_all(k);
	if (err)
		return err;
	/* to put a flattened file in order is to copy it */
	if (k->in->kind[0] && k->source.image.page_size == k->header.block_size)
		k->source.ops = &kdump_page_ops;
	guard = NULL;
	*ret = &k->source;
	return NULL;
}

static struct gdump_error *kdump_open(struct bytes *in, struct source **ret)
{
	static const char *const no_name = "this file";

	return kdump_open_parts(&in, &no_name, 1, ret);
}

const struct format format_kdump = {
	.name = "kdump",
	.summary = "kdump-compressed, each page packed by itself; what crash and drgn like best",
	.seeks = true,
	.splits = true,
	.packs = true,
	.trims_devices = true,
	.codec = "zlib",
	.any_order = true,
	.probe = kdump_probe,
	.open = kdump_open,
	.open_parts = kdump_open_parts,
	.create = kdump_create,
};
