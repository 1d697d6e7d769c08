/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/qcow2_header.c - the header of a qcow2 image, and its list of snapshots
 *
 * Facts: QEMU's docs/interop/qcow2.txt, block/qcow2-snapshot.c.
 */
#include "qcow2.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cursor.h"

enum {
	HEADER_2 = 72, HEADER_3 = 104, COMPRESSION_AT = 104,    /* bytes        */
	MIN_CLUSTER_BITS = 9, MAX_CLUSTER_BITS = 21,
	SNAPSHOT_HEADER = 40,
	MAX_SNAPSHOTS = 65536, MAX_EXTRA = 1024,        /* as QEMU has them     */
	MAX_LIST = 64 << 20,
	MAX_L1_BYTES = 32 << 20, MAX_REFCOUNT_TABLE = 8 << 20,
};

/* Incompatible features */
enum {
	QCOW2_DIRTY = 1 << 0, QCOW2_CORRUPT = 1 << 1, QCOW2_DATA_FILE = 1 << 2,
	QCOW2_COMPRESSION = 1 << 3, QCOW2_SUBCLUSTERS = 1 << 4,
	QCOW2_KNOWN = (1 << 5) - 1,
};

bool qcow2_probe(const unsigned char *head, size_t len)
{
	return len >= HEADER_2 && !memcmp(head, "QFI\xfb\0\0\0", 7) && (head[7] == 2 || head[7] == 3);
}

static struct gdump_error *qcow2_take_features(struct qcow2 *q, uint64_t features,
					       uint8_t compression)
{
	if (features & ~(uint64_t)QCOW2_KNOWN)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the qcow2 image has incompatible features that guestdump does not know: 0x%" PRIx64,
				 features & ~(uint64_t)QCOW2_KNOWN);
	if (features & QCOW2_DATA_FILE)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the data of the qcow2 image is in another file (data_file), so it cannot have the state of a guest");
	if (compression > 1 || (compression && !(features & QCOW2_COMPRESSION)))
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "unknown compression type of the qcow2 image: %u", compression);
	q->is_dirty = features & QCOW2_DIRTY;
	q->is_corrupt = features & QCOW2_CORRUPT;
	q->entry_size = features & QCOW2_SUBCLUSTERS ? 16 : 8;
	q->by_zstd = compression == 1;
	return NULL;
}

/* What only version 3 has */
static struct gdump_error *qcow2_take_header_3(struct qcow2 *q, struct cursor *c)
{
	const uint64_t features = get_u64(c);
	uint32_t order, size;

	cursor_take(c, 16);             /* compatible and autoclear features    */
	order = get_u32(c);
	size = get_u32(c);
	if (order > 6)
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid refcount_order of the qcow2 header: %u", order);
	if (size < HEADER_3 || size > (uint32_t)1 << q->cluster_bits)
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid header_length of the qcow2 header: %u", size);
	q->refcount_bits = 1u << order;
	return qcow2_take_features(q, features, size > COMPRESSION_AT ? get_u8(c) : 0);
}

static struct gdump_error *qcow2_check_encryption(uint32_t method)
{
	static const char *const names[] = { "", "AES", "LUKS" };

	if (!method)
		return NULL;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "the qcow2 image is encrypted (%s), so its snapshots cannot be read; load the snapshot in QEMU and dump that guest",
			 method < ARRAY_SIZE(names) ? names[method] : "by an unknown method");
}

/* Whether a table of @num entries of 8 bytes may be at @off */
static bool qcow2_table_fits(const struct qcow2 *q, uint64_t off, uint64_t num, uint64_t max_bytes)
{
	return num <= max_bytes / 8 && !(off & (qcow2_cluster_size(q) - 1)) &&
	       range_fits(off, num * 8, q->in->size);
}

static struct gdump_error *qcow2_take_header(struct qcow2 *q, struct cursor *c, uint32_t *num_snapshots)
{
	uint32_t version, method;
	struct gdump_error *err;

	cursor_take(c, 4);
	version = get_u32(c);
	cursor_take(c, 12);             /* the backing file's name: it has no state */
	q->cluster_bits = get_u32(c);
	q->size = get_u64(c);
	method = get_u32(c);
	q->num_l1 = get_u32(c);
	q->l1_off = get_u64(c);
	q->refcount_off = get_u64(c);
	q->num_refcount_clusters = get_u32(c);
	*num_snapshots = get_u32(c);
	q->snapshots_off = get_u64(c);
	if (q->cluster_bits < MIN_CLUSTER_BITS || q->cluster_bits > MAX_CLUSTER_BITS)
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid cluster_bits of the qcow2 header: %u", q->cluster_bits);
	q->entry_size = 8;
	q->refcount_bits = 16;
	err = qcow2_check_encryption(method);
	if (!err && version == 3)
		err = qcow2_take_header_3(q, c);
	if (err)
		return err;
	if (!qcow2_table_fits(q, q->l1_off, q->num_l1, MAX_L1_BYTES))
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid L1 table of the qcow2 header: %u entries at 0x%" PRIx64,
				 q->num_l1, q->l1_off);
	if (!qcow2_table_fits(q, q->refcount_off,
			      (uint64_t)q->num_refcount_clusters * (qcow2_cluster_size(q) / 8),
			      MAX_REFCOUNT_TABLE))
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid refcount table of the qcow2 header: %u clusters at 0x%" PRIx64,
				 q->num_refcount_clusters, q->refcount_off);
	return NULL;
}

static struct gdump_error *qcow2_read_header(struct qcow2 *q, uint32_t *num_snapshots)
{
	unsigned char buf[HEADER_3 + 8] = { 0 };
	const size_t len = (size_t)MIN(q->in->size, sizeof(buf));
	struct cursor c = cursor_init(buf, sizeof(buf), true, true);
	struct gdump_error *err = bytes_read(q->in, 0, buf, len);

	if (!err && !qcow2_probe(buf, len))
		err = error_new(GDUMP_ERR_FORMAT, "this is no qcow2 image");
	return err ? err : qcow2_take_header(q, &c, num_snapshots);
}

/* Snapshots --------------------------------------------------------------- */

static struct gdump_error *qcow2_take_text(struct qcow2 *q, uint64_t *pos, size_t len, char **ret)
{
	char *text = calloc(1, len + 1);
	struct gdump_error *err = text ? bytes_read(q->in, *pos, text, len) : error_nomem();

	*ret = text;
	*pos += len;
	return err;
}

/* The sizes of the disk and of the state, where the entry has them */
static struct gdump_error *qcow2_take_extra(struct qcow2 *q, uint64_t pos, size_t len,
					    struct qcow2_snapshot *s)
{
	unsigned char buf[16];
	struct cursor c = cursor_init(buf, sizeof(buf), true, true);
	struct gdump_error *err = bytes_read(q->in, pos, buf, MIN(len, sizeof(buf)));

	if (err)
		return err;
	if (len >= 8)
		s->state_size = get_u64(&c);
	if (len >= 16)
		s->disk_size = get_u64(&c);
	return NULL;
}

static struct gdump_error *qcow2_check_snapshot(const struct qcow2 *q, const struct qcow2_snapshot *s)
{
	if (s->state_size && !qcow2_table_fits(q, s->l1_off, s->num_l1, MAX_L1_BYTES))
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid L1 table of snapshot %zu of the qcow2 image: %u entries at 0x%" PRIx64,
				 q->num_snapshots, s->num_l1, s->l1_off);
	if (s->state_size > (uint64_t)1 << 44 || s->disk_size > (uint64_t)1 << 62)
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid sizes of snapshot %zu of the qcow2 image: the state has 0x%" PRIx64 " bytes, the disk 0x%" PRIx64,
				 q->num_snapshots, s->state_size, s->disk_size);
	return NULL;
}

/* The entry at *@pos, of which @s owns the texts also after an error */
static struct gdump_error *qcow2_take_snapshot(struct qcow2 *q, uint64_t *pos,
					       struct qcow2_snapshot *s)
{
	unsigned char buf[SNAPSHOT_HEADER];
	struct cursor c = cursor_init(buf, sizeof(buf), true, true);
	struct gdump_error *err = bytes_read(q->in, *pos, buf, sizeof(buf));
	uint32_t seconds, nanoseconds, extra;
	uint16_t id_len, name_len;

	*s = (struct qcow2_snapshot){ .disk_size = q->size };
	if (err)
		return err;
	s->l1_off = get_u64(&c);
	s->num_l1 = get_u32(&c);
	id_len = get_u16(&c);
	name_len = get_u16(&c);
	seconds = get_u32(&c);
	nanoseconds = get_u32(&c);
	cursor_take(&c, 8);             /* for how long the guest had run       */
	s->state_size = get_u32(&c);
	extra = get_u32(&c);
	s->time_ms = (uint64_t)seconds * 1000 + nanoseconds / 1000000;
	*pos += SNAPSHOT_HEADER;
	if (extra > MAX_EXTRA)
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid extra_data_size of snapshot %zu of the qcow2 image: %u",
				 q->num_snapshots, extra);
	err = qcow2_take_extra(q, *pos, extra, s);
	*pos += extra;
	if (!err)
		err = qcow2_take_text(q, pos, id_len, &s->id);
	if (!err)
		err = qcow2_take_text(q, pos, name_len, &s->name);
	*pos = round_up(*pos, 8);
	return err ? err : qcow2_check_snapshot(q, s);
}

static struct gdump_error *qcow2_read_snapshots(struct qcow2 *q, uint32_t num)
{
	uint64_t pos = q->snapshots_off;
	struct gdump_error *err = NULL;

	if (num > MAX_SNAPSHOTS || (num && pos & (qcow2_cluster_size(q) - 1)) || pos > q->in->size)
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid list of snapshots of the qcow2 header: %u at 0x%" PRIx64,
				 num, q->snapshots_off);
	while (!err && num--) {
		if (!ARRAY_GROW(q->snapshots, q->num_snapshots))
			return error_nomem();
		err = qcow2_take_snapshot(q, &pos, &q->snapshots[q->num_snapshots++]);
		if (!err && pos - q->snapshots_off > MAX_LIST)
			err = error_new(GDUMP_ERR_CORRUPT,
					"the list of snapshots of the qcow2 image is too long");
	}
	q->snapshots_end = pos;
	return err;
}

struct gdump_error *qcow2_init(struct qcow2 *q, struct bytes *in)
{
	struct gdump_error *err;
	uint32_t num;

	*q = (struct qcow2){ .in = in };
	err = qcow2_read_header(q, &num);
	return err ? err : qcow2_read_snapshots(q, num);
}

void qcow2_deinit(struct qcow2 *q)
{
	for (size_t i = 0; i < q->num_snapshots; i++) {
		free(q->snapshots[i].id);
		free(q->snapshots[i].name);
	}
	free(q->snapshots);
	*q = (struct qcow2){ 0 };
}
