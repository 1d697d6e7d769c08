/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * turncoat.c - preloaded: at the first read of a dump, the program tries what somebody would
 * who has taken it over, and says what it could do, a word a line.  The few bytes that say whether
 * a file is compressed as a whole are compared before, and do not count.
 *
 * $TURNCOAT is a folder with a file "secret", and in which it makes others.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *in_folder(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", getenv("TURNCOAT"), name);
	return path;
}

static bool can_read(void)
{
	return open(in_folder("secret"), O_RDONLY) >= 0;
}

static bool can_write(void)
{
	return open(in_folder("secret"), O_WRONLY) >= 0;
}

static bool can_make(void)
{
	return open(in_folder("made"), O_WRONLY | O_CREAT, 0600) >= 0;
}

static bool can_remove(void)
{
	return !unlink(in_folder("removable"));
}

static bool can_list(void)
{
	return open(getenv("TURNCOAT"), O_RDONLY | O_DIRECTORY) >= 0;
}

static bool can_connect(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

/* A child, as what comes after a successful exec is not ours any more */
static bool can_start(void)
{
	const pid_t pid = fork();
	int status = 1;

	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	return !status;
}

static bool can_spy(void)
{
	const pid_t pid = fork();
	int value = 1, copy = 0;
	struct iovec ours = { &copy, sizeof(copy) }, theirs = { &value, sizeof(value) };
	bool can;

	if (!pid) {
		pause();
		_exit(0);
	}
	can = process_vm_readv(pid, &ours, 1, &theirs, 1, 0) > 0 ||
	      !ptrace(PTRACE_ATTACH, pid, NULL, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return can;
}

static bool can_gain(void)
{
	return !prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

static bool can_leave_core(void)
{
	return prctl(PR_GET_DUMPABLE);
}

enum { MAGIC_SIZE = 8 };

static void try_all(void)
{
	static const struct {
		const char *name;
		bool (*can)(void);
	} deeds[] = {
		{ "read", can_read }, { "write", can_write }, { "make", can_make },
		{ "remove", can_remove }, { "list", can_list }, { "connect", can_connect },
		{ "start", can_start }, { "gain", can_gain }, { "core", can_leave_core },
		{ "spy", can_spy },
	};

	for (size_t i = 0; i < sizeof(deeds) / sizeof(*deeds); i++)
		if (deeds[i].can())
			dprintf(2, "can %s\n", deeds[i].name);
	dprintf(2, "tried\n");
}

ssize_t pread64(int fd, void *buf, size_t len, off64_t off)
{
	static atomic_flag tried = ATOMIC_FLAG_INIT;
	ssize_t (*real)(int, void *, size_t, off64_t) =
		(ssize_t(*)(int, void *, size_t, off64_t))dlsym(RTLD_NEXT, "pread64");

	if (len > MAGIC_SIZE && !atomic_flag_test_and_set(&tried))
		try_all();
	return real(fd, buf, len, off);
}
