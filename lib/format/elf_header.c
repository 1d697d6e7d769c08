/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/elf_header.c - the head of an ELF core: its header, program headers and notes
 *
 * Facts: the ELF specification.  Known oddities that are accepted: QEMU's e_ehsize of 8
 * (ignored), program headers anywhere, notes that the file ends within.
 */
#include "elf_header.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "format.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum { MAX_PHDRS = 1 << 22, MAX_NOTES_SIZE = 1 << 28 };

static struct gdump_error *elf_header_corrupt(const char *what)
{
	return error_new(GDUMP_ERR_CORRUPT, "ELF header: %s", what);
}

/* The first bytes, which are the same in all files */
static struct gdump_error *elf_header_parse_ident(const unsigned char *buf, size_t len,
						  struct elf_header *h)
{
	if (len < EI_NIDENT || memcmp(buf, ELFMAG, SELFMAG))
		return elf_header_corrupt("the file is not an ELF file");
	if (buf[EI_CLASS] != ELFCLASS32 && buf[EI_CLASS] != ELFCLASS64)
		return elf_header_corrupt("the class is neither 32 nor 64 bit");
	if (buf[EI_DATA] != ELFDATA2LSB && buf[EI_DATA] != ELFDATA2MSB)
		return elf_header_corrupt("the byte order is neither little nor big endian");
	h->is64 = buf[EI_CLASS] == ELFCLASS64;
	h->big = buf[EI_DATA] == ELFDATA2MSB;
	h->has_checksum = !memcmp(buf + ELF_MARK_OFF, CHECKSUM_MARK, CHECKSUM_MARK_SIZE);
	return NULL;
}

struct gdump_error *elf_header_parse(const void *buf, size_t len, struct elf_header *ret)
{
	struct elf_header h = { .phdrs = ret->phdrs };
	struct gdump_error *err = elf_header_parse_ident(buf, len, &h);
	struct cursor c = cursor_init(buf, len, h.big, h.is64);

	if (err)
		return err;
	cursor_take(&c, EI_NIDENT);
	h.type = get_u16(&c);
	h.machine = get_u16(&c);
	get_u32(&c);                    /* e_version */
	get_word(&c);                   /* e_entry */
	h.phoff = get_word(&c);
	h.shoff = get_word(&c);
	h.flags = get_u32(&c);
	get_u16(&c);                    /* e_ehsize: QEMU writes 8 */
	h.phentsize = get_u16(&c);
	h.phnum = get_u16(&c);
	h.shentsize = get_u16(&c);
	h.shnum = get_u16(&c);
	h.shstrndx = get_u16(&c);
	if (c.bad)
		return elf_header_corrupt("the file ends within it");
	if (h.type != ET_CORE)
		return error_new(GDUMP_ERR_FORMAT,
				 "ELF header: the file is not a core (e_type %u)", h.type);
	*ret = h;
	return NULL;
}

void elf_header_parse_xnum(struct elf_header *h, const void *shdr)
{
	struct cursor c = cursor_init(shdr, elf_shdr_size(h->is64), h->big, h->is64);

	cursor_take(&c, h->is64 ? offsetof(Elf64_Shdr, sh_info) : offsetof(Elf32_Shdr, sh_info));
	h->phnum = get_u32(&c);
}

struct elf_phdr elf_phdr_parse(const struct elf_header *h, const void *phdr)
{
	struct cursor c = cursor_init(phdr, h->phentsize, h->big, h->is64);
	struct elf_phdr p;

	p.type = get_u32(&c);
	if (h->is64)
		p.flags = get_u32(&c);
	p.off = get_word(&c);
	p.vaddr = get_word(&c);
	p.paddr = get_word(&c);
	p.filesz = get_word(&c);
	p.memsz = get_word(&c);
	if (!h->is64)
		p.flags = get_u32(&c);
	return p;
}

/* More than 65,534 program headers: their number is in section header 0. */
static struct gdump_error *elf_header_read_xnum(struct bytes *in, struct elf_header *h)
{
	unsigned char buf[sizeof(Elf64_Shdr)];
	struct gdump_error *err = bytes_read(in, h->shoff, buf, elf_shdr_size(h->is64));

	if (err)
		return error_prefix(err, "ELF section header 0 (number of program headers)");
	elf_header_parse_xnum(h, buf);
	return NULL;
}

static struct gdump_error *elf_header_read_phdrs(struct bytes *in, struct elf_header *h)
{
	const size_t size = h->phentsize;
	CLEANUP_FREE unsigned char *buf = NULL;
	CLEANUP_FREE struct elf_phdr *phdrs = NULL;
	struct gdump_error *err;

	if (!h->phnum || h->phnum > MAX_PHDRS)
		return error_new(GDUMP_ERR_CORRUPT, "ELF header: %" PRIu64 " program headers",
				 h->phnum);
	if (size != elf_phdr_size(h->is64))
		return elf_header_corrupt("e_phentsize is not that of a program header");
	if (!range_fits(h->phoff, h->phnum * size, in->size))
		return elf_header_corrupt("the program headers are past the end of the file");
	buf = malloc(h->phnum * size);
	phdrs = calloc(h->phnum, sizeof(*phdrs));
	if (!buf || !phdrs)
		return error_nomem();
	err = bytes_read(in, h->phoff, buf, h->phnum * size);
	if (err)
		return error_prefix(err, "ELF program headers");
	for (size_t i = 0; i < h->phnum; i++)
		phdrs[i] = elf_phdr_parse(h, buf + i * size);
	h->phdrs = TAKE_PTR(phdrs);
	return NULL;
}

struct gdump_error *elf_header_read(struct bytes *in, struct elf_header *ret)
{
	const size_t len = (size_t)MIN(in->size, ELF_HEADER_MAX);
	struct elf_header h = { 0 };
	unsigned char buf[ELF_HEADER_MAX];
	struct gdump_error *err = bytes_read(in, 0, buf, len);

	if (!err)
		err = elf_header_parse(buf, len, &h);
	if (!err && h.phnum == PN_XNUM)
		err = elf_header_read_xnum(in, &h);
	if (!err)
		err = elf_header_read_phdrs(in, &h);
	if (!err)
		*ret = h;
	return err;
}

void elf_header_deinit(struct elf_header *h)
{
	free(h->phdrs);
	h->phdrs = NULL;
}

/* Read a PT_NOTE, as much of it as is in the file. */
static struct gdump_error *elf_header_read_notes(struct bytes *in, const struct elf_phdr *p,
						 struct image *image)
{
	CLEANUP_FREE void *buf = NULL;
	struct gdump_error *err;
	uint64_t size = p->filesz;
	size_t understood = 0;

	if (!range_fits(p->off, size, in->size)) {
		image->incomplete = true;
		size = p->off < in->size ? in->size - p->off : 0;
	}
	if (!size)
		return NULL;
	if (size > MAX_NOTES_SIZE)
		return error_new(GDUMP_ERR_CORRUPT,
				 "ELF notes: a segment of %" PRIu64 " bytes is too large", size);
	buf = malloc(size);
	if (!buf)
		return error_nomem();
	err = bytes_read(in, p->off, buf, size);
	if (!err)
		err = image_parse_notes(image, buf, size, &understood);
	for (size_t i = understood; !err && i < size; i++)
		image->incomplete |= ((const unsigned char *)buf)[i] != 0;
	return error_prefix(err, "ELF notes");
}

struct gdump_error *elf_header_to_image(const struct elf_header *h, struct bytes *in,
					struct image *image)
{
	struct gdump_error *err = NULL;

	image->machine = h->machine;
	image->is64 = arch_by_machine(h->machine)->is64;
	image->big = h->big;
	for (uint64_t i = 0; !err && i < h->phnum; i++) {
		if (h->phdrs[i].type == PT_NOTE)
			err = elf_header_read_notes(in, &h->phdrs[i], image);
	}
	return err;
}
