/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qcow2.h - disk images of QEMU that have snapshots of the guest's state
 *
 *     qcow2.c           the format: chooses a snapshot, and opens the stream in it
 *     qcow2_header.c    the header and the list of snapshots
 *     qcow2_map.c       where in the file a snapshot's state is
 *     qcow2_proof.c     whether anything else is at the same place
 *     qcow2_state.c     the state as bytes
 */
#pragma once

#include "../bytes/bytes.h"

struct qcow2_snapshot {
	char *id, *name;
	uint64_t l1_off, disk_size;
	uint64_t state_size;            /* bytes of the guest's state; 0: only the disk */
	uint64_t time_ms;               /* when it was made, since 1970         */
	uint32_t num_l1;
};

struct qcow2 {
	struct bytes *in;               /* borrowed                             */
	unsigned int cluster_bits;
	unsigned int entry_size;        /* of an L2 table: 8, or 16 with subclusters */
	unsigned int refcount_bits;
	bool by_zstd;                   /* compressed clusters are, else by deflate */
	bool is_dirty, is_corrupt;      /* marked as such                       */
	uint64_t size;                  /* of the disk                          */
	uint64_t l1_off, refcount_off;
	uint32_t num_l1, num_refcount_clusters;
	uint64_t snapshots_off, snapshots_end;
	struct qcow2_snapshot *snapshots;
	size_t num_snapshots;
};

static inline uint64_t qcow2_cluster_size(const struct qcow2 *q)
{
	return (uint64_t)1 << q->cluster_bits;
}

/* How many bytes of the disk an L2 table covers, and so an entry of the L1 table */
static inline uint64_t qcow2_table_span(const struct qcow2 *q)
{
	return qcow2_cluster_size(q) / q->entry_size << q->cluster_bits;
}

/* The place in an entry of an L1 or L2 table, and in those of the refcount table */
static inline uint64_t qcow2_entry_off(uint64_t entry)
{
	return entry & 0x00fffffffffffe00;
}

enum { QCOW2_COMPRESSED_BIT = 62 };

bool qcow2_probe(const unsigned char *head, size_t len);
/* Read the header and the snapshots of the image in @in.  qcow2_deinit() is due also after an error.
 * GDUMP_ERR_UNSUPPORTED: it is encrypted, or has its data elsewhere, or a feature that is unknown.
 */
MUST_CHECK struct gdump_error *qcow2_init(struct qcow2 *q, struct bytes *in);
void qcow2_deinit(struct qcow2 *q);

/* Consecutive bytes of a state; they end where the next run begins. */
struct qcow2_run {
	uint64_t start;                 /* in the state                         */
	uint64_t off;                   /* in the file; QCOW2_HOLE; or a compressed cluster's
					 * entry, whose QCOW2_COMPRESSED_BIT is set */
};
#define QCOW2_HOLE UINT64_MAX

/* Where the state of a snapshot is */
struct qcow2_map {
	const struct qcow2 *q;
	uint64_t base;                  /* offset of the state in the virtual disk */
	uint64_t size;                  /* of the state                         */
	struct qcow2_run *runs;         /* ascending                            */
	size_t num_runs;
	uint64_t hole_bytes;            /* in no cluster: QEMU writes none such */
	uint64_t *mine;                 /* a bit for each cluster of the file that has part
					 * of the state or of its tables; only while it is made */
	uint64_t num_clusters;          /* of the file: bits in mine            */
};

/* Find all of the state of @s.  qcow2_map_deinit() is due also after an error. */
MUST_CHECK struct gdump_error *qcow2_map_init(struct qcow2_map *map, const struct qcow2 *q,
					      const struct qcow2_snapshot *s);
void qcow2_map_deinit(struct qcow2_map *map);
/* GDUMP_ERR_CORRUPT: something else is at the same place in the file, or the image does not count
 * the place as used.
 */
MUST_CHECK struct gdump_error *qcow2_prove(const struct qcow2_map *map,
					   const struct qcow2_snapshot *s);

/* The state as bytes, which own @in and from now on what is in @map; not after an error. */
MUST_CHECK struct gdump_error *qcow2_state_open(struct bytes *in, struct qcow2_map *map,
						struct bytes **ret);
