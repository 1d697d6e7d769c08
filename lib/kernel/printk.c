/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * printk.c - the guest kernel's log
 *
 * Since Linux 5.10 (kernel/printk/printk_ringbuffer.c) the log has three rings: descriptors,
 * each with the state and number of a record and the position of its text; infos (time,
 * level, caller) in the same order; and the bytes of all texts.  From 3.5 to 5.9, records
 * follow each other in one buffer.
 *
 * Guest memory may contain anything: all sizes are bounded before memory is allocated, the
 * rings are read as a whole, and a record that breaks the rules of the ring is skipped.
 */
#include "printk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "../machine/walker.h"
#include "../machine/vmcoreinfo.h"

enum {
	MAX_COUNT_BITS = 24,
	MAX_SIZE_BITS = 30,
	MAX_STRUCT = 4096,
	STATE_COMMITTED = 1,
	STATE_FINALIZED = 2,
};

/* room for 2^24 records with infos of 112 bytes each, as in 7.x */
static const uint64_t max_area = (uint64_t)2 << 30;

/* What all readers need */
struct log {
	struct walker walker;
	const struct image *image;
	bool big, is64;
	gdump_log_fn *fn;
	void *arg;
	const char *missing;            /* the first key that VMCOREINFO lacks  */
};

static uint64_t printk_get(const struct log *l, const unsigned char *p, unsigned int size)
{
	struct cursor c = cursor_init(p, size, l->big, l->is64);

	return get_uint(&c, size);
}

static unsigned int printk_word(const struct log *l)
{
	return l->is64 ? 8 : 4;
}

/* A number that VMCOREINFO must have, below @limit; if not, it is noted in ->missing. */
static uint64_t printk_need(struct log *l, const char *key, uint64_t limit)
{
	uint64_t v = 0;

	if ((!vmcoreinfo_decimal(l->image, key, &v) || v >= limit) && !l->missing)
		l->missing = key;
	return v;
}

static struct gdump_error *printk_check_missing(const struct log *l)
{
	return l->missing ? error_new(GDUMP_ERR_UNSUPPORTED,
				      "cannot find the log: VMCOREINFO lacks %s, or its value is "
				      "not plausible",
				      l->missing) : NULL;
}

static struct gdump_error *printk_read_area(struct log *l, uint64_t vaddr, size_t size,
					    unsigned char **ret)
{
	if (size > max_area)
		return error_new(GDUMP_ERR_CORRUPT, "the log claims %zu bytes", size);
	return error_prefix(walker_read_new(&l->walker, vaddr, size, ret), "the log");
}

/* An integer in the guest's memory */
static struct gdump_error *printk_read_uint(struct log *l, uint64_t vaddr, unsigned int size,
					    uint64_t *ret)
{
	return error_prefix(walker_uint(&l->walker, vaddr, size, ret), "the log");
}

/* The ring buffer of 5.10 and newer ---------------------------------------- */

struct ring {
	uint64_t count_bits, descs_at, infos_at, head, tail;
	uint64_t size_bits, text_at;
	/* struct sizes and offsets */
	uint64_t desc_size, desc_state, desc_lpos, lpos_begin, lpos_next;
	uint64_t info_size, info_seq, info_time, info_len, info_caller;
	unsigned char *descs, *infos, *text;
};

static void ring_deinit(struct ring *r)
{
	free(r->descs);
	free(r->infos);
	free(r->text);
}

static void ring_layout(struct log *l, struct ring *r)
{
	r->desc_size = printk_need(l, "SIZE(prb_desc)", MAX_STRUCT);
	r->desc_state = printk_need(l, "OFFSET(prb_desc.state_var)", MAX_STRUCT) +
			printk_need(l, "OFFSET(atomic_long_t.counter)", MAX_STRUCT);
	r->desc_lpos = printk_need(l, "OFFSET(prb_desc.text_blk_lpos)", MAX_STRUCT);
	r->lpos_begin = printk_need(l, "OFFSET(prb_data_blk_lpos.begin)", MAX_STRUCT);
	r->lpos_next = printk_need(l, "OFFSET(prb_data_blk_lpos.next)", MAX_STRUCT);
	r->info_size = printk_need(l, "SIZE(printk_info)", MAX_STRUCT);
	r->info_seq = printk_need(l, "OFFSET(printk_info.seq)", MAX_STRUCT);
	r->info_time = printk_need(l, "OFFSET(printk_info.ts_nsec)", MAX_STRUCT);
	r->info_len = printk_need(l, "OFFSET(printk_info.text_len)", MAX_STRUCT);
	r->info_caller = printk_need(l, "OFFSET(printk_info.caller_id)", MAX_STRUCT);
	if (!l->missing && (r->desc_state + 8 > r->desc_size ||
			    r->desc_lpos + MAX(r->lpos_begin, r->lpos_next) + 8 > r->desc_size))
		l->missing = "SIZE(prb_desc)";
	if (!l->missing && (MAX(MAX(r->info_seq, r->info_time), MAX(r->info_len, r->info_caller)) +
			    8 > r->info_size))
		l->missing = "SIZE(printk_info)";
}

/* Read the structs that describe the rings. */
static struct gdump_error *ring_find(struct log *l, uint64_t symbol, struct ring *r)
{
	const uint64_t counter = printk_need(l, "OFFSET(atomic_long_t.counter)", MAX_STRUCT);
	const uint64_t desc_ring =
		printk_need(l, "OFFSET(printk_ringbuffer.desc_ring)", MAX_STRUCT);
	const uint64_t text_ring =
		printk_need(l, "OFFSET(printk_ringbuffer.text_data_ring)", MAX_STRUCT);
	const struct {
		uint64_t base;
		const char *key;
		uint64_t more;
		unsigned int size;
		uint64_t *ret;
	} fields[] = {
		{ desc_ring, "OFFSET(prb_desc_ring.count_bits)", 0, 4, &r->count_bits },
		{ desc_ring, "OFFSET(prb_desc_ring.descs)", 0, printk_word(l), &r->descs_at },
		{ desc_ring, "OFFSET(prb_desc_ring.infos)", 0, printk_word(l), &r->infos_at },
		{ desc_ring, "OFFSET(prb_desc_ring.head_id)", counter, printk_word(l), &r->head },
		{ desc_ring, "OFFSET(prb_desc_ring.tail_id)", counter, printk_word(l), &r->tail },
		{ text_ring, "OFFSET(prb_data_ring.size_bits)", 0, 4, &r->size_bits },
		{ text_ring, "OFFSET(prb_data_ring.data)", 0, printk_word(l), &r->text_at },
	};
	struct gdump_error *err;
	uint64_t rb = 0;

	err = printk_read_uint(l, symbol, printk_word(l), &rb);
	for (size_t i = 0; !err && i < ARRAY_SIZE(fields); i++) {
		uint64_t off = printk_need(l, fields[i].key, MAX_STRUCT);

		err = printk_read_uint(l, rb + fields[i].base + off + fields[i].more,
				       fields[i].size, fields[i].ret);
	}
	if (!err)
		err = printk_check_missing(l);
	if (!err && (r->count_bits > MAX_COUNT_BITS || r->size_bits > MAX_SIZE_BITS))
		err = error_new(GDUMP_ERR_CORRUPT,
				"the log claims 2^%" PRIu64 " records and 2^%" PRIu64 " bytes",
				r->count_bits,
				r->size_bits);
	return err;
}

static struct gdump_error *ring_read(struct log *l, struct ring *r)
{
	const size_t count = (size_t)1 << r->count_bits;
	struct gdump_error *err;

	err = printk_read_area(l, r->descs_at, count * (size_t)r->desc_size, &r->descs);
	if (!err)
		err = printk_read_area(l, r->infos_at, count * (size_t)r->info_size, &r->infos);
	if (!err)
		err = printk_read_area(l, r->text_at, (size_t)1 << r->size_bits, &r->text);
	return err;
}

/* The text of record @id, whose descriptor is @desc; NULL: it has none.  Positions grow
 * without limit; their low size_bits bits are the offset in the ring.
 */
static const unsigned char *ring_text(const struct log *l, const struct ring *r, uint64_t id,
				      const unsigned char *desc, uint64_t *len)
{
	const unsigned int w = printk_word(l);
	const uint64_t size = (uint64_t)1 << r->size_bits;
	const uint64_t begin = printk_get(l, desc + r->desc_lpos + r->lpos_begin, w);
	const uint64_t next = printk_get(l, desc + r->desc_lpos + r->lpos_next, w);
	uint64_t at = begin & (size - 1);

	if (begin & 1 && next & 1)
		return NULL;            /* lost, or empty */
	if (begin >> r->size_bits == (next - 1) >> r->size_bits) {
		*len = next - begin;
	} else if ((begin >> r->size_bits) + 1 == (next - 1) >> r->size_bits) {
		/* it did not fit at the end of the ring, so it is at the start */
		at = 0;
		*len = next & (size - 1);
	} else {
		return NULL;
	}
	if (*len < w || !range_fits(at, *len, size) || printk_get(l, r->text + at, w) != id)
		return NULL;
	*len -= w;
	return r->text + at + w;
}

static void ring_record(const struct log *l, const struct ring *r, uint64_t id, uint64_t id_mask)
{
	const uint64_t i = id & (((uint64_t)1 << r->count_bits) - 1);
	const unsigned char *desc = r->descs + i * r->desc_size;
	const unsigned char *info = r->infos + i * r->info_size;
	const uint64_t state = printk_get(l, desc + r->desc_state, printk_word(l));
	const unsigned int kind = (unsigned int)(state >> (8 * printk_word(l) - 2));
	struct gdump_log_record record;
	const unsigned char *text;
	uint64_t len;

	if ((state & id_mask) != id || (kind != STATE_COMMITTED && kind != STATE_FINALIZED))
		return;
	text = ring_text(l, r, id, desc, &len);
	if (!text)
		return;
	record = (struct gdump_log_record){
		.seq = printk_get(l, info + r->info_seq, 8),
		.time_ns = printk_get(l, info + r->info_time, 8),
		.caller = (uint32_t)printk_get(l, info + r->info_caller, 4),
		.facility = info[r->info_len + 2],
		/* bit fields: flags 5, level 3, in the guest's order */
		.level = info[r->info_len + 3] >> (l->big ? 0 : 5) & 7,
		.text = (const char *)text,
		.len = (size_t)MIN(printk_get(l, info + r->info_len, 2), len),
	};
	l->fn(l->arg, &record);
}

static struct gdump_error *ring_print(struct log *l, uint64_t symbol)
{
	const uint64_t id_mask = ~(uint64_t)0 >> (l->is64 ? 2 : 34);
	struct ring r = { 0 };
	struct gdump_error *err;

	ring_layout(l, &r);
	err = ring_find(l, symbol, &r);
	if (!err)
		err = ring_read(l, &r);
	for (uint64_t n = 0, id = r.tail & id_mask; !err && n >> r.count_bits == 0; n++) {
		ring_record(l, &r, id, id_mask);
		if (id == (r.head & id_mask))
			break;
		id = (id + 1) & id_mask;
	}
	ring_deinit(&r);
	return err;
}

/* The buffer of 3.5 to 5.9 -------------------------------------------------- */

struct old_log {
	uint64_t size, first, next;
	uint64_t header, time, len, text_len, caller;
	bool has_caller;                /* since 5.1, with CONFIG_PRINTK_CALLER */
};

static struct gdump_error *old_log_layout(struct log *l, struct old_log *o)
{
	static const char *const names[] = { "log_buf_len", "log_first_idx", "log_next_idx" };
	uint64_t *const ret[] = { &o->size, &o->first, &o->next };
	struct gdump_error *err = NULL;
	uint64_t vaddr;

	o->header = printk_need(l, "SIZE(printk_log)", MAX_STRUCT);
	o->time = printk_need(l, "OFFSET(printk_log.ts_nsec)", MAX_STRUCT);
	o->len = printk_need(l, "OFFSET(printk_log.len)", MAX_STRUCT);
	o->text_len = printk_need(l, "OFFSET(printk_log.text_len)", MAX_STRUCT);
	/* text_len is followed by the size of the dictionary, the facility, and flags and level */
	if (!l->missing && MAX(o->time + 8, MAX(o->len + 2, o->text_len + 6)) > o->header)
		l->missing = "SIZE(printk_log)";
	o->has_caller = vmcoreinfo_decimal(l->image, "OFFSET(printk_log.caller_id)", &o->caller) &&
			range_fits(o->caller, 4, o->header);
	for (size_t i = 0; !err && i < ARRAY_SIZE(names); i++) {
		if (!vmcoreinfo_symbol(l->image, names[i], &vaddr)) {
			l->missing = names[i];
			break;
		}
		err = printk_read_uint(l, vaddr, 4, ret[i]);
	}
	if (!err)
		err = printk_check_missing(l);
	if (!err && (o->size > (uint64_t)1 << MAX_SIZE_BITS || o->size < o->header))
		err = error_new(GDUMP_ERR_CORRUPT, "the log claims %" PRIu64 " bytes",
				o->size);
	return err;
}

static void old_log_record(const struct log *l, const struct old_log *o, const unsigned char *p,
			   uint64_t seq, uint64_t len)
{
	struct gdump_log_record record = {
		.seq = seq,
		.time_ns = printk_get(l, p + o->time, 8),
		.caller = o->has_caller ? (uint32_t)printk_get(l, p + o->caller, 4) : 0,
		.facility = p[o->text_len + 4],
		/* bit fields: flags 5, level 3, in the guest's order */
		.level = p[o->text_len + 5] >> (l->big ? 0 : 5) & 7,
		.text = (const char *)p + o->header,
		.len = (size_t)MIN(printk_get(l, p + o->text_len, 2), len - o->header),
	};

	l->fn(l->arg, &record);
}

static struct gdump_error *old_log_print(struct log *l, uint64_t symbol)
{
	CLEANUP_FREE unsigned char *buf = NULL;
	struct old_log o = { 0 };
	struct gdump_error *err = old_log_layout(l, &o);
	uint64_t vaddr = 0, at, seq;

	if (!err)
		err = printk_read_uint(l, symbol, printk_word(l), &vaddr);
	if (!err)
		err = printk_read_area(l, vaddr, (size_t)o.size, &buf);
	if (err)
		return err;
	at = o.first;
	for (seq = 0; at != o.next && seq <= o.size / o.header; seq++) {
		uint64_t len;

		if (!range_fits(at, o.header, o.size))
			break;
		len = printk_get(l, buf + at + o.len, 2);
		if (!len) {             /* the next record is at the start */
			if (!at)
				break;
			at = 0;
			continue;
		}
		if (len < o.header || !range_fits(at, len, o.size))
			break;
		old_log_record(l, &o, buf + at, seq, len);
		at += len;
	}
	return NULL;
}

struct gdump_error *printk_read(struct source *s, gdump_log_fn *fn, void *arg)
{
	struct log l = { .image = &s->image, .big = s->image.big, .is64 = s->image.is64,
			 .fn = fn, .arg = arg };
	struct gdump_error *err;
	struct paging paging;
	uint64_t symbol;

	err = paging_of_kernel(s, &paging);
	if (err)
		return error_prefix(err, "cannot find the log");
	walker_init(&l.walker, &paging, s);
	if (vmcoreinfo_symbol(&s->image, "prb", &symbol))
		err = ring_print(&l, symbol);
	else if (vmcoreinfo_symbol(&s->image, "log_buf", &symbol))
		err = old_log_print(&l, symbol);
	else
		err = error_new(GDUMP_ERR_UNSUPPORTED,
				"cannot find the log: VMCOREINFO has neither prb nor log_buf");
	walker_deinit(&l.walker);
	paging_deinit(&paging);
	return err;
}
