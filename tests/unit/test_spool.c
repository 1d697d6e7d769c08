/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes/bytes.h"

enum { SIZE = (3 << 20) + 777, HOLE = 1 << 20 };

static unsigned char *content;

/* The reading end of a pipe that has the content, by its name. */
static pid_t start(char *path, size_t size, int *fd)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds))
		abort();
	pid = fork();
	if (!pid) {
		size_t done = 0;
		ssize_t n;

		close(fds[0]);
		while (done < SIZE && (n = write(fds[1], content + done, SIZE - done)) > 0)
			done += (size_t)n;
		_exit(0);
	}
	close(fds[1]);
	snprintf(path, size, "/dev/fd/%d", fds[0]);
	*fd = fds[0];
	return pid;
}

static void test_spool(void)
{
	const struct bytes_spool spool = { .dir = "/tmp" };
	unsigned char *copy = malloc(SIZE);
	char path[32];
	struct bytes *b;
	int fd;
	pid_t pid = start(path, sizeof(path), &fd);

	CHECK_OK(bytes_file_open(path, &spool, &b));
	CHECK_INT(b->size, SIZE);
	CHECK_OK(bytes_read(b, 0, copy, SIZE));
	CHECK(!memcmp(copy, content, SIZE));
	CHECK(bytes_hole(b, HOLE, 4096) == 4096);
	bytes_close(b);
	close(fd);
	waitpid(pid, NULL, 0);
	free(copy);
}

static bool stop(void *arg, uint64_t done, uint64_t total)
{
	CHECK_INT(total, 0);
	*(uint64_t *)arg = done;
	return done > 100000;
}

static void test_refused(void)
{
	uint64_t seen = 0;
	const struct bytes_spool none = { 0 }, nowhere = { .dir = "/nowhere" };
	const struct bytes_spool stopped = { .dir = "/tmp", .progress = stop,
					     .progress_arg = &seen };
	char path[32];
	struct bytes *b;
	int fd;
	pid_t pid = start(path, sizeof(path), &fd);

	CHECK_ERR(bytes_file_open(path, NULL, &b), GDUMP_ERR_UNSUPPORTED, "cannot seek");
	CHECK_ERR(bytes_file_open(path, &none, &b), GDUMP_ERR_UNSUPPORTED, "cannot seek");
	CHECK_ERR(bytes_file_open(path, &nowhere, &b), GDUMP_ERR_OS, "/nowhere");
	CHECK_ERR(bytes_file_open(path, &stopped, &b), GDUMP_ERR_CANCELED, "canceled");
	CHECK(seen > 100000 && seen < SIZE);
	close(fd);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	content = malloc(SIZE);
	for (size_t i = 0; i < SIZE; i++)
		content[i] = i >= HOLE && i < 2 * HOLE ? 0 : (unsigned char)(i * i >> 3 | 1);
	test_spool();
	test_refused();
	free(content);
	return check_done();
}
