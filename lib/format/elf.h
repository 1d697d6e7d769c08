/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * elf.h - what reader and writer of ELF cores share
 */
#pragma once

#include <elf.h>

#include "format.h"
#include "../util/cursor.h"

/* A program header, of either class. */
struct elf_phdr {
	uint32_t type, flags;
	uint64_t off, vaddr, paddr, filesz, memsz;
};

/* What of an ELF header matters, of either class */
struct elf_header {
	bool is64, big;
	uint16_t type, machine, phentsize, shentsize, shnum, shstrndx;
	uint32_t flags;
	uint64_t phoff, shoff, phnum;
};

static inline size_t elf_ehdr_size(bool is64) { return is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr); }
static inline size_t elf_phdr_size(bool is64) { return is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr); }
static inline size_t elf_shdr_size(bool is64) { return is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr); }

/* How makedumpfile marks a dump that ran out of space, in e_flags. */
enum { ELF_INCOMPLETE = 1 };

/* The program headers, in file order; the caller frees them. */
MUST_CHECK struct gdump_error *elf_read_phdrs(struct bytes *in, const struct elf_header *h,
					      struct elf_phdr **ret);
/* If @inner, the source of file @in, is of a protected guest, put another one around it
 * that can decrypt; else @ret is @inner.  On error @inner is still the caller's.
 */
MUST_CHECK struct gdump_error *elf_protected(struct source *inner, struct bytes *in,
					     const struct elf_header *h, struct source **ret);

struct gdump_error *elf_create(const struct write_spec *spec, struct writer **ret);
