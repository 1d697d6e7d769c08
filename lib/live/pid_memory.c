/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pid_memory.c - where the memory of a guest is in the process that runs it
 *
 * There are three who know it: KVM, in the memory of the host's kernel; the guest's kernel, in the
 * memory of the process; and the user.  KVM is right in every case, the user's word is taken
 * before anything else, and the guest's kernel is asked where KVM cannot be.
 */
#include "pid_memory.h"

#include <inttypes.h>
#include <stdlib.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/debug.h"
#include "kvm_slots.h"
#include "layout.h"

static int pid_memory_compare(const void *a, const void *b)
{
	const struct mem_slot *x = a, *y = b;

	return (x->paddr > y->paddr) - (x->paddr < y->paddr);
}

/* The user's ranges, whose offset is an address of the process */
static struct gdump_error *pid_memory_take_ranges(struct pid_memory *m,
						  const struct gdump_open_options *opt)
{
	struct memory_map *map = &m->map;

	m->origin = PID_MEMORY_RANGES;
	map->slots = calloc(opt->num_extents, sizeof(*map->slots));
	if (!map->slots)
		return error_nomem();
	for (size_t i = 0; i < opt->num_extents; i++) {
		const struct gdump_extent *x = &opt->extents[i];

		if (!x->size || !range_fits(x->start, x->size, UINT64_MAX) ||
		    !range_fits(x->offset, x->size, UINT64_MAX))
			return error_new(GDUMP_ERR_USAGE, "the range at 0x%" PRIx64
					 " does not fit into 64 bits", x->start);
		map->slots[map->num_slots++] = (struct mem_slot){
			.paddr = x->start, .size = x->size, .hva = x->offset,
		};
	}
	qsort(map->slots, map->num_slots, sizeof(*map->slots), pid_memory_compare);
	for (size_t i = 1; i < map->num_slots; i++) {
		if (map->slots[i].paddr - map->slots[i - 1].paddr < map->slots[i - 1].size)
			return error_new(GDUMP_ERR_USAGE, "two ranges contain the address 0x%" PRIx64,
					 map->slots[i].paddr);
	}
	return NULL;
}

static struct gdump_error *pid_memory_ask_kvm(struct pid_memory *m,
					      const struct gdump_open_options *opt)
{
	bool has_private;
	struct gdump_error *err = kvm_slots_open(m->pid, &m->slots);

	if (!err)
		err = kvm_slots_read(m->slots, &m->map, &has_private);
	if (!err && has_private && !opt->allow_encrypted)
		err = error_new(GDUMP_ERR_PROTECTED,
				"some of the memory is private to the guest (guest_memfd), and cannot be read from outside");
	return err;
}

/* @why: why KVM cannot be asked; NULL: it does not run the guest. */
static struct gdump_error *pid_memory_ask_guest(struct pid_memory *m,
						const struct gdump_error *why,
						const struct gdump_open_options *opt)
{
	const struct debug debug = debug_of(opt);
	struct gdump_error *err;

	if (why)
		debug_log(&debug, GDUMP_DEBUG_STEP, "the memory slots of KVM are unknown: %s",
			  gdump_error_message(why));
	m->origin = PID_MEMORY_LAYOUT;
	memory_map_deinit(&m->map);
	err = layout_find(m->mem, m->machine, opt->kernel, &debug, &m->map);
	if (!err || gdump_error_code(err) == GDUMP_ERR_NOMEM)
		return err;
	err = error_prefix(err, "the place of the guest's memory in process %d is unknown (--range says it)",
			   (int)m->pid);
	return why ? error_prefix(err, "%s", gdump_error_message(why)) : err;
}

static struct gdump_error *pid_memory_locate(struct pid_memory *m, bool has_kvm,
					     const struct gdump_open_options *opt)
{
	CLEANUP_ERROR struct gdump_error *why = NULL;

	if (opt->num_extents)
		return pid_memory_take_ranges(m, opt);
	if (has_kvm) {
		why = pid_memory_ask_kvm(m, opt);
		if (!why || gdump_error_code(why) == GDUMP_ERR_PROTECTED ||
		    gdump_error_code(why) == GDUMP_ERR_NOMEM)
			return TAKE_PTR(why);
	}
	return pid_memory_ask_guest(m, why, opt);
}

struct gdump_error *pid_memory_find(struct pid_memory *m, bool has_kvm,
				    const struct gdump_open_options *opt)
{
	const struct debug debug = debug_of(opt);
	struct gdump_error *err = procmem_open(m->pid, &m->mem);

	if (!err)
		err = pid_memory_locate(m, has_kvm, opt);
	for (size_t i = 0; !err && i < m->map.num_slots; i++) {
		const struct mem_slot *s = &m->map.slots[i];

		err = procmem_use(m->mem, s->hva, s->size);
		debug_log(&debug, GDUMP_DEBUG_STEP, "guest memory from 0x%" PRIx64 " to 0x%" PRIx64
			  " is at 0x%" PRIx64 " of process %d, as %s", s->paddr,
			  s->paddr + (s->size - 1), s->hva, (int)m->pid,
			  m->origin == PID_MEMORY_KVM ? "KVM says" :
			  m->origin == PID_MEMORY_LAYOUT ? "the guest's kernel proves" :
			  "the caller says");
	}
	return err;
}

struct gdump_error *pid_memory_check(const struct pid_memory *m)
{
	struct memory_map now = { 0 };
	bool has_private;
	struct gdump_error *err;

	if (m->origin != PID_MEMORY_KVM)
		return NULL;
	err = kvm_slots_read(m->slots, &now, &has_private);
	if (!err && !memory_map_equals(&now, &m->map))
		err = error_new(GDUMP_ERR_REMOTE,
				"the guest's memory map changed during preparation; try again");
	memory_map_deinit(&now);
	return err;
}

const char *pid_memory_remark(const struct pid_memory *m)
{
	switch (m->origin) {
	case PID_MEMORY_LAYOUT: return ", memory layout recovered from the guest's kernel";
	case PID_MEMORY_RANGES: return ", memory layout as given by --range";
	case PID_MEMORY_KVM: break;
	}
	return "";
}

void pid_memory_deinit(struct pid_memory *m)
{
	procmem_close(m->mem);
	memory_map_deinit(&m->map);
	kvm_slots_close(m->slots);
}
