/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * arch/describe.c - what the notes and ranges of an image say about its machine
 *
 * image_seal() completes what a source has read.  It also corrects what producers are
 * known to get wrong: QEMU before 8.0 writes the notes of ppc64le guests in big-endian
 * order, QEMU 7.2 writes wrong process ids, and several tools dump firmware as RAM.
 */
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "../machine/image.h"
#include "../machine/vmcoreinfo.h"
#include "../util/bits.h"
#include "../util/cursor.h"
#include "../util/text.h"
#include "arch.h"

enum { MAX_FIRMWARE = 16 << 20 };       /* bytes, of a PC                       */

static bool note_is_prstatus(const struct image *image, const struct gdump_note *n)
{
	return n->type == NT_PRSTATUS && !strcmp(n->name, "CORE") &&
	       n->size == image->arch->prstatus_size;
}

/* Reverse the bytes of one number, if it lies inside the descriptor. */
static void note_reverse(const struct gdump_note *n, size_t off, size_t size)
{
	unsigned char *p = (unsigned char *)(uintptr_t)n->desc + off;

	for (size_t i = 0; off + size <= n->size && i < size / 2; i++) {
		const unsigned char c = p[i];

		p[i] = p[size - 1 - i];
		p[size - 1 - i] = c;
	}
}

static void note_reverse_regs(const struct gdump_note *n, const struct reg *regs)
{
	for (; regs && regs->name; regs++)
		note_reverse(n, regs->off, regs->size);
}

/* The members of a 64-bit struct elf_prstatus other than the registers */
static void note_reverse_prstatus(const struct gdump_note *n)
{
	static const unsigned char words[] = { 0, 4, 8, 32, 36, 40, 44 };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		note_reverse(n, words[i], 4);   /* signal, process ids */
	note_reverse(n, 12, 2);
	for (size_t off = 16; off < 32; off += 8)
		note_reverse(n, off, 8);        /* signal sets */
	for (size_t off = 48; off < 112; off += 8)
		note_reverse(n, off, 8);        /* times */
	note_reverse(n, n->size - 8, 4);        /* pr_fpvalid */
}

/* Convert the notes, which are not in the guest's byte order. */
static void notes_swap(struct image *image)
{
	const struct arch *arch = image->arch;

	for (size_t i = 0; i < image->num_notes; i++) {
		const struct gdump_note *n = &image->notes[i];

		if (note_is_prstatus(image, n)) {
			note_reverse_prstatus(n);
			note_reverse_regs(n, arch->regs);
		}
		for (const struct reg_set *s = arch->sets; n->cpu >= 0 && s && s->name; s++) {
			if (n->type == s->type && !strcmp(n->name, s->owner))
				note_reverse_regs(n, s->regs);
		}
	}
	image->big = !image->big;
	snprintf(image->warning, sizeof(image->warning),
		 "the dump is marked %s-endian, but the guest was %s-endian; "
		 "the registers were converted",
		 image->big ? "little" : "big", image->big ? "big" : "little");
}

/* The process id in an NT_PRSTATUS.  QEMU writes the number of the CPU there, from 1. */
static struct cursor note_pid(const struct image *image, const struct gdump_note *n)
{
	struct cursor c = cursor_init(n->desc, n->size, image->big, true);

	cursor_take(&c, image->arch->is64 ? 32 : 24);
	return c;
}

/* Whether every process id is 0 or a CPU's number in the wrong byte order */
static bool notes_have_wrong_pids(const struct image *image)
{
	for (size_t i = 0; i < image->num_notes; i++) {
		const struct gdump_note *n = &image->notes[i];
		struct cursor c;
		uint32_t pid;

		if (!note_is_prstatus(image, n))
			continue;
		c = note_pid(image, n);
		pid = get_u32(&c);
		if (pid && pid != __builtin_bswap32((uint32_t)n->cpu + 1))
			return false;
	}
	return true;
}

/* QEMU 7.2 writes 0 for all CPUs of ppc64, and the wrong byte order for those of
 * s390x.  drgn and gdb then find one CPU only, or none.
 */
static void notes_fix_pids(struct image *image)
{
	size_t len;

	/* a kernel that crashed wrote the ids of processes */
	if (vmcoreinfo_get(image, "CRASHTIME", &len) || !notes_have_wrong_pids(image))
		return;
	for (size_t i = 0; i < image->num_notes; i++) {
		const struct gdump_note *n = &image->notes[i];
		struct cursor c;

		if (!note_is_prstatus(image, n))
			continue;
		c = note_pid(image, n);
		put_u32(&c, (uint32_t)n->cpu + 1);
	}
}

/* A PC's firmware ends at a fixed address; other tools dump it as if it were RAM. */
static void ranges_mark_firmware(struct image *image)
{
	for (size_t i = 0; image->arch->firmware_last && i < image->num_ranges; i++) {
		struct gdump_range *r = &image->ranges[i];

		if (r->start + (r->size - 1) == image->arch->firmware_last &&
		    r->size <= MAX_FIRMWARE)
			r->kind = GDUMP_RANGE_DEVICE;
	}
}

/* No machine has more, and merely to visit all pages of more would take years. */
static struct gdump_error *ranges_check_size(const struct image *image)
{
	static const uint64_t max_size = (uint64_t)1 << 48;
	uint64_t left = max_size;

	for (size_t i = 0; i < image->num_ranges; i++) {
		if (image->ranges[i].size > left)
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "the ranges claim more than 256 TiB of memory");
		left -= image->ranges[i].size;
	}
	return NULL;
}

/* A file that does not name the machine may contain a kernel that does. */
static void image_guess_machine(struct image *image)
{
	const struct arch *arch = image->machine ? &arch_unknown : arch_by_kernel(image);

	if (arch == &arch_unknown)
		return;
	image->arch = arch;
	image->machine = arch->machine;
	image->is64 = arch->is64;
}

static void image_find_page_size(struct image *image)
{
	uint64_t size;

	if (vmcoreinfo_decimal(image, "PAGESIZE", &size) && is_power_of_2(size) &&
	    size >= 4096 && size <= 262144)
		image->page_size = (uint32_t)size;
	else if (!image->page_size || image->arch->one_page_size)
		image->page_size = image->arch->page_size;
}

static void image_find_release(struct image *image)
{
	if (!image->release[0])
		vmcoreinfo_string(image, "OSRELEASE", image->release, sizeof(image->release));
	text_clean(image->release);
	text_clean(image->version);
	text_clean(image->nodename);
}

struct gdump_error *image_seal(struct image *image)
{
	struct gdump_error *err;

	image->arch = arch_by_machine(image->machine);
	ranges_mark_firmware(image);
	image_merge_ranges(image);
	err = image_number_notes(image);
	if (!err)
		err = ranges_check_size(image);
	if (err)
		return err;
	image_guess_machine(image);
	if (image->arch->wrong_order && image->arch->wrong_order(image))
		notes_swap(image);
	notes_fix_pids(image);
	image_find_page_size(image);
	image_find_release(image);
	if (image->vmcoreinfo && image->arch->phys_base)
		image->phys_base = image->arch->phys_base(image);
	return NULL;
}
