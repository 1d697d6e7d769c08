/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * message.c - standard error and standard output
 *
 * The lock of stderr also guards the progress bar, which each message wipes first.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "event.h"
#include "failure.h"
#include "json.h"
#include "progress.h"
#include "tool.h"

static struct timespec began;

void descriptors_init(void)
{
	/* nobody can read 0, or write to 1 and 2: that fails as if they were closed */
	while (fcntl(STDERR_FILENO, F_GETFD) < 0) {
		const int flags = fcntl(STDIN_FILENO, F_GETFD) < 0 ? O_WRONLY : O_RDONLY;

		if (open("/dev/null", flags) < 0)
			return;
	}
}

void messages_init(void)
{
	clock_gettime(CLOCK_MONOTONIC, &began);
	stderr_init();
}

static void put_escaped(FILE *out, const char *text, size_t len, bool ascii)
{
	for (size_t i = 0; i < len; i++) {
		const unsigned char c = (unsigned char)text[i];

		if ((c < ' ' && c != '\t') || c == 0x7f || (ascii && c > 0x7f))
			fprintf(out, "\\x%02x", c);
		else
			putc(c, out);
	}
}

void print_escaped(const char *text, size_t len)
{
	put_escaped(stdout, text, len, true);
}

void print_name(const char *name)
{
	put_escaped(stdout, name, strlen(name), false);
}

/* @prefix in front of it; NULL @text: there was no memory for it */
static void print_message(const char *prefix, const char *text, const struct command *usage_of)
{
	flockfile(stderr);
	progress_clear();
	fprintf(stderr, "guestdump: %s", prefix);
	if (text)
		put_escaped(stderr, text, strlen(text), false);
	else
		fputs("out of memory", stderr);
	fputc('\n', stderr);
	if (usage_of) {
		fputs("usage: ", stderr);
		print_usage(stderr, usage_of);
		fprintf(stderr, "       guestdump %s --help lists the options\n", usage_of->name);
	}
	fflush(stderr);
	funlockfile(stderr);
}

/* A message for people, or the event @type */
static void put_message(const char *type, const char *prefix, const char *text)
{
	if (events_are_wanted())
		event_put(type, json_pack("{s:o}", "message", json_string_of(text ? text : "out of memory")));
	if (!events_are_json())
		print_message(prefix, text, NULL);
}

static char * __attribute__((__format__(__printf__, 1, 0))) text_of(const char *fmt, va_list ap)
{
	char *ret;

	return vasprintf(&ret, fmt, ap) < 0 ? NULL : ret;
}

void say(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = text_of(fmt, ap);
	va_end(ap);
	put_message("message", "", text);
	free(text);
}

void warn(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = text_of(fmt, ap);
	va_end(ap);
	put_message("warning", "warning: ", text);
	free(text);
}

int usage_error(const struct command *cmd, const char *fmt, ...)
{
	va_list ap;
	char *text;
	struct failure f;

	va_start(ap, fmt);
	text = text_of(fmt, ap);
	va_end(ap);
	f = failure_new(FAILURE_USAGE, 0, "%s", text ? text : "out of memory");
	failure_put(&f, true);
	if (!events_are_json())
		print_message("", text, cmd);
	failure_deinit(&f);
	free(text);
	return EXIT_USAGE;
}

void say_warning(void *arg, const char *warning)
{
	(void)arg;
	warn("%s", warning);
}

static double ms_since_start(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return 1e3 * (double)(now.tv_sec - began.tv_sec) + 1e-6 * (double)(now.tv_nsec - began.tv_nsec);
}

void say_debug(void *arg, enum gdump_debug_level level, const char *text)
{
	const unsigned int *verbosity = arg;
	const double ms = ms_since_start();
	char prefix[48];

	if ((unsigned int)level > *verbosity)
		return;
	snprintf(prefix, sizeof(prefix), "debug: %.1f ms: ", ms);
	if (events_are_json())
		event_put("debug", json_pack("{s:o, s:o}", "message", json_string_of(text),
					     "seconds", json_seconds(ms / 1e3)));
	else
		print_message(prefix, text, NULL);
}

int fail(struct gdump_error *err)
{
	struct failure f = failure_of(err);

	return failure_report(&f);
}

static bool is_nobody_reading(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO };

	return poll(&p, 1, 0) == 1 && p.revents & POLLERR;
}

int finish_stdout(int status)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	if (!is_nobody_reading()) {
		struct failure f = failure_new(FAILURE_SYSTEM, errno, "cannot write to standard output: %s",
					       errno ? strerror(errno) : "an earlier write failed");

		failure_say(&f);
		failure_deinit(&f);
	}
	return status ? status : EXIT_FAILED;
}

void print_time(uint64_t s)
{
	/* gmtime() would open files, which is not allowed.  Days since 0000-03-01, in cycles of 400 years; a year begins in March */
	const uint64_t day = s / 86400 + 719468, of_cycle = day % 146097;
	const uint64_t year =
		(of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
	const uint64_t of_year = of_cycle - (365 * year + year / 4 - year / 100);
	const uint64_t month = (5 * of_year + 2) / 153;

	printf("%04" PRIu64 "-%02" PRIu64 "-%02" PRIu64 " %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64
	       " UTC", day / 146097 * 400 + year + (month >= 10), month < 10 ? month + 3 : month - 9,
	       of_year - (153 * month + 2) / 5 + 1, s / 3600 % 24, s / 60 % 60, s % 60);
}

struct size_text pages_text(uint64_t num)
{
	struct size_text ret;

	snprintf(ret.text, sizeof(ret.text), "%" PRIu64 " page%s", num, num == 1 ? "" : "s");
	return ret;
}

struct size_text size_text(uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	struct size_text ret;
	double n = (double)bytes;
	int i = -1;

	while (n >= 1023.95 && i < 5) {
		n /= 1024;
		i++;
	}
	if (i < 0)
		snprintf(ret.text, sizeof(ret.text), "%u bytes", (unsigned int)bytes);
	else
		snprintf(ret.text, sizeof(ret.text), "%.1f %ciB", n, units[i]);
	return ret;
}
