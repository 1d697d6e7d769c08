/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * btf.h - the types of the guest's kernel, as it carries them itself
 *
 * With CONFIG_DEBUG_INFO_BTF (Debian: since 5.10) the kernel's image has a section
 * .BTF.  Format: Linux's include/uapi/linux/btf.h.
 */
#pragma once

#include "../machine/walker.h"

struct btf {
	unsigned char *data;            /* of all                               */
	bool big, is64;
	bool wide;                      /* kinds of 7 bits: with a layout       */
	const unsigned char *types;
	size_t types_len;
	const char *strings;            /* the last one ends with a NUL         */
	size_t strings_len;
	const unsigned char *layout;    /* of kinds; NULL: those that we know   */
	size_t layout_len;
	uint32_t *records;               /* in types[], by number - 1            */
	uint32_t num;
};

/* Where a member is in its struct, in bytes. */
struct btf_field {
	uint32_t off, size;
};

/* What the header at @buf says of the length of all, or 0: it is no header. */
uint64_t btf_length(const unsigned char *buf, size_t len, bool big);

/* Read what is at [start, start + len); GDUMP_ERR_CORRUPT where it makes no sense. */
MUST_CHECK struct gdump_error *btf_read(struct walker *w, uint64_t start, uint64_t len,
					struct btf *ret);
void btf_deinit(struct btf *b);

/* The size of struct @name; 0: there is none. */
uint32_t btf_size(const struct btf *b, const char *name);
/* Its member, also one of a struct without name inside; false: there is none. */
bool btf_field(const struct btf *b, const char *name, const char *member, struct btf_field *ret);
