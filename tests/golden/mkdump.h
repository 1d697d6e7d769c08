/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mkdump.h - dump files from readable text
 *
 * A second opinion on the formats: nothing here comes from the library, and
 * nothing is clever.  mkdump is for trusted input; it ends at the first mistake.
 * README describes the text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_ITEMS = 256, UNIT = 4096 };

struct mach {
	const char *name;               /* as uname -m says                     */
	const char *arch;               /* as guestdump says                    */
	uint16_t elf;
	bool is64, big;
	uint32_t page;
	uint32_t prstatus, pc;          /* size of the note, place of the PC    */
	const char *pc_name;
};

enum fill_kind { FILL_TEXT, FILL_RANDOM, FILL_ZERO, FILL_ABSENT };

struct area {
	uint64_t start, size;
	bool device;
	enum fill_kind fill;
};

struct note {
	char name[64];
	uint32_t type;
	int cpu;
	size_t size;
	unsigned char *desc;
};

struct patch {
	char where[64];                 /* a field, u8 to u64 or "cut"          */
	char at[64];
	uint64_t value;
};

struct field {
	char name[64];
	uint64_t off;
	unsigned int size;              /* 0: only a place                      */
};

/* What the text says. */
struct desc {
	char format[24];
	const struct mach *mach;
	bool is64, big;
	uint32_t page;
	struct area ranges[MAX_ITEMS], fills[MAX_ITEMS];
	size_t num_ranges, num_fills;
	struct note notes[MAX_ITEMS];
	size_t num_notes;
	int cpus;
	char *vmcoreinfo, *metadata;
	char release[65], version[65], nodename[65];
	char options[1024];             /* " word word " of the option lines    */
	struct patch patches[MAX_ITEMS];
	size_t num_patches;
	/* kdump */
	uint32_t kdump_version, status, level;
	char codec[16];
	uint64_t phys_base;
	char flat[128];                 /* how to flatten it; "": not           */
	unsigned int parts, part;       /* split: in so many files; this one    */
	/* savevm */
	char qemu_machine[64], block[64];
	/* what comes out, where it does not follow from the rest */
	char expect_arch[32];
	uint64_t expect_phys_base;
	int expect_cpus;                /* -1: as described                     */
	bool has_phys_base, expect_incomplete;
	struct area lost[MAX_ITEMS];
	size_t num_lost;
};

/* A file that is being made, and where its fields are. */
struct out {
	unsigned char *buf;
	size_t len, room;
	bool big;
	struct field *fields;
	size_t num_fields;
};

void die(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2), __noreturn__));
bool option(const struct desc *d, const char *word);

/* Bytes at the end of the file; a name makes a field of them. */
void put(struct out *o, const char *name, uint64_t value, unsigned int size);
void put_data(struct out *o, const void *data, size_t len);
void put_text(struct out *o, const char *text, size_t len);
/* Zeros up to @off */
void pad_to(struct out *o, size_t off);
void mark(struct out *o, const char *name, uint64_t off, unsigned int size);
/* "phdr3.offset" */
const char *numbered(const char *base, size_t i, const char *member);
void apply_patches(struct out *o, const struct desc *d, bool final);

/* What lies at @addr; false if some of it is absent. */
bool memory_get(const struct desc *d, uint64_t addr, unsigned char *buf, size_t len);
bool is_ram_page(const struct desc *d, uint64_t pfn);
uint64_t end_pfn(const struct desc *d);

size_t notes_size(const struct desc *d);
/* Put them; the text of VMCOREINFO begins at the return value, 0: none */
size_t notes_put(struct out *o, const struct desc *d);

void make_elf(struct out *o, const struct desc *d);
void make_kdump(struct out *o, const struct desc *d);
void make_s390(struct out *o, const struct desc *d);
/* Its CPUs' notes, as far as their registers are in memory */
void s390_notes(struct desc *d);
void make_records(struct out *o, const struct desc *d);
void make_raw(struct out *o, const struct desc *d);
void make_savevm(struct out *o, const struct desc *d);
void make_libvirt(struct out *o, const struct desc *d);
void make_qcow2(struct out *o, const struct desc *d);
void make_win(struct out *o, const struct desc *d);
void make_firecracker(struct out *o, const struct desc *d);
void make_cloud_hypervisor(struct out *o, const struct desc *d);
void make_vmware(struct out *o, const struct desc *d);
void make_hyperv(struct out *o, const struct desc *d);
void make_xen_core(struct out *o, const struct desc *d);
/* Another file of the same dump, next to the first one; @passed: and --inputs names it */
void put_companion(const char *name, const void *data, size_t len, bool passed);
/* What a reader of a raw file has to be told: as words of the command, or in a file */
void print_raw_places(const struct desc *d);
void write_ranges_file(const struct desc *d, const char *path);
/* The format has no notes, and most tell no machine. */
bool is_memory_only(const struct desc *d);
void flatten(struct out *o, const struct desc *d);
void print_expected(const struct desc *d);
