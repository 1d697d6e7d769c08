/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * btf.c - the types of the guest's kernel, from its BTF
 *
 * BTF is a header, records, and strings, which records refer to by offset.  A record has 12
 * bytes and a tail, whose size depends on its kind.  Records are numbered from 1 and refer
 * to each other by number.  Such references may be circular in a damaged section, so code
 * that follows them limits its steps.
 */
#include "btf.h"

#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"

enum {
	MAGIC = 0xeb9f,
	HEADER = 24,
	MAX_HEADER = 64,
	RECORD = 12,
	MEMBER = 12,
	MAX_BTF = 64 << 20,
	MAX_CHAIN = 32,                 /* of typedefs and qualifiers           */
	MAX_DEPTH = 16,                 /* of anonymous structs                 */
	MAX_STEPS = 1 << 14,            /* no struct has so many members        */
	MAX_PART = 64,                  /* characters of a name in a path       */
};

enum {
	KIND_INT = 1,
	KIND_PTR = 2,
	KIND_ARRAY = 3,
	KIND_STRUCT = 4,
	KIND_UNION = 5,
	KIND_ENUM = 6,
	KIND_TYPEDEF = 8,
	KIND_VOLATILE = 9,
	KIND_CONST = 10,
	KIND_RESTRICT = 11,
	KIND_TYPE_TAG = 18,
	KIND_ENUM64 = 19,
	NUM_KINDS = 20,
};

/* Bytes after a record: in any case, and for each of its elements */
static const struct btf_tail {
	uint8_t once, each;
} tails[NUM_KINDS] = {
	[KIND_INT] = { 4, 0 },
	[KIND_ARRAY] = { 12, 0 },
	[KIND_STRUCT] = { 0, MEMBER },
	[KIND_UNION] = { 0, MEMBER },
	[KIND_ENUM] = { 0, 8 },
	[13] = { 0, 8 },                /* FUNC_PROTO                           */
	[14] = { 4, 0 },                /* VAR                                  */
	[15] = { 0, 12 },               /* DATASEC                              */
	[17] = { 4, 0 },                /* DECL_TAG                             */
	[KIND_ENUM64] = { 0, 12 },
};

struct btf_type {
	const char *name;
	unsigned int kind;
	uint32_t num;                   /* elements                             */
	bool flag;
	uint32_t size;                  /* or the number of another type        */
	const unsigned char *tail;
};

static uint32_t btf_get_u32(const struct btf *b, const unsigned char *p)
{
	struct cursor c = cursor_init(p, 4, b->big, b->is64);

	return get_u32(&c);
}

static const char *btf_string(const struct btf *b, uint32_t off)
{
	if (b->base && off < b->base->strings_len)
		return btf_string(b->base, off);
	off -= b->base ? (uint32_t)b->base->strings_len : 0;
	return off < b->strings_len ? b->strings + off : "";
}

static struct btf_type btf_parse(const struct btf *b, const unsigned char *p)
{
	const uint32_t info = btf_get_u32(b, p + 4);

	return (struct btf_type){
		.name = btf_string(b, btf_get_u32(b, p)),
		.kind = info >> 24 & (b->wide ? 0x7f : 0x1f),
		.num = info & (b->wide ? 0xffffff : 0xffff),
		.flag = info >> 31,
		.size = btf_get_u32(b, p + 8),
		.tail = p + RECORD,
	};
}

static bool btf_find_tail(const struct btf *b, unsigned int kind, struct btf_tail *ret)
{
	/* each kind has two bytes with sizes and two with flags */
	if (b->layout && range_fits(4 * (uint64_t)kind, 4, b->layout_len)) {
		ret->once = b->layout[4 * kind];
		ret->each = b->layout[4 * kind + 1];
		return true;
	}
	if (kind >= NUM_KINDS)
		return false;
	*ret = tails[kind];
	return true;
}

/* The number of the first type that is not of the base */
static uint32_t btf_first(const struct btf *b)
{
	return b->base ? b->base->num + 1 : 1;
}

/* Get the type of that number; false: there is none. */
static bool btf_type_at(const struct btf *b, uint32_t number, struct btf_type *ret)
{
	const uint32_t first = btf_first(b);

	if (b->base && number < first)
		return btf_type_at(b->base, number, ret);
	if (number < first || number - first >= b->num)
		return false;
	*ret = btf_parse(b, b->types + b->records[number - first]);
	return true;
}

/* Count the records, and store their offsets in @records, unless that is NULL. */
static bool btf_walk(struct btf *b, uint32_t *records)
{
	size_t at = 0;

	for (b->num = 0; at < b->types_len; b->num++) {
		struct btf_type t;
		struct btf_tail tail;
		uint64_t more;

		if (!range_fits(at, RECORD, b->types_len))
			return false;
		t = btf_parse(b, b->types + at);
		if (!t.kind || !btf_find_tail(b, t.kind, &tail))
			return false;
		/* the layout must agree with the kinds that we know */
		if (t.kind < NUM_KINDS && memcmp(&tail, &tails[t.kind], sizeof(tail)))
			return false;
		more = tail.once + (uint64_t)tail.each * t.num;
		if (!range_fits(at + RECORD, more, b->types_len))
			return false;
		if (records)
			records[b->num] = (uint32_t)at;
		at += RECORD + (size_t)more;
	}
	return b->num;
}

struct btf_header {
	uint32_t size, types, types_len, strings, strings_len, layout, layout_len;
};

static bool btf_parse_header(const unsigned char *buf, size_t len, bool big, struct btf_header *h)
{
	struct cursor c = cursor_init(buf, len, big, true);
	const uint16_t magic = get_u16(&c);
	const uint8_t version = get_u8(&c), flags = get_u8(&c);

	h->size = get_u32(&c);
	h->types = get_u32(&c);
	h->types_len = get_u32(&c);
	h->strings = get_u32(&c);
	h->strings_len = get_u32(&c);
	h->layout = h->layout_len = 0;
	if (!c.bad && h->size >= HEADER + 8) {
		h->layout = get_u32(&c);
		h->layout_len = get_u32(&c);
	}
	return !c.bad && magic == MAGIC && version == 1 && !flags && h->size >= HEADER &&
	       h->size <= MAX_HEADER && h->size % 4 == 0 && h->types_len >= RECORD &&
	       h->strings_len;
}

uint64_t btf_length(const unsigned char *buf, size_t len, bool big)
{
	struct btf_header h;
	uint64_t end;

	if (!btf_parse_header(buf, len, big, &h))
		return 0;
	end = MAX((uint64_t)h.types + h.types_len, (uint64_t)h.strings + h.strings_len);
	end = MAX(end, (uint64_t)h.layout + h.layout_len) + h.size;
	return end <= MAX_BTF ? end : 0;
}

static struct gdump_error *btf_corrupt(const char *what)
{
	return error_new(GDUMP_ERR_CORRUPT, "BTF of the kernel: %s", what);
}

static struct gdump_error *btf_open_parts(struct btf *b, uint64_t len)
{
	struct btf_header h;
	uint64_t body;

	if (!btf_parse_header(b->data, (size_t)len, b->big, &h) || h.size > len)
		return btf_corrupt("no header");
	body = len - h.size;
	if (!range_fits(h.types, h.types_len, body) || h.types % 4 ||
	    !range_fits(h.strings, h.strings_len, body) ||
	    !range_fits(h.layout, h.layout_len, body))
		return btf_corrupt("a part exceeds the section");
	b->types = b->data + h.size + h.types;
	b->types_len = h.types_len;
	b->strings = (const char *)b->data + h.size + h.strings;
	b->strings_len = h.strings_len;
	if (b->strings[b->strings_len - 1])
		return btf_corrupt("the last string is not terminated");
	b->wide = h.size > HEADER;
	b->layout = h.layout_len ? b->data + h.size + h.layout : NULL;
	b->layout_len = h.layout_len;
	return NULL;
}

/* The name of the @i-th type that is not of the base, if that is a struct or union */
static const char *btf_struct_name(const void *owner, uint32_t i)
{
	const struct btf *b = owner;
	struct btf_type t;

	if (!btf_type_at(b, btf_first(b) + i, &t) || (t.kind != KIND_STRUCT && t.kind != KIND_UNION))
		return NULL;
	return *t.name ? t.name : NULL;
}

/* The same of an enum */
static const char *btf_enum_name(const void *owner, uint32_t i)
{
	const struct btf *b = owner;
	struct btf_type t;

	if (!btf_type_at(b, btf_first(b) + i, &t) || t.kind != KIND_ENUM)
		return NULL;
	return *t.name ? t.name : NULL;
}

static struct gdump_error *btf_find_records(struct btf *b)
{
	if (!btf_walk(b, NULL))
		return btf_corrupt("a record is not valid");
	b->records = malloc(b->num * sizeof(*b->records));
	if (!b->records)
		return error_nomem();
	btf_walk(b, b->records);
	return name_index_init(&b->structs, b->num, btf_struct_name, b) &&
	       name_index_init(&b->enums, b->num, btf_enum_name, b) ? NULL : error_nomem();
}

struct gdump_error *btf_take(void *data, size_t len, bool big, bool is64,
			     const struct btf *base, struct btf *ret)
{
	struct btf b = { .base = base, .data = data, .big = big, .is64 = is64 };
	struct gdump_error *err = btf_open_parts(&b, len);

	if (!err)
		err = btf_find_records(&b);
	if (err) {
		btf_deinit(&b);
		return err;
	}
	*ret = b;
	return NULL;
}

struct gdump_error *btf_read(struct walker *w, uint64_t start, uint64_t len, struct btf *ret)
{
	const struct image *image = &w->source->image;
	CLEANUP_FREE unsigned char *data = NULL;
	struct gdump_error *err;

	if (len < HEADER || len > MAX_BTF)
		return btf_corrupt("its size is not plausible");
	err = walker_read_new(w, start, len, &data);
	return err ? err : btf_take(TAKE_PTR(data), (size_t)len, image->big, image->is64, NULL, ret);
}

void btf_deinit(struct btf *b)
{
	free(b->data);
	free(b->records);
	name_index_deinit(&b->structs);
	name_index_deinit(&b->enums);
	*b = (struct btf){ 0 };
}

/* Skip typedefs and qualifiers. */
static bool btf_resolve(const struct btf *b, uint32_t number, struct btf_type *ret)
{
	for (unsigned int i = 0; i < MAX_CHAIN && btf_type_at(b, number, ret); i++) {
		switch (ret->kind) {
		case KIND_TYPEDEF:
		case KIND_VOLATILE:
		case KIND_CONST:
		case KIND_RESTRICT:
		case KIND_TYPE_TAG:
			number = ret->size;
			break;
		default:
			return true;
		}
	}
	return false;
}

/* The size of a type in bytes; 0: unknown. */
static uint32_t btf_type_size(const struct btf *b, uint32_t number)
{
	uint64_t num = 1;
	struct btf_type t;

	for (unsigned int i = 0; i < MAX_DEPTH && btf_resolve(b, number, &t); i++) {
		switch (t.kind) {
		case KIND_INT:
		case KIND_ENUM:
		case KIND_ENUM64:
		case KIND_STRUCT:
		case KIND_UNION:
			return num * t.size <= UINT32_MAX ? (uint32_t)(num * t.size) : 0;
		case KIND_PTR:
			return (uint32_t)MIN(num * (b->is64 ? 8 : 4), UINT32_MAX);
		case KIND_ARRAY:
			num *= btf_get_u32(b, t.tail + 8);
			number = btf_get_u32(b, t.tail);
			if (num > UINT32_MAX)
				return 0;
			break;
		default:
			return 0;
		}
	}
	return 0;
}

static bool btf_find_struct(const struct btf *b, const char *name, struct btf_type *ret)
{
	const uint32_t i = name_index_find(&b->structs, name, btf_struct_name, b);

	if (i == NAME_INDEX_NONE)
		return b->base && btf_find_struct(b->base, name, ret);
	return btf_type_at(b, btf_first(b) + i, ret);
}

/* A member, and the number of its type */
struct btf_member {
	uint64_t off;
	uint32_t bits, type;
};

static bool btf_find_member(const struct btf *b, const struct btf_type *t, const char *member,
			    uint64_t base, unsigned int depth, unsigned int *steps,
			    struct btf_member *ret)
{
	for (uint32_t i = 0; i < t->num && ++*steps < MAX_STEPS; i++) {
		const unsigned char *m = t->tail + (size_t)MEMBER * i;
		const char *name = btf_string(b, btf_get_u32(b, m));
		const uint32_t type = btf_get_u32(b, m + 4), bits = btf_get_u32(b, m + 8);
		const uint64_t off = base + (t->flag ? bits & 0xffffff : bits) / 8;
		struct btf_type inner;

		if (!strcmp(name, member)) {
			*ret = (struct btf_member){ .off = off, .type = type,
						    .bits = t->flag ? bits >> 24 : 0 };
			return true;
		}
		if (!*name && depth < MAX_DEPTH && btf_resolve(b, type, &inner) &&
		    (inner.kind == KIND_STRUCT || inner.kind == KIND_UNION) &&
		    btf_find_member(b, &inner, member, off, depth + 1, steps, ret))
			return true;
	}
	return false;
}

uint32_t btf_size(const struct btf *b, const char *name)
{
	struct btf_type t;

	return btf_find_struct(b, name, &t) ? t.size : 0;
}

/* One part of a path: "name" or "name[index]" */
struct btf_part {
	char name[MAX_PART];
	bool has_index;
	unsigned int index;
};

/* Take the first part from @path, and advance it to the next one, or to its end. */
static bool btf_take_part(const char **path, struct btf_part *ret)
{
	const size_t len = strcspn(*path, ".["), all = strcspn(*path, ".");

	*ret = (struct btf_part){ .has_index = len < all };
	if (!len || len >= MAX_PART)
		return false;
	memcpy(ret->name, *path, len);
	if (ret->has_index)
		ret->index = (unsigned int)strtoul(*path + len + 1, NULL, 10);
	*path += all + ((*path)[all] == '.');
	return true;
}

/* Go from an array to one of its elements. */
static bool btf_take_element(const struct btf *b, unsigned int index, struct btf_member *m)
{
	struct btf_type t;

	if (!btf_resolve(b, m->type, &t) || t.kind != KIND_ARRAY ||
	    index >= btf_get_u32(b, t.tail + 8))
		return false;
	m->type = btf_get_u32(b, t.tail);
	m->off += (uint64_t)index * btf_type_size(b, m->type);
	return true;
}

bool btf_field(const struct btf *b, const char *name, const char *member, struct btf_field *ret)
{
	struct btf_member m = { 0 };
	struct btf_type t = { 0 };

	if (!btf_find_struct(b, name, &t))
		return false;
	while (*member) {
		unsigned int steps = 0;
		struct btf_part part;

		if ((t.kind != KIND_STRUCT && t.kind != KIND_UNION) ||
		    !btf_take_part(&member, &part) ||
		    !btf_find_member(b, &t, part.name, m.off, 0, &steps, &m) ||
		    (part.has_index && !btf_take_element(b, part.index, &m)) ||
		    m.off > UINT32_MAX || !btf_resolve(b, m.type, &t))
			return false;
	}
	*ret = (struct btf_field){
		.off = (uint32_t)m.off,
		.size = btf_type_size(b, m.type),
		.bits = m.bits,
		.num = t.kind == KIND_ARRAY ? btf_get_u32(b, t.tail + 8) : 0,
		.is_pointer = t.kind == KIND_PTR,
	};
	return ret->size;
}

bool btf_enumerator(const struct btf *b, const char *name, const char *enumerator, uint32_t *ret)
{
	const uint32_t i = name_index_find(&b->enums, name, btf_enum_name, b);
	struct btf_type t;

	if (i == NAME_INDEX_NONE)
		return b->base && btf_enumerator(b->base, name, enumerator, ret);
	if (!btf_type_at(b, btf_first(b) + i, &t))
		return false;
	for (uint32_t k = 0; k < t.num; k++) {
		const unsigned char *p = t.tail + (size_t)8 * k;

		if (!strcmp(btf_string(b, btf_get_u32(b, p)), enumerator)) {
			*ret = btf_get_u32(b, p + 4);
			return true;
		}
	}
	return false;
}
