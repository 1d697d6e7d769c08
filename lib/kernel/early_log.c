/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * early_log.c - the log of a kernel that has no VMCOREINFO yet
 *
 * Theory of operation.  The ring of texts (see printk.c) begins with the kernel's banner.  Each
 * text follows the number of its record, a word of the CPU, and is padded to whole words; the
 * numbers ascend by one, or by more where a record has no text.  So the texts can be read from
 * the banner on, without their sizes.  Elsewhere in memory the banner does not follow a number,
 * or no next number follows it.
 *
 * Time, level and the exact length of a text are in an array of infos somewhere else.  It is found
 * by its first three entries: their sequence numbers, and the lengths, which are known to a few
 * bytes: the kernel leaves some at the end of a text when it removes a level at its start.
 */
#include "early_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "identify.h"
#include "search.h"

enum {
	MAX_LOG = 4 << 20,
	MAX_TEXT = 2048,
	MAX_EMPTY = 16,                 /* records without text in a row        */
	MIN_RECORDS = 3,
	MAX_REST = 8,                   /* bytes that remain after a text       */
	MAX_TRIES = 64,                 /* banners that are no records          */
	/* struct printk_info: the same on all CPUs */
	INFO_SEQ = 0, INFO_TIME = 8, INFO_LEN = 16, INFO_FACILITY = 18, INFO_LEVEL = 19,
	INFO_CALLER = 20, INFO_USED = 24,
};

/* Its size: since 5.10, and since 6.19 with CONFIG_PRINTK_EXECUTION_CTX */
static const size_t info_sizes[] = { 88, 112 };

struct early_text {
	uint64_t seq;
	size_t off, len;                /* in the log                           */
};

struct early_log {
	struct source *source;
	unsigned char *buf;             /* of MAX_LOG                           */
	size_t len;
	struct early_text *texts;
	size_t num_texts;
	unsigned int tries;
	uint64_t infos;                 /* paddr; if info_size is not 0         */
	size_t info_size;
};

static uint64_t early_get(const struct early_log *l, const unsigned char *p, size_t size)
{
	struct cursor c = cursor_init(p, size, l->source->image.big, true);

	return get_uint(&c, (unsigned int)size);
}

static struct gdump_error *early_add_text(struct early_log *l, uint64_t seq, size_t off, size_t end)
{
	while (end > off && !l->buf[end - 1])
		end--;
	if (!ARRAY_GROW(l->texts, l->num_texts))
		return error_nomem();
	l->texts[l->num_texts++] = (struct early_text){ seq, off, end - off };
	return NULL;
}

/* Where the next record begins, after the text at @off; 0: there is none.  @number: that of this
 * record, then of the next one.
 */
static size_t early_next(const struct early_log *l, size_t off, size_t word, uint64_t *number)
{
	const size_t end = MIN(l->len, off + MAX_TEXT);

	for (size_t at = round_up(off + 1, word); at + word < end; at += word) {
		const uint64_t next = early_get(l, l->buf + at, word);

		if (next - *number - 1 < MAX_EMPTY) {
			*number = next;
			return at;
		}
	}
	return 0;
}

/* Read the texts from the start of ->buf on. */
static struct gdump_error *early_split(struct early_log *l, size_t word)
{
	const uint64_t first = early_get(l, l->buf, word);
	struct gdump_error *err = NULL;
	uint64_t number = first, this = first;
	size_t off = word, next;

	l->num_texts = 0;
	while (!err && (next = early_next(l, off, word, &number))) {
		err = early_add_text(l, this - first, off, next);
		this = number;
		off = next + word;
	}
	/* the last one ends with padding */
	next = off + strnlen((char *)l->buf + off, MIN(l->len - off, MAX_TEXT));
	return err || !l->num_texts ? err : early_add_text(l, this - first, off, next);
}

/* Try the words before a banner as the number of its record. */
static struct gdump_error *early_try(struct early_log *l, uint64_t paddr)
{
	static const size_t words[] = { 8, 4 };
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && l->num_texts < MIN_RECORDS && i < ARRAY_SIZE(words); i++) {
		const uint64_t start = paddr - words[i];
		const struct gdump_range *r = image_range_at(&l->source->image, start);

		if (start % words[i] || !r)
			continue;
		l->len = (size_t)MIN(r->size - (start - r->start), MAX_LOG);
		err = source_read(l->source, start, l->buf, l->len);
		if (!err)
			err = early_split(l, words[i]);
	}
	return err;
}

static bool early_find_texts(void *arg, const struct search_piece *piece)
{
	struct early_log *l = arg;

	for (size_t at = 0; (at = search_text(piece, at, "Linux version ")) < piece->len; at++) {
		CLEANUP_ERROR struct gdump_error *err = NULL;

		if (!linux_banner_len(piece->data + at, piece->len - at))
			continue;
		err = early_try(l, piece->paddr + at);
		if (l->num_texts >= MIN_RECORDS || ++l->tries == MAX_TRIES)
			return true;
	}
	return false;
}

/* Whether an info at @p can be that of a text */
static bool early_is_info(const struct early_log *l, const unsigned char *p,
			  const struct early_text *t)
{
	const uint64_t len = early_get(l, p + INFO_LEN, 2);

	return len <= t->len && t->len - len <= MAX_REST && early_get(l, p + INFO_SEQ, 8) == t->seq;
}

/* Whether the infos of the first texts are at @p, when an info has @size bytes */
static bool early_are_infos(const struct early_log *l, const unsigned char *p, size_t len, size_t size)
{
	for (size_t i = 0; i < MIN_RECORDS; i++) {
		const struct early_text *t = &l->texts[i];
		const size_t off = (size_t)t->seq * size;

		if (off + INFO_USED > len || !early_is_info(l, p + off, t))
			return false;
	}
	return true;
}

static bool early_find_infos(void *arg, const struct search_piece *piece)
{
	struct early_log *l = arg;

	for (size_t at = 0; at < piece->own && at + INFO_USED <= piece->len; at += 4) {
		const unsigned char *p = piece->data + at;

		if (!early_is_info(l, p, &l->texts[0]))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(info_sizes); i++) {
			if (!early_are_infos(l, p, piece->len - at, info_sizes[i]))
				continue;
			l->infos = piece->paddr + at;
			l->info_size = info_sizes[i];
			return true;
		}
	}
	return false;
}

static void early_report(struct early_log *l, const struct early_text *t, gdump_log_fn *fn, void *arg)
{
	CLEANUP_ERROR struct gdump_error *err = NULL;
	struct gdump_log_record record = {
		.seq = t->seq, .level = 6, .text = (char *)l->buf + t->off, .len = t->len,
	};
	unsigned char info[INFO_USED];

	if (l->info_size)
		err = source_read(l->source, l->infos + t->seq * l->info_size, info, sizeof(info));
	if (l->info_size && !err && early_is_info(l, info, t)) {
		record.time_ns = early_get(l, info + INFO_TIME, 8);
		record.len = (size_t)early_get(l, info + INFO_LEN, 2);
		record.facility = info[INFO_FACILITY];
		/* bit fields: flags 5, level 3, in the guest's order */
		record.level = info[INFO_LEVEL] >> (l->source->image.big ? 0 : 5) & 7;
		record.caller = (uint32_t)early_get(l, info + INFO_CALLER, 4);
	}
	fn(arg, &record);
}

/* Find the texts.  Before the first banner of Linux there are none. */
static struct gdump_error *early_search(struct early_log *l, struct gdump_system *found)
{
	struct gdump_error *err = identify_system(l->source, found);

	if (!err && found->release[0])
		err = search_memory_from(l->source, found->paddr, early_find_texts, l);
	if (!err && l->num_texts < MIN_RECORDS)
		err = error_new(GDUMP_ERR_UNSUPPORTED,
				"a search of memory has not found the log of a Linux kernel that is "
				"booting");
	return err;
}

struct gdump_error *early_log_read(struct source *s, struct gdump_system *found, gdump_log_fn *fn,
				   void *arg)
{
	struct early_log l = { .source = s, .buf = malloc(MAX_LOG) };
	struct gdump_error *err = l.buf ? early_search(&l, found) : error_nomem();

	if (!err)
		err = search_memory(s, early_find_infos, &l);
	for (size_t i = 0; !err && i < l.num_texts; i++)
		early_report(&l, &l.texts[i], fn, arg);
	free(l.texts);
	free(l.buf);
	return err;
}
