/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_guard.c - a guest goes on although the process that stopped it was killed
 *
 * Three processes, as in real life: this one plays QEMU, one stops the guest and
 * one is its guard.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "fake_monitor.h"
#include "live/guest.h"
#include "util/clock.h"

#define GUARD_CONT "\"execute\":\"cont\",\"id\":\"guestdump-guard\""
#define STEP_STOP STEP_GREET,                                                 \
	{ .expect = "\"stop\"", .reply = OK },                                \
	{ .expect = "query-status", .reply = "{\"return\": {\"running\": false, " \
		"\"status\": \"paused\"}, \"id\": @}\n" }
#define BUSY REFUSE("GenericError", "There is a dump in process, please wait.")

/* What the one that stops the guest does then, and is killed if it comes back */
typedef void then_fn(struct guest *g);
/* What it does before; NULL: nothing */
static then_fn *limit_fn;

struct scene {
	struct fake fake;
	pid_t guard, worker;
	int stopped;                    /* a byte comes when the guest is       */
};

static void work(struct scene *s, int guard_fd, int stopped, then_fn *then)
{
	static const struct gdump_open_options options = { .timeout_ms = 10000 };
	struct guest g = { .guard_fd = guard_fd, .limit = { .stall_ms = 60000 } };

	check_failed = 0;
	CHECK_OK(qmp_open(s->fake.path, &options, &g.qmp));
	if (check_failed)
		_exit(1);
	if (limit_fn)
		limit_fn(&g);
	CHECK_OK(guest_pause(&g));
	if (then)
		then(&g);
	CHECK_INT(write(stopped, "s", 1), 1);
	for (;;)
		pause();
}

static void scene_open(struct scene *s, then_fn *then)
{
	int control[2], stopped[2];

	fake_listen(&s->fake);
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control));
	CHECK(!pipe2(stopped, O_CLOEXEC));
	s->guard = fork();
	if (!s->guard) {
		close(control[1]);
		_exit(gdump_guard(control[0]));
	}
	close(control[0]);
	s->worker = fork();
	if (!s->worker)
		work(s, control[1], stopped[1], then);
	close(control[1]);
	close(stopped[1]);
	s->stopped = stopped[0];
}

/* Wait until the guest is stopped, kill, and see how the guard ends. */
static void scene_kill(struct scene *s, int expected)
{
	char c;
	int status;

	CHECK_INT(read(s->stopped, &c, 1), 1);
	close(s->stopped);
	/* none of these may end the guard */
	kill(s->guard, SIGTERM);
	kill(s->guard, SIGINT);
	kill(s->guard, SIGHUP);
	kill(s->worker, SIGKILL);
	CHECK_INT(waitpid(s->worker, &status, 0), s->worker);
	CHECK(WIFSIGNALED(status));
	CHECK_INT(waitpid(s->guard, &status, 0), s->guard);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), expected);
	fake_end(&s->fake);
}

static void test_killed(void)
{
	struct scene s;

	scene_open(&s, NULL);
	FAKE_PLAY(&s.fake, STEP_STOP, { .expect = GUARD_CONT, .reply = OK });
	scene_kill(&s, 0);
}

/* A dump of ours has not ended yet, and answers to the other process come first. */
static void test_busy(void)
{
	struct scene s;

	scene_open(&s, NULL);
	FAKE_PLAY(&s.fake, STEP_STOP,
		  { .expect = GUARD_CONT, .reply = "{\"return\": {}, \"id\": 4}\r\n" EVENT BUSY },
		  { .expect = GUARD_CONT, .reply = BUSY },
		  { .expect = GUARD_CONT, .reply = EVENT OK });
	scene_kill(&s, 0);
}

static void half_a_line(struct guest *g)
{
	CHECK_INT(send(qmp_fd(g->qmp), "{\"execute\":\"st", 14, 0), 14);
}

/* Killed in the middle of a command: ours is on a line of its own, and if QEMU
 * does not see it, it is made to forget the other one.
 */
static void test_half_a_line(void)
{
	struct scene s;

	scene_open(&s, half_a_line);
	FAKE_PLAY(&s.fake, STEP_STOP, { .expect = "{\"execute\":\"st" }, { .expect = GUARD_CONT },
		  { .expect = "\xff" }, { .expect = GUARD_CONT, .reply = OK });
	scene_kill(&s, 0);
}

static void resume(struct guest *g)
{
	CHECK_OK(guest_resume(g));
	qmp_close(g->qmp);
}

/* Nothing to do; and the guard does not keep the monitor from others: the fake
 * one ends only when all copies of the connection are closed.
 */
static void test_resumed(void)
{
	struct scene s;

	scene_open(&s, resume);
	FAKE_PLAY(&s.fake, STEP_STOP, { .expect = "\"cont\"", .reply = OK });
	fake_wait(&s.fake);
	scene_kill(&s, 0);
}

static void test_refused(void)
{
	struct scene s;

	scene_open(&s, NULL);
	FAKE_PLAY(&s.fake, STEP_STOP,
		  { .expect = GUARD_CONT, .reply = REFUSE("GenericError", "never again") });
	scene_kill(&s, 1);
}

/* QEMU is gone as well. */
static void test_monitor_gone(void)
{
	struct scene s;

	scene_open(&s, NULL);
	FAKE_PLAY(&s.fake, STEP_STOP, { .expect = GUARD_CONT, .hang_up = true });
	scene_kill(&s, 1);
}

static void change_setting(struct guest *g)
{
	CHECK_OK(guest_guard_undo(g, "\"execute\":\"put-it-back\""));
}

/* A setting is put back when the guest goes on, as soon as QEMU takes it. */
static void test_undo(void)
{
	struct scene s;

	scene_open(&s, change_setting);
	FAKE_PLAY(&s.fake, STEP_STOP, { .expect = GUARD_CONT, .reply = OK },
		  { .expect = "\"execute\":\"put-it-back\",\"id\":\"guestdump-guard\"",
		    .reply = REFUSE("GenericError", "There's a migration process in progress") },
		  { .expect = "put-it-back", .reply = OK });
	scene_kill(&s, 0);
}

static void change_and_resume(struct guest *g)
{
	change_setting(g);
	CHECK_OK(guest_resume(g));
}

/* Also that of a guest that goes on already */
static void test_undo_only(void)
{
	struct scene s;

	scene_open(&s, change_and_resume);
	FAKE_PLAY(&s.fake, STEP_STOP, { .expect = "\"cont\"", .reply = OK },
		  { .expect = "put-it-back", .reply = OK });
	scene_kill(&s, 0);
}

static void put_back(struct guest *g)
{
	change_and_resume(g);
	guest_guard_undone(g);
	qmp_close(g->qmp);
}

static void test_undone(void)
{
	struct scene s;

	scene_open(&s, put_back);
	FAKE_PLAY(&s.fake, STEP_STOP, { .expect = "\"cont\"", .reply = OK });
	fake_wait(&s.fake);
	scene_kill(&s, 0);
}

static int snapshot[2];

static void begin_snapshot(struct guest *g)
{
	CHECK_OK(guest_guard_pipe(g, "a-pipe", snapshot[0], false));
	/* only the guard is to read from it */
	close(snapshot[0]);
	close(snapshot[1]);
}

static void *write_snapshot(void *arg)
{
	static char bytes[1 << 20];

	(void)arg;
	poll(NULL, 0, 300);
	for (int i = 0; i < 8; i++)
		CHECK_INT(write(snapshot[1], bytes, sizeof(bytes)), sizeof(bytes));
	close(snapshot[1]);
	return NULL;
}

/* More than fits in any pipe: it is read to its end before the guest goes on. */
static void test_snapshot(void)
{
	pthread_t writer;
	struct scene s;

	CHECK(!pipe2(snapshot, O_CLOEXEC));
	scene_open(&s, begin_snapshot);
	close(snapshot[0]);
	CHECK(!pthread_create(&writer, NULL, write_snapshot, NULL));
	FAKE_PLAY(&s.fake, STEP_STOP,
		  { .expect = "\"closefd\",\"arguments\":{\"fdname\":\"a-pipe\"}",
		    .reply = REFUSE("GenericError", "File descriptor named 'x' not found") },
		  { .expect = GUARD_CONT, .reply = OK });
	scene_kill(&s, 0);
	pthread_join(writer, NULL);
}

static void begin_dump(struct guest *g)
{
	CHECK_OK(guest_guard_pipe(g, "a-pipe", snapshot[0], true));
	close(snapshot[0]);
	close(snapshot[1]);
}

/* QEMU ends a dump whose reader is gone: it is not read, which takes the longer the larger it is. */
static void test_break(void)
{
	static const char bytes[1 << 20];
	struct scene s;

	CHECK(!pipe2(snapshot, O_CLOEXEC));
	signal(SIGPIPE, SIG_IGN);
	scene_open(&s, begin_dump);
	close(snapshot[0]);
	FAKE_PLAY(&s.fake, STEP_STOP,
		  { .expect = "\"closefd\",\"arguments\":{\"fdname\":\"a-pipe\"}",
		    .reply = REFUSE("GenericError", "File descriptor named 'x' not found") },
		  { .expect = GUARD_CONT, .reply = OK });
	scene_kill(&s, 0);
	CHECK(write(snapshot[1], bytes, sizeof(bytes)) < 0 && errno == EPIPE);
	close(snapshot[1]);
}

/* What came of a guest that its guard has resumed: a byte for scene_kill() when all is so. */
static void see_guard(struct guest *g, const char *why)
{
	struct pollfd p = { .fd = g->guard_fd, .events = POLLIN };
	struct gdump_error *err;

	CHECK_INT(poll(&p, 1, 20000), 1);
	err = guest_torn(g);
	CHECK(err && strstr(gdump_error_message(err), why));
	gdump_error_destroy(err);
	/* the pause ended when the guard resumed the guest, not when we look */
	poll(NULL, 0, 2000);
	/* it was reported, so the second time it is no error */
	CHECK_OK(guest_await_guard(g));
	CHECK_INT(g->state, GUEST_RUNNING);
	CHECK(guest_paused_us(g) > 0 && guest_paused_us(g) + 1000000 < clock_us() - g->pause_us);
	CHECK_OK(guest_resume(g));
	if (check_failed)
		_exit(1);
	qmp_close(g->qmp);
}

static void stall(struct guest *g)
{
	see_guard(g, "no progress for");
}

static void set_stall_limit(struct guest *g)
{
	g->limit.stall_ms = 100;
}

/* A process that is there, but does nothing */
static void test_stalled(void)
{
	struct scene s;

	limit_fn = set_stall_limit;
	scene_open(&s, stall);
	FAKE_PLAY(&s.fake, STEP_STOP, { .expect = GUARD_CONT, .reply = OK });
	fake_wait(&s.fake);
	scene_kill(&s, 0);
}

static void keep_alive(struct guest *g)
{
	struct gdump_error *err = NULL;

	for (int i = 0; !err && i < 200; i++) {
		guest_alive(g);
		poll(NULL, 0, 100);
		err = guest_torn(g);
	}
	CHECK(err && strstr(gdump_error_message(err), "the pause took longer than"));
	gdump_error_destroy(err);
	CHECK_OK(guest_await_guard(g));
	qmp_close(g->qmp);
}

static void set_pause_limit(struct guest *g)
{
	g->limit.max_ms = 100;
}

/* One that makes progress, but for too long */
static void test_overlong(void)
{
	struct scene s;

	limit_fn = set_pause_limit;
	scene_open(&s, keep_alive);
	FAKE_PLAY(&s.fake, STEP_STOP, { .expect = GUARD_CONT, .reply = OK });
	fake_wait(&s.fake);
	scene_kill(&s, 0);
}

int main(void)
{
	test_killed();
	test_busy();
	test_half_a_line();
	test_resumed();
	test_refused();
	test_monitor_gone();
	test_undo();
	test_undo_only();
	test_undone();
	test_snapshot();
	test_break();
	test_stalled();
	test_overlong();
	return check_done();
}
