/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/feed.c - pieces of a migration stream in, elements out
 *
 * Theory of operation.  Elements are parsed where the caller has them.  Only when the end of
 * what was fed cuts through one, its start is carried over; the next call adds just
 * the bytes that it needs, and goes on in the caller's buffer after them.
 */
#include "take.h"

#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

struct gdump_error *migration_init(struct migration *m, uint64_t pos,
				   const struct migration_events *events)
{
	*m = (struct migration){
		.page_size = 4096, .events = events, .next = stream_next_magic, .pos = pos,
		.block = UINT32_MAX, .carry = malloc(ELEMENT_MAX),
	};
	return m->carry ? NULL : error_nomem();
}

void migration_deinit(struct migration *m)
{
	free(m->carry);
	free(m->blocks);
	free(m->order);
	*m = (struct migration){ 0 };
}

uint64_t migration_pos(const struct migration *m)
{
	return m->pos + m->used;
}

/* Parse the element at @p: it has *@used bytes, or none, and m->need more than @len. */
static struct gdump_error *feed_parse(struct migration *m, const unsigned char *p, size_t len,
				      size_t *used)
{
	struct gdump_error *err;

	m->p = p;
	m->len = len;
	m->used = m->need = 0;
	err = m->next(m);
	if (!err && m->need > ELEMENT_MAX)
		err = stream_corrupt(m, "an element is longer than any can be");
	if (err)
		return err;
	*used = 0;
	if (m->need)
		return NULL;
	*used = m->used;
	m->pos += m->used;
	m->used = 0;
	return NULL;
}

/* Parse what was carried over and, where it is short, some of [*@p, @end). */
static struct gdump_error *feed_carry(struct migration *m, const unsigned char **p,
				      const unsigned char *end)
{
	const size_t want = m->need > m->num_carried ? m->need - m->num_carried : 0;
	const size_t n = MIN(want, (size_t)(end - *p));
	struct gdump_error *err;
	size_t used, left;

	memcpy(m->carry + m->num_carried, *p, n);
	m->num_carried += n;
	*p += n;
	if (n < want)
		return NULL;
	err = feed_parse(m, m->carry, m->num_carried, &used);
	if (err || m->need)
		return err;
	left = m->num_carried - used;
	if (left <= n) {                /* those are in the caller's buffer, too */
		*p -= left;
		left = 0;
	}
	memmove(m->carry, m->carry + used, left);
	m->num_carried = left;
	return NULL;
}

/* Parse elements in [*@p, @end), and carry over what does not make one. */
static struct gdump_error *feed_direct(struct migration *m, const unsigned char **p,
				       const unsigned char *end)
{
	struct gdump_error *err;
	size_t used;

	do {
		err = feed_parse(m, *p, (size_t)(end - *p), &used);
		if (err)
			return err;
		*p += used;
	} while (!m->need && !m->ram_done && !m->skip);
	if (m->need) {
		m->num_carried = (size_t)(end - *p);
		memcpy(m->carry, *p, m->num_carried);
		*p = end;
	}
	return NULL;
}

uint64_t migration_skip(struct migration *m)
{
	const uint64_t skip = m->skip;

	m->pos += skip;
	m->skip = 0;
	return skip;
}

/* Nothing is parsed any more. */
static void feed_over(struct migration *m)
{
	free(m->carry);
	m->carry = NULL;
	m->num_carried = 0;
}

static struct gdump_error *feed_rest(struct migration *m, const unsigned char *p, size_t len)
{
	const struct migration_events *events = m->events;
	struct gdump_error *err = NULL;

	if (events->rest && m->num_carried)
		err = events->rest(events->arg, m->carry, m->num_carried);
	if (!err && events->rest && len)
		err = events->rest(events->arg, p, len);
	feed_over(m);
	return err;
}

struct gdump_error *migration_feed(struct migration *m, const void *buf, size_t len)
{
	const unsigned char *p = buf, *end = p + len;
	struct gdump_error *err = NULL;

	while (!err && !m->ram_done && (p < end || m->num_carried > m->need)) {
		const size_t n = (size_t)MIN(m->skip, (uint64_t)(end - p));

		if (n) {
			m->skip -= n;
			m->pos += n;
			p += n;
		} else if (m->num_carried) {
			err = feed_carry(m, &p, end);
		} else {
			err = feed_direct(m, &p, end);
		}
	}
	return err || !m->ram_done ? err : feed_rest(m, p, (size_t)(end - p));
}

struct gdump_error *migration_end(struct migration *m)
{
	const unsigned char *p = m->carry, *end = p + m->num_carried;
	struct gdump_error *err = NULL;
	size_t used = 0;

	m->at_end = true;
	m->need = 0;
	for (; !err && !m->need && !m->ram_done; p += used) {
		migration_skip(m);
		err = feed_parse(m, p, (size_t)(end - p), &used);
	}
	m->num_carried = 0;
	if (!err && m->ram_done)
		return feed_rest(m, p, (size_t)(end - p));
	feed_over(m);
	if (!err && !m->blocks_seen)
		err = stream_corrupt(m, "the stream ends here, in the middle of a section");
	return err;
}
