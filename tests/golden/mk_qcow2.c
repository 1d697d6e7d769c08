/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mk_qcow2.c - a disk image of QEMU with a snapshot, whose state is that of format savevm
 *
 * The disk has one cluster, which the snapshot shares.  Options: v2; cluster-BITS (default: 16);
 * refcount-BITS (16); subclusters; zlib, zstd (compressed clusters, which QEMU does not write there);
 * hole (the third cluster of the state is missing), zero (it is marked as zero); two (snapshots, with
 * the same state); disk-only (the snapshot has no state); old (the disk has the state in its tables
 * as well, as QEMU before 1.7 left it).
 */
#include "mkdump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

/* How often each cluster of the file is used */
static unsigned int counts[1 << 16];

static unsigned int number_option(const struct desc *d, const char *name, unsigned int none)
{
	const char *p = strstr(d->options, name);

	return p ? (unsigned int)atoi(p + strlen(name)) : none;
}

/* Where everything is, in clusters */
struct places {
	uint64_t cluster, per_table;            /* bytes of one; entries of an L2 table */
	uint64_t refcount_table, refcount_block, snapshots, l1, l2, disk, own_l1, own_l2, state;
	uint64_t num_disk_l1, num_own_l1, num_blocks, num_tables, num_state;
	unsigned int bits, entry, refcount_bits;
};

static struct places place(const struct desc *d, size_t state_size)
{
	struct places p = {
		.bits = number_option(d, " cluster-", 16),
		.refcount_bits = number_option(d, " refcount-", 16),
		.entry = option(d, "subclusters") ? 16 : 8,
		.num_disk_l1 = 1,
	};

	p.cluster = (uint64_t)1 << p.bits;
	p.per_table = p.cluster / p.entry;
	p.num_state = (state_size + p.cluster - 1) / p.cluster;
	p.num_tables = (p.num_state + p.per_table - 1) / p.per_table;
	p.num_own_l1 = p.num_disk_l1 + p.num_tables;
	/* one block is enough, unless clusters are small */
	p.num_blocks = (p.num_state + 64) * p.refcount_bits / 8 / p.cluster + 1;
	p.refcount_table = 1;
	p.refcount_block = 2;
	p.snapshots = p.refcount_block + p.num_blocks;
	p.l1 = p.snapshots + 1;
	p.l2 = p.l1 + (p.num_own_l1 * 8 + p.cluster - 1) / p.cluster;
	p.disk = p.l2 + 1;
	p.own_l1 = p.disk + 1;
	p.own_l2 = p.own_l1 + (p.num_own_l1 * 8 + p.cluster - 1) / p.cluster;
	p.state = p.own_l2 + p.num_tables;
	return p;
}

static void put_header(struct out *o, const struct desc *d, const struct places *p)
{
	const bool v2 = option(d, "v2");
	unsigned int features = 0;

	put_data(o, "QFI\xfb", 4);
	put(o, "version", v2 ? 2 : 3, 4);
	put(o, "backing.offset", 0, 8);
	put(o, "backing.size", 0, 4);
	put(o, "cluster_bits", p->bits, 4);
	put(o, "size", p->cluster, 8);
	put(o, "crypt_method", 0, 4);
	put(o, "l1_size", option(d, "old") ? p->num_own_l1 : p->num_disk_l1, 4);
	put(o, "l1_table_offset", p->l1 * p->cluster, 8);
	put(o, "refcount_table_offset", p->refcount_table * p->cluster, 8);
	put(o, "refcount_table_clusters", 1, 4);
	put(o, "nb_snapshots", option(d, "two") ? 2 : 1, 4);
	put(o, "snapshots_offset", p->snapshots * p->cluster, 8);
	features |= option(d, "zstd") ? 8 : 0;
	features |= option(d, "subclusters") ? 16 : 0;
	if (!v2) {
		unsigned int order = 0;

		while (1u << order < p->refcount_bits)
			order++;
		put(o, "incompatible", features, 8);
		put(o, "compatible", 0, 8);
		put(o, "autoclear", 0, 8);
		put(o, "refcount_order", order, 4);
		put(o, "header_length", 112, 4);
		put(o, "compression_type", option(d, "zstd"), 1);
	}
	mark(o, "header.rest", o->len, 0);
	pad_to(o, p->cluster);
}

/* The count of a cluster, which has @p->refcount_bits */
static void set_count(unsigned char *block, const struct places *p, uint64_t cluster, unsigned int n)
{
	const unsigned int bits = p->refcount_bits;

	if (bits < 8)
		block[cluster * bits / 8] |= (unsigned char)(n << cluster * bits % 8);
	else
		block[(cluster + 1) * bits / 8 - 1] = (unsigned char)n;
}

static void put_refcounts(struct out *o, const struct places *p)
{
	mark(o, "refcount_table", o->len, 0);
	for (uint64_t i = 0; i < p->num_blocks; i++)
		put(o, NULL, (p->refcount_block + i) * p->cluster, 8);
	pad_to(o, (p->refcount_table + 1) * p->cluster);
	mark(o, "refcount_block", o->len, 0);
	pad_to(o, p->snapshots * p->cluster);
}

/* All is known: fill the block. */
static void fill_refcounts(struct out *o, const struct desc *d, const struct places *p)
{
	for (uint64_t i = 0; i < p->state; i++)
		counts[i] = i == p->l2 || i == p->disk || (option(d, "old") && i >= p->own_l2) ? 2 : 1;
	for (uint64_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (counts[i])
			set_count(o->buf + p->refcount_block * p->cluster, p, i, counts[i]);
	}
}

static void put_snapshot(struct out *o, const struct desc *d, const struct places *p, size_t i,
			 size_t state_size)
{
	const uint64_t size = option(d, "disk-only") ? 0 : state_size;
	char id[8];

	snprintf(id, sizeof(id), "%zu", i + 1);
	put(o, numbered("snapshot", i, ".l1_offset"), p->own_l1 * p->cluster, 8);
	put(o, numbered("snapshot", i, ".l1_size"), p->num_own_l1, 4);
	put(o, numbered("snapshot", i, ".id_len"), strlen(id), 2);
	put(o, numbered("snapshot", i, ".name_len"), 4, 2);
	put(o, numbered("snapshot", i, ".seconds"), 1790000000, 4);
	put(o, numbered("snapshot", i, ".nanoseconds"), 5000000, 4);
	put(o, numbered("snapshot", i, ".clock"), 1234567890, 8);
	put(o, numbered("snapshot", i, ".state_size_32"), option(d, "v2") ? size : 0, 4);
	put(o, numbered("snapshot", i, ".extra_size"), option(d, "v2") ? 0 : 24, 4);
	if (!option(d, "v2")) {
		put(o, numbered("snapshot", i, ".state_size"), size, 8);
		put(o, numbered("snapshot", i, ".disk_size"), p->cluster, 8);
		put(o, numbered("snapshot", i, ".icount"), (uint64_t)-1, 8);
	}
	put_data(o, id, strlen(id));
	put_data(o, "save", 4);
	pad_to(o, (o->len + 7) / 8 * 8);
}

/* The L1 table of the disk, or of the snapshot */
static void put_l1(struct out *o, const char *name, const struct desc *d, const struct places *p,
		   bool has_state)
{
	const uint64_t copied = option(d, "old") ? 0 : (uint64_t)1 << 63;

	put(o, numbered(name, 0, ""), p->l2 * p->cluster, 8);
	for (uint64_t i = 0; has_state && i < p->num_tables; i++)
		put(o, numbered(name, i + 1, ""), (p->own_l2 + i) * p->cluster | copied, 8);
}

static size_t compress_cluster(const struct desc *d, const unsigned char *from, size_t len,
			       unsigned char *to, size_t room)
{
	z_stream z = { .next_in = (unsigned char *)(uintptr_t)from, .avail_in = (unsigned int)len,
		       .next_out = to, .avail_out = (unsigned int)room };

#ifdef HAVE_ZSTD
	if (option(d, "zstd"))
		return ZSTD_compress(to, room, from, len, 1);
#endif
	if (option(d, "zstd"))
		exit(77);
	if (deflateInit2(&z, 6, Z_DEFLATED, -12, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflate(&z, Z_FINISH) != Z_STREAM_END)
		die("a cluster cannot be compressed");
	deflateEnd(&z);
	return room - z.avail_out;
}

/* An entry of an L2 table for cluster @i of the state, and its data at the end of the file */
static void put_cluster(struct out *o, const struct desc *d, const struct places *p, size_t entry_at,
			uint64_t i, const unsigned char *data)
{
	const unsigned int place_bits = 62 - (p->bits - 8);
	const size_t at = o->len;
	struct out e = { .big = true };

	if (option(d, "zlib") || option(d, "zstd")) {
		unsigned char *buf = malloc(2 * p->cluster);
		const size_t len = compress_cluster(d, data, p->cluster, buf, 2 * p->cluster);

		mark(o, "cluster.memory", o->len, (unsigned int)len);   /* it has no checksum */
		put_data(o, buf, len);
		for (uint64_t c = at >> p->bits; c <= (at + len - 1) >> p->bits; c++)
			counts[c]++;
		put(&e, NULL, (uint64_t)1 << 62 | at | (uint64_t)((at % 512 + len - 1) / 512) << place_bits, 8);
		free(buf);
	} else {
		const bool hole = i == 2 && option(d, "hole"), zero = i == 2 && option(d, "zero");

		put_data(o, data, p->cluster);
		counts[at >> p->bits] = hole ? 0 : option(d, "old") ? 2 : 1;
		put(&e, NULL, hole ? 0 : (zero ? 1 : 0) | at |
		    (uint64_t)!option(d, "old") << 63, 8);
		if (p->entry == 16)
			put(&e, NULL, 0xffffffff, 8);
	}
	memcpy(o->buf + entry_at, e.buf, e.len);
	free(e.buf);
}

void make_qcow2(struct out *o, const struct desc *d)
{
	struct out state = { 0 };
	struct places p;
	size_t own_l2;

	make_savevm(&state, d);
	p = place(d, state.len);
	o->big = true;
	put_header(o, d, &p);
	put_refcounts(o, &p);
	put_snapshot(o, d, &p, 0, state.len);
	if (option(d, "two"))
		put_snapshot(o, d, &p, 1, state.len);
	mark(o, "snapshots.rest", o->len, 0);
	pad_to(o, p.l1 * p.cluster);
	put_l1(o, "l1.", d, &p, option(d, "old"));
	mark(o, "l1.rest", o->len, 0);
	pad_to(o, p.l2 * p.cluster);
	put(o, "l2.0", p.disk * p.cluster, 8);
	if (p.entry == 16)
		put(o, "l2.bits", 0xffffffff, 8);
	mark(o, "l2.rest", o->len, 0);
	pad_to(o, p.disk * p.cluster);
	mark(o, "disk.memory", o->len, (unsigned int)p.cluster);
	put_text(o, "the disk", 8);
	pad_to(o, p.own_l1 * p.cluster);
	put_l1(o, "own_l1.", d, &p, true);
	mark(o, "own_l1.rest", o->len, 0);
	pad_to(o, p.own_l2 * p.cluster);
	own_l2 = o->len;
	for (uint64_t i = 0; i < p.num_state; i++)
		mark(o, numbered("own_l2.", i, ""), own_l2 + i * p.entry, 8);
	mark(o, "own_l2.rest", own_l2 + p.num_state * p.entry, 0);
	pad_to(o, p.state * p.cluster);
	/* the fields of the stream, except those of its pages */
	for (size_t i = 0; i < state.num_fields; i++) {
		const struct field *f = &state.fields[i];

		if (p.entry == 8 && !option(d, "zlib") && !option(d, "zstd") && strncmp(f->name, "page", 4))
			mark(o, f->name, o->len + f->off, f->size);
	}
	pad_to(&state, p.num_state * p.cluster);
	for (uint64_t i = 0; i < p.num_state; i++)
		put_cluster(o, d, &p, own_l2 + i * p.entry, i, state.buf + i * p.cluster);
	fill_refcounts(o, d, &p);
	free(state.buf);
	free(state.fields);
}
