/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_memory.c - reading the memory of a guest of libvirt
 *
 * From QEMU's process, if we may; where it is there QEMU says, by libvirt.  Otherwise all of it
 * comes out of libvirt's dump in ascending order, and what is read before is read by libvirt in
 * pieces: each takes some 40 ms, so that they are large, and the last ones are kept.
 */
#include "libvirt_guest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "../util/debug.h"
#include "../util/process_status.h"

enum { NUM_PIECES = 32, FRESH_US = 1000000 };

struct libvirt_piece {
	uint64_t paddr, read_us;
	size_t len;                     /* 0: there is nothing                  */
	bool fixed;                     /* the guest was paused                 */
	unsigned char *data;
};

/* QEMU's process is that of the threads of its CPUs. */
static struct gdump_error *libvirt_find_process(struct libvirt_guest *g)
{
	CLEANUP_JSON json_t *cpus = NULL;
	struct gdump_error *err = qmp_execute(g->qmp, "query-cpus-fast", NULL, &cpus);
	uint64_t tid;
	pid_t pid;

	if (!err)
		err = qmp_get_uint(json_array_get(cpus, 0), "query-cpus-fast", "thread-id", &tid);
	if (err)
		return err;
	pid = process_status((pid_t)tid, "Tgid:");
	if (pid <= 0)
		return error_new(GDUMP_ERR_NODATA,
				 "the process of QEMU cannot be seen: it is in another PID namespace (container)");
	g->pid = pid;
	return NULL;
}

struct gdump_error *libvirt_memory_attach(struct libvirt_guest *g)
{
	CLEANUP_PROCMEM struct procmem *mem = NULL;
	const struct memory_map *map = &g->map.memory;
	struct gdump_error *err = libvirt_find_process(g);

	qemu_map_deinit(&g->map);
	if (!err)
		err = procmem_open(g->pid, &mem);
	if (!err)
		err = qemu_map_read(g->qmp, &g->opt, &g->map);
	if (!err)
		err = qemu_map_locate(g->qmp, &g->opt, &g->map);
	for (size_t i = 0; !err && i < map->num_slots; i++)
		err = procmem_use(mem, map->slots[i].hva, map->slots[i].size);
	if (err)
		return err;
	procmem_close(g->mem);
	g->mem = TAKE_PTR(mem);
	debug_log(&g->source.debug, GDUMP_DEBUG_STEP, "the guest's memory is in %zu places of process %d",
		  map->num_slots, (int)g->pid);
	return NULL;
}

void libvirt_memory_detach(struct libvirt_guest *g)
{
	procmem_close(g->mem);
	g->mem = NULL;
}

struct gdump_error *libvirt_memory_compare(struct libvirt_guest *g)
{
	const struct qemu_head *head = libvirt_dump_head(g->dump);
	const struct qemu_load *load = head->loads;
	unsigned char ours[LIBVIRT_PROBE_SIZE];
	struct gdump_error *err;
	size_t len;

	if (!head->num_loads)
		return error_new(GDUMP_ERR_NODATA, "libvirt's dump has no memory to compare with");
	len = (size_t)MIN(load->size, (uint64_t)sizeof(ours));
	err = libvirt_direct_read(&g->source, load->paddr, ours, len);
	if (!err && memcmp(ours, head->buf + load->off, len))
		err = error_new(GDUMP_ERR_NODATA, "memory at 0x%" PRIx64
				" in process %d differs from libvirt's dump", load->paddr, (int)g->pid);
	return err;
}

struct gdump_error *libvirt_memory_of_dump(struct libvirt_guest *g)
{
	const struct qemu_head *head = libvirt_dump_head(g->dump);
	struct memory_map *map = &g->map.memory;

	qemu_map_deinit(&g->map);
	map->slots = calloc(head->num_loads + 1, sizeof(*map->slots));
	g->pieces = calloc(NUM_PIECES, sizeof(*g->pieces));
	if (!map->slots || !g->pieces)
		return error_nomem();
	for (size_t i = 0; i < head->num_loads; i++) {
		const struct qemu_load *l = &head->loads[i];

		map->slots[map->num_slots++] = (struct mem_slot){
			.paddr = l->paddr, .size = l->size, .kind = GDUMP_RANGE_RAM,
		};
	}
	return NULL;
}

void libvirt_memory_deinit(struct libvirt_guest *g)
{
	for (size_t i = 0; g->pieces && i < NUM_PIECES; i++)
		free(g->pieces[i].data);
	free(g->pieces);
	libvirt_memory_detach(g);
	qemu_map_deinit(&g->map);
}

struct gdump_error *libvirt_direct_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct libvirt_guest *g = (struct libvirt_guest *)s;

	guest_alive(&g->guarded);
	return memory_map_read(&g->map.memory, g->mem, paddr, buf, len);
}

struct gdump_error *libvirt_direct_scan(struct source *s, uint64_t pfn, size_t num,
					unsigned char *state, bool holes)
{
	struct libvirt_guest *g = (struct libvirt_guest *)s;
	const struct page_scan scan = { .pfn = pfn, .num = num,
					.page_size = s->image.page_size, .state = state };

	guest_alive(&g->guarded);
	memset(state, PAGE_THERE, num);
	if (holes)
		memory_map_scan(&g->map.memory, g->mem, &scan);
	return NULL;
}

const void *libvirt_direct_borrow(struct source *s, uint64_t paddr, size_t len)
{
	const struct libvirt_guest *g = (const struct libvirt_guest *)s;

	return memory_map_borrow(&g->map.memory, g->mem, paddr, len, s->image.page_size);
}

static bool libvirt_piece_has(const struct libvirt_piece *p, uint64_t paddr)
{
	return p->len && paddr >= p->paddr && paddr - p->paddr < p->len &&
	       (p->fixed || clock_us() - p->read_us < FRESH_US);
}

/* Read the piece with @paddr over the oldest one. */
static struct gdump_error *libvirt_piece_fetch(struct libvirt_guest *g, uint64_t paddr,
					       struct libvirt_piece *p)
{
	const struct memory_map *map = &g->map.memory;
	const size_t i = memory_map_find(map, paddr);
	const struct mem_slot *slot = &map->slots[i];
	struct gdump_error *err;

	if (i == map->num_slots || paddr < slot->paddr)
		return error_new(GDUMP_ERR_NODATA, "the guest has no memory at 0x%" PRIx64, paddr);
	if (!p->data)
		p->data = malloc(DOMAIN_PEEK_MAX);
	if (!p->data)
		return error_nomem();
	p->paddr = MAX(round_down(paddr, DOMAIN_PEEK_MAX), slot->paddr);
	p->len = 0;
	p->fixed = !g->source.is_mutable;
	p->read_us = clock_us();
	err = domain_peek(&g->asks, p->paddr, p->data,
			  (size_t)MIN(slot->paddr + slot->size - p->paddr, (uint64_t)DOMAIN_PEEK_MAX));
	if (!err)
		p->len = (size_t)MIN(slot->paddr + slot->size - p->paddr, (uint64_t)DOMAIN_PEEK_MAX);
	return err;
}

static struct gdump_error *libvirt_peek(struct libvirt_guest *g, uint64_t paddr, unsigned char *buf,
					size_t len)
{
	struct gdump_error *err = NULL;

	while (!err && len) {
		struct libvirt_piece *p = g->pieces, *oldest = p;
		size_t n;

		for (; p < g->pieces + NUM_PIECES && !libvirt_piece_has(p, paddr); p++)
			oldest = p->read_us < oldest->read_us ? p : oldest;
		if (p == g->pieces + NUM_PIECES) {
			p = oldest;
			err = libvirt_piece_fetch(g, paddr, p);
			if (err)
				break;
		}
		n = (size_t)MIN(p->paddr + p->len - paddr, (uint64_t)len);
		memcpy(buf, p->data + (paddr - p->paddr), n);
		paddr += n;
		buf += n;
		len -= n;
	}
	return err;
}

/* Read from the dump, load by load. */
static struct gdump_error *libvirt_dump_memory(struct libvirt_guest *g, uint64_t paddr,
					       unsigned char *buf, size_t len)
{
	const struct qemu_head *head = libvirt_dump_head(g->dump);
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && len && i < head->num_loads; i++) {
		const struct qemu_load *l = &head->loads[i];
		size_t n;

		if (paddr < l->paddr || paddr - l->paddr >= l->size)
			continue;
		n = (size_t)MIN(l->size - (paddr - l->paddr), (uint64_t)len);
		err = libvirt_dump_read(g->dump, l->off + (paddr - l->paddr), buf, n);
		paddr += n;
		buf += n;
		len -= n;
	}
	if (!err && len)
		err = error_new(GDUMP_ERR_NODATA, "libvirt did not dump the memory at 0x%" PRIx64, paddr);
	return err;
}

struct gdump_error *libvirt_indirect_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct libvirt_guest *g = (struct libvirt_guest *)s;

	return g->dump && s->in_order ? libvirt_dump_memory(g, paddr, buf, len) :
					libvirt_peek(g, paddr, buf, len);
}
