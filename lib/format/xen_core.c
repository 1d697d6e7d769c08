/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/xen_core.c - a core of a guest of Xen (xl dump-core)
 *
 * An ELF file with sections instead of program headers:
 *
 *     .note.Xen         what it is, and how many pages and CPUs it has
 *     .xen_prstatus     struct vcpu_guest_context of each CPU
 *     .xen_pfn          the number of each page, ascending
 *     .xen_pages        the pages, at a multiple of their size
 *
 * Headers and sections follow each other, in an order that changed between versions of Xen, with less
 * than a page of padding in front of the pages.  So a changed offset is found.
 *
 * Guests with paravirtualized memory (PV) have .xen_p2m instead of .xen_pfn; their page tables have
 * numbers of the host's pages, so no tool for Linux can read a converted dump.
 *
 * Facts: Xen's docs/misc/dump-core-format.txt, tools' xc_core.c, public/arch-x86/xen.h and arch/x86/domctl.c.
 */
#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/x86_cpu.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "elf_header.h"
#include "format.h"
#include "layout_proof.h"
#include "pieces_source.h"

enum {
	MAX_SECTIONS = 64, MAX_NAMES = 4096, MAX_NOTES = 65536, PAGE_SIZE = 4096, READ_PAGES = 8192,
	NOTE_HEADER = 0x2000001, NOTE_FORMAT_VERSION = 0x2000003,
	CONTEXT_SIZE = 5168, CONTEXT_REGS = 520, CONTEXT_CONTROL = 4984, CONTEXT_BASES = 5144,
	MAX_CPUS = 4096,
};

static const uint64_t magic_pv = 0xf00febed, magic_hvm = 0xf00febee;

struct xen_section {
	uint64_t off, size, entry_size; /* size 0: there is none                */
};

struct xen_core {
	struct pieces_source base;
	struct elf_header elf;
	char names[MAX_NAMES];
	size_t names_len;
	struct xen_section all[MAX_SECTIONS];           /* that are not empty */
	size_t num_all;
	struct xen_section notes, prstatus, pfn, pages;
	uint64_t magic, num_cpus, num_pages, page_size;
};

/* A 64-bit core in little endian without program headers, but with sections */
static bool xen_core_probe(const unsigned char *head, size_t len)
{
	struct elf_header h = { 0 };
	CLEANUP_ERROR struct gdump_error *err = elf_header_parse(head, len, &h);

	return !err && h.is64 && !h.big && !h.phnum && h.shoff && h.shnum > 1 &&
	       h.shentsize == sizeof(Elf64_Shdr);
}

static struct gdump_error *xen_read_section(struct xen_core *x, unsigned int i, uint32_t *name,
					    struct xen_section *ret)
{
	unsigned char buf[sizeof(Elf64_Shdr)];
	struct cursor c = cursor_init(buf, sizeof(buf), false, true);
	struct gdump_error *err = bytes_read(x->base.in, x->elf.shoff + i * sizeof(buf), buf, sizeof(buf));

	*name = get_u32(&c);
	cursor_take(&c, offsetof(Elf64_Shdr, sh_offset) - 4);
	ret->off = get_u64(&c);
	ret->size = get_u64(&c);
	cursor_take(&c, 16);
	ret->entry_size = get_u64(&c);
	return err;
}

static struct gdump_error *xen_read_names(struct xen_core *x)
{
	struct xen_section s;
	uint32_t name;
	struct gdump_error *err;

	if (x->elf.shstrndx >= x->elf.shnum)
		return error_new(GDUMP_ERR_CORRUPT, "the sections have no names");
	err = xen_read_section(x, x->elf.shstrndx, &name, &s);
	if (err)
		return err;
	x->names_len = (size_t)MIN(s.size, (uint64_t)sizeof(x->names) - 1);
	return bytes_read(x->base.in, s.off, x->names, x->names_len);
}

static struct gdump_error *xen_find_sections(struct xen_core *x)
{
	const struct { const char *name; struct xen_section *section; } wanted[] = {
		{ ".note.Xen", &x->notes }, { ".xen_prstatus", &x->prstatus }, { ".xen_pfn", &x->pfn },
		{ ".xen_pages", &x->pages },
	};
	struct gdump_error *err;

	if (x->elf.shnum > MAX_SECTIONS)
		return error_new(GDUMP_ERR_CORRUPT, "there are %u sections, which is too many", x->elf.shnum);
	err = xen_read_names(x);
	for (unsigned int i = 1; !err && i < x->elf.shnum; i++) {
		struct xen_section s;
		uint32_t name;

		err = xen_read_section(x, i, &name, &s);
		if (!err && s.size)
			x->all[x->num_all++] = s;
		for (size_t k = 0; !err && k < ARRAY_SIZE(wanted); k++) {
			if (name >= x->names_len || strcmp(x->names + name, wanted[k].name))
				continue;
			if (wanted[k].section->size)
				return error_new(GDUMP_ERR_CORRUPT, "there are two sections %s",
						 wanted[k].name);
			*wanted[k].section = s;
		}
	}
	return err;
}

static int xen_section_by_off(const void *a, const void *b)
{
	const struct xen_section *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

/* Fail unless the sections follow the headers and each other.  A file that was cut ends before they
 * do.
 */
static struct gdump_error *xen_check_order(struct xen_core *x)
{
	uint64_t end = x->elf.shoff + x->elf.shnum * sizeof(Elf64_Shdr);

	qsort(x->all, x->num_all, sizeof(x->all[0]), xen_section_by_off);
	for (size_t i = 0; i < x->num_all; i++) {
		const struct xen_section *s = &x->all[i];

		if (s->off < end || s->off - end >= PAGE_SIZE || s->size > UINT64_MAX - s->off)
			return error_new(GDUMP_ERR_CORRUPT,
					 "the section at offset 0x%" PRIx64 " does not follow what ends at 0x%" PRIx64,
					 s->off, end);
		end = s->off + s->size;
	}
	if (end < x->base.in->size || x->pages.off % PAGE_SIZE)
		return error_new(GDUMP_ERR_CORRUPT,
				 "the pages are at offset 0x%" PRIx64 ", and the sections end at 0x%" PRIx64 " of 0x%" PRIx64 " bytes",
				 x->pages.off, end, x->base.in->size);
	return NULL;
}

/* The notes say what it is; their owner is "Xen". */
static struct gdump_error *xen_read_notes(struct xen_core *x)
{
	struct image notes = { .is64 = true };
	CLEANUP_FREE unsigned char *buf = NULL;
	struct gdump_error *err;
	size_t understood;

	if (!x->notes.size || x->notes.size > MAX_NOTES)
		return error_new(GDUMP_ERR_FORMAT,
				 "ELF header: 0 program headers, and no section .note.Xen, as Xen's cores have");
	buf = malloc((size_t)x->notes.size);
	err = buf ? bytes_read(x->base.in, x->notes.off, buf, (size_t)x->notes.size) : error_nomem();
	if (!err)
		err = image_parse_notes(&notes, buf, (size_t)x->notes.size, &understood);
	for (size_t i = 0; !err && i < notes.num_notes; i++) {
		const struct gdump_note *n = &notes.notes[i];
		struct cursor c = cursor_init(n->desc, n->size, false, true);

		if (n->type == NOTE_HEADER) {
			x->magic = get_u64(&c);
			x->num_cpus = get_u64(&c);
			x->num_pages = get_u64(&c);
			x->page_size = get_u64(&c);
		} else if (n->type == NOTE_FORMAT_VERSION && get_u64(&c) > 1) {
			err = error_new(GDUMP_ERR_UNSUPPORTED, "the version of the format is not supported");
		}
	}
	image_deinit(&notes);
	return err;
}

static struct gdump_error *xen_check(const struct xen_core *x)
{
	if (x->magic == magic_pv)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "this is a guest with paravirtualized memory (PV), whose page tables have numbers of the host's pages; only crash reads its core");
	if (x->magic != magic_hvm || x->page_size != PAGE_SIZE)
		return error_new(GDUMP_ERR_CORRUPT, "the header in the notes is invalid");
	if (!x->num_pages || x->num_pages > UINT64_MAX / PAGE_SIZE || x->pfn.size != 8 * x->num_pages ||
	    x->pages.size != PAGE_SIZE * x->num_pages)
		return error_new(GDUMP_ERR_CORRUPT,
				 "the sections have not the sizes of %" PRIu64 " pages, as the notes say",
				 x->num_pages);
	if (!range_fits(x->pfn.off, x->pfn.size, x->base.in->size))
		return error_new(GDUMP_ERR_CORRUPT, "the numbers of the pages are past the end of the file");
	return NULL;
}

/* Consecutive pages, as they are found */
struct xen_run {
	uint64_t pfn, num, index;       /* index: of its first page in the file */
};

static struct gdump_error *xen_end_run(struct xen_core *x, const struct xen_run *run)
{
	const uint64_t off = x->pages.off + run->index * PAGE_SIZE, size = run->num * PAGE_SIZE;
	const uint64_t end = x->base.in->size;
	struct image *image = &x->base.source.image;
	struct gdump_error *err;

	if (!run->num)
		return NULL;
	err = image_add_range(image, run->pfn * PAGE_SIZE, size, GDUMP_RANGE_RAM);
	image->incomplete |= off > end || size > end - off;
	if (err || off >= end)
		return err;
	return pieces_add(&x->base.pieces, run->pfn * PAGE_SIZE, MIN(size, end - off), off);
}

static struct gdump_error *xen_take_pfn(struct xen_core *x, struct xen_run *run, uint64_t pfn, uint64_t i,
					uint64_t *next)
{
	struct gdump_error *err = NULL;

	if (pfn == UINT64_MAX)
		return NULL;            /* no page */
	if (pfn < *next || pfn >= UINT64_MAX / PAGE_SIZE)
		return error_new(GDUMP_ERR_CORRUPT,
				 "the numbers of the pages are not ascending: 0x%" PRIx64, pfn);
	if (!run->num || pfn != run->pfn + run->num || i != run->index + run->num) {
		err = xen_end_run(x, run);
		*run = (struct xen_run){ pfn, 0, i };
	}
	run->num++;
	*next = pfn + 1;
	return err;
}

static struct gdump_error *xen_read_pages(struct xen_core *x)
{
	CLEANUP_FREE unsigned char *buf = malloc(8 * READ_PAGES);
	struct gdump_error *err = buf ? NULL : error_nomem();
	struct xen_run run = { 0 };
	uint64_t next = 0;

	for (uint64_t i = 0; !err && i < x->num_pages; i += READ_PAGES) {
		const size_t num = (size_t)MIN(x->num_pages - i, (uint64_t)READ_PAGES);
		struct cursor c = cursor_init(buf, 8 * num, false, true);

		err = bytes_read(x->base.in, x->pfn.off + 8 * i, buf, 8 * num);
		for (size_t k = 0; !err && k < num; k++)
			err = xen_take_pfn(x, &run, get_u64(&c), i + k, &next);
	}
	if (!err)
		err = xen_end_run(x, &run);
	pieces_sort(&x->base.pieces);
	return err;
}

static void xen_take_regs(struct cursor c, struct x86_cpu *cpu)
{
	static const enum x86_reg order[] = {
		X86_R15, X86_R14, X86_R13, X86_R12, X86_RBP, X86_RBX, X86_R11, X86_R10, X86_R9, X86_R8,
		X86_RAX, X86_RCX, X86_RDX, X86_RSI, X86_RDI,
	};
	static const enum x86_seg segs[] = { X86_SS, X86_ES, X86_DS, X86_FS, X86_GS };

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		cpu->regs[order[i]] = get_u64(&c);
	get_u64(&c);                    /* vector and code of the last exception */
	cpu->regs[X86_RIP] = get_u64(&c);
	cpu->segs[X86_CS].selector = (uint16_t)get_u64(&c);
	cpu->regs[X86_RFLAGS] = get_u64(&c);
	cpu->regs[X86_RSP] = get_u64(&c);
	for (size_t i = 0; i < ARRAY_SIZE(segs); i++)
		cpu->segs[segs[i]].selector = (uint16_t)get_u64(&c);
}

/* The GS base of the kernel is the current one while the CPU executes the kernel. */
static void xen_take_context(const unsigned char *buf, struct x86_cpu *cpu)
{
	struct cursor c = cursor_init(buf + CONTEXT_REGS, CONTEXT_SIZE - CONTEXT_REGS, false, true);
	uint64_t kernel, user;
	bool is_kernel;

	*cpu = (struct x86_cpu){ .fxsave = buf };
	xen_take_regs(c, cpu);
	c = cursor_init(buf + CONTEXT_CONTROL, CONTEXT_SIZE - CONTEXT_CONTROL, false, true);
	cpu->cr0 = get_u64(&c);
	get_u64(&c);
	cpu->cr2 = get_u64(&c);
	cpu->cr3 = get_u64(&c);
	cpu->cr4 = get_u64(&c);
	c = cursor_init(buf + CONTEXT_BASES, CONTEXT_SIZE - CONTEXT_BASES, false, true);
	cpu->segs[X86_FS].base = get_u64(&c);
	kernel = get_u64(&c);
	user = get_u64(&c);
	is_kernel = !(cpu->segs[X86_CS].selector & 3);
	cpu->segs[X86_GS].base = is_kernel ? kernel : user;
	cpu->kernel_gs_base = is_kernel ? user : kernel;
}

static struct gdump_error *xen_read_cpus(struct xen_core *x)
{
	const struct xen_section *s = &x->prstatus;
	unsigned char buf[CONTEXT_SIZE];
	struct gdump_error *err = NULL;

	if (x->elf.machine != EM_X86_64 || !s->size || s->entry_size != CONTEXT_SIZE ||
	    x->num_cpus > MAX_CPUS || s->size != x->num_cpus * CONTEXT_SIZE) {
		x->base.source.image.num_lost_cpus = (size_t)MIN(x->num_cpus, (uint64_t)MAX_CPUS);
		return NULL;
	}
	for (uint64_t i = 0; !err && i < x->num_cpus; i++) {
		struct x86_cpu cpu;

		err = bytes_read(x->base.in, s->off + i * sizeof(buf), buf, sizeof(buf));
		if (err)
			return err;
		xen_take_context(buf, &cpu);
		err = x86_cpu_add_notes(&cpu, (size_t)i, &x->base.source.image);
	}
	return err;
}

static const struct source_ops xen_core_source_ops = {
	.name = "xen-core",
	.has_absent = true,
	.read = pieces_source_read,
	.scan = pieces_source_scan,
	.gap = pieces_source_gap,
	.close = pieces_source_close,
};

static struct gdump_error *xen_core_load(struct xen_core *x)
{
	struct image *image = &x->base.source.image;
	unsigned char head[ELF_HEADER_MAX];
	struct gdump_error *err = bytes_read(x->base.in, 0, head, sizeof(head));

	if (!err)
		err = elf_header_parse(head, sizeof(head), &x->elf);
	if (!err)
		err = xen_find_sections(x);
	if (!err)
		err = xen_read_notes(x);
	if (!err)
		err = xen_check(x);
	if (!err)
		err = xen_check_order(x);
	if (err)
		return err;
	image->machine = x->elf.machine;
	image->is64 = true;
	err = xen_read_pages(x);
	if (!err)
		err = xen_read_cpus(x);
	if (!err)
		err = pieces_source_seal(&x->base);
	snprintf(image->detail, sizeof(image->detail), "core of a Xen guest (HVM or PVH)");
	return err ? err : layout_proof_check(&x->base.source);
}

static struct gdump_error *xen_core_open(struct bytes *in, struct source **ret)
{
	struct xen_core *x = pieces_source_create(sizeof(*x), &xen_core_source_ops, in);
	struct gdump_error *err = x ? xen_core_load(x) : error_nomem();

	return pieces_source_opened(x ? &x->base : NULL, error_prefix(err, "Xen core"), ret);
}

const struct format format_xen_core = {
	.name = "xen-core",
	.summary = "a core of a guest of Xen, as xl dump-core writes it (HVM and PVH)",
	.probe = xen_core_probe,
	.open = xen_core_open,
};
