/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tool.h - what the commands of the program share
 */
#pragma once

#include <guestdump.h>

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_INCOMPLETE = 3,
	EXIT_CANCELED = 4,
	EXIT_PROTECTED = 5,
};

struct command {
	const char *name;
	const char *usage;              /* behind "guestdump"                   */
	const char *summary;
	const char *help;               /* the options, line by line            */
	int (*run)(const struct command *cmd, int argc, char **argv);
};

extern const struct command command_dump, command_convert, command_info, command_verify,
	command_dmesg, command_list, command_jobs,
	command_cancel;

/* "guestdump: <message>" on standard error */
void say(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));
/* The same for a warning of the library */
void say_warning(void *arg, const char *message);
/* And for what it does: "guestdump: debug: <milliseconds>: <message>", up to the level that
 * @arg, an unsigned int, has.  Safe from many threads, as say() is.
 */
void say_debug(void *arg, enum gdump_debug_level level, const char *message);
/* Time counts from here; each message leaves us as one piece. */
void messages_init(void);
/* Print @err, free it, and give the exit status that it means. */
int fail(struct gdump_error *err);
/* A wrong use of @cmd: print what is wrong and where help is. */
int usage_error(const struct command *cmd, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));
void print_help(const struct command *cmd);
/* What was asked for could not be printed (a full disk, a closed pipe). */
int finish_stdout(int status);

/* Text of a guest, with what a terminal could take for a command as \xNN. */
void print_escaped(const char *text, size_t len);

/* A size for people, as in "37.2 MiB" */
struct size_text { char text[32]; };
struct size_text size_text(uint64_t bytes);

/* What all commands open their input with: @parts are more files of one dump. */
struct gdump_open_options input_options(char **parts, int num_parts);

/* Whether @where names a running guest */
bool is_guest(const char *where);

/* Ctrl-C, SIGTERM and SIGHUP: asked for by canceled(), which also takes the
 * library's callback form.  Who is stuck five seconds later is ended hard; a
 * second signal does that at once.
 */
void signals_init(void);
bool canceled(void *arg);
/* From now on nothing ends us hard: what is under way must be ended in order. */
void signals_be_patient(void);
/* Cancelling may take its time, but a second signal ends us at once. */
void signals_unhurried(void);

/* Start the process that lets a paused guest go on when we are killed.  The
 * descriptor for gdump_open_options.guard_fd, or 0 when it cannot be had.
 */
int guard_start(void);
void guard_stop(int fd);
