/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/placement.c - where in guest-physical memory a stream's blocks are
 *
 * Theory of operation.  Each block of RAM is one of these, looked for in this order:
 *
 *     a block with a hint     a DIMM whose address the domain's XML gives
 *     virtio-mem              the state of its device has its address and size
 *     a device's own          ROMs, flash, video memory: by name; omitted
 *     the machine's memory    "pc.ram", or a memory backend with a name of its
 *                             own, or one such for each NUMA node
 *     a DIMM                  anything else: an error, since nothing has its address
 *
 * The machine's memory begins at the machine's base address.  A PC has a hole below
 * 4 GiB for devices.  Its lower end follows from the machine and the size, unless
 * the user moved it (max-ram-below-4g); but the firmware gets the sizes below
 * and above through the CMOS memory of the clock, whose state is in the stream.
 *
 * Facts: QEMU's hw/i386/pc_piix.c, pc_q35.c, microvm.c and pc.c (CMOS); hw/arm/virt.c,
 * hw/riscv/virt.c, hw/loongarch/virt.c, hw/virtio/virtio-mem.c.
 */
#include "placement.h"

#include <elf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bits.h"

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

#define MiB ((uint64_t)1 << 20)
#define GiB ((uint64_t)1 << 30)

/* The machine's memory, by the name that it has without a memory backend. */
static const struct board {
	const char *block;
	uint16_t machine;
} boards[] = {
	{ "pc.ram",               EM_X86_64 },
	{ "microvm.ram",          EM_X86_64 },
	{ "mach-virt.ram",        EM_AARCH64 },
	{ "ppc_spapr.ram",        EM_PPC64 },
	{ "pnv.ram",              EM_PPC64 },
	{ "s390.ram",             EM_S390 },
	{ "riscv_virt_board.ram", EM_RISCV },
	{ "loongarch.ram",        EM_LOONGARCH },
};

/* Where the machines of an architecture have their memory; others: from 0 on */
static const struct memory_map {
	uint16_t machine;
	uint64_t base;                  /* of all                               */
	/* size of what is below a hole, and where the rest begins; below 0, rest not: as
	 * in a PC; both 0: there is no hole
	 */
	uint64_t below, rest;
} memory_maps[] = {
	{ EM_X86_64,    .rest = 4 * GiB },
	{ EM_AARCH64,   .base = GiB },
	{ EM_ARM,       .base = GiB },
	{ EM_RISCV,     .base = 2 * GiB },
	{ EM_LOONGARCH, .below = 256 * MiB, .rest = 2 * GiB },
};

/* What only the CPU state of one architecture has */
static const struct {
	const char *field;
	uint16_t machine;
} cpu_fields[] = {
	{ "eip",      EM_X86_64 },
	{ "xregs",    EM_AARCH64 },
	{ "nip",      EM_PPC64 },
	{ "psw.mask", EM_S390 },
	{ "CSR_CRMD", EM_LOONGARCH },
	{ "mstatus",  EM_RISCV },
};

/* How the names of machines with an x86 CPU begin */
static const char *const pcs[] = { "pc", "q35", "microvm", "isapc" };

/* How much of its memory a PC has below 4 GiB: all, if that is less than .all_below, else
 * .below
 */
struct pc_rule {
	uint64_t all_below, below;
};

static const struct pc_rule rule_microvm = { 3 * GiB, 3 * GiB },
			    rule_q35     = { 0xb0000000, 2 * GiB },
			    rule_i440fx  = { 0xe0000000, 3 * GiB };

enum block_use { USE_UNKNOWN, USE_PLACED, USE_DEVICE, USE_MAIN };

struct placer {
	struct placement *l;
	const struct migration *m;
	const struct devices *d;
	const struct placement_hints *hints;
	const char *machine;            /* its name                             */
	enum block_use *uses;           /* by number of block                   */
	uint32_t *mains;                /* blocks, in the order of addresses    */
	size_t num_mains;
	uint64_t total;                 /* bytes of those                       */
	size_t num_unknown;
};

/* Older machines give backends their whole path. */
static const char *block_short_name(const struct migration_block *b)
{
	static const char objects[] = "/objects/";

	return strncmp(b->name, objects, sizeof(objects) - 1) ? b->name
							      : b->name + sizeof(objects) - 1;
}

static const struct board *block_board(const struct migration_block *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(boards); i++) {
		if (!strcmp(boards[i].block, b->name))
			return &boards[i];
	}
	return NULL;
}

static uint16_t placement_machine(const struct migration *m, const struct devices *d,
				  const char *machine)
{
	const struct device *cpu = devices_find(d, "cpu", 0);
	struct field f;

	for (size_t i = 0; cpu && i < ARRAY_SIZE(cpu_fields); i++) {
		if (device_field(cpu, cpu_fields[i].field, &f))
			return cpu_fields[i].machine;
	}
	for (size_t i = 0; i < m->num_blocks; i++) {
		const struct board *b = block_board(&m->blocks[i]);

		if (b)
			return b->machine;
	}
	for (size_t i = 0; i < ARRAY_SIZE(pcs); i++) {
		if (!strncmp(machine, pcs[i], strlen(pcs[i])))
			return EM_X86_64;
	}
	return 0;
}

static struct gdump_error *place(struct placement *l, uint64_t paddr, uint64_t size, uint32_t block,
				 uint64_t off)
{
	if (!size)
		return NULL;
	if (paddr + (size - 1) < paddr)
		return error_new(GDUMP_ERR_CORRUPT, "memory at 0x%" PRIx64 " ends beyond the address space",
				 paddr);
	if (!ARRAY_GROW(l->ranges, l->num_ranges))
		return error_nomem();
	l->ranges[l->num_ranges++] = (struct block_range){
		.paddr = paddr, .size = size, .off = off, .block = block,
	};
	return NULL;
}

/* Which block is what ----------------------------------------------------- */

/* ROMs, flash and video memory: named after their device or its address. */
static bool block_is_device(const struct migration_block *b)
{
	static const char *const parts[] = {
		"/", ".rom", ".bios", ".vram", ".vrom", ".flash", ".mrom", "ivshmem", "secure-ram",
	};
	const char *name = block_short_name(b);

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (strstr(name, parts[i]))
			return true;
	}
	return false;
}

static bool placer_find_hint(const struct placer *y, const struct migration_block *b,
			     uint64_t *paddr)
{
	for (size_t i = 0; i < y->hints->num_addrs; i++) {
		if (!strcmp(y->hints->addrs[i].block, block_short_name(b))) {
			*paddr = y->hints->addrs[i].paddr;
			return true;
		}
	}
	return false;
}

/* The block of a virtio-mem device has its size; two of the same size cannot be
 * distinguished.
 */
static bool placer_find_virtio_mem(const struct placer *y, uint32_t block, uint64_t *paddr)
{
	const uint64_t size = y->m->blocks[block].size;
	size_t num = 0;

	for (size_t i = 0; i < y->d->num; i++) {
		const struct device *dev = &y->d->list[i];
		uint64_t region_size;

		if (strstr(dev->name, "virtio-mem") &&
		    device_number(dev, "region_size", &region_size) && region_size == size &&
		    device_number(dev, "addr", paddr))
			num++;
	}
	for (size_t i = 0; num && i < y->m->num_blocks; i++) {
		if (i != block && y->uses[i] == USE_UNKNOWN && y->m->blocks[i].size == size)
			return false;
	}
	return num == 1;
}

static struct gdump_error *placer_classify(struct placer *y)
{
	struct gdump_error *err = NULL;

	for (uint32_t i = 0; !err && i < y->m->num_blocks; i++) {
		const struct migration_block *b = &y->m->blocks[i];
		uint64_t paddr;

		if (block_board(b)) {
			y->uses[i] = USE_MAIN;
		} else if (block_is_device(b)) {
			y->uses[i] = USE_DEVICE;
		} else if (placer_find_hint(y, b, &paddr)) {
			y->uses[i] = USE_PLACED;
			err = place(y->l, paddr, b->size, i, 0);
		}
	}
	for (uint32_t i = 0; !err && i < y->m->num_blocks; i++) {
		uint64_t paddr;

		if (y->uses[i] != USE_UNKNOWN)
			continue;
		if (placer_find_virtio_mem(y, i, &paddr)) {
			y->uses[i] = USE_PLACED;
			err = place(y->l, paddr, y->m->blocks[i].size, i, 0);
		} else {
			y->num_unknown++;
		}
	}
	return err;
}

/* PCs --------------------------------------------------------------------- */

static bool pc_is_q35(const struct placer *y)
{
	return strstr(y->machine, "q35") || devices_find(y->d, "0000:00:00.0/mch", 0);
}

static uint64_t pc_below_by_rule(const struct placer *y, uint64_t total)
{
	const struct pc_rule *rule = !strncmp(y->machine, "microvm", 7) ? &rule_microvm :
				     pc_is_q35(y) ? &rule_q35 : &rule_i440fx;

	return total < rule->all_below ? total : rule->below;
}

/* How much RAM is below 4 GiB, and above in units of 64 KiB modulo 2^24, as the
 * firmware gets it; false: the state of the clock is not in the stream.
 */
static bool pc_below_by_cmos(const struct placer *y, uint64_t *below, uint64_t *above)
{
	const struct device *clock = devices_find(y->d, "mc146818rtc", 0);
	const unsigned char *p;
	struct field f;

	if (!clock || !device_field(clock, "cmos_data", &f) || f.size * f.num < 0x5e)
		return false;
	p = f.p;
	*below = 16 * MiB + ((uint64_t)p[0x34] | (uint64_t)p[0x35] << 8) * 65536;
	*above = (uint64_t)p[0x5b] | (uint64_t)p[0x5c] << 8 | (uint64_t)p[0x5d] << 16;
	return p[0x34] || p[0x35];
}

static bool pc_fits_cmos(const struct placer *y, uint64_t total, uint64_t *below)
{
	uint64_t above;

	return pc_below_by_cmos(y, below, &above) && *below <= total + 65535 &&
	       (((total - MIN(*below, total)) >> 16) & 0xffffff) == above;
}

/* The machine's memory ---------------------------------------------------- */

static int block_by_version(const void *a, const void *b, void *arg)
{
	const struct migration_block *blocks = arg;
	const uint32_t *x = a, *y = b;

	return strverscmp(block_short_name(&blocks[*x]), block_short_name(&blocks[*y]));
}

static void placer_add_main(struct placer *y, uint32_t i)
{
	y->uses[i] = USE_MAIN;
	y->mains[y->num_mains++] = i;
	y->total += y->m->blocks[i].size;
}

/* Blocks whose name begins with @prefix */
static size_t placer_add_prefix(struct placer *y, const char *prefix)
{
	const size_t before = y->num_mains;

	for (uint32_t i = 0; i < y->m->num_blocks; i++) {
		if (y->uses[i] == USE_UNKNOWN &&
		    !strncmp(block_short_name(&y->m->blocks[i]), prefix, strlen(prefix)))
			placer_add_main(y, i);
	}
	return y->num_mains - before;
}

/* On a PC the CMOS has the sum: the one block of that size, or all. */
static void placer_add_by_size(struct placer *y)
{
	uint64_t below, sum = 0;

	for (uint32_t i = 0; i < y->m->num_blocks; i++) {
		if (y->uses[i] != USE_UNKNOWN)
			continue;
		sum += y->m->blocks[i].size;
		if (pc_fits_cmos(y, y->m->blocks[i].size, &below)) {
			placer_add_main(y, i);
			return;
		}
	}
	if (pc_fits_cmos(y, sum, &below)) {
		placer_add_prefix(y, "");
		y->l->warning = "the NUMA nodes' memory is assumed to lie in the order of its names";
	}
}

/* libvirt calls the nodes' backends ram-nodeN, and what can be plugged memdimmN etc. */
static void placer_find_mains(struct placer *y)
{
	for (uint32_t i = 0; i < y->m->num_blocks; i++) {
		if (y->uses[i] == USE_MAIN) {
			placer_add_main(y, i);
			return;
		}
	}
	if (!placer_add_prefix(y, "ram-node")) {
		if (y->num_unknown == 1)
			placer_add_prefix(y, "");
		else if (y->l->machine == EM_X86_64)
			placer_add_by_size(y);
	}
	qsort_r(y->mains, y->num_mains, sizeof(*y->mains), block_by_version, y->m->blocks);
}

static const struct memory_map *memory_map_of(uint16_t machine)
{
	static const struct memory_map none = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(memory_maps); i++) {
		if (memory_maps[i].machine == machine)
			return &memory_maps[i];
	}
	return &none;
}

/* How many bytes of the machine's memory lie below the hole */
static uint64_t below_hole(const struct placer *y, const struct memory_map *map)
{
	uint64_t below;

	if (!map->rest)
		return UINT64_MAX;
	if (map->below)
		return map->below;
	if (!pc_fits_cmos(y, y->total, &below))
		below = pc_below_by_rule(y, y->total);
	if (y->total > below && y->total - below > 1008 * GiB)
		y->l->warning = "there are more than 1008 GiB: an AMD guest has most of it at 1 TiB, not at 4 GiB as assumed";
	return below;
}

static struct gdump_error *placer_place_mains(struct placer *y)
{
	const struct memory_map *map = memory_map_of(y->l->machine);
	const uint64_t below = below_hole(y, map);
	struct gdump_error *err = NULL;
	uint64_t at = 0;

	for (size_t i = 0; !err && i < y->num_mains; i++) {
		const uint32_t block = y->mains[i];
		const uint64_t size = y->m->blocks[block].size;
		const uint64_t low = at < below ? MIN(size, below - at) : 0;

		err = place(y->l, map->base + at, low, block, 0);
		if (!err)
			err = place(y->l, map->rest + at + low - below, size - low, block, low);
		at += size;
	}
	return err;
}

/* ------------------------------------------------------------------------- */

static int range_by_paddr(const void *a, const void *b)
{
	const struct block_range *x = a, *y = b;

	return (x->paddr > y->paddr) - (x->paddr < y->paddr);
}

static struct gdump_error *placement_check_overlap(const struct placement *l,
						   const struct migration *m)
{
	for (size_t i = 1; i < l->num_ranges; i++) {
		const struct block_range *r = &l->ranges[i];

		if (r->paddr <= r[-1].paddr + (r[-1].size - 1))
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "memory blocks '%s' and '%s' seem to lie at the same address, 0x%" PRIx64,
					 m->blocks[r[-1].block].name, m->blocks[r->block].name,
					 r->paddr);
	}
	return NULL;
}

static struct gdump_error *placer_check_all(const struct placer *y)
{
	for (size_t i = 0; i < y->m->num_blocks; i++) {
		if (y->uses[i] == USE_UNKNOWN)
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "the address of memory block '%s' (%" PRIu64 " MiB) is not in the stream: it may be a DIMM; libvirt's save file (virsh save) has it",
					 y->m->blocks[i].name, y->m->blocks[i].size >> 20);
	}
	if (!y->num_mains)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "no memory block of the stream is one that guestdump knows as a machine's memory");
	return NULL;
}

static struct gdump_error *placer_run(struct placer *y)
{
	struct placement *l = y->l;
	struct gdump_error *err = placer_classify(y);

	if (err)
		return err;
	placer_find_mains(y);
	err = placer_check_all(y);
	if (!err && !l->machine)
		err = error_new(GDUMP_ERR_UNSUPPORTED,
				"the machine '%s' is unknown, and so is where its memory begins",
				y->machine);
	if (!err)
		err = placer_place_mains(y);
	if (err)
		return err;
	qsort(l->ranges, l->num_ranges, sizeof(*l->ranges), range_by_paddr);
	return placement_check_overlap(l, y->m);
}

struct gdump_error *placement_make(struct placement *l, const struct migration *m,
				   const struct devices *d, const struct placement_hints *hints)
{
	struct placer y = { .l = l, .m = m, .d = d, .hints = hints, .machine = m->machine };
	struct gdump_error *err;

	if (!y.machine[0] && hints->machine)
		y.machine = hints->machine;
	l->machine = placement_machine(m, d, y.machine);
	y.uses = calloc(m->num_blocks, sizeof(*y.uses));
	y.mains = calloc(m->num_blocks, sizeof(*y.mains));
	err = y.uses && y.mains ? placer_run(&y) : error_nomem();
	free(y.uses);
	free(y.mains);
	return err;
}

void placement_deinit(struct placement *l)
{
	free(l->ranges);
	*l = (struct placement){ 0 };
}
