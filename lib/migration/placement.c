/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/placement.c - where in guest-physical memory a stream's blocks are
 *
 * Theory of operation.  The board is found by the machine's name, or where the stream does not say
 * it, by the name of the block with the machine's memory.  An unknown board is an error: its memory
 * may begin anywhere.  Then each block is one of these, in this order:
 *
 *     the machine's memory    the board's name for it, such as "pc.ram"
 *     a device's own          ROMs, flash, video memory, tags: by name; omitted
 *     a block with a hint     a DIMM whose address the domain's XML gives
 *     virtio-mem              the state of its device has its address and size
 *     the machine's memory    a memory backend with a name of its own, or one for each NUMA node
 *     unknown                 a DIMM, say: omitted, and the dump is incomplete, as nothing in the
 *                             stream has its address
 *
 * The machine's memory begins at the board's base address.  A PC has a hole below 4 GiB for
 * devices.  Its lower end follows from the machine and the size, unless the user moved it
 * (max-ram-below-4g).  But the firmware gets the sizes below and above through the CMOS memory of
 * the clock, whose state is in the stream.  If that does not prove where the hole is, the rule is
 * used, and the placement is marked as assumed.
 *
 * Facts: QEMU's hw/i386/pc_piix.c, pc_q35.c, microvm.c and pc.c (CMOS); hw/arm/virt.c, sbsa-ref.c
 * and raspi.c, hw/riscv/virt.c, hw/loongarch/virt.c, hw/virtio/virtio-mem.c, hw/tpm/tpm_ppi.c.
 */
#include "placement.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bits.h"

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

#define KiB ((uint64_t)1 << 10)
#define MiB ((uint64_t)1 << 20)
#define GiB ((uint64_t)1 << 30)

/* The machines whose memory can be placed */
static const struct board {
	const char *name;               /* the beginning of the machine's name  */
	uint16_t arch;                  /* ELF e_machine                        */
	const char *block;              /* its memory without a backend, if a
					 * name like this is only for that      */
	uint64_t base;                  /* where its memory begins              */
	/* size of what is below a hole, and where the rest begins; below 0, rest not: as
	 * in a PC; both 0: there is no hole
	 */
	uint64_t below, rest;
} boards[] = {
	{ "pc",              EM_X86_64,    "pc.ram",        .rest = 4 * GiB },
	{ "q35",             EM_X86_64,    "pc.ram",        .rest = 4 * GiB },
	{ "isapc",           EM_X86_64,    "pc.ram",        .rest = 4 * GiB },
	{ "microvm",         EM_X86_64,    "microvm.ram",   .rest = 4 * GiB },
	{ "virt",            EM_AARCH64,   "mach-virt.ram", .base = GiB },
	{ "sbsa-ref",        EM_AARCH64,   "sbsa-ref.ram",  .base = 1024 * GiB },
	{ "raspi",           EM_AARCH64,   "" },
	{ "pseries",         EM_PPC64,     "ppc_spapr.ram" },
	{ "powernv",         EM_PPC64,     "pnv.ram" },
	{ "s390-ccw-virtio", EM_S390,      "s390.ram" },
	{ "virt",            EM_RISCV,     "riscv_virt_board.ram", .base = 2 * GiB },
	{ "virt",            EM_LOONGARCH, "loongarch.ram", .below = 256 * MiB, .rest = 2 * GiB },
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
	const char *machine;            /* its name; "": unknown                */
	const struct board *board;
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

static bool has_block(const struct migration *m, const char *name)
{
	for (size_t i = 0; i < m->num_blocks; i++) {
		if (!strcmp(m->blocks[i].name, name))
			return true;
	}
	return false;
}

/* The architecture of the CPUs, or 0: their state is missing, or not known. */
static uint16_t cpu_arch(const struct devices *d)
{
	const struct device *cpu = devices_find(d, "cpu", 0);
	struct field f;

	for (size_t i = 0; cpu && i < ARRAY_SIZE(cpu_fields); i++) {
		if (device_field(cpu, cpu_fields[i].field, &f))
			return cpu_fields[i].machine;
	}
	return 0;
}

/* Several architectures have a machine "virt"; the CPUs or the name of a block decide.  NULL: the
 * machine is unknown, or may be one of several with their memory in different places.
 */
static const struct board *placer_find_board(const struct placer *y)
{
	const uint16_t arch = cpu_arch(y->d);
	const struct board *found = NULL;
	bool differ = false;

	for (size_t i = 0; i < ARRAY_SIZE(boards); i++) {
		const struct board *b = &boards[i];

		if ((arch && b->arch != arch) ||
		    strncmp(b->name, y->machine, y->machine[0] ? strlen(b->name) : 0))
			continue;
		if (has_block(y->m, b->block))
			return b;
		differ |= found && (found->base != b->base || found->below != b->below ||
				    found->rest != b->rest);
		found = b;
	}
	return differ ? NULL : found;
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

static void placer_assume(const struct placer *y, const char *what)
{
	if (!y->l->warning[0])
		snprintf(y->l->warning, sizeof(y->l->warning), "%s", what);
}

/* Which block is what ----------------------------------------------------- */

/* ROMs, flash, video memory, the tags of MTE, the page of a TPM: named after their device or its
 * address.
 */
static bool block_is_device(const struct migration_block *b)
{
	static const char *const parts[] = {
		"/", ".rom", ".bios", ".vram", ".vrom", ".flash", ".mrom", "ivshmem", "secure-ram",
		".tag", ".secure-tag", "tpm-ppi",
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

		if (!strcmp(b->name, y->board->block)) {
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
			if (!err)
				y->l->ranges[y->l->num_ranges - 1].sparse = true;
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

/* What the firmware gets: how much RAM is below 4 GiB, rounded down to a multiple of ->unit,
 * and above in units of 64 KiB modulo 2^24
 */
struct cmos_sizes {
	uint64_t below, unit, above;
};

/* False: the state of the clock is not in the stream. */
static bool pc_read_cmos(const struct placer *y, struct cmos_sizes *ret)
{
	const struct device *clock = devices_find(y->d, "mc146818rtc", 0);
	const unsigned char *p;
	struct field f;
	uint64_t base, low, high;

	if (!clock || !device_field(clock, "cmos_data", &f) || f.size * f.num < 0x5e)
		return false;
	p = f.p;
	base = (uint64_t)p[0x15] | (uint64_t)p[0x16] << 8;
	low = (uint64_t)p[0x30] | (uint64_t)p[0x31] << 8;
	high = (uint64_t)p[0x34] | (uint64_t)p[0x35] << 8;
	ret->unit = high ? 64 * KiB : KiB;
	ret->below = high ? 16 * MiB + high * ret->unit :
		     base < 640 ? base * KiB : MiB + low * KiB;
	ret->above = (uint64_t)p[0x5b] | (uint64_t)p[0x5c] << 8 | (uint64_t)p[0x5d] << 16;
	return true;
}

/* Whether the CMOS proves how much of @total bytes is below 4 GiB: its two sizes are all of it. */
static bool pc_fits_cmos(const struct placer *y, uint64_t total, uint64_t *below)
{
	struct cmos_sizes sizes;
	uint64_t rest;

	if (!pc_read_cmos(y, &sizes) || sizes.below > total)
		return false;
	rest = total - sizes.below;
	*below = sizes.above ? sizes.below : total;
	return sizes.above ? !(rest % (64 * KiB)) && (rest / (64 * KiB) & 0xffffff) == sizes.above :
			     rest < sizes.unit;
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
		placer_assume(y, "the memory of the NUMA nodes is assumed to be in the order of its names");
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
		else if (y->board->arch == EM_X86_64)
			placer_add_by_size(y);
	}
	qsort_r(y->mains, y->num_mains, sizeof(*y->mains), block_by_version, y->m->blocks);
}

/* How many bytes of the machine's memory lie below the hole */
static uint64_t below_hole(const struct placer *y)
{
	uint64_t below;

	if (!y->board->rest)
		return UINT64_MAX;
	if (y->board->below)
		return y->board->below;
	if (!pc_fits_cmos(y, y->total, &below)) {
		below = pc_below_by_rule(y, y->total);
		placer_assume(y, "where the memory continues above 4 GiB is assumed: the state of the clock, which has it, is missing or does not match the size of the memory");
	}
	if (y->total > below && y->total - below > 1008 * GiB)
		placer_assume(y, "there are more than 1008 GiB: an AMD guest has most of it at 1 TiB, not at 4 GiB as assumed");
	return below;
}

static struct gdump_error *placer_place_mains(struct placer *y)
{
	const struct board *board = y->board;
	const uint64_t below = below_hole(y);
	struct gdump_error *err = NULL;
	uint64_t at = 0;

	for (size_t i = 0; !err && i < y->num_mains; i++) {
		const uint32_t block = y->mains[i];
		const uint64_t size = y->m->blocks[block].size;
		const uint64_t low = at < below ? MIN(size, below - at) : 0;

		err = place(y->l, board->base + at, low, block, 0);
		if (!err)
			err = place(y->l, board->rest + at + low - below, size - low, block, low);
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

/* Blocks whose address nothing in the stream has are omitted, unless no memory would remain. */
static struct gdump_error *placer_omit_unknown(const struct placer *y)
{
	if (!y->num_mains)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "no memory block of the stream is one that guestdump knows as the memory of machine '%s'",
				 y->machine);
	for (size_t i = 0; i < y->m->num_blocks; i++) {
		const struct migration_block *b = &y->m->blocks[i];

		if (y->uses[i] == USE_UNKNOWN && !y->l->warning[0])
			snprintf(y->l->warning, sizeof(y->l->warning),
				 "memory block '%.64s' (%" PRIu64 " KiB) is omitted: its address is not in the stream; libvirt's save file (virsh save) has the addresses of DIMMs",
				 b->name, b->size >> 10);
	}
	return NULL;
}

static struct gdump_error *placer_run(struct placer *y)
{
	struct placement *l = y->l;
	struct gdump_error *err;

	y->board = placer_find_board(y);
	if (!y->board)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the machine '%s' is unknown, and so is where its memory begins",
				 y->machine);
	l->machine = y->board->arch;
	err = placer_classify(y);
	if (err)
		return err;
	placer_find_mains(y);
	err = placer_omit_unknown(y);
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
