/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_map.c - the memory map of QEMU's guest, as QEMU's monitor shows it
 */
#include "qemu_map.h"

#include <inttypes.h>
#include <stdio.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/warn.h"
#include "mtree.h"

#define MTREE "info mtree -f"

/* Whether memory region @name is that of memory backend @id.  Old machine types
 * use the whole path.
 */
static bool qemu_map_is_backend(const char *name, const char *id)
{
	static const char objects[] = "/objects/";

	if (!strncmp(name, objects, sizeof(objects) - 1))
		name += sizeof(objects) - 1;
	return *id && !strcmp(name, id);
}

static bool qemu_map_is_any_backend(const char *name, const json_t *memdevs)
{
	const json_t *memdev;
	size_t i;

	json_array_foreach(memdevs, i, memdev) {
		const char *id = json_string_value(json_object_get(memdev, "id"));

		if (id && qemu_map_is_backend(name, id))
			return true;
	}
	return false;
}

/* Tell RAM, also where a PC's firmware made it read-only, from what devices have:
 * RAM comes from a memory backend.  Before 5.0, QEMU had none for its main
 * memory: if no name fits, all that can be written to is RAM.
 */
static struct gdump_error *qemu_map_classify(struct qmp *q, const struct mtree *m,
					     struct qemu_map *map)
{
	CLEANUP_JSON json_t *memdevs = NULL;
	struct gdump_error *err;
	bool some = false;

	err = qmp_execute(q, "query-memdev", NULL, &memdevs);
	if (err && !qmp_unknown_command(q))
		return err;
	gdump_error_destroy(err);
	for (size_t i = 0; i < m->num_ranges; i++)
		some |= qemu_map_is_any_backend(m->ranges[i].name, memdevs);
	for (size_t i = 0; i < m->num_ranges; i++) {
		const struct mtree_range *r = &m->ranges[i];
		bool ram = some ? qemu_map_is_any_backend(r->name, memdevs) : r->ram;

		/* a rom piece of a memory region that has RAM too is RAM */
		for (size_t j = 0; !ram && !some && j < m->num_ranges; j++)
			ram = m->ranges[j].ram && !strcmp(m->ranges[j].name, r->name);
		map->memory.slots[i] = (struct mem_slot){
			.paddr = r->start,
			.size = r->size,
			.kind = ram ? GDUMP_RANGE_RAM : GDUMP_RANGE_DEVICE,
		};
	}
	map->memory.num_slots = m->num_ranges;
	return NULL;
}

struct gdump_error *qemu_map_read(struct qmp *q, const struct gdump_open_options *opt,
				  struct qemu_map *ret)
{
	struct qemu_map map = { 0 };
	struct gdump_error *err;
	struct mtree m = { 0 };

	err = qmp_hmp(q, MTREE, &map.mtree);
	if (!err)
		err = mtree_parse(map.mtree, opt, &m);
	if (!err) {
		map.memory.slots = calloc(m.num_ranges, sizeof(*map.memory.slots));
		err = map.memory.slots ? qemu_map_classify(q, &m, &map) : error_nomem();
	}
	mtree_deinit(&m);
	if (err) {
		qemu_map_deinit(&map);
		return err;
	}
	*ret = map;
	return NULL;
}

void qemu_map_deinit(struct qemu_map *map)
{
	free(map->mtree);
	memory_map_deinit(&map->memory);
	*map = (struct qemu_map){ 0 };
}

struct gdump_error *qemu_map_changed(struct qmp *q, const struct qemu_map *map, bool *ret)
{
	CLEANUP_FREE char *mtree = NULL;
	struct gdump_error *err = qmp_hmp(q, MTREE, &mtree);

	if (!err)
		*ret = strcmp(mtree, map->mtree) != 0;
	return err;
}

/* Where QEMU has the byte at @paddr: "Host virtual address for 0x100000 (pc.ram)
 * is 0x7faf17f00000".  @hva is 0 if that is no memory at all.
 */
static struct gdump_error *qemu_map_hva(struct qmp *q, uint64_t paddr, uint64_t *hva)
{
	CLEANUP_FREE char *text = NULL;
	struct gdump_error *err;
	char command[40], expected[64];
	const char *is;
	char *end;

	snprintf(command, sizeof(command), "gpa2hva 0x%" PRIx64, paddr);
	snprintf(expected, sizeof(expected), "Host virtual address for 0x%" PRIx64 " (", paddr);
	err = qmp_hmp(q, command, &text);
	if (err)
		return err;
	*hva = 0;
	if (strstr(text, "is not RAM"))
		return NULL;
	is = strstr(text, ") is 0x");
	if (strncmp(text, expected, strlen(expected)) || !is)
		return qmp_bad_answer(command, "was not understood: \"%.*s\"",
			       (int)MIN(strcspn(text, "\r\n"), (size_t)100), text);
	*hva = strtoull(is + strlen(") is "), &end, 16);
	if (!*hva || (*end && *end != '\r' && *end != '\n'))
		return qmp_bad_answer(command, "has no address in it");
	return NULL;
}

struct gdump_error *qemu_map_locate(struct qmp *q, const struct gdump_open_options *opt,
				    struct qemu_map *map)
{
	struct gdump_error *err;
	size_t num = 0;

	for (size_t i = 0; i < map->memory.num_slots; i++) {
		struct mem_slot s = map->memory.slots[i];
		uint64_t last;

		err = qemu_map_hva(q, s.paddr, &s.hva);
		if (err)
			return err;
		if (!s.hva) {
			warn_caller(opt, "QEMU shows a device's registers as read-only "
				    "memory; they are not in the dump");
			continue;
		}
		err = qemu_map_hva(q, s.paddr + s.size - 1, &last);
		if (err)
			return err;
		if (last - s.hva != s.size - 1)
			return error_new(GDUMP_ERR_REMOTE, "memory at 0x%" PRIx64 " of %" PRIu64
					 " bytes is not in one piece in QEMU: from 0x%" PRIx64
					 " to 0x%" PRIx64, s.paddr, s.size, s.hva, last);
		map->memory.slots[num++] = s;
	}
	map->memory.num_slots = num;
	return NULL;
}

/* Addresses from @first to @last, both of them included */
struct span {
	uint64_t first, last;
};

/* What to keep, ascending: all in front of @window, the loads in it, all after it */
static size_t qemu_map_spans(struct qemu_extent window, const struct qemu_head *head,
			     struct span *spans)
{
	uint64_t first = window.length ? window.begin : 0;
	uint64_t last = window.length ? first + (window.length - 1) : UINT64_MAX;
	size_t num = 0;

	if (first)
		spans[num++] = (struct span){ 0, first - 1 };
	for (size_t i = 0; i < head->num_loads; i++) {
		const struct qemu_load *l = &head->loads[i];
		struct span span = { MAX(l->paddr, first), MIN(l->paddr + (l->size - 1), last) };

		if (span.first <= span.last)
			spans[num++] = span;
	}
	if (last != UINT64_MAX)
		spans[num++] = (struct span){ last + 1, UINT64_MAX };
	return num;
}

struct gdump_error *qemu_map_clip(struct qemu_map *map, struct qemu_extent window,
				  const struct qemu_head *head)
{
	CLEANUP_FREE struct span *spans = calloc(head->num_loads + 2, sizeof(*spans));
	struct mem_slot *slots = calloc(map->memory.num_slots + head->num_loads + 2,
					sizeof(*slots));
	size_t num_spans, num = 0, i = 0, k = 0;

	if (!spans || !slots) {
		free(slots);
		return error_nomem();
	}
	num_spans = qemu_map_spans(window, head, spans);
	while (i < map->memory.num_slots && k < num_spans) {
		const struct mem_slot *s = &map->memory.slots[i];
		uint64_t end = s->paddr + (s->size - 1);
		uint64_t first = MAX(s->paddr, spans[k].first), last = MIN(end, spans[k].last);

		if (first <= last)
			slots[num++] = (struct mem_slot){
				.paddr = first,
				.size = last - first + 1,
				.hva = s->hva + (first - s->paddr),
				.kind = s->kind,
			};
		if (end < spans[k].last)
			i++;
		else
			k++;
	}
	free(map->memory.slots);
	map->memory.slots = slots;
	map->memory.num_slots = num;
	return NULL;
}

static struct gdump_error *qemu_map_plugged_of(struct qmp *q, const json_t *data,
					       struct qemu_map *map)
{
	CLEANUP_HEAD struct qemu_head head = { 0 };
	static const char command[] = "query-memory-devices";
	struct qemu_extent extent;
	struct gdump_error *err;
	uint64_t size;

	err = qmp_get_uint(data, command, "memaddr", &extent.begin);
	if (!err)
		err = qmp_get_uint(data, command, "max-size", &extent.length);
	if (!err)
		err = qmp_get_uint(data, command, "size", &size);
	if (err || !extent.length || size == extent.length)
		return err;
	if (size)
		err = qemu_dump_loads(q, extent, &head);
	return err ? err : qemu_map_clip(map, extent, &head);
}

struct gdump_error *qemu_map_plugged(struct qmp *q, struct qemu_map *map)
{
	CLEANUP_JSON json_t *devices = NULL;
	struct gdump_error *err;
	const json_t *device;
	const char *type;
	size_t i;

	err = qmp_execute(q, "query-memory-devices", NULL, &devices);
	if (err && qmp_unknown_command(q)) {
		gdump_error_destroy(err);
		return NULL;
	}
	if (!err && !json_is_array(devices))
		err = qmp_bad_answer("query-memory-devices", "is no list");
	json_array_foreach(devices, i, device) {
		if (!err)
			err = qmp_get_string(device, "query-memory-devices", "type", &type);
		if (!err && !strcmp(type, "virtio-mem"))
			err = error_prefix(qemu_map_plugged_of(q, json_object_get(device, "data"),
							     map), "virtio-mem");
	}
	return err;
}
