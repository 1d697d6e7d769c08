/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * child.h - run a program and wait for it
 */
#pragma once

#include <stdint.h>

struct child_options {
	int out, err;                   /* where its output goes; -1: to ours   */
	char *const *env;               /* ends with NULL; NULL: ours           */
	uint64_t timeout_ms;            /* then it is killed; 0: never          */
};

/* Run the program @path (NULL: this one) with standard input from /dev/null. Returns its exit
 * status; 128 and the number of the signal that ended it; or -1 if it could not be started, with
 * errno. What has not ended in time is sent SIGTERM, and SIGKILL some seconds later.
 */
int child_run(const char *path, char *const *argv, const struct child_options *opt);
