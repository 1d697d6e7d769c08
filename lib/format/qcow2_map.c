/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/qcow2_map.c - where in a qcow2 image the state of a snapshot is
 *
 * Theory of operation.  The state is stored as if it were on the disk, after its end: at the
 * first offset past it that a new L2 table covers.  The tables of the snapshot lead to its
 * clusters.  They are read once, and what is adjacent becomes one run: of a gigabyte, that is a few
 * hundred runs.
 *
 * QEMU writes the state from its first to its last byte, uncompressed.  So a cluster that is
 * missing, or marked as zero, was lost; and no two parts of the state may be at the same place.
 */
#include "qcow2.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/be.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	SUBCLUSTERS = 32,               /* of a cluster, if it has any          */
	MAX_RUNS = 1 << 24,
	L1_CHUNK = 512,                 /* entries that are read at once        */
};

/* Bits of entries that must be zero */
static const uint64_t l1_reserved = 0x7f000000000001ff, l2_reserved = 0x3f000000000001fe;
static const uint64_t zero_flag = 1, max_clusters = (uint64_t)1 << 33;

static struct gdump_error *map_claim(struct qcow2_map *map, uint64_t off, uint64_t len, uint64_t at)
{
	const unsigned int bits = map->q->cluster_bits;

	/* the last cluster of a file may be cut where its data ends */
	if (off & (qcow2_cluster_size(map->q) - 1) || off >= map->q->in->size)
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid place of the guest's state from 0x%" PRIx64 " on in the qcow2 image: 0x%" PRIx64,
				 at, off);
	for (uint64_t i = off >> bits; i < MIN((off + len - 1) / qcow2_cluster_size(map->q) + 1,
					       map->num_clusters); i++) {
		if (bit_test(map->mine, i))
			return error_new(GDUMP_ERR_CORRUPT,
					 "two parts of the guest's state are at 0x%" PRIx64 " of the qcow2 image, which is damaged",
					 i << bits);
		bit_set(map->mine, i);
	}
	return NULL;
}

/* The next bytes of the state, from @start on, are at @off, see struct qcow2_run. */
static struct gdump_error *map_add(struct qcow2_map *map, uint64_t start, uint64_t off)
{
	const struct qcow2_run *last = map->num_runs ? &map->runs[map->num_runs - 1] : NULL;

	if (last && off == QCOW2_HOLE && last->off == off)
		return NULL;
	if (last && off >> QCOW2_COMPRESSED_BIT == 0 && last->off >> QCOW2_COMPRESSED_BIT == 0 &&
	    last->off + (start - last->start) == off)
		return NULL;
	if (map->num_runs == MAX_RUNS)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the guest's state is in more than %d pieces of the qcow2 image", MAX_RUNS);
	if (!ARRAY_GROW(map->runs, map->num_runs))
		return error_nomem();
	map->runs[map->num_runs++] = (struct qcow2_run){ .start = start, .off = off };
	return NULL;
}

static struct gdump_error *map_add_hole(struct qcow2_map *map, uint64_t start, uint64_t len)
{
	map->hole_bytes += MIN(len, map->size - start);
	return map_add(map, start, QCOW2_HOLE);
}

/* @bits: one for each subcluster, and at 32 one for each that is zero */
static struct gdump_error *map_add_subclusters(struct qcow2_map *map, uint64_t start, uint64_t off,
					       uint64_t bits)
{
	const uint64_t size = qcow2_cluster_size(map->q) / SUBCLUSTERS;
	struct gdump_error *err = NULL;

	for (unsigned int i = 0; !err && i < SUBCLUSTERS && start + i * size < map->size; i++) {
		if (off && bits >> i & 1 && !(bits >> 32 >> i & 1))
			err = map_add(map, start + i * size, off + i * size);
		else
			err = map_add_hole(map, start + i * size, size);
	}
	return err;
}

/* An entry of an L2 table, for the cluster from @start of the state on */
static struct gdump_error *map_add_entry(struct qcow2_map *map, uint64_t start,
					 const unsigned char *p)
{
	const bool has_bits = map->q->entry_size == 16;
	const uint64_t size = qcow2_cluster_size(map->q);
	const uint64_t entry = load_be64(p), off = qcow2_entry_off(entry);
	const uint64_t bits = has_bits ? load_be64(p + 8) : UINT32_MAX;
	struct gdump_error *err = NULL;

	if (entry >> QCOW2_COMPRESSED_BIT & 1)
		return map_add(map, start, entry & ~((uint64_t)1 << 63));
	if (entry & l2_reserved || (has_bits && entry & zero_flag))
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid entry of an L2 table of the qcow2 image, for the guest's state from 0x%" PRIx64 " on: 0x%" PRIx64,
				 start, entry);
	if (off)
		err = map_claim(map, off, size, start);
	if (err)
		return err;
	if (has_bits)
		return map_add_subclusters(map, start, off, bits);
	return off && !(entry & zero_flag) ? map_add(map, start, off) : map_add_hole(map, start, size);
}

/* @table: room for an L2 table */
static struct gdump_error *map_add_table(struct qcow2_map *map, uint64_t start, uint64_t entry,
					 unsigned char *table)
{
	const uint64_t size = qcow2_cluster_size(map->q), off = qcow2_entry_off(entry);
	struct gdump_error *err;

	if (entry & l1_reserved)
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid entry of the snapshot's L1 table: 0x%" PRIx64, entry);
	if (!off)
		return map_add_hole(map, start, qcow2_table_span(map->q));
	err = map_claim(map, off, size, start);
	if (!err)
		err = bytes_read(map->q->in, off, table, (size_t)size);
	for (uint64_t i = 0; !err && i < size / map->q->entry_size && start < map->size; i++) {
		err = map_add_entry(map, start, table + i * map->q->entry_size);
		start += size;
	}
	return err;
}

static struct gdump_error *map_add_tables(struct qcow2_map *map, uint64_t l1_off)
{
	const uint64_t span = qcow2_table_span(map->q), num = div_up(map->size, span);
	CLEANUP_FREE unsigned char *table = malloc((size_t)qcow2_cluster_size(map->q));
	unsigned char l1[L1_CHUNK * 8];
	struct gdump_error *err = table ? NULL : error_nomem();

	for (uint64_t i = 0; !err && i < num; i++) {
		if (i % L1_CHUNK == 0)
			err = bytes_read(map->q->in, l1_off + i * 8, l1,
					 (size_t)MIN(num - i, (uint64_t)L1_CHUNK) * 8);
		if (!err)
			err = map_add_table(map, i * span, load_be64(l1 + i % L1_CHUNK * 8), table);
	}
	return err;
}

struct gdump_error *qcow2_map_init(struct qcow2_map *map, const struct qcow2 *q,
				   const struct qcow2_snapshot *s)
{
	const uint64_t span = qcow2_table_span(q), first = div_up(s->disk_size, span);
	struct gdump_error *err;

	*map = (struct qcow2_map){
		.q = q, .base = first * span, .size = s->state_size,
		.num_clusters = div_up(q->in->size, qcow2_cluster_size(q)),
	};
	if (first + div_up(map->size, span) > s->num_l1)
		return error_new(GDUMP_ERR_CORRUPT,
				 "the snapshot's L1 table of %u entries is too short for a disk of 0x%" PRIx64 " bytes and the guest's state of 0x%" PRIx64,
				 s->num_l1, s->disk_size, s->state_size);
	if (map->num_clusters > max_clusters)
		return error_new(GDUMP_ERR_UNSUPPORTED, "the qcow2 image is too large");
	map->mine = calloc((size_t)div_up(map->num_clusters, 64), 8);
	if (!map->mine)
		return error_nomem();
	err = map_claim(map, s->l1_off, (uint64_t)s->num_l1 * 8, 0);
	return err ? err : map_add_tables(map, s->l1_off + first * 8);
}

void qcow2_map_deinit(struct qcow2_map *map)
{
	free(map->runs);
	free(map->mine);
	*map = (struct qcow2_map){ 0 };
}
