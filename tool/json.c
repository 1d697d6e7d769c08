/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "json.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

enum { TRIES = 100, NAP_MS = 10 };

/* jansson 2.14 loses characters, or reads past its buffer, if an allocation fails: so try for a
 * while, then exit. The guard resumes a paused guest then, as after kill -9.
 */
static void *allocate(size_t size)
{
	for (int i = 0; i < TRIES; i++) {
		void *p = malloc(size);

		if (p || !size)
			return p;
		poll(NULL, 0, NAP_MS);
	}
	say("out of memory");
	_exit(EXIT_FAILED);
}

void json_init(void)
{
	json_set_alloc_funcs(allocate, free);
}

json_t *json_string_of(const char *text)
{
	return text ? json_text(text, strlen(text)) : json_null();
}

json_t *json_text(const char *text, size_t len)
{
	json_t *o = json_stringn(text, len);
	char *clean = o ? NULL : malloc(len + 1);

	for (size_t i = 0; clean && i < len; i++)
		clean[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	if (clean)
		o = json_stringn(clean, len);
	free(clean);
	return o ? o : json_string("");
}
