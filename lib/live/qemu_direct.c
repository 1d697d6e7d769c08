/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu_direct.c - a guest of QEMU whose memory we read from QEMU's process
 */
#include "qemu_direct.h"

#include <inttypes.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

/* Read the slots [paddr, paddr + len); the caller asks for nothing else. */
struct gdump_error *qemu_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct qemu *qemu = (struct qemu *)s;
	struct gdump_error *err;
	size_t n;

	for (size_t i = layout_find(&qemu->layout, paddr); len; i++) {
		const struct slot *slot = &qemu->layout.slots[i];

		if (i == qemu->layout.num_slots || paddr < slot->paddr)
			return error_new(GDUMP_ERR_NODATA, "the guest has no memory at 0x%" PRIx64,
					 paddr);
		n = (size_t)MIN(slot->paddr + (slot->size - 1) - paddr, (uint64_t)len - 1) + 1;
		err = procmem_read(qemu->mem, slot->hva + (paddr - slot->paddr), buf, n);
		if (err)
			return error_prefix(err, "guest memory at 0x%" PRIx64, paddr);
		paddr += n;
		buf = (char *)buf + n;
		len -= n;
	}
	return NULL;
}

static struct gdump_error *qemu_scan(struct source *s, uint64_t pfn, size_t num,
				     unsigned char *state, bool holes)
{
	struct qemu *qemu = (struct qemu *)s;
	const struct scan scan = { .pfn = pfn, .num = num, .page_size = s->image.page_size,
				   .state = state };

	memset(state, PAGE_THERE, num);
	if (holes)
		slots_scan(qemu->layout.slots, qemu->layout.num_slots, qemu->mem, &scan);
	return NULL;
}

/* Whether all of the host's pages there may be looked at without allocating one */
static bool qemu_has_no_hole(const struct procmem *mem, uint64_t hva, size_t len)
{
	uint64_t page = procmem_page_size(mem), start = round_down(hva, page);
	unsigned char there[512];

	for (uint64_t num = div_up(hva - start + len, page); num;) {
		size_t n = (size_t)MIN(num, (uint64_t)ARRAY_SIZE(there));

		procmem_scan(mem, start, n, there);
		if (memchr(there, 0, n))
			return false;
		start += n * page;
		num -= n;
	}
	return true;
}

static const void *qemu_borrow(struct source *s, uint64_t paddr, size_t len)
{
	struct qemu *qemu = (struct qemu *)s;
	size_t i = layout_find(&qemu->layout, paddr);
	const struct slot *slot = &qemu->layout.slots[i];
	const void *p;
	uint64_t hva;

	if (i == qemu->layout.num_slots || paddr < slot->paddr ||
	    !range_fits(paddr - slot->paddr, len, slot->size))
		return NULL;
	hva = slot->hva + (paddr - slot->paddr);
	p = procmem_borrow(qemu->mem, hva, len);
	/* of a large page that is there, some of the host's may not be */
	if (p && s->image.page_size > procmem_page_size(qemu->mem) &&
	    !qemu_has_no_hole(qemu->mem, hva, len))
		return NULL;
	return p;
}

/* Find the guest's memory in QEMU's process. */
struct gdump_error *qemu_attach(struct qemu *qemu)
{
	CLEANUP_PROCMEM struct procmem *mem = NULL;
	struct gdump_error *err;

	err = procmem_open(qmp_pid(qemu->guest.qmp), &mem);
	if (!err)
		err = layout_locate(qemu->guest.qmp, &qemu->opt, &qemu->layout);
	for (size_t i = 0; !err && i < qemu->layout.num_slots; i++)
		err = procmem_use(mem, qemu->layout.slots[i].hva, qemu->layout.slots[i].size);
	if (err)
		return err;
	qemu->mem = TAKE_PTR(mem);
	return NULL;
}

const struct source_ops qemu_ops = {
	.name = "qmp",
	.read = qemu_read,
	.scan = qemu_scan,
	.borrow = qemu_borrow,
	.guest = &qemu_guest_ops,
	.close = qemu_close,
};

static const struct guest_ops live_guest_ops = {
	.pause = qemu_pause,
	.resume = qemu_resume,
	.paused_us = qemu_paused_us,
	.stalled_us = snapshot_stalled_us,
};

/* A guest that goes on: read before its snapshot, then pushed. */
const struct source_ops qemu_live_ops = {
	.name = "qmp",
	.order = READ_PUSHED,
	.read = qemu_read,
	.scan = qemu_scan,
	.borrow = qemu_borrow,
	.push = snapshot_push,
	.guest = &live_guest_ops,
	.close = qemu_close,
};
