/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image.h - what is known of a machine beside its memory
 *
 * A source fills the first part, adds ranges and notes, and calls image_seal() of
 * arch/arch.h, which sorts the ranges and derives the rest.  After that it is read-only
 * and may be shared by threads.
 */
#pragma once

#include "../error.h"

struct arch;

/* One field of utsname, as kdump's header holds it: 64 characters and a NUL. */
enum { UTS_LEN = 65 };

struct image {
	/* filled by the source */
	uint16_t machine;               /* ELF e_machine, 0: unknown            */
	bool is64, big;                 /* class and byte order of the notes    */
	uint32_t page_size;             /* of the kernel, or a guess; 0: none.
					 * image_seal() may know better         */
	bool incomplete;                /* the input says so itself             */
	uint32_t dump_level;
	size_t num_lost_cpus;           /* their registers could not be read    */
	uint64_t num_absent;            /* pages of ranges that the input lacks */
	uint64_t time;                  /* of the dump, in seconds since 1970; 0:
					 * not known                            */
	bool no_vmemmap;                /* struct page was left out             */
	bool decrypted;                 /* it was a protected guest's           */
	uint64_t phys_base;             /* corrected from VMCOREINFO by seal    */
	char release[UTS_LEN], version[UTS_LEN], nodename[UTS_LEN];
	char detail[128];
	char warning[160];              /* odd but not fatal; gdump_open() tells */

	/* ascending, not overlapping; neighbours of one kind are one range */
	struct gdump_range *ranges;
	size_t num_ranges;
	/* names and descriptors belong to the image */
	struct gdump_note *notes;
	size_t num_notes;

	/* derived by image_seal() */
	const struct arch *arch;        /* never NULL: "unknown" is one         */
	size_t num_cpus;
	uint32_t *cpu_notes;            /* places in notes[], by CPU            */
	uint32_t *cpu_notes_end;              /* where those of each CPU end          */
	size_t num_cpus_with_notes;               /* CPUs that notes tell of              */
	const char *vmcoreinfo;         /* inside a note; NULL: none            */
	size_t vmcoreinfo_size;
};

MUST_CHECK struct gdump_error *image_add_range(struct image *image, uint64_t start,
					       uint64_t size, uint32_t kind);
/* Copies @name and @desc. */
MUST_CHECK struct gdump_error *image_add_note(struct image *image, const char *name,
					      uint32_t type, const void *desc, size_t size);
/* Put what the notes of @from say in place of what those of all CPUs of @image say;
 * they stay where they are.  False: @from has not the same kinds of notes.
 */
bool image_renew_notes(struct image *image, const struct image *from);
/* For image_seal() of arch/arch.h: sort the ranges, let the first of overlapping ones win, and
 * merge neighbours.
 */
void image_merge_ranges(struct image *image);
/* For image_seal(): give the notes their CPUs, count the CPUs, find VMCOREINFO. */
MUST_CHECK struct gdump_error *image_number_notes(struct image *image);
/* Take over the notes of a PT_NOTE segment or a note area: stops quietly at
 * the first one that does not fit, and says how many bytes were understood.
 */
MUST_CHECK struct gdump_error *image_parse_notes(struct image *image, const void *buf,
						 size_t len, size_t *understood);
/* Forget all memory outside of [begin, begin + length). */
void image_clip(struct image *image, uint64_t begin, uint64_t length);
void image_deinit(struct image *image);

/* The range that holds @paddr, or NULL. */
const struct gdump_range *image_range_at(const struct image *image, uint64_t paddr);

/* Whether a byte of [@start, @start + @size) is in a range. */
bool image_touches(const struct image *image, uint64_t start, uint64_t size);

/* The @i-th note of CPU @cpu, or NULL past the end. */
const struct gdump_note *image_cpu_note(const struct image *image, size_t cpu, size_t i);

/* The notes as ELF has them: size in bytes, and written to @buf of that size. */
size_t image_notes_size(const struct image *image);
void image_notes_put(const struct image *image, void *buf);
/* The first note of that name, or NULL. */
const struct gdump_note *image_note(const struct image *image, const char *name);
/* Where a note's descriptor begins in that area. */
size_t image_note_off(const struct image *image, const struct gdump_note *note);
