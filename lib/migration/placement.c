/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migration/placement.c - where in guest-physical memory a stream's blocks are
 *
 * Theory of operation.  Each block of RAM is one of these, looked for in this order:
 *
 *     placed by a hint        a DIMM whose address the domain's XML gives
 *     virtio-mem              its device's state has its address and size
 *     a device's own          ROMs, flash, video memory: by name; left out
 *     the machine's memory    "pc.ram", or a memory backend with a name of its
 *                             own, or one such for each NUMA node
 *     a DIMM                  anything else: an error, its place is not known
 *
 * The machine's memory begins at the machine's base address.  A PC has a hole below
 * 4 GiB for devices.  Its lower end follows from the machine and the size, unless
 * the user moved it (max-ram-below-4g); but the firmware is told the sizes below
 * and above by the CMOS memory of the clock, whose state is in the stream.
 *
 * Facts: QEMU's hw/i386/pc_piix.c, pc_q35.c, microvm.c and pc.c (CMOS); hw/arm/virt.c,
 * hw/riscv/virt.c, hw/loongarch/virt.c, hw/virtio/virtio-mem.c.
 */
#include "placement.h"

#include <elf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

static const uint64_t MiB = (uint64_t)1 << 20, GiB = (uint64_t)1 << 30;

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

enum block_use { USE_UNKNOWN, USE_PLACED, USE_DEVICE, USE_MAIN };

struct layouter {
	struct migration_layout *l;
	const struct migration *m;
	const struct devices *d;
	const struct migration_hints *hints;
	const char *machine;            /* its name                             */
	enum block_use *uses;           /* by number of block                   */
	uint32_t *mains;                /* blocks, in the order of addresses    */
	size_t num_mains;
	uint64_t total;                 /* bytes of those                       */
	size_t num_unknown;
};

/* Older machines give backends their whole path. */
static const char *short_name(const struct migration_block *b)
{
	static const char objects[] = "/objects/";

	return strncmp(b->name, objects, sizeof(objects) - 1) ? b->name
							      : b->name + sizeof(objects) - 1;
}

static const struct board *board_of(const struct migration_block *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(boards); i++) {
		if (!strcmp(boards[i].block, b->name))
			return &boards[i];
	}
	return NULL;
}

static uint16_t find_machine(const struct migration *m, const struct devices *d,
			     const char *machine)
{
	const struct device *cpu = devices_find(d, "cpu", 0);
	struct field f;

	for (size_t i = 0; cpu && i < ARRAY_SIZE(cpu_fields); i++) {
		if (device_field(cpu, cpu_fields[i].field, &f))
			return cpu_fields[i].machine;
	}
	for (size_t i = 0; i < m->num_blocks; i++) {
		const struct board *b = board_of(&m->blocks[i]);

		if (b)
			return b->machine;
	}
	for (size_t i = 0; i < ARRAY_SIZE(pcs); i++) {
		if (!strncmp(machine, pcs[i], strlen(pcs[i])))
			return EM_X86_64;
	}
	return 0;
}

static struct gdump_error *add_region(struct migration_layout *l, uint64_t paddr, uint64_t size,
				      uint32_t block, uint64_t off)
{
	struct migration_region *r;

	if (!size)
		return NULL;
	if (paddr + (size - 1) < paddr)
		return error_new(GDUMP_ERR_CORRUPT, "memory at 0x%" PRIx64 " is past the end of all memory",
				 paddr);
	r = realloc(l->regions, (l->num_regions + 1) * sizeof(*r));
	if (!r)
		return error_nomem();
	l->regions = r;
	r[l->num_regions++] = (struct migration_region){
		.paddr = paddr, .size = size, .off = off, .block = block,
	};
	return NULL;
}

/* Which block is what ----------------------------------------------------- */

/* ROMs, flash and video memory: named after their device or its address. */
static bool is_device(const struct migration_block *b)
{
	static const char *const parts[] = {
		"/", ".rom", ".bios", ".vram", ".vrom", ".flash", ".mrom", "ivshmem", "secure-ram",
	};
	const char *name = short_name(b);

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (strstr(name, parts[i]))
			return true;
	}
	return false;
}

static bool find_hint(const struct layouter *y, const struct migration_block *b, uint64_t *paddr)
{
	for (size_t i = 0; i < y->hints->num_places; i++) {
		if (!strcmp(y->hints->places[i].block, short_name(b))) {
			*paddr = y->hints->places[i].paddr;
			return true;
		}
	}
	return false;
}

/* The block of a virtio-mem device has its size; two that are alike can't be told
 * apart.
 */
static bool find_virtio_mem(const struct layouter *y, uint32_t block, uint64_t *paddr)
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

static struct gdump_error *sort_out(struct layouter *y)
{
	struct gdump_error *err = NULL;

	for (uint32_t i = 0; !err && i < y->m->num_blocks; i++) {
		const struct migration_block *b = &y->m->blocks[i];
		uint64_t paddr;

		if (board_of(b)) {
			y->uses[i] = USE_MAIN;
		} else if (is_device(b)) {
			y->uses[i] = USE_DEVICE;
		} else if (find_hint(y, b, &paddr)) {
			y->uses[i] = USE_PLACED;
			err = add_region(y->l, paddr, b->size, i, 0);
		}
	}
	for (uint32_t i = 0; !err && i < y->m->num_blocks; i++) {
		uint64_t paddr;

		if (y->uses[i] != USE_UNKNOWN)
			continue;
		if (find_virtio_mem(y, i, &paddr)) {
			y->uses[i] = USE_PLACED;
			err = add_region(y->l, paddr, y->m->blocks[i].size, i, 0);
		} else {
			y->num_unknown++;
		}
	}
	return err;
}

/* PCs --------------------------------------------------------------------- */

static bool is_q35(const struct layouter *y)
{
	return strstr(y->machine, "q35") || devices_find(y->d, "0000:00:00.0/mch", 0);
}

static uint64_t below_by_rule(const struct layouter *y, uint64_t total)
{
	if (!strncmp(y->machine, "microvm", 7))
		return MIN(total, 3 * GiB);
	if (is_q35(y))
		return total >= 0xb0000000 ? 2 * GiB : total;
	return total >= 0xe0000000 ? 3 * GiB : total;
}

/* How much RAM is below 4 GiB, and above in units of 64 KiB modulo 2^24, as the
 * firmware is told; false: the state of the clock is not in the stream.
 */
static bool below_by_cmos(const struct layouter *y, uint64_t *below, uint64_t *above)
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

static bool fits_cmos(const struct layouter *y, uint64_t total, uint64_t *below)
{
	uint64_t above;

	return below_by_cmos(y, below, &above) && *below <= total + 65535 &&
	       (((total - MIN(*below, total)) >> 16) & 0xffffff) == above;
}

static bool is_pc(const struct layouter *y)
{
	return y->l->machine == EM_X86_64;
}

/* The machine's memory ---------------------------------------------------- */

static int by_version(const void *a, const void *b, void *arg)
{
	const struct migration_block *blocks = arg;
	const uint32_t *x = a, *y = b;

	return strverscmp(short_name(&blocks[*x]), short_name(&blocks[*y]));
}

static void take_main(struct layouter *y, uint32_t i)
{
	y->uses[i] = USE_MAIN;
	y->mains[y->num_mains++] = i;
	y->total += y->m->blocks[i].size;
}

/* Blocks whose name begins with @prefix */
static size_t take_prefix(struct layouter *y, const char *prefix)
{
	const size_t before = y->num_mains;

	for (uint32_t i = 0; i < y->m->num_blocks; i++) {
		if (y->uses[i] == USE_UNKNOWN &&
		    !strncmp(short_name(&y->m->blocks[i]), prefix, strlen(prefix)))
			take_main(y, i);
	}
	return y->num_mains - before;
}

/* On a PC the CMOS tells how much it is together; the one block of that size, or all. */
static void take_by_size(struct layouter *y)
{
	uint64_t below, sum = 0;

	for (uint32_t i = 0; i < y->m->num_blocks; i++) {
		if (y->uses[i] != USE_UNKNOWN)
			continue;
		sum += y->m->blocks[i].size;
		if (fits_cmos(y, y->m->blocks[i].size, &below)) {
			take_main(y, i);
			return;
		}
	}
	if (fits_cmos(y, sum, &below)) {
		take_prefix(y, "");
		y->l->warning = "the NUMA nodes' memory is assumed to lie in the order of its names";
	}
}

/* libvirt calls the nodes' backends ram-nodeN, and what can be plugged memdimmN etc. */
static void find_mains(struct layouter *y)
{
	for (uint32_t i = 0; i < y->m->num_blocks; i++) {
		if (y->uses[i] == USE_MAIN) {
			take_main(y, i);
			return;
		}
	}
	if (!take_prefix(y, "ram-node")) {
		if (y->num_unknown == 1)
			take_prefix(y, "");
		else if (is_pc(y))
			take_by_size(y);
	}
	qsort_r(y->mains, y->num_mains, sizeof(*y->mains), by_version, y->m->blocks);
}

static uint64_t base_of(uint16_t machine)
{
	switch (machine) {
	case EM_AARCH64: case EM_ARM:
		return GiB;
	case EM_RISCV:
		return 2 * GiB;
	default:
		return 0;
	}
}

/* How many bytes lie below the hole, and where the rest goes on */
static uint64_t below_hole(struct layouter *y, uint64_t *rest)
{
	uint64_t below;

	*rest = 0;
	if (y->l->machine == EM_LOONGARCH) {
		*rest = 2 * GiB;
		return 256 * MiB;
	}
	if (!is_pc(y))
		return UINT64_MAX;
	*rest = 4 * GiB;
	if (!fits_cmos(y, y->total, &below))
		below = below_by_rule(y, y->total);
	if (y->total > below && y->total - below > 1008 * GiB)
		y->l->warning = "more than 1008 GiB: an AMD guest has most of it at 1 TiB, not at 4 GiB as assumed";
	return below;
}

static struct gdump_error *place_mains(struct layouter *y)
{
	uint64_t rest, base = base_of(y->l->machine), at = 0;
	const uint64_t below = below_hole(y, &rest);
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < y->num_mains; i++) {
		const uint32_t block = y->mains[i];
		const uint64_t size = y->m->blocks[block].size;
		const uint64_t low = at < below ? MIN(size, below - at) : 0;

		err = add_region(y->l, base + at, low, block, 0);
		if (!err)
			err = add_region(y->l, rest + at + low - below, size - low, block, low);
		at += size;
	}
	return err;
}

/* ------------------------------------------------------------------------- */

static int by_paddr(const void *a, const void *b)
{
	const struct migration_region *x = a, *y = b;

	return (x->paddr > y->paddr) - (x->paddr < y->paddr);
}

static struct gdump_error *check_overlap(const struct migration_layout *l,
					 const struct migration *m)
{
	for (size_t i = 1; i < l->num_regions; i++) {
		const struct migration_region *r = &l->regions[i];

		if (r->paddr <= r[-1].paddr + (r[-1].size - 1))
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "memory blocks '%s' and '%s' seem to lie at the same place, 0x%" PRIx64,
					 m->blocks[r[-1].block].name, m->blocks[r->block].name,
					 r->paddr);
	}
	return NULL;
}

static struct gdump_error *check_unplaced(const struct layouter *y)
{
	for (size_t i = 0; i < y->m->num_blocks; i++) {
		if (y->uses[i] == USE_UNKNOWN)
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "the stream does not tell where memory block '%s' (%" PRIu64 " MiB) is in the guest: it may be a DIMM; a save file of libvirt (virsh save) tells it",
					 y->m->blocks[i].name, y->m->blocks[i].size >> 20);
	}
	if (!y->num_mains)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the stream has no memory block that guestdump knows as a machine's memory");
	return NULL;
}

static struct gdump_error *make(struct layouter *y)
{
	struct migration_layout *l = y->l;
	struct gdump_error *err = sort_out(y);

	if (err)
		return err;
	find_mains(y);
	err = check_unplaced(y);
	if (!err && !l->machine)
		err = error_new(GDUMP_ERR_UNSUPPORTED,
				"nothing tells what machine '%s' is, nor where its memory begins",
				y->machine);
	if (!err)
		err = place_mains(y);
	if (err)
		return err;
	qsort(l->regions, l->num_regions, sizeof(*l->regions), by_paddr);
	return check_overlap(l, y->m);
}

struct gdump_error *migration_layout_make(struct migration_layout *l, const struct migration *m,
					  const struct devices *d,
					  const struct migration_hints *hints)
{
	struct layouter y = { .l = l, .m = m, .d = d, .hints = hints, .machine = m->machine };
	struct gdump_error *err;

	if (!y.machine[0] && hints->machine)
		y.machine = hints->machine;
	l->machine = find_machine(m, d, y.machine);
	y.uses = calloc(m->num_blocks, sizeof(*y.uses));
	y.mains = calloc(m->num_blocks, sizeof(*y.mains));
	err = y.uses && y.mains ? make(&y) : error_nomem();
	free(y.uses);
	free(y.mains);
	return err;
}

void migration_layout_deinit(struct migration_layout *l)
{
	free(l->regions);
	*l = (struct migration_layout){ 0 };
}
