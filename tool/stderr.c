/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * stderr.c - standard error, which never holds up a dump
 *
 * A terminal that is held by Ctrl-S, or a pipe that is full, blocks its writer;
 * while a guest is paused, that must not be a thread that it waits for. Neither poll() nor
 * O_NONBLOCK is of use: a terminal may have room for less than a line, and the flag would be
 * set for all who share the descriptor. So, while output is deferred, a thread of its own
 * writes, and all others leave their text in a queue.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "event.h"
#include "tool.h"

enum {
	BUFFER_SIZE = 8192,             /* of stdio: a message is one write()   */
	MAX_WAITING = 1 << 20,          /* bytes in the queue                   */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more, written;
	pthread_t thread;
	bool deferred;                  /* the thread runs                      */
	bool writing;                   /* it has taken text out of the queue   */
	char *text;
	size_t len;
	unsigned long dropped;          /* messages, since the queue was full   */
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER,
	    .written = PTHREAD_COND_INITIALIZER };

static bool write_all(const char *text, size_t len)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	while (len) {
		const ssize_t n = write(p.fd, text, len);

		if (n < 0 && errno == EAGAIN)
			poll(&p, 1, -1);
		else if (n < 0 && errno != EINTR)
			return false;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* One write() for each line, so that those of several programs do not get mixed up */
static void write_lines(const char *text, size_t len)
{
	while (len) {
		const char *end = memchr(text, '\n', len);
		const size_t n = end ? (size_t)(end - text) + 1 : len;

		if (!write_all(text, n))
			return;
		text += n;
		len -= n;
	}
}

static void *queue_write(void *arg)
{
	pthread_mutex_lock(&queue.lock);
	while (queue.deferred || queue.len) {
		char *text = queue.text;
		const size_t len = queue.len;

		if (!len) {
			pthread_cond_wait(&queue.more, &queue.lock);
			continue;
		}
		queue.text = NULL;
		queue.len = 0;
		queue.writing = true;
		pthread_mutex_unlock(&queue.lock);
		write_lines(text, len);
		free(text);
		pthread_mutex_lock(&queue.lock);
		queue.writing = false;
		pthread_cond_broadcast(&queue.written);
	}
	pthread_mutex_unlock(&queue.lock);
	return arg;
}

/* Lock held. False: there is no room. */
static bool queue_add(const char *text, size_t len)
{
	char *longer;

	if (len > MAX_WAITING - queue.len)
		return false;
	longer = realloc(queue.text, queue.len + len);
	if (!longer)
		return false;
	memcpy(longer + queue.len, text, len);
	queue.text = longer;
	queue.len += len;
	return true;
}

/* Lock held */
static void queue_put(const char *text, size_t len)
{
	static const char plain[] = "guestdump: %lu messages are missing here: standard error was not read\n";
	static const char json[] = "{\"schema\":1,\"type\":\"warning\",\"message\":\"%lu events are missing here: standard error was not read\"}\n";
	char note[160];
	int n;

	if (queue.dropped) {
		n = snprintf(note, sizeof(note), events_are_json() ? json : plain, queue.dropped);
		if (queue_add(note, (size_t)n))
			queue.dropped = 0;
	}
	if (!queue_add(text, len))
		queue.dropped++;
	pthread_cond_signal(&queue.more);
}

/* What stdio flushes */
static ssize_t stderr_write(void *cookie, const char *text, size_t len)
{
	bool deferred;

	(void)cookie;
	pthread_mutex_lock(&queue.lock);
	deferred = queue.deferred;
	if (deferred)
		queue_put(text, len);
	pthread_mutex_unlock(&queue.lock);
	return deferred || write_all(text, len) ? (ssize_t)len : 0;
}

void stderr_init(void)
{
	FILE *ours = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = stderr_write });

	/* glibc allows this; what cannot be had stays as it was */
	if (ours)
		stderr = ours;
	setvbuf(stderr, NULL, _IOFBF, BUFFER_SIZE);
}

void stderr_defer(void)
{
	sigset_t all, before;

	/* signals are for other threads; and SIGTTOU stops nobody who blocks it */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&queue.lock);
	queue.deferred = !pthread_create(&queue.thread, NULL, queue_write, NULL);
	pthread_mutex_unlock(&queue.lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool stderr_is_free(void)
{
	bool ret;

	pthread_mutex_lock(&queue.lock);
	ret = !queue.len && !queue.writing;
	pthread_mutex_unlock(&queue.lock);
	return ret;
}

void stderr_wait(unsigned int seconds)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	pthread_mutex_lock(&queue.lock);
	while (!rc && (queue.len || queue.writing))
		rc = pthread_cond_timedwait(&queue.written, &queue.lock, &until);
	pthread_mutex_unlock(&queue.lock);
}

void stderr_settle(void)
{
	bool deferred;

	pthread_mutex_lock(&queue.lock);
	deferred = queue.deferred;
	queue.deferred = false;
	pthread_cond_signal(&queue.more);
	pthread_mutex_unlock(&queue.lock);
	if (deferred)
		pthread_join(queue.thread, NULL);
}
