/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * identify.c - which system is in memory, where there is no VMCOREINFO
 *
 * Theory of operation.  A Linux kernel has its banner in its image and in its log. Everything
 * else is recognized by a text that it has in memory while it is running. Firmware remains
 * there later, so it is named only if there is nothing else.
 */
#include "identify.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "search.h"

static const char banner[] = "Linux version ";
enum { MIN_BANNER = 40, MAX_BANNER = 1024 };

/* What is not Linux, what is started last first; @digit: a version follows the text */
static const struct identify_row {
	const char *text, *name;
	bool digit;
} rows[] = {
	{ "ntkrnlmp.pdb",         "Windows" },
	{ "@(#)FreeBSD ",         "FreeBSD", true },
	{ "OpenBSD ",             "OpenBSD", true },
	{ "@(#)NetBSD ",          "NetBSD", true },
	{ "NetBSD ",              "NetBSD", true },
	{ "GNU Mach ",            "GNU Mach", true },
	{ "Xen version ",         "the hypervisor Xen", true },
	{ "Memtest86+ v",         "the memory test Memtest86+", true },
	{ "Memtest86+ ",          "the memory test Memtest86+", true },
	{ "GNU GRUB  version %s", "the boot loader GRUB" },
	{ "ISOLINUX ",            "the boot loader ISOLINUX", true },
	{ "U-Boot ",              "the boot loader U-Boot", true },
	{ "iPXE initialising",    "the boot loader iPXE" },
	{ "IBI SYST",             "UEFI firmware" },
	{ "SeaBIOS (version ",    "the firmware SeaBIOS" },
	{ "OpenBIOS",             "the firmware OpenBIOS" },
	{ "SLOF **",              "the firmware SLOF" },
};

struct identify {
	struct gdump_system *found;
	size_t row;                     /* of what is found; all rows: nothing yet */
};

/* The last part of a banner, from the "#" on, which a number follows; NULL: it has none, as a
 * template that kernels have as well
 */
static const char *identify_version(const unsigned char *p, size_t len)
{
	const char *found = NULL;

	for (size_t i = 0; i + 2 < len; i++) {
		if (p[i] == ' ' && p[i + 1] == '#' && isdigit(p[i + 2]))
			found = (const char *)p + i + 1;
	}
	return found;
}

size_t linux_banner_len(const unsigned char *p, size_t len)
{
	size_t n = sizeof(banner) - 1;

	if (len < n + 1 || memcmp(p, banner, n) || !isdigit(p[n]))
		return 0;
	for (len = MIN(len, MAX_BANNER); n < len && p[n] >= ' ' && p[n] <= '~'; n++)
		;
	/* "Linux version 6.1.0 (user@host) (compiler) #1 SMP date" */
	return n >= MIN_BANNER && memmem(p, n, " (", 2) && identify_version(p, n) ? n : 0;
}

/* Split a banner into what uname -r and uname -v print. */
static void identify_take_banner(struct gdump_system *found, const char *text, size_t len)
{
	const char *release = text + sizeof(banner) - 1, *end = text + len;
	const char *version = identify_version((const unsigned char *)text, len);

	snprintf(found->name, sizeof(found->name), "Linux");
	snprintf(found->release, sizeof(found->release), "%.*s",
		 (int)strcspn(release, " "), release);
	snprintf(found->version, sizeof(found->version), "%.*s", (int)(end - version), version);
}

static bool identify_linux(void *arg, const struct search_piece *piece)
{
	struct gdump_system *found = arg;
	char text[MAX_BANNER + 1];

	for (size_t at = 0; (at = search_text(piece, at, banner)) < piece->len; at++) {
		const size_t len = linux_banner_len(piece->data + at, piece->len - at);

		if (!len)
			continue;
		snprintf(text, sizeof(text), "%.*s", (int)len, piece->data + at);
		identify_take_banner(found, text, len);
		found->paddr = piece->paddr + at;
		return true;
	}
	return false;
}

static bool identify_has(const struct search_piece *piece, const struct identify_row *row,
			 uint64_t *paddr)
{
	const size_t len = strlen(row->text);

	for (size_t at = 0; (at = search_text(piece, at, row->text)) < piece->len; at++) {
		if (row->digit && (at + len >= piece->len || !isdigit(piece->data[at + len])))
			continue;
		*paddr = piece->paddr + at;
		return true;
	}
	return false;
}

static bool identify_other(void *arg, const struct search_piece *piece)
{
	struct identify *id = arg;

	for (size_t i = 0; i < id->row; i++) {
		if (!identify_has(piece, &rows[i], &id->found->paddr))
			continue;
		snprintf(id->found->name, sizeof(id->found->name), "%s", rows[i].name);
		id->row = i;
	}
	return !id->row;
}

struct gdump_error *identify_system(struct source *s, struct gdump_system *ret)
{
	struct identify other = { .found = ret, .row = ARRAY_SIZE(rows) };
	struct gdump_error *err = search_memory(s, identify_linux, ret);

	if (err || ret->name[0])
		return err;
	return search_memory(s, identify_other, &other);
}
