/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch.c - watch a running guest by its name
 */
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "dump.h"
#include "live/guest_watch.h"
#include "live/live.h"
#include "util/bits.h"

struct gdump_watch {
	char *where;
	struct guest_watch *guest;
};

static struct gdump_error *watch_unnamed(const char *where)
{
	struct gdump_error *err = guest_name_unknown(where);

	return err ? err : error_new(GDUMP_ERR_USAGE, "this is not a running guest");
}

struct gdump_error *gdump_watch_open(const char *where, const struct gdump_open_options *options,
				     struct gdump_watch **ret)
{
	const struct guest_scheme *scheme = guest_scheme_of(where);
	struct gdump_watch *w = calloc(1, sizeof(*w));
	struct gdump_open_options opt;
	struct gdump_error *err = w ? open_options_take(&opt, options) : error_nomem();

	if (!err) {
		w->where = strdup(where);
		err = w->where ? NULL : error_nomem();
	}
	if (!err && !scheme)
		err = watch_unnamed(where);
	else if (!err && !scheme->watch)
		err = error_new(GDUMP_ERR_UNSUPPORTED, "guests of this kind cannot be watched");
	if (!err)
		err = scheme->watch(where + strlen(scheme->prefix), &opt, &w->guest);
	if (err) {
		gdump_watch_close(w);
		return error_prefix(err, "%s", where);
	}
	*ret = w;
	return NULL;
}

void gdump_watch_close(struct gdump_watch *w)
{
	if (!w)
		return;
	if (w->guest)
		w->guest->ops->close(w->guest);
	free(w->where);
	free(w);
}

int gdump_watch_fd(const struct gdump_watch *w)
{
	return w->guest->fd;
}

struct gdump_error *gdump_watch_next(struct gdump_watch *w, struct gdump_event *ret)
{
	struct gdump_event event = { .size = sizeof(event) };
	struct gdump_error *err;

	err = args_check(ret, ARGS_LEAST(struct gdump_event, type), "gdump_event");
	if (!err && !guest_watch_take(w->guest, &event)) {
		err = w->guest->ops->listen(w->guest);
		if (!err)
			guest_watch_take(w->guest, &event);
	}
	if (err)
		return error_prefix(err, "%s", w->where);
	args_return(ret, &event, sizeof(event));
	return NULL;
}

struct gdump_error *gdump_watch_image(struct gdump_watch *w, const struct gdump_open_options *options,
				      struct gdump **ret)
{
	struct gdump_open_options opt;
	struct source *source;
	struct gdump_error *err;

	if (!w->guest->ops->open)
		return gdump_open(w->where, options, ret);
	err = open_options_take(&opt, options);
	if (!err)
		err = w->guest->ops->open(w->guest, &opt, &source);
	return err ? error_prefix(err, "%s", w->where) : gdump_open_source(w->where, source, &opt, ret);
}

/* Do one of the things that a way to watch may not be able to do. */
static struct gdump_error *watch_act(struct gdump_watch *w,
				     struct gdump_error *(*act)(struct guest_watch *), const char *what)
{
	struct gdump_error *err = act ? act(w->guest) :
		error_new(GDUMP_ERR_UNSUPPORTED, "cannot %s the guest: that needs the help of its hypervisor",
			  what);

	return error_prefix(err, "%s", w->where);
}

struct gdump_error *gdump_watch_resume(struct gdump_watch *w)
{
	return watch_act(w, w->guest->ops->resume, "resume");
}

struct gdump_error *gdump_watch_reset(struct gdump_watch *w)
{
	return watch_act(w, w->guest->ops->reset, "reset");
}
