/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/hyperv.c - a saved state of Hyper-V (.vmrs), also those that OpenVMM dumps
 *
 * Memory is in blocks of 1 MiB, the keys RamBlock0, RamBlock1 and so on.  They are numbered without
 * gaps: keys RamMemoryBlock0 and so on say from which page of the blocks on which pages of the guest
 * they are.  So the number of a block is not its address.
 *
 * Facts: vmm_core/hyperv_dump of OpenVMM; vmrs.py of Volatility.
 */
#include "hyperv.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "format.h"
#include "layout_proof.h"

enum {
	SIGNATURE = 0x01282014, MAX_BLOCKS = 1 << 23, MAX_RANGES = 4096, RANGE_SIZE = 48,
	MAX_STATE = 256 << 20,
};

struct hyperv_range {
	uint64_t pages, first, pfn;     /* how many; of the blocks; of the guest */
};

struct hyperv_block {
	uint64_t off;
	uint32_t size;                  /* 0: there is none                     */
	uint32_t pages;                 /* that ranges have of it, from its beginning on */
};

struct hyperv {
	struct source source;
	struct bytes *in;
	struct hyperv_range *ranges;    /* by ->pfn, when it is open            */
	size_t num_ranges;
	struct hyperv_block *blocks;
	uint32_t num_blocks, blocks_room;
	struct hyperv_node saved, vm;
	bool has_saved, has_vm;
	uint64_t state_off, state_size;
};

static bool hyperv_probe(const unsigned char *head, size_t len)
{
	struct cursor c = cursor_init(head, len, false, true);

	return get_u32(&c) == SIGNATURE && !c.bad;
}

static struct gdump_error *hyperv_find_saved(void *arg, const struct hyperv_key *key)
{
	struct hyperv *h = arg;

	if (key->is_node && !strcmp(key->name, "savedstate")) {
		h->saved = key->node;
		h->has_saved = true;
	}
	return NULL;
}

static struct gdump_error *hyperv_find_state(void *arg, const struct hyperv_key *key)
{
	struct hyperv *h = arg;

	if (key->is_array && !strcmp(key->name, "partition_state")) {
		h->state_off = key->off;
		h->state_size = key->size;
	}
	return NULL;
}

/* The number after @prefix in a name; false: it has another form */
static bool hyperv_number(const char *name, const char *prefix, uint32_t *ret)
{
	const size_t len = strlen(prefix);
	uint32_t n = 0;

	if (strncmp(name, prefix, len) || !name[len] || (name[len] == '0' && name[len + 1]))
		return false;
	for (name += len; *name; name++) {
		if (*name < '0' || *name > '9' || n > UINT32_MAX / 10 - 1)
			return false;
		n = 10 * n + (uint32_t)(*name - '0');
	}
	*ret = n;
	return true;
}

static struct gdump_error *hyperv_take_block(struct hyperv *h, uint32_t n, const struct hyperv_key *key)
{
	if (n >= MAX_BLOCKS || n > h->in->size / 4 || !key->is_array || !key->size ||
	    key->size > HYPERV_BLOCK)
		return error_new(GDUMP_ERR_CORRUPT, "the key %s is no block of memory", key->name);
	if (n >= h->blocks_room) {
		const uint32_t room = MAX(2 * n, 1024u);
		struct hyperv_block *blocks = realloc(h->blocks, room * sizeof(*blocks));

		if (!blocks)
			return error_nomem();
		memset(blocks + h->blocks_room, 0, (room - h->blocks_room) * sizeof(*blocks));
		h->blocks = blocks;
		h->blocks_room = room;
	}
	if (h->blocks[n].size)
		return error_new(GDUMP_ERR_CORRUPT, "there are two blocks of memory %s", key->name);
	h->blocks[n] = (struct hyperv_block){ key->off, (uint32_t)key->size, 0 };
	h->num_blocks = MAX(h->num_blocks, n + 1);
	return NULL;
}

static struct gdump_error *hyperv_take_range(struct hyperv *h, const struct hyperv_key *key)
{
	unsigned char buf[RANGE_SIZE];
	struct cursor c = cursor_init(buf, sizeof(buf), false, true);
	struct hyperv_range r;
	struct gdump_error *err;

	if (!key->is_array || key->size < RANGE_SIZE || h->num_ranges == MAX_RANGES)
		return error_new(GDUMP_ERR_CORRUPT, "the key %s is no range of memory", key->name);
	err = bytes_read(h->in, key->off, buf, sizeof(buf));
	if (err)
		return err;
	if (get_u32(&c) != 3)
		return error_new(GDUMP_ERR_UNSUPPORTED, "the version of %s is not supported, only 3",
				 key->name);
	get_u32(&c);
	r.pages = get_u64(&c);
	r.first = get_u64(&c);
	r.pfn = get_u64(&c);
	if (!r.pages || r.pages > (uint64_t)MAX_BLOCKS * HYPERV_BLOCK_PAGES || r.first > (uint64_t)MAX_BLOCKS * HYPERV_BLOCK_PAGES ||
	    r.pfn > UINT64_MAX / HYPERV_PAGE - r.pages)
		return error_new(GDUMP_ERR_CORRUPT, "the range of memory %s is invalid", key->name);
	if (!ARRAY_GROW(h->ranges, h->num_ranges))
		return error_nomem();
	h->ranges[h->num_ranges++] = r;
	return NULL;
}

static struct gdump_error *hyperv_take_key(void *arg, const struct hyperv_key *key)
{
	struct hyperv *h = arg;
	uint32_t n;

	if (hyperv_number(key->name, "RamBlock", &n))
		return hyperv_take_block(h, n, key);
	if (hyperv_number(key->name, "RamMemoryBlock", &n))
		return hyperv_take_range(h, key);
	if (key->is_node && !strcmp(key->name, "savedVM")) {
		h->vm = key->node;
		h->has_vm = true;
	}
	return NULL;
}

static int hyperv_by_first(const void *a, const void *b)
{
	const struct hyperv_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static int hyperv_by_pfn(const void *a, const void *b)
{
	const struct hyperv_range *x = a, *y = b;

	return (x->pfn > y->pfn) - (x->pfn < y->pfn);
}

/* Note how much of each block the ranges have. */
static void hyperv_count_pages(struct hyperv *h)
{
	for (size_t i = 0; i < h->num_ranges; i++) {
		const uint64_t end = h->ranges[i].first + h->ranges[i].pages;

		for (uint64_t at = h->ranges[i].first; at < end; at = round_up(at + 1, HYPERV_BLOCK_PAGES)) {
			struct hyperv_block *b = &h->blocks[at / HYPERV_BLOCK_PAGES];
			const uint64_t begin = at - at % HYPERV_BLOCK_PAGES;

			b->pages = (uint32_t)MAX(b->pages, MIN(end - begin, (uint64_t)HYPERV_BLOCK_PAGES));
		}
	}
}

/* All blocks are there, and each is of a range; ranges share no memory. */
static struct gdump_error *hyperv_check(struct hyperv *h)
{
	uint64_t end = 0;

	if (!h->num_ranges)
		return error_new(GDUMP_ERR_CORRUPT, "the saved state does not say where memory is");
	qsort(h->ranges, h->num_ranges, sizeof(*h->ranges), hyperv_by_first);
	for (size_t i = 0; i < h->num_ranges; i++) {
		/* a range may begin with a block of its own */
		if (h->ranges[i].first != end && h->ranges[i].first != round_up(end, HYPERV_BLOCK_PAGES))
			return error_new(GDUMP_ERR_CORRUPT,
					 "ranges of memory do not follow each other in the blocks: 0x%" PRIx64 ", not 0x%" PRIx64,
					 h->ranges[i].first, end);
		end = h->ranges[i].first + h->ranges[i].pages;
	}
	for (uint32_t i = 0; i < h->num_blocks; i++) {
		if (!h->blocks[i].size)
			return error_new(GDUMP_ERR_CORRUPT, "the block of memory RamBlock%u is missing", i);
	}
	if (h->num_blocks != div_up(end, HYPERV_BLOCK_PAGES))
		return error_new(GDUMP_ERR_CORRUPT,
				 "there are %u blocks of memory, but its ranges have %" PRIu64, h->num_blocks,
				 div_up(end, HYPERV_BLOCK_PAGES));
	hyperv_count_pages(h);
	qsort(h->ranges, h->num_ranges, sizeof(*h->ranges), hyperv_by_pfn);
	for (size_t i = 1; i < h->num_ranges; i++) {
		if (h->ranges[i].pfn - h->ranges[i - 1].pfn < h->ranges[i - 1].pages)
			return error_new(GDUMP_ERR_CORRUPT, "two ranges contain the same memory");
	}
	return NULL;
}

static struct gdump_error *hyperv_read_keys(struct hyperv *h)
{
	const struct hyperv_node root = { 0, 0 };
	struct gdump_error *err = hyperv_keys(h->in, root, hyperv_find_saved, h);

	if (!err && !h->has_saved)
		err = error_new(GDUMP_ERR_FORMAT,
				"this file of Hyper-V has no saved state; or one as before version 5 of virtual machines");
	if (!err)
		err = hyperv_keys(h->in, h->saved, hyperv_take_key, h);
	if (!err && h->has_vm)
		err = hyperv_keys(h->in, h->vm, hyperv_find_state, h);
	return err ? err : hyperv_check(h);
}

static struct gdump_error *hyperv_read_cpus(struct hyperv *h)
{
	struct image *image = &h->source.image;
	CLEANUP_FREE unsigned char *state = NULL;
	struct gdump_error *err;

	image->machine = EM_X86_64;
	if (!h->state_size || h->state_size > MAX_STATE) {
		snprintf(image->warning, sizeof(image->warning),
			 "the registers of the CPUs are not in the file");
		return NULL;
	}
	state = malloc((size_t)h->state_size);
	err = state ? bytes_read(h->in, h->state_off, state, (size_t)h->state_size) : error_nomem();
	return err ? err : hyperv_add_cpus(state, (size_t)h->state_size, image);
}

/* The range that has @paddr; there is one, as the caller asks only for memory in ranges. */
static const struct hyperv_range *hyperv_range_at(const struct hyperv *h, uint64_t paddr)
{
	for (size_t i = 0; i < h->num_ranges; i++) {
		if (paddr / HYPERV_PAGE - h->ranges[i].pfn < h->ranges[i].pages)
			return &h->ranges[i];
	}
	return NULL;
}

static struct gdump_error *hyperv_read_block(struct hyperv *h, size_t block, uint32_t off,
					     unsigned char *buf, size_t len)
{
	const struct hyperv_block *b = &h->blocks[block];

	if (b->size == HYPERV_BLOCK)
		return bytes_read(h->in, b->off + off, buf, len);
	return hyperv_tokens_read(h->in, b->off, b->size, b->pages, off, buf, len);
}

static struct gdump_error *hyperv_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct hyperv *h = (struct hyperv *)s;
	struct gdump_error *err = NULL;
	unsigned char *to = buf;

	while (!err && len) {
		const struct hyperv_range *r = hyperv_range_at(h, paddr);
		const uint64_t in_range = r ? paddr - r->pfn * HYPERV_PAGE : 0;
		const uint64_t at = r ? r->first * HYPERV_PAGE + in_range : 0;
		const uint32_t off = (uint32_t)(at % HYPERV_BLOCK);
		const size_t n = !r ? 0 : (size_t)MIN(MIN(len, (uint64_t)HYPERV_BLOCK - off),
						      r->pages * HYPERV_PAGE - in_range);

		if (!n)
			return error_new(GDUMP_ERR_NODATA, "memory at 0x%" PRIx64 " is not in the dump", paddr);
		err = hyperv_read_block(h, (size_t)(at / HYPERV_BLOCK), off, to, n);
		paddr += n;
		to += n;
		len -= n;
	}
	return error_prefix(err, "memory at 0x%" PRIx64, paddr);
}

static void hyperv_close(struct source *s)
{
	struct hyperv *h = (struct hyperv *)s;

	bytes_close(h->in);
	free(h->ranges);
	free(h->blocks);
	free(h);
}

static const struct source_ops hyperv_source_ops = {
	.name = "hyperv", .read = hyperv_read, .close = hyperv_close,
};

static struct gdump_error *hyperv_load(struct hyperv *h)
{
	struct image *image = &h->source.image;
	struct gdump_error *err = hyperv_read_keys(h);

	image->is64 = true;
	for (size_t i = 0; !err && i < h->num_ranges; i++)
		err = image_add_range(image, h->ranges[i].pfn * HYPERV_PAGE,
				      h->ranges[i].pages * HYPERV_PAGE, GDUMP_RANGE_RAM);
	if (!err)
		err = hyperv_read_cpus(h);
	if (!err)
		err = image_seal(image);
	snprintf(image->detail, sizeof(image->detail), "Hyper-V saved state");
	return err ? err : layout_proof_check(&h->source);
}

static struct gdump_error *hyperv_open(struct bytes *in, struct source **ret)
{
	struct hyperv *h = calloc(1, sizeof(*h));
	struct gdump_error *err;

	if (!h) {
		bytes_close(in);
		return error_nomem();
	}
	source_init(&h->source, &hyperv_source_ops);
	h->in = in;
	err = hyperv_load(h);
	if (err)
		source_close(&h->source);
	else
		*ret = &h->source;
	return error_prefix(err, "Hyper-V");
}

const struct format format_hyperv = {
	.name = "hyperv",
	.summary = "a saved state of Hyper-V (.vmrs), or a dump of OpenVMM",
	.probe = hyperv_probe,
	.open = hyperv_open,
};
