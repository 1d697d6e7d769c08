/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * image.h - what is known about a machine besides the contents of its memory
 *
 * A source fills the first part, adds ranges and notes, and calls image_seal() of
 * arch/arch.h, which sorts the ranges and derives the second part.  After that the image
 * is read-only and may be shared by threads.  All addresses and sizes are in bytes.
 */
#pragma once

#include "../error.h"

struct arch;

/* One field of utsname, as kdump's header has it: 64 characters and a NUL. */
enum { UTS_LEN = 65 };

struct image {
	/* filled by the source */
	uint16_t machine;               /* ELF e_machine; 0: unknown            */
	bool is64, big;                 /* class and byte order of the notes    */
	uint32_t page_size;             /* of the kernel, or a guess; 0: unknown.
					 * image_seal() may correct it          */
	bool incomplete;                /* the input is marked incomplete       */
	uint32_t dump_level;
	size_t num_lost_cpus;           /* whose registers could not be read    */
	uint64_t num_absent;            /* pages of ranges that the input lacks */
	uint64_t time;                  /* of the dump, in seconds since 1970; 0:
					 * unknown                              */
	bool has_checksum;              /* the header says that one is at the end of each file */
	bool no_vmemmap;                /* the struct pages were omitted        */
	bool decrypted;                 /* the dump was of a protected guest    */
	uint64_t phys_base;             /* image_seal() takes it from VMCOREINFO */
	char release[UTS_LEN], version[UTS_LEN], nodename[UTS_LEN];
	char detail[128];
	/* of a running guest, if the caller asked for metadata: its name and UUID, and the
	 * program that runs it; or ""
	 */
	char guest[256], uuid[40], vmm[128];
	char warning[256];              /* for gdump_open() to report, or ""    */

	/* ascending, not overlapping; adjacent ranges of one kind are merged */
	struct gdump_range *ranges;
	size_t num_ranges;
	/* those before image_clip(); NULL: nothing was removed */
	struct gdump_range *all_ranges;
	size_t num_all_ranges;
	/* the image owns their names and descriptors */
	struct gdump_note *notes;
	size_t num_notes;

	/* derived by image_seal() */
	const struct arch *arch;        /* never NULL: there is arch_unknown    */
	size_t num_cpus;
	size_t num_cpus_with_notes;
	/* Indexes in notes[], sorted by CPU: those of CPU i end at cpu_notes_end[i], and
	 * begin where those of CPU i - 1 end.
	 */
	uint32_t *cpu_notes, *cpu_notes_end;
	const char *vmcoreinfo;         /* inside a note; NULL: none            */
	size_t vmcoreinfo_size;
};

/* Add [start, start + size).  GDUMP_ERR_CORRUPT: it does not fit into 64 bits, or there are
 * too many ranges.
 */
MUST_CHECK struct gdump_error *image_add_range(struct image *image, uint64_t start,
					       uint64_t size, uint32_t kind);
/* Copies @name and @desc. */
MUST_CHECK struct gdump_error *image_add_note(struct image *image, const char *name,
					      uint32_t type, const void *desc, size_t size);
/* Remove note @i.  image_number_notes() is due then. */
void image_remove_note(struct image *image, size_t i);
/* Copy the CPU notes of @from, which is not sealed and has them first, over those of @image.
 * Pointers to the descriptors stay valid.  False: @from does not have the same notes, and
 * @image is unchanged.  No other thread reads notes meanwhile.
 */
bool image_renew_notes(struct image *image, const struct image *from);
/* Add the notes of a PT_NOTE segment or a note area.  Parsing ends silently at the first
 * note that does not fit into @len; @understood is the number of bytes before it.
 */
MUST_CHECK struct gdump_error *image_parse_notes(struct image *image, const void *buf,
						 size_t len, size_t *understood);
/* For image_seal(): sort the ranges and merge neighbors.  Where ranges overlap, the one
 * with the lowest start keeps the memory.
 */
void image_merge_ranges(struct image *image);
/* For image_seal(): assign the notes to CPUs, count the CPUs, and find VMCOREINFO. */
MUST_CHECK struct gdump_error *image_number_notes(struct image *image);
/* Remove all memory outside of [begin, begin + length) from the ranges.  source_read() still reads
 * it: the kernel may have its tables there.  To be called once.
 */
MUST_CHECK struct gdump_error *image_clip(struct image *image, uint64_t begin, uint64_t length);
/* Free everything that the image owns, and set it to zero. */
void image_deinit(struct image *image);

/* The last byte of a range; the byte after it may not have an address. */
static inline uint64_t range_last(const struct gdump_range *r)
{
	return r->start + (r->size - 1);
}

/* How many bytes of memory the machine has, with what image_clip() removed */
uint64_t image_memory(const struct image *image);
/* The index of the first range that ends at or above @paddr; num_ranges: there is none. */
size_t image_range_from(const struct image *image, uint64_t paddr);
/* The range that contains @paddr, or NULL. */
const struct gdump_range *image_range_at(const struct image *image, uint64_t paddr);
/* Whether any byte of [start, start + size) is in a range. */
bool image_touches(const struct image *image, uint64_t start, uint64_t size);

/* Note @i of CPU @cpu, or NULL if the CPU has fewer. */
const struct gdump_note *image_cpu_note(const struct image *image, size_t cpu, size_t i);

/* The size in bytes of all notes in ELF's format, and the notes themselves, written to @buf
 * of that size.
 */
size_t image_notes_size(const struct image *image);
void image_notes_put(const struct image *image, void *buf);
/* The first note of that name, or NULL. */
const struct gdump_note *image_note(const struct image *image, const char *name);
/* The offset of a note's descriptor in what image_notes_put() writes. */
size_t image_note_off(const struct image *image, const struct gdump_note *note);
