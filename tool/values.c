/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static const char a_size[] = "a number of bytes such as 4096, 0x1000, 64K or 2G";

static const struct {
	const char *name;
	enum gdump_drop drop;
} kinds[] = {
	{ "zero",    GDUMP_DROP_ZERO },
	{ "cache",   GDUMP_DROP_CACHE },
	{ "private", GDUMP_DROP_CACHE_PRIVATE },
	{ "user",    GDUMP_DROP_USER },
	{ "free",    GDUMP_DROP_FREE },
};

const char *excluded_kind_name(size_t i)
{
	return i < ARRAY_SIZE(kinds) ? kinds[i].name : NULL;
}

/* A part of a value */
struct piece {
	const char *text;
	size_t len;
};

static bool bad_piece(struct bad_value *bad, struct piece piece, const char *wanted)
{
	*bad = (struct bad_value){ piece.text, (int)piece.len, wanted };
	return false;
}

static struct piece whole(const char *text)
{
	return (struct piece){ text, strlen(text) };
}

/* Split off the text in front of the next of @separators; returns false at the end. */
static bool next_piece(const char **rest, const char *separators, struct piece *ret)
{
	if (!*rest)
		return false;
	*ret = (struct piece){ *rest, strcspn(*rest, separators) };
	*rest = (*rest)[ret->len] ? *rest + ret->len + 1 : NULL;
	return true;
}

static bool size_in(struct piece p, uint64_t *ret)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	unsigned long long n;
	unsigned int shift = 0;

	if (!p.len || *p.text < '0' || *p.text > '9')
		return false;
	errno = 0;
	n = strtoull(p.text, &end, 0);
	unit = end < p.text + p.len ? strchr(units, *end >= 'a' ? *end - 32 : *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
	}
	if (errno || end != p.text + p.len || n > UINT64_MAX >> shift)
		return false;
	*ret = n << shift;
	return true;
}

static bool number_in(struct piece p, long min, long max, long *ret)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(p.text, &end, 10);
	if (errno || !p.len || end != p.text + p.len || n < min || n > max)
		return false;
	*ret = n;
	return true;
}

bool parse_number(const char *text, long min, long max, long *ret)
{
	return number_in(whole(text), min, max, ret);
}

static bool parse_unsigned(const char *text, long max, unsigned int *to)
{
	long n;

	if (!parse_number(text, 1, max, &n))
		return false;
	*to = (unsigned int)n;
	return true;
}

bool parse_flag(const char *text, void *to, struct bad_value *bad)
{
	(void)text, (void)bad;
	*(bool *)to = true;
	return true;
}

bool parse_count(const char *text, void *to, struct bad_value *bad)
{
	(void)text, (void)bad;
	++*(unsigned int *)to;
	return true;
}

bool parse_text(const char *text, void *to, struct bad_value *bad)
{
	(void)bad;
	*(const char **)to = text;
	return true;
}

bool parse_mount_options(const char *text, void *to, struct bad_value *bad)
{
	static const char other[] = "allow_other";
	struct piece p;

	while (next_piece(&text, ",", &p)) {
		if (p.len == strlen(other) && !strncmp(p.text, other, p.len))
			*(bool *)to = true;
		else if (p.len != 2 || strncmp(p.text, "ro", 2))
			return bad_piece(bad, p, "an option of mounts: allow_other or ro");
	}
	return true;
}

bool parse_format(const char *text, void *to, struct bad_value *bad)
{
	if (*text == '-')
		return bad_piece(bad, whole(text), "the name of a format");
	return parse_text(text, to, bad);
}

bool parse_size(const char *text, void *to, struct bad_value *bad)
{
	return size_in(whole(text), to) || bad_piece(bad, whole(text), a_size);
}

bool parse_length(const char *text, void *to, struct bad_value *bad)
{
	if (!parse_size(text, to, bad))
		return false;
	return *(uint64_t *)to || bad_piece(bad, whole(text), "a size above 0");
}

bool parse_threads(const char *text, void *to, struct bad_value *bad)
{
	return parse_unsigned(text, 256, to) ||
	       bad_piece(bad, whole(text), "a number from 1 to 256");
}

bool parse_files(const char *text, void *to, struct bad_value *bad)
{
	return parse_unsigned(text, 1000, to) ||
	       bad_piece(bad, whole(text), "a number from 1 to 1000");
}

static bool is_section(struct piece p)
{
	const char *name;

	for (size_t i = 0; (name = gdump_report_section(i)); i++) {
		if (strlen(name) == p.len && !strncmp(name, p.text, p.len))
			return true;
	}
	return false;
}

bool parse_sections(const char *text, void *to, struct bad_value *bad)
{
	struct piece p;

	*(const char **)to = text;
	while (next_piece(&text, ",", &p)) {
		if (!is_section(p))
			return bad_piece(bad, p, "a section of the report; guestdump report --help lists them");
	}
	return true;
}

bool parse_stacks(const char *text, void *to, struct bad_value *bad)
{
	struct gdump_stacks_options *opt = to;

	(void)bad;
	opt->which = strcmp(text, "all") ? GDUMP_STACKS_BLOCKED : GDUMP_STACKS_ALL;
	return true;
}

bool parse_task(const char *text, void *to, struct bad_value *bad)
{
	struct gdump_stacks_options *opt = to;
	long n;

	if (!parse_number(text, 1, INT32_MAX, &n))
		return bad_piece(bad, whole(text), "the number of a task (idle tasks: --cpu)");
	opt->which = GDUMP_STACKS_TASK;
	opt->number = (int32_t)n;
	return true;
}

bool parse_cpu(const char *text, void *to, struct bad_value *bad)
{
	struct gdump_stacks_options *opt = to;
	long n;

	if (!parse_number(text, 0, UINT16_MAX, &n))
		return bad_piece(bad, whole(text), "the number of a CPU, from 0 on");
	opt->which = GDUMP_STACKS_CPU;
	opt->number = (int32_t)n;
	return true;
}

bool parse_seconds(const char *text, void *to, struct bad_value *bad)
{
	unsigned int *ms = to;

	if (!parse_unsigned(text, 3600, ms))
		return bad_piece(bad, whole(text), "a number of seconds from 1 to 3600");
	*ms *= 1000;
	return true;
}

static const struct {
	const char *name;
	uint64_t ms;
} time_units[] = {
	{ "ms", 1 }, { "s", 1000 }, { "sec", 1000 }, { "m", 60000 }, { "min", 60000 },
	{ "h", 3600000 }, { "d", 86400000 }, { "w", 604800000 }, { "", 1000 },
};

/* One number with its unit, from *@rest on */
static bool next_duration(const char **rest, uint64_t *ms)
{
	const size_t digits = strspn(*rest, "0123456789");
	const char *unit = *rest + digits + strspn(*rest + digits, " ");
	const size_t len = strspn(unit, "abcdefghijklmnopqrstuvwxyz");
	uint64_t n = 0;

	if (!digits || digits > 12)
		return false;
	for (size_t i = 0; i < digits; i++)
		n = 10 * n + (uint64_t)((*rest)[i] - '0');
	for (size_t i = 0; i < ARRAY_SIZE(time_units); i++) {
		if (strlen(time_units[i].name) == len && !strncmp(time_units[i].name, unit, len)) {
			*ms += n * time_units[i].ms;
			*rest = unit + len + strspn(unit + len, " ");
			return n <= UINT64_MAX / 1000000 / time_units[i].ms;
		}
	}
	return false;
}

bool parse_duration(const char *text, void *to, struct bad_value *bad)
{
	const char *rest = text;
	uint64_t ms = 0;
	bool good;

	do {
		good = next_duration(&rest, &ms);
	} while (good && *rest && ms < UINT64_MAX / 100000);
	if (!good || *rest)
		return bad_piece(bad, whole(text), "a time such as 500ms, 30s, 5min, 1h 30min or 7d");
	*(uint64_t *)to = ms;
	return true;
}

bool parse_boolean(const char *text, void *to, struct bad_value *bad)
{
	static const char *const names[][2] = {
		{ "no", "yes" }, { "false", "true" }, { "off", "on" }, { "0", "1" },
	};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(names); i++) {
		if (!strcasecmp(names[i / 2][i % 2], text)) {
			*(bool *)to = i % 2;
			return true;
		}
	}
	return bad_piece(bad, whole(text), "yes or no");
}

bool parse_whole(const char *text, void *to, struct bad_value *bad)
{
	long n;

	if (!parse_number(text, 0, INT32_MAX, &n))
		return bad_piece(bad, whole(text), "a number, from 0 on");
	*(unsigned int *)to = (unsigned int)n;
	return true;
}

bool parse_positive(const char *text, void *to, struct bad_value *bad)
{
	return parse_unsigned(text, INT32_MAX, to) || bad_piece(bad, whole(text), "a number, from 1 on");
}

bool parse_job(const char *text, void *to, struct bad_value *bad)
{
	return parse_number(text, 1, INT32_MAX, to) ||
	       bad_piece(bad, whole(text), "the number of a job; guestdump jobs lists them");
}

bool parse_process(const char *text, void *to, struct bad_value *bad)
{
	return parse_number(text, 1, INT32_MAX, to) ||
	       bad_piece(bad, whole(text), "the number of a process; guestdump info --tasks lists them");
}

bool parse_codec(const char *text, void *to, struct bad_value *bad)
{
	const struct piece name = { text, strcspn(text, ":") };
	const char *level = text[name.len] ? text + name.len + 1 : NULL;
	struct codec_choice *codec = to;
	long n = 0;

	if (!name.len || name.len >= sizeof(codec->name))
		return bad_piece(bad, name, "the name of a codec");
	if (level && !*level)
		return bad_piece(bad, whole(text), "CODEC or CODEC:LEVEL; add a level, or omit the colon");
	if (level && !parse_number(level, -100, 100, &n))
		return bad_piece(bad, whole(level), "a compression level");
	snprintf(codec->name, sizeof(codec->name), "%.*s", (int)name.len, name.text);
	codec->has_level = level;
	codec->level = (int)n;
	return true;
}

bool parse_levels(const char *text, void *to, struct bad_value *bad)
{
	struct level_list *list = to;
	struct piece p;
	long n;

	for (list->num = 0; next_piece(&text, ",", &p); list->num++) {
		if (!number_in(p, 0, 31, &n))
			return bad_piece(bad, p, "a dump level from 0 to 31");
		if (list->num == ARRAY_SIZE(list->levels))
			return bad_piece(bad, p, "expected: the list is too long");
		list->levels[list->num] = (unsigned int)n;
	}
	return true;
}

static bool find_kind(struct piece name, unsigned int *drop)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strlen(kinds[i].name) == name.len &&
		    !strncmp(kinds[i].name, name.text, name.len)) {
			*drop |= kinds[i].drop;
			return true;
		}
	}
	return false;
}

bool parse_exclude(const char *text, void *to, struct bad_value *bad)
{
	struct level_list *list = to;
	struct piece p;

	while (next_piece(&text, ",", &p)) {
		if (!find_kind(p, &list->exclude))
			return bad_piece(bad, p, "zero, cache, private, user or free");
	}
	return true;
}

bool parse_extent(const char *text, void *to, struct bad_value *bad)
{
	const struct piece all = whole(text);
	const char *at = strchr(text, '@'), *colon = strchr(text, ':');
	struct extent_list *list = to;
	struct gdump_extent x;
	struct piece addr, size, offset;

	if (!colon || (at && at < colon))
		return bad_piece(bad, all, "ADDR:SIZE[@OFFSET]");
	addr = (struct piece){ text, (size_t)(colon - text) };
	size = (struct piece){ colon + 1, strcspn(colon + 1, "@") };
	offset = at ? whole(at + 1) : addr;
	if (!size_in(addr, &x.start))
		return bad_piece(bad, addr, "an address");
	if (!size_in(size, &x.size) || !x.size)
		return bad_piece(bad, size, "a size above 0");
	if (!size_in(offset, &x.offset))
		return bad_piece(bad, offset, "an offset");
	if (list->num == ARRAY_SIZE(list->extents))
		return bad_piece(bad, all, "expected: there are too many ranges");
	list->extents[list->num++] = x;
	return true;
}

bool parse_memory(const char *text, void *to, struct bad_value *bad)
{
	struct extent_list *list = to;

	if (list->num)
		return bad_piece(bad, whole(text), "expected: there is one already");
	return strchr(text, '@') ? bad_piece(bad, whole(text), "ADDR:SIZE") :
				   parse_extent(text, to, bad);
}

bool parse_live(const char *text, void *to, struct bad_value *bad)
{
	int *live = to;

	if (text && strcmp(text, "try"))
		return bad_piece(bad, whole(text), "\"try\"");
	*live = text ? GDUMP_LIVE_TRY : GDUMP_LIVE_YES;
	return true;
}

bool parse_key(const char *text, void *to, struct bad_value *bad)
{
	prctl(PR_SET_DUMPABLE, 0);
	return parse_text(text, to, bad);
}
