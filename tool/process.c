/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * process.c - signals, priority, and the process that resumes the guest when we are killed
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

enum { STUCK_SECONDS = 5 };

static volatile sig_atomic_t signaled, patient, unhurried, out_of_time;

static void on_signal(int sig)
{
	if (sig == SIGXCPU) {
		/* comes each second; the hard limit is a SIGKILL */
		out_of_time = signaled = 1;
		return;
	}
	if (patient && sig != SIGALRM) {
		signaled = 1;
		return;
	}
	if (sig == SIGALRM || signaled)
		_exit(EXIT_CANCELED);   /* the guard resumes the guest */
	signaled = 1;
	if (!unhurried)
		alarm(STUCK_SECONDS);
}

void priority_lower(void)
{
	/* linux/ioprio.h, which not every kernel's headers have: the last of those that take turns,
	 * because the idle class may have to wait forever
	 */
	const int who_process = 1, best_effort = 2, class_shift = 13, last = 7;

	if (setpriority(PRIO_PROCESS, 0, PRIO_MAX - 1) ||
	    syscall(SYS_ioprio_set, who_process, 0, best_effort << class_shift | last))
		warn("cannot lower the priority: %s", strerror(errno));
}

void signals_init(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGXCPU };
	struct sigaction sa = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		struct sigaction old;

		/* nohup, for example, wants the signal ignored */
		if (!sigaction(sigs[i], NULL, &old) && old.sa_handler == SIG_IGN)
			continue;
		sigaction(sigs[i], &sa, NULL);
	}
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	sigaction(SIGXFSZ, &sa, NULL);          /* write() reports EFBIG */
}

static volatile sig_atomic_t stop_wanted;
static const int stop_signals[] = { SIGTSTP, SIGTTIN, SIGTTOU };

static void on_stop_signal(int sig)
{
	(void)sig;
	stop_wanted = 1;
}

static void handle_stop_signals(void (*from)(int), void (*to)(int))
{
	struct sigaction sa = { .sa_handler = to, .sa_flags = SA_RESTART };

	for (size_t i = 0; i < sizeof(stop_signals) / sizeof(*stop_signals); i++) {
		struct sigaction old;

		if (!sigaction(stop_signals[i], NULL, &old) && old.sa_handler == from)
			sigaction(stop_signals[i], &sa, NULL);
	}
}

void signals_defer_stop(void)
{
	handle_stop_signals(SIG_DFL, on_stop_signal);
}

bool signals_stop_is_wanted(void)
{
	return stop_wanted;
}

void signals_stop(void)
{
	stop_wanted = 0;
	raise(SIGSTOP);
}

void signals_allow_stop(void)
{
	handle_stop_signals(on_stop_signal, SIG_DFL);
	if (stop_wanted)
		signals_stop();
}

void signals_be_patient(void)
{
	patient = 1;
	alarm(0);
}

void signals_unhurried(void)
{
	unhurried = 1;
}

bool canceled(void *arg)
{
	(void)arg;
	return signaled;
}

const char *signals_limit(void)
{
	return out_of_time ? "the limit of CPU time for this process is reached (ulimit -t)" : NULL;
}

/* --- processes that clean up when we are killed --- */

static pid_t guard_pid, upload_guard_pid;

static int guard_run(int fd, const void *arg)
{
	(void)arg;
	return gdump_guard(fd);
}

/* A signal for our process group is not for it, and who waits for our output does not wait for it. */
static int upload_guard_run(int fd, const void *store)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGPIPE };
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	prctl(PR_SET_DUMPABLE, 0);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
	for (int i = 0; null >= 0 && i <= STDERR_FILENO; i++)
		dup2(null, i);
	return gdump_upload_guard(fd, store);
}

/* Fork a process that calls @run with one end of a socket; returns the other, or 0. */
static int guard_fork(pid_t *pid, const char *name, int (*run)(int fd, const void *arg), const void *arg)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return 0;
	*pid = fork();
	if (!*pid) {
		prctl(PR_SET_NAME, name);
		close(fds[0]);
		_exit(run(fds[1], arg));
	}
	close(fds[1]);
	if (*pid < 0) {
		close(fds[0]);
		return 0;
	}
	return fds[0];
}

static void guard_join(pid_t pid, int fd)
{
	if (!fd)
		return;
	close(fd);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int guard_start(void)
{
	return guard_fork(&guard_pid, "gdump-guard", guard_run, NULL);
}

void guard_stop(int fd)
{
	guard_join(guard_pid, fd);
}

int upload_guard_start(const struct gdump_store_options *store)
{
	return guard_fork(&upload_guard_pid, "gdump-upload", upload_guard_run, store);
}

void upload_guard_stop(int fd)
{
	guard_join(upload_guard_pid, fd);
}

struct gdump_tables *tables_before_pause(const struct arguments *args)
{
	struct gdump_open_options running = args->open;
	struct gdump_tables *tables = NULL;
	struct gdump_error *err;
	struct gdump *g;

	if (!args->open.pause_guest || !is_guest(args->words[0]))
		return NULL;
	running.pause_guest = false;
	/* the second time reports what is wrong */
	running.warn = NULL;
	err = gdump_open(args->words[0], &running, &g);
	if (!err) {
		err = gdump_tables_read(g, &tables);
		gdump_close(g);
	}
	gdump_error_destroy(err);
	return tables;
}

/* Open, read and resume. */
static struct gdump_error *read_opened(struct arguments *args, guarded_fn *read, void *to)
{
	struct gdump_error *err, *failed;
	struct gdump *g;

	err = gdump_open(args->words[0], &args->open, &g);
	if (err)
		return err;
	err = read(g, args, to);
	failed = gdump_resume(g);
	gdump_close(g);
	if (!err)
		return failed;
	gdump_error_destroy(failed);
	return err;
}

struct gdump_error *guarded(struct arguments *args, guarded_fn *read, void *to)
{
	struct gdump_error *err;

	if (!args->open.pause_guest || !is_guest(args->words[0]))
		return read_opened(args, read, to);
	args->open.guard_fd = guard_start();
	stderr_defer();
	signals_defer_stop();
	err = read_opened(args, read, to);
	signals_allow_stop();
	guard_stop(args->open.guard_fd);
	stderr_settle();
	return err;
}
