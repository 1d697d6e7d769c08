/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * remote_uffd.c - a userfaultfd(2) for the memory of another process
 *
 * Such a descriptor acts on the memory of the process that made it, whoever has it.  So we have the
 * process make it, take a copy, and have the process close its own at once: were it to have one
 * when we are gone, its threads would wait for ever.
 */
#include "remote_uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../util/cleanup.h"
#include "../util/process_status.h"
#include "inject.h"
#include "rights.h"

/* Have the first thread that can make a call; @tid: which one it is. */
static struct gdump_error *remote_uffd_call(const struct frozen *f, struct inject_call *call,
					    pid_t *tid)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; i < f->num_tids; i++) {
		gdump_error_destroy(err);
		err = inject_run(f->tids[i], call);
		*tid = f->tids[i];
		if (!err || gdump_error_code(err) != GDUMP_ERR_UNSUPPORTED)
			return err;
	}
	return err;
}

static struct gdump_error *remote_uffd_forbidden(pid_t pid)
{
	return error_new(GDUMP_ERR_REMOTE,
			 "process %d may not use userfaultfd(2): set sysctl vm.unprivileged_userfaultfd=1, unless it is root's",
			 (int)pid);
}

static struct gdump_error *remote_uffd_check_sandbox(pid_t tid)
{
	if (process_status(tid, "Seccomp:") > 0)
		return error_new(GDUMP_ERR_REMOTE,
				 "process %d is in a sandbox (seccomp), which may end it for a system call of ours",
				 (int)tid);
	return NULL;
}

struct gdump_error *remote_uffd_check(pid_t pid)
{
	if (!inject_works)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "guests by process can be dumped while they run only on hosts of x86-64");
	return rights_may_uffd(pid) ? remote_uffd_check_sandbox(pid) : remote_uffd_forbidden(pid);
}

struct gdump_error *remote_uffd_create(const struct frozen *f, void *arg)
{
	CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, f->pid, 0);
	struct inject_call make = { SYS_userfaultfd, { O_CLOEXEC | O_NONBLOCK }, 0 };
	struct inject_call end = { SYS_close, { 0 }, 0 };
	struct gdump_error *err = NULL;
	int *ret = arg, fd, errnum;
	pid_t tid = f->pid;

	if (pidfd < 0)
		return error_os(errno, "cannot open process %d (pidfd_open)", (int)f->pid);
	for (size_t i = 0; !err && i < f->num_tids; i++)
		err = remote_uffd_check_sandbox(f->tids[i]);
	if (!err)
		err = remote_uffd_call(f, &make, &tid);
	if (!err && make.result == -EPERM)
		err = remote_uffd_forbidden(f->pid);
	if (!err && make.result < 0)
		err = error_os((int)-make.result, "process %d cannot use userfaultfd(2)", (int)f->pid);
	if (err)
		return err;
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)make.result, 0);
	errnum = errno;
	end.args[0] = (uint64_t)make.result;
	err = inject_run(tid, &end);
	if (!err && fd < 0)
		err = error_os(errnum, "cannot copy a descriptor of process %d (pidfd_getfd)", (int)f->pid);
	if (err && fd >= 0)
		close(fd);
	if (!err)
		*ret = fd;
	return err;
}
