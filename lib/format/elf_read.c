/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/elf_read.c - ELF cores: QEMU's, makedumpfile's, the kernel's, ours
 *
 * Facts: Linux's fs/proc/vmcore.c.  Known oddities that are accepted: segments without
 * data, several segments for one piece of memory, a file that ends early.
 */
#include "elf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "file_proof.h"
#include "pieces_source.h"

enum { MAX_NOTE_NAME = 64 };

struct elf_source {
	struct pieces_source base;
	struct file_proof proof;
	bool is_vbox;                   /* VirtualBox lists device memory, without bytes */
	bool has_notes;
};

static bool elf_probe(const unsigned char *head, size_t len)
{
	return len >= EI_NIDENT && !memcmp(head, ELFMAG, SELFMAG);
}

/* Our files tell device memory from RAM by the flags; other writers may leave them alike. */
static bool elf_flags_tell(const struct elf_header *h)
{
	for (size_t i = 0; i < h->phnum; i++) {
		if (h->phdrs[i].type == PT_LOAD && h->phdrs[i].flags == (PF_R | PF_W | PF_X))
			return true;
	}
	return false;
}

static struct gdump_error *elf_read_load(struct elf_source *s, const struct elf_header *h,
					 const struct elf_phdr *p, bool flags_tell)
{
	struct pieces_source *e = &s->base;
	struct image *image = &e->source.image;
	const uint64_t end = e->in->size;
	uint64_t filesz = MIN(p->filesz, p->memsz);
	struct gdump_error *err;

	if (p->paddr == (h->is64 ? UINT64_MAX : UINT32_MAX) || !p->memsz || (s->is_vbox && !p->filesz))
		return NULL;            /* its address is unknown, or it is device memory */
	err = image_add_range(image, p->paddr, p->memsz,
			      flags_tell && p->flags == PF_R ? GDUMP_RANGE_DEVICE
							     : GDUMP_RANGE_RAM);
	if (err)
		return error_prefix(err, "ELF program headers");
	if (p->off == UINT64_MAX)
		filesz = 0;             /* QEMU: omitted because of begin and length */
	if (filesz && !range_fits(p->off, filesz, end)) {
		image->incomplete = true;
		filesz = p->off < end ? end - p->off : 0;
	}
	if (!filesz)
		return NULL;
	err = pieces_add(&e->pieces, p->paddr, filesz, p->off);
	return err ? err : file_proof_add(&s->proof, true, p->paddr, filesz, p->off);
}

/* The core of a process has virtual addresses, but no physical ones. */
static bool elf_is_process_core(const struct elf_phdr *p, size_t n)
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

static struct gdump_error *elf_read_memory(struct elf_source *e, const struct elf_header *h)
{
	const bool flags_tell = elf_flags_tell(h);
	struct gdump_error *err = NULL;

	if (elf_is_process_core(h->phdrs, h->phnum))
		return error_new(GDUMP_ERR_FORMAT,
				 "ELF program headers: this is the core of a process, not of a machine: it has no guest-physical addresses");
	for (size_t i = 0; !err && i < h->phnum; i++) {
		if (h->phdrs[i].type == PT_LOAD)
			err = elf_read_load(e, h, &h->phdrs[i], flags_tell);
	}
	pieces_sort(&e->base.pieces);
	return err;
}

/* What else of the file is named: headers and notes */
static struct gdump_error *elf_name_rest(struct elf_source *e, const struct elf_header *h)
{
	struct gdump_error *err = file_proof_add(&e->proof, false, 0, elf_ehdr_size(h->is64), 0);
	bool cut = false;

	e->proof.what = "ELF program headers";
	if (!err)
		err = file_proof_add(&e->proof, false, 0, h->phnum * h->phentsize, h->phoff);
	if (!err && h->shoff && h->shoff < e->base.in->size)
		err = file_proof_add(&e->proof, false, 0, elf_shdr_size(h->is64), h->shoff);
	if (!err)
		err = elf_sections_name(e->base.in, h, &e->proof, &cut);
	e->base.source.image.incomplete |= cut;
	for (size_t i = 0; !err && i < h->phnum; i++) {
		const struct elf_phdr *p = &h->phdrs[i];

		e->has_notes |= p->type == PT_NOTE;
		if (p->type == PT_NOTE && range_fits(p->off, p->filesz, e->base.in->size))
			err = file_proof_add(&e->proof, false, 0, p->filesz, p->off);
	}
	return err;
}

/* Whether the bytes of a segment are notes, from the first to the last. */
static struct gdump_error *elf_has_only_notes(const struct elf_source *e, const struct piece *x, bool *ret)
{
	uint64_t at = 0;

	*ret = false;
	while (range_fits(at, sizeof(Elf64_Nhdr), x->size)) {
		unsigned char buf[sizeof(Elf64_Nhdr)];
		struct cursor c = cursor_init(buf, sizeof(buf), e->base.source.image.big, true);
		struct gdump_error *err = bytes_read(e->base.in, x->off + at, buf, sizeof(buf));
		const uint64_t name = get_u32(&c), desc = get_u32(&c);

		if (err || !name || name > MAX_NOTE_NAME)
			return err;
		at += sizeof(buf) + round_up(name, (uint64_t)4) + round_up(desc, (uint64_t)4);
	}
	*ret = at == x->size;
	return NULL;
}

/* Where no segment has notes, one of memory may have been it. */
static struct gdump_error *elf_check_notes(const struct elf_source *e)
{
	const struct pieces *loads = &e->proof.loads;
	struct gdump_error *err = NULL;
	bool bad = false;

	for (size_t i = 0; !err && !bad && !e->has_notes && i < loads->num; i++) {
		err = elf_has_only_notes(e, &loads->list[i], &bad);
		if (bad)
			err = error_new(GDUMP_ERR_CORRUPT,
					"ELF program headers: the memory at 0x%" PRIx64 " consists of notes",
					loads->list[i].paddr);
	}
	return err;
}

static struct gdump_error *elf_verify(struct source *s, struct damage *to)
{
	struct elf_source *e = (struct elf_source *)s;
	struct gdump_error *err = s->image.incomplete ? NULL : file_proof_check(&e->proof, e->base.in);

	if (!err)
		err = elf_check_notes(e);
	to->tables |= err != NULL;
	return err;
}

static struct gdump_error *elf_affected(struct source *s, const struct bytes *file,
					const struct spans *broken, struct damage *to)
{
	struct elf_source *e = (struct elf_source *)s;

	(void)file;
	return file_proof_affected(&e->proof, broken, to);
}

static void elf_source_close(struct source *s)
{
	struct elf_source *e = (struct elf_source *)s;

	file_proof_deinit(&e->proof);
	pieces_source_close(s);
}

static const struct source_ops elf_source_ops = {
	.name = "elf",
	.has_absent = true,
	.read = pieces_source_read,
	.scan = pieces_source_scan,
	.gap = pieces_source_gap,
	.verify = elf_verify,
	.affected = elf_affected,
	.close = elf_source_close,
};

static const char *elf_producer(const struct image *image)
{
	for (size_t i = 0; i < image->num_notes; i++) {
		if (!strcmp(image->notes[i].name, "QEMU"))
			return ", with QEMU's CPU notes";
	}
	return "";
}

static struct gdump_error *elf_read_all(struct elf_source *e, struct elf_header *h)
{
	struct pieces_source *p = &e->base;
	struct image *image = &p->source.image;
	struct gdump_error *err = elf_header_read(p->in, h);

	if (err)
		return err;
	image->incomplete |= (h->flags & ELF_INCOMPLETE) != 0;
	image->has_checksum = h->has_checksum;
	err = elf_header_to_image(h, p->in, image);
	e->is_vbox = !err && elf_is_vbox(image);
	if (!err)
		err = elf_read_memory(e, h);
	if (!err)
		err = elf_name_rest(e, h);
	if (!err && e->is_vbox)
		err = elf_take_vbox(image);
	if (!err)
		err = pieces_source_seal(p);
	if (err)
		return err;
	snprintf(image->detail, sizeof(image->detail), "%sELF core, %d bit%s", p->in->kind,
		 h->is64 ? 64 : 32, e->is_vbox ? " of VirtualBox" : elf_producer(image));
	return NULL;
}

static struct gdump_error *elf_open(struct bytes *in, struct source **ret)
{
	struct elf_source *p = pieces_source_create(sizeof(*p), &elf_source_ops, in);
	CLEANUP_ELF_HEADER struct elf_header h = { 0 };
	struct gdump_error *err = p ? elf_read_all(p, &h) : error_nomem();
	struct source *s;

	err = pieces_source_opened(p ? &p->base : NULL, err, &s);
	if (err)
		return err;
	err = elf_protected(s, in, &h, ret);
	if (err)
		source_close(s);
	return err;
}

const struct format format_elf = {
	.name = "elf",
	.summary = "ELF core, not compressed; zero pages are holes in the file",
	.sections = true,
	.any_order = true,
	.maps = true,
	.probe = elf_probe,
	.open = elf_open,
	.create = elf_create,
	.takes_trailer = elf_takes_trailer,
};
