/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tool.h - what the commands of the program share
 */
#pragma once

#include <stdio.h>

#include "arguments.h"
#include "complete.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_INCOMPLETE = 3,
	EXIT_CANCELED = 4,
	EXIT_PROTECTED = 5,
};

/* --- main.c: the table of commands --- */

/* What stands behind the options */
struct operand {
	const char *name;               /* "INPUT"; with "..." there may be more of it */
	complete_fn *complete;
};

struct command {
	const char *name;
	unsigned int bit;               /* in the table of options              */
	struct operand operands[3];     /* ends with one without a name         */
	const char *example;            /* of operands                          */
	int (*run)(struct arguments *args);
	const char *summary;            /* a sentence without its full stop     */
	const char *note;               /* on operands, for --help; may be NULL */
};

/* The i-th one, or NULL past the end */
const struct command *command_at(size_t i);
/* NULL: there is none of that name. */
const struct command *command_find(const char *name);

int cmd_dump(struct arguments *args);
int cmd_convert(struct arguments *args);
int cmd_info(struct arguments *args);
int cmd_verify(struct arguments *args);
int cmd_dmesg(struct arguments *args);
int cmd_list(struct arguments *args);
int cmd_jobs(struct arguments *args);
int cmd_cancel(struct arguments *args);

/* --- help.c --- */

void print_help(const struct command *cmd);
/* One line: how to call it */
void print_usage(FILE *out, const struct command *cmd);

/* --- message.c: standard error and standard output --- */

/* Time counts from here; each message leaves us as one piece. */
void messages_init(void);
/* "guestdump: <message>" on standard error; safe from many threads */
void say(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));
/* The same for a warning of the library */
void say_warning(void *arg, const char *message);
/* And for what it does: "guestdump: debug: <milliseconds>: <message>", up to the level that
 * @arg, an unsigned int, has
 */
void say_debug(void *arg, enum gdump_debug_level level, const char *message);
/* Print @err, free it, and give the exit status that it means. */
int fail(struct gdump_error *err);
/* A wrong use of @cmd: print what is wrong and where help is. */
int usage_error(const struct command *cmd, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));

/* Text of a guest or of a dump, with what is not printable ASCII as \xNN */
void print_escaped(const char *text, size_t len);
/* The name of a file, with what a terminal could take for a command as \xNN */
void print_name(const char *name);
/* A size for people, as in "37.2 MiB" */
struct size_text { char text[32]; };
struct size_text size_text(uint64_t bytes);
/* All is printed: @status, or if it could not be written (a full disk) EXIT_FAILED. When
 * nobody reads any more, as with "| head", that is no news.
 */
int finish_stdout(int status);

/* --- process.c: signals, and the process that resumes the guest when we are killed --- */

/* Ctrl-C, SIGTERM and SIGHUP: asked for by canceled(), which also takes the
 * library's callback form. A process that is stuck five seconds later is ended hard; a
 * second signal does that at once.
 */
void signals_init(void);
bool canceled(void *arg);
/* From now on nothing ends us hard: what has begun must be ended in order. */
void signals_be_patient(void);
/* Canceling may take its time, but a second signal ends us at once. */
void signals_unhurried(void);

/* Start the process that resumes a paused guest when we are killed. The descriptor for
 * gdump_open_options.guard_fd, or 0 when it cannot be had
 */
int guard_start(void);
void guard_stop(int fd);
