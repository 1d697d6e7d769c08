/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * arch/x86_paging.c - the page tables that an x86 CPU was using
 *
 * They follow from the control registers in QEMU's note.
 *
 * Facts: Intel's manual, volume 3, chapter 4.
 */
#include "../machine/image.h"
#include "../machine/walker.h"
#include "../util/cursor.h"
#include "arch.h"

#include <string.h>

enum { CR0 = 392, CR3 = 416, CR4 = 424 };

static const uint64_t cr0_pg = (uint64_t)1 << 31, cr4_pae = 1 << 5, cr4_la57 = 1 << 12;

static enum entry_kind x86_entry(const struct paging *p, unsigned int level, uint64_t entry,
				 uint64_t *paddr)
{
	const unsigned int below = p->levels - 1 - level;

	if (!(entry & 1))
		return ENTRY_NONE;
	*paddr = entry & 0x000ffffffffff000;
	if (!below)
		return ENTRY_PAGE;
	if (!(entry & 0x80) || (p->levels == 3 && !level))
		return ENTRY_TABLE;
	return below <= 2 ? ENTRY_PAGE : ENTRY_NONE;
}

/* Two levels of 4-byte entries; a large page has address bits 39:32 in bits 20:13. */
static enum entry_kind x86_entry32(const struct paging *p, unsigned int level, uint64_t entry,
				   uint64_t *paddr)
{
	(void)p;
	if (!(entry & 1))
		return ENTRY_NONE;
	*paddr = entry & 0xfffff000;
	if (level)
		return ENTRY_PAGE;
	if (!(entry & 0x80))
		return ENTRY_TABLE;
	*paddr = (entry & 0xffc00000) | (entry >> 13 & 0xff) << 32;
	return ENTRY_PAGE;
}

static uint64_t x86_note_u64(const struct gdump_note *n, size_t off)
{
	struct cursor c = cursor_init(n->desc, n->size, false, true);

	cursor_take(&c, off);
	return get_u64(&c);
}

static void x86_set_levels(struct paging *p, unsigned int levels, unsigned int bits)
{
	p->levels = levels;
	for (unsigned int i = 0; i < levels; i++) {
		p->shift[i] = (uint8_t)(12 + bits * (levels - 1 - i));
		p->bits[i] = (uint8_t)bits;
	}
}

bool x86_cpu_paging(const struct image *image, const struct gdump_note *n, struct paging *ret)
{
	const uint64_t cr3 = x86_note_u64(n, CR3), cr4 = x86_note_u64(n, CR4);

	if (strcmp(n->name, "QEMU") || n->size < CR4 + 8 || !(x86_note_u64(n, CR0) & cr0_pg))
		return false;
	ret->entry = x86_entry;
	ret->entry_size = 8;
	ret->root = cr3 & 0x000ffffffffff000;
	if (image->arch->is64) {
		x86_set_levels(ret, cr4 & cr4_la57 ? 5 : 4, 9);
		ret->sign = true;
	} else if (cr4 & cr4_pae) {
		x86_set_levels(ret, 3, 9);
		ret->bits[0] = 2;
		ret->root = cr3 & 0xffffffe0;
	} else {
		x86_set_levels(ret, 2, 10);
		ret->entry = x86_entry32;
		ret->entry_size = 4;
		ret->root &= 0xffffffff;
	}
	return true;
}
