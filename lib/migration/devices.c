/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/devices.c - the states of devices
 *
 * Theory of operation.  The description lists the devices, each with its fields:
 *
 *     { "name", "type", "size" [, "array_len"] [, "struct": { "fields", ... }] }
 *
 * and the subsections that were really sent.  An array that has "array_len" is
 * described by its first element, as all are alike; else each element is a field.
 * So the fields' sizes, added up, lead to each field and to the section's end.
 *
 * The sections after the RAM are parsed in order, up to the byte that ends them.  The description
 * follows that byte, but without it the length of a section is unknown.  So the description is
 * found first: as text of the right length that is JSON and lists devices.  A section that the
 * description lacks, or whose footer is not where the sizes say, is skipped with a search for the
 * footer; its fields cannot be found.
 *
 * The clock of a PC is an exception: the machine's memory is placed by what it contains, so it is
 * also found without a description.
 *
 * Facts: QEMU's migration/savevm.c and vmstate.c, hw/rtc/mc146818rtc.c.
 */
#include "devices.h"

#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/be.h"
#include "../util/bits.h"
#include "migration.h"

enum {
	MAX_DEPTH = 32,                 /* of structs in structs                */
	MAX_DEVICES = 1 << 16,
	MAX_UNKNOWN = 1 << 10,
	MAX_TRIES = 16,                 /* texts that may be the description    */
	CMOS_SIZE = 128,
};

static const char clock_name[] = "mc146818rtc";

/* No section is larger, and sums of such sizes cannot overflow. */
static const uint64_t max_size = (uint64_t)1 << 40;

/* The description at @p, whose text has the length in front of it; NULL: there is none. */
static json_t *desc_load(const unsigned char *p, size_t len)
{
	const size_t size = load_be32(p);
	json_t *desc;

	if (size < 2 || size > len - 4 || p[4] != '{' || p[3 + size] != '}')
		return NULL;
	desc = json_loadb((const char *)p + 4, size, 0, NULL);
	if (json_is_array(json_object_get(desc, "devices")))
		return desc;
	json_decref(desc);
	return NULL;
}

/* *@pos: where the byte is that ends the sections before it */
static json_t *desc_find(const unsigned char *buf, size_t len, size_t *pos)
{
	static const unsigned char begin[] = { STREAM_EOF, STREAM_DESCRIPTION };
	const unsigned char *p = buf, *end = buf + len;
	json_t *desc = NULL;

	for (unsigned int tries = MAX_TRIES; !desc && tries;) {
		p = memmem(p, (size_t)(end - p), begin, sizeof(begin));
		if (!p || end - p < 7)
			return NULL;
		*pos = (size_t)(p - buf);
		p += sizeof(begin);
		tries -= p[4] == '{';
		desc = desc_load(p, (size_t)(end - p));
	}
	return desc;
}

struct gdump_error *devices_describe(struct devices *d, const unsigned char *buf, size_t len)
{
	json_int_t page_size;

	d->desc = desc_find(buf, len, &d->desc_pos);
	page_size = json_integer_value(json_object_get(d->desc, "page_size"));
	if (page_size >= 1024 && page_size <= 65536 && is_power_of_2((uint64_t)page_size))
		d->page_size = (uint32_t)page_size;
	return NULL;
}

/* Sizes ------------------------------------------------------------------- */

static uint64_t json_size(const json_t *object, const char *key, uint64_t none)
{
	const json_t *value = json_object_get(object, key);
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value))
		return none;
	return n < 0 ? max_size : MIN((uint64_t)n, max_size);
}

static uint64_t desc_size(const json_t *desc, unsigned int depth);

/* Of one element */
static uint64_t element_size(const json_t *field, unsigned int depth)
{
	const json_t *inner = json_object_get(field, "struct");
	uint64_t size;

	if (!inner && json_object_get(field, "fields"))
		inner = field;          /* type "tmp" */
	size = inner ? desc_size(inner, depth + 1) : 0;
	return size ? size : json_size(field, "size", 0);
}

static uint64_t field_size(const json_t *field, unsigned int depth)
{
	const uint64_t size = element_size(field, depth), n = json_size(field, "array_len", 1);

	return size && n > max_size / size ? max_size : size * n;
}

/* A section's body: its fields, and subsections with a header each.  For an impossible
 * description the result is max_size or more, so it fits nowhere.
 */
static uint64_t desc_size(const json_t *desc, unsigned int depth)
{
	const json_t *item;
	uint64_t size = 0;
	size_t i;

	if (depth > MAX_DEPTH)
		return max_size;
	json_array_foreach(json_object_get(desc, "fields"), i, item)
		size = MIN(size + field_size(item, depth), max_size);
	json_array_foreach(json_object_get(desc, "subsections"), i, item) {
		size += 6 + json_string_length(json_object_get(item, "vmsd_name"));
		size = MIN(size + desc_size(item, depth + 1), max_size);
	}
	return size;
}

/* Sections ---------------------------------------------------------------- */

/* A START or FULL section's header */
struct header {
	uint32_t id, instance;
	const unsigned char *name;
	size_t name_len, size;
};

static bool header_get(const unsigned char *p, size_t len, struct header *ret)
{
	size_t n;

	if (len < 6 || len - 6 < (n = p[5]) + (size_t)8)
		return false;
	*ret = (struct header){
		.id = load_be32(p + 1), .instance = load_be32(p + 6 + n),
		.name = p + 6, .name_len = n, .size = 6 + n + 8,
	};
	return true;
}

static bool header_is_of(const json_t *desc, const struct header *h)
{
	const json_t *name = json_object_get(desc, "name");

	return json_string_length(name) == h->name_len &&
	       !memcmp(json_string_value(name), h->name, h->name_len) &&
	       json_size(desc, "instance_id", max_size) == h->instance;
}

/* The description has the order of the stream, so it is usually the next one. */
static json_t *devices_find_desc(struct devices *d, const struct header *h)
{
	const json_t *all = json_object_get(d->desc, "devices");
	const size_t num = json_array_size(all);

	for (size_t i = 0; i < num; i++) {
		size_t at = (d->cursor + i) % num;
		json_t *desc = json_array_get(all, at);

		if (header_is_of(desc, h)) {
			d->cursor = at + 1;
			return desc;
		}
	}
	return NULL;
}

static bool section_is_footer(const unsigned char *p, size_t len, uint32_t id)
{
	return len >= STREAM_FOOTER_SIZE && p[0] == STREAM_FOOTER && load_be32(p + 1) == id;
}

/* Whether a section with a body of @size may end so: old machines have no footers. */
static bool section_ends_at(const unsigned char *body, size_t len, uint64_t size, uint32_t id)
{
	return size < len && (section_is_footer(body + size, len - size, id) ||
			      body[size] <= STREAM_FULL);
}

static struct gdump_error *devices_add(struct devices *d, const struct device *dev)
{
	if (d->num == MAX_DEVICES)
		return error_new(GDUMP_ERR_CORRUPT, "migration stream: there are more than %d devices",
				 MAX_DEVICES);
	if (!ARRAY_GROW(d->list, d->num))
		return error_nomem();
	d->list[d->num++] = *dev;
	return NULL;
}

static bool header_is_clock(const struct header *h)
{
	return h->name_len == strlen(clock_name) && !memcmp(h->name, clock_name, h->name_len);
}

/* Add a clock that the description lacks, with a description of its first field. */
static struct gdump_error *devices_add_clock(struct devices *d, const unsigned char *body,
					     size_t len)
{
	if (len < CMOS_SIZE)
		return NULL;
	if (!d->clock)
		d->clock = json_pack("{s:[{s:s, s:i}]}", "fields", "name", "cmos_data", "size",
				     (int)CMOS_SIZE);
	if (!d->clock)
		return error_nomem();
	return devices_add(d, &(struct device){
		.name = clock_name, .desc = d->clock, .data = body, .len = len,
	});
}

/* A section of unknown size; *@size: the bytes of its body */
static struct gdump_error *devices_skip(struct devices *d, const struct header *h,
					const unsigned char *body, size_t len, size_t *size)
{
	d->num_unknown++;
	*size = migration_find_footer(body, len, h->id, true);
	return header_is_clock(h) && *size < len ? devices_add_clock(d, body, *size) : NULL;
}

/* The START or FULL section at @p; *@used: its bytes, without the footer. */
static struct gdump_error *devices_parse_one(struct devices *d, const unsigned char *p, size_t len,
					     size_t *used)
{
	struct gdump_error *err = NULL;
	const unsigned char *body;
	struct header h;
	json_t *desc;
	uint64_t size;
	size_t skipped;

	*used = len;
	if (!header_get(p, len, &h) || d->num_unknown > MAX_UNKNOWN)
		return NULL;
	body = p + h.size;
	len -= h.size;
	desc = devices_find_desc(d, &h);
	size = desc ? desc_size(desc, 0) : max_size;
	if (size == len || section_ends_at(body, len, size, h.id)) {
		err = devices_add(d, &(struct device){
			.name = json_string_value(json_object_get(desc, "name")),
			.instance = h.instance, .desc = desc, .data = body, .len = (size_t)size,
		});
	} else {
		err = devices_skip(d, &h, body, len, &skipped);
		size = skipped;
	}
	*used = h.size + (size_t)size;
	return err;
}

struct gdump_error *devices_parse(struct devices *d, const unsigned char *buf, size_t len,
				  size_t *end)
{
	struct gdump_error *err = NULL;
	size_t at = 0, n;

	*end = len;
	while (!err && at < len) {
		const unsigned char *p = buf + at;
		const size_t left = len - at;

		switch (p[0]) {
		case STREAM_START: case STREAM_FULL:
			err = devices_parse_one(d, p, left, &n);
			break;
		case STREAM_PART: case STREAM_END:
			d->has_ram |= left >= 5 && load_be32(p + 1) == d->ram_id;
			n = left < 5 ? left
				     : 5 + migration_find_footer(p + 5, left - 5,
								 load_be32(p + 1), true);
			break;
		case STREAM_COMMAND:
			n = left < 5 ? left : 5 + (size_t)load_be16(p + 3);
			break;
		case STREAM_FOOTER:
			n = STREAM_FOOTER_SIZE;
			break;
		case STREAM_EOF:
			*end = at;
			return NULL;
		default:
			return NULL;
		}
		at += MIN(n, left);
	}
	return err;
}

bool devices_are_complete(const struct devices *d, const unsigned char *buf, size_t len, size_t end)
{
	if (d->desc)
		return end == d->desc_pos;
	/* without its text, a description that begins was cut or damaged */
	return end < len && (end + 1 == len || buf[end + 1] != STREAM_DESCRIPTION);
}

void devices_deinit(struct devices *d)
{
	json_decref(d->desc);
	json_decref(d->clock);
	free(d->list);
	*d = (struct devices){ 0 };
}

/* Fields ------------------------------------------------------------------ */

const struct device *devices_find(const struct devices *d, const char *name, size_t i)
{
	for (; i < d->num; i++) {
		if (!strcmp(d->list[i].name, name))
			return &d->list[i];
	}
	return NULL;
}

static bool field_is_called(const json_t *field, const char *name)
{
	const char *s = json_string_value(json_object_get(field, "name"));

	if (s && !strncmp(s, "env.", 4))
		s += 4;
	return s && !strcmp(s, name);
}

/* Find @name in the fields of @desc, whose state begins at @p and has @len bytes. */
static bool field_find(const json_t *desc, const unsigned char *p, size_t len, const char *name,
		       struct field *ret)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(desc, "fields"), i, item) {
		const uint64_t size = field_size(item, 0);

		if (size > len)
			return false;
		if (field_is_called(item, name)) {
			*ret = (struct field){ .p = p, .desc = item,
					       .num = (size_t)json_size(item, "array_len", 1) };
			ret->size = ret->num ? (size_t)size / ret->num : 0;
			return true;
		}
		if (json_object_get(item, "fields") &&
		    field_find(item, p, (size_t)size, name, ret))
			return true;
		p += size;
		len -= (size_t)size;
	}
	return false;
}

bool device_field(const struct device *dev, const char *name, struct field *ret)
{
	return field_find(dev->desc, dev->data, dev->len, name, ret);
}

bool device_part_field(const struct device *dev, const char *part, const char *name,
		       struct field *ret)
{
	const json_t *item;
	uint64_t at = 0;
	size_t i;

	json_array_foreach(json_object_get(dev->desc, "fields"), i, item)
		at += field_size(item, 0);
	json_array_foreach(json_object_get(dev->desc, "subsections"), i, item) {
		const json_t *vmsd = json_object_get(item, "vmsd_name");
		const uint64_t size = desc_size(item, 1);

		at += 6 + json_string_length(vmsd);
		if (at > dev->len || size > dev->len - at)
			return false;
		if (json_is_string(vmsd) && !strcmp(json_string_value(vmsd), part))
			return field_find(item, dev->data + at, (size_t)size, name, ret);
		at += size;
	}
	return false;
}

bool field_member(const struct field *f, size_t i, const char *name, struct field *ret)
{
	return i < f->num && field_find(json_object_get(f->desc, "struct"), f->p + i * f->size,
					f->size, name, ret);
}

uint64_t field_number(const struct field *f, size_t i)
{
	uint64_t n = 0;

	if (i >= f->num || f->size > 8)
		return 0;
	for (size_t k = 0; k < f->size; k++)
		n = n << 8 | f->p[i * f->size + k];
	return n;
}

bool device_number(const struct device *dev, const char *name, uint64_t *ret)
{
	struct field f;

	if (!device_field(dev, name, &f) || !f.num || f.size > 8)
		return false;
	*ret = field_number(&f, 0);
	return true;
}
