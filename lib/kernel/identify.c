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

/* All texts are searched for in one pass: @starts has a bit for each two bytes that one begins with. */
struct identify {
	struct gdump_system *found;
	size_t row;                     /* of what is found; all rows: nothing yet */
	uint64_t starts[65536 / 64];
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

static bool identify_linux(struct gdump_system *found, const struct search_piece *piece, size_t at)
{
	const size_t len = linux_banner_len(piece->data + at, piece->len - at);
	char text[MAX_BANNER + 1];

	if (!len)
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)len, piece->data + at);
	identify_take_banner(found, text, len);
	found->paddr = piece->paddr + at;
	return true;
}

static bool identify_is_row(const struct identify_row *row, const unsigned char *p, size_t len)
{
	const size_t n = strlen(row->text);

	return len >= n && !memcmp(p, row->text, n) && (!row->digit || (len > n && isdigit(p[n])));
}

/* Note what begins at @at, if that is started later than what was found so far. */
static void identify_other(struct identify *id, const struct search_piece *piece, size_t at)
{
	for (size_t i = 0; i < id->row; i++) {
		if (!identify_is_row(&rows[i], piece->data + at, piece->len - at))
			continue;
		snprintf(id->found->name, sizeof(id->found->name), "%s", rows[i].name);
		id->found->paddr = piece->paddr + at;
		id->row = i;
	}
}

static unsigned int identify_start(const void *p)
{
	const unsigned char *c = p;

	return c[0] | (unsigned int)c[1] << 8;
}

static bool identify_piece(void *arg, const struct search_piece *piece)
{
	struct identify *id = arg;

	for (size_t at = 0; at < piece->own && at + 1 < piece->len; at++) {
		const unsigned int start = identify_start(piece->data + at);

		if (!(id->starts[start / 64] >> start % 64 & 1))
			continue;
		if (identify_linux(id->found, piece, at))
			return true;
		identify_other(id, piece, at);
	}
	return false;
}

static void identify_add_start(struct identify *id, const char *text)
{
	const unsigned int start = identify_start(text);

	id->starts[start / 64] |= (uint64_t)1 << start % 64;
}

struct gdump_error *identify_system(struct source *s, struct gdump_system *ret)
{
	struct identify id = { .found = ret, .row = ARRAY_SIZE(rows) };

	identify_add_start(&id, banner);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		identify_add_start(&id, rows[i].text);
	return search_memory(s, identify_piece, &id);
}
