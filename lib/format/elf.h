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

static inline size_t elf_ehdr_size(bool is64) { return is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr); }
static inline size_t elf_phdr_size(bool is64) { return is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr); }
static inline size_t elf_shdr_size(bool is64) { return is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr); }

/* How makedumpfile marks a dump that ran out of space, in e_flags. */
enum { ELF_INCOMPLETE = 1 };

struct gdump_error *elf_create(const struct write_spec *spec, struct writer **ret);
