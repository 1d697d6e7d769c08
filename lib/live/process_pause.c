/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "process_pause.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../util/cleanup.h"
#include "../util/clock.h"
#include "../util/fdpass.h"
#include "freezer.h"
#include "remote_uffd.h"

enum {
	ANSWER_MS = 2 * FREEZER_MS,     /* of the guard                         */
	ALIVE_US = 1000000,             /* how often the guard hears of us      */
};

struct process_pause {
	struct freezer *freezer;        /* NULL: the guard has it, if anyone    */
	int guard_fd;                   /* 0: there is no guard                 */
	bool paused;
	uint64_t alive_us;              /* when the guard was told last         */
};

/* Wait for a message of the guard, as a string, and *@fd, -1 if none came along; false: there was
 * none.
 */
static bool process_pause_receive(int guard_fd, char *text, size_t size, int *fd)
{
	struct pollfd p = { .fd = guard_fd, .events = POLLIN };
	ssize_t n = 0;

	*fd = -1;
	if (TEMP_FAILURE_RETRY(poll(&p, 1, ANSWER_MS)) == 1)
		n = TEMP_FAILURE_RETRY(fd_recv(guard_fd, text, size - 1, fd));
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* Send the guard a message that it answers, and take the descriptor of the answer. */
static struct gdump_error *process_pause_ask(int guard_fd, const char *what, int *fd)
{
	char text[512];
	int code, at;

	if (TEMP_FAILURE_RETRY(send(guard_fd, what, strlen(what), MSG_NOSIGNAL)) < 0)
		return error_os(errno, "cannot reach the process that guards the guest");
	if (!process_pause_receive(guard_fd, text, sizeof(text), fd))
		return error_new(GDUMP_ERR_REMOTE, "the process that guards the guest does not answer");
	if (sscanf(text, "X%d %n", &code, &at) == 1)
		return error_new((enum gdump_code)code, "%s", text + at);
	return text[0] == 'G' ? NULL :
	       error_new(GDUMP_ERR_REMOTE, "the process that guards the guest is confused");
}

static struct gdump_error *process_pause_ask_stop(pid_t pid, int guard_fd,
						  const struct pause_limit *limit)
{
	char text[64];
	int fd;

	snprintf(text, sizeof(text), "Z%d %d %u %u", (int)pid, (int)getpid(), limit->stall_ms,
		 limit->max_ms);
	return process_pause_ask(guard_fd, text, &fd);
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
		err = process_pause_ask_stop(pid, guard_fd, limit);
	else
		err = freezer_open(pid, &p->freezer);
	if (err) {
		free(p);
		return err;
	}
	p->paused = true;
	*ret = p;
	return NULL;
}

/* The guard ends the registration of @slots if it has to. */
static struct gdump_error *process_pause_name_slots(const struct process_pause *p,
						    const struct memory_map *slots)
{
	char text[64];

	for (size_t i = 0; i < slots->num_slots; i++) {
		snprintf(text, sizeof(text), "A%" PRIx64 " %" PRIx64, slots->slots[i].hva,
			 slots->slots[i].size);
		if (TEMP_FAILURE_RETRY(send(p->guard_fd, text, strlen(text), MSG_NOSIGNAL)) < 0)
			return error_os(errno, "cannot reach the process that guards the guest");
	}
	return NULL;
}

struct gdump_error *process_pause_uffd(struct process_pause *p, const struct memory_map *slots,
				       int *ret)
{
	struct gdump_error *err;
	int fd = -1;

	if (p->freezer)
		return freezer_call(p->freezer, remote_uffd_create, ret);
	err = process_pause_name_slots(p, slots);
	if (!err)
		err = process_pause_ask(p->guard_fd, "W", &fd);
	if (!err && fd < 0)
		err = error_new(GDUMP_ERR_REMOTE, "the process that guards the guest is confused");
	if (!err)
		*ret = fd;
	return err;
}

void process_pause_uffd_done(struct process_pause *p)
{
	if (p->guard_fd > 0)
		send(p->guard_fd, "E", 1, MSG_NOSIGNAL);
}

void process_pause_alive(struct process_pause *p)
{
	const uint64_t now = clock_us();

	if (p->guard_fd <= 0 || now - p->alive_us < ALIVE_US)
		return;
	p->alive_us = now;
	send(p->guard_fd, "H", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

struct gdump_error *process_pause_torn(const struct process_pause *p)
{
	char text[128] = "";
	ssize_t n;

	if (p->guard_fd <= 0)
		return NULL;
	n = recv(p->guard_fd, text, sizeof(text) - 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 || (n > 0 && text[0] != 'T'))
		return NULL;
	return error_new(GDUMP_ERR_REMOTE, "the guest was resumed before all memory was read: %s",
			 n ? text + 1 : "the process that guards it has ended");
}

void process_pause_resume(struct process_pause *p)
{
	char text[128];
	int fd;

	if (!p->paused)
		return;
	p->paused = false;
	freezer_close(TAKE_PTR(p->freezer));
	/* the guard may be about to resume it: 'T' and 'D' come before the answer */
	if (p->guard_fd > 0 && TEMP_FAILURE_RETRY(send(p->guard_fd, "R", 1, MSG_NOSIGNAL)) > 0)
		while (process_pause_receive(p->guard_fd, text, sizeof(text), &fd) && text[0] != 'R')
			;
}

void process_pause_end(struct process_pause *p)
{
	if (p)
		process_pause_resume(p);
	free(p);
}
