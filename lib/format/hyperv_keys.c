/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * hyperv_keys.c - the container of Hyper-V's saved states (.vmrs): a tree of keys
 *
 *     0, 4096    two headers, of which the one with the higher sequence is valid
 *     8192       a table of objects, which may lead to more of them
 *     anywhere   tables of keys, and file objects: values of keys that are large
 *
 * An entry of a table of keys has its parent's place, its name, and its value or where that is.
 *
 * Facts: hvs_file/FORMAT.md of OpenVMM.  All numbers are little-endian.
 */
#include "hyperv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"

enum {
	FIRST_OBJECTS = 8192, OBJECTS_SIGNATURE = 0x01110001, OBJECTS_HEADER = 8, OBJECT_SIZE = 18,
	OBJECT_TABLE = 1, OBJECT_KEYS = 2,
	KEYS_SIGNATURE = 2, KEYS_HEADER = 10, ENTRY_HEADER = 21,
	ENTRY_FREE = 1, ENTRY_ARRAY = 7, ENTRY_NODE = 9, ENTRY_IS_OBJECT = 1,
	MAX_TABLE = 16 << 20, MAX_TABLES = 4096, MAX_OBJECTS = 65536,
};

struct hyperv_walk {
	struct bytes *in;
	struct hyperv_node parent;
	struct gdump_error *(*each)(void *arg, const struct hyperv_key *key);
	void *arg;
	/* the newest table of keys with each index */
	struct hyperv_table { uint64_t off; uint32_t size; uint16_t index, sequence; } tables[MAX_TABLES];
	size_t num_tables, num_object_tables;
};

static struct gdump_error *hyperv_corrupt(const char *what, uint64_t off)
{
	return error_new(GDUMP_ERR_CORRUPT, "%s at offset 0x%" PRIx64 " is invalid", what, off);
}

/* Note a table of keys; of two with one index, the newer one counts. */
static struct gdump_error *hyperv_add_keys(struct hyperv_walk *w, uint64_t off, uint32_t size)
{
	unsigned char buf[KEYS_HEADER];
	struct cursor c = cursor_init(buf, sizeof(buf), false, true);
	struct hyperv_table t = { .off = off, .size = size };
	struct gdump_error *err;
	size_t i = 0;

	if (size < KEYS_HEADER || size > MAX_TABLE || !range_fits(off, size, w->in->size))
		return hyperv_corrupt("the place of a table of keys", off);
	err = bytes_read(w->in, off, buf, sizeof(buf));
	if (err)
		return err;
	if (get_u16(&c) != KEYS_SIGNATURE)
		return hyperv_corrupt("the signature of the table of keys", off);
	t.index = get_u16(&c);
	t.sequence = get_u16(&c);
	while (i < w->num_tables && w->tables[i].index != t.index)
		i++;
	if (i == MAX_TABLES)
		return error_new(GDUMP_ERR_UNSUPPORTED, "there are too many tables of keys");
	if (i == w->num_tables || (int16_t)(t.sequence - w->tables[i].sequence) > 0)
		w->tables[i] = t;
	w->num_tables += i == w->num_tables;
	return NULL;
}

static struct gdump_error *hyperv_read_objects(struct hyperv_walk *w, uint64_t off, uint64_t *next);

static struct gdump_error *hyperv_take_object(struct hyperv_walk *w, const unsigned char *buf,
					      uint64_t *next)
{
	struct cursor c = cursor_init(buf, OBJECT_SIZE, false, true);
	const uint8_t type = get_u8(&c);
	uint64_t off;
	uint32_t size;

	get_u32(&c);                    /* CRC */
	off = get_u64(&c);
	size = get_u32(&c);
	if (type == OBJECT_KEYS)
		return hyperv_add_keys(w, off, size);
	if (type != OBJECT_TABLE)
		return NULL;
	if (*next)
		return error_new(GDUMP_ERR_CORRUPT, "a table of objects leads to two others");
	*next = off;
	return NULL;
}

/* Read a table of objects; @next: the one that it leads to, or 0 */
static struct gdump_error *hyperv_read_objects(struct hyperv_walk *w, uint64_t off, uint64_t *next)
{
	unsigned char head[OBJECTS_HEADER];
	struct cursor c = cursor_init(head, sizeof(head), false, true);
	CLEANUP_FREE unsigned char *buf = NULL;
	struct gdump_error *err = bytes_read(w->in, off, head, sizeof(head));
	uint32_t num;

	*next = 0;
	if (err)
		return err;
	if (get_u32(&c) != (uint32_t)OBJECTS_SIGNATURE)
		return hyperv_corrupt("the signature of the table of objects", off);
	num = get_u32(&c);
	if (num > MAX_OBJECTS)
		return hyperv_corrupt("the number of objects", off);
	buf = malloc((size_t)num * OBJECT_SIZE + 1);
	if (!buf)
		return error_nomem();
	err = bytes_read(w->in, off + OBJECTS_HEADER, buf, (size_t)num * OBJECT_SIZE);
	for (uint32_t i = 0; !err && i < num; i++)
		err = hyperv_take_object(w, buf + (size_t)i * OBJECT_SIZE, next);
	return err;
}

/* Where the bytes of an array are: in the entry after their length, or elsewhere in the file */
static struct gdump_error *hyperv_find_array(struct hyperv_walk *w, struct cursor *data, uint64_t off,
					     bool is_object, struct hyperv_key *key)
{
	const uint64_t size = get_u32(data);

	key->is_array = true;
	key->size = size;
	key->off = is_object ? get_u64(data) : off + 4;
	if (data->bad || (!is_object && size > cursor_left(data)) ||
	    !range_fits(key->off, key->size, w->in->size))
		return error_new(GDUMP_ERR_CORRUPT, "the value of key %s is past the end of the file",
				 key->name);
	return NULL;
}

/* The entry at @c, whose offset in its table is @off */
static struct gdump_error *hyperv_take_entry(struct hyperv_walk *w, const struct hyperv_table *t,
					     uint32_t off, struct cursor c)
{
	struct hyperv_key key = { .node = { t->index, off } };
	const uint8_t type = get_u8(&c), flags = get_u8(&c);
	struct hyperv_node parent;
	struct gdump_error *err = NULL;
	uint8_t name_len;

	get_u32(&c);
	parent.table = get_u16(&c);
	parent.off = get_u32(&c);
	get_u64(&c);                    /* CRC, insertion */
	name_len = get_u8(&c);
	get_bytes(&c, key.name, name_len);
	if (c.bad || !name_len || key.name[name_len - 1])
		return hyperv_corrupt("the name of the key", t->off + off);
	if (type == ENTRY_FREE || parent.table != w->parent.table || parent.off != w->parent.off)
		return NULL;
	key.is_node = type == ENTRY_NODE;
	if (type == ENTRY_ARRAY)
		err = hyperv_find_array(w, &c, t->off + off + ENTRY_HEADER + name_len,
					flags & ENTRY_IS_OBJECT, &key);
	return err ? err : w->each(w->arg, &key);
}

/* Entries end with the table, or where there is one without a type. */
static struct gdump_error *hyperv_read_table(struct hyperv_walk *w, const struct hyperv_table *t)
{
	CLEANUP_FREE unsigned char *buf = malloc(t->size);
	struct gdump_error *err = buf ? bytes_read(w->in, t->off, buf, t->size) : error_nomem();
	uint32_t off = KEYS_HEADER;

	while (!err && off + ENTRY_HEADER <= t->size && buf[off]) {
		struct cursor c = cursor_init(buf + off + 2, 4, false, true);
		const uint32_t size = get_u32(&c);

		if (buf[off] > ENTRY_NODE || size < ENTRY_HEADER || size > t->size - off)
			return hyperv_corrupt("the entry of the table of keys", t->off + off);
		/* a free one has no name */
		if (buf[off] != ENTRY_FREE)
			err = hyperv_take_entry(w, t, off, cursor_init(buf + off, size, false, true));
		off += size;
	}
	return err;
}

struct gdump_error *hyperv_keys(struct bytes *in, struct hyperv_node parent,
				struct gdump_error *(*each)(void *arg, const struct hyperv_key *key),
				void *arg)
{
	CLEANUP_FREE struct hyperv_walk *w = calloc(1, sizeof(*w));
	struct gdump_error *err = w ? NULL : error_nomem();
	uint64_t next = FIRST_OBJECTS;

	if (err)
		return err;
	w->in = in;
	w->parent = parent;
	w->each = each;
	w->arg = arg;
	while (!err && next && w->num_object_tables++ < MAX_TABLES) {
		const uint64_t at = next;

		err = hyperv_read_objects(w, at, &next);
	}
	if (!err && next)
		err = error_new(GDUMP_ERR_CORRUPT, "the tables of objects have no end");
	for (size_t i = 0; !err && i < w->num_tables; i++)
		err = hyperv_read_table(w, &w->tables[i]);
	return err;
}
