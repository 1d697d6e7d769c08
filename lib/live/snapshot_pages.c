/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * snapshot_pages.c - the guest's pages out of the memory blocks of a snapshot's stream
 */
#include "snapshot_pages.h"

#include "../util/bits.h"
#include "../util/cleanup.h"

struct gdump_error *snapshot_pages_map(struct snapshot_pages *p, const struct migration *m)
{
	const uint32_t page_size = p->source->image.page_size;

	if (m->mapped_ram)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "QEMU's snapshot cannot come through a pipe: mapped-ram is on");
	if (m->page_size > page_size || page_size / m->page_size > PAGE_MERGE_MAX)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "QEMU's snapshot has pages of %u bytes, the guest's kernel of %u",
				 m->page_size, page_size);
	p->merge = (struct page_merge){ .page_size = page_size, .part_size = m->page_size };
	return block_map_make(&p->map, p->mtree, p->memory, m);
}

/* What is at @paddr, a page of QEMU's; NULL: it is zero. */
static struct gdump_error *pages_put_part(struct snapshot_pages *p, uint64_t paddr,
					  const void *data)
{
	struct page_merge *merge = &p->merge;
	const uint64_t pfn = paddr / merge->page_size;
	const struct page_sink *to = p->to;
	struct gdump_error *err;

	if (merge->page_size == merge->part_size)
		return to->put(to->arg, pfn, data);
	if (!to->wants(to->arg, pfn))
		return NULL;
	err = page_merge_add(merge, paddr, data, &data);
	return err || !data ? err : to->put(to->arg, pfn, data);
}

struct gdump_error *snapshot_pages_put(struct snapshot_pages *p, const struct migration_page *page)
{
	struct gdump_error *err = NULL;
	uint64_t paddr;
	size_t i = 0;

	if (page->kind != MIGRATION_RAW && page->kind != MIGRATION_ZERO)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "QEMU's snapshot has a page in a form that no snapshot has: is compression on?");
	while (!err && block_map_next(&p->map, page->block, page->off, &i, &paddr))
		err = pages_put_part(p, paddr, page->kind == MIGRATION_RAW ? page->data : NULL);
	return err;
}

static struct gdump_error *pages_put_range(struct snapshot_pages *p, const struct gdump_range *r,
					   unsigned char *buf)
{
	const uint32_t page_size = p->source->image.page_size;
	const uint64_t end = r->start + r->size;
	struct gdump_error *err = NULL;

	for (uint64_t paddr = round_down(r->start, page_size); !err && paddr < end;
	     paddr += page_size) {
		if (block_map_has(&p->map, MAX(paddr, r->start)))
			continue;
		err = source_read(p->source, paddr, buf, page_size);
		if (!err)
			err = p->to->put(p->to->arg, paddr / page_size, buf);
	}
	return err;
}

struct gdump_error *snapshot_pages_put_devices(struct snapshot_pages *p)
{
	const struct image *image = &p->source->image;
	CLEANUP_FREE unsigned char *buf = malloc(image->page_size);
	struct gdump_error *err = buf ? NULL : error_nomem();

	for (size_t i = 0; !err && i < image->num_ranges; i++) {
		if (image->ranges[i].kind != GDUMP_RANGE_RAM)
			err = pages_put_range(p, &image->ranges[i], buf);
	}
	return err;
}

void snapshot_pages_deinit(struct snapshot_pages *p)
{
	block_map_deinit(&p->map);
	page_merge_deinit(&p->merge);
}
