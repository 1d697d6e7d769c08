/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/elf_protected.c - what the ELF core of a protected guest has beside memory
 *
 * The core of a protected guest of s390x has a note 0x30e for each CPU and two sections,
 * pv_mem_meta and pv_compl.  Any of these identifies it: when the firmware refuses to dump,
 * QEMU 7.2 writes a core without the sections that looks complete otherwise.
 *
 * Sections are found by name, with or without a leading dot.  QEMU writes section headers in
 * the byte order of its host, so both orders are tried, that of the ELF header first.
 *
 * Facts: QEMU's dump/dump.c and target/s390x/arch_dump.c, s390-tools' zdump/.
 */
#include "elf.h"

#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../pv/pv.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum { MAX_SECTIONS = 65536 };

struct elf_sections {
	struct bytes *in;
	const struct elf_header *header;
	bool big;                       /* byte order of the section headers    */
};

struct elf_section {
	uint32_t name;                  /* offset in the string table           */
	uint64_t off, size;
};

/* False: it is not in the file. */
static bool elf_section_get(const struct elf_sections *ss, uint64_t i, struct elf_section *ret)
{
	unsigned char buf[sizeof(Elf64_Shdr)];
	const uint64_t off = ss->header->shoff + i * ss->header->shentsize;
	struct cursor c = cursor_init(buf, sizeof(buf), ss->big, true);
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (!ss->header->shoff || ss->header->shentsize < sizeof(buf) ||
	    off < ss->header->shoff)
		return false;
	err = bytes_read(ss->in, off, buf, sizeof(buf));
	if (err)
		return false;
	ret->name = get_u32(&c);
	cursor_take(&c, offsetof(Elf64_Shdr, sh_offset) - 4);
	ret->off = get_u64(&c);
	ret->size = get_u64(&c);
	return true;
}

static bool elf_section_is_called(const struct elf_sections *ss, const struct elf_section *names,
				  uint32_t at, const char *name)
{
	char buf[16] = "";
	const size_t len = strlen(name) + 2;
	CLEANUP_ERROR struct gdump_error *err = NULL;
	size_t n;

	if (at >= names->size || names->off > ss->in->size)
		return false;
	n = (size_t)MIN(MIN(names->size - at, len), sizeof(buf) - 1);
	n = (size_t)MIN(n, ss->in->size - names->off > at ? ss->in->size - names->off - at : 0);
	err = bytes_read(ss->in, names->off + at, buf, n);
	return !err && !strcmp(buf + (buf[0] == '.'), name);
}

/* Look through the sections, whose headers are in the byte order ss->big. */
static void elf_find_in_order(const struct elf_sections *ss, struct pv_sections *sections)
{
	const struct elf_header *h = ss->header;
	struct elf_section s, names;
	uint64_t num = h->shnum;

	/* more than 65,279: their number is in section header 0 */
	if (!num && elf_section_get(ss, 0, &s))
		num = s.size;
	if (!elf_section_get(ss, h->shstrndx, &names))
		return;
	for (uint64_t i = 0; i < MIN(num, MAX_SECTIONS) && elf_section_get(ss, i, &s); i++) {
		const struct pv_section found = { true, s.off, s.size };

		if (!sections->meta.found && elf_section_is_called(ss, &names, s.name, "pv_mem_meta"))
			sections->meta = found;
		if (!sections->completion.found &&
		    elf_section_is_called(ss, &names, s.name, "pv_compl"))
			sections->completion = found;
	}
}

static void elf_find_sections(struct bytes *in, const struct elf_header *h,
			      struct pv_sections *sections)
{
	struct elf_sections ss = { .in = in, .header = h, .big = h->big };

	elf_find_in_order(&ss, sections);
	ss.big = !ss.big;
	if (!sections->meta.found && !sections->completion.found)
		elf_find_in_order(&ss, sections);
}

/* Memory that should be in the file, and how much of it is */
static bool elf_get_pv_load(const struct bytes *in, const struct elf_phdr *p, struct pv_load *ret)
{
	if (p->type != PT_LOAD || p->paddr == UINT64_MAX || p->off == UINT64_MAX)
		return false;
	ret->paddr = p->paddr;
	ret->size = MIN(p->filesz, p->memsz);
	ret->there = p->off < in->size ? MIN(ret->size, in->size - p->off) : 0;
	ret->there = round_down(ret->there, PV_PAGE);
	return ret->size;
}

static bool elf_section_shares(const struct pv_section *s, uint64_t off, uint64_t size)
{
	return s->found && s->size && size && off < s->off + s->size && s->off < off + size;
}

/* Fail if a section has bytes of the other one, or of memory. */
static struct gdump_error *elf_check_sections(const struct bytes *in, const struct elf_header *h,
					      const struct pv_sections *sections)
{
	const struct pv_section *meta = &sections->meta, *completion = &sections->completion;
	bool shares = completion->found && elf_section_shares(meta, completion->off, completion->size);

	/* one that is past the end is reported when it is read */
	if (!range_fits(meta->off, meta->size, in->size) ||
	    !range_fits(completion->off, completion->size, in->size))
		return NULL;
	for (size_t i = 0; i < h->phnum; i++) {
		const struct elf_phdr *p = &h->phdrs[i];

		if (p->type == PT_LOAD)
			shares |= elf_section_shares(meta, p->off, p->filesz) ||
				  elf_section_shares(completion, p->off, p->filesz);
	}
	return shares ? error_new(GDUMP_ERR_CORRUPT,
				  "ELF section headers: a section of a protected guest shares bytes with another one, or with memory") :
			NULL;
}

static struct gdump_error *elf_find_pv_loads(const struct bytes *in, const struct elf_header *h,
					     struct pv_sections *sections)
{
	sections->loads = calloc(h->phnum + 1, sizeof(*sections->loads));
	if (!sections->loads)
		return error_nomem();
	for (size_t i = 0; i < h->phnum; i++)
		sections->num_loads +=
			elf_get_pv_load(in, &h->phdrs[i], &sections->loads[sections->num_loads]);
	return NULL;
}

struct gdump_error *elf_protected(struct source *inner, struct bytes *in,
				  const struct elf_header *h, struct source **ret)
{
	struct pv_sections sections = { .in = in };
	struct gdump_error *err;

	if (h->is64 && h->big)
		elf_find_sections(in, h, &sections);
	if ((sections.meta.found || sections.completion.found) && !arch_by_machine(h->machine)->pv_dumps)
		return error_new(GDUMP_ERR_CORRUPT,
				 "ELF header: it has sections of a protected guest, but e_machine %u has no such guests",
				 h->machine);
	if (!sections.meta.found && !sections.completion.found && !pv_has_cpus(&inner->image)) {
		*ret = inner;
		return NULL;
	}
	err = elf_check_sections(in, h, &sections);
	if (!err)
		err = elf_find_pv_loads(in, h, &sections);
	return err ? err : pv_wrap(inner, &sections, ret);
}
