/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * process_name.h - the name of a process
 */
#pragma once

#include <stdio.h>
#include <string.h>

struct process_name { char text[20]; };

/* As in @proc/PID/comm; "?" where it cannot be read, and for characters that do not print */
static inline struct process_name process_name(const char *proc, const char *pid)
{
	struct process_name ret = { "?" };
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%.250s/%.20s/comm", proc, pid);
	f = fopen(path, "re");
	if (f && !fgets(ret.text, sizeof(ret.text), f))
		strcpy(ret.text, "?");
	if (f)
		fclose(f);
	ret.text[strcspn(ret.text, "\n")] = '\0';
	for (char *c = ret.text; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
	return ret;
}
