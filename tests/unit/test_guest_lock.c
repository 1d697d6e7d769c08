/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_guest_lock.c - two processes do not dump the same guest
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "live/guest_lock.h"

int main(void)
{
	int fd, again, ready[2];
	char why[100], c;
	pid_t child;

	CHECK(!pipe(ready));
	child = fork();
	if (!child) {
		CHECK_OK(guest_lock_take(getppid(), &fd));
		CHECK(fd >= 0);
		CHECK_INT(write(ready[1], "r", 1), 1);
		for (;;)
			pause();
	}
	CHECK_INT(read(ready[0], &c, 1), 1);
	snprintf(why, sizeof(why), "another guestdump (process %d) is dumping this guest", (int)child);
	CHECK_ERR(guest_lock_take(getpid(), &fd), GDUMP_ERR_REMOTE, why);
	CHECK_INT(fd, -1);
	/* of another guest */
	CHECK_OK(guest_lock_take(ready[0] + 1000000, &fd));
	CHECK(fd >= 0);
	close(fd);
	/* it ends with its process, however that ends */
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	CHECK_OK(guest_lock_take(getpid(), &fd));
	CHECK(fd >= 0);
	/* one process may open a guest twice */
	CHECK_OK(guest_lock_take(getpid(), &again));
	CHECK_INT(again, -1);
	close(fd);
	CHECK_OK(guest_lock_take(0, &fd));
	CHECK_INT(fd, -1);
	return check_done();
}
