/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/elf_write.c - ELF cores that every reader accepts
 *
 *     ELF header, program headers, (section header 0), notes, memory
 *
 * Choices and reasons:
 * - Program headers follow the ELF header directly: makedumpfile reads them
 *   there whatever e_phoff says.
 * - There are no sections (except one if there are more than 65,534 program headers), since
 *   some of them confuse libkdumpfile and elfutils, and no reader needs any.  The sections of
 *   a protected guest follow its memory, and their headers precede the notes.
 * - PT_NOTE comes first and precedes all memory, as crash requires.
 * - p_align is 0: crash mistakes a file with aligned segments and a p_align for another
 *   format.  Memory begins on a page boundary nevertheless.
 * - Additional PT_LOADs give the kernel's image its virtual address, over the same bytes of
 *   the file: drgn before 0.0.27 needs that to find page tables.
 * - Machines with 32-bit addresses get a 32-bit file, which their own crash and
 *   makedumpfile need, as long as memory and file end below 4 GiB.
 * - p_vaddr is p_paddr, except for i386 and POWER: as kexec-tools writes them, low memory (on
 *   POWER all memory) has the address where the kernel maps it, and high memory has -1.  (A
 *   segment for the image would begin where memory begins, and of two such segments
 *   libkdumpfile drops one.)
 * - Omitted memory has a p_memsz but no p_filesz, as in makedumpfile's files.
 *
 * The dump of a protected guest of s390x that was decrypted differs: it has the same bytes as
 * zgetdump's, the other program that can decrypt; see style_zgetdump.
 */
#include "elf.h"

#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../kernel/mappings.h"
#include "../machine/vmcoreinfo.h"
#include "../util/array.h"
#include "../util/bisect.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	IMAGE_ALIGN = 2 << 20,
	IMAGE_SIZE = 64 << 20,          /* no Debian kernel's image is larger   */
	PROCESS_DESC = 136,             /* NT_PRPSINFO, of 64-bit machines      */
	PROCESS_SIZE = 12 + 8 + PROCESS_DESC,
};
#define SHSTRTAB ".shstrtab"

/* How writers differ */
struct elf_style {
	uint32_t data_align;            /* of memory in the file                */
	uint32_t p_align;
	bool terse;                     /* p_memsz of PT_NOTE, and the size of section
					 * headers in a file without any, are 0 */
	bool maps_kernel;               /* PT_LOADs for its virtual addresses   */
	bool names_process;             /* NT_PRPSINFO before all other notes   */
};

static const struct elf_style style_own = { .data_align = 4096, .maps_kernel = true };
/* Facts: s390-tools' zdump/dfo_elf.c, df_elf.c, and its output. */
static const struct elf_style style_zgetdump = {
	.data_align = 1, .p_align = 4096, .terse = true, .names_process = true,
};

struct elf_writer {
	struct writer writer;
	struct sink *sink;
	const struct image *image;
	const struct elf_style *style;
	uint32_t page_size;
	bool is64;
	struct elf_phdr *loads;         /* ascending paddr, memory in file order */
	size_t num_loads;
	struct pieces pieces;           /* the parts of segments that are in the file */
	struct elf_phdr *maps;          /* the same memory by virtual address   */
	size_t num_maps;
	struct source *source;
	const struct pv_dump_section *sections; /* after memory; NULL: none            */
	size_t num_sections;
	uint64_t notes_off, process_size, notes_size;
	uint64_t sections_off, names_off, end;
};

/* The virtual address of memory in the kernel's linear mapping, as far as that is known */
static uint64_t elf_vaddr_of(const struct elf_writer *w, uint64_t paddr)
{
	const struct arch *arch = w->image->arch;

	if (!arch->lowmem_size)
		return paddr;
	return paddr < arch->lowmem_size ? arch->lowmem_vaddr + paddr : UINT64_MAX;
}

static struct gdump_error *elf_add_load(struct elf_writer *w, const struct elf_phdr *p)
{
	if (!ARRAY_GROW(w->loads, w->num_loads))
		return error_nomem();
	w->loads[w->num_loads] = *p;
	w->loads[w->num_loads++].vaddr = elf_vaddr_of(w, p->paddr);
	return NULL;
}

/* Cut a range into segments: each is kept memory followed by omitted memory. */
static struct gdump_error *elf_add_range(struct elf_writer *w, const struct gdump_plan *plan,
					 const struct gdump_range *r)
{
	const uint64_t last = r->start + (r->size - 1);
	uint64_t paddr = r->start;
	struct gdump_error *err = NULL;
	struct elf_phdr p = { .type = PT_LOAD };
	bool more = true;

	p.flags = r->kind == GDUMP_RANGE_DEVICE ? PF_R : PF_R | PF_W | PF_X;
	p.paddr = paddr;
	while (!err && more) {
		bool kept;
		uint64_t pfn = paddr / plan->page_size;
		uint64_t run = plan_run(plan, pfn, &kept);
		uint64_t end = MIN((pfn + run) * plan->page_size - 1, last) + 1;

		more = end - 1 < last;
		if (kept && p.memsz) {
			err = elf_add_load(w, &p);
			p.paddr = paddr;
			p.filesz = p.memsz = 0;
		}
		p.memsz += end - paddr;
		if (kept)
			p.filesz = p.memsz;
		paddr = end;
	}
	return err ? err : elf_add_load(w, &p);
}

/* The first segment that ends after @paddr. */
static size_t elf_load_after(const struct elf_writer *w, uint64_t paddr)
{
	return BISECT(w->num_loads, i, w->loads[i].paddr + (w->loads[i].memsz - 1) >= paddr);
}

/* The segment that has @paddr in the file, or NULL. */
static const struct elf_phdr *elf_load_at(const struct elf_writer *w, uint64_t paddr)
{
	size_t i = elf_load_after(w, paddr);
	const struct elf_phdr *p = &w->loads[i];

	if (i == w->num_loads || p->paddr > paddr || paddr - p->paddr >= p->filesz)
		return NULL;
	return p;
}

/* Low and high memory differ in p_vaddr: cut a range where one ends. */
static struct gdump_error *elf_add_split(struct elf_writer *w, const struct gdump_plan *plan,
					 const struct gdump_range *r)
{
	const uint64_t cut = w->image->arch->lowmem_size;
	struct gdump_range low = *r, high = *r;
	struct gdump_error *err;

	if (r->start >= cut || cut - r->start >= r->size)
		return elf_add_range(w, plan, r);
	low.size = cut - r->start;
	high.start = cut;
	high.size = r->size - low.size;
	err = elf_add_range(w, plan, &low);
	return err ? err : elf_add_range(w, plan, &high);
}

/* Map memory at @vaddr, up to the end of the segment that has it in the file. */
static struct gdump_error *elf_add_map(struct elf_writer *w, uint64_t vaddr, uint64_t paddr,
				       uint64_t size)
{
	const struct elf_phdr *p = elf_load_at(w, paddr);

	if (!p)
		return NULL;
	if (!ARRAY_GROW(w->maps, w->num_maps))
		return error_nomem();
	size = MIN(size, p->filesz - (paddr - p->paddr));
	w->maps[w->num_maps++] = (struct elf_phdr){
		.type = PT_LOAD, .flags = PF_R | PF_W | PF_X, .vaddr = vaddr, .paddr = paddr,
		.filesz = size, .memsz = size,
	};
	return NULL;
}

/* The same for memory of which parts may be omitted. */
static struct gdump_error *elf_map_range(struct elf_writer *w, uint64_t vaddr, uint64_t paddr,
					 uint64_t size)
{
	struct gdump_error *err = NULL;

	for (uint64_t done = 0, n; !err && done < size; done += n) {
		const size_t next = elf_load_after(w, paddr + done);
		const struct elf_phdr *p = &w->loads[next];
		uint64_t end;

		if (next == w->num_loads)
			break;
		end = p->paddr > paddr + done ? p->paddr : p->paddr + p->memsz;
		n = MIN(size - done, end - (paddr + done));
		err = elf_add_map(w, vaddr + done, paddr + done, n);
	}
	return err;
}

/* All that the guest's page tables map. */
static struct gdump_error *elf_map_tables(struct elf_writer *w, struct source *s)
{
	struct mappings m;
	struct gdump_error *err = mappings_find(s, &m);

	for (size_t i = 0; !err && i < m.num; i++)
		err = elf_map_range(w, m.maps[i].vaddr, m.maps[i].paddr, m.maps[i].size);
	if (!err && !m.num)
		err = error_new(GDUMP_ERR_UNSUPPORTED,
				"cannot find the page tables: neither VMCOREINFO nor the notes of the CPUs say where they are");
	mappings_deinit(&m);
	return err;
}

/* Map the kernel's image where its page tables are found. */
static struct gdump_error *elf_map_kernel(struct elf_writer *w)
{
	const struct image *image = w->image;
	uint64_t text, tables, paddr, size = IMAGE_SIZE;

	/* some sections are about the bytes of all segments, in their order */
	if (w->num_sections || !w->style->maps_kernel || image->arch->lowmem_size ||
	    !image->arch->image_paddr ||
	    !vmcoreinfo_symbol(image, "_stext", &text) ||
	    !vmcoreinfo_symbol(image, "swapper_pg_dir", &tables))
		return NULL;
	text = round_down(text, IMAGE_ALIGN);
	if (!image->arch->image_paddr(image, text, &paddr) || paddr == text)
		return NULL;
	if (tables > text && tables - text < 1u << 30)
		size = MAX(size, tables - text + w->page_size);
	return elf_map_range(w, text, paddr, size);
}

static uint64_t elf_num_phdrs(const struct elf_writer *w)
{
	return 1 + w->num_maps + w->num_loads;
}

/* Section header 0, those of the sections, and that of their names; 0: none is needed. */
static uint64_t elf_num_shdrs(const struct elf_writer *w)
{
	if (w->num_sections)
		return 1 + w->num_sections + 1;
	return elf_num_phdrs(w) >= PN_XNUM;
}

/* Size of the table of names: an empty one, those of the sections, its own */
static size_t elf_names_size(const struct elf_writer *w)
{
	size_t size = 1 + sizeof(SHSTRTAB);

	for (size_t i = 0; i < w->num_sections; i++)
		size += strlen(w->sections[i].name) + 1;
	return size;
}

static uint64_t elf_lay_out_sections(struct elf_writer *w, uint64_t off)
{
	w->sections_off = off;
	for (size_t i = 0; i < w->num_sections; i++)
		off += w->sections[i].size;
	w->names_off = off;
	return w->num_sections ? off + elf_names_size(w) : off;
}

/* Assign the offsets of everything in the file. */
static void elf_lay_out(struct elf_writer *w)
{
	const uint64_t n = elf_num_phdrs(w);
	uint64_t off = elf_ehdr_size(w->is64) + n * elf_phdr_size(w->is64);

	off += elf_num_shdrs(w) * elf_shdr_size(w->is64);
	w->notes_off = off;
	w->process_size = w->style->names_process ? PROCESS_SIZE : 0;
	w->notes_size = w->process_size + image_notes_size(w->image);
	off = round_up(off + w->notes_size, w->style->data_align);
	for (size_t i = 0; i < w->num_loads; i++) {
		w->loads[i].off = off;
		off += w->loads[i].filesz;
	}
	for (size_t i = 0; i < w->num_maps; i++) {
		const struct elf_phdr *p = elf_load_at(w, w->maps[i].paddr);

		w->maps[i].off = p->off + (w->maps[i].paddr - p->paddr);
	}
	w->end = elf_lay_out_sections(w, off);
}

/* Choose the class: 32 bits if everything fits.  No 32-bit reader supports PN_XNUM, so more
 * than 65,534 headers need ELF64.
 */
static void elf_choose_class(struct elf_writer *w)
{
	const struct elf_phdr *last = w->num_loads ? &w->loads[w->num_loads - 1] : NULL;

	w->is64 = w->image->arch->is64 || elf_num_phdrs(w) >= PN_XNUM ||
		  (last && last->paddr + (last->memsz - 1) > UINT32_MAX);
	elf_lay_out(w);
	if (!w->is64 && w->end > UINT32_MAX) {
		w->is64 = true;
		elf_lay_out(w);
	}
}

/* The layout is final: list where the segments have their data. */
static struct gdump_error *elf_find_pieces(struct elf_writer *w)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < w->num_loads; i++) {
		const struct elf_phdr *p = &w->loads[i];

		if (p->filesz)
			err = pieces_add(&w->pieces, p->paddr, p->filesz, p->off);
	}
	return err;
}

static void elf_put_ehdr(const struct elf_writer *w, struct cursor *c, bool complete)
{
	const unsigned char ident[EI_NIDENT] = {
		ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
		w->is64 ? ELFCLASS64 : ELFCLASS32,
		c->big ? ELFDATA2MSB : ELFDATA2LSB, EV_CURRENT,
	};
	const uint64_t n = elf_num_phdrs(w);
	const bool xnum = n >= PN_XNUM;
	const size_t ehdr = elf_ehdr_size(w->is64), phdr = elf_phdr_size(w->is64);

	put_bytes(c, ident, ELF_MARK_OFF);
	if (w->sink->checksums)
		put_bytes(c, CHECKSUM_MARK, CHECKSUM_MARK_SIZE);
	else
		put_zeros(c, CHECKSUM_MARK_SIZE);
	put_u16(c, ET_CORE);
	put_u16(c, w->image->machine);
	put_u32(c, EV_CURRENT);
	put_word(c, 0);                                 /* e_entry */
	put_word(c, ehdr);                              /* e_phoff */
	put_word(c, elf_num_shdrs(w) ? ehdr + n * phdr : 0);    /* e_shoff */
	put_u32(c, complete ? 0 : ELF_INCOMPLETE);      /* e_flags */
	put_u16(c, (uint16_t)ehdr);
	put_u16(c, (uint16_t)phdr);
	put_u16(c, xnum ? PN_XNUM : (uint16_t)n);
	put_u16(c, w->style->terse && !elf_num_shdrs(w) ? 0 : (uint16_t)elf_shdr_size(w->is64));
	put_u16(c, (uint16_t)elf_num_shdrs(w));         /* e_shnum */
	put_u16(c, (uint16_t)(w->num_sections ? elf_num_shdrs(w) - 1 : 0)); /* e_shstrndx */
}

static void elf_put_phdr(const struct elf_writer *w, struct cursor *c, const struct elf_phdr *p)
{
	put_u32(c, p->type);
	if (c->is64)
		put_u32(c, p->flags);
	put_word(c, p->off);
	put_word(c, p->vaddr);
	put_word(c, p->paddr);
	put_word(c, p->filesz);
	put_word(c, p->memsz);
	if (!c->is64)
		put_u32(c, p->flags);
	put_word(c, p->type == PT_LOAD ? w->style->p_align : 0);
}

/* NT_PRPSINFO of a running "process" */
static void elf_put_process(struct cursor *c)
{
	static const char desc[PROCESS_DESC] = { [1] = 'R', [40] = 'v', 'm', 'l', 'i', 'n', 'u',
						 'x' };

	put_u32(c, 5);
	put_u32(c, sizeof(desc));
	put_u32(c, NT_PRPSINFO);
	put_bytes(c, "CORE\0\0\0", 8);
	put_bytes(c, desc, sizeof(desc));
}

struct elf_shdr {
	uint32_t name, type, info;
	uint64_t off, size;
};

static void elf_put_shdr(struct cursor *c, const struct elf_shdr *s)
{
	put_u32(c, s->name);
	put_u32(c, s->type);
	put_word(c, 0);                                 /* sh_flags */
	put_word(c, 0);                                 /* sh_addr */
	put_word(c, s->off);
	put_word(c, s->size);
	put_u32(c, 0);                                  /* sh_link */
	put_u32(c, s->info);
	put_word(c, 0);                                 /* sh_addralign */
	put_word(c, 0);                                 /* sh_entsize */
}

/* Section header 0 has the number of program headers, if that does not fit in e_phnum. */
static void elf_put_shdrs(const struct elf_writer *w, struct cursor *c)
{
	const uint64_t n = elf_num_phdrs(w);
	struct elf_shdr s = { .info = n >= PN_XNUM ? (uint32_t)n : 0 };

	elf_put_shdr(c, &s);
	if (!w->num_sections)
		return;
	s = (struct elf_shdr){ .type = SHT_PROGBITS, .name = 1, .off = w->sections_off };
	for (size_t i = 0; i < w->num_sections; i++) {
		s.size = w->sections[i].size;
		elf_put_shdr(c, &s);
		s.off += s.size;
		s.name += (uint32_t)strlen(w->sections[i].name) + 1;
	}
	s.type = SHT_STRTAB;
	s.size = elf_names_size(w);
	elf_put_shdr(c, &s);
}

static struct gdump_error *elf_write_names(struct elf_writer *w)
{
	const size_t size = elf_names_size(w);
	CLEANUP_FREE char *names = calloc(1, size);
	struct cursor c = cursor_init(names, size, false, false);

	if (!names)
		return error_nomem();
	put_u8(&c, 0);
	for (size_t i = 0; i < w->num_sections; i++)
		put_bytes(&c, w->sections[i].name, strlen(w->sections[i].name) + 1);
	put_bytes(&c, SHSTRTAB, sizeof(SHSTRTAB));
	return sink_write(w->sink, w->names_off, names, size);
}

/* All memory has been read: fetch the sections, which follow it, piece by piece. */
static struct gdump_error *elf_write_sections(struct elf_writer *w)
{
	CLEANUP_FREE unsigned char *buf = malloc(PV_DUMP_PIECE);
	struct gdump_error *err = buf ? NULL : error_nomem();
	uint64_t off = w->sections_off;

	for (size_t i = 0; !err && i < w->num_sections; i++) {
		const uint64_t size = w->sections[i].size;

		for (uint64_t at = 0; !err && at < size; at += PV_DUMP_PIECE) {
			const size_t len = (size_t)MIN(size - at, (uint64_t)PV_DUMP_PIECE);

			err = w->source->ops->pv_dump->fetch(w->source, i, at, buf, len);
			if (!err)
				err = sink_write(w->sink, off + at, buf, len);
		}
		off += size;
	}
	return err ? err : elf_write_names(w);
}

static struct gdump_error *elf_write_headers(struct elf_writer *w, bool complete)
{
	const size_t size = (size_t)(w->notes_off + w->notes_size);
	CLEANUP_FREE unsigned char *buf = malloc(size);
	struct cursor c = cursor_init(buf, size, w->image->big, w->is64);
	const struct elf_phdr note = {
		.type = PT_NOTE, .off = w->notes_off, .filesz = w->notes_size,
		.memsz = w->style->terse ? 0 : w->notes_size,
	};

	if (!buf)
		return error_nomem();
	elf_put_ehdr(w, &c, complete && !w->image->incomplete && !w->writer.incomplete);
	elf_put_phdr(w, &c, &note);
	for (size_t i = 0; i < w->num_maps; i++)
		elf_put_phdr(w, &c, &w->maps[i]);
	for (size_t i = 0; i < w->num_loads; i++)
		elf_put_phdr(w, &c, &w->loads[i]);
	if (elf_num_shdrs(w))
		elf_put_shdrs(w, &c);
	if (w->process_size)
		elf_put_process(&c);
	image_notes_put(w->image, buf + w->notes_off + w->process_size);
	return sink_write(w->sink, 0, buf, size);
}

static struct gdump_error *elf_store(struct writer *writer, const struct batch *b)
{
	struct elf_writer *w = (struct elf_writer *)writer;

	return pieces_store(&w->pieces, w->sink, b, w->page_size);
}

static struct gdump_error *elf_finish(struct writer *writer, uint64_t *size)
{
	struct elf_writer *w = (struct elf_writer *)writer;
	struct gdump_error *err = w->num_sections ? elf_write_sections(w) : NULL;
	const bool again = w->sink->seeks || (w->sink->amends && writer->incomplete);

	*size = w->end;
	writer->unmarked = writer->incomplete && !again;
	return !err && again ? elf_write_headers(w, true) : err;
}

static void elf_close(struct writer *writer)
{
	struct elf_writer *w = (struct elf_writer *)writer;

	pieces_deinit(&w->pieces);
	free(w->loads);
	free(w->maps);
	free(w);
}

const struct pieces *elf_pieces(const struct writer *writer)
{
	return &((const struct elf_writer *)writer)->pieces;
}

static const struct writer_ops elf_writer_ops = {
	.store = elf_store,
	.finish = elf_finish,
	.close = elf_close,
};

/* A decrypted dump has the bytes of zgetdump's, see style_zgetdump. */
bool elf_takes_trailer(const struct image *image)
{
	return !image->decrypted;
}

struct gdump_error *elf_create(const struct write_spec *spec, struct writer **ret)
{
	struct elf_writer *w = calloc(1, sizeof(*w));
	CLEANUP_WRITER struct writer *owned = &w->writer;
	const struct image *image = spec->image;
	struct gdump_error *err = NULL;

	if (!w)
		return error_nomem();
	w->writer.ops = &elf_writer_ops;
	w->sink = spec->sink;
	w->image = image;
	w->style = image->decrypted ? &style_zgetdump : &style_own;
	w->page_size = spec->plan->page_size;
	w->source = spec->source;
	w->sections = spec->sections;
	while (w->sections && w->sections[w->num_sections].name)
		w->num_sections++;
	for (size_t i = 0; !err && i < image->num_ranges; i++)
		err = elf_add_split(w, spec->plan, &image->ranges[i]);
	if (!err)
		err = spec->paging ? elf_map_tables(w, spec->source) : elf_map_kernel(w);
	if (err)
		return err;
	elf_choose_class(w);
	err = elf_find_pieces(w);
	if (err)
		return err;
	/* marked as incomplete until finish(), if the sink can seek back */
	err = elf_write_headers(w, !w->sink->seeks);
	if (err)
		return err;
	owned = NULL;
	*ret = &w->writer;
	return NULL;
}
