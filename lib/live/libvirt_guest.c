/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_guest.c - a guest of libvirt, by its name
 *
 * Theory of operation.  QEMU's monitor belongs to libvirt, so libvirt is asked for all: for a dump
 * of its own into a pipe of ours, which pauses the guest for as long as we keep the pipe open and
 * gives the exact registers (see libvirt_dump.c), and for where the guest's memory is.  The memory
 * is read from QEMU's process, as fast as for a guest of qmp:.  Who may not read that process gets
 * it from libvirt (see libvirt_memory.c).
 *
 * It is a job of libvirt's own, so that no version of it minds; the same command through its
 * monitor would crash libvirtd 8.1 to 9.10 (see libvirt_owner.c).  The guard has the pipe as well, in
 * case we are killed or stopped.
 */
#include "libvirt_guest.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../arch/arch.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "../util/debug.h"
#include "../util/warn.h"
#include "guest_lock.h"
#include "libvirt_open.h"
#include "live.h"
#include "qemu_guest.h"

enum {
	RESUME_US = 40000000,           /* libvirtd may just be starting again  */
	PATIENCE_US = 2000000,          /* until we resume the guest            */
	NAP_MS = 50,
};

/* --- resuming --- */

/* Whether the guest runs; connects again if libvirtd has ended. */
static bool libvirt_runs(struct libvirt_guest *g, bool resume)
{
	CLEANUP_ERROR struct gdump_error *err = NULL;
	int state = 0;

	if (!g->asks.dom)
		err = domain_open(g->uri, g->name, g->opt.timeout_ms, &g->asks);
	if (!err)
		err = domain_state(&g->asks, &state);
	if (err && g->asks.dom)
		domain_close(&g->asks);
	if (!err && state == DOMAIN_PAUSED && resume)
		err = domain_resume(&g->asks);
	return !err && state != DOMAIN_PAUSED;
}

/* libvirt resumes the guest when its dump has ended; wait for that, and help if it does not. */
static struct gdump_error *libvirt_await_running(struct libvirt_guest *g)
{
	const uint64_t began = clock_us();

	while (!libvirt_runs(g, clock_us() - began > PATIENCE_US)) {
		if (clock_us() - began > RESUME_US)
			return error_new(GDUMP_ERR_REMOTE,
					 "the guest may still be paused and could not be resumed: try \"virsh resume %s\"",
					 g->name);
		poll(NULL, 0, NAP_MS);
	}
	return NULL;
}

static struct gdump_error *libvirt_torn(struct source *s)
{
	struct libvirt_guest *g = (struct libvirt_guest *)s;
	struct gdump_error *err = guest_torn(&g->guarded);

	return err || !g->dump ? err : libvirt_dump_lost(g->dump);
}

/* From the beginning of the dump until now, or until the guard resumed the guest */
static uint64_t libvirt_pause_length(struct libvirt_guest *g)
{
	g->guarded.state = GUEST_PAUSED;
	g->guarded.pause_us = g->pause_us;
	gdump_error_destroy(guest_await_guard(&g->guarded));
	return g->guarded.state == GUEST_RUNNING ? g->guarded.paused_us : clock_us() - g->pause_us;
}

static struct gdump_error *libvirt_resume(struct source *s)
{
	struct libvirt_guest *g = (struct libvirt_guest *)s;
	struct gdump_error *err, *lost;

	if (!g->dump)
		return NULL;
	/* what the guard did need not be reported again */
	lost = g->guarded.torn ? NULL : libvirt_torn(s);
	libvirt_dump_end(g->dump);
	g->dump = NULL;
	err = s->was_running ? libvirt_await_running(g) : NULL;
	g->paused_us += s->was_running ? libvirt_pause_length(g) : 0;
	s->is_mutable |= s->was_running;
	debug_log(&s->debug, GDUMP_DEBUG_STEP, "libvirt's dump has ended, after %.1f ms",
		  (double)(clock_us() - g->pause_us) / 1000);
	if (!err)
		return lost;
	gdump_error_destroy(lost);
	return err;
}

static uint64_t libvirt_paused_us(const struct source *s)
{
	const struct libvirt_guest *g = (const struct libvirt_guest *)s;

	return g->paused_us + (g->dump && s->was_running ? clock_us() - g->pause_us : 0);
}

static struct gdump_error *libvirt_overdue(struct source *s, uint64_t progress)
{
	struct libvirt_guest *g = (struct libvirt_guest *)s;

	if (pause_limit_note(&g->limit, progress))
		guest_alive(&g->guarded);
	return g->dump && s->was_running ? pause_limit_check(&g->limit, clock_us() - g->pause_us) : NULL;
}

static void libvirt_close(struct source *s)
{
	struct libvirt_guest *g = (struct libvirt_guest *)s;
	CLEANUP_ERROR struct gdump_error *err = libvirt_resume(s);

	if (err)
		warn_caller(&g->opt, "%s", gdump_error_message(err));
	libvirt_memory_deinit(g);
	qmp_close(g->qmp);
	domain_close(&g->dumps);
	domain_close(&g->asks);
	if (g->lock >= 0)
		close(g->lock);
	free(g->uri);
	free(g->name);
	free(g);
}

static const struct guest_ops libvirt_guest_ops = {
	.resume = libvirt_resume,
	.paused_us = libvirt_paused_us,
	.overdue = libvirt_overdue,
	.torn = libvirt_torn,
};

static const struct source_ops libvirt_direct_ops = {
	.name = "libvirt",
	.read = libvirt_direct_read,
	.scan = libvirt_direct_scan,
	.borrow = libvirt_direct_borrow,
	.guest = &libvirt_guest_ops,
	.close = libvirt_close,
};

static const struct source_ops libvirt_indirect_ops = {
	.name = "libvirt",
	.order = READ_ASCENDING,
	.read = libvirt_indirect_read,
	.guest = &libvirt_guest_ops,
	.close = libvirt_close,
};

/* --- opening --- */

static struct gdump_error *libvirt_carry(void *arg, const char *line, char **answer)
{
	return domain_qmp(&((struct libvirt_guest *)arg)->asks, line, answer);
}

/* Whether the guest can be dumped at all */
static struct gdump_error *libvirt_check(struct libvirt_guest *g)
{
	struct guest guest = { .allow_encrypted = g->opt.allow_encrypted };
	struct gdump_error *err;
	int state;

	err = domain_state(&g->asks, &state);
	if (!err && state != DOMAIN_RUNNING && state != DOMAIN_PAUSED && state != DOMAIN_CRASHED)
		err = error_new(GDUMP_ERR_REMOTE, "libvirt says that the guest is not running");
	if (!err)
		err = qmp_open_carried(&(struct qmp_carrier){ libvirt_carry, g }, &g->opt, &g->qmp);
	guest.qmp = g->qmp;
	if (!err)
		err = guest_check(&guest);
	if (!err && guest.may_be_protected)
		err = error_new(GDUMP_ERR_UNSUPPORTED,
				"a protected guest cannot be dumped through libvirt: give QEMU a second -qmp and use that");
	if (!err)
		g->source.was_running = guest.state == GUEST_RUNNING;
	return err;
}

/* libvirt reads the memory, for the reason @why. */
static void libvirt_fall_back(struct libvirt_guest *g, struct gdump_error *why)
{
	if (why)
		warn_caller(&g->opt, "libvirt itself must read the guest's memory, which is slower: %s",
			    gdump_error_message(why));
	gdump_error_destroy(why);
	libvirt_memory_detach(g);
	g->source.ops = &libvirt_indirect_ops;
}

static bool libvirt_can_fall_back(const struct gdump_error *err)
{
	return gdump_error_code(err) == GDUMP_ERR_OS || gdump_error_code(err) == GDUMP_ERR_NODATA;
}

static struct gdump_error *libvirt_find_memory(struct libvirt_guest *g)
{
	struct gdump_error *err = NULL;

	if (!g->opt.no_direct)
		err = libvirt_memory_attach(g);
	if (err && !libvirt_can_fall_back(err))
		return err;
	if (err || g->opt.no_direct)
		libvirt_fall_back(g, err);
	else
		g->source.ops = &libvirt_direct_ops;
	return NULL;
}

/* The session daemon runs as our user, and must be able to open our pipe. */
static struct gdump_error *libvirt_check_pipe(const struct libvirt_guest *g)
{
	if (!geteuid() || !strstr(g->uri, "session") || prctl(PR_GET_DUMPABLE))
		return NULL;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "libvirt's session daemon cannot open a pipe of a confined program (--no-confine)");
}

static struct gdump_error *libvirt_start(struct libvirt_guest *g)
{
	struct gdump_error *err = libvirt_check_pipe(g);

	g->pause_us = clock_us();
	if (!err)
		err = libvirt_dump_start(&g->dumps, &g->opt, !g->mem, &g->guarded, &g->dump);
	if (!err)
		debug_log(&g->source.debug, GDUMP_DEBUG_STEP,
			  "the guest is paused by libvirt's dump, which began %.1f ms ago",
			  (double)(clock_us() - g->pause_us) / 1000);
	return err;
}

/* While the guest is paused: see to it that what is known of its memory is right. */
static struct gdump_error *libvirt_check_memory(struct libvirt_guest *g)
{
	bool changed = false;
	struct gdump_error *err = qemu_map_changed(g->qmp, &g->map, &changed);

	if (!err && changed)
		err = libvirt_memory_attach(g);
	if (!err)
		err = libvirt_memory_compare(g);
	if (!err)
		err = qemu_map_clip(&g->map, (struct qemu_extent){ 0 }, libvirt_dump_head(g->dump));
	return err;
}

/* Pause the guest, and take what the image needs. */
static struct gdump_error *libvirt_take(struct libvirt_guest *g)
{
	struct gdump_error *err = libvirt_start(g);

	if (!err && g->mem) {
		err = libvirt_check_memory(g);
		if (err && libvirt_can_fall_back(err)) {
			libvirt_fall_back(g, err);
			err = libvirt_resume(&g->source);
			g->source.is_mutable = false;
			if (!err)
				err = libvirt_start(g);
		}
	}
	if (!err && !g->mem)
		err = libvirt_memory_of_dump(g);
	if (!err)
		err = qemu_take_head(&g->source.image, libvirt_dump_head(g->dump));
	if (!err && !g->opt.pause_guest)
		err = libvirt_resume(&g->source);
	return err;
}

static struct gdump_error *libvirt_fill_image(struct libvirt_guest *g)
{
	struct image *image = &g->source.image;
	struct gdump_error *err = memory_map_to_image(&g->map.memory, image);
	char by[40] = "";

	if (g->dumps.version)
		snprintf(by, sizeof(by), " %lu.%lu.%lu", g->dumps.version / 1000000,
			 g->dumps.version / 1000 % 1000, g->dumps.version % 1000);
	if (g->opt.metadata) {
		snprintf(image->vmm, sizeof(image->vmm), "QEMU %s", qmp_version(g->qmp));
		snprintf(image->guest, sizeof(image->guest), "%.255s", g->name);
	}
	snprintf(image->detail, sizeof(image->detail), "QEMU %.40s, process %d, of libvirt%s",
		 qmp_version(g->qmp), (int)g->pid, by);
	return err ? err : image_seal(image);
}

/* What of the options cannot be had */
static struct gdump_error *libvirt_check_options(const struct libvirt_guest *g)
{
	static const char no_live[] = "--live does not work through libvirt: it needs a QMP socket that libvirt does not use";

	if (!g->opt.pause_guest || g->opt.live == GDUMP_LIVE_NO)
		return NULL;
	if (g->opt.live == GDUMP_LIVE_YES)
		return error_new(GDUMP_ERR_REMOTE, "%s", no_live);
	warn_caller(&g->opt, "the guest is paused: %s", no_live);
	return NULL;
}

static struct gdump_error *libvirt_begin(struct libvirt_guest *g)
{
	struct gdump_error *err = libvirt_check_options(g);

	if (!err)
		err = domain_open(g->uri, g->name, g->opt.timeout_ms, &g->asks);
	if (!err)
		err = domain_open(g->uri, g->name, g->opt.timeout_ms, &g->dumps);
	if (!err)
		err = libvirt_check(g);
	if (!err)
		err = libvirt_find_memory(g);
	if (!err && g->opt.pause_guest)
		err = guest_lock_take(g->pid, &g->lock);
	if (err)
		return err;
	if (g->source.was_running && g->mem && g->opt.pause_guest && g->opt.before_pause &&
	    g->opt.before_pause(g->opt.before_pause_arg, memory_map_size(&g->map.memory)))
		return error_new(GDUMP_ERR_CANCELED, "canceled before the guest was paused");
	err = libvirt_take(g);
	return err ? err : libvirt_fill_image(g);
}

/* Memory and pipe of a guest on another host are not here. */
static struct gdump_error *libvirt_check_uri(const char *uri)
{
	const char *host = strstr(uri, "://");

	if (strncmp(uri, "qemu", 4))
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "%s: only guests of QEMU (qemu:///...) can be dumped", uri);
	if (!host || host[3] == '/')
		return NULL;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "%s is on another host: run guestdump there, as in: ssh HOST guestdump dump libvirt:NAME - >FILE",
			 uri);
}

/* Open the guest @name of @uri; both are taken over, and NULL if there is no memory. */
static struct gdump_error *libvirt_guest_open_at(char *uri, char *name,
						 const struct gdump_open_options *opt,
						 struct source **ret)
{
	CLEANUP_SOURCE struct source *s = NULL;
	struct libvirt_guest *g = calloc(1, sizeof(*g));
	struct gdump_error *err;

	if (!g || !uri || !name) {
		free(g);
		free(uri);
		free(name);
		return error_nomem();
	}
	s = &g->source;
	source_init(s, &libvirt_indirect_ops);
	g->uri = uri;
	g->name = name;
	s->debug = debug_of(opt);
	g->opt = *opt;
	g->lock = -1;
	g->limit = pause_limit_of(opt);
	g->guarded = (struct guest){ .guard_fd = opt->guard_fd, .limit = g->limit };
	err = *name ? libvirt_check_uri(uri) :
		      error_new(GDUMP_ERR_USAGE, "the name of the guest is missing, as in libvirt:web1");
	if (!err)
		err = libvirt_begin(g);
	if (!err)
		*ret = TAKE_PTR(s);
	return err;
}

struct gdump_error *libvirt_guest_open(const char *name, const struct gdump_open_options *opt,
				 struct source **ret)
{
	return libvirt_guest_open_at(strdup("qemu:///system"), strdup(name), opt, ret);
}

struct gdump_error *libvirt_split_name(const char *where, char **uri, const char **name)
{
	const char *colon = strrchr(where, ':');

	if (!colon || !strncmp(colon, "://", 3))
		return error_new(GDUMP_ERR_USAGE,
				 "the name of the guest is missing, as in libvirt+qemu:///session:web1");
	*uri = strndup(where, (size_t)(colon - where));
	*name = colon + 1;
	return *uri ? NULL : error_nomem();
}

struct gdump_error *libvirt_guest_open_uri(const char *where, const struct gdump_open_options *opt,
				     struct source **ret)
{
	const char *name;
	char *uri;
	struct gdump_error *err = libvirt_split_name(where, &uri, &name);

	return err ? err : libvirt_guest_open_at(uri, strdup(name), opt, ret);
}
