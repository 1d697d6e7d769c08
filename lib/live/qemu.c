/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu.c - a guest of QEMU
 *
 * Theory of operation.  What the guest's memory is comes from QEMU's monitor:
 * "info mtree -f" gives the guest-physical ranges, gpa2hva the addresses in
 * QEMU's process (see qemu_map.c).  The memory itself is then read from that
 * process (see procmem.c), by as many threads as there are.  The registers of
 * the CPUs and all else that travels as ELF notes is taken from a tiny dump of
 * QEMU's own, of one page (see qemu_dump.c); and that page must be the one that
 * we read ourselves, or else something is wrong with the addresses.
 *
 * Where reading the process is not allowed, or does not fit, QEMU dumps it all
 * (see qemu_indirect.c): slower, but it needs nothing but the monitor.
 *
 * What can be done before the guest is paused is done before; afterwards, the
 * memory map is checked to be still the same.
 */
#include "live.h"

#include <stdio.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/debug.h"
#include "../util/warn.h"
#include "guest_lock.h"
#include "libvirt_owner.h"
#include "qemu_direct.h"
#include "qemu_way.h"
#include "qmp_name.h"

struct gdump_error *qemu_connect(const char *where, const struct gdump_open_options *opt,
				 struct qmp **ret)
{
	CLEANUP_QMP_NAME struct qmp_name name = { 0 };
	CLEANUP_QMP struct qmp *qmp = NULL;
	struct gdump_error *err = qmp_name_parse(where, &name);

	if (!err)
		err = qmp_open(name.path, opt, &qmp);
	if (!err && name.pid)
		err = qmp_set_pid(qmp, (pid_t)name.pid);
	if (!err)
		err = libvirt_owner_check("", qmp_pid(qmp), opt);
	if (err)
		return err;
	debug_log(qmp_debug(qmp), GDUMP_DEBUG_STEP, "this is QEMU %s, process %d", qmp_version(qmp),
		  (int)qmp_pid(qmp));
	*ret = TAKE_PTR(qmp);
	return NULL;
}

/* Go the slow way, and say why. */
static void qemu_fall_back(struct qemu *qemu, struct gdump_error *why)
{
	warn_caller(&qemu->opt, "QEMU itself must read the guest's memory, which is slower: %s",
		    gdump_error_message(why));
	debug_log(&qemu->source.debug, GDUMP_DEBUG_STEP, "QEMU's process is not read: %s",
		  gdump_error_message(why));
	gdump_error_destroy(why);
	direct_detach(qemu);
}

/* Whether @err is about reading QEMU's process, and not about QEMU itself */
static bool qemu_can_fall_back(const struct gdump_error *err)
{
	return gdump_error_code(err) == GDUMP_ERR_OS || gdump_error_code(err) == GDUMP_ERR_NODATA;
}

static struct gdump_error *qemu_find_memory(struct qemu *qemu)
{
	struct gdump_error *err;

	direct_detach(qemu);
	qemu_map_deinit(&qemu->map);
	err = qemu_map_read(qemu->guest.qmp, &qemu->opt, &qemu->map);
	if (err || qemu->opt.no_direct || qemu->guest.may_be_protected)
		return err;
	err = direct_attach(qemu);
	if (err && qemu_can_fall_back(err)) {
		qemu_fall_back(qemu, err);
		err = NULL;
	}
	return err;
}

/* The ways to read a guest, the best one first; the last one always works. */
static const struct qemu_way *const ways[] = {
	&qemu_way_snapshot, &qemu_way_protected, &qemu_way_process, &qemu_way_indirect,
};

static struct gdump_error *qemu_choose(struct qemu *qemu)
{
	struct gdump_error *err = NULL;
	const char *unfit;

	for (size_t i = 0; !err && i < ARRAY_SIZE(ways); i++) {
		unfit = NULL;
		if (ways[i]->prepare)
			err = ways[i]->prepare(qemu, &unfit);
		if (!err && !unfit) {
			qemu_use(qemu, ways[i]);
			break;
		}
		debug_log(&qemu->source.debug, GDUMP_DEBUG_STEP, "the guest is not read by %s: %s",
			  ways[i]->name, err ? gdump_error_message(err) : unfit);
	}
	return err;
}

/* Pause the guest; if its memory map has changed until that moment, choose again. */
static struct gdump_error *qemu_pause_early(struct qemu *qemu)
{
	bool changed = false;
	struct gdump_error *err = qemu_pause(qemu, &changed);

	if (err || !changed)
		return err;
	err = qemu_find_memory(qemu);
	return err ? err : qemu_choose(qemu);
}

/* Begin the way that was chosen, or else one that does without QEMU's process. */
static struct gdump_error *qemu_begin_way(struct qemu *qemu)
{
	struct gdump_error *err = qemu->way->begin(qemu);

	if (!err || !qemu->mem || qemu->way->live || !qemu_can_fall_back(err))
		return err;
	qemu_fall_back(qemu, err);
	err = qemu_choose(qemu);
	return err ? err : qemu->way->begin(qemu);
}

/* The text that @command returns as @key; "" if QEMU does not know it. */
static struct gdump_error *qemu_ask(struct qemu *qemu, const char *command, const char *key,
				    char *ret, size_t size)
{
	CLEANUP_JSON json_t *value = NULL;
	struct gdump_error *err = qmp_execute(qemu->guest.qmp, command, NULL, &value);
	const char *text = err ? NULL : json_string_value(json_object_get(value, key));

	snprintf(ret, size, "%s", text ? text : "");
	if (!err || !qmp_refusal(qemu->guest.qmp))
		return err;
	gdump_error_destroy(err);
	return NULL;
}

/* For the metadata: which guest this is. */
static struct gdump_error *qemu_identify(struct qemu *qemu)
{
	struct image *image = &qemu->source.image;
	struct gdump_error *err;

	err = qemu_ask(qemu, "query-name", "name", image->guest, sizeof(image->guest));
	if (!err)
		err = qemu_ask(qemu, "query-uuid", "UUID", image->uuid, sizeof(image->uuid));
	/* it is zero if the guest has none */
	if (!image->uuid[strspn(image->uuid, "0-")])
		image->uuid[0] = '\0';
	snprintf(image->vmm, sizeof(image->vmm), "QEMU %s", qmp_version(qemu->guest.qmp));
	return err;
}

static struct gdump_error *qemu_fill_image(struct qemu *qemu)
{
	struct image *image = &qemu->source.image;
	struct gdump_error *err = memory_map_to_image(&qemu->map.memory, image);

	snprintf(image->detail, sizeof(image->detail), "QEMU %s, process %d",
		 qmp_version(qemu->guest.qmp), (int)qmp_pid(qemu->guest.qmp));
	return err ? err : image_seal(image);
}

static struct gdump_error *qemu_begin(struct qemu *qemu)
{
	struct source *s = &qemu->source;
	struct gdump_error *err = NULL;

	if (qemu->opt.pause_guest)
		err = guest_lock_take(qmp_pid(qemu->guest.qmp), &qemu->lock);
	if (!err)
		err = guest_check(&qemu->guest);
	if (!err && qemu->opt.metadata)
		err = qemu_identify(qemu);
	if (!err)
		err = qemu_find_memory(qemu);
	if (!err)
		err = qemu_choose(qemu);
	if (err)
		return err;
	s->was_running = qemu->guest.state == GUEST_RUNNING;
	snprintf(s->run_state, sizeof(s->run_state), "%s", qemu->guest.run_state);
	s->is_mutable = s->was_running && (!qemu->opt.pause_guest || qemu->way->live);
	if (s->was_running && qemu->mem && qemu->opt.pause_guest && qemu->opt.before_pause &&
	    qemu->opt.before_pause(qemu->opt.before_pause_arg, memory_map_size(&qemu->map.memory)))
		return error_new(GDUMP_ERR_CANCELED, "canceled before the guest was paused");
	if (!s->is_mutable && qemu->opt.pause_guest)
		err = qemu_pause_early(qemu);
	if (!err)
		err = qemu_begin_way(qemu);
	return err ? err : qemu_fill_image(qemu);
}

/* Open the guest of @qmp, which belongs to the source from now on unless @keeps_qmp. */
static struct gdump_error *qemu_open_of(struct qmp *qmp, bool keeps_qmp,
					const struct gdump_open_options *opt, struct source **ret)
{
	CLEANUP_SOURCE struct source *s = NULL;
	struct qemu *qemu = calloc(1, sizeof(*qemu));
	struct gdump_error *err;

	if (!qemu) {
		if (!keeps_qmp)
			qmp_close(qmp);
		return error_nomem();
	}
	s = &qemu->source;
	source_init(s, &qemu_ops);
	s->debug = debug_of(opt);
	qemu->opt = *opt;
	qemu->keeps_qmp = keeps_qmp;
	qemu->lock = -1;
	qemu->guest.qmp = qmp;
	qemu->guest.guard_fd = opt->guard_fd;
	qemu->guest.limit = pause_limit_of(opt);
	qemu->guest.allow_encrypted = opt->allow_encrypted;
	err = qemu_begin(qemu);
	if (err)
		return err;
	/* from here on, the monitor is used by whatever thread reads or closes */
	qmp_ignore_cancel(qemu->guest.qmp);
	*ret = TAKE_PTR(s);
	return NULL;
}

struct gdump_error *qemu_open(const char *path, const struct gdump_open_options *opt,
			      struct source **ret)
{
	struct qmp *qmp;
	struct gdump_error *err = qemu_connect(path, opt, &qmp);

	return err ? err : qemu_open_of(qmp, false, opt, ret);
}

struct gdump_error *qemu_open_watched(struct qmp *qmp, const struct gdump_open_options *opt,
				      struct source **ret)
{
	return qemu_open_of(qmp, true, opt, ret);
}
