/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_direct.c - a guest of QEMU whose memory we read from QEMU's process
 */
#include "qemu_direct.h"

#include <inttypes.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/debug.h"
#include "qemu_way.h"

enum { PROBE_SIZE = 4096 };            /* of memory that comes with the registers */

struct gdump_error *direct_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct qemu *qemu = (struct qemu *)s;

	guest_alive(&qemu->guest);
	return memory_map_read(&qemu->map.memory, qemu->mem, paddr, buf, len);
}

struct gdump_error *direct_scan(struct source *s, uint64_t pfn, size_t num,
				unsigned char *state, bool holes)
{
	struct qemu *qemu = (struct qemu *)s;
	const struct page_scan scan = { .pfn = pfn, .num = num,
					.page_size = s->image.page_size, .state = state };

	memset(state, PAGE_THERE, num);
	if (holes)
		memory_map_scan(&qemu->map.memory, qemu->mem, &scan);
	return NULL;
}

const void *direct_borrow(struct source *s, uint64_t paddr, size_t len)
{
	const struct qemu *qemu = (const struct qemu *)s;

	return memory_map_borrow(&qemu->map.memory, qemu->mem, paddr, len, s->image.page_size);
}

static void direct_log(const struct qemu *qemu)
{
	const struct debug *debug = &qemu->source.debug;

	debug_log(debug, GDUMP_DEBUG_STEP, "the guest's memory is %zu mappings of process %d",
		  qemu->map.memory.num_slots, (int)qmp_pid(qemu->guest.qmp));
	for (size_t i = 0; debug->fn && i < qemu->map.memory.num_slots; i++) {
		const struct mem_slot *s = &qemu->map.memory.slots[i];

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
		err = qemu_map_locate(qemu->guest.qmp, &qemu->opt, &qemu->map);
	for (size_t i = 0; !err && i < qemu->map.memory.num_slots; i++)
		err = procmem_use(mem, qemu->map.memory.slots[i].hva,
				  qemu->map.memory.slots[i].size);
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
				"the page at 0x%" PRIx64 " differs between QEMU's process and QEMU's own dump",
				load->paddr);
	if (!err)
		debug_log(&qemu->source.debug, GDUMP_DEBUG_DETAIL,
			  "the page at 0x%" PRIx64 " is the same in QEMU's process and in QEMU's own dump",
			  load->paddr);
	return err;
}

/* Where to look for the CPUs' registers: QEMU gives them with some memory only. */
static struct qemu_extent direct_probe_extent(const struct memory_map *map)
{
	const struct mem_slot *s = map->slots;

	for (size_t i = 0; i < map->num_slots; i++) {
		if (map->slots[i].kind == GDUMP_RANGE_RAM) {
			s = &map->slots[i];
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

	err = qemu_dump_notes(qemu->guest.qmp, direct_probe_extent(&qemu->map.memory), &head);
	if (!err && compare)
		err = direct_compare(qemu, &head);
	return err ? err : qemu_take_head(image, &head);
}

struct gdump_error *direct_begin(struct qemu *qemu)
{
	struct gdump_error *err = qemu_map_plugged(qemu->guest.qmp, &qemu->map);

	if (!err && !qemu->map.memory.num_slots)
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
				"the guest's memory map changed during preparation; try again");
	if (!err)
		err = direct_take_cpus(qemu, true, &now);
	if (!err && !image_renew_notes(&s->image, &now))
		err = error_new(GDUMP_ERR_REMOTE,
				"the guest's CPUs changed during preparation; try again");
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
