/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/qcow2_proof.c - nothing else is where the state of a snapshot is
 *
 * Theory of operation.  A damaged entry of a table leads to a wrong place of the file, and what is
 * there looks like memory as well.  But a qcow2 image counts how often each of its clusters is
 * used, and all other tables say what they use.  So the state's clusters must be in use, and
 * neither the disk, nor another snapshot, nor the image's own tables may be in them.
 *
 * QEMU before 1.7 also leaves the state in the tables of the disk as it is now.  Then the count is
 * two or more, and an entry for an offset past the end of the disk is no contradiction.
 *
 * Damage of others' tables is not looked for: only the disk depends on it.
 */
#include "qcow2.h"

#include <inttypes.h>
#include <stdlib.h>

#include "../util/be.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	L1_CHUNK = 512,                 /* entries that are read at once        */
	MAX_L1_ENTRIES = 1 << 26,       /* of all snapshots                     */
};

struct proof {
	const struct qcow2_map *map;
	const struct qcow2 *q;
	struct bytes *in;
	uint64_t *seen;                 /* L2 tables, by cluster: a bit each    */
	unsigned char *table;           /* room for an L2 table                 */
	unsigned char *counts;          /* a block of refcounts:                */
	uint64_t counts_at;             /* which one; UINT64_MAX: none          */
	uint64_t num_entries;           /* of L1 tables so far                  */
};

/* How many refcounts a block has */
static uint64_t proof_block_len(const struct qcow2 *q)
{
	return qcow2_cluster_size(q) * 8 / q->refcount_bits;
}

/* Load block number @i of the refcounts.  False: there is none. */
static struct gdump_error *proof_load_counts(struct proof *p, uint64_t i, bool *ret)
{
	const uint64_t size = qcow2_cluster_size(p->q);
	unsigned char entry[8];
	struct gdump_error *err;
	uint64_t off;

	*ret = p->counts_at == i;
	if (*ret || i >= p->q->num_refcount_clusters * (size / 8))
		return NULL;
	err = bytes_read(p->in, p->q->refcount_off + i * 8, entry, 8);
	if (err)
		return err;
	off = load_be64(entry) & ~(uint64_t)0x1ff;
	if (!off)
		return NULL;
	p->counts_at = UINT64_MAX;
	err = bytes_read(p->in, off, p->counts, (size_t)size);
	if (err)
		return error_prefix(err, "block %" PRIu64 " of refcounts", i);
	p->counts_at = i;
	*ret = true;
	return NULL;
}

/* Entry @i of a block: fewer than 8 bits are in a byte from its low end on */
static uint64_t proof_count_in(const struct qcow2 *q, const unsigned char *block, uint64_t i)
{
	const unsigned int bits = q->refcount_bits;
	const unsigned char *p = block + i * bits / 8;
	uint64_t count = 0;

	if (bits < 8)
		return *p >> i * bits % 8 & ((1u << bits) - 1);
	for (unsigned int k = 0; k < bits / 8; k++)
		count = count << 8 | p[k];
	return count;
}

/* How often a cluster is used */
static struct gdump_error *proof_count(struct proof *p, uint64_t cluster, uint64_t *ret)
{
	const uint64_t len = proof_block_len(p->q);
	struct gdump_error *err;
	bool there;

	err = proof_load_counts(p, cluster / len, &there);
	*ret = !err && there ? proof_count_in(p->q, p->counts, cluster % len) : 0;
	return err;
}

/* Something else is at [off, off + len).  @is_state: it is the state of this snapshot or another one */
static struct gdump_error *proof_touch(struct proof *p, uint64_t off, uint64_t len, bool is_state)
{
	const unsigned int bits = p->q->cluster_bits;
	struct gdump_error *err = NULL;
	uint64_t count;

	if (!len || off >= p->in->size)
		return NULL;
	len = MIN(len, p->in->size - off);
	for (uint64_t i = off >> bits; !err && i <= (off + len - 1) >> bits; i++) {
		if (!bit_test(p->map->mine, i))
			continue;
		err = proof_count(p, i, &count);
		if (!err && !(is_state && count >= 2))
			err = error_new(GDUMP_ERR_CORRUPT,
					"the qcow2 image is damaged: something else is where the guest's state is, at 0x%" PRIx64,
					i << bits);
	}
	return err;
}

static struct gdump_error *proof_check_counts(struct proof *p)
{
	struct gdump_error *err = NULL;
	uint64_t count;

	for (uint64_t i = 0; !err && i < p->map->num_clusters; i++) {
		if (!p->map->mine[i / 64])
			i |= 63;        /* none of these */
		else if (bit_test(p->map->mine, i)) {
			err = proof_count(p, i, &count);
			if (!err && !count)
				err = error_new(GDUMP_ERR_CORRUPT,
						"the qcow2 image is damaged: the guest's state is at 0x%" PRIx64 ", which is not in use",
						i << p->q->cluster_bits);
		}
	}
	return err;
}

static struct gdump_error *proof_touch_entry(struct proof *p, uint64_t entry, bool is_state)
{
	const unsigned int size_bits = p->q->cluster_bits - 8;
	const uint64_t mask = ((uint64_t)1 << (QCOW2_COMPRESSED_BIT - size_bits)) - 1;

	if (!(entry >> QCOW2_COMPRESSED_BIT & 1))
		return proof_touch(p, qcow2_entry_off(entry),
				   qcow2_entry_off(entry) ? qcow2_cluster_size(p->q) : 0, is_state);
	/* its length is at most that of an uncompressed one */
	return proof_touch(p, entry & mask, 1, is_state);
}

static struct gdump_error *proof_touch_table(struct proof *p, uint64_t off, bool is_state)
{
	const uint64_t size = qcow2_cluster_size(p->q);
	struct gdump_error *err;

	if (!off || !range_fits(off, size, p->in->size) || bit_test(p->seen, off >> p->q->cluster_bits))
		return NULL;
	bit_set(p->seen, off >> p->q->cluster_bits);
	err = proof_touch(p, off, size, is_state);
	if (!err)
		err = bytes_read(p->in, off, p->table, (size_t)size);
	for (uint64_t i = 0; !err && i < size; i += p->q->entry_size)
		err = proof_touch_entry(p, load_be64(p->table + i), is_state);
	return err;
}

/* All that an L1 table uses, but not the table itself, and not what [own, end) of it leads to */
static struct gdump_error *proof_touch_tables(struct proof *p, uint64_t l1_off, uint64_t num,
					      uint64_t disk_size, uint64_t own, uint64_t end)
{
	const uint64_t first_state = div_up(disk_size, qcow2_table_span(p->q));
	unsigned char l1[L1_CHUNK * 8];
	struct gdump_error *err = NULL;

	p->num_entries += num;
	if (p->num_entries > MAX_L1_ENTRIES)
		return error_new(GDUMP_ERR_CORRUPT, "the snapshots of the qcow2 image have too large tables");
	if (!range_fits(l1_off, num * 8, p->in->size))
		return NULL;
	for (uint64_t i = 0; !err && i < num; i++) {
		if (i % L1_CHUNK == 0)
			err = bytes_read(p->in, l1_off + i * 8, l1,
					 (size_t)MIN(num - i, (uint64_t)L1_CHUNK) * 8);
		if (!err && (i < own || i >= end))
			err = proof_touch_table(p, qcow2_entry_off(load_be64(l1 + i % L1_CHUNK * 8)),
						i >= first_state);
	}
	return err;
}

/* The header, the list of snapshots, and the refcounts themselves */
static struct gdump_error *proof_touch_image(struct proof *p)
{
	const struct qcow2 *q = p->q;
	const uint64_t size = qcow2_cluster_size(q);
	struct gdump_error *err = proof_touch(p, 0, size, false);

	if (!err)
		err = proof_touch(p, q->snapshots_off, q->snapshots_end - q->snapshots_off, false);
	if (!err)
		err = proof_touch(p, q->refcount_off, q->num_refcount_clusters * size, false);
	for (uint64_t i = 0; !err && i < q->num_refcount_clusters; i++) {
		err = bytes_read(p->in, q->refcount_off + i * size, p->table, (size_t)size);
		for (uint64_t k = 0; !err && k < size; k += 8)
			err = proof_touch(p, load_be64(p->table + k) & ~(uint64_t)0x1ff,
					  load_be64(p->table + k) ? size : 0, false);
	}
	return err;
}

static struct gdump_error *proof_touch_others(struct proof *p, const struct qcow2_snapshot *own)
{
	const struct qcow2 *q = p->q;
	const uint64_t span = qcow2_table_span(q), first = p->map->base / span;
	struct gdump_error *err = proof_touch(p, q->l1_off, (uint64_t)q->num_l1 * 8, false);

	if (!err)
		err = proof_touch_tables(p, q->l1_off, q->num_l1, q->size, 0, 0);
	for (size_t i = 0; !err && i < q->num_snapshots; i++) {
		const struct qcow2_snapshot *s = &q->snapshots[i];
		const uint64_t end = s == own ? first + div_up(p->map->size, span) : 0;

		if (s != own)
			err = proof_touch(p, s->l1_off, (uint64_t)s->num_l1 * 8, false);
		if (!err)
			err = proof_touch_tables(p, s->l1_off, s->num_l1, s->disk_size,
						 s == own ? first : 0, end);
	}
	return err;
}

struct gdump_error *qcow2_prove(const struct qcow2_map *map, const struct qcow2_snapshot *s)
{
	const size_t size = (size_t)qcow2_cluster_size(map->q);
	CLEANUP_FREE uint64_t *seen = calloc((size_t)div_up(map->num_clusters, 64), 8);
	CLEANUP_FREE unsigned char *buf = malloc(2 * size);
	struct proof p = {
		.map = map, .q = map->q, .in = map->q->in, .seen = seen, .table = buf,
		.counts_at = UINT64_MAX,
	};
	struct gdump_error *err = NULL;

	if (!seen || !buf)
		return error_nomem();
	p.counts = buf + size;
	/* of a dirty image the counts may be too low */
	if (!map->q->is_dirty)
		err = proof_check_counts(&p);
	if (!err)
		err = proof_touch_image(&p);
	return err ? err : proof_touch_others(&p, s);
}
