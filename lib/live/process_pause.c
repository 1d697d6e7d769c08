/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "process_pause.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../util/cleanup.h"
#include "../util/clock.h"
#include "../util/fdpass.h"
#include "freezer.h"

enum {
	ANSWER_MS = 2 * FREEZER_MS,     /* of the guard                         */
	ALIVE_US = 1000000,             /* how often the guard hears of us      */
};

struct process_pause {
	struct freezer *freezer;        /* NULL: the guard has it               */
	int guard_fd;
	uint64_t alive_us;              /* when the guard was told last         */
};

/* Wait for a message of the guard, as a string; false: there was none. */
static bool process_pause_receive(int guard_fd, char *text, size_t size)
{
	struct pollfd p = { .fd = guard_fd, .events = POLLIN };
	ssize_t n = 0;

	if (TEMP_FAILURE_RETRY(poll(&p, 1, ANSWER_MS)) == 1)
		n = TEMP_FAILURE_RETRY(recv(guard_fd, text, size - 1, 0));
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static struct gdump_error *process_pause_ask(pid_t pid, int guard_fd,
					     const struct pause_limit *limit)
{
	char text[512];
	int code, at;

	snprintf(text, sizeof(text), "Z%d %d %u %u", (int)pid, (int)getpid(), limit->stall_ms,
		 limit->max_ms);
	if (TEMP_FAILURE_RETRY(send(guard_fd, text, strlen(text), MSG_NOSIGNAL)) < 0)
		return error_os(errno, "cannot reach the process that guards the guest");
	if (!process_pause_receive(guard_fd, text, sizeof(text)))
		return error_new(GDUMP_ERR_REMOTE, "the process that guards the guest does not answer");
	if (sscanf(text, "X%d %n", &code, &at) == 1)
		return error_new((enum gdump_code)code, "%s", text + at);
	return text[0] == 'G' ? NULL :
	       error_new(GDUMP_ERR_REMOTE, "the process that guards the guest is confused");
}

struct gdump_error *process_pause_begin(pid_t pid, int guard_fd, const struct pause_limit *limit,
					struct process_pause **ret)
{
	struct process_pause *p = calloc(1, sizeof(*p));
	struct gdump_error *err;

	if (!p)
		return error_nomem();
	p->guard_fd = guard_fd;
	if (guard_fd > 0)
		err = process_pause_ask(pid, guard_fd, limit);
	else
		err = freezer_open(pid, &p->freezer);
	if (err)
		free(p);
	else
		*ret = p;
	return err;
}

void process_pause_alive(struct process_pause *p)
{
	const uint64_t now = clock_us();

	if (p->freezer || now - p->alive_us < ALIVE_US)
		return;
	p->alive_us = now;
	send(p->guard_fd, "H", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

struct gdump_error *process_pause_torn(const struct process_pause *p)
{
	char text[128] = "";
	ssize_t n;

	if (p->freezer)
		return NULL;
	n = recv(p->guard_fd, text, sizeof(text) - 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 || (n > 0 && text[0] != 'T'))
		return NULL;
	return error_new(GDUMP_ERR_REMOTE, "the guest was resumed before all memory was read: %s",
			 n ? text + 1 : "the process that guards it has ended");
}

void process_pause_end(struct process_pause *p)
{
	char text[128];

	if (!p)
		return;
	freezer_close(p->freezer);
	/* the guard may be about to resume it: 'T' and 'D' come before the answer */
	if (!p->freezer && TEMP_FAILURE_RETRY(send(p->guard_fd, "R", 1, MSG_NOSIGNAL)) > 0)
		while (process_pause_receive(p->guard_fd, text, sizeof(text)) && text[0] != 'R')
			;
	free(p);
}
