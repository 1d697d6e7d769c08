/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "watch_policy.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum {
	ALL_TRIGGERS = WATCH_PANIC | WATCH_WATCHDOG | WATCH_INTERNAL_ERROR | WATCH_IO_ERROR | WATCH_RESET |
		       WATCH_CRASHLOADED_TIMEOUT | WATCH_LOG | WATCH_SIGNAL,
	/* io-error: QEMU's rerror=stop, which a full disk of the host sets off */
	USUAL_TRIGGERS = WATCH_PANIC | WATCH_WATCHDOG | WATCH_INTERNAL_ERROR | WATCH_CRASHLOADED_TIMEOUT |
			 WATCH_LOG | WATCH_SIGNAL,
};

static const struct trigger_row {
	const char *name;
	unsigned int bits;
} triggers[] = {
	{ "panic",               WATCH_PANIC },
	{ "watchdog",            WATCH_WATCHDOG },
	{ "internal-error",      WATCH_INTERNAL_ERROR },
	{ "io-error",            WATCH_IO_ERROR },
	{ "reset",               WATCH_RESET },
	{ "crashloaded-timeout", WATCH_CRASHLOADED_TIMEOUT },
	{ "log",                 WATCH_LOG },
	{ "signal",              WATCH_SIGNAL },
	{ "all",                 ALL_TRIGGERS },
	{ "none",                0 },
};

static const char *const actions[] = {
	[WATCH_LEAVE] = "leave", [WATCH_RESUME] = "resume", [WATCH_RESET_GUEST] = "reset",
};

static const char *const live_modes[] = {
	[GDUMP_LIVE_NO] = "no", [GDUMP_LIVE_YES] = "yes", [GDUMP_LIVE_TRY] = "try",
};

static bool policy_bad(struct bad_value *bad, const char *piece, size_t len, const char *wanted)
{
	*bad = (struct bad_value){ piece, (int)len, wanted };
	return false;
}

const char *watch_trigger_name(enum watch_trigger trigger)
{
	for (size_t i = 0; i < ARRAY_SIZE(triggers); i++) {
		if (triggers[i].bits == (unsigned int)trigger)
			return triggers[i].name;
	}
	return "unknown";
}

const char *watch_trigger_at(size_t i)
{
	return i < ARRAY_SIZE(triggers) ? triggers[i].name : NULL;
}

const char *watch_after_name(enum watch_after after)
{
	return actions[after];
}

const char *watch_after_at(size_t i)
{
	return i < ARRAY_SIZE(actions) ? actions[i] : NULL;
}

const char *watch_live_name(int live)
{
	return live_modes[live];
}

static const struct trigger_row *find_trigger(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(triggers); i++) {
		if (strlen(triggers[i].name) == len && !memcmp(triggers[i].name, name, len))
			return &triggers[i];
	}
	return NULL;
}

bool parse_triggers(const char *text, void *to, struct bad_value *bad)
{
	unsigned int bits = 0;

	for (const char *p = text + strspn(text, ", "); *p; p += strspn(p, ", ")) {
		const size_t len = strcspn(p, ", ");
		const struct trigger_row *row = find_trigger(p, len);

		if (!row)
			return policy_bad(bad, p, len, "panic, watchdog, internal-error, io-error, reset, "
					  "crashloaded-timeout, log, signal, all or none");
		bits |= row->bits;
		p += len;
	}
	if (!text[strspn(text, ", ")])
		return policy_bad(bad, text, strlen(text), "a list such as panic,watchdog; none is an empty one");
	*(unsigned int *)to = bits;
	return true;
}

bool parse_regex(const char *text, void *to, struct bad_value *bad)
{
	static char reason[200];        /* what is wrong with it                */
	struct regex_list *list = to;
	regex_t regex;
	const int rc = regcomp(&regex, text, REG_EXTENDED | REG_NOSUB);
	size_t len;

	if (rc) {
		len = (size_t)snprintf(reason, sizeof(reason), "an extended regular expression: ");
		regerror(rc, &regex, reason + len, sizeof(reason) - len);
		return policy_bad(bad, text, strlen(text), reason);
	}
	regfree(&regex);
	if (!*text)
		return policy_bad(bad, text, 0, "a regular expression: it would match every line");
	if (list->num == ARRAY_SIZE(list->text))
		return policy_bad(bad, text, strlen(text), "expected: there are more than 32; use | in one of them");
	list->text[list->num++] = text;
	return true;
}

static bool find_name(const char *const *names, size_t num, const char *text, int *ret)
{
	for (size_t i = 0; i < num; i++) {
		if (!strcmp(names[i], text)) {
			*ret = (int)i;
			return true;
		}
	}
	return false;
}

bool parse_live_mode(const char *text, void *to, struct bad_value *bad)
{
	bool yes;

	if (find_name(live_modes, ARRAY_SIZE(live_modes), text, to))
		return true;
	if (!parse_boolean(text, &yes, bad))
		return policy_bad(bad, text, strlen(text), "yes, no or try");
	*(int *)to = yes ? GDUMP_LIVE_YES : GDUMP_LIVE_NO;
	return true;
}

bool parse_after(const char *text, void *to, struct bad_value *bad)
{
	int i;

	if (!find_name(actions, ARRAY_SIZE(actions), text, &i))
		return policy_bad(bad, text, strlen(text), "leave, resume or reset");
	*(enum watch_after *)to = (enum watch_after)i;
	return true;
}

bool parse_program(const char *text, void *to, struct bad_value *bad)
{
	if (*text && *text != '/')
		return policy_bad(bad, text, strlen(text), "the path of a program from / on");
	return parse_text(text, to, bad);
}

bool parse_space(const char *text, void *to, struct bad_value *bad)
{
	const size_t len = strlen(text);
	struct space_limit *limit = to, parsed = { 0 };
	char number[8];
	long n;

	if (!len || text[len - 1] != '%') {
		if (!parse_size(text, &parsed.bytes, bad))
			return policy_bad(bad, text, len, "a number of bytes such as 64K or 2G, or a part of the disk such as 10%");
		*limit = parsed;
		return true;
	}
	if ((size_t)snprintf(number, sizeof(number), "%.*s", (int)len - 1, text) >= sizeof(number) ||
	    !parse_number(number, 0, 100, &n))
		return policy_bad(bad, text, len, "a percentage from 0% to 100%");
	parsed.percent = (unsigned int)n;
	*limit = parsed;
	return true;
}

bool parse_throttle(const char *text, void *to, struct bad_value *bad)
{
	static const char wanted[] = "a number and a time such as \"3 in 1h\", or no";
	const char *in = strstr(text, " in ");
	struct throttle *throttle = to;
	bool limited = true;
	char number[12];
	uint64_t ms;
	long n;

	if (!in) {
		if (!parse_boolean(text, &limited, bad) || limited)
			return policy_bad(bad, text, strlen(text), wanted);
		*throttle = (struct throttle){ 0 };
		return true;
	}
	if ((size_t)snprintf(number, sizeof(number), "%.*s", (int)(in - text), text) >= sizeof(number) ||
	    !parse_number(number, 1, 1000000, &n) || !parse_duration(in + 4, &ms, bad) || ms < 1000)
		return policy_bad(bad, text, strlen(text), wanted);
	*throttle = (struct throttle){ (unsigned int)n, ms / 1000 };
	return true;
}

struct watch_policy watch_policy_default(void)
{
	return (struct watch_policy){
		.store = CRASH_TEMPLATE, .on = USUAL_TRIGGERS, .log_interval_ms = 5000,
		.crashloaded_timeout_ms = 300000, .dump = true, .report = true,
		.levels = { .levels = { 1, 17, 31 }, .num = 3 }, .format = "kdump", .live = GDUMP_LIVE_NO,
		.after = WATCH_LEAVE, .max_parallel = 1, .max_use.percent = 50, .keep_free.percent = 15,
		.throttle = { 3, 3600 }, .post = "", .post_timeout_ms = 60000,
	};
}

struct crash_limits watch_policy_limits(const struct watch_policy *p)
{
	return (struct crash_limits){
		.max_use = p->max_use, .keep_free = p->keep_free, .max_age_s = p->max_age_ms / 1000,
		.max_per_guest = p->max_per_guest, .throttle = p->throttle,
	};
}
