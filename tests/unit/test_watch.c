/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_watch.c - what happens to a guest, in the order and with the words of the monitor
 */
#include <signal.h>
#include <sys/wait.h>

#include "fake_monitor.h"

#define STATUS(status, running) { .expect = "query-status", .reply = \
	"{\"return\": {\"running\": " running ", \"status\": \"" status "\"}, \"id\": @}\n" }
#define HAPPENS(name, data) { .reply = \
	"{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"" name "\", \"data\": {" data "}}\r\n" }

static const struct gdump_open_options options = { .size = sizeof(options), .timeout_ms = 10000 };

static struct gdump_watch *watch_open(const struct fake *f)
{
	struct gdump_watch *w = NULL;
	char name[64];

	snprintf(name, sizeof(name), "qmp:%s", f->path);
	CHECK_OK(gdump_watch_open(name, &options, &w));
	if (!w)
		exit(check_done());
	return w;
}

/* The next event, once there is one */
static struct gdump_event watch_wait(struct gdump_watch *w)
{
	struct gdump_event event = { .size = sizeof(event) };

	for (int i = 0; i < 100 && !event.type; i++) {
		struct pollfd p = { .fd = gdump_watch_fd(w), .events = POLLIN };

		CHECK_OK(gdump_watch_next(w, &event));
		if (!event.type)
			poll(&p, 1, 100);
	}
	return event;
}

static void test_events(void)
{
	struct gdump_event e;
	struct gdump_watch *w;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"),
		   HAPPENS("RTC_CHANGE", ""),
		   HAPPENS("RESET", "\"guest\": false, \"reason\": \"host-qmp-system-reset\""),
		   HAPPENS("RESET", "\"guest\": true, \"reason\": \"guest-reset\""),
		   HAPPENS("BLOCK_IO_ERROR", "\"device\": \"vda\", \"operation\": \"write\", "
			   "\"action\": \"report\", \"reason\": \"No space left\""),
		   HAPPENS("BLOCK_IO_ERROR", "\"device\": \"vda\", \"operation\": \"write\", "
			   "\"action\": \"stop\", \"reason\": \"No space left\""),
		   HAPPENS("GUEST_CRASHLOADED", "\"action\": \"run\""),
		   HAPPENS("WATCHDOG", "\"action\": \"none\""),
		   HAPPENS("GUEST_PANICKED", "\"action\": \"pause\""),
		   HAPPENS("GUEST_PANICKED", "\"action\": \"poweroff\""));
	w = watch_open(&f);
	e = watch_wait(w);
	CHECK_INT(e.type, GDUMP_EVENT_RESET);
	CHECK_STR(e.detail, "guest-reset");
	CHECK(!e.found);
	e = watch_wait(w);
	CHECK_INT(e.type, GDUMP_EVENT_IO_ERROR);
	CHECK_STR(e.detail, "write of device vda: No space left");
	CHECK(e.paused);
	CHECK_INT(watch_wait(w).type, GDUMP_EVENT_CRASHLOADED);
	CHECK_INT(watch_wait(w).type, GDUMP_EVENT_WATCHDOG);
	e = watch_wait(w);
	CHECK_INT(e.type, GDUMP_EVENT_PANICKED);
	CHECK(e.paused);
	e = watch_wait(w);
	CHECK(!e.paused && strstr(e.detail, "-action panic=pause"));
	CHECK_OK(gdump_watch_next(w, &e));
	CHECK_INT(e.type, GDUMP_EVENT_NONE);
	gdump_watch_close(w);
	fake_end(&f);
}

/* Only QEMU's state says so. */
static void test_internal_error(void)
{
	struct gdump_watch *w;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), HAPPENS("STOP", ""),
		   STATUS("paused", "false"), HAPPENS("RESUME", ""), HAPPENS("STOP", ""),
		   STATUS("internal-error", "false"));
	w = watch_open(&f);
	CHECK_INT(watch_wait(w).type, GDUMP_EVENT_INTERNAL_ERROR);
	gdump_watch_close(w);
	fake_end(&f);
}

static void test_found_so(void)
{
	struct gdump_event e;
	struct gdump_watch *w;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("guest-panicked", "false"),
		   { .expect = "\"cont\"", .reply = OK },
		   { .expect = "system_reset", .reply = OK }, { .expect = "\"cont\"", .reply = OK });
	w = watch_open(&f);
	e = watch_wait(w);
	CHECK_INT(e.type, GDUMP_EVENT_PANICKED);
	CHECK_STR(e.detail, "found in this state");
	CHECK(e.found);
	CHECK_OK(gdump_watch_resume(w));
	CHECK_OK(gdump_watch_reset(w));
	gdump_watch_close(w);
	fake_end(&f);
}

static void test_end(void)
{
	struct gdump_event e = { .size = sizeof(e) };
	struct gdump_error *err = NULL;
	struct gdump_watch *w;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"),
		   { .reply = "{\"event\": \"RESUME\"}\n{\"event\": 5}\n{\"what\": []}\n", .hang_up = true });
	w = watch_open(&f);
	fake_wait(&f);
	for (int i = 0; i < 3 && !err; i++)
		err = gdump_watch_next(w, &e);
	CHECK_ERR(err, GDUMP_ERR_REMOTE, "closed the monitor");
	gdump_watch_close(w);
	fake_end(&f);
}

static void test_process(void)
{
	struct gdump_event e = { .size = sizeof(e) };
	struct gdump_watch *w = NULL;
	const pid_t pid = fork();
	struct pollfd p;
	char name[24];

	if (!pid) {
		pause();
		_exit(0);
	}
	snprintf(name, sizeof(name), "pid:%d", (int)pid);
	CHECK_OK(gdump_watch_open(name, NULL, &w));
	CHECK_OK(gdump_watch_next(w, &e));
	CHECK_INT(e.type, GDUMP_EVENT_NONE);
	CHECK_ERR(gdump_watch_reset(w), GDUMP_ERR_UNSUPPORTED, "hypervisor");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	p = (struct pollfd){ .fd = gdump_watch_fd(w), .events = POLLIN };
	CHECK_INT(poll(&p, 1, 10000), 1);
	CHECK_ERR(gdump_watch_next(w, &e), GDUMP_ERR_REMOTE, "has ended");
	gdump_watch_close(w);
}

static void test_names(void)
{
	struct gdump_watch *w;

	CHECK_ERR(gdump_watch_open("pid:x", NULL, &w), GDUMP_ERR_USAGE, "number");
	CHECK_ERR(gdump_watch_open("/no/such/file", NULL, &w), GDUMP_ERR_USAGE, "not a running guest");
	CHECK_ERR(gdump_watch_open("nonsense", NULL, &w), GDUMP_ERR_OS, "no file");
}

int main(void)
{
	test_events();
	test_internal_error();
	test_found_so();
	test_end();
	test_process();
	test_names();
	return check_done();
}
