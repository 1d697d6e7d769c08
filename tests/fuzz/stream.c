/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * stream.c - a migration stream, as a pipe gives it: in pieces
 *
 * However it is cut, the parser reports the same.  The size of the pieces comes from the
 * last byte.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#include "migration/migration.h"

struct report {
	uint64_t sum;                   /* of all that was reported             */
};

static void add(struct report *r, uint64_t v)
{
	r->sum = (r->sum ^ v) * 0x100000001b3;
}

static void add_bytes(struct report *r, const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		add(r, p[i]);
}

static struct gdump_error *on_blocks(void *arg, const struct migration *m)
{
	for (size_t i = 0; i < m->num_blocks; i++) {
		add_bytes(arg, (const unsigned char *)m->blocks[i].name, strlen(m->blocks[i].name));
		add(arg, m->blocks[i].size);
	}
	return NULL;
}

static struct gdump_error *on_page(void *arg, const struct migration_page *page)
{
	add(arg, page->block);
	add(arg, page->off);
	add(arg, page->pos);
	add_bytes(arg, page->data, page->len);
	return NULL;
}

static struct gdump_error *on_device(void *arg, uint64_t pos, uint64_t len)
{
	add(arg, pos);
	add(arg, len);
	return NULL;
}

static struct gdump_error *on_rest(void *arg, const unsigned char *buf, size_t len)
{
	add_bytes(arg, buf, len);
	return NULL;
}

static uint64_t feed(const uint8_t *data, size_t size, size_t step)
{
	struct report r = { .sum = 0 };
	const struct migration_events events = { on_blocks, on_page, on_device, on_rest, &r };
	struct migration m;
	struct gdump_error *err = migration_init(&m, 0, &events);
	const char *message;

	for (size_t at = 0; !err && at < size; at += step) {
		const size_t len = step < size - at ? step : size - at;
		unsigned char *piece = malloc(len);     /* so that ASan sees its end */

		memcpy(piece, data + at, len);
		err = migration_feed(&m, piece, len);
		free(piece);
	}
	if (!err && !m.ram_done)
		err = migration_end(&m);
	message = err ? gdump_error_message(err) : "";
	add_bytes(&r, (const unsigned char *)message, strlen(message));
	add(&r, m.ram_done);
	gdump_error_destroy(err);
	migration_deinit(&m);
	return r.sum;
}

void fuzz_stream(const uint8_t *data, size_t size)
{
	const size_t step = size ? 1 + data[size - 1] * (size_t)17 : 1;

	if (feed(data, size, size ? size : 1) != feed(data, size, step))
		fuzz_die("pieces of %zu bytes give something else than the whole", step);
}
