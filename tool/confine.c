/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * confine.c - Landlock by its system calls, as the C library has none of them (facts:
 * the kernel's Documentation/userspace-api/landlock.rst); seccomp by libseccomp
 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef HAVE_SECCOMP
#include <seccomp.h>
#endif

#include "store.h"
#include "tool.h"

/* The leak checker inspects its own process, and coverage data is written to the build directory */
#if defined(COVERAGE) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED 0
#endif

/* One number on all architectures */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

/* The headers may be older than the kernel that we run on. */
enum {
	FS_EXECUTE = 1 << 0, FS_WRITE_FILE = 1 << 1, FS_READ_FILE = 1 << 2, FS_READ_DIR = 1 << 3,
	FS_REMOVE_FILE = 1 << 5, FS_MAKE_REG = 1 << 8, FS_TRUNCATE = 1 << 14,
	FS_ABI_1 = (1 << 13) - 1, FS_ABI_2 = (1 << 14) - 1, FS_ABI_3 = (1 << 15) - 1,
	NET_BIND_TCP = 1 << 0, NET_CONNECT_TCP = 1 << 1,
	SCOPE_ABSTRACT_SOCKET = 1 << 0, SCOPE_SIGNAL = 1 << 1,
	CREATE_RULESET_VERSION = 1 << 0, RULE_PATH_BENEATH = 1,
};

struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_beneath {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((__packed__));

struct rights {
	const char *key_file;
	char *const *inputs;
	int num_inputs;
	const char *directory, *spool;  /* where files are made, NULL: nowhere */
	bool guest, stops_vmm;
	bool network;                   /* there is an object                   */
	const char *ca_file;            /* for its server; NULL: those of the system    */
};

/* Allow the accesses @allowed to @path, which may be NULL or missing. Returns false if it exists
 * and could not be allowed.
 */
static bool allow(int ruleset, const char *path, uint64_t allowed)
{
	const int fd = path ? open(path, O_PATH | O_CLOEXEC) : -1;
	struct path_beneath rule = { .allowed = allowed, .parent_fd = fd };
	struct stat st;
	bool good;

	if (fd < 0)
		return !path || (errno != EMFILE && errno != ENFILE && errno != ENOMEM &&
				 errno != EINTR && errno != EIO);
	if (!fstat(fd, &st) && !S_ISDIR(st.st_mode))
		rule.allowed &= FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE;
	good = !syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
	close(fd);
	return good;
}

/* What the C library and libcurl read to find a server and to trust it */
static bool allow_network_files(int ruleset, const char *ca_file)
{
	static const char *const files[] = {
		"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf",
		"/etc/gai.conf", "/etc/services", "/etc/pki", "/etc/ca-certificates",
		"/run/systemd/resolve",
	};
	bool good = allow(ruleset, ca_file, FS_READ_FILE | FS_READ_DIR);

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		good &= allow(ruleset, files[i], FS_READ_FILE | FS_READ_DIR);
	return good;
}

/* Files next to an input that may be part of the same dump: where their names differ from its name.
 * The library opens no others.
 */
static const struct companion {
	char from;                      /* what is after the last one of these is replaced; 0: nothing */
	const char *name;
} companions[] = {
	{ 0, ".ranges" },               /* of a raw file                        */
	{ '/', "state.json" }, { '/', "memory-ranges" }, { '/', "config.json" },
	{ '.', ".vmem" }, { '.', ".vmss" }, { '.', ".vmsn" },
	{ '/', "mem" }, { '/', "mem_metadata" }, { '/', "vcpu" },
};

static bool allow_companion(int ruleset, const char *input, const struct companion *c)
{
	const char *slash = strrchr(input, '/'), *name = slash ? slash + 1 : input;
	const char *dot = strrchr(name, '.');
	const char *end = c->from == '/' ? name : c->from && dot ? dot : name + strlen(name);
	const int len = (int)(end - input);
	char *path;
	bool good;

	if (asprintf(&path, "%.*s%s", len, input, c->name) < 0)
		return false;
	good = allow(ruleset, path, FS_READ_FILE | FS_READ_DIR);
	free(path);
	return good;
}

static bool allow_all(int ruleset, const struct rights *r, uint64_t handled)
{
	/* for the C library, OpenSSL and the sanitizers: nothing secret */
	static const char *const system_files[] = {
		"/usr", "/lib", "/lib64", "/etc/ssl", "/etc/ld.so.cache", "/etc/localtime",
		"/proc/self", "/sys/devices/system/cpu", "/dev/urandom",
	};
	const uint64_t reading = FS_READ_FILE | FS_READ_DIR;
	const uint64_t making =
		reading | FS_WRITE_FILE | FS_REMOVE_FILE | FS_MAKE_REG | FS_TRUNCATE;
	bool good = true;

	for (size_t i = 0; i < sizeof(system_files) / sizeof(*system_files); i++)
		good &= allow(ruleset, system_files[i], reading);
	for (int i = 0; i < r->num_inputs; i++)
		good &= is_object(r->inputs[i]) || allow(ruleset, r->inputs[i], reading);
	for (size_t i = 0; i < sizeof(companions) / sizeof(*companions); i++)
		good &= allow_companion(ruleset, r->inputs[0], &companions[i]);
	good &= allow(ruleset, r->key_file, reading);
	good &= !r->network || allow_network_files(ruleset, r->ca_file);
	good &= allow(ruleset, r->directory, making & handled);
	return good && allow(ruleset, r->spool, making & handled);
}

/* NULL, or why files are not confined. */
static const char *confine_files(const struct rights *r, int *abi)
{
	struct ruleset attr = { .net = NET_BIND_TCP | NET_CONNECT_TCP,
				.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL };
	size_t size = sizeof(attr);
	long fd;
	bool done;
	int why;

	if (r->network)
		attr.net = NET_BIND_TCP;
	if (r->guest)
		return "with Landlock no process can read a running guest";
	*abi = (int)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CREATE_RULESET_VERSION);
	if (*abi < 1)
		return "the kernel has no Landlock, or it is switched off";
	attr.fs = *abi >= 3 ? FS_ABI_3 : *abi == 2 ? FS_ABI_2 : FS_ABI_1;
	/* an older kernel knows a shorter struct */
	if (*abi < 6)
		size = offsetof(struct ruleset, scoped);
	if (*abi < 4)
		size = offsetof(struct ruleset, net);
	fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (fd < 0)
		return strerror(errno);
	/* some of the rules would be worse than none */
	done = allow_all((int)fd, r, attr.fs) && !syscall(SYS_landlock_restrict_self, (int)fd, 0);
	why = errno;
	close((int)fd);
	return done ? NULL : strerror(why);
}

#ifdef HAVE_SECCOMP

/* Calls that reading and writing dumps never needs. Names that libseccomp does not know on this
 * architecture are skipped.
 */
static const char *const never[] = {
	"execve", "execveat", "process_vm_writev", "kcmp",
	"bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "open_by_handle_at",
	"mount", "umount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "fspick",
	"mount_setattr", "pivot_root", "chroot", "unshare", "setns", "swapon", "swapoff",
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
	"add_key", "request_key", "keyctl", "acct", "quotactl", "quotactl_fd", "personality",
	"settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname",
	"setdomainname", "syslog", "vhangup", "iopl", "ioperm", "mknod", "mknodat",
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups",
	"setfsuid", "setfsgid", "capset", "chown", "fchown", "lchown", "fchownat",
	"setxattr", "lsetxattr", "fsetxattr",
};

/* Calls that only reading a running guest needs */
static const char *const never_with_files[] = {
	"listen", "accept", "accept4",
	"process_vm_readv", "pidfd_open", "pidfd_getfd", "fork", "vfork",
};

/* Calls that only running guests and objects need */
static const char *const never_without_network[] = { "socket", "socketpair", "connect", "bind" };

/* Calls that only stopping a VMM needs */
static const char *const never_without_pid[] = { "ptrace" };

static bool refuse(scmp_filter_ctx ctx, const char *const *names, size_t num)
{
	bool good = true;

	for (size_t i = 0; i < num; i++) {
		const int nr = seccomp_syscall_resolve_name(names[i]);

		if (nr != __NR_SCMP_ERROR)
			good &= !seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	return good;
}

static const char *confine_calls(const struct rights *r)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	bool good = ctx && refuse(ctx, never, sizeof(never) / sizeof(*never));

	if (good && !r->guest)
		good = refuse(ctx, never_with_files,
			      sizeof(never_with_files) / sizeof(*never_with_files));
	if (good && !r->guest && !r->network)
		good = refuse(ctx, never_without_network,
			      sizeof(never_without_network) / sizeof(*never_without_network));
	if (good && !r->stops_vmm)
		good = refuse(ctx, never_without_pid,
			      sizeof(never_without_pid) / sizeof(*never_without_pid));
	good = good && !seccomp_load(ctx);
	seccomp_release(ctx);
	return good ? NULL : "the kernel has no seccomp filters";
}

#else

static const char *confine_calls(const struct rights *r)
{
	(void)r;
	return "this build is without libseccomp";
}

#endif

static bool any_object(char *const *inputs, int num)
{
	while (num && !is_object(inputs[num - 1]))
		num--;
	return num > 0;
}

/* The directory of @path, or NULL if @path is not a file */
static const char *directory_of(const char *path, char *buf, size_t size)
{
	const char *slash;

	if (!path || !strcmp(path, "-") || is_object(path))
		return NULL;
	slash = strrchr(path, '/');
	if (!slash)
		return ".";
	snprintf(buf, size, "%.*s", (int)(slash == path ? 1 : slash - path), path);
	return buf;
}

static void log_confined(void *verbosity, const struct rights *r, const char *files, int abi,
			 const char *calls)
{
	char text[PATH_MAX + 100];

	if (files)
		snprintf(text, sizeof(text), "files are not confined: %s", files);
	else
		snprintf(text, sizeof(text), "confined by Landlock (version %d): reads what is named, writes %s%s",
			 abi, r->directory ? "in " : "nothing", r->directory ? r->directory : "");
	say_debug(verbosity, GDUMP_DEBUG_STEP, text);
	if (calls)
		snprintf(text, sizeof(text), "system calls are not confined: %s", calls);
	else
		snprintf(text, sizeof(text), "confined by seccomp: no new programs, %s",
			 r->guest ? "no changes to the system" :
			 r->network ? "no other processes" : "no sockets, no other processes");
	say_debug(verbosity, GDUMP_DEBUG_STEP, text);
}

static bool needs_spool(char *const *inputs, int num_inputs)
{
	bool needs = false;

	for (int i = 0; i < num_inputs; i++)
		needs |= !strcmp(inputs[i], "-") || is_object(inputs[i]) ||
			 gdump_needs_copy(inputs[i]);
	return needs;
}

void confine(struct arguments *args, char *const *inputs, int num_inputs, const char *to)
{
	char directory[PATH_MAX];
	const struct rights r = {
		.key_file = args->open.key_file, .inputs = inputs, .num_inputs = num_inputs,
		.guest = is_guest(inputs[0]), .stops_vmm = !strncmp(inputs[0], "pid:", 4),
		.directory = directory_of(to, directory, sizeof(directory)),
		.network = any_object(inputs, num_inputs) || is_object(to), .ca_file = args->store.ca_file,
		/* for a copy of standard input, if that cannot be seeked, of a compressed input, and
		 * of some outputs
		 */
		.spool = needs_spool(inputs, num_inputs) || is_object(to) ? args->open.spool_dir : NULL,
	};
	const char *files, *calls;
	int abi = 0;

	if (args->no_confine || INSTRUMENTED)
		return;
	/* no core file with guest memory, no access by other processes of this user */
	prctl(PR_SET_DUMPABLE, 0);
	files = calls = "the kernel does not let us";
	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		files = confine_files(&r, &abi);
		calls = confine_calls(&r);
	}
	log_confined(&args->verbosity, &r, files, abi, calls);
}
