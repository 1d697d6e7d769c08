/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_guest.c - what is done to a guest of QEMU, whatever way it is read
 */
#include "qemu_guest.h"

#include <unistd.h>

#include "../util/cleanup.h"
#include "../util/debug.h"
#include "../util/warn.h"
#include "qemu_way.h"

struct gdump_error *qemu_take_head(struct image *image, const struct qemu_head *head)
{
	CLEANUP_BYTES struct bytes *bytes = NULL;
	struct gdump_error *err = bytes_memory_open(head->buf, head->size, &bytes);

	if (!err)
		err = elf_header_to_image(&head->elf, bytes, image);
	return error_prefix(err, "QEMU's dump of the CPUs");
}

void qemu_use(struct qemu *qemu, const struct qemu_way *way)
{
	qemu->way = way;
	qemu->source.ops = way->ops;
	debug_log(&qemu->source.debug, GDUMP_DEBUG_STEP, "the guest is read by %s", way->name);
}

struct gdump_error *qemu_pause(struct qemu *qemu, bool *changed)
{
	struct gdump_error *err = guest_pause(&qemu->guest);

	return err ? err : qemu_map_changed(qemu->guest.qmp, &qemu->map, changed);
}

struct gdump_error *qemu_resume(struct source *s)
{
	struct qemu *qemu = (struct qemu *)s;
	struct gdump_error *err = guest_await_guard(&qemu->guest), *resume_err;

	/* if QEMU has not ended what it does for us, it says so again to our cont */
	if (qemu->way && qemu->way->end)
		gdump_error_destroy(qemu->way->end(qemu));
	if (guest_is_paused(&qemu->guest))
		err = guest_check_paused(&qemu->guest);
	resume_err = guest_resume(&qemu->guest);
	s->is_mutable |= qemu->guest.state == GUEST_RUNNING;
	if (!resume_err)
		return err;
	gdump_error_destroy(err);
	return resume_err;
}

struct gdump_error *qemu_overdue(struct source *s, uint64_t progress)
{
	struct qemu *qemu = (struct qemu *)s;

	return guest_overdue(&qemu->guest, progress);
}

struct gdump_error *qemu_torn(struct source *s)
{
	struct qemu *qemu = (struct qemu *)s;

	return guest_torn(&qemu->guest);
}

uint64_t qemu_paused_us(const struct source *s)
{
	const struct qemu *qemu = (const struct qemu *)s;

	return guest_paused_us(&qemu->guest);
}

void qemu_close(struct source *s)
{
	struct qemu *qemu = (struct qemu *)s;
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (qemu->guest.qmp) {
		qmp_ignore_cancel(qemu->guest.qmp);
		if (qemu->way && qemu->way->close)
			qemu->way->close(qemu);
		err = qemu_resume(s);
	}
	if (err)
		warn_caller(&qemu->opt, "%s", gdump_error_message(err));
	qemu_head_deinit(&qemu->stream.head);
	procmem_close(qemu->mem);
	qemu_map_deinit(&qemu->map);
	/* before the monitor: who waits for that finds no lock */
	if (qemu->lock >= 0)
		close(qemu->lock);
	if (!qemu->keeps_qmp)
		qmp_close(qemu->guest.qmp);
	free(qemu);
}

const struct guest_ops qemu_guest_ops = {
	.resume = qemu_resume,
	.paused_us = qemu_paused_us,
	.overdue = qemu_overdue,
	.torn = qemu_torn,
};

const struct source_ops qemu_ops = {
	.name = "qmp",
	.guest = &qemu_guest_ops,
	.close = qemu_close,
};
