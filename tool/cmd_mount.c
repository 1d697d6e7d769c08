/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cmd_mount.c - guestdump mount
 *
 * Two processes remain, or with --foreground this one and one more.  The server opens the dump and
 * answers the kernel; it gives up its rights first, as each byte of the dump may be hostile, so it
 * cannot unmount anything.  The keeper does that when the server has ended, however it did, and
 * passes signals on.  It never looks at the dump.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "confine.h"
#include "failure.h"
#include "mount_fuse.h"
#include "origin.h"
#include "store.h"

#ifndef HAVE_FUSE

int cmd_mount(struct arguments *args)
{
	(void)args;
	return failed(FAILURE_UNSUPPORTED, 0, "this build is without libfuse3, so it cannot mount");
}

#else

enum { GUEST_CHECK_SECONDS = 1, READY = 'r' };

static void log_to_stderr(const char *message)
{
	say("%s", message);
}

static void log_to_syslog(const char *message)
{
	syslog(LOG_ERR, "%s", message);
}

/* The server ---------------------------------------------------------------- */

struct server {
	struct mount_fuse *fuse;
	struct mount_tree tree;
	mount_log_fn *log;
	pthread_t thread;
	bool has_thread;
	bool ended;                     /* the guest                            */
	volatile bool stop;
};

/* Whether memory of the guest can still be read */
static bool guest_is_there(struct gdump *g)
{
	const struct gdump_info *info = gdump_info(g);
	struct gdump_error *err;
	char byte;
	bool there;

	err = gdump_read(g, info->ranges[0].start, &byte, 1);
	there = !err || gdump_error_code(err) == GDUMP_ERR_NODATA;
	gdump_error_destroy(err);
	return there;
}

/* End when the guest has ended. */
static void *server_watch(void *arg)
{
	struct server *s = arg;

	while (!s->stop) {
		sleep(GUEST_CHECK_SECONDS);
		if (s->stop || guest_is_there(s->tree.g))
			continue;
		s->log("the guest has ended");
		s->ended = true;
		mount_fuse_exit(s->fuse);
		break;
	}
	return NULL;
}

static void server_start_watch(struct server *s)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	s->has_thread = !pthread_create(&s->thread, NULL, server_watch, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Nothing is read from or printed to the terminal from now on. */
static void server_detach(void)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
}

static void server_run(struct server *s, const struct arguments *args, int ready)
{
	const char byte = READY;

	if (write(ready, &byte, 1) != 1)
		return;
	close(ready);
	if (!args->foreground && !chdir("/"))
		server_detach();
	if (s->tree.live)
		server_start_watch(s);
	mount_fuse_serve(s->fuse, &s->tree, s->log);
	s->stop = true;
	if (s->has_thread)
		pthread_join(s->thread, NULL);
}

/* Signals as they were before this program, until there are handlers of libfuse. */
static void server_init_signals(pid_t keeper)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	sigset_t none;

	for (size_t i = 0; i < sizeof(sigs) / sizeof(*sigs); i++)
		signal(sigs[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != keeper)
		raise(SIGTERM);
}

/* Returns the exit status; @ready gets a byte when the files can be read. */
static int server_main(struct mount_fuse *fuse, struct arguments *args, pid_t keeper, int ready)
{
	struct server s = { .fuse = fuse, .log = args->foreground ? log_to_stderr : log_to_syslog };
	struct gdump_error *err;
	struct gdump *g;

	server_init_signals(keeper);
	prctl(PR_SET_NAME, "gdump-mount");
	if (!args->foreground)
		openlog("guestdump", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	confine(args, args->words, 1, NULL);
	args->open.metadata = origin();
	err = gdump_open(args->words[0], &args->open, &g);
	if (err)
		return fail(err);
	err = mount_tree_open(&s.tree, g, args);
	if (!err)
		server_run(&s, args, ready);
	mount_tree_close(&s.tree);
	gdump_close(g);
	return err ? fail(err) : s.ended ? EXIT_FAILED : EXIT_DONE;
}

/* The keeper ---------------------------------------------------------------- */

/* Signals that the keeper waits for */
static void keeper_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

/* Wait until the server has ended, and tell it to when we are told. Returns its exit status. */
static int keeper_wait(pid_t server)
{
	sigset_t set;
	int status, sig;

	keeper_signals(&set);
	for (;;) {
		const pid_t pid = waitpid(server, &status, WNOHANG);

		if (pid == server)
			break;
		if (pid < 0 && errno != EINTR)
			return EXIT_FAILED;
		if (!sigwait(&set, &sig) && sig != SIGCHLD)
			kill(server, SIGTERM);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

/* Start the server, and keep the file system mounted as long as it lives. The byte of @told, if that
 * is not negative, says that all is well. Returns the exit status.
 */
static int keeper_main(const char *at, struct arguments *args, int told)
{
	struct mount_fuse *fuse = mount_fuse_open(at, shown_name(args->words[0]), args->allow_other);
	const pid_t self = getpid();
	sigset_t set;
	int fds[2], status = EXIT_FAILED;
	pid_t server;
	char byte;

	if (!fuse)
		return failed(FAILURE_SYSTEM, 0, "%s: cannot mount there; libfuse printed the reason", at);
	keeper_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (pipe2(fds, O_CLOEXEC)) {
		mount_fuse_close(fuse);
		return failed(failure_kind_of_errno(errno), errno, "cannot start a process: %s", strerror(errno));
	}
	server = fork();
	if (!server) {
		close(fds[0]);
		if (told >= 0)
			close(told);
		exit(server_main(fuse, args, self, fds[1]));
	}
	close(fds[1]);
	if (server > 0 && read(fds[0], &byte, 1) == 1 && told >= 0) {
		if (write(told, &byte, 1) == 1 && !chdir("/"))
			server_detach();
		close(told);
	}
	close(fds[0]);
	if (server > 0)
		status = keeper_wait(server);
	mount_fuse_close(fuse);
	return status;
}

/* Start the keeper in the background. Returns the exit status, as soon as files can be read. */
static int keeper_start(const char *at, struct arguments *args)
{
	int fds[2], status;
	pid_t keeper;
	char byte;

	if (pipe2(fds, O_CLOEXEC))
		return failed(failure_kind_of_errno(errno), errno, "cannot start a process: %s", strerror(errno));
	keeper = fork();
	if (!keeper) {
		close(fds[0]);
		setsid();
		exit(keeper_main(at, args, fds[1]));
	}
	close(fds[1]);
	if (keeper < 0)
		return failed(failure_kind_of_errno(errno), errno, "cannot start a process: %s", strerror(errno));
	if (read(fds[0], &byte, 1) == 1)
		return EXIT_DONE;
	if (waitpid(keeper, &status, 0) != keeper || !WIFEXITED(status))
		return EXIT_FAILED;
	return WEXITSTATUS(status);
}

int cmd_mount(struct arguments *args)
{
	char at[PATH_MAX];
	struct stat st;

	if (!realpath(args->words[1], at))
		return failed(failure_kind_of_errno(errno), errno, "%s: cannot mount there: %s", args->words[1],
			      strerror(errno));
	if (stat(at, &st) || !S_ISDIR(st.st_mode))
		return failed(FAILURE_USAGE, 0, "%s: it is not a directory, so nothing can be mounted there",
			      args->words[1]);
	if (args->foreground)
		return keeper_main(at, args, -1);
	return keeper_start(at, args);
}

#endif
