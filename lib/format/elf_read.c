/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * format/elf_read.c - ELF cores: QEMU's, makedumpfile's, the kernel's, ours
 *
 * Facts: the ELF specification; Linux's fs/proc/vmcore.c.  Known oddities that
 * are taken: QEMU's e_ehsize of 8 (ignored), program headers anywhere, segments without data, several
 * segments for one piece of memory, a file that ends early.
 */
#include "elf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "pieces.h"

enum { MAX_PHDRS = 1 << 22, MAX_NOTES_SIZE = 1 << 28 };

struct elf_source {
	struct source source;
	struct bytes *in;
	struct pieces pieces;
};

static bool elf_probe(const unsigned char *head, size_t len)
{
	return len >= EI_NIDENT && !memcmp(head, ELFMAG, SELFMAG);
}

static struct gdump_error *corrupt(const char *what)
{
	return error_new(GDUMP_ERR_CORRUPT, "ELF header: %s", what);
}

/* More than 65,534 program headers: their number is in section header 0. */
static struct gdump_error *read_xnum(struct bytes *in, struct elf_header *h)
{
	unsigned char buf[sizeof(Elf64_Shdr)];
	struct gdump_error *err = bytes_read(in, h->shoff, buf, elf_shdr_size(h->is64));
	struct cursor c = cursor_init(buf, sizeof(buf), h->big, h->is64);

	if (err)
		return error_prefix(err, "ELF section header 0 (number of program headers)");
	cursor_take(&c, h->is64 ? offsetof(Elf64_Shdr, sh_info) : offsetof(Elf32_Shdr, sh_info));
	h->phnum = get_u32(&c);
	return NULL;
}

static struct gdump_error *read_header(struct bytes *in, struct elf_header *h)
{
	unsigned char buf[sizeof(Elf64_Ehdr)] = { 0 };
	struct gdump_error *err = bytes_read(in, 0, buf, (size_t)MIN(in->size, sizeof(buf)));
	struct cursor c;

	if (err)
		return err;
	if (buf[EI_CLASS] != ELFCLASS32 && buf[EI_CLASS] != ELFCLASS64)
		return corrupt("the class is neither 32 nor 64 bit");
	if (buf[EI_DATA] != ELFDATA2LSB && buf[EI_DATA] != ELFDATA2MSB)
		return corrupt("the byte order is neither little nor big endian");
	h->is64 = buf[EI_CLASS] == ELFCLASS64;
	h->big = buf[EI_DATA] == ELFDATA2MSB;
	if (in->size < elf_ehdr_size(h->is64))
		return corrupt("the file ends inside of it");
	c = cursor_init(buf, sizeof(buf), h->big, h->is64);
	cursor_take(&c, EI_NIDENT);
	h->type = get_u16(&c);
	h->machine = get_u16(&c);
	get_u32(&c);                    /* e_version */
	get_word(&c);                   /* e_entry */
	h->phoff = get_word(&c);
	h->shoff = get_word(&c);
	h->flags = get_u32(&c);
	get_u16(&c);                    /* e_ehsize: QEMU writes 8 */
	h->phentsize = get_u16(&c);
	h->phnum = get_u16(&c);
	h->shentsize = get_u16(&c);
	h->shnum = get_u16(&c);
	h->shstrndx = get_u16(&c);
	if (h->type != ET_CORE)
		return error_new(GDUMP_ERR_FORMAT,
				 "is an ELF file, but not a core (e_type %u)", h->type);
	return h->phnum == PN_XNUM ? read_xnum(in, h) : NULL;
}

static void get_phdr(struct cursor *c, struct elf_phdr *p)
{
	p->type = get_u32(c);
	if (c->is64)
		p->flags = get_u32(c);
	p->off = get_word(c);
	p->vaddr = get_word(c);
	p->paddr = get_word(c);
	p->filesz = get_word(c);
	p->memsz = get_word(c);
	if (!c->is64)
		p->flags = get_u32(c);
}

struct gdump_error *elf_read_phdrs(struct bytes *in, const struct elf_header *h,
				   struct elf_phdr **ret)
{
	const size_t size = h->phentsize;
	CLEANUP_FREE unsigned char *buf = NULL;
	CLEANUP_FREE struct elf_phdr *phdrs = NULL;
	struct gdump_error *err;

	if (!h->phnum || h->phnum > MAX_PHDRS)
		return error_new(GDUMP_ERR_CORRUPT, "ELF header: %llu program headers",
				 (unsigned long long)h->phnum);
	if (size < elf_phdr_size(h->is64))
		return corrupt("e_phentsize is too small");
	if (!range_fits(h->phoff, h->phnum * size, in->size))
		return corrupt("the program headers are past the end of the file");
	buf = malloc(h->phnum * size);
	phdrs = calloc(h->phnum, sizeof(*phdrs));
	if (!buf || !phdrs)
		return error_nomem();
	err = bytes_read(in, h->phoff, buf, h->phnum * size);
	if (err)
		return error_prefix(err, "ELF program headers");
	for (size_t i = 0; i < h->phnum; i++) {
		struct cursor c = cursor_init(buf + i * size, size, h->big, h->is64);

		get_phdr(&c, &phdrs[i]);
	}
	*ret = TAKE_PTR(phdrs);
	return NULL;
}

static struct gdump_error *read_notes(struct elf_source *e, const struct elf_phdr *p)
{
	struct bytes *in = e->in;
	CLEANUP_FREE void *buf = NULL;
	struct gdump_error *err;
	uint64_t size = p->filesz;
	size_t understood;

	if (p->off >= in->size || !size)
		return NULL;
	size = MIN(size, in->size - p->off);
	if (size > MAX_NOTES_SIZE)
		return error_new(GDUMP_ERR_CORRUPT, "the notes claim %llu bytes",
				 (unsigned long long)size);
	buf = malloc(size);
	if (!buf)
		return error_nomem();
	err = bytes_read(in, p->off, buf, size);
	if (!err)
		err = image_parse_notes(&e->source.image, buf, size, &understood);
	return error_prefix(err, "ELF notes");
}

static struct gdump_error *add_load(struct elf_source *e, const struct elf_phdr *p)
{
	struct image *image = &e->source.image;
	const uint64_t end = e->in->size;
	uint64_t filesz = MIN(p->filesz, p->memsz);
	struct gdump_error *err;

	if (p->paddr == UINT64_MAX || !p->memsz)
		return NULL;            /* unknown place */
	/* our own files say by its flags what is not RAM */
	err = image_add_range(image, p->paddr, p->memsz,
			      p->flags == PF_R ? GDUMP_RANGE_DEVICE : GDUMP_RANGE_RAM);
	if (err)
		return error_prefix(err, "ELF program headers");
	if (p->off == UINT64_MAX)
		filesz = 0;             /* QEMU: filtered out by begin and length */
	if (filesz && !range_fits(p->off, filesz, end)) {
		image->incomplete = true;
		filesz = p->off < end ? end - p->off : 0;
	}
	return filesz ? pieces_add(&e->pieces, p->paddr, filesz, p->off) : NULL;
}

/* The core of a process has virtual addresses only. */
static bool is_process_core(const struct elf_phdr *p, size_t n)
{
	size_t loads = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i].type != PT_LOAD)
			continue;
		if (p[i].paddr || !p[i].vaddr)
			return false;
		loads++;
	}
	return loads > 1;
}

static struct gdump_error *read_segments(struct elf_source *e, const struct elf_header *h)
{
	CLEANUP_FREE struct elf_phdr *phdrs = NULL;
	struct gdump_error *err = elf_read_phdrs(e->in, h, &phdrs);

	if (err)
		return err;
	if (is_process_core(phdrs, h->phnum))
		return error_new(GDUMP_ERR_FORMAT,
				 "is the core of a process, not of a machine: it has no guest-physical addresses");
	for (size_t i = 0; !err && i < h->phnum; i++) {
		if (phdrs[i].type == PT_NOTE)
			err = read_notes(e, &phdrs[i]);
		else if (phdrs[i].type == PT_LOAD)
			err = add_load(e, &phdrs[i]);
	}
	pieces_sort(&e->pieces);
	return err;
}

static struct gdump_error *elf_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct elf_source *e = (struct elf_source *)s;

	return pieces_read(&e->pieces, e->in, paddr, buf, len);
}

static struct gdump_error *elf_scan(struct source *s, uint64_t pfn, size_t num,
				    unsigned char *state, bool holes)
{
	struct elf_source *e = (struct elf_source *)s;

	pieces_scan(&e->pieces, holes ? e->in : NULL, s->image.page_size, pfn, num, state);
	return NULL;
}

static uint64_t elf_gap(struct source *s, uint64_t pfn, uint64_t num, enum page_state *state)
{
	struct elf_source *e = (struct elf_source *)s;

	return pieces_gap(&e->pieces, e->in, s->image.page_size, pfn, num, state);
}

static void elf_close(struct source *s)
{
	struct elf_source *e = (struct elf_source *)s;

	bytes_close(e->in);
	pieces_deinit(&e->pieces);
	free(e);
}

static const struct source_ops elf_source_ops = {
	.name = "elf",
	.has_absent = true,
	.read = elf_read,
	.scan = elf_scan,
	.gap = elf_gap,
	.close = elf_close,
};

static const char *producer(const struct image *image)
{
	for (size_t i = 0; i < image->num_notes; i++) {
		if (!strcmp(image->notes[i].name, "QEMU"))
			return ", with QEMU's CPU notes";
	}
	return "";
}

static struct gdump_error *elf_open(struct bytes *in, struct source **ret)
{
	struct elf_source *e = calloc(1, sizeof(*e));
	CLEANUP_SOURCE struct source *guard = NULL;
	struct elf_header h = { 0 };
	struct gdump_error *err;

	if (!e) {
		bytes_close(in);
		return error_nomem();
	}
	guard = &e->source;
	source_init(&e->source, &elf_source_ops);
	e->in = in;
	err = read_header(in, &h);
	if (err)
		return err;
	e->source.image.machine = h.machine;
	e->source.image.is64 = arch_by_machine(h.machine)->is64;
	e->source.image.big = h.big;
	e->source.image.incomplete = in->truncated || h.flags & ELF_INCOMPLETE;
	err = read_segments(e, &h);
	if (!err)
		err = image_seal(&e->source.image);
	if (err)
		return err;
	pieces_trim(&e->pieces, in, &e->source.image);
	e->source.image.num_absent = pieces_absent(&e->pieces, &e->source.image);
	snprintf(e->source.image.detail, sizeof(e->source.image.detail), "%sELF core, %d bit%s",
		 in->kind, h.is64 ? 64 : 32, producer(&e->source.image));
	err = elf_protected(&e->source, in, &h, ret);
	if (!err)
		guard = NULL;
	return err;
}

const struct format format_elf = {
	.name = "elf",
	.summary = "ELF core, not compressed; zero pages are holes in the file",
	.sections = true,
	.any_order = true,
	.ends_itself = true,
	.like_zgetdump = true,
	.maps = true,
	.probe = elf_probe,
	.open = elf_open,
	.create = elf_create,
};
