/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/vmware.c - a suspended guest of VMware (.vmss), or a snapshot of one (.vmsn)
 *
 * The state is a table of groups.  A group is a row of tags: a name, up to three indices, and a value
 * or a block of bytes.  The group "memory" lists the regions of memory, which lie in a file of the
 * same name that ends with .vmem, or in a block of the state.  The group "cpu" has the registers, in
 * one of two ways: each with a tag, or several in a block.
 *
 * Facts: crash's vmware_vmss.c; Volatility's vmware.py.  All numbers are little-endian.
 */
#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "../arch/x86_cpu.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "format.h"
#include "layout_proof.h"
#include "pieces_source.h"

enum {
	MAX_GROUPS = 1024, MAX_TAGS = 1 << 20, MAX_REGIONS = 256, MAX_CPUS = 4096,
	HEADER_SIZE = 12, GROUP_SIZE = 80, NAME_SIZE = 64, MAX_VALUE = 128,
	SIZE_COMPRESSED = 62, SIZE_BLOCK = 63, MAX_INDICES = 3, PAGE_SIZE = 4096,
	MAX_FLAT = 3,                   /* GiB: without regions                 */
};

/* Magic numbers; the length of a block has 8 bytes, or 4. */
static const struct vmware_kind { uint32_t magic; uint8_t length_size; } vmware_kinds[] = {
	{ 0xbed2bed2, 8 }, { 0xbed3bed3, 8 }, { 0xbad1bad1, 8 }, { 0xbad2bad2, 8 }, { 0xbed2bed0, 4 },
};

/* A tag, and its value as far as it is short */
struct vmware_tag {
	char name[256];
	uint32_t index[MAX_INDICES];
	unsigned int num_indices;
	uint64_t pos, size;             /* of the value in the file             */
	bool compressed;
	unsigned char value[MAX_VALUE];
};

struct vmware_region {
	uint32_t page, ppn, size;       /* in the file, in the guest, and how many */
	unsigned int seen;              /* bits: which of these were there      */
};

struct vmware {
	struct bytes *in;
	struct image image;
	struct pieces pieces;
	unsigned int length_size;
	bool has_count;
	uint32_t num_regions;
	struct vmware_region regions[MAX_REGIONS];
	bool has_memory;                /* in the state itself, here:           */
	uint64_t memory_pos, memory_size;
	struct x86_cpu *cpus;
	unsigned int *seen;             /* of each CPU: whether general and control registers were there */
	uint32_t num_cpus;
};

static const struct vmware_kind *vmware_kind_of(const unsigned char *head, size_t len)
{
	struct cursor c = cursor_init(head, len, false, true);
	const uint32_t magic = get_u32(&c);

	for (size_t i = 0; i < ARRAY_SIZE(vmware_kinds); i++) {
		if (!c.bad && vmware_kinds[i].magic == magic)
			return &vmware_kinds[i];
	}
	return NULL;
}

static bool vmware_probe(const unsigned char *head, size_t len)
{
	return vmware_kind_of(head, len);
}

/* Memory -------------------------------------------------------------------- */

/* A 32-bit number; false: it is no such value */
static bool vmware_u32(const struct vmware_tag *t, uint32_t *ret)
{
	struct cursor c = cursor_init(t->value, sizeof(t->value), false, true);

	*ret = get_u32(&c);
	return t->size == 4;
}

static struct gdump_error *vmware_take_region(struct vmware *v, const struct vmware_tag *t,
					      unsigned int member)
{
	const uint32_t i = t->index[0];
	uint32_t value;

	if (t->num_indices != 1 || i >= MAX_REGIONS || !vmware_u32(t, &value))
		return error_new(GDUMP_ERR_CORRUPT, "invalid tag %s of a region of memory", t->name);
	if (v->regions[i].seen & 1u << member)
		return error_new(GDUMP_ERR_CORRUPT, "the tag %s of region %u appears twice", t->name, i);
	*(member == 0 ? &v->regions[i].page : member == 1 ? &v->regions[i].ppn : &v->regions[i].size) =
		value;
	v->regions[i].seen |= 1u << member;
	return NULL;
}

static struct gdump_error *vmware_take_memory(struct vmware *v, const struct vmware_tag *t)
{
	static const char *const names[] = { "regionPageNum", "regionPPN", "regionSize" };

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(t->name, names[i]))
			return vmware_take_region(v, t, i);
	}
	if (!strcmp(t->name, "regionsCount")) {
		if (!vmware_u32(t, &v->num_regions) || v->num_regions > MAX_REGIONS || v->has_count)
			return error_new(GDUMP_ERR_CORRUPT, "invalid number of regions of memory");
		v->has_count = true;
	}
	if (strcmp(t->name, "Memory"))
		return NULL;
	if (t->compressed)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the memory is compressed in a way that is not known");
	v->has_memory = true;
	v->memory_pos = t->pos;
	v->memory_size = t->size;
	return NULL;
}

/* CPUs ---------------------------------------------------------------------- */

static const struct { const char *name; enum x86_reg reg; } vmware_regs[] = {
	/* in the order of the block "gpregs" */
	{ "rax", X86_RAX }, { "rcx", X86_RCX }, { "rdx", X86_RDX }, { "rbx", X86_RBX },
	{ "rbp", X86_RBP }, { "rsp", X86_RSP }, { "rsi", X86_RSI }, { "rdi", X86_RDI },
	{ "r8", X86_R8 }, { "r9", X86_R9 }, { "r10", X86_R10 }, { "r11", X86_R11 },
	{ "r12", X86_R12 }, { "r13", X86_R13 }, { "r14", X86_R14 }, { "r15", X86_R15 },
	{ "rip", X86_RIP }, { "eflags", X86_RFLAGS }, { "EFLAGS", X86_RFLAGS },
};

enum { NUM_GPREGS = 16, SEEN_REGS = 1, SEEN_CR3 = 2 };

static uint64_t vmware_value(const struct vmware_tag *t, size_t off, unsigned int size)
{
	struct cursor c = cursor_init(t->value, (size_t)MIN(t->size, sizeof(t->value)), false, true);

	cursor_take(&c, off);
	return get_uint(&c, size);
}

static void vmware_set_control(struct x86_cpu *cpu, unsigned int *seen, uint32_t n, uint64_t value)
{
	uint64_t *const regs[] = { &cpu->cr0, NULL, &cpu->cr2, &cpu->cr3, &cpu->cr4 };

	if (n < ARRAY_SIZE(regs) && regs[n])
		*regs[n] = value;
	if (n == 3)
		*seen |= SEEN_CR3;
}

static void vmware_take_control(struct x86_cpu *cpu, unsigned int *seen, const struct vmware_tag *t)
{
	if (t->num_indices == 2 && t->size == 8) {
		vmware_set_control(cpu, seen, t->index[1], vmware_value(t, 0, 8));
		return;
	}
	for (uint32_t n = 0; t->num_indices == 1 && n < t->size / 8; n++)
		vmware_set_control(cpu, seen, n, vmware_value(t, (size_t)8 * n, 8));
}

static void vmware_take_segment(struct x86_cpu *cpu, const struct vmware_tag *t)
{
	static const enum x86_seg order[] = {
		X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_LDT, X86_TR,
	};

	if (t->num_indices != 2 || t->index[1] >= ARRAY_SIZE(order))
		return;
	if (!strcmp(t->name, "S") && t->size <= 8)
		cpu->segs[order[t->index[1]]].selector = (uint16_t)vmware_value(t, 0, 2);
	if (!strcmp(t->name, "S.base64") && t->size == 8)
		cpu->segs[order[t->index[1]]].base = vmware_value(t, 0, 8);
}

/* Its limit and base in a block, or the base's halves */
static void vmware_take_idtr(struct x86_cpu *cpu, const struct vmware_tag *t)
{
	struct x86_segment *idt = &cpu->segs[X86_IDT];

	if (t->num_indices == 1 && t->size == 10) {
		idt->limit = (uint32_t)vmware_value(t, 0, 2);
		idt->base = vmware_value(t, 2, 8);
	} else if (t->num_indices == 2 && t->size == 4 && (t->index[1] == 1 || t->index[1] == 2)) {
		idt->base |= vmware_value(t, 0, 4) << (t->index[1] == 2 ? 32 : 0);
	}
}

static void vmware_take_regs(struct x86_cpu *cpu, unsigned int *seen, const struct vmware_tag *t)
{
	const bool is_block = !strcmp(t->name, "gpregs") && t->size == 8 * NUM_GPREGS;

	for (size_t i = 0; t->num_indices == 1 && i < ARRAY_SIZE(vmware_regs); i++) {
		if (is_block && i < NUM_GPREGS)
			cpu->regs[vmware_regs[i].reg] = vmware_value(t, 8 * i, 8);
		else if (!strcmp(t->name, vmware_regs[i].name) && t->size <= 8)
			cpu->regs[vmware_regs[i].reg] = vmware_value(t, 0, (unsigned int)t->size);
		else
			continue;
		*seen |= vmware_regs[i].reg == X86_RSP ? SEEN_REGS : 0;
	}
}

static struct gdump_error *vmware_take_cpu(struct vmware *v, const struct vmware_tag *t)
{
	struct x86_cpu *cpu;
	unsigned int *seen;
	uint32_t num;

	if (!strcmp(t->name, "cpu:numVCPUs") && vmware_u32(t, &num) && !v->cpus && num && num <= MAX_CPUS) {
		v->cpus = calloc(num, sizeof(*v->cpus));
		v->seen = calloc(num, sizeof(*v->seen));
		v->num_cpus = num;
		return v->cpus && v->seen ? NULL : error_nomem();
	}
	if (!t->num_indices || t->index[0] >= v->num_cpus || t->compressed || t->size > MAX_VALUE)
		return NULL;
	cpu = &v->cpus[t->index[0]];
	seen = &v->seen[t->index[0]];
	vmware_take_regs(cpu, seen, t);
	vmware_take_segment(cpu, t);
	if (!strcmp(t->name, "CR64"))
		vmware_take_control(cpu, seen, t);
	if (!strcmp(t->name, "IDTR"))
		vmware_take_idtr(cpu, t);
	return NULL;
}

/* The state ------------------------------------------------------------------- */

static struct gdump_error *vmware_u_at(struct vmware *v, uint64_t *pos, unsigned int size, uint64_t *ret)
{
	unsigned char buf[8];
	struct cursor c = cursor_init(buf, size, false, true);
	struct gdump_error *err = bytes_read(v->in, *pos, buf, size);

	*pos += size;
	*ret = err ? 0 : get_uint(&c, size);
	return err;
}

/* The value of a tag is a block: find it. */
static struct gdump_error *vmware_read_block(struct vmware *v, uint64_t *pos, struct vmware_tag *t)
{
	uint64_t in_memory, padding = 0;
	struct gdump_error *err = vmware_u_at(v, pos, v->length_size, &t->size);

	if (!err)
		err = vmware_u_at(v, pos, v->length_size, &in_memory);
	if (!err)
		err = vmware_u_at(v, pos, 2, &padding);
	if (err)
		return err;
	t->pos = *pos + padding;
	if (!range_fits(t->pos, t->size, v->in->size))
		return error_new(GDUMP_ERR_CORRUPT,
				 "the block of tag %s at offset 0x%" PRIx64 " is past the end of the file",
				 t->name, t->pos);
	if (!t->compressed && in_memory != t->size)
		return error_new(GDUMP_ERR_CORRUPT, "the block of tag %s has two sizes", t->name);
	*pos = t->pos + t->size;
	return NULL;
}

/* The tag at *@pos, which is advanced; an empty name: there are no more. */
static struct gdump_error *vmware_read_tag(struct vmware *v, uint64_t *pos, struct vmware_tag *t)
{
	uint64_t tag, index;
	struct gdump_error *err = vmware_u_at(v, pos, 2, &tag);

	*t = (struct vmware_tag){ .num_indices = (unsigned int)(tag >> 6 & 3), .size = tag & 63 };
	if (err || !tag)
		return err;
	err = bytes_read(v->in, *pos, t->name, (size_t)(tag >> 8));
	*pos += tag >> 8;
	for (unsigned int i = 0; !err && i < t->num_indices; i++) {
		err = vmware_u_at(v, pos, 4, &index);
		t->index[i] = (uint32_t)index;
	}
	if (err)
		return err;
	t->compressed = t->size == SIZE_COMPRESSED;
	t->pos = *pos;
	if (t->size >= SIZE_COMPRESSED)
		err = vmware_read_block(v, pos, t);
	else
		*pos += t->size;
	return err ? err : bytes_read(v->in, t->pos, t->value, (size_t)MIN(t->size, sizeof(t->value)));
}

static struct gdump_error *vmware_read_group(struct vmware *v, uint64_t pos, uint64_t size,
					     struct gdump_error *(*take)(struct vmware *,
									 const struct vmware_tag *))
{
	const uint64_t end = pos + size;
	struct gdump_error *err = NULL;
	struct vmware_tag t;

	for (size_t i = 0; !err && pos < end && i < MAX_TAGS; i++) {
		err = vmware_read_tag(v, &pos, &t);
		if (err || !t.name[0])
			return err;
		err = take(v, &t);
	}
	return err ? err : error_new(GDUMP_ERR_CORRUPT, "a group of tags has no end");
}

static struct gdump_error *vmware_read_groups(struct vmware *v, size_t num)
{
	struct gdump_error *err = NULL;
	unsigned char buf[GROUP_SIZE];
	bool has_memory = false;

	for (size_t i = 0; !err && i < num; i++) {
		struct cursor c = cursor_init(buf, sizeof(buf), false, true);
		const char *name = (const char *)buf;
		uint64_t pos, size;

		err = bytes_read(v->in, HEADER_SIZE + i * GROUP_SIZE, buf, sizeof(buf));
		cursor_take(&c, NAME_SIZE);
		pos = get_u64(&c);
		size = get_u64(&c);
		if (err || (strncmp(name, "memory", NAME_SIZE) && strncmp(name, "cpu", NAME_SIZE)))
			continue;
		if (!range_fits(pos, size, v->in->size))
			return error_new(GDUMP_ERR_CORRUPT, "the group %s is past the end of the file", name);
		has_memory |= *name == 'm';
		err = vmware_read_group(v, pos, size, *name == 'm' ? vmware_take_memory : vmware_take_cpu);
	}
	if (!err && !has_memory)
		err = error_new(GDUMP_ERR_CORRUPT, "the state has no group of memory");
	return err;
}

static struct gdump_error *vmware_read_state(struct vmware *v)
{
	unsigned char buf[HEADER_SIZE];
	struct cursor c = cursor_init(buf, sizeof(buf), false, true);
	struct gdump_error *err = bytes_read(v->in, 0, buf, sizeof(buf));
	uint32_t num;

	if (err)
		return err;
	v->length_size = vmware_kind_of(buf, sizeof(buf))->length_size;
	get_u64(&c);
	num = get_u32(&c);
	if (!num || num > MAX_GROUPS)
		return error_new(GDUMP_ERR_CORRUPT, "invalid number of groups: %u", num);
	return vmware_read_groups(v, num);
}

/* Where the memory is --------------------------------------------------------- */

/* The file with the memory: the block in the state, or one of the same name */
static struct gdump_error *vmware_find_memory(struct vmware *v, const struct companions *others,
					      uint64_t *pos, uint64_t *size)
{
	const char *dot = strrchr(others->path, '.');
	const size_t len = dot && !strchr(dot, '/') ? (size_t)(dot - others->path) : strlen(others->path);
	CLEANUP_FREE char *name = NULL;
	struct gdump_error *err = NULL;
	struct bytes *memory;

	*pos = v->memory_pos;
	*size = v->memory_size;
	if (v->has_memory)
		return NULL;
	*pos = 0;
	if (asprintf(&name, "%.*s.vmem", (int)len, others->path) < 0)
		return error_nomem();
	err = others->num ? companion_open(others, 0, &memory) : companion_find(others, name, &memory);
	if (err)
		return err;
	*size = memory->size;
	bytes_close(v->in);
	v->in = memory;
	return NULL;
}

static struct gdump_error *vmware_add_range(struct vmware *v, uint64_t paddr, uint64_t size, uint64_t off,
					    uint64_t there)
{
	struct gdump_error *err = image_add_range(&v->image, paddr, size, GDUMP_RANGE_RAM);

	return err || !there ? err : pieces_add(&v->pieces, paddr, MIN(there, size), off);
}

/* Memory without a list of regions has no gap. */
static struct gdump_error *vmware_add_flat(struct vmware *v, uint64_t pos, uint64_t size)
{
	if (!v->has_count || v->regions[0].seen || !size || size > (uint64_t)MAX_FLAT << 30 || size % PAGE_SIZE)
		return error_new(GDUMP_ERR_CORRUPT,
				 "the state does not list where the 0x%" PRIx64 " bytes of memory are", size);
	return vmware_add_range(v, 0, size, pos, size);
}

/* The regions are all of the file, one after the other. */
static struct gdump_error *vmware_add_regions(struct vmware *v, uint64_t pos, uint64_t size)
{
	struct gdump_error *err = NULL;
	uint64_t off = 0;

	for (uint32_t i = 0; !err && i < v->num_regions; i++) {
		const struct vmware_region *r = &v->regions[i];
		const uint64_t bytes = (uint64_t)r->size * PAGE_SIZE;

		if (r->seen != 7 || !r->size || (uint64_t)r->page * PAGE_SIZE != off)
			return error_new(GDUMP_ERR_CORRUPT,
					 "region %u of the memory is not where the one before it ends", i);
		err = vmware_add_range(v, (uint64_t)r->ppn * PAGE_SIZE, bytes, pos + off,
				       off < size ? size - off : 0);
		off += bytes;
	}
	for (uint32_t i = v->num_regions; i < MAX_REGIONS; i++) {
		if (v->regions[i].seen)
			return error_new(GDUMP_ERR_CORRUPT, "there are more regions of memory than %u",
					 v->num_regions);
	}
	if (!err && off < size)
		return error_new(GDUMP_ERR_CORRUPT,
				 "the memory has 0x%" PRIx64 " bytes, but its regions 0x%" PRIx64, size, off);
	v->image.incomplete = off > size;
	if (v->image.incomplete)
		snprintf(v->image.warning, sizeof(v->image.warning), "the memory ends early");
	return err;
}

static struct gdump_error *vmware_add_cpus(struct vmware *v)
{
	struct gdump_error *err = NULL;

	for (uint32_t i = 0; !err && i < v->num_cpus; i++) {
		if (v->seen[i] == (SEEN_REGS | SEEN_CR3))
			err = x86_cpu_add_notes(&v->cpus[i], i, &v->image);
		else
			v->image.num_lost_cpus++;
	}
	return err;
}

static struct gdump_error *vmware_load(struct vmware *v, const struct companions *others)
{
	struct gdump_error *err = vmware_read_state(v);
	uint64_t pos, size;

	if (!err)
		err = vmware_find_memory(v, others, &pos, &size);
	if (!err)
		err = v->num_regions ? vmware_add_regions(v, pos, size) : vmware_add_flat(v, pos, size);
	if (!err && !pieces_sort(&v->pieces))
		err = error_new(GDUMP_ERR_CORRUPT, "two regions contain the same memory");
	return err ? err : vmware_add_cpus(v);
}

static const struct source_ops vmware_source_ops = {
	.name = "vmware",
	.has_absent = true,
	.read = pieces_source_read,
	.scan = pieces_source_scan,
	.gap = pieces_source_gap,
	.close = pieces_source_close,
};

static struct gdump_error *vmware_to_source(struct vmware *v, struct source **ret)
{
	struct pieces_source *p = pieces_source_create(sizeof(*p), &vmware_source_ops, TAKE_PTR(v->in));
	struct gdump_error *err;

	if (!p)
		return error_nomem();
	p->source.image = v->image;
	p->pieces = v->pieces;
	v->image = (struct image){ 0 };
	v->pieces = (struct pieces){ 0 };
	snprintf(p->source.image.detail, sizeof(p->source.image.detail), "VMware state, memory in %s",
		 v->has_memory ? "it" : "another file");
	err = pieces_source_seal(p);
	if (!err)
		err = layout_proof_check(&p->source);
	return pieces_source_opened(p, err, ret);
}

static struct gdump_error *vmware_open_set(struct bytes *in, const struct companions *others,
					   struct source **ret)
{
	struct vmware *v = calloc(1, sizeof(*v));
	struct gdump_error *err;

	if (!v) {
		bytes_close(in);
		return error_nomem();
	}
	v->in = in;
	v->image.machine = EM_X86_64;
	v->image.is64 = true;
	err = vmware_load(v, others);
	if (!err)
		err = vmware_to_source(v, ret);
	bytes_close(v->in);
	image_deinit(&v->image);
	pieces_deinit(&v->pieces);
	free(v->cpus);
	free(v->seen);
	free(v);
	return error_prefix(err, "VMware");
}

/* Of the memory: the state, whose name has another ending */
static struct gdump_error *vmware_main_file(const char *path, char **ret)
{
	static const char *const endings[] = { "vmss", "vmsn", "vmem.ranges" };
	const size_t len = strlen(path);

	*ret = NULL;
	if (len < 5 || strcasecmp(path + len - 5, ".vmem") || access(path, F_OK))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		char *name;

		if (asprintf(&name, "%.*s%s", (int)len - 4, path, endings[i]) < 0)
			return error_nomem();
		if (!access(name, F_OK)) {
			if (strchr(endings[i], '.'))
				free(name);     /* it is read as raw memory */
			else
				*ret = name;
			return NULL;
		}
		free(name);
	}
	return error_new(GDUMP_ERR_PART,
			 "this is the memory of a VMware guest; its state, %.*svmss or %.*svmsn, is missing, which says where the memory is; pass --input-format raw or --range to read it without",
			 (int)len - 4, path, (int)len - 4, path);
}

const struct format format_vmware = {
	.name = "vmware",
	.summary = "a suspended guest of VMware or a snapshot: .vmss or .vmsn, and .vmem next to it",
	.probe = vmware_probe,
	.open_set = vmware_open_set,
	.main_file = vmware_main_file,
};
