/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "options.h"
#include "progress.h"

enum { STUCK_SECONDS = 5, MESSAGE_SIZE = 8192 };

/* What a terminal takes for a command as \xNN; names of files may be more than ASCII. */
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

static struct timespec began;

void messages_init(void)
{
	clock_gettime(CLOCK_MONOTONIC, &began);
	setvbuf(stderr, NULL, _IOFBF, MESSAGE_SIZE);
}

void say(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	flockfile(stderr);
	progress_clear();
	fputs("guestdump: ", stderr);
	if (text)
		put_escaped(stderr, text, strlen(text), false);
	else
		fputs("out of memory", stderr);
	fputc('\n', stderr);
	fflush(stderr);
	funlockfile(stderr);
	free(text);
}

void say_warning(void *arg, const char *message)
{
	(void)arg;
	say("warning: %s", message);
}

void say_debug(void *arg, enum gdump_debug_level level, const char *message)
{
	const unsigned int *verbosity = arg;
	struct timespec now;

	if ((unsigned int)level > *verbosity)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	say("debug: %.1f ms: %s", 1e3 * (double)(now.tv_sec - began.tv_sec) +
	    1e-6 * (double)(now.tv_nsec - began.tv_nsec), message);
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
		return EXIT_CANCELED;
	case GDUMP_ERR_NOKEY:
	case GDUMP_ERR_PROTECTED:
		return EXIT_PROTECTED;
	default:
		return EXIT_FAILED;
	}
}

int usage_error(const struct command *cmd, const char *fmt, ...)
{
	va_list ap;

	fputs("guestdump: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nusage: guestdump %s\n       guestdump %s --help tells more\n",
		cmd->usage, cmd->name);
	fflush(stderr);
	return EXIT_USAGE;
}

void print_help(const struct command *cmd)
{
	printf("usage: guestdump %s\n\n%s.\n\n%s", cmd->usage, cmd->summary, cmd->help);
}

int finish_stdout(int status)
{
	if (fflush(stdout) || ferror(stdout)) {
		say("writing to standard output: %s", strerror(errno));
		return status ? status : EXIT_FAILED;
	}
	return status;
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

struct gdump_open_options input_options(char **parts, int num_parts)
{
	const char *dir = getenv("TMPDIR");

	return (struct gdump_open_options){
		.size = sizeof(struct gdump_open_options),
		.parts = (const char *const *)parts, .num_parts = (size_t)num_parts,
		.spool_dir = dir && *dir ? dir : "/var/tmp",
		.progress = progress_show,
		.warn = say_warning, .cancel = canceled,
	};
}

void input_apply(struct input *in, struct gdump_open_options *opt)
{
	opt->format = in->format;
	opt->extents = in->extents;
	opt->num_extents = in->num_extents;
	opt->key_file = in->key_file;
	opt->strict = in->strict;
	if (in->verbosity) {
		opt->debug = say_debug;
		opt->debug_arg = &in->verbosity;
	}
}

bool is_guest(const char *where)
{
	const char *scheme;

	for (size_t i = 0; (scheme = gdump_source_name(i)); i++) {
		if (!strncmp(where, scheme, strlen(scheme)))
			return true;
	}
	return false;
}

static volatile sig_atomic_t signaled, patient, unhurried;

static void on_signal(int sig)
{
	if (patient && sig != SIGALRM) {
		signaled = 1;
		return;
	}
	if (sig == SIGALRM || signaled)
		_exit(EXIT_CANCELED);   /* the guard resumes the guest */
	signaled = 1;
	if (!unhurried)
		alarm(STUCK_SECONDS);
}

void signals_init(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGALRM };
	struct sigaction sa = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		struct sigaction old;

		/* nohup and the like have chosen already */
		if (!sigaction(sigs[i], NULL, &old) && old.sa_handler == SIG_IGN)
			continue;
		sigaction(sigs[i], &sa, NULL);
	}
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

void signals_be_patient(void)
{
	patient = 1;
	alarm(0);
}

void signals_unhurried(void)
{
	unhurried = 1;
}

bool canceled(void *arg)
{
	(void)arg;
	return signaled;
}

static pid_t guard_pid;

int guard_start(void)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return 0;
	guard_pid = fork();
	if (!guard_pid) {
		prctl(PR_SET_NAME, "gdump-guard");
		close(fds[0]);
		_exit(gdump_guard(fds[1]));
	}
	close(fds[1]);
	if (guard_pid < 0) {
		close(fds[0]);
		return 0;
	}
	return fds[0];
}

void guard_stop(int fd)
{
	if (!fd)
		return;
	close(fd);
	while (waitpid(guard_pid, NULL, 0) < 0 && errno == EINTR)
		;
}
