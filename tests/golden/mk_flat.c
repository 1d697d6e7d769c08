/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mk_flat.c - makedumpfile's flattened form
 *
 * "flat WORD...": reverse (from the end of the file to its beginning), shuffle,
 * overlap (first 4 KiB of headers with wrong bytes, then the right ones), overlap-data
 * (the same of everything), holes (runs of
 * zeros are left out), no-end (without the end mark), small (records of 100 bytes).
 */
#include "mkdump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has(const struct desc *d, const char *word)
{
	char padded[32], words[160];

	snprintf(padded, sizeof(padded), " %s ", word);
	snprintf(words, sizeof(words), " %s", d->flat);
	return strstr(words, padded);
}

static bool all_zero(const unsigned char *p, size_t len)
{
	while (len--) {
		if (*p++)
			return false;
	}
	return true;
}

static void put_record(struct out *o, size_t i, uint64_t off, const unsigned char *data,
		       size_t len)
{
	put(o, numbered("record", i, ".offset"), off, 8);
	put(o, numbered("record", i, ".size"), len, 8);
	put_data(o, data, len);
}

/* Name what is in the record that was put last, as "in.NAME".  Memory may begin in another one. */
static void mark_fields(struct out *o, const struct out *plain, size_t off, size_t len)
{
	const size_t begin = o->len - len;
	char name[80];

	for (size_t i = 0; i < plain->num_fields; i++) {
		const struct field *f = &plain->fields[i];

		const bool is_memory = strstr(f->name, ".memory");
		const size_t start = is_memory && f->off < off ? off : f->off;
		const size_t end = f->off + f->size < off + len ? f->off + f->size : off + len;

		snprintf(name, sizeof(name), "in.%s", f->name);
		if (start < off || start >= off + len || (is_memory && start >= end))
			continue;
		mark(o, name, begin + start - off,
		     is_memory ? (unsigned int)(end - start) : f->size);
	}
}

void flatten(struct out *o, const struct desc *d)
{
	const size_t size = has(d, "small") ? 100 : 5000, num = (o->len + size - 1) / size;
	const struct out plain = *o;
	unsigned char *wrong = malloc(plain.len);
	size_t records = 0;

	*o = (struct out){ .big = true };
	put_data(o, "makedumpfile\0\0\0", 16);
	put(o, "flat.type", 1, 8);
	put(o, "flat.version", 1, 8);
	pad_to(o, 4096);
	memset(wrong, 0xaa, plain.len);
	if (has(d, "overlap"))
		put_record(o, records++, 0, wrong, 4096);
	if (has(d, "overlap-data"))
		put_record(o, records++, 0, wrong, plain.len);
	for (size_t i = 0; i < num; i++) {
		/* 7919 is prime: each comes once */
		size_t n = has(d, "reverse") ? num - 1 - i : has(d, "shuffle") ? i * 7919 % num : i;
		size_t len = n + 1 < num ? size : plain.len - n * size;

		if (has(d, "holes") && n + 1 < num && all_zero(plain.buf + n * size, len))
			continue;
		put_record(o, records++, n * size, plain.buf + n * size, len);
		mark_fields(o, &plain, n * size, len);
	}
	mark(o, "end-mark", o->len, 0);
	if (!has(d, "no-end")) {
		put(o, NULL, UINT64_MAX, 8);
		put(o, NULL, UINT64_MAX, 8);
	}
	free(plain.buf);
	free(plain.fields);
	free(wrong);
}
