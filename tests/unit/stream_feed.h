/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * stream_feed.h - a migration stream in pieces, and what the parser reports of it
 *
 * For the unit tests and the fuzz target, which compare it for pieces of different sizes.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "migration/migration.h"

/* What the events reported */
struct report {
	uint64_t sum;                   /* of everything                        */
	size_t num_pages, rest;
	const unsigned char *from, *to; /* where what is fed is                 */
	size_t elsewhere;               /* pages whose data is not there        */
	bool ram_done;
	uint64_t pos;                   /* with ram_done: where the RAM ends    */
};

static inline void report_add(struct report *r, uint64_t v)
{
	r->sum = (r->sum ^ v) * 0x100000001b3;
}

static inline void report_add_bytes(struct report *r, const void *buf, size_t len)
{
	const unsigned char *p = buf;

	for (size_t i = 0; i < len; i++)
		report_add(r, p[i]);
}

static inline struct gdump_error *report_blocks(void *arg, const struct migration *m)
{
	for (size_t i = 0; i < m->num_blocks; i++) {
		report_add_bytes(arg, m->blocks[i].name, strlen(m->blocks[i].name));
		report_add(arg, m->blocks[i].size);
		report_add(arg, m->blocks[i].pages_off);
	}
	return NULL;
}

static inline struct gdump_error *report_page(void *arg, const struct migration_page *page)
{
	struct report *r = arg;

	report_add(r, page->block);
	report_add(r, page->off);
	report_add(r, page->pos);
	report_add(r, page->kind);
	report_add_bytes(r, page->data, page->len);
	r->elsewhere += page->len && (page->data < r->from || page->data >= r->to);
	r->num_pages++;
	return NULL;
}

static inline struct gdump_error *report_device(void *arg, uint64_t pos, uint64_t len)
{
	report_add(arg, pos);
	report_add(arg, len);
	return NULL;
}

static inline struct gdump_error *report_rest(void *arg, const unsigned char *buf, size_t len)
{
	struct report *r = arg;

	report_add_bytes(r, buf, len);
	r->rest += len;
	return NULL;
}

/* Feed the stream in pieces of @step bytes, each in memory of its own, so that a sanitizer sees
 * its end; what is not needed is skipped if @skips.  The error becomes part of the report.
 */
static inline struct report stream_feed(const unsigned char *p, size_t size, size_t step, bool skips)
{
	struct report r = { 0 };
	const struct migration_events events = {
		report_blocks, report_page, report_device, report_rest, &r,
	};
	struct migration m;
	struct gdump_error *err = migration_init(&m, 0, &events);
	const char *message;
	size_t at = 0;

	while (!err && at < size) {
		const size_t len = step < size - at ? step : size - at;
		unsigned char *piece = malloc(len);

		memcpy(piece, p + at, len);
		r.from = piece;
		r.to = piece + len;
		err = migration_feed(&m, piece, len);
		free(piece);
		at += len;
		if (skips)
			at += (size_t)migration_skip(&m);
	}
	if (!err && !m.ram_done)
		err = migration_end(&m);
	message = err ? gdump_error_message(err) : "";
	report_add_bytes(&r, message, strlen(message));
	r.ram_done = m.ram_done;
	r.pos = m.ram_done ? migration_pos(&m) : 0;
	report_add(&r, r.ram_done);
	report_add(&r, r.pos);
	gdump_error_destroy(err);
	migration_deinit(&m);
	return r;
}
