/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * acpi_place.c - where the firmware's tables are, in memory whose addresses are unknown
 *
 * Theory of operation.  The firmware leaves a pointer to its root table, and that has the addresses
 * of others.  Pointer and tables have signatures and checksums, so each is found by its form.  If a
 * pointer belongs to a root table, the difference of their addresses is that of all this memory,
 * and then the other tables are where the root table says.
 *
 * Facts: the ACPI specification 6.5, sections 5.2.5 to 5.2.8.
 */
#include "acpi_place.h"

#include <string.h>

#include "../kernel/search.h"
#include "../util/bits.h"
#include "../util/cursor.h"

enum {
	MAX_ACPI = 16,                  /* pointers and root tables             */
	MAX_TABLE = 64 << 10,           /* bytes; those of a guest are smaller  */
	MAX_ROOT = 1 << 10,             /* bytes of a root table                */
	MAX_TRIES = 1 << 16,            /* what looks like one                  */
	POINTER_SIZE = 20,              /* of version 1, which has the checksum */
	POINTER_SIZE_2 = 36,
	HEAD_SIZE = 36,                 /* of a table: signature, length, ...   */
	MIN_PROOFS = 2,                 /* other tables that must be in place   */
};

static const char acpi_pointer[] = "RSD PTR ";
/* The root table has addresses of 4 or 8 bytes. */
static const struct acpi_root { const char *name; unsigned int size; } acpi_roots[] = {
	{ "RSDT", 4 }, { "XSDT", 8 },
};

struct acpi_search {
	struct source *source;
	uint64_t pointed[ARRAY_SIZE(acpi_roots)][MAX_ACPI];     /* addresses of root tables */
	uint64_t tables[ARRAY_SIZE(acpi_roots)][MAX_ACPI];      /* where some are       */
	unsigned int tries;
	size_t num_pointed[ARRAY_SIZE(acpi_roots)], num_tables[ARRAY_SIZE(acpi_roots)];
};

static bool acpi_is_sound(const unsigned char *p, size_t len)
{
	unsigned char sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (unsigned char)(sum + p[i]);
	return !sum;
}

static bool acpi_read(struct source *s, uint64_t where, void *buf, size_t len)
{
	struct gdump_error *err = source_has(s, where, len);

	if (!err)
		err = source_read(s, where, buf, len);
	if (!err)
		return true;
	gdump_error_destroy(err);
	return false;
}

/* The length of the table at @where, which is read to @buf of @size bytes; 0: there is none. */
static size_t acpi_read_table(struct source *s, uint64_t where, unsigned char *buf, size_t size)
{
	struct cursor c = cursor_init(buf, HEAD_SIZE, false, true);
	uint32_t len;

	if (!acpi_read(s, where, buf, HEAD_SIZE))
		return 0;
	get_u32(&c);
	len = get_u32(&c);
	if (len < HEAD_SIZE || len > size || !acpi_read(s, where, buf, len) ||
	    !acpi_is_sound(buf, len))
		return 0;
	return len;
}

static void acpi_note(uint64_t *list, size_t *num, uint64_t value)
{
	for (size_t i = 0; i < *num; i++) {
		if (list[i] == value)
			return;
	}
	if (value && *num < MAX_ACPI)
		list[(*num)++] = value;
}

static void acpi_take_pointer(struct acpi_search *a, uint64_t where)
{
	unsigned char buf[POINTER_SIZE_2] = { 0 };
	struct cursor c = cursor_init(buf, sizeof(buf), false, true);
	unsigned char revision;
	uint32_t rsdt;

	if (!acpi_read(a->source, where, buf, POINTER_SIZE) || !acpi_is_sound(buf, POINTER_SIZE))
		return;
	revision = buf[15];
	cursor_take(&c, 16);
	rsdt = get_u32(&c);
	acpi_note(a->pointed[0], &a->num_pointed[0], rsdt);
	if (revision < 2 || !acpi_read(a->source, where, buf, sizeof(buf)) ||
	    !acpi_is_sound(buf, sizeof(buf)))
		return;
	cursor_take(&c, 4);
	acpi_note(a->pointed[1], &a->num_pointed[1], get_u64(&c));
}

static bool acpi_search_piece(void *arg, const struct search_piece *piece)
{
	struct acpi_search *a = arg;

	for (size_t i = search_text(piece, 0, acpi_pointer); i < piece->len;
	     i = search_text(piece, i + 1, acpi_pointer))
		acpi_take_pointer(a, piece->paddr + i);
	for (size_t k = 0; k < ARRAY_SIZE(acpi_roots); k++) {
		for (size_t i = search_text(piece, 0, acpi_roots[k].name); i < piece->len;
		     i = search_text(piece, i + 1, acpi_roots[k].name)) {
			unsigned char buf[MAX_ROOT];

			if (a->tries++ == MAX_TRIES)
				return true;
			if (acpi_read_table(a->source, piece->paddr + i, buf, sizeof(buf)))
				acpi_note(a->tables[k], &a->num_tables[k], piece->paddr + i);
		}
	}
	return false;
}

/* Whether the root table of kind @k at @where, whose address is @paddr, leads to other tables */
static bool acpi_is_proven(struct source *s, size_t k, uint64_t where, uint64_t paddr)
{
	unsigned char buf[MAX_ROOT], table[MAX_TABLE];
	const size_t len = acpi_read_table(s, where, buf, sizeof(buf));
	struct cursor c = cursor_init(buf, len, false, true);
	size_t good = 0;

	if (!len || (where - paddr) % 4096)
		return false;
	cursor_take(&c, HEAD_SIZE);
	for (size_t n = (len - HEAD_SIZE) / acpi_roots[k].size; n; n--) {
		const uint64_t entry = get_uint(&c, acpi_roots[k].size);

		if (!acpi_read_table(s, where + (entry - paddr), table, sizeof(table)))
			return false;
		good++;
	}
	return good >= MIN_PROOFS;
}

struct gdump_error *acpi_find_place(struct source *s, struct acpi_place *ret, bool *found)
{
	struct acpi_search a = { .source = s };
	struct gdump_error *err = search_memory(s, acpi_search_piece, &a);
	bool differ = false;

	*found = false;
	if (err)
		return err;
	for (size_t k = 0; k < ARRAY_SIZE(acpi_roots); k++) {
		for (size_t i = 0; i < a.num_pointed[k] * a.num_tables[k]; i++) {
			const uint64_t paddr = a.pointed[k][i % a.num_pointed[k]];
			const uint64_t where = a.tables[k][i / a.num_pointed[k]];

			if (!acpi_is_proven(s, k, where, paddr))
				continue;
			differ |= *found && where - paddr != ret->where - ret->paddr;
			*ret = (struct acpi_place){ paddr, where };
			*found = true;
		}
	}
	*found &= !differ;
	return NULL;
}
