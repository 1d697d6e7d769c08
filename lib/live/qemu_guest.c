/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu_guest.c - what is done to a guest of QEMU, whatever way it is read
 */
#include "qemu.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../format/format.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "qemu_direct.h"

enum { PROBE_SIZE = 4096 };

void qemu_warn(const struct gdump_open_options *opt, const char *fmt, ...)
{
	char message[300];
	va_list ap;

	if (!opt->warn)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	opt->warn(opt->warn_arg, message);
}

/* The ELF reader knows how to read the head of an ELF core; its ranges are those
 * of this dump and not the guest's.
 */
struct gdump_error *qemu_take_head(struct qemu *qemu, const struct qemu_head *head)
{
	CLEANUP_SOURCE struct source *elf = NULL;
	struct image *image = &qemu->source.image;
	struct gdump_error *err;
	struct bytes *bytes;

	err = bytes_memory_open(head->buf, head->size, &bytes);
	if (!err)
		err = format_elf.open(bytes, &elf);
	if (err)
		return error_prefix(err, "QEMU's dump of the CPUs");
	image->machine = elf->image.machine;
	image->is64 = elf->image.is64;
	image->big = elf->image.big;
	for (size_t i = 0; !err && i < elf->image.num_notes; i++) {
		const struct gdump_note *n = &elf->image.notes[i];

		err = image_add_note(image, n->name, n->type, n->desc, n->size);
	}
	return err;
}

/* The first bytes of memory came along with the CPUs' registers: compare. */
struct gdump_error *qemu_compare(struct qemu *qemu, const struct qemu_head *head)
{
	const struct qemu_load *load = head->loads;
	unsigned char ours[PROBE_SIZE];
	struct gdump_error *err;
	size_t len;

	if (!head->num_loads)
		return error_new(GDUMP_ERR_NODATA, "QEMU's dump has no memory to compare with");
	len = (size_t)MIN(load->size, (uint64_t)sizeof(ours));
	err = qemu_read(&qemu->source, load->paddr, ours, len);
	if (!err && memcmp(ours, head->buf + load->off, len))
		err = error_new(GDUMP_ERR_NODATA,
				"at 0x%" PRIx64 " QEMU's process has other memory than the guest",
				load->paddr);
	return err;
}

/* Where to look for the CPUs' registers: QEMU gives them with some memory only. */
struct qemu_extent qemu_probe_extent(const struct layout *layout)
{
	const struct slot *s = layout->slots;

	for (size_t i = 0; i < layout->num_slots; i++) {
		if (layout->slots[i].kind == GDUMP_RANGE_RAM) {
			s = &layout->slots[i];
			break;
		}
	}
	return (struct qemu_extent){ s->paddr, MIN(s->size, (uint64_t)PROBE_SIZE) };
}

/* A guest that ran on until now: what is known of its memory holds, its registers do
 * not.
 */
struct gdump_error *qemu_pause(struct source *s)
{
	struct qemu *qemu = (struct qemu *)s;
	CLEANUP_HEAD struct qemu_head head = { 0 };
	struct qemu now = { .source.image.num_notes = 0 };
	struct gdump_error *err;
	bool changed = false;

	if (qemu->guest.stopped)
		return NULL;
	err = guest_stop(&qemu->guest);
	qemu->still = !err;
	if (!err)
		err = layout_changed(qemu->guest.qmp, &qemu->layout, &changed);
	if (!err && changed)
		err = error_new(GDUMP_ERR_REMOTE,
				"the guest got other memory meanwhile: take the dump again");
	if (!err)
		err = qemu_dump_notes(qemu->guest.qmp, qemu_probe_extent(&qemu->layout), &head);
	if (!err)
		err = qemu_compare(qemu, &head);
	if (!err)
		err = qemu_take_head(&now, &head);
	if (!err && !image_renew_notes(&s->image, &now.source.image))
		err = error_new(GDUMP_ERR_REMOTE,
				"the guest got other CPUs meanwhile: take the dump again");
	image_deinit(&now.source.image);
	s->is_mutable = err;
	return err;
}

struct gdump_error *qemu_resume(struct source *s)
{
	struct qemu *qemu = (struct qemu *)s;
	struct gdump_error *err = NULL, *resume_err;

	/* if QEMU has not ended its dump yet, it says so again to our cont */
	gdump_error_destroy(qemu_stream_end(qemu));
	if (qemu->still)
		err = guest_check_still(&qemu->guest);
	qemu->still = false;
	resume_err = guest_resume(&qemu->guest);
	if (!resume_err)
		return err;
	gdump_error_destroy(err);
	return resume_err;
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
		snapshot_close(qemu);
		err = qemu_resume(s);
	}
	if (err)
		qemu_warn(&qemu->opt, "%s", gdump_error_message(err));
	protected_dump_free(qemu->whole);
	qemu_head_deinit(&qemu->head);
	procmem_close(qemu->mem);
	layout_deinit(&qemu->layout);
	qmp_close(qemu->guest.qmp);
	free(qemu);
}

const struct guest_ops qemu_guest_ops = {
	.resume = qemu_resume,
	.paused_us = qemu_paused_us,
};
