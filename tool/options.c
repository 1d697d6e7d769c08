/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

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

bool parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	unsigned long long n;
	unsigned int shift = 0;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 0);
	unit = *end ? strchr(units, *end >= 'a' ? *end - 32 : *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
	}
	if (errno || *end || n > UINT64_MAX >> shift)
		return false;
	*ret = n << shift;
	return true;
}

bool parse_number(const char *text, long min, long max, long *ret)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < min || n > max)
		return false;
	*ret = n;
	return true;
}

bool parse_codec(char *text, const char **codec, int *level)
{
	char *colon = strchr(text, ':');
	long n = 0;

	if (colon) {
		*colon = 0;
		if (!parse_number(colon + 1, -100, 100, &n))
			return false;
	}
	*codec = text;
	*level = (int)n;
	return *text;
}

unsigned int parse_levels(char *text, unsigned int *drops, unsigned int max)
{
	char *save, *item = strtok_r(text, ",", &save);
	unsigned int num = 0;
	long n;

	for (; item; item = strtok_r(NULL, ",", &save)) {
		if (num == max || !parse_number(item, 0, 31, &n))
			return 0;
		drops[num++] = (unsigned int)n;
	}
	return num;
}

static bool kind_find(const char *name, unsigned int *drop)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(kinds[i].name, name)) {
			*drop |= kinds[i].drop;
			return true;
		}
	}
	return false;
}

bool parse_exclude(char *text, unsigned int *drop)
{
	char *save, *name = strtok_r(text, ",", &save);

	*drop = 0;
	if (!name)
		return false;
	for (; name; name = strtok_r(NULL, ",", &save)) {
		if (!kind_find(name, drop))
			return false;
	}
	return true;
}

bool parse_extent(char *text, struct gdump_extent *ret)
{
	char *size = strchr(text, ':'), *offset = strchr(text, '@');

	if (!size || (offset && offset < size))
		return false;
	*size++ = 0;
	if (offset)
		*offset++ = 0;
	return parse_size(text, &ret->start) && parse_size(size, &ret->size) && ret->size &&
	       parse_size(offset ? offset : text, &ret->offset);
}

bool input_take(struct input *in, int opt, char *value, bool *good)
{
	*good = true;
	if (opt == OPT_INPUT_FORMAT) {
		in->format = value;
		return true;
	}
	if (opt == OPT_KEY) {
		prctl(PR_SET_DUMPABLE, 0);
		in->key_file = value;
		return true;
	}
	if (opt == OPT_STRICT || opt == OPT_NO_CONFINE || opt == OPT_VERBOSE) {
		in->strict |= opt == OPT_STRICT;
		in->no_confine |= opt == OPT_NO_CONFINE;
		in->verbosity += opt == OPT_VERBOSE;
		return true;
	}
	if (opt != OPT_RANGE)
		return false;
	*good = in->num_extents < MAX_EXTENTS && parse_extent(value, &in->extents[in->num_extents]);
	in->num_extents += *good;
	return true;
}
