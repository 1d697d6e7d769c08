/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * suggest.h - "did you mean ...?"
 */
#pragma once

#include <stddef.h>

struct suggestion {
	const char *word;
	size_t len;
	const char *name;               /* the closest so far; NULL: none is close */
	size_t distance;                /* the next one has to be closer        */
};

/* Start to look for the name closest to a word of @len characters. */
struct suggestion suggestion_for(const char *word, size_t len);
void suggestion_offer(struct suggestion *s, const char *name);
