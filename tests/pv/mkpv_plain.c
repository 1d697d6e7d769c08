/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mkpv_plain.c - plain cores of s390x; see mkpv.c
 */
#include "mkpv.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/random.h"

void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "mkpv: %s\n", what);
	exit(1);
}

void put(unsigned char *p, uint64_t v, int n)
{
	while (n--) {
		p[n] = (unsigned char)v;
		v >>= 8;
	}
}

uint64_t get(const unsigned char *p, int n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

unsigned char *grow(struct buf *b, size_t n)
{
	b->p = realloc(b->p, b->len + n + 1);
	must(b->p, "out of memory");
	memset(b->p + b->len, 0, n);
	b->len += n;
	return b->p + b->len - n;
}

void put_note(struct buf *b, const char *name, uint32_t type, const void *desc, size_t size)
{
	const size_t namesz = strlen(name) + 1, room = (namesz + 3) & ~(size_t)3;
	unsigned char *p = grow(b, 12 + room + ((size + 3) & ~(size_t)3));

	put(p, namesz, 4);
	put(p + 4, size, 4);
	put(p + 8, type, 4);
	memcpy(p + 12, name, namesz);
	memcpy(p + 12 + room, desc, size);
}

void write_all(FILE *f, const void *p, size_t len)
{
	must(fwrite(p, 1, len, f) == len, "writing failed");
}

struct piece pieces[256];
int num_pieces;

static void piece(uint32_t type, int note, int area, int len)
{
	pieces[num_pieces++] = (struct piece){ type, note, area, len };
}

void fill_pieces(void)
{
	piece(NT_PRSTATUS, 112, 160, 8);                        /* PSW mask */
	piece(NT_PRSTATUS, 120, 168, 8);                        /* PSW address */
	for (int i = 0; i < 16; i++) {
		piece(NT_PRSTATUS, 128 + 8 * i, 32 + 8 * i, 8); /* r0 to r15 */
		piece(NT_PRSTATUS, 256 + 4 * i, 224 + 4 * i, 4); /* a0 to a15 */
		piece(NT_S390_CTRS, 8 * i, 288 + 8 * i, 8);     /* c0 to c15 */
		piece(NT_FPREGSET, 8 + 8 * i, 416 + 16 * i, 8); /* f0 to f15: v0 to v15, */
		piece(NT_S390_VXRS_LOW, 8 * i, 424 + 16 * i, 8); /* their other halves */
		piece(NT_S390_VXRS_HIGH, 16 * i, 672 + 16 * i, 16); /* v16 to v31 */
	}
	piece(NT_FPREGSET, 0, 188, 4);                          /* fpc */
	piece(NT_S390_PREFIX, 0, 184, 4);
	piece(NT_S390_TODPREG, 0, 196, 4);
	piece(NT_S390_TIMER, 0, 200, 8);
	piece(NT_S390_TODCMP, 0, 208, 8);
	piece(NT_S390_GS_CB, 8, 1448, 24);
}

/* In the order in which zgetdump writes them */
static const struct {
	const char *name;
	uint32_t type;
	size_t size;
} notes[] = {
	{ "CORE", NT_PRSTATUS, 336 },       { "CORE", NT_FPREGSET, 136 },
	{ "LINUX", NT_S390_TIMER, 8 },      { "LINUX", NT_S390_TODCMP, 8 },
	{ "LINUX", NT_S390_TODPREG, 4 },    { "LINUX", NT_S390_CTRS, 128 },
	{ "LINUX", NT_S390_PREFIX, 4 },     { "LINUX", NT_S390_VXRS_LOW, 128 },
	{ "LINUX", NT_S390_VXRS_HIGH, 256 }, { "LINUX", NT_S390_GS_CB, 32 },
};
enum { NUM_NOTES = sizeof(notes) / sizeof(notes[0]) };

void ehdr_fill(unsigned char *p, int phnum, uint64_t phoff)
{
	memcpy(p, "\177ELF\2\2\1", 7);
	put(p + 16, ET_CORE, 2);
	put(p + 18, EM_S390, 2);
	put(p + 20, 1, 4);
	put(p + 32, phoff, 8);
	put(p + 52, 8, 2);              /* as QEMU 7.2 */
	put(p + 54, 56, 2);
	put(p + 56, (uint64_t)phnum, 2);
	put(p + 58, 64, 2);
}

void phdr_fill(unsigned char *p, uint32_t type, const struct load *l)
{
	put(p, type, 4);
	put(p + 8, l->off, 8);
	put(p + 16, l->paddr, 8);
	put(p + 24, l->paddr, 8);
	put(p + 32, l->size, 8);
	put(p + 40, l->size, 8);
}

/* The plain core */

/* Text that compresses, numbers that do not, zeros */
static void page_fill(unsigned char *p, uint64_t paddr, uint64_t seed)
{
	const uint64_t kind = (paddr / PAGE * 2654435761u + seed) >> 3 & 3;
	uint64_t state = paddr ^ seed;

	memset(p, 0, PAGE);
	if (kind == 1)
		random_bytes(&state, p, PAGE);
	for (int i = 0; kind > 1 && i < PAGE; i += 16)
		snprintf((char *)p + i, 16, "%015llx", (unsigned long long)(paddr + (uint64_t)i));
}

void add_cpu_notes(struct buf *b, int cpu, const unsigned char *area)
{
	for (int n = 0; n < NUM_NOTES; n++) {
		unsigned char desc[336] = { 0 };

		if (notes[n].type == NT_PRSTATUS)
			put(desc + 32, (uint64_t)cpu + 1, 4);
		for (int i = 0; i < num_pieces; i++) {
			if (pieces[i].type == notes[n].type)
				memcpy(desc + pieces[i].note, area + pieces[i].area, (size_t)pieces[i].len);
		}
		put_note(b, notes[n].name, notes[n].type, desc, notes[n].size);
	}
}

/* Bytes that stand in memory instead of the usual */
struct patch {
	uint64_t paddr;
	size_t len;
	unsigned char bytes[PAGE];
};

static struct patch patches[MAX_CPUS];
static int num_patches;

static unsigned char *patch(uint64_t paddr, size_t len)
{
	must(num_patches < MAX_CPUS && paddr % PAGE + len <= PAGE, "a strange patch");
	patches[num_patches].paddr = paddr;
	patches[num_patches].len = len;
	return patches[num_patches++].bytes;
}

static void patch_number(uint64_t paddr, uint64_t v)
{
	put(patch(paddr, 8), v, 8);
}

static void apply_patches(unsigned char *page, uint64_t paddr)
{
	for (int i = 0; i < num_patches; i++) {
		if (patches[i].paddr / PAGE == paddr / PAGE)
			memcpy(page + patches[i].paddr % PAGE, patches[i].bytes, patches[i].len);
	}
}

static uint32_t checksum(const unsigned char *p, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i += 4) {
		unsigned char word[4] = { 0 };

		memcpy(word, p + i, len - i < 4 ? len - i : 4);
		sum += get(word, 4);
		sum = (sum & 0xffffffff) + (sum >> 32);
	}
	return (uint32_t)sum;
}

static const char vmcoreinfo[] = "OSRELEASE=6.1.0-mkpv\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=0\n";
enum { VMCOREINFO_LEN = sizeof(vmcoreinfo) - 1 };

/* A note at 64 KiB */
static void add_note(void)
{
	unsigned char *p = patch(0x10000, 24 + VMCOREINFO_LEN);

	put(p, 11, 4);
	put(p + 4, VMCOREINFO_LEN, 4);
	memcpy(p + 12, "VMCOREINFO", 10);
	memcpy(p + 24, vmcoreinfo, VMCOREINFO_LEN);
	patch_number(0xe0c, 0x10000);
}

/* os_info at 68 KiB, its text, which is no note, at 72 KiB */
static void add_os_info(bool bad, bool bad_text)
{
	unsigned char *p = patch(0x12000, VMCOREINFO_LEN);

	memcpy(p, vmcoreinfo, VMCOREINFO_LEN);
	p = patch(0x11000, PAGE);
	memcpy(p, "OSINFOSZ", 8);
	put(p + 12, 1, 2);
	put(p + 32, 0x12000, 8);
	put(p + 40, VMCOREINFO_LEN, 8);
	put(p + 48, checksum((const unsigned char *)vmcoreinfo, VMCOREINFO_LEN) + bad_text, 4);
	put(p + 8, checksum(p + 12, PAGE - 12) + bad, 4);
	patch_number(0xe18, 0x11000);
}

/* CPU 0 has its prefix pages at 128 KiB of the first range, and so on. */
static uint32_t add_prefix(uint64_t start, int cpu)
{
	const uint64_t prefix = start + 0x20000 + 0x3000 * (uint64_t)cpu;

	patch_number(prefix + 0x11b0, cpu % 2 ? 0 : prefix + 0x2000 + 1024 * (uint64_t)(cpu % 4));
	return (uint32_t)prefix;
}

static bool has_word(int argc, char **argv, const char *word)
{
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], word))
			return true;
	}
	return false;
}

static void parse_load(const char *text, struct load *l)
{
	char *end;

	l->paddr = strtoull(text, &end, 0);
	must(*end == ':', "not START:SIZE");
	l->size = strtoull(end + 1, &end, 0);
	must(!*end && l->size % PAGE == 0, "not START:SIZE");
}

int make_plain(int argc, char **argv)
{
	FILE *f = fopen(argv[0], "wb");
	uint64_t seed = strtoull(argv[1], NULL, 0), random = seed, off;
	const int num_cpus = atoi(argv[2]);
	int num_loads = 0;
	struct load loads[MAX_LOADS], note = { 0 };
	struct buf b = { 0 }, head = { 0 };
	unsigned char *p;

	while (num_loads < argc - 3 && strchr(argv[3 + num_loads], ':'))
		num_loads++;
	must(f && num_loads && num_loads <= MAX_LOADS, "cannot write it");
	for (int i = 0; i < num_loads; i++)
		parse_load(argv[3 + i], &loads[i]);
	if (has_word(argc, argv, "note"))
		add_note();
	for (int i = 0; i < 3; i++) {
		static const char *const words[] = { "os-info", "os-info-bad", "os-info-text-bad" };

		if (has_word(argc, argv, words[i]))
			add_os_info(i == 1, i == 2);
	}
	for (int cpu = 0; cpu < num_cpus; cpu++) {
		unsigned char area[AREA] = { 0 };

		random_bytes(&random, area + 32, 1440 - 32);
		random_bytes(&random, area + 1448, 24);
		if (has_word(argc, argv, "prefixes"))
			put(area + 184, add_prefix(loads[0].paddr, cpu), 4);
		add_cpu_notes(&b, cpu, area);
	}
	note.off = 64 + 56 * (uint64_t)(num_loads + 1);
	note.size = b.len;
	p = grow(&head, (size_t)note.off);
	ehdr_fill(p, num_loads + 1, 64);
	phdr_fill(p + 64, PT_NOTE, &note);
	off = note.off + note.size;
	for (int i = 0; i < num_loads; i++) {
		loads[i].off = off;
		off += loads[i].size;
		phdr_fill(p + 64 + 56 * (i + 1), PT_LOAD, &loads[i]);
	}
	write_all(f, head.p, head.len);
	write_all(f, b.p, b.len);
	for (int i = 0; i < num_loads; i++) {
		for (uint64_t k = 0; k < loads[i].size; k += PAGE) {
			unsigned char page[PAGE];

			page_fill(page, loads[i].paddr + k, seed);
			apply_patches(page, loads[i].paddr + k);
			write_all(f, page, PAGE);
		}
	}
	free(b.p);
	free(head.p);
	return fclose(f);
}
