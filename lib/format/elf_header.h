/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * elf_header.h - the head of an ELF core: its header, program headers and notes
 *
 * Of a file that is all there, elf_header_read() reads the header and the program
 * headers.  Where the file arrives piece by piece, elf_header_parse(),
 * elf_header_parse_xnum() and elf_phdr_parse() do the same one step at a time.
 */
#pragma once

#include <elf.h>

#include "../bytes/bytes.h"
#include "../machine/image.h"
#include "../util/cursor.h"

/* A program header, of either class */
struct elf_phdr {
	uint32_t type, flags;
	uint64_t off, vaddr, paddr, filesz, memsz;
};

/* What of an ELF header matters, of either class */
struct elf_header {
	bool is64, big;
	bool has_checksum;              /* there is CHECKSUM_MARK               */
	uint16_t type, machine, phentsize, shentsize, shnum, shstrndx;
	uint32_t flags;
	uint64_t phoff, shoff;
	uint64_t phnum;                 /* PN_XNUM until the true number is known */
	struct elf_phdr *phdrs;         /* in file order; NULL: not read        */
};

/* How makedumpfile marks a dump that ran out of space, in e_flags. */
enum { ELF_INCOMPLETE = 1 };

/* The last bytes of e_ident are padding, which readers ignore: there we put CHECKSUM_MARK. */
enum { ELF_MARK_OFF = EI_NIDENT - 4 };

/* No header is larger. */
enum { ELF_HEADER_MAX = sizeof(Elf64_Ehdr) };

/* Sizes of the structures of a class */
static inline size_t elf_ehdr_size(bool is64)
{
	return is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
}

static inline size_t elf_phdr_size(bool is64)
{
	return is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
}

static inline size_t elf_shdr_size(bool is64)
{
	return is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
}

/* The header in the first @len bytes of a file, ELF_HEADER_MAX or all of it.  If then
 * ->phnum is PN_XNUM, elf_header_parse_xnum() is due.  ->phdrs is left alone.
 */
MUST_CHECK struct gdump_error *elf_header_parse(const void *buf, size_t len,
						struct elf_header *ret);
/* Take the number of program headers from section header 0, which is elf_shdr_size()
 * bytes at ->shoff of the file.
 */
void elf_header_parse_xnum(struct elf_header *h, const void *shdr);
/* A program header: ->phentsize bytes, at least elf_phdr_size() */
struct elf_phdr elf_phdr_parse(const struct elf_header *h, const void *phdr);

/* Read the header and the program headers; to be deinited, unless it fails. */
MUST_CHECK struct gdump_error *elf_header_read(struct bytes *in, struct elf_header *ret);
void elf_header_deinit(struct elf_header *h);

/* Fill an image with what these headers, with ->phdrs, and the notes say: machine, class,
 * byte order, notes.  Ranges are the caller's.
 */
MUST_CHECK struct gdump_error *elf_header_to_image(const struct elf_header *h, struct bytes *in,
						   struct image *image);

static inline void elf_header_cleanup(struct elf_header *h)
{
	elf_header_deinit(h);
}
#define CLEANUP_ELF_HEADER __attribute__((__cleanup__(elf_header_cleanup)))
