/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migration/take.c - bytes of a migration stream, in order
 */
#include "take.h"

#include <inttypes.h>
#include <string.h>

#include "../util/bits.h"

uint64_t migration_pos(const struct migration *m)
{
	return m->base + m->head;
}

const unsigned char *migration_ahead(const struct migration *m, size_t *len)
{
	*len = m->tail - m->head;
	return m->buf + m->head;
}

struct gdump_error *stream_corrupt(const struct migration *m, const char *fmt, const char *what)
{
	struct gdump_error *err = error_new(GDUMP_ERR_CORRUPT, fmt, what);

	return error_prefix(err, "migration stream at offset %" PRIu64, migration_pos(m));
}

struct gdump_error *stream_unsupported(const struct migration *m, const char *why)
{
	return error_prefix(error_new(GDUMP_ERR_UNSUPPORTED, "%s", why),
			    "migration stream at offset %" PRIu64, migration_pos(m));
}

struct gdump_error *stream_fill(struct migration *m, size_t n)
{
	struct gdump_error *err = NULL;
	size_t got = 1;

	if (m->tail - m->head >= n)
		return NULL;
	memmove(m->buf, m->buf + m->head, m->tail - m->head);
	m->base += m->head;
	m->tail -= m->head;
	m->head = 0;
	while (!err && got && m->tail < n) {
		err = m->reader->read(m->reader, m->buf + m->tail, STREAM_BUF_SIZE - m->tail, &got);
		if (!err)
			m->tail += got;
	}
	return err;
}

struct gdump_error *stream_take(struct migration *m, size_t n, const unsigned char **ret)
{
	struct gdump_error *err = stream_fill(m, n);

	if (err)
		return err;
	*ret = m->buf + m->head;
	if (m->tail - m->head < n) {
		m->ended = true;
		return stream_corrupt(m, "%s", "the file ends here, in the middle");
	}
	m->head += n;
	return NULL;
}

struct gdump_error *stream_take_u8(struct migration *m, uint8_t *ret)
{
	const unsigned char *p;
	struct gdump_error *err = stream_take(m, 1, &p);

	if (!err)
		*ret = *p;
	return err;
}

struct gdump_error *stream_take_u32(struct migration *m, uint32_t *ret)
{
	const unsigned char *p;
	struct gdump_error *err = stream_take(m, 4, &p);

	if (!err)
		*ret = load_be32(p);
	return err;
}

struct gdump_error *stream_take_u64(struct migration *m, uint64_t *ret)
{
	const unsigned char *p;
	struct gdump_error *err = stream_take(m, 8, &p);

	if (!err)
		*ret = load_be64(p);
	return err;
}

bool stream_is_name(const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] < ' ' || p[i] > '~')
			return false;
	}
	return len > 0;
}

struct gdump_error *stream_take_name(struct migration *m, char *name)
{
	struct gdump_error *err;
	const unsigned char *p;
	uint8_t len = 0;

	err = stream_take_u8(m, &len);
	if (!err)
		err = stream_take(m, len, &p);
	if (err)
		return err;
	if (!stream_is_name(p, len))
		return stream_corrupt(m, "%s", "a name was expected in front of this place");
	memcpy(name, p, len);
	name[len] = 0;
	return NULL;
}

/* Footers ----------------------------------------------------------------- */

/* Whether a section may begin with these bytes, of which there are at least
 * LOOK_AHEAD unless the stream ends before.
 */
static bool is_section(const unsigned char *p, size_t len)
{
	if (!len)
		return true;
	switch (p[0]) {
	case SECTION_EOF:
		return len < 2 || p[1] == SECTION_DESCRIPTION;
	case SECTION_START: case SECTION_FULL:
		return len >= 8 && p[5] && stream_is_name(p + 6, MIN((size_t)p[5], len - 6));
	case SECTION_PART: case SECTION_END:
		return len >= 5 && !p[1] && !p[2];
	case SECTION_COMMAND:
		return len >= 5 && !p[1];
	default:
		return false;
	}
}

size_t migration_find_footer(const unsigned char *buf, size_t len, uint32_t id, bool at_end)
{
	const unsigned char want[4] = {
		(unsigned char)(id >> 24), (unsigned char)(id >> 16),
		(unsigned char)(id >> 8), (unsigned char)id,
	};
	const unsigned char *end = buf + len, *p = buf;

	while ((p = memchr(p, SECTION_FOOTER, (size_t)(end - p)))) {
		const size_t left = (size_t)(end - p);

		if (left < SECTION_FOOTER_SIZE + (at_end ? 0 : LOOK_AHEAD))
			break;
		if (!memcmp(p + 1, want, sizeof(want)) &&
		    is_section(p + SECTION_FOOTER_SIZE, left - SECTION_FOOTER_SIZE))
			return (size_t)(p - buf);
		p++;
	}
	return len;
}
