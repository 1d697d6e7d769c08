/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_guest.c - when a guest is stopped, and that it goes on
 */
#include "fake_monitor.h"
#include "live/guest.h"

#define STATUS(status, running) { .expect = "query-status", .reply = \
	"{\"return\": {\"running\": " running ", \"status\": \"" status "\"}, \"id\": @}\n" }
#define MIGRATE(members) { .expect = "query-migrate", .reply = \
	"{\"return\": {" members "}, \"id\": @}\n" }
#define DUMP(status) { .expect = "query-dump", .reply = \
	"{\"return\": {\"status\": \"" status "\"}, \"id\": @}\n" }

static const struct gdump_open_options options = { .timeout_ms = 10000 };

static void guest_open(struct guest *g, const struct fake *f)
{
	*g = (struct guest){ 0 };
	CHECK_OK(qmp_open(f->path, &options, &g->qmp));
	if (!g->qmp)
		exit(check_done());
}

static void guest_end(struct guest *g, struct fake *f)
{
	qmp_close(g->qmp);
	fake_end(f);
}

static void test_running(void)
{
	struct guest g;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE(""), DUMP("none"),
		   { .expect = "\"stop\"", .reply = EVENT OK }, STATUS("paused", "false"),
		   { .expect = "\"cont\"", .reply = REFUSE("GenericError",
			"There is a dump in process, please wait.") },
		   { .expect = "\"cont\"", .reply = OK });
	guest_open(&g, &f);
	CHECK_OK(guest_check(&g));
	CHECK(g.running);
	CHECK_OK(guest_stop(&g));
	CHECK(g.stopped);
	CHECK_OK(guest_resume(&g));
	CHECK(!g.stopped);
	CHECK(guest_paused_us(&g) >= 20000);
	/* once only */
	CHECK_OK(guest_resume(&g));
	guest_end(&g, &f);
}

static void test_not_running(void)
{
	struct guest g;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("guest-panicked", "false"),
		   MIGRATE("\"status\": \"completed\""), DUMP("failed"));
	guest_open(&g, &f);
	CHECK_OK(guest_check(&g));
	CHECK(!g.running);
	CHECK_OK(guest_stop(&g));
	CHECK_OK(guest_resume(&g));
	CHECK_INT(guest_paused_us(&g), 0);
	guest_end(&g, &f);
}

/* It panicked between our question and our command: that is not ours to undo. */
static void test_stopped_by_itself(void)
{
	struct guest g;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE(""), DUMP("none"),
		   { .expect = "\"stop\"", .reply = OK }, STATUS("guest-panicked", "false"));
	guest_open(&g, &f);
	CHECK_OK(guest_check(&g));
	CHECK_OK(guest_stop(&g));
	CHECK(!g.stopped);
	CHECK_OK(guest_resume(&g));
	guest_end(&g, &f);
}

static void test_refused(void)
{
	struct guest g;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("inmigrate", "false"));
	guest_open(&g, &f);
	CHECK_ERR(guest_check(&g), GDUMP_ERR_REMOTE, "dump it where it comes from");
	guest_end(&g, &f);

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE("\"status\": \"setup\""));
	guest_open(&g, &f);
	CHECK_ERR(guest_check(&g), GDUMP_ERR_REMOTE, "is being migrated (setup)");
	guest_end(&g, &f);

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE(""), DUMP("active"));
	guest_open(&g, &f);
	CHECK_ERR(guest_check(&g), GDUMP_ERR_REMOTE, "somebody else is dumping this guest");
	guest_end(&g, &f);

	FAKE_START(&f, STEP_GREET, STATUS("running", "1"));
	guest_open(&g, &f);
	CHECK_ERR(guest_check(&g), GDUMP_ERR_REMOTE, "does not tell \"running\"");
	guest_end(&g, &f);
}

/* No answer to stop: it may be stopped all the same. */
static void test_stop_unanswered(void)
{
	struct guest g;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE(""), DUMP("none"),
		   { .expect = "\"stop\"", .reply = "garbage\n" },
		   { .expect = "\"cont\"", .reply = OK });
	guest_open(&g, &f);
	CHECK_OK(guest_check(&g));
	CHECK_ERR(guest_stop(&g), GDUMP_ERR_REMOTE, "garbage");
	CHECK(g.stopped);
	CHECK_OK(guest_resume(&g));
	guest_end(&g, &f);
}

static void test_not_resumed(void)
{
	struct guest g;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE(""), DUMP("none"),
		   { .expect = "\"stop\"", .reply = OK }, STATUS("paused", "false"),
		   { .expect = "\"cont\"", .reply = REFUSE("GenericError",
			"Resetting is required") });
	guest_open(&g, &f);
	CHECK_OK(guest_check(&g));
	CHECK_OK(guest_stop(&g));
	CHECK_ERR(guest_resume(&g), GDUMP_ERR_REMOTE, "the guest is still paused and could not be "
		  "resumed: QEMU refused cont: Resetting is required");
	guest_end(&g, &f);
}

int main(void)
{
	test_running();
	test_not_running();
	test_stopped_by_itself();
	test_refused();
	test_stop_unanswered();
	test_not_resumed();
	return check_done();
}
