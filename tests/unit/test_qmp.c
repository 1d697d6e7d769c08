/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_qmp.c - the monitor's protocol, and monitors that do not keep to it
 */
#include <fcntl.h>

#include "fake_monitor.h"
#include "live/qmp.h"

static const struct gdump_open_options patient = { .timeout_ms = 60000 };
static const struct gdump_open_options hasty = { .timeout_ms = 1000 };

/* Events come at any time; an answer may come in pieces, or over several lines. */
static void test_good(void)
{
	CLEANUP_QMP struct qmp *q = NULL;
	json_t *value = NULL;
	char *text = NULL;
	struct fake f;

	FAKE_START(&f, { .reply = GREETING },
		   { .expect = "\"execute\":\"qmp_capabilities\"", .reply = EVENT },
		   { .reply = EVENT "\r\n{\"return\": {}, " },
		   { .delay_ms = 50, .reply = "\"id\": 1}\n" },
		   { .expect = "query-status",
		     .reply = EVENT "{\"return\": {\"status\": \"running\"}, \"id\": @}\n" EVENT },
		   { .expect = "{\"command-line\":\"info x\"}",
		     .reply = "{\"return\": \"a\\r\\nb\", \"id\": @}\r\n" },
		   { .expect = "stop",
		     .reply = "{\r\n    \"return\": {\r\n    },\r\n    \"id\": @\r\n}\r\n" },
		   { .expect = "cont",
		     .reply = "{\n    \"id\": @,\n    \"return\": {\n    }\n}\n" });
	CHECK_OK(qmp_open(f.path, &patient, &q));
	if (!q)
		return;
	CHECK_STR(qmp_version(q), "7.2.22 (Fake 1)");
	CHECK_INT(qmp_pid(q), getpid());
	CHECK(!qmp_process_died(q, 0));
	CHECK_OK(qmp_execute(q, "query-status", NULL, &value));
	CHECK_STR(json_string_value(json_object_get(value, "status")), "running");
	json_decref(value);
	CHECK_OK(qmp_hmp(q, "info x", &text));
	CHECK_STR(text, "a\r\nb");
	free(text);
	CHECK_OK(qmp_execute(q, "stop", NULL, NULL));
	CHECK_OK(qmp_execute(q, "cont", NULL, NULL));
	CHECK(!qmp_refusal(q));
	qmp_close(q);
	q = NULL;
	fake_end(&f);
}

static void test_refusal(void)
{
	CLEANUP_QMP struct qmp *q = NULL;
	struct fake f;

	FAKE_START(&f, STEP_GREET,
		   { .expect = "fly",
		     .reply = REFUSE("CommandNotFound", "The command fly has not been found") },
		   { .expect = "stop", .reply = REFUSE("GenericError", "not now") },
		   { .expect = "cont", .reply = "{\"error\": {\"class\": \"GenericError\", "
			"\"desc\": \"JSON parse error\"}}\n" });
	CHECK_OK(qmp_open(f.path, &patient, &q));
	if (!q)
		return;
	CHECK_ERR(qmp_execute(q, "fly", json_object(), NULL), GDUMP_ERR_REMOTE,
		  "QEMU refused fly: The command");
	CHECK(qmp_unknown_command(q));
	CHECK_ERR(qmp_execute(q, "stop", NULL, NULL), GDUMP_ERR_REMOTE,
		  "QEMU refused stop: not now");
	CHECK_STR(qmp_refusal(q), "not now");
	CHECK(!qmp_unknown_command(q));
	CHECK_ERR(qmp_execute(q, "cont", NULL, NULL), GDUMP_ERR_REMOTE, "JSON parse error");
	qmp_close(q);
	q = NULL;
	fake_end(&f);
}

/* The answer that comes after we gave up is not taken for that of the next one, nor is one to
 * the guard.
 */
static void test_late(void)
{
	CLEANUP_QMP struct qmp *q = NULL;
	struct fake f;

	FAKE_START(&f, STEP_GREET,
		   { .expect = "slow", .delay_ms = 2000, .reply = REFUSE("GenericError", "late") },
		   { .expect = "stop",
		     .reply = "{\"return\": {}, \"id\": \"" QMP_GUARD_ID "\"}\n" OK });
	CHECK_OK(qmp_open(f.path, &hasty, &q));
	if (!q)
		return;
	CHECK_ERR(qmp_execute(q, "slow", NULL, NULL), GDUMP_ERR_REMOTE,
		  "more than 1.0 s for its answer to slow");
	CHECK(!qmp_refusal(q));
	CHECK_OK(qmp_run(q, &(struct qmp_command){ .name = "stop", .timeout_ms = 10000 }, NULL));
	qmp_close(q);
	q = NULL;
	fake_end(&f);
}

static void test_no_greeting(void)
{
	struct qmp *q = NULL;
	struct fake f;

	FAKE_START(&f, { .delay_ms = 2000, .hang_up = true });
	CHECK_ERR(qmp_open(f.path, &hasty, &q), GDUMP_ERR_REMOTE,
		  "this is no QMP monitor: it accepted the connection and sent no greeting within 1 s");
	fake_end(&f);
	/* nobody accepts */
	fake_listen(&f);
	CHECK_ERR(qmp_open(f.path, &hasty, &q), GDUMP_ERR_REMOTE, "serves one client at a time");
	FAKE_PLAY(&f, { .hang_up = true });
	fake_end(&f);
	/* no end of line: nothing to wait for */
	FAKE_START(&f, { .reply = "\r\nlogin: " });
	CHECK_ERR(qmp_open(f.path, &patient, &q), GDUMP_ERR_REMOTE,
		  "does not speak QMP, it says \"login: \"");
	fake_end(&f);
	FAKE_START(&f, { .reply = "QEMU 7.2.22 monitor - type 'help' for more information\r\n" });
	CHECK_ERR(qmp_open(f.path, &patient, &q), GDUMP_ERR_REMOTE,
		  "does not speak QMP, it says \"QEMU 7.2.22 monitor");
	fake_end(&f);
	FAKE_START(&f, { .reply = "{\"hello\": 1}\r\n" });
	CHECK_ERR(qmp_open(f.path, &patient, &q), GDUMP_ERR_REMOTE, "greeting");
	fake_end(&f);
}

/* Answers that are none: the command is named. */
static void test_odd(void)
{
	static const char *const replies[] = {
		"{\"return\": {}}\n", "{\"return\": {}, \"id\": 77}\n", "{\"id\": @}\n",
		"{\"return\": {}, \"id\": \"@\"}\n", "{\"error\": 1, \"id\": @}\n",
		"{\"error\": {\"class\": 5, \"desc\": {}}, \"id\": @}\n",
	};

	for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++) {
		const struct step steps[] = {
			STEP_GREET, { .expect = "stop", .reply = replies[i] },
		};
		struct qmp *q = NULL;
		struct fake f;

		fake_listen(&f);
		fake_play(&f, steps, sizeof(steps) / sizeof(*steps));
		CHECK_OK(qmp_open(f.path, &hasty, &q));
		if (q)
			CHECK_ERR(qmp_execute(q, "stop", NULL, NULL), GDUMP_ERR_REMOTE,
				  "QEMU's answer to \"stop\"");
		qmp_close(q);
		fake_end(&f);
	}
}

static void test_garbage(void)
{
	CLEANUP_QMP struct qmp *q = NULL;
	char *text = NULL;
	struct fake f;

	FAKE_START(&f, STEP_GREET,
		   { .expect = "stop", .reply = "{\"return\": [1, 2}\x01 @@\n" },
		   { .expect = "cont", .reply = OK },
		   { .expect = "info", .reply = "{\"return\": {\"a\": 1}, \"id\": @}\n" });
	CHECK_OK(qmp_open(f.path, &patient, &q));
	if (!q)
		return;
	CHECK_ERR(qmp_execute(q, "stop", NULL, NULL), GDUMP_ERR_REMOTE,
		  "it says \"{\"return\": [1, 2}. 22");
	/* the next line is another chance */
	CHECK_OK(qmp_execute(q, "cont", NULL, NULL));
	CHECK_ERR(qmp_hmp(q, "info", &text), GDUMP_ERR_REMOTE, "is not a string");
	qmp_close(q);
	q = NULL;
	fake_end(&f);
}

static void test_too_long(void)
{
	struct qmp *q = NULL;
	struct fake f;

	FAKE_START(&f, STEP_GREET, { .expect = "stop", .reply = "{\"return\": \"",
				     .flood = (size_t)65 << 20, .hang_up = true });
	CHECK_OK(qmp_open(f.path, &patient, &q));
	if (q)
		CHECK_ERR(qmp_execute(q, "stop", NULL, NULL), GDUMP_ERR_REMOTE, "more than 64 MiB");
	qmp_close(q);
	fake_end(&f);
}

static void test_hang_up(void)
{
	struct qmp *q = NULL;
	struct fake f;

	FAKE_START(&f, STEP_GREET, { .expect = "stop", .reply = "{\"return\"", .hang_up = true });
	CHECK_OK(qmp_open(f.path, &patient, &q));
	if (q) {
		CHECK_ERR(qmp_execute(q, "stop", NULL, NULL), GDUMP_ERR_REMOTE,
			  "QEMU closed the monitor while we waited for its answer to stop");
		CHECK_ERR(qmp_execute(q, "cont", NULL, NULL), GDUMP_ERR_REMOTE,
			  "QEMU closed the monitor");
	}
	qmp_close(q);
	fake_end(&f);
}

static bool cancel_third(void *arg)
{
	return ++*(int *)arg >= 3;
}

static void test_cancel(void)
{
	int asked = 0;
	struct gdump_open_options opt = { .cancel = cancel_third, .cancel_arg = &asked };
	struct qmp *q = NULL;
	struct fake f;

	FAKE_START(&f, { .delay_ms = 500, .reply = GREETING });
	CHECK_ERR(qmp_open(f.path, &opt, &q), GDUMP_ERR_CANCELED, "its greeting");
	CHECK_INT(asked, 3);
	fake_end(&f);
}

/* A pump that collects */
struct bucket {
	struct qmp_pump pump;
	char text[100];
	size_t len;
};

static struct gdump_error *bucket_ready(struct qmp_pump *pump)
{
	struct bucket *b = (struct bucket *)pump;
	ssize_t n = read(pump->fd, b->text + b->len, sizeof(b->text) - 1 - b->len);

	if (n > 0) {
		b->len += (size_t)n;
	} else {
		close(pump->fd);
		pump->fd = -1;
	}
	return NULL;
}

/* QEMU gets a pipe, and writes to it before it answers. */
static void test_fd_and_pump(void)
{
	struct bucket b = { .pump = { .ready = bucket_ready } };
	struct qmp_command dump = { .name = "dump", .pump = &b.pump };
	CLEANUP_QMP struct qmp *q = NULL;
	struct fake f;
	int fds[2];

	FAKE_START(&f, STEP_GREET,
		   { .expect = "{\"fdname\":\"p\"}", .reply = OK },
		   { .expect = "dump", .to_fd = "memory", .to_fd_len = 6, .delay_ms = 200,
		     .reply = OK });
	CHECK_OK(qmp_open(f.path, &patient, &q));
	CHECK(!pipe2(fds, O_CLOEXEC));
	if (!q)
		return;
	CHECK_OK(qmp_send_fd(q, "p", fds[1]));
	close(fds[1]);
	b.pump.fd = fds[0];
	CHECK_OK(qmp_run(q, &dump, NULL));
	CHECK_STR(b.text, "memory");
	CHECK_OK(qmp_drain(q, &b.pump, NULL, "the rest"));
	CHECK_INT(b.pump.fd, -1);
	qmp_close(q);
	q = NULL;
	fake_end(&f);
}

static void test_connect(void)
{
	struct qmp *q = NULL;
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	CHECK_ERR(qmp_open(path, &patient, &q), GDUMP_ERR_USAGE, "107 characters");
	CHECK_ERR(qmp_open("/nowhere/qmp", &patient, &q), GDUMP_ERR_OS, "No such file");
	CHECK_ERR(qmp_open("/dev/null", &patient, &q), GDUMP_ERR_USAGE, "not a socket");
}

/* What a carrier was sent, and answers */
struct carried {
	char sent[200];
	const char *answer;
};

static struct gdump_error *carry(void *arg, const char *line, char **answer)
{
	struct carried *c = arg;

	snprintf(c->sent, sizeof(c->sent), "%s", line);
	*answer = strdup(c->answer);
	return NULL;
}

static void test_carried(void)
{
	struct carried c = { .answer = "{\"return\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":22}},\"id\":\"x-1\"}" };
	const struct qmp_carrier carrier = { carry, &c };
	struct qmp *q = NULL;
	char *text = NULL;

	CHECK_OK(qmp_open_carried(&carrier, &patient, &q));
	CHECK_STR(c.sent, "{\"execute\":\"query-version\"}\n");
	CHECK_STR(qmp_version(q), "7.2.22");
	c.answer = "{\"return\":\"text\"}";
	CHECK_OK(qmp_hmp(q, "info x", &text));
	CHECK_STR(text, "text");
	free(text);
	c.answer = "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"no\"}}";
	CHECK_ERR(qmp_execute(q, "y", NULL, NULL), GDUMP_ERR_REMOTE, "QEMU refused y: no");
	CHECK(qmp_unknown_command(q));
	c.answer = "{\"re";
	CHECK_ERR(qmp_execute(q, "y", NULL, NULL), GDUMP_ERR_REMOTE, "is not an answer to it");
	c.answer = "[]";
	CHECK_ERR(qmp_execute(q, "y", NULL, NULL), GDUMP_ERR_REMOTE, "is not an answer to it");
	CHECK_ERR(qmp_send_fd(q, "fd", 0), GDUMP_ERR_UNSUPPORTED, "cannot be sent over");
	qmp_close(q);
}

int main(void)
{
	test_carried();
	test_good();
	test_refusal();
	test_late();
	test_no_greeting();
	test_odd();
	test_garbage();
	test_too_long();
	test_hang_up();
	test_cancel();
	test_fd_and_pump();
	test_connect();
	return check_done();
}
