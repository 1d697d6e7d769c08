/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/qcow2_state.c - the state of a snapshot in a qcow2 image, as bytes
 *
 * QEMU does not compress states, so it is enough to keep the last cluster that was decompressed.
 */
#include "qcow2.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "../util/bisect.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

struct qcow2_state {
	struct bytes bytes;
	struct bytes *in;
	unsigned int cluster_bits;
	bool by_zstd;
	struct qcow2_run *runs;
	size_t num_runs;

	pthread_mutex_t lock;           /* of the rest                          */
	unsigned char *cluster;         /* decompressed; NULL: none was         */
	uint64_t cluster_entry;         /* which one; 0: none                   */
};

static bool qcow2_state_inflate(unsigned char *to, size_t size, const unsigned char *from, size_t len)
{
	struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
	size_t used;
	bool ok;

	if (!d)
		return false;
	/* the length is rounded up to whole sectors */
	ok = libdeflate_deflate_decompress_ex(d, from, len, to, size, &used, NULL) ==
	     LIBDEFLATE_SUCCESS;
	libdeflate_free_decompressor(d);
	return ok;
}

#ifdef HAVE_ZSTD

static bool qcow2_state_decompress_zstd(unsigned char *to, size_t size, const unsigned char *from,
				  size_t len)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();
	ZSTD_outBuffer out = { .dst = to, .size = size };
	ZSTD_inBuffer in = { .src = from, .size = len };
	size_t before;
	bool ok = d;

	/* several frames, perhaps, and bytes after the last one */
	while (ok && out.pos < out.size) {
		before = out.pos + in.pos;
		ok = !ZSTD_isError(ZSTD_decompressStream(d, &out, &in)) &&
		     out.pos + in.pos > before;
	}
	ZSTD_freeDCtx(d);
	return ok;
}

#else

static bool qcow2_state_decompress_zstd(unsigned char *to, size_t size, const unsigned char *from,
				  size_t len)
{
	(void)to, (void)size, (void)from, (void)len;
	return false;
}

#endif

/* Decompress the cluster of @entry to s->cluster. */
static struct gdump_error *qcow2_state_load_cluster(struct qcow2_state *s, uint64_t entry)
{
	const unsigned int place_bits = QCOW2_COMPRESSED_BIT - (s->cluster_bits - 8);
	const uint64_t off = entry & (((uint64_t)1 << place_bits) - 1);
	const uint64_t sectors = ((entry & ~((uint64_t)1 << QCOW2_COMPRESSED_BIT)) >> place_bits) + 1;
	const size_t size = (size_t)1 << s->cluster_bits;
	const size_t len = (size_t)MIN(sectors * 512 - off % 512, s->in->size - MIN(off, s->in->size));
	CLEANUP_FREE unsigned char *from = malloc(len + 1);
	struct gdump_error *err;
	bool ok;

	if (!s->cluster)
		s->cluster = malloc(size);
	if (!from || !s->cluster)
		return error_nomem();
	s->cluster_entry = 0;
	err = bytes_read(s->in, off, from, len);
	if (err)
		return err;
	ok = (s->by_zstd ? qcow2_state_decompress_zstd : qcow2_state_inflate)(s->cluster, size, from, len);
	if (!ok)
		return error_new(GDUMP_ERR_CORRUPT,
				 "the compressed cluster at 0x%" PRIx64 " of the qcow2 image cannot be decompressed",
				 off);
	s->cluster_entry = entry;
	return NULL;
}

static struct gdump_error *qcow2_state_read_compressed(struct qcow2_state *s, uint64_t entry, size_t from,
						 void *buf, size_t len)
{
	struct gdump_error *err = NULL;

	pthread_mutex_lock(&s->lock);
	if (s->cluster_entry != entry)
		err = qcow2_state_load_cluster(s, entry);
	if (!err)
		memcpy(buf, s->cluster + from, len);
	pthread_mutex_unlock(&s->lock);
	return err;
}

static struct gdump_error *qcow2_state_read(struct bytes *b, uint64_t off, void *buf, size_t len)
{
	struct qcow2_state *s = (struct qcow2_state *)b;
	const struct qcow2_run *runs = s->runs;
	size_t i = BISECT(s->num_runs, k, runs[k].start > off) - 1;
	struct gdump_error *err = NULL;
	unsigned char *to = buf;

	for (; !err && len; i++) {
		const uint64_t end = i + 1 < s->num_runs ? runs[i + 1].start : b->size;
		const size_t n = (size_t)MIN(len, end - off);

		if (runs[i].off == QCOW2_HOLE)
			memset(to, 0, n);
		else if (runs[i].off >> QCOW2_COMPRESSED_BIT)
			err = qcow2_state_read_compressed(s, runs[i].off, (size_t)(off - runs[i].start), to, n);
		else
			err = bytes_read(s->in, runs[i].off + (off - runs[i].start), to, n);
		to += n, off += n, len -= n;
	}
	return err;
}

static void qcow2_state_close(struct bytes *b)
{
	struct qcow2_state *s = (struct qcow2_state *)b;

	pthread_mutex_destroy(&s->lock);
	bytes_close(s->in);
	free(s->cluster);
	free(s->runs);
	free(s);
}

static const struct bytes_ops qcow2_state_ops = {
	.read = qcow2_state_read,
	.close = qcow2_state_close,
};

struct gdump_error *qcow2_state_open(struct bytes *in, struct qcow2_map *map, struct bytes **ret)
{
	struct qcow2_state *s = calloc(1, sizeof(*s));

	if (!s)
		return error_nomem();
	s->bytes = (struct bytes){ .ops = &qcow2_state_ops, .size = map->size, .kind = "" };
	s->in = in;
	s->cluster_bits = map->q->cluster_bits;
	s->by_zstd = map->q->by_zstd;
	s->runs = map->runs;
	s->num_runs = map->num_runs;
	map->runs = NULL;
	map->num_runs = 0;
	pthread_mutex_init(&s->lock, NULL);
	*ret = &s->bytes;
	return NULL;
}
