/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"

#include <stdlib.h>

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
