/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * sink.c - open the sink for the name of an output
 */
#include "sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../net/s3.h"
#include "../util/bits.h"

/* The descriptor that @where names; -1: none.  These names are links that must not be opened or
 * replaced: the descriptor may be a pipe, or a file that another program has begun to write.
 */
static int sink_descriptor(const char *where)
{
	static const char *const dirs[] = { "/dev/fd/", "/proc/self/fd/" };

	if (!strcmp(where, "-") || !strcmp(where, "/dev/stdout"))
		return STDOUT_FILENO;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		const size_t len = strlen(dirs[i]);

		if (!strncmp(where, dirs[i], len) && where[len] && strlen(where + len) < 6 &&
		    strspn(where + len, "0123456789") == strlen(where + len))
			return atoi(where + len);
	}
	return -1;
}

bool sink_is_descriptor(const char *where)
{
	return sink_descriptor(where) >= 0;
}

static struct gdump_error *sink_open_descriptor(const char *where, const struct sink_options *opt,
						  struct sink **ret)
{
	(void)opt;
	return sink_stream_create(sink_descriptor(where), ret);
}

static struct gdump_error *sink_check_descriptor(const char *where, const struct sink_options *opt)
{
	struct sink *sink = NULL;
	struct gdump_error *err = sink_open_descriptor(where, opt, &sink);

	sink_close(sink);
	return err;
}

/* A pipe or a device is written in place, not replaced. */
static bool sink_is_device(const char *where)
{
	struct stat st;

	return !lstat(where, &st) && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode));
}

static struct gdump_error *sink_open_device(const char *where, const struct sink_options *opt,
					     struct sink **ret)
{
	(void)opt;
	return sink_device_create(where, ret);
}

static struct gdump_error *sink_check_device(const char *where, const struct sink_options *opt)
{
	(void)opt;
	return access(where, W_OK) ? error_os(errno, "%s: cannot open", where) : NULL;
}

bool sink_is_object(const char *where)
{
	return object_is_s3(where);
}

bool sink_is_url(const char *where)
{
	return object_is_name(where) && !object_is_s3(where);
}

bool sink_is_file(const char *where)
{
	return !sink_is_descriptor(where) && !object_is_name(where) && !sink_is_device(where);
}

static struct gdump_error *sink_open_file(const char *where, const struct sink_options *opt,
					  struct sink **ret)
{
	return sink_file_create(where, opt->force, ret);
}

static struct gdump_error *sink_check_file(const char *where, const struct sink_options *opt)
{
	return sink_file_try(where, opt->force);
}

/* "ftp://..." and the like would be a file in a directory "https:". */
static bool sink_is_other_url(const char *where)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+";
	const size_t len = strspn(where, letters);

	return len > 1 && !strncmp(where + len, "://", 3);
}

static struct gdump_error *sink_check_other_url(const char *where, const struct sink_options *opt)
{
	(void)opt;
	return error_new(GDUMP_ERR_USAGE,
			 "dumps go to a file, to s3://BUCKET/KEY or to https://; for %.*s://, pass standard output (-) on to a program that uploads it",
			 (int)strcspn(where, ":"), where);
}

static struct gdump_error *sink_open_other_url(const char *where, const struct sink_options *opt,
					       struct sink **ret)
{
	(void)ret;
	return sink_check_other_url(where, opt);
}

/* The kinds of outputs; the first one that takes a name is used. */
static const struct sink_kind {
	bool (*takes)(const char *where);
	struct gdump_error *(*open)(const char *where, const struct sink_options *opt,
				    struct sink **ret);
	/* The error that open() would return, as far as it can be known; leaves no trace. */
	struct gdump_error *(*check)(const char *where, const struct sink_options *opt);
} sink_kinds[] = {
	{ sink_is_descriptor, sink_open_descriptor, sink_check_descriptor },
	{ sink_is_object, sink_s3_create, sink_s3_try },
	{ sink_is_url, sink_put_create, sink_put_try },
	{ sink_is_other_url, sink_open_other_url, sink_check_other_url },
	{ sink_is_device, sink_open_device, sink_check_device },
	{ sink_is_file, sink_open_file, sink_check_file },
};

static const struct sink_kind *sink_kind_of(const char *where)
{
	size_t i = 0;

	while (!sink_kinds[i].takes(where))
		i++;
	return &sink_kinds[i];
}

struct gdump_error *sink_open(const char *where, const struct sink_options *opt, struct sink **ret)
{
	return sink_kind_of(where)->open(where, opt, ret);
}

struct gdump_error *sink_check(const char *where, const struct sink_options *opt)
{
	return sink_kind_of(where)->check(where, opt);
}
