/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * subject.h - a good dump that is changed, and whether a change of its memory is reported
 *
 * Bytes of pages that are stored uncompressed must not be changed: only a checksum can tell.
 * Nor can a format tell what its texts name in lines "expect silent FIELD", where FIELD is the
 * name of a field as mkdump --fields has it, with digits as #.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <guestdump.h>

enum {
	UNIT = 4096, MAX_UNITS = 1024, MAX_FILE = 1 << 20, MAX_FIELDS = 8192, MAX_NAMES = 256,
	MAX_RANGES = 64, DENSE = 128, MAX_INPUTS = 8, MAX_PATH = 160,
};

struct field {
	char name[64];
	uint64_t off;
	unsigned int size;
};

/* All memory of a dump */
struct memory {
	size_t num;
	uint64_t paddr[MAX_UNITS];
	bool there[MAX_UNITS];
	unsigned char (*data)[UNIT];    /* MAX_UNITS of them                    */
};

struct subject {
	const char *text;
	char inputs[MAX_INPUTS][MAX_PATH];      /* files that are opened together; the first one
						 * has the fields, and its name is given to
						 * gdump_open() */
	size_t num_inputs;
	char path[MAX_PATH];            /* the file that is changed: the first input, or the
					 * text that says where its memory is   */
	char key[MAX_PATH];             /* of a protected guest; "": none       */
	unsigned char *good;            /* the file                             */
	unsigned char *bytes;           /* the same, to be changed; has room for twice as many */
	size_t len;
	bool *is_page;                  /* bytes of an uncompressed page, also in fields whose name
					 * has ".memory"                        */
	bool *is_dense;                 /* bytes within DENSE of a field's beginning */
	struct field fields[MAX_FIELDS];
	size_t num_fields;
	struct memory memory;
};

/* Room for the pages; false: no memory */
bool memory_init(struct memory *m);
void memory_deinit(struct memory *m);

struct subject;
/* All memory of the dump as its files are now; false: something says that it is not good, which
 * is an error of opening or verifying, or the incomplete mark.
 */
bool memory_look(struct memory *m, const struct subject *s);
bool memory_is_same(const struct memory *a, const struct memory *b);

/* The dump that @text describes, made by the program @mkdump as the file @path, and more whose
 * names begin so.  The text of a raw file is @path.ranges, the key of a protected guest @path.key.
 * False: it is not good, or too large.
 */
bool subject_init(struct subject *s, const char *mkdump, const char *text, const char *path);
void subject_deinit(struct subject *s);
/* The name of the field that has byte @off, each number in it as one #; what is in a record of a
 * flattened file has the name that it has in the plain one.
 */
void subject_name(const struct subject *s, size_t off, char *name, size_t size);
/* The names of what @text says that the format cannot tell: their number */
size_t subject_exceptions(const char *text, char names[][64], size_t max);

/* Write the file that is changed; ends the program if that fails. */
void subject_write(const struct subject *s, const void *buf, size_t len);
