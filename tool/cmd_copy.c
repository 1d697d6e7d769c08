/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cmd_copy.c - dump and convert: from a guest or a file to a file
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "confine.h"
#include "copy.h"
#include "failure.h"
#include "jobs.h"
#include "origin.h"
#include "plan.h"
#include "progress.h"
#include "store.h"

/* Plan what the output will hold. */
static struct gdump_error *make_plan(const struct copy *c, struct gdump *g, unsigned int level,
				     struct gdump_plan **ret)
{
	struct gdump_error *err = gdump_plan_create(g, level, ret);

	if (err)
		return err;
	err = gdump_plan_fit(g, *ret, &c->args->write);
	if (err)
		gdump_plan_destroy(*ret);
	return err;
}

/* OUTPUT as the library needs it: a URL with its secrets */
static const char *copy_target(const struct copy *c)
{
	return is_object(c->to) ? c->args->words[c->args->num_words - 1] : c->to;
}

static struct gdump_error *write_level(struct copy *c, struct gdump *g, unsigned int level)
{
	struct gdump_plan *plan;
	struct gdump_error *err = make_plan(c, g, level, &plan);

	if (err)
		return err;
	say_plan(g, plan, level);
	c->unfiltered = plan_is_unfiltered(plan, level);
	c->planned = gdump_plan_kept(plan);
	err = (c->args->detach ? detach_write : gdump_write)(g, plan, copy_target(c), &c->args->write);
	gdump_plan_destroy(plan);
	return err;
}

static void forget_result(struct copy *c)
{
	gdump_result_deinit(&c->result);
	c->result = (struct gdump_result){ .size = sizeof(c->result) };
}

/* Remove a partial dump, to make room for the next attempt. */
static void unlink_partial(const struct copy *c)
{
	char path[PATH_MAX];

	if (c->result.partial_path)
		unlink(c->result.partial_path);
	for (unsigned int i = 1; c->result.partial_path && i <= c->args->write.split; i++) {
		snprintf(path, sizeof(path), "%s-%u.incomplete", c->to, i);
		unlink(path);
	}
}

static bool is_too_large(const struct gdump_error *err)
{
	const int errnum = gdump_error_errno(err);

	return errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG;
}

/* Try one level after the other until a dump fits on the disk. */
static struct gdump_error *write_levels(struct copy *c, struct gdump *g)
{
	const struct level_list *list = &c->args->levels;
	struct gdump_error *err = NULL;

	for (size_t i = 0; i < list->num; i++) {
		const bool last = i + 1 == list->num;

		/* keep the guest paused, so that the next attempt shows the same moment */
		c->args->write.resume_guest = last;
		err = write_level(c, g, list->levels[i]);
		if (!err || last || !is_too_large(err))
			return err;
		say("%s; trying level %u", gdump_error_message(err), list->levels[i + 1]);
		gdump_error_destroy(err);
		unlink_partial(c);
		forget_result(c);
	}
	return err;
}

/* Report what would be written. */
static int dry_run(struct copy *c, struct gdump *g)
{
	const unsigned int level = c->args->levels.levels[0];
	struct gdump_plan *plan;
	struct gdump_error *err = make_plan(c, g, level, &plan);
	uint64_t bytes;

	if (err)
		return fail(err);
	say_plan(g, plan, level);
	c->unfiltered = plan_is_unfiltered(plan, level);
	err = gdump_estimate(g, plan, &c->args->write, &bytes);
	if (!err)
		copy_report_estimate(c->from, plan, gdump_info(g), bytes);
	gdump_plan_destroy(plan);
	return finish_stdout(err ? fail(err) : c->unfiltered ? EXIT_UNFILTERED : EXIT_DONE);
}

/* A gdump_write_options.resume_now: before Ctrl-Z stops us, the guest is resumed. */
static bool resume_now(void *arg)
{
	struct copy *c = arg;

	c->resumed_early = signals_stop_is_wanted();
	return c->resumed_early;
}

/* Show the progress of a dump of a paused guest. */
static bool show_paused(void *arg, uint64_t done, uint64_t total)
{
	const struct copy *c = arg;

	if (c->resumed_early && signals_stop_is_wanted()) {
		say("guest resumed; guestdump is stopped");
		stderr_wait(1);
		signals_stop();
	}
	return progress_show(NULL, done, total);
}

/* Show the progress of a live dump: once begun, its snapshot must be read to the end. */
static bool show_live(void *arg, uint64_t done, uint64_t total)
{
	struct copy *c = arg;
	const double seconds = progress_seconds();

	if (!progress_show(NULL, done, total))
		return false;
	c->canceled_at = seconds;
	if (done)
		say("canceled; reading the rest of QEMU's snapshot, or the guest would hang: less than %.0f s",
		    seconds * (double)(total - done) / (double)done + 1);
	else
		say("canceled; reading the rest of QEMU's snapshot, or the guest would hang");
	return true;
}

static void prepare_for(struct copy *c, const struct gdump_info *info)
{
	/* a protected guest can be resumed only when its dump has been ended */
	if (info->is_guest && info->is_locked)
		signals_be_patient();
	if (info->is_guest && !info->live && !c->args->detach) {
		c->args->write.resume_now = resume_now;
		c->args->write.resume_now_arg = c;
		c->args->write.progress = show_paused;
		c->args->write.progress_arg = c;
	}
	if (info->live) {
		signals_unhurried();
		c->args->write.progress = show_live;
		c->args->write.progress_arg = c;
	}
	progress_start(c->args->progress, c->to ? c->to : c->from, info->page_size);
}

static int copy_opened(struct copy *c, struct gdump *g)
{
	const struct gdump_info *info = gdump_info(g);
	struct gdump_error *err, *resume_err;
	int status = EXIT_DONE;

	prepare_for(c, info);
	if (c->args->dry_run)
		return dry_run(c, g);
	err = write_levels(c, g);
	resume_err = gdump_resume(g);
	c->paused_us = gdump_paused_us(g);
	progress_end();
	copy_report_pause(c, info);
	if (c->canceled_at > 0)
		copy_report_canceled(c);
	if (!err && !resume_err)
		return copy_report_success(c, info);
	if (err)
		status = copy_report_failure(c, err);
	if (resume_err) {
		const int failed = fail(resume_err);

		return status ? status : failed;
	}
	if (c->canceled_at <= 0)
		copy_report_guest(c, info);
	return status;
}

/* Wait until a program reads the FIFO @path, before the guest is paused; a message
 * says so. Returns a descriptor that keeps it open, or -1 if @path is something else.
 */
static int wait_for_reader(const char *path, enum progress_style style)
{
	struct stat st;
	int fd;

	if (!path || lstat(path, &st) || !S_ISFIFO(st.st_mode))
		return -1;
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0 && !fcntl(fd, F_SETFL, O_WRONLY))
		return fd;
	if (fd >= 0)
		close(fd);
	if (style != PROGRESS_NONE)
		say("%s: waiting until a program opens this FIFO to read it", path);
	do {
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	} while (fd < 0 && errno == EINTR && !canceled(NULL));
	return fd;
}

/* Bytes that are free where the output is made; UINT64_MAX: it is no file, or that is unknown. */
static uint64_t free_space(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, (size_t)(slash - path + 1)) : strdup(".");
	struct statvfs fs;
	struct stat st;
	uint64_t ret = UINT64_MAX;

	if (strcmp(path, "-") && (lstat(path, &st) || S_ISREG(st.st_mode)) && dir && !statvfs(dir, &fs))
		ret = (uint64_t)fs.f_bavail * fs.f_frsize;
	free(dir);
	return ret;
}

/* Whether the format that was asked for cannot hold every guest. */
static bool is_for_some_guests(const char *format)
{
	struct gdump_format_info f;

	for (size_t i = 0; format && gdump_format_at(i, &f); i++) {
		if (!strcmp(f.name, format))
			return f.some_guests_only;
	}
	return false;
}

/* A gdump_open_options.before_pause: whether something might end the dump that can be found out
 * while the guest is running. With --live it is hardly paused, and gdump_write() checks the format.
 */
static bool before_pause(void *arg, uint64_t memory)
{
	struct copy *c = arg;

	c->look_first = free_space(c->to) < memory + memory / 16 ||
			(!c->args->open.live && is_for_some_guests(c->args->write.format));
	return c->look_first;
}

static struct gdump_error *estimate(struct copy *c, struct gdump *g, uint64_t *ret)
{
	const struct level_list *list = &c->args->levels;
	struct gdump_plan *plan;
	struct gdump_error *err = make_plan(c, g, list->levels[list->num - 1], &plan);

	if (err)
		return err;
	err = gdump_estimate(g, plan, &c->args->write, ret);
	gdump_plan_destroy(plan);
	return err;
}

/* The guest is running: find out what would end its dump. Returns an exit status. */
static int look(struct copy *c)
{
	struct gdump_open_options open = c->args->open;
	const uint64_t there = free_space(c->to);
	uint64_t needed;
	struct gdump_error *err;
	struct gdump *g = NULL;

	open.pause_guest = false;
	open.live = GDUMP_LIVE_NO;
	open.warn = NULL;
	err = gdump_open(c->args->words[0], &open, &g);
	if (!err)
		err = estimate(c, g, &needed);
	gdump_close(g);
	if (err && gdump_error_code(err) == GDUMP_ERR_UNSUPPORTED)
		return fail(err);
	/* whatever else it is, the dump itself will show */
	gdump_error_destroy(err);
	if (err || needed <= there)
		return EXIT_DONE;
	if (c->args->strict_space)
		return failed(FAILURE_NO_SPACE, 0, "%s: the dump needs about %s, and %s are free", c->to,
			      size_text(needed).text, size_text(there).text);
	warn("%s: the dump needs about %s, and %s are free", c->to, size_text(needed).text,
	     size_text(there).text);
	return EXIT_DONE;
}

/* Open the input; a guest is looked at before it is paused where that may be of use. Returns an
 * exit status.
 */
static int copy_open(struct copy *c, struct gdump **ret)
{
	struct gdump_open_options *open = &c->args->open;
	struct gdump_error *err;

	if (is_guest(c->from) && !c->args->dry_run) {
		open->before_pause = before_pause;
		open->before_pause_arg = c;
	}
	err = gdump_open(c->args->words[0], open, ret);
	if (err && c->look_first) {
		int status;

		gdump_error_destroy(err);
		status = look(c);
		if (status)
			return status;
		open->before_pause = NULL;
		err = gdump_open(c->args->words[0], open, ret);
	}
	return err ? fail(err) : EXIT_DONE;
}

/* Copy, beside a process that resumes the guest if we are killed. */
static int copy_guarded(struct copy *c)
{
	struct gdump_open_options *open = &c->args->open;
	struct gdump *g;
	int status;

	if (canceled(NULL))
		return failed(FAILURE_CANCELED, 0, "canceled; nothing was written");
	if (is_guest(c->from))
		open->guard_fd = guard_start();
	if (c->args->nice)      /* but not the guard */
		priority_lower();
	stderr_defer();
	/* from here on, nothing waits for who reads standard error */
	copy_report_start(c);
	if (is_guest(c->from) && !c->args->detach)
		signals_defer_stop();
	progress_start(c->args->progress, c->from, 1);
	status = copy_open(c, &g);
	progress_end();
	if (!status) {
		status = copy_opened(c, g);
		gdump_close(g);
	}
	signals_allow_stop();
	guard_stop(open->guard_fd);
	stderr_settle();
	return status;
}

/* What reads the results of a job does not know our working directory. */
static bool make_absolute(struct copy *c)
{
	const bool whole = *c->to == '/' || is_object(c->to);
	char *cwd = whole ? NULL : getcwd(NULL, 0);
	const bool good = whole || (cwd && asprintf(&c->absolute, "%s/%s", cwd, c->to) >= 0);

	if (good && cwd)
		c->to = c->absolute;
	free(cwd);
	return good;
}

static int copy_run(struct copy *c)
{
	struct arguments *args = c->args;
	struct gdump_error *err;
	int fifo, status;

	args->write.live = args->open.live == GDUMP_LIVE_YES;
	err = args->dry_run ? NULL : gdump_write_check(copy_target(c), &args->write);
	if (err)
		return fail(err);
	if (!args->dry_run && !strcmp(c->to, "-") && isatty(STDOUT_FILENO))
		return usage_error(args->command,
				   "a dump is not written to a terminal: redirect standard output, or name a file");
	if (args->detach && !strcmp(c->to, "-"))
		return usage_error(args->command, "--detach needs a file to write to");
	if (args->detach && !make_absolute(c))
		return failed(FAILURE_SYSTEM, errno, "cannot find the working directory: %s",
			      strerror(errno));
	status = args->detach ? detach_start(c->from, shown_name(c->to)) : -1;
	if (status >= 0)
		return status;          /* we are the parent */
	if (is_object(c->to))
		args->store.guard_fd = upload_guard_start(&args->store);
	confine(args, args->words, args->num_words - (c->to != NULL), c->to);
	fifo = wait_for_reader(c->to, args->progress);
	status = copy_guarded(c);
	upload_guard_stop(args->store.guard_fd);
	if (args->detach)
		detach_end(status);
	if (fifo >= 0)
		close(fifo);
	forget_result(c);
	free(c->absolute);
	return status;
}

static int cmd_copy(struct arguments *args)
{
	const int num = args->num_words;
	struct copy c = {
		.args = args, .from = shown_name(args->words[0]),
		.to = num > 1 ? shown_name(args->words[num - 1]) : NULL,
		.result = { .size = sizeof(c.result) },
	};

	args->open.pause_guest = true;
	args->open.look_only = args->dry_run;
	args->open.metadata = args->open.no_metadata ? NULL : origin();
	args->open.parts = (const char *const *)args->words + 1;
	args->open.num_parts = num > 2 ? (size_t)num - 2 : 0;
	args->open.live_registers = args->write.paging;
	args->write.resume_guest = true;
	args->write.result = &c.result;
	return copy_run(&c);
}

/* @where is not the name of a guest: the library knows what it looks like. */
static int not_a_guest(struct arguments *args, const char *where)
{
	struct gdump *g = NULL;
	struct gdump_error *err = NULL;
	struct stat st;

	if (stat(where, &st) || S_ISSOCK(st.st_mode))
		err = gdump_open(where, &args->open, &g);
	gdump_close(g);
	if (err)
		return fail(err);
	return usage_error(args->command,
			   "%s is not a running guest such as qmp:/run/vm.sock; for a file use guestdump convert",
			   where);
}

int cmd_dump(struct arguments *args)
{
	return is_guest(args->words[0]) ? cmd_copy(args) : not_a_guest(args, args->words[0]);
}

int cmd_convert(struct arguments *args)
{
	return cmd_copy(args);
}
