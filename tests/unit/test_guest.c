/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
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
#define DUMP_NONE { .expect = "query-dump", .reply = \
	"{\"return\": {\"status\": \"none\"}, \"id\": @}\n" }
#define PROPERTY(name, value) { .expect = name, .reply = "{\"return\": " value ", \"id\": @}\n" }
#define SUPPORT(value) PROPERTY("confidential-guest-support", value)
#define TYPE(value) PROPERTY("\"type\"", value)
#define NO_SUPPORT { .expect = "confidential-guest-support", .reply = \
	REFUSE("GenericError", "Property 'pc.confidential-guest-support' not found") }

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

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE(""), DUMP_NONE, SUPPORT("\"\""),
		   { .expect = "\"stop\"", .reply = EVENT OK }, STATUS("paused", "false"),
		   { .expect = "\"cont\"", .reply = REFUSE("GenericError",
			"There is a dump in process, please wait.") },
		   { .expect = "\"cont\"", .reply = OK });
	guest_open(&g, &f);
	CHECK_OK(guest_check(&g));
	CHECK(g.state == GUEST_RUNNING);
	CHECK_OK(guest_pause(&g));
	CHECK(g.state == GUEST_PAUSED);
	CHECK_OK(guest_resume(&g));
	CHECK(g.state == GUEST_RUNNING);
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
		   MIGRATE("\"status\": \"completed\""), DUMP("failed"), NO_SUPPORT,
		   { .expect = "query-sev", .reply = REFUSE("CommandNotFound", "no such") });
	guest_open(&g, &f);
	CHECK_OK(guest_check(&g));
	CHECK(g.state == GUEST_NOT_RUNNING);
	CHECK_STR(g.run_state, "guest-panicked");
	CHECK_OK(guest_pause(&g));
	CHECK_OK(guest_resume(&g));
	CHECK_INT(guest_paused_us(&g), 0);
	guest_end(&g, &f);
}

/* It panicked between our question and our command: that is not ours to undo. */
static void test_stopped_by_itself(void)
{
	struct guest g;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE(""), DUMP_NONE, SUPPORT("\"\""),
		   { .expect = "\"stop\"", .reply = OK }, STATUS("guest-panicked", "false"));
	guest_open(&g, &f);
	CHECK_OK(guest_check(&g));
	CHECK_OK(guest_pause(&g));
	CHECK(g.state == GUEST_PAUSED_BY_OTHERS && guest_is_paused(&g));
	CHECK_OK(guest_resume(&g));
	CHECK(g.state == GUEST_NOT_RUNNING);
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
	CHECK_ERR(guest_check(&g), GDUMP_ERR_REMOTE, "already being dumped");
	guest_end(&g, &f);

	FAKE_START(&f, STEP_GREET, STATUS("running", "1"));
	guest_open(&g, &f);
	CHECK_ERR(guest_check(&g), GDUMP_ERR_REMOTE, "has no boolean \"running\"");
	guest_end(&g, &f);
}

/* Guests whose memory only they can read, by what QEMU has answered */
static void check_private(const struct step *steps, size_t num, const char *name)
{
	struct guest g;
	struct fake f;

	fake_listen(&f);
	fake_play(&f, steps, num);
	guest_open(&g, &f);
	CHECK_ERR(guest_check(&g), GDUMP_ERR_PROTECTED, name);
	guest_end(&g, &f);
}

#define CHECK_PRIVATE(name, ...) do {                                            \
	static const struct step steps_[] = { STEP_GREET, STATUS("running", "true"), \
		MIGRATE(""), DUMP_NONE, __VA_ARGS__ };                           \
	check_private(steps_, sizeof(steps_) / sizeof(*steps_), name);            \
} while (0)

static void test_private(void)
{
	struct guest g;
	struct fake f;

	CHECK_PRIVATE("private to the guest, by AMD SEV:", SUPPORT("\"/objects/a\""),
		      TYPE("\"sev-guest\""));
	CHECK_PRIVATE("by AMD SEV-SNP:", SUPPORT("\"/objects/a\""), TYPE("\"sev-snp-guest\""));
	CHECK_PRIVATE("by Intel TDX:", SUPPORT("\"/objects/a\""), TYPE("\"tdx-guest\""));
	CHECK_PRIVATE("something unknown:", SUPPORT("\"/objects/a\""), TYPE("\"new-guest\""));
	CHECK_PRIVATE("by AMD SEV:", NO_SUPPORT, { .expect = "query-sev", .reply =
		      "{\"return\": {\"enabled\": true}, \"id\": @}\n" });

	/* asked for all the same */
	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE(""), DUMP_NONE,
		   SUPPORT("\"/objects/a\""), TYPE("\"sev-guest\""));
	guest_open(&g, &f);
	g.allow_encrypted = true;
	CHECK_OK(guest_check(&g));
	CHECK(!g.may_be_protected);
	guest_end(&g, &f);

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE(""), DUMP_NONE,
		   SUPPORT("\"/objects/pv0\""), TYPE("\"s390-pv-guest\""));
	guest_open(&g, &f);
	CHECK_OK(guest_check(&g));
	CHECK(g.may_be_protected);
	guest_end(&g, &f);

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE(""), DUMP_NONE,
		   SUPPORT("7"));
	guest_open(&g, &f);
	CHECK_ERR(guest_check(&g), GDUMP_ERR_REMOTE, "gives no text for");
	guest_end(&g, &f);
}

/* No answer to stop: it may be stopped all the same. */
static void test_stop_unanswered(void)
{
	struct guest g;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE(""), DUMP_NONE, SUPPORT("\"\""),
		   { .expect = "\"stop\"", .reply = "garbage\n" },
		   { .expect = "\"cont\"", .reply = OK });
	guest_open(&g, &f);
	CHECK_OK(guest_check(&g));
	CHECK_ERR(guest_pause(&g), GDUMP_ERR_REMOTE, "garbage");
	CHECK(g.state == GUEST_PAUSED);
	CHECK_OK(guest_resume(&g));
	guest_end(&g, &f);
}

static void test_not_resumed(void)
{
	struct guest g;
	struct fake f;

	FAKE_START(&f, STEP_GREET, STATUS("running", "true"), MIGRATE(""), DUMP_NONE, SUPPORT("\"\""),
		   { .expect = "\"stop\"", .reply = OK }, STATUS("paused", "false"),
		   { .expect = "\"cont\"", .reply = REFUSE("GenericError",
			"Resetting is required") });
	guest_open(&g, &f);
	CHECK_OK(guest_check(&g));
	CHECK_OK(guest_pause(&g));
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
	test_private();
	test_stop_unanswered();
	test_not_resumed();
	return check_done();
}
