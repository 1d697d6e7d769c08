/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * message.c - standard error and standard output
 *
 * The lock of stderr also guards the progress bar, which each message wipes first.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

static void __attribute__((__format__(__printf__, 2, 0)))
message(const struct command *usage_of, const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	flockfile(stderr);
	progress_clear();
	fputs("guestdump: ", stderr);
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
	free(text);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(NULL, fmt, ap);
	va_end(ap);
}

int usage_error(const struct command *cmd, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(cmd, fmt, ap);
	va_end(ap);
	return EXIT_USAGE;
}

void say_warning(void *arg, const char *warning)
{
	(void)arg;
	say("warning: %s", warning);
}

void say_debug(void *arg, enum gdump_debug_level level, const char *text)
{
	const unsigned int *verbosity = arg;
	struct timespec now;

	if ((unsigned int)level > *verbosity)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	say("debug: %.1f ms: %s", 1e3 * (double)(now.tv_sec - began.tv_sec) +
	    1e-6 * (double)(now.tv_nsec - began.tv_nsec), text);
}

int fail(struct gdump_error *err)
{
	enum gdump_code code = gdump_error_code(err);

	say("%s%s", gdump_error_message(err),
	    gdump_error_errno(err) == EEXIST ? " (--force)" : "");
	gdump_error_destroy(err);
	switch (code) {
	case GDUMP_ERR_USAGE:
		return EXIT_USAGE;
	case GDUMP_ERR_CANCELED:
		if (signals_limit())
			say("%s", signals_limit());
		return signals_limit() ? EXIT_FAILED : EXIT_CANCELED;
	case GDUMP_ERR_NOKEY:
	case GDUMP_ERR_PROTECTED:
		return EXIT_PROTECTED;
	default:
		return EXIT_FAILED;
	}
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
	if (!is_nobody_reading())
		say("cannot write to standard output: %s", errno ? strerror(errno) : "an earlier write failed");
	return status ? status : EXIT_FAILED;
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
