/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MERCY_MS = 5000 };               /* from SIGTERM to SIGKILL              */

extern char **environ;

static int child_spawn(const char *path, char *const *argv, const struct child_options *opt,
		       pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int rc;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (opt->out >= 0)
		posix_spawn_file_actions_adddup2(&files, opt->out, 1);
	if (opt->err >= 0)
		posix_spawn_file_actions_adddup2(&files, opt->err, 2);
	posix_spawnattr_init(&attr);
	/* what we block or ignore is not for others */
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawn(pid, path, &files, &attr, argv, opt->env ? opt->env : environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

/* Wait for the end, for a limited time. Returns whether it came. */
static bool child_ends(int pidfd, uint64_t timeout_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	const int ms = timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms;
	int rc;

	do {
		rc = poll(&p, 1, ms);
	} while (rc < 0 && errno == EINTR);
	return rc > 0;
}

static void child_limit(pid_t pid, uint64_t timeout_ms)
{
	const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0)
		return;
	if (!child_ends(pidfd, timeout_ms)) {
		kill(pid, SIGTERM);
		if (!child_ends(pidfd, MERCY_MS))
			kill(pid, SIGKILL);
	}
	close(pidfd);
}

int child_run(const char *path, char *const *argv, const struct child_options *opt)
{
	int status;
	pid_t pid;

	errno = child_spawn(path ? path : "/proc/self/exe", argv, opt, &pid);
	if (errno)
		return -1;
	if (opt->timeout_ms)
		child_limit(pid, opt->timeout_ms);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
