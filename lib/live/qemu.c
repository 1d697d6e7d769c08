/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu.c - a guest of QEMU
 *
 * Theory of operation.  What the guest's memory is comes from QEMU's monitor:
 * "info mtree -f" gives the guest-physical ranges, gpa2hva the addresses in
 * QEMU's process (see layout.c).  The memory itself is then read from that
 * process (see procmem.c), by as many threads as there are.  The registers of
 * the CPUs and all else that travels as ELF notes is taken from a tiny dump of
 * QEMU's own, of one page (see qemu_dump.c); and that page must be the one that
 * we read ourselves, or else something is wrong with the addresses.
 *
 * Where reading the process is not allowed, or does not fit, QEMU dumps it all
 * (see qemu_stream.c): slower, but it needs nothing but the monitor.
 *
 * The guest stands still from guest_stop() on.  What can be done before is done
 * before; afterwards it is checked that the memory map is still the same.
 */
#include "qemu.h"

#include <stdio.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/cleanup.h"
#include "live.h"
#include "qemu_direct.h"

/* "PATH" or "PATH,pid=N" */
static struct gdump_error *qemu_connect(struct qemu *qemu, const char *where)
{
	CLEANUP_FREE char *path = strdup(where);
	char *pid = path ? strrchr(path, ',') : NULL;
	struct gdump_error *err;
	long num = 0;

	if (!path)
		return error_nomem();
	if (pid && !strncmp(pid, ",pid=", 5) && pid[5] && !pid[5 + strspn(pid + 5, "0123456789")]) {
		num = strtol(pid + 5, NULL, 10);
		*pid = '\0';
		if (num <= 0 || num > INT32_MAX)
			return error_new(GDUMP_ERR_USAGE, "there is no process %s", pid + 5);
	}
	err = qmp_open(path, &qemu->opt, &qemu->guest.qmp);
	if (!err && num)
		err = qmp_set_pid(qemu->guest.qmp, (pid_t)num);
	return err;
}

/* Go the slow way, and say why. */
static void qemu_fall_back(struct qemu *qemu, struct gdump_error *why)
{
	qemu_warn(&qemu->opt, "QEMU itself must read the guest's memory, which is slower: %s",
		  gdump_error_message(why));
	gdump_error_destroy(why);
	procmem_close(qemu->mem);
	qemu->mem = NULL;
}

/* Whether @err is about reading QEMU's process, and not about QEMU itself */
static bool qemu_can_fall_back(const struct gdump_error *err)
{
	return gdump_error_code(err) == GDUMP_ERR_OS || gdump_error_code(err) == GDUMP_ERR_NODATA;
}

static struct gdump_error *qemu_find_memory(struct qemu *qemu)
{
	struct gdump_error *err;

	procmem_close(qemu->mem);
	qemu->mem = NULL;
	layout_deinit(&qemu->layout);
	err = layout_read(qemu->guest.qmp, &qemu->opt, &qemu->layout);
	if (err || qemu->opt.no_direct)
		return err;
	err = qemu_attach(qemu);
	if (err && qemu_can_fall_back(err)) {
		qemu_fall_back(qemu, err);
		err = NULL;
	}
	return err;
}

/* Stop the guest; its memory map may have changed until that moment. */
static struct gdump_error *qemu_stop(struct qemu *qemu)
{
	struct gdump_error *err;
	bool changed;

	err = guest_stop(&qemu->guest);
	qemu->still = !err;
	if (!err)
		err = layout_changed(qemu->guest.qmp, &qemu->layout, &changed);
	if (!err && changed)
		err = qemu_find_memory(qemu);
	return err;
}

static struct gdump_error *qemu_find_cpus(struct qemu *qemu)
{
	CLEANUP_HEAD struct qemu_head head = { 0 };
	struct gdump_error *err;

	err = layout_plugged(qemu->guest.qmp, &qemu->layout);
	if (!err && !qemu->layout.num_slots)
		err = error_new(GDUMP_ERR_REMOTE, "QEMU has no memory of this guest");
	if (!err)
		err = qemu_dump_notes(qemu->guest.qmp, qemu_probe_extent(&qemu->layout), &head);
	if (err)
		return err;
	/* in a running guest they may well differ */
	if (!qemu->source.is_mutable)
		err = qemu_compare(qemu, &head);
	return err ? err : qemu_take_head(qemu, &head);
}

static struct gdump_error *qemu_fill_image(struct qemu *qemu)
{
	struct image *image = &qemu->source.image;
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < qemu->layout.num_slots; i++) {
		const struct slot *s = &qemu->layout.slots[i];

		err = image_add_range(image, s->paddr, s->size, s->kind);
	}
	snprintf(image->detail, sizeof(image->detail), "QEMU %s, process %d",
		 qmp_version(qemu->guest.qmp), (int)qmp_pid(qemu->guest.qmp));
	return err ? err : image_seal(image);
}

/* Get ready for a snapshot, if one is wanted and makes sense: a guest that does
 * not run anyway need not.
 */
static struct gdump_error *qemu_try_live(struct qemu *qemu)
{
	struct gdump_error *err = NULL;

	if (qemu->opt.live == GDUMP_LIVE_NO || !qemu->opt.pause_guest || !qemu->guest.running)
		return NULL;
	if (qemu->mem)
		err = snapshot_prepare(qemu);
	else
		err = error_new(GDUMP_ERR_REMOTE,
				"a snapshot of the running guest: its memory cannot be read directly");
	if (!err) {
		qemu->source.ops = &qemu_live_ops;
		return NULL;
	}
	snapshot_close(qemu);
	if (qemu->opt.live == GDUMP_LIVE_YES)
		return err;
	qemu_warn(&qemu->opt, "the guest is paused until its memory is read: %s",
		  gdump_error_message(err));
	gdump_error_destroy(err);
	return NULL;
}

/* The firmware gives a dump of all of a protected guest to QEMU, or none. */
static struct gdump_error *qemu_expect_protected(struct qemu *qemu)
{
	qemu->opt.no_direct = true;
	if (qemu->opt.pause_guest && !qemu->opt.length)
		return NULL;
	return error_new(qemu->opt.length ? GDUMP_ERR_USAGE : GDUMP_ERR_PROTECTED,
			 "the guest may be protected (IBM Secure Execution): it can be dumped as a whole, and while it stands still; there is no other way to look at it");
}

static struct gdump_error *qemu_begin(struct qemu *qemu)
{
	struct gdump_error *err;

	err = guest_check(&qemu->guest);
	if (!err && qemu->guest.may_be_protected)
		err = qemu_expect_protected(qemu);
	if (!err)
		err = qemu_find_memory(qemu);
	if (!err)
		err = qemu_try_live(qemu);
	qemu->source.was_running = qemu->guest.running;
	qemu->source.is_mutable = qemu->guest.running && (!qemu->opt.pause_guest || qemu->snapshot);
	if (!err && !qemu->source.is_mutable && qemu->opt.pause_guest)
		err = qemu_stop(qemu);
	if (!err && qemu->mem)
		err = qemu_find_cpus(qemu);
	if (err && qemu->mem && !qemu->snapshot && qemu_can_fall_back(err)) {
		qemu_fall_back(qemu, err);
		err = NULL;
	}
	if (!err && !qemu->mem) {
		qemu->source.ops = &qemu_stream_ops;
		err = qemu_stream_begin(qemu);
	}
	if (!err)
		err = qemu_fill_image(qemu);
	return err || !qemu->guest.may_be_protected ? err : qemu_protect(qemu);
}

struct gdump_error *qemu_open(const char *path, const struct gdump_open_options *opt,
			      struct source **ret)
{
	CLEANUP_SOURCE struct source *s = NULL;
	struct qemu *qemu = calloc(1, sizeof(*qemu));
	struct gdump_error *err;

	if (!qemu)
		return error_nomem();
	s = &qemu->source;
	source_init(s, &qemu_ops);
	qemu->opt = *opt;
	qemu->guest.guard_fd = opt->guard_fd;
	qemu->guest.allow_encrypted = opt->allow_encrypted;
	err = qemu_connect(qemu, path);
	if (!err)
		err = qemu_begin(qemu);
	if (err)
		return err;
	/* from here on, the monitor is used by whatever thread reads or closes */
	qmp_ignore_cancel(qemu->guest.qmp);
	*ret = TAKE_PTR(s);
	return NULL;
}
