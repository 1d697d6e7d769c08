/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "suggest.h"

#include <string.h>

enum { MAX_WORD = 32 };

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The number of insertions, deletions, replacements and swaps of neighbors that turn @a into @b:
 * the optimal string alignment distance
 */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t d[MAX_WORD + 1][MAX_WORD + 1];

	for (size_t i = 0; i <= a_len; i++)
		d[i][0] = i;
	for (size_t k = 0; k <= b_len; k++)
		d[0][k] = k;
	for (size_t i = 1; i <= a_len; i++) {
		for (size_t k = 1; k <= b_len; k++) {
			d[i][k] = min(d[i - 1][k - 1] + (a[i - 1] != b[k - 1]),
				      min(d[i - 1][k], d[i][k - 1]) + 1);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				d[i][k] = min(d[i][k], d[i - 2][k - 2] + 1);
		}
	}
	return d[a_len][b_len];
}

struct suggestion suggestion_for(const char *word, size_t len)
{
	/* allows one typo in a short word, three in a long one */
	return (struct suggestion){ word, len, NULL, min(len / 3 + 1, 4) };
}

void suggestion_offer(struct suggestion *s, const char *name)
{
	const size_t len = strlen(name);
	size_t d;

	if (s->len > MAX_WORD || len > MAX_WORD)
		return;
	d = distance(s->word, s->len, name, len);
	if (d < s->distance && d < len) {
		s->name = name;
		s->distance = d;
	}
}
