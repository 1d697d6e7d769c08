/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * process_status.h - a number in the status of a process, and whether it has ended
 */
#pragma once

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* The number after @field ("Tgid:") in /proc/PID/status of process or thread @pid; -1: unknown. */
static inline int process_status(pid_t pid, const char *field)
{
	char path[40], line[128];
	int ret = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && ret < 0 && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, field, strlen(field)))
			ret = (int)strtol(line + strlen(field), NULL, 10);
	}
	if (f)
		fclose(f);
	return ret;
}

/* Whether process @pid has ended, even if its parent does not know yet; false where that is unknown */
static inline bool process_has_ended(pid_t pid)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	bool ret = errno == ESRCH;

	if (p.fd >= 0) {
		ret = poll(&p, 1, 0) > 0;
		close(p.fd);
	}
	return ret;
}
