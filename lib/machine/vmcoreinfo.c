/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "vmcoreinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

const char *vmcoreinfo_get(const struct image *image, const char *key, size_t *len)
{
	const char *p = image->vmcoreinfo, *end = p ? p + image->vmcoreinfo_size : p;
	const size_t key_len = strlen(key);

	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));

		if (!eol)
			eol = end;
		if ((size_t)(eol - p) > key_len && !memcmp(p, key, key_len) && p[key_len] == '=') {
			*len = (size_t)(eol - p) - key_len - 1;
			return p + key_len + 1;
		}
		p = eol + 1;
	}
	return NULL;
}

bool vmcoreinfo_string(const struct image *image, const char *key, char *buf, size_t size)
{
	size_t len;
	const char *value = vmcoreinfo_get(image, key, &len);

	if (!value)
		return false;
	len = MIN(len, size - 1);
	memcpy(buf, value, len);
	buf[len] = 0;
	return true;
}

static bool vmcoreinfo_integer(const struct image *image, const char *key, int base, uint64_t *ret)
{
	char text[32], *end;
	uint64_t value;
	size_t len;

	/* do not truncate: that would be a different number */
	if (!vmcoreinfo_get(image, key, &len) || !len || len >= sizeof(text))
		return false;
	vmcoreinfo_string(image, key, text, sizeof(text));
	if (base == 10 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		base = 16;
	errno = 0;
	value = strtoull(text, &end, base);     /* accepts a minus sign */
	if (errno || *end)
		return false;
	*ret = value;
	return true;
}

bool vmcoreinfo_number(const struct image *image, const char *key, uint64_t *ret)
{
	char full[80];

	snprintf(full, sizeof(full), "NUMBER(%s)", key);
	return vmcoreinfo_integer(image, full, 10, ret);
}

bool vmcoreinfo_symbol(const struct image *image, const char *key, uint64_t *ret)
{
	char full[80];

	snprintf(full, sizeof(full), "SYMBOL(%s)", key);
	return vmcoreinfo_integer(image, full, 16, ret);
}

bool vmcoreinfo_decimal(const struct image *image, const char *key, uint64_t *ret)
{
	return vmcoreinfo_integer(image, key, 10, ret);
}

bool vmcoreinfo_hex(const struct image *image, const char *key, uint64_t *ret)
{
	return vmcoreinfo_integer(image, key, 16, ret);
}
