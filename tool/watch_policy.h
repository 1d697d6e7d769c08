/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch_policy.h - what guestdump watch does about a guest
 *
 * Each member is a key of watch.conf(5) and an option of guestdump watch: WATCH_KEYS has a row for
 * each. watch_conf.c and options.c make their tables of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crash_store.h"
#include "values.h"

/* What sets off a dump; as bits in watch_policy.on. The names are in watch_policy.c. */
enum watch_trigger {
	WATCH_PANIC = 1 << 0,                   /* "panic"                      */
	WATCH_WATCHDOG = 1 << 1,                /* "watchdog"                   */
	WATCH_INTERNAL_ERROR = 1 << 2,          /* "internal-error"             */
	WATCH_IO_ERROR = 1 << 3,                /* "io-error"                   */
	WATCH_RESET = 1 << 4,                   /* "reset": a triple fault, or one by the host */
	WATCH_CRASHLOADED_TIMEOUT = 1 << 5,     /* "crashloaded-timeout"        */
	WATCH_LOG = 1 << 6,                     /* "log": a line matches WhenLog= */
	WATCH_SIGNAL = 1 << 7,                  /* "signal": SIGUSR1            */
};

/* What happens to the guest afterwards */
enum watch_after { WATCH_LEAVE, WATCH_RESUME, WATCH_RESET_GUEST };

/* Extended regular expressions, as regcomp() takes them: each is one */
struct regex_list {
	const char *text[32];
	size_t num;
};

struct watch_policy {
	const char *store;              /* a template: crash_template.h         */
	unsigned int on;                /* enum watch_trigger                   */
	struct regex_list when_log;
	uint64_t log_interval_ms;
	uint64_t crashloaded_timeout_ms;
	bool dump, report;
	struct level_list levels;       /* the next one if a dump would not fit */
	struct codec_choice codec;      /* name "": the format's default        */
	const char *format;
	int live;                       /* enum gdump_live                      */
	uint64_t max_pause_ms;          /* 0: no limit                          */
	enum watch_after after;
	unsigned int max_parallel;      /* dumps at once: of all guests, so from [Watch] */
	struct space_limit max_use, keep_free;
	uint64_t max_age_ms;            /* 0: no limit                          */
	unsigned int max_per_guest;     /* 0: no limit                          */
	struct throttle throttle;
	const char *post;               /* the path of a program; "": none      */
	uint64_t post_timeout_ms;
};

/*
 * X(key, letter, option, VALUE, member, parse, complete, help), in the order of the manual. @key is
 * that of watch.conf(5), the rest is as in struct option_row; @member is of struct watch_policy.
 */
#define WATCH_KEYS(X) \
	X("Store", 0, "store", "TEMPLATE", store, parse_crash_template, NULL, \
	  "the directory for a crash: %n is the guest, %Y ... as in date(1)") \
	X("On", 0, "on", "LIST", on, parse_triggers, complete_triggers, \
	  "what sets it off: panic, watchdog, internal-error, io-error, reset, crashloaded-timeout, " \
	  "log, signal, all or none") \
	X("WhenLog", 0, "when-log", "REGEX", when_log, parse_regex, NULL, \
	  "a line of the guest's log that sets it off; may be given several times") \
	X("LogInterval", 0, "log-interval", "TIME", log_interval_ms, parse_duration, NULL, \
	  "how often the log is read (default: 5s)") \
	X("CrashloadedTimeout", 0, "crashloaded-timeout", "TIME", crashloaded_timeout_ms, parse_duration, NULL, \
	  "how long the guest's own kdump may take (default: 5min)") \
	X("Dump", 0, "dump", "yes|no", dump, parse_boolean, complete_booleans, \
	  "write a dump (default: yes)") \
	X("Report", 0, "report", "yes|no", report, parse_boolean, complete_booleans, \
	  "write a report (default: yes)") \
	X("Level", 'd', "dump-level", "N", levels, parse_levels, complete_levels, \
	  "pages to omit; a list: the next one if the dump would not fit (default: 1,17,31)") \
	X("Compress", 'C', "compress", "CODEC[:LEVEL]", codec, parse_codec, complete_codecs, \
	  "how kdump compresses pages") \
	X("Format", 'f', "format", "NAME", format, parse_format, complete_written_formats, \
	  "the format of the dump (default: kdump)") \
	X("Live", 0, "live", "yes|no|try", live, parse_live_mode, complete_live_modes, \
	  "keep a guest that runs running while it is dumped (default: no)") \
	X("MaxPause", 0, "max-pause", "TIME", max_pause_ms, parse_duration, NULL, \
	  "resume the guest after this time, also if its memory is not read yet") \
	X("After", 0, "after", "ACTION", after, parse_after, complete_after, \
	  "leave the guest as it was found, resume or reset it (default: leave)") \
	X("MaxParallel", 0, "max-parallel", "N", max_parallel, parse_positive, NULL, \
	  "how many dumps are written at once (default: 1)") \
	X("MaxUse", 0, "max-use", "SIZE", max_use, parse_space, NULL, \
	  "how much space all crashes may use, in bytes or percent (default: 50%)") \
	X("KeepFree", 0, "keep-free", "SIZE", keep_free, parse_space, NULL, \
	  "how much space remains free, in bytes or percent (default: 15%)") \
	X("MaxAge", 0, "max-age", "TIME", max_age_ms, parse_duration, NULL, \
	  "remove older crashes (default: 0, never)") \
	X("MaxPerGuest", 0, "max-per-guest", "N", max_per_guest, parse_whole, NULL, \
	  "how many crashes of a guest are kept (default: 0, all)") \
	X("Throttle", 0, "throttle", "N in TIME", throttle, parse_throttle, NULL, \
	  "how many dumps of a guest are taken in this time, then only reports (default: 3 in 1h)") \
	X("Post", 0, "post", "PROGRAM", post, parse_program, complete_files, \
	  "run this program after each crash, with GUESTDUMP_ variables in its environment") \
	X("PostTimeout", 0, "post-timeout", "TIME", post_timeout_ms, parse_duration, NULL, \
	  "kill that program after this time (default: 1min)")

/* Parsers: see values.h */
parse_fn parse_triggers;        /* unsigned int, enum watch_trigger: names with commas or spaces */
parse_fn parse_regex;           /* struct regex_list: adds one                  */
parse_fn parse_live_mode;       /* int, enum gdump_live                         */
parse_fn parse_after;           /* enum watch_after                             */
parse_fn parse_program;         /* const char *: an absolute path               */
parse_fn parse_space;           /* struct space_limit: a size, or "10%"         */
parse_fn parse_throttle;        /* struct throttle: "3 in 1h", or "no"          */

struct watch_policy watch_policy_default(void);
struct crash_limits watch_policy_limits(const struct watch_policy *p);

/* The name of one bit; the i-th name, NULL past the end; and the same for others */
const char *watch_trigger_name(enum watch_trigger trigger);
const char *watch_trigger_at(size_t i);
const char *watch_after_name(enum watch_after after);
const char *watch_after_at(size_t i);
const char *watch_live_name(int live);
