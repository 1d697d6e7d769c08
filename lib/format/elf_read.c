/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * format/elf_read.c - ELF cores: QEMU's, makedumpfile's, the kernel's, ours
 *
 * Facts: Linux's fs/proc/vmcore.c.  Known oddities that are accepted: segments without
 * data, several segments for one piece of memory, a file that ends early.
 */
#include "elf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "pieces.h"

struct elf_source {
	struct source source;
	struct bytes *in;
	struct pieces pieces;
};

static bool elf_probe(const unsigned char *head, size_t len)
{
	return len >= EI_NIDENT && !memcmp(head, ELFMAG, SELFMAG);
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

static struct gdump_error *read_memory(struct elf_source *e, const struct elf_header *h)
{
	struct gdump_error *err = NULL;

	if (is_process_core(h->phdrs, h->phnum))
		return error_new(GDUMP_ERR_FORMAT,
				 "ELF program headers: the file is the core of a process, not of a machine: it has no guest-physical addresses");
	for (size_t i = 0; !err && i < h->phnum; i++) {
		if (h->phdrs[i].type == PT_LOAD)
			err = add_load(e, &h->phdrs[i]);
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
	CLEANUP_ELF_HEADER struct elf_header h = { 0 };
	struct gdump_error *err;

	if (!e) {
		bytes_close(in);
		return error_nomem();
	}
	guard = &e->source;
	source_init(&e->source, &elf_source_ops);
	e->in = in;
	err = elf_header_read(in, &h);
	if (err)
		return err;
	e->source.image.incomplete = in->truncated || h.flags & ELF_INCOMPLETE;
	err = read_memory(e, &h);
	if (!err)
		err = elf_header_to_image(&h, in, &e->source.image);
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
