/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch_policy_print.c - a policy in the form of watch.conf(5): what the parsers take
 */
#include <inttypes.h>
#include <stdio.h>

#include "watch_conf.h"

static void put_text(FILE *out, const void *from)
{
	const char *text = *(const char *const *)from;

	fputs(text ? text : "", out);
}

static void put_triggers(FILE *out, const void *from)
{
	const unsigned int on = *(const unsigned int *)from;
	const char *before = "";

	for (unsigned int bit = 1; bit <= on; bit <<= 1) {
		if (on & bit) {
			fprintf(out, "%s%s", before, watch_trigger_name((enum watch_trigger)bit));
			before = ",";
		}
	}
	if (!on)
		fputs("none", out);
}

static void put_duration(FILE *out, const void *from)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = { { "d", 86400000 }, { "h", 3600000 }, { "min", 60000 }, { "s", 1000 }, { "ms", 1 } };
	uint64_t ms = *(const uint64_t *)from;
	const char *before = "";

	for (size_t i = 0; ms && i < sizeof(units) / sizeof(*units); i++) {
		if (ms >= units[i].ms) {
			fprintf(out, "%s%" PRIu64 "%s", before, ms / units[i].ms, units[i].name);
			before = " ";
		}
		ms %= units[i].ms;
	}
	if (!*before)
		putc('0', out);
}

static void put_boolean(FILE *out, const void *from)
{
	fputs(*(const bool *)from ? "yes" : "no", out);
}

static void put_unsigned(FILE *out, const void *from)
{
	fprintf(out, "%u", *(const unsigned int *)from);
}

static void put_levels(FILE *out, const void *from)
{
	const struct level_list *list = from;

	for (size_t i = 0; i < list->num; i++)
		fprintf(out, "%s%u", i ? "," : "", list->levels[i]);
}

static void put_codec(FILE *out, const void *from)
{
	const struct codec_choice *codec = from;

	fputs(codec->name, out);
	if (codec->has_level)
		fprintf(out, ":%d", codec->level);
}

static void put_live(FILE *out, const void *from)
{
	fputs(watch_live_name(*(const int *)from), out);
}

static void put_after(FILE *out, const void *from)
{
	fputs(watch_after_name(*(const enum watch_after *)from), out);
}

static void put_space(FILE *out, const void *from)
{
	static const char units[] = "KMGT";
	const struct space_limit *limit = from;
	uint64_t n = limit->bytes;
	int unit = -1;

	if (limit->percent) {
		fprintf(out, "%u%%", limit->percent);
		return;
	}
	for (; n && !(n % 1024) && unit < 3; n /= 1024)
		unit++;
	fprintf(out, "%" PRIu64 "%.*s", n, unit >= 0, unit >= 0 ? units + unit : "");
}

static void put_throttle(FILE *out, const void *from)
{
	const struct throttle *t = from;
	const uint64_t ms = t->seconds * 1000;

	if (!t->num) {
		fputs("no", out);
		return;
	}
	fprintf(out, "%u in ", t->num);
	put_duration(out, &ms);
}

static const struct {
	parse_fn *parse;
	void (*put)(FILE *out, const void *from);
} printers[] = {
	{ parse_crash_template, put_text }, { parse_format, put_text }, { parse_program, put_text },
	{ parse_triggers, put_triggers }, { parse_duration, put_duration }, { parse_boolean, put_boolean },
	{ parse_whole, put_unsigned }, { parse_positive, put_unsigned }, { parse_levels, put_levels },
	{ parse_codec, put_codec }, { parse_live_mode, put_live }, { parse_after, put_after },
	{ parse_space, put_space }, { parse_throttle, put_throttle },
};

static void put_key(FILE *out, const char *key, parse_fn *parse, const void *from)
{
	const struct regex_list *list = from;

	if (parse == parse_regex) {
		for (size_t i = 0; i < list->num; i++)
			fprintf(out, "%s=%s\n", key, list->text[i]);
		return;
	}
	fprintf(out, "%s=", key);
	for (size_t i = 0; i < sizeof(printers) / sizeof(*printers); i++) {
		if (printers[i].parse == parse)
			printers[i].put(out, from);
	}
	putc('\n', out);
}

void watch_policy_print(const struct watch_policy *p, FILE *out)
{
#define PUT(key, letter, option, value, member, parse, complete, help) put_key(out, key, parse, &p->member);
	WATCH_KEYS(PUT)
#undef PUT
}
