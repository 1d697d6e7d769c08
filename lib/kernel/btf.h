/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * btf.h - the types of the guest's kernel, from its BTF
 *
 * With CONFIG_DEBUG_INFO_BTF (Debian: since 5.10) the kernel image has a section .BTF.
 *
 * Facts: Linux's include/uapi/linux/btf.h.
 */
#pragma once

#include "../machine/walker.h"
#include "../util/name_index.h"

struct btf {
	const struct btf *base;         /* of a module: the kernel's, whose types and
					 * strings come first; NULL: none       */
	unsigned char *data;            /* the whole section                    */
	bool big, is64;
	bool wide;                      /* kinds have 7 bits; see @layout       */
	const unsigned char *types;
	size_t types_len;
	const char *strings;            /* the last byte is NUL                 */
	size_t strings_len;
	const unsigned char *layout;    /* sizes of kinds; NULL: only known ones */
	size_t layout_len;
	uint32_t *records;              /* offsets in types[], by number - 1    */
	uint32_t num;
	struct name_index structs;      /* structs and unions                   */
	struct name_index enums;
};

/* A member */
struct btf_field {
	uint32_t off, size;             /* in bytes                             */
	uint32_t bits;                  /* of a bit-field; 0: it is none        */
	uint32_t num;                   /* elements of an array; 0: it is none  */
	bool is_pointer;
};

/* The length of the section whose header is at @buf; 0: that is no header. */
uint64_t btf_length(const unsigned char *buf, size_t len, bool big);

/* Read the section at [start, start + len).  GDUMP_ERR_CORRUPT: it is not valid. */
MUST_CHECK struct gdump_error *btf_read(struct walker *w, uint64_t start, uint64_t len,
					struct btf *ret);
/* The same of a section at @data, which must be allocated and is owned from now on, also after
 * an error.  @big and @is64 are of the machine; @base of a module's must outlive it.
 */
MUST_CHECK struct gdump_error *btf_take(void *data, size_t len, bool big, bool is64,
					const struct btf *base, struct btf *ret);
void btf_deinit(struct btf *b);

/* The size of struct or union @name; 0: there is none. */
uint32_t btf_size(const struct btf *b, const char *name);
/* A member of struct or union @name, or of an anonymous struct inside it; false: there is none.
 * @member may lead into structs and arrays inside it: "thread.s[1]".
 */
bool btf_field(const struct btf *b, const char *name, const char *member, struct btf_field *ret);
/* The value of an enumerator of enum @name; false: there is none. */
bool btf_enumerator(const struct btf *b, const char *name, const char *enumerator, uint32_t *ret);
