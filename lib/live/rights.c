/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * rights.c - why we may not read another process
 *
 * Linux lets us when ptrace(2) would: see "Ptrace access mode checking" there.
 */
#include "rights.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../util/process_status.h"

static bool rights_have_ptrace(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return !syscall(SYS_capget, &head, data) &&
	       (data[CAP_SYS_PTRACE / 32].effective >> CAP_SYS_PTRACE % 32 & 1);
}

/* The number in a file of /proc/sys; @missing where there is none, as the kernel lacks the feature */
static int rights_sysctl(const char *path, int missing)
{
	FILE *f = fopen(path, "re");
	int value;

	if (!f || fscanf(f, "%d", &value) != 1)
		value = missing;
	if (f)
		fclose(f);
	return value;
}

static int rights_yama_scope(void)
{
	return rights_sysctl("/proc/sys/kernel/yama/ptrace_scope", 0);
}

struct gdump_error *rights_explain(pid_t pid, int errnum)
{
	int scope = rights_yama_scope();
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (pid <= 0 || stat(path, &st))
		return error_os(errnum, "cannot see the guest's process: it is in another PID "
				"namespace (container), or /proc is mounted with hidepid");
	if (errnum != EPERM && errnum != EACCES)
		return error_os(errnum, "cannot look into process %d", (int)pid);
	if (scope >= 3)
		return error_os(errnum, "process %d: kernel.yama.ptrace_scope is %d, which "
				"forbids reading other processes until the next boot",
				(int)pid, scope);
	if (process_has_ended(pid))
		return error_new(GDUMP_ERR_REMOTE, "process %d has ended", (int)pid);
	if (rights_have_ptrace())
		return error_os(errnum, "process %d is in another user namespace, or a security "
				"module protects it", (int)pid);
	if (st.st_uid != geteuid())
		return error_os(errnum, "process %d belongs to user %u, we are user %u: run as "
				"that one, or as root (CAP_SYS_PTRACE)", (int)pid,
				(unsigned int)st.st_uid, (unsigned int)geteuid());
	if (scope)
		return error_os(errnum, "process %d: kernel.yama.ptrace_scope is %d: run as root "
				"(CAP_SYS_PTRACE)", (int)pid, scope);
	return error_os(errnum, "process %d is protected against its own user, as it was started "
			"with more rights: run as root (CAP_SYS_PTRACE)", (int)pid);
}

/* The effective user and capabilities of a process; false: we cannot see them. */
static bool rights_of(pid_t pid, unsigned int *user, uint64_t *caps)
{
	char path[32], line[256];
	bool has_user = false, has_caps = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = pid > 0 ? fopen(path, "re") : NULL;
	while (f && fgets(line, sizeof(line), f)) {
		has_user |= sscanf(line, "Uid: %*u %u", user) == 1;
		has_caps |= sscanf(line, "CapEff: %" SCNx64, caps) == 1;
	}
	if (f)
		fclose(f);
	return has_user && has_caps;
}

bool rights_may_uffd(pid_t pid)
{
	unsigned int user;
	uint64_t caps;

	return !rights_of(pid, &user, &caps) || caps >> CAP_SYS_PTRACE & 1 ||
	       rights_sysctl("/proc/sys/vm/unprivileged_userfaultfd", 1);
}

struct gdump_error *rights_explain_uffd(pid_t pid)
{
	unsigned int user;
	uint64_t caps;

	if (rights_may_uffd(pid) || !rights_of(pid, &user, &caps))
		return NULL;
	return error_new(GDUMP_ERR_REMOTE,
			 "QEMU runs as user %u, which may not use userfaultfd(2): set sysctl vm.unprivileged_userfaultfd=1, or let that user open /dev/userfaultfd (QEMU 8.0 and newer)",
			 user);
}
