/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "layout_proof.h"

#include <stdio.h>

#include "../kernel/find_vmcoreinfo.h"
#include "../kernel/mappings.h"
#include "../util/bits.h"

enum {
	MAX_TAIL = 64 << 20,            /* bytes that firmware may keep at the end of memory */
	LOW_END = 1 << 20,              /* of x86: below it, all is mapped, RAM or not */
};

/* Whether the map that the kernel has of its memory is of the memory in the image, and all of it */
static enum layout_proof layout_proof_compare(const struct image *image, const struct mappings *m)
{
	const struct gdump_range *last = &image->ranges[image->num_ranges - 1];
	const uint64_t offset = mappings_direct_offset(m);
	uint64_t end = 0;

	if (m->num_outside)
		return LAYOUT_WRONG;
	for (size_t i = 0; offset && i < m->num; i++) {
		const struct mapping *map = &m->maps[i];
		const uint64_t start = MAX(map->paddr, (uint64_t)LOW_END);
		const uint64_t map_end = map->paddr + map->size;
		const struct gdump_range *r;

		if (map->vaddr - map->paddr != offset || start >= map_end)
			continue;
		r = image_range_at(image, start);
		if (!r || map_end - start > r->size - (start - r->start))
			return LAYOUT_WRONG;
		end = MAX(end, map_end);
	}
	if (!end)
		return LAYOUT_LOST;
	return range_last(last) - (end - 1) <= MAX_TAIL ? LAYOUT_PROVEN : LAYOUT_SHORT;
}

struct gdump_error *layout_proof_find(struct source *s, enum layout_proof *ret)
{
	struct gdump_error *err = find_vmcoreinfo(s, 0);
	struct mappings m;

	*ret = LAYOUT_UNKNOWN;
	if (err || !s->image.vmcoreinfo || !s->image.num_ranges)
		return err;
	*ret = LAYOUT_LOST;
	err = mappings_find(s, &m);
	if (err) {
		gdump_error_destroy(err);
		return NULL;
	}
	*ret = layout_proof_compare(&s->image, &m);
	mappings_deinit(&m);
	return NULL;
}

struct gdump_error *layout_proof_check(struct source *s)
{
	struct image *image = &s->image;
	enum layout_proof proof;
	struct gdump_error *err = image->incomplete ? NULL : layout_proof_find(s, &proof);

	if (err || image->incomplete || proof != LAYOUT_WRONG)
		return err;
	image->incomplete = true;
	snprintf(image->warning, sizeof(image->warning),
		 "the guest's page tables do not agree with the addresses of its memory: the file is damaged");
	return NULL;
}
