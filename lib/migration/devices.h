/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/devices.h - the states of devices, CPUs among them, in a stream
 *
 * A device's state is a row of fields without names or lengths.  Since QEMU 2.3, JSON text
 * after the last section describes them, unless the machine has suppress-vmdesc=on.  Fields are
 * found by name, so it does not matter which others a version of QEMU has in front of them.
 */
#pragma once

#include <jansson.h>

#include "../error.h"

struct device {
	const char *name;               /* "cpu", "0000:00:02.0/vga"            */
	uint32_t instance;
	json_t *desc;                   /* borrowed from the description        */
	const unsigned char *data;      /* borrowed from the sections           */
	size_t len;
};

struct devices {
	json_t *desc;                   /* NULL: there is none                  */
	size_t desc_pos;                /* of the end of sections before it, in the bytes after the RAM */
	json_t *clock;                  /* what is known of a clock without it  */
	uint32_t page_size;             /* of QEMU's target; 0: not said        */
	struct device *list;            /* in the order of the stream           */
	size_t num, num_unknown;
	uint32_t ram_id;                /* the number of the RAM's sections, set by the caller */
	bool has_ram;                   /* another one of those was found       */
	size_t cursor;                  /* of the description's devices         */
};

/* Find the description in the bytes after the RAM: the first that follows the end of sections.
 * That there is none is not an error.
 */
MUST_CHECK struct gdump_error *devices_describe(struct devices *d, const unsigned char *buf,
						size_t len);
/* Add the devices in the sections in @buf, which is borrowed until deinit, and set *@end to where
 * the sections end: at STREAM_EOF, or @len if they have no end.  Without a description, only the
 * clock of a PC is added, whose state begins with the CMOS memory in every version.
 */
MUST_CHECK struct gdump_error *devices_parse(struct devices *d, const unsigned char *buf,
					     size_t len, size_t *end);
/* Whether the bytes after the RAM, whose sections end at @end, are all of the stream.  A
 * description elsewhere than at their end is that of another stream, which was there before: in a
 * volume that is larger than the stream.
 */
bool devices_are_complete(const struct devices *d, const unsigned char *buf, size_t len,
			  size_t end);
void devices_deinit(struct devices *d);

/* The first device @name from number @i on, or NULL. */
const struct device *devices_find(const struct devices *d, const char *name, size_t i);

/* A field's place: .num elements of .size bytes. */
struct field {
	const unsigned char *p;
	size_t size, num;
	json_t *desc;
};

/* Field @name, or "env." and @name, of a device; also one that QEMU keeps in a struct
 * that exists only to be sent.  False: there is none.
 */
bool device_field(const struct device *dev, const char *name, struct field *ret);
/* The same in a subsection. */
bool device_part_field(const struct device *dev, const char *part, const char *name,
		       struct field *ret);
/* A field of element @i of a field that is an array of structs. */
bool field_member(const struct field *f, size_t i, const char *name, struct field *ret);
/* Element @i as a number; 0 where there is none. */
uint64_t field_number(const struct field *f, size_t i);
/* The number in field @name; false: no such field. */
bool device_number(const struct device *dev, const char *name, uint64_t *ret);
