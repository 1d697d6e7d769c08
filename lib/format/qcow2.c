/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/qcow2.c - a snapshot of a guest in its disk image, as "savevm" makes it
 */
#include "qcow2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "savevm.h"

enum { MAX_NAMED = 16, MAX_NAME = 40 };

/* Append to @text what is between @from and its end, without control characters. */
static void qcow2_append(char *text, size_t size, const char *from)
{
	size_t at = strlen(text);

	for (size_t n = 0; from[n] && n < MAX_NAME && at + 1 < size; n++)
		text[at++] = (unsigned char)from[n] < ' ' || from[n] == 0x7f ? '?' : from[n];
	text[at] = 0;
}

/* "1 (before), 2 (after)" */
static void qcow2_list(const struct qcow2 *q, char *text, size_t size)
{
	size_t num = 0;

	*text = 0;
	for (size_t i = 0; i < q->num_snapshots && num <= MAX_NAMED; i++) {
		const struct qcow2_snapshot *s = &q->snapshots[i];

		if (!s->state_size)
			continue;
		qcow2_append(text, size, num ? ", " : "");
		qcow2_append(text, size, num++ < MAX_NAMED ? s->id : "...");
		if (num > MAX_NAMED)
			break;
		qcow2_append(text, size, " (");
		qcow2_append(text, size, s->name);
		qcow2_append(text, size, ")");
	}
}

static size_t qcow2_num_states(const struct qcow2 *q)
{
	size_t num = 0;

	for (size_t i = 0; i < q->num_snapshots; i++)
		num += q->snapshots[i].state_size != 0;
	return num;
}

/* The only one that has a state */
static struct gdump_error *qcow2_choose_only(const struct qcow2 *q,
					     const struct qcow2_snapshot **ret)
{
	const size_t num = qcow2_num_states(q);
	char list[1024];

	qcow2_list(q, list, sizeof(list));
	if (num > 1)
		return error_new(GDUMP_ERR_USAGE,
				 "the qcow2 image has %zu snapshots with the guest's memory; choose one with --snapshot: %s",
				 num, list);
	for (size_t i = 0; i < q->num_snapshots; i++) {
		if (q->snapshots[i].state_size)
			*ret = &q->snapshots[i];
	}
	if (num)
		return NULL;
	return error_new(GDUMP_ERR_NODATA,
			 "the qcow2 image is a disk with %zu snapshot%s, none of which has the guest's memory; QEMU's savevm makes one that has",
			 q->num_snapshots, q->num_snapshots == 1 ? "" : "s");
}

static bool qcow2_is_called(const struct qcow2_snapshot *s, const char *name, bool by_id)
{
	return s->state_size && !strcmp(by_id ? s->id : s->name, name);
}

/* The one with this name, or else with this id */
static struct gdump_error *qcow2_choose_named(const struct qcow2 *q, const char *name,
					      const struct qcow2_snapshot **ret)
{
	char list[1024];
	size_t num = 0;

	for (int by_id = 0; !num && by_id < 2; by_id++) {
		for (size_t i = 0; i < q->num_snapshots; i++) {
			if (!qcow2_is_called(&q->snapshots[i], name, by_id))
				continue;
			*ret = &q->snapshots[i];
			num++;
		}
	}
	if (num == 1)
		return NULL;
	qcow2_list(q, list, sizeof(list));
	if (num)
		return error_new(GDUMP_ERR_USAGE,
				 "%zu snapshots of the qcow2 image are called '%s'; pass the id: %s",
				 num, name, list);
	return error_new(GDUMP_ERR_USAGE,
			 "the qcow2 image has no snapshot '%s' with the guest's memory; it has: %s", name,
			 *list ? list : "none");
}

/* Why the state may not be what it was; NULL: it is */
static const char *qcow2_warning(const struct qcow2 *q, const struct qcow2_map *map)
{
	if (map->hole_bytes)
		return "part of the guest's state is missing in the qcow2 image, and reads as zeros";
	if (q->is_corrupt)
		return "the qcow2 image is marked as corrupt; \"qemu-img check\" shows what is wrong";
	if (q->is_dirty)
		return "the qcow2 image was not closed (it is marked as dirty), so not all of it can be checked; \"qemu-img check -r all\" repairs it";
	return NULL;
}

static struct gdump_error *qcow2_open_state(struct bytes *in, const struct qcow2 *q,
					    const struct qcow2_snapshot *s, struct savevm_spec *spec,
					    struct bytes **ret)
{
	struct qcow2_map map = { 0 };
	struct gdump_error *err = qcow2_map_init(&map, q, s);

	if (!err)
		err = qcow2_prove(&map, s);
	spec->warning = qcow2_warning(q, &map);
	if (!err)
		err = qcow2_state_open(in, &map, ret);
	qcow2_map_deinit(&map);
	return err;
}

static struct gdump_error *qcow2_open_snapshot(struct bytes *in, const char *name,
					       struct source **ret)
{
	struct savevm_spec spec = { .name = "qcow2" };
	const struct qcow2_snapshot *s = NULL;
	struct bytes *state = NULL;
	struct gdump_error *err;
	char what[80] = "snapshot ";
	struct qcow2 q;

	err = qcow2_init(&q, in);
	if (!err)
		err = name ? qcow2_choose_named(&q, name, &s) : qcow2_choose_only(&q, &s);
	if (!err) {
		qcow2_append(what, sizeof(what), s->name);
		qcow2_append(what, sizeof(what), " of a qcow2 image");
		err = qcow2_open_state(in, &q, s, &spec, &state);
	}
	qcow2_deinit(&q);
	if (err) {
		bytes_close(in);
		return err;
	}
	spec.what = what;
	err = savevm_open_at(state, &spec, ret);
	return spec.warning ? error_prefix(err, "%s", spec.warning) : err;
}

static struct gdump_error *qcow2_open(struct bytes *in, struct source **ret)
{
	return qcow2_open_snapshot(in, NULL, ret);
}

static struct gdump_error *qcow2_snapshots(struct bytes *in, gdump_snapshot_fn *fn, void *arg)
{
	struct qcow2 q;
	struct gdump_error *err = qcow2_init(&q, in);

	for (size_t i = 0; !err && i < q.num_snapshots; i++) {
		const struct qcow2_snapshot *s = &q.snapshots[i];

		fn(arg, &(struct gdump_snapshot){
			.id = s->id, .name = s->name, .time_ms = s->time_ms,
			.state_size = s->state_size,
		});
	}
	qcow2_deinit(&q);
	return err;
}

const struct format format_qcow2 = {
	.name = "qcow2",
	.summary = "a snapshot with memory in a disk image, as savevm makes it",
	.probe = qcow2_probe,
	.open = qcow2_open,
	.open_snapshot = qcow2_open_snapshot,
	.snapshots = qcow2_snapshots,
};
