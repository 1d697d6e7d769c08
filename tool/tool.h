/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
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
	EXIT_UNFILTERED = 6,            /* the dump is complete, and larger than asked for */
};

/* --- main.c: the table of commands --- */

/* An argument that is not an option */
struct operand {
	const char *name;               /* "INPUT"; "INPUT..." if there may be several; with [ or ] it
					 * may be omitted                       */
	complete_fn *complete;
};

struct command {
	const char *name;
	unsigned int bit;               /* in option_row.commands               */
	struct operand operands[3];     /* ends with a NULL name                */
	const char *example;            /* operands, for messages               */
	int (*run)(struct arguments *args);
	const char *summary;            /* a sentence without its full stop     */
	const char *note;               /* about operands, for --help; NULL: none */
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
int cmd_stacks(struct arguments *args);
int cmd_report(struct arguments *args);
int cmd_extract(struct arguments *args);
int cmd_mount(struct arguments *args);
int cmd_umount(struct arguments *args);
int cmd_list(struct arguments *args);
int cmd_guests(struct arguments *args);
int cmd_watch(struct arguments *args);
int cmd_jobs(struct arguments *args);
int cmd_cancel(struct arguments *args);
int cmd_crashes(struct arguments *args);

/* --- cmd_dmesg.c --- */

/* Print the log of the guest's kernel, as @args ask for. */
GDUMP_MUST_CHECK struct gdump_error *dmesg_print(struct gdump *g, const struct arguments *args);

/* --- help.c --- */

void print_help(const struct command *cmd);
/* One line: the synopsis */
void print_usage(FILE *out, const struct command *cmd);

/* --- message.c: standard error and standard output --- */

/* Call it before any file is opened. Those of the descriptors 0, 1 and 2 that are closed become
 * ones that cannot be used: no file or socket of ours may get their numbers.
 */
void descriptors_init(void);
/* Call it first: debug messages count time from here, and each message is one write(). */
void messages_init(void);
/* "guestdump: <message>" on standard error, or the event "message"; safe from many threads */
void say(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));
/* "guestdump: warning: <message>", or the event "warning" */
void warn(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));
/* The same for a warning of the library */
void say_warning(void *arg, const char *message);
/* A gdump_debug_fn: "guestdump: debug: <milliseconds> ms: <message>", if @level is at most the
 * unsigned int at @arg
 */
void say_debug(void *arg, enum gdump_debug_level level, const char *message);
/* Print and free @err. Returns the exit status for it. */
int fail(struct gdump_error *err);
/* @cmd was used wrongly: print a message and the synopsis. Returns the exit status. */
int usage_error(const struct command *cmd, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));

/* Print text of a guest or a dump; bytes that are not printable ASCII become \xNN. */
void print_escaped(const char *text, size_t len);
/* Print the name of a file; control characters become \xNN. */
void print_name(const char *name);
/* Seconds since 1970 as "2026-11-23 15:09:35 UTC" */
void print_time(uint64_t seconds);
/* A size for people, as in "37.2 MiB" */
struct size_text { char text[32]; };
struct size_text size_text(uint64_t bytes);
/* "1 page", "2 pages" */
struct size_text pages_text(uint64_t num);
/* Flush standard output. Returns @status, or EXIT_FAILED if that failed; prints an error message
 * unless the reader has gone, as with "| head".
 */
int finish_stdout(int status);

/* --- stderr.c: standard error, which never holds up a dump --- */

/* Call it first. From then on stderr is our own stream. */
void stderr_init(void);
/* Until stderr_settle(), nobody who prints waits for standard error: a thread writes. Call it
 * once, after the last fork().
 */
void stderr_defer(void);
/* Whether all that was printed is written: something of no lasting value may be printed. */
bool stderr_is_free(void);
/* Wait until all is written, but not for longer than that. */
void stderr_wait(unsigned int seconds);
/* Wait until all is written, however long. From then on whoever prints waits. */
void stderr_settle(void);

/* --- process.c: signals, priority, and the process that resumes the guest when we are killed --- */

/* Let other programs use the CPUs and disks first. Threads that are started later do the same. */
void priority_lower(void);

/* After Ctrl-C, SIGTERM or SIGHUP, canceled() returns true; it is a gdump_cancel_fn. If the
 * process is still there five seconds later, or a second signal arrives, it exits at once.
 */
void signals_init(void);
bool canceled(void *arg);
/* Which limit canceled us, or NULL */
const char *signals_limit(void);
/* From now on no signal makes us exit at once: something must be finished first. */
void signals_be_patient(void);
/* From now on canceling may take its time, but a second signal makes us exit at once. */
void signals_unhurried(void);

/* From here to signals_allow_stop(), Ctrl-Z does not stop the process at once: a paused guest is
 * to be resumed first. Then it is time for signals_stop().
 */
void signals_defer_stop(void);
bool signals_stop_is_wanted(void);
void signals_stop(void);
/* Stop now if that is still wanted, and at once from now on. */
void signals_allow_stop(void);

/* Start the process that resumes a paused guest if we are killed. Returns the descriptor for
 * gdump_open_options.guard_fd, or 0 if that failed.
 */
int guard_start(void);
void guard_stop(int fd);
/* Start the process that removes what is at an object store of an upload, if we are killed. Returns
 * the descriptor for gdump_store_options.guard_fd, or 0 if that failed.
 */
int upload_guard_start(const struct gdump_store_options *store);
void upload_guard_stop(int fd);
/* What does not change while the guest runs, if it is one that is to be paused; else, or if it
 * cannot be read, NULL.
 */
struct gdump_tables *tables_before_pause(const struct arguments *args);
/* Open the guest or dump that @args name, let @read fill @to, and let the guest run again.  If it is
 * a guest that is to be paused, it is guarded meanwhile, and neither Ctrl-Z nor a full pipe holds it
 * up.
 */
typedef struct gdump_error *guarded_fn(struct gdump *g, const struct arguments *args, void *to);
GDUMP_MUST_CHECK struct gdump_error *guarded(struct arguments *args, guarded_fn *read, void *to);
