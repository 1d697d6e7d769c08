/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/firecracker.c - a snapshot of Firecracker: a state file and a memory file
 *
 * The memory file is the guest's RAM without gaps and without a header.  Where the gaps are follows
 * from rules that changed once or twice, so the guest's own page tables must agree: the kernel maps
 * all of its memory, so it knows each range.  A snapshot of the changes (diff) is a file of the same
 * size with holes where nothing changed since the one that it is based on.
 *
 * Facts: Firecracker's src/vmm/src/arch/x86_64/layout.rs, arch/aarch64/layout.rs, vstate/memory.rs,
 * and docs/snapshotting.
 */
#include "firecracker.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "format.h"
#include "layout_proof.h"
#include "pieces_source.h"

#define GIB ((uint64_t)1 << 30)
#define MIB ((uint64_t)1 << 20)

enum { MAX_PARTS = 3, MAX_FILES = 16 };

/* Where memory is: the parts are filled one after the other. */
static const struct firecracker_layout {
	uint16_t machine;
	struct { uint64_t start, end; } parts[MAX_PARTS];
} firecracker_layouts[] = {
	{ EM_X86_64,  { { 0, 3 * GIB }, { 4 * GIB, 256 * GIB }, { 512 * GIB, UINT64_MAX } } },
	{ EM_X86_64,  { { 0, 3 * GIB }, { 4 * GIB, UINT64_MAX } } },    /* before 2025 */
	{ EM_X86_64,  { { 0, 0xd0000000 }, { 4 * GIB, UINT64_MAX } } },
	{ EM_AARCH64, { { 2 * GIB, 256 * GIB }, { 512 * GIB, UINT64_MAX } } },
	{ EM_AARCH64, { { 2 * GIB, UINT64_MAX } } },
};

struct firecracker {
	struct pieces_source base;
	struct firecracker_state state;
	size_t num_memories;            /* files; above 1: the first ones are changes */
};

static bool firecracker_probe(const unsigned char *head, size_t len)
{
	static const unsigned char x86[] = { 0, 0, 0x64, 0x86, 0x84, 0x19, 0x10, 0x07 };
	static const unsigned char arm[] = { 0, 0, 0xaa, 0xaa, 0x84, 0x19, 0x10, 0x07 };

	return len >= 8 && (!memcmp(head, x86, 8) || !memcmp(head, arm, 8));
}

static const struct source_ops firecracker_source_ops = {
	.name = "firecracker",
	.read = pieces_source_read,
	.scan = pieces_source_scan,
	.gap = pieces_source_gap,
	.close = pieces_source_close,
};

/* Memory, as a layout has it */
static struct gdump_error *firecracker_lay_out(struct firecracker *f,
					       const struct firecracker_layout *l)
{
	struct pieces_source *p = &f->base;
	struct image *image = &p->source.image;
	struct gdump_error *err = NULL;

	image_deinit(image);
	pieces_deinit(&p->pieces);
	p->pieces = (struct pieces){ 0 };
	image->machine = l->machine;
	image->is64 = true;
	for (uint64_t i = 0, off = 0; !err && i < MAX_PARTS && off < p->in->size; i++) {
		const uint64_t size = MIN(l->parts[i].end - l->parts[i].start, p->in->size - off);

		if (!size)
			continue;
		err = image_add_range(image, l->parts[i].start, size, GDUMP_RANGE_RAM);
		if (!err)
			err = pieces_add(&p->pieces, l->parts[i].start, size, off);
		off += size;
	}
	if (!err && !pieces_sort(&p->pieces))
		err = error_new(GDUMP_ERR_CORRUPT, "the file is too large for the memory of a guest");
	return err ? err : pieces_source_seal(p);
}

/* Whether two layouts are the same for a file of @size bytes */
static bool firecracker_is_same(const struct firecracker_layout *a,
				const struct firecracker_layout *b, uint64_t size)
{
	for (size_t i = 0; i < MAX_PARTS; i++) {
		const uint64_t x = a->parts[i].end - a->parts[i].start;
		const uint64_t y = b->parts[i].end - b->parts[i].start;

		if (a->machine != b->machine || a->parts[i].start != b->parts[i].start)
			return false;
		if (size <= MIN(x, y))
			return true;
		if (x != y)
			return false;
		size -= x;
	}
	return true;
}

/* The layouts that a file of its size can have, without duplicates: their number */
static size_t firecracker_candidates(const struct firecracker *f,
				     const struct firecracker_layout **ret)
{
	size_t num = 0;

	for (size_t i = 0; i < ARRAY_SIZE(firecracker_layouts); i++) {
		const struct firecracker_layout *l = &firecracker_layouts[i];
		bool again = f->state.machine && f->state.machine != l->machine;

		for (size_t k = 0; k < num && !again; k++)
			again = firecracker_is_same(l, ret[k], f->base.in->size);
		if (!again)
			ret[num++] = l;
	}
	return num;
}

/* The one that is proven, or if it is the only one, not wrong */
static struct gdump_error *firecracker_choose(struct firecracker *f, enum layout_proof *proof)
{
	const struct firecracker_layout *list[ARRAY_SIZE(firecracker_layouts)];
	const size_t num = firecracker_candidates(f, list);
	struct gdump_error *err = NULL;

	*proof = LAYOUT_UNKNOWN;
	for (size_t i = 0; !err && *proof != LAYOUT_PROVEN && i < num; i++) {
		err = firecracker_lay_out(f, list[i]);
		if (!err)
			err = layout_proof_find(&f->base.source, proof);
	}
	if (err || *proof == LAYOUT_PROVEN || (num == 1 && f->state.buf))
		return err;
	if (!f->state.buf)
		return error_new(GDUMP_ERR_FORMAT,
				 "where this memory belongs cannot be proven without the state file of the snapshot: pass that in front of it, or say it with --range");
	*proof = LAYOUT_WRONG;
	return firecracker_lay_out(f, list[0]);
}

static bool firecracker_has_hole(struct bytes *in)
{
	for (uint64_t off = 0; off < in->size; off += 4096) {
		if (bytes_hole(in, off, in->size - off))
			return true;
	}
	return false;
}

/* What makes the dump incomplete */
static const char *firecracker_flaw(const struct firecracker *f, enum layout_proof proof,
				    bool top_has_hole)
{
	const uint64_t want = f->state.memory_size, size = f->base.in->size;

	if (size % MIB || size < want)
		return "the memory file ends early";
	if (want && size > want && proof != LAYOUT_PROVEN)
		return "the memory file is larger than the memory by the state file: do they belong together?";
	if (proof != LAYOUT_PROVEN && proof != LAYOUT_UNKNOWN)
		return "the guest's page tables do not agree with the addresses of its memory, which are assumed";
	if (f->num_memories > 1 && !top_has_hole)
		return "the file with the changes has no holes, so it hides what it is based on: were they lost when it was copied?";
	if (firecracker_has_hole(f->base.in))
		return "the memory file has holes: if it has only changes, pass the file that it is based on after it";
	return NULL;
}

static struct gdump_error *firecracker_load(struct firecracker *f, bool top_has_hole)
{
	struct image *image = &f->base.source.image;
	enum layout_proof proof;
	struct gdump_error *err = firecracker_choose(f, &proof);
	const char *flaw, *why = NULL;

	if (err)
		return err;
	flaw = firecracker_flaw(f, proof, top_has_hole);
	if (f->state.buf)
		err = firecracker_add_cpus(&f->state, &f->base.source, &why);
	if (!err)
		err = image_seal(image);
	if (flaw) {
		image->incomplete = true;
		snprintf(image->warning, sizeof(image->warning), "%s", flaw);
	} else if (why) {
		snprintf(image->warning, sizeof(image->warning), "the registers of the CPUs are missing: %s",
			 why);
	}
	snprintf(image->detail, sizeof(image->detail), "Firecracker snapshot%s%s, addresses %s",
		 f->num_memories > 1 ? " of changes and what it is based on" : "",
		 f->state.buf ? "" : ", memory only",
		 proof == LAYOUT_PROVEN ? "proven by the guest's page tables" : "by its rules");
	return err;
}

/* The files of a snapshot; the memory's are in the order of the caller, changes first. */
struct firecracker_files {
	struct bytes *list[MAX_FILES];
	size_t num;
	struct firecracker_state state;
};

static void firecracker_files_deinit(struct firecracker_files *files)
{
	for (size_t i = 0; i < files->num; i++)
		bytes_close(files->list[i]);
	firecracker_state_deinit(&files->state);
}

/* If file @i is the state, read it and remove it from the list. */
static struct gdump_error *firecracker_take_state(struct firecracker_files *files, size_t i)
{
	struct gdump_error *err = firecracker_state_read(files->list[i], &files->state);

	if (!err) {
		bytes_close(files->list[i]);
		files->num--;
		memmove(files->list + i, files->list + i + 1, (files->num - i) * sizeof(files->list[0]));
		return NULL;
	}
	firecracker_state_deinit(&files->state);
	/* memory may have the magic number anywhere */
	if (gdump_error_code(err) != GDUMP_ERR_FORMAT && (gdump_error_code(err) != GDUMP_ERR_CORRUPT || !i))
		return err;
	gdump_error_destroy(err);
	return NULL;
}

static struct gdump_error *firecracker_open_files(const struct companions *others,
						  struct firecracker_files *files)
{
	struct gdump_error *err = NULL;

	if (others->num >= MAX_FILES)
		return error_new(GDUMP_ERR_USAGE, "these are too many files for one snapshot");
	for (size_t i = 0; !err && i < others->num; i++) {
		err = companion_open(others, i, &files->list[files->num]);
		files->num += !err;
	}
	for (size_t i = 0; !err && !files->state.buf && i < files->num; i++)
		err = firecracker_take_state(files, i);
	if (!err && !files->num)
		err = error_new(GDUMP_ERR_PART,
				"this is the state of a Firecracker guest, whose memory is in another file: pass that after it, as in: guestdump info STATE MEMORY");
	return err;
}

/* One file over the other; the first one is on top. */
static struct gdump_error *firecracker_stack(struct firecracker_files *files, struct bytes **ret)
{
	struct gdump_error *err = NULL;

	*ret = files->list[--files->num];
	while (!err && files->num)
		err = bytes_overlay(files->list[--files->num], *ret, ret);
	return err;
}

static struct gdump_error *firecracker_open_source(struct firecracker_files *files,
						   struct source **ret)
{
	const bool top_has_hole = firecracker_has_hole(files->list[0]);
	const size_t num = files->num;
	struct firecracker *f;
	struct bytes *in;
	struct gdump_error *err = firecracker_stack(files, &in);

	if (err)
		return err;
	f = pieces_source_create(sizeof(*f), &firecracker_source_ops, in);
	if (!f)
		return error_nomem();
	f->state = files->state;
	files->state = (struct firecracker_state){ 0 };
	f->num_memories = num;
	err = firecracker_load(f, top_has_hole);
	firecracker_state_deinit(&f->state);
	return pieces_source_opened(&f->base, err, ret);
}

static struct gdump_error *firecracker_open_set(struct bytes *in, const struct companions *others,
						struct source **ret)
{
	struct firecracker_files files = { .list = { in }, .num = 1 };
	struct gdump_error *err = firecracker_open_files(others, &files);

	if (!err)
		err = firecracker_open_source(&files, ret);
	firecracker_files_deinit(&files);
	return error_prefix(err, "Firecracker");
}

const struct format format_firecracker = {
	.name = "firecracker",
	.summary = "a snapshot of Firecracker: its state file and its memory file",
	.by_name = true,
	.probe = firecracker_probe,
	.recognizes = firecracker_is_state,
	.open_set = firecracker_open_set,
};
