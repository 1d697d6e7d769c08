/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu_direct.c - a guest of QEMU whose memory we read from QEMU's process
 */
#include "qemu_direct.h"

#include <inttypes.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/debug.h"

enum { PROBE_SIZE = 4096 };            /* of memory that comes with the registers */

/* Read the slots [paddr, paddr + len); the caller asks for nothing else. */
struct gdump_error *direct_read(struct source *s, uint64_t paddr, void *buf, size_t len)
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

struct gdump_error *direct_scan(struct source *s, uint64_t pfn, size_t num,
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
static bool direct_has_no_hole(const struct procmem *mem, uint64_t hva, size_t len)
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

const void *direct_borrow(struct source *s, uint64_t paddr, size_t len)
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
	    !direct_has_no_hole(qemu->mem, hva, len))
		return NULL;
	return p;
}

static void direct_log(const struct qemu *qemu)
{
	const struct debug *debug = &qemu->source.debug;

	debug_log(debug, GDUMP_DEBUG_STEP, "the guest's memory is in %zu places of process %d",
		  qemu->layout.num_slots, (int)qmp_pid(qemu->guest.qmp));
	for (size_t i = 0; debug->fn && i < qemu->layout.num_slots; i++) {
		const struct slot *s = &qemu->layout.slots[i];

		debug_log(debug, GDUMP_DEBUG_DETAIL, "0x%" PRIx64 " to 0x%" PRIx64
			  " of the guest is at 0x%" PRIx64 " of the process, %s", s->paddr,
			  s->paddr + (s->size - 1), s->hva,
			  s->kind == GDUMP_RANGE_RAM ? "RAM" : "device memory");
	}
}

struct gdump_error *direct_attach(struct qemu *qemu)
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
	direct_log(qemu);
	return NULL;
}

void direct_detach(struct qemu *qemu)
{
	procmem_close(qemu->mem);
	qemu->mem = NULL;
}

/* The first bytes of memory came along with the CPUs' registers: compare. */
static struct gdump_error *direct_compare(struct qemu *qemu, const struct qemu_head *head)
{
	const struct qemu_load *load = head->loads;
	unsigned char ours[PROBE_SIZE];
	struct gdump_error *err;
	size_t len;

	if (!head->num_loads)
		return error_new(GDUMP_ERR_NODATA, "QEMU's dump has no memory to compare with");
	len = (size_t)MIN(load->size, (uint64_t)sizeof(ours));
	err = direct_read(&qemu->source, load->paddr, ours, len);
	if (!err && memcmp(ours, head->buf + load->off, len))
		err = error_new(GDUMP_ERR_NODATA,
				"at 0x%" PRIx64 " QEMU's process has other memory than the guest",
				load->paddr);
	if (!err)
		debug_log(&qemu->source.debug, GDUMP_DEBUG_DETAIL,
			  "memory at 0x%" PRIx64 " of QEMU's process is that of its dump",
			  load->paddr);
	return err;
}

/* Where to look for the CPUs' registers: QEMU gives them with some memory only. */
static struct qemu_extent direct_probe_extent(const struct layout *layout)
{
	const struct slot *s = layout->slots;

	for (size_t i = 0; i < layout->num_slots; i++) {
		if (layout->slots[i].kind == GDUMP_RANGE_RAM) {
			s = &layout->slots[i];
			break;
		}
	}
	return (struct qemu_extent){ s->paddr, MIN(s->size, (uint64_t)PROBE_SIZE) };
}

/* Take the CPUs into @image; with @compare, also look whether the memory is the guest's. */
static struct gdump_error *direct_take_cpus(struct qemu *qemu, bool compare, struct image *image)
{
	CLEANUP_HEAD struct qemu_head head = { 0 };
	struct gdump_error *err;

	err = qemu_dump_notes(qemu->guest.qmp, direct_probe_extent(&qemu->layout), &head);
	if (!err && compare)
		err = direct_compare(qemu, &head);
	return err ? err : qemu_take_head(image, &head);
}

struct gdump_error *direct_begin(struct qemu *qemu)
{
	struct gdump_error *err = layout_plugged(qemu->guest.qmp, &qemu->layout);

	if (!err && !qemu->layout.num_slots)
		err = error_new(GDUMP_ERR_REMOTE, "QEMU has no memory of this guest");
	/* the memory of a running guest may well differ */
	return err ? err : direct_take_cpus(qemu, !qemu->source.is_mutable, &qemu->source.image);
}

struct gdump_error *direct_pause(struct source *s)
{
	struct qemu *qemu = (struct qemu *)s;
	struct image now = { .num_notes = 0 };
	struct gdump_error *err;
	bool changed = false;

	if (guest_is_paused(&qemu->guest))
		return NULL;
	err = qemu_pause(qemu, &changed);
	if (!err && changed)
		err = error_new(GDUMP_ERR_REMOTE,
				"the guest got other memory meanwhile: take the dump again");
	if (!err)
		err = direct_take_cpus(qemu, true, &now);
	if (!err && !image_renew_notes(&s->image, &now))
		err = error_new(GDUMP_ERR_REMOTE,
				"the guest got other CPUs meanwhile: take the dump again");
	image_deinit(&now);
	s->is_mutable = err;
	return err;
}

static struct gdump_error *process_prepare(struct qemu *qemu, const char **unfit)
{
	*unfit = qemu->mem ? NULL : "QEMU's process is not read";
	return NULL;
}

static const struct source_ops process_ops = {
	.name = "qmp",
	.read = direct_read,
	.scan = direct_scan,
	.borrow = direct_borrow,
	.guest = &qemu_guest_ops,
	.close = qemu_close,
};

const struct qemu_way qemu_way_process = {
	.name = "access to QEMU's process",
	.ops = &process_ops,
	.prepare = process_prepare,
	.begin = direct_begin,
};
