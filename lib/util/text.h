/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * text.h - text that comes from a guest or a file
 */
#pragma once

/* Replace all but printable ASCII with '?', because the text may go to a terminal. */
static inline void text_clean(char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}
