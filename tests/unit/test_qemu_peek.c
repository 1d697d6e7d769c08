/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_qemu_peek.c - memory that QEMU saves into a file of ours: what is asked for, and how often
 */
#include "fake_monitor.h"
#include "live/qemu_peek.h"

enum { SIZE = 600 << 10, PIECE = 256 << 10 };

#define ADD_FD(bytes) { .expect = "\"add-fd\"", .to_fd = memory, .to_fd_len = (bytes), \
	.reply = "{\"return\": {\"fdset-id\": 3, \"fd\": 21}, \"id\": @}\r\n" }
#define SAVE(what) { .expect = what, .reply = OK }
#define REMOVE_FD { .expect = "\"remove-fd\",\"arguments\":{\"fdset-id\":3}", .reply = OK }

static char memory[SIZE];

static struct qemu *open_qemu(const struct fake *f, bool runs)
{
	struct qemu *qemu = calloc(1, sizeof(*qemu));

	source_init(&qemu->source, &qemu_ops);
	qemu->opt = (struct gdump_open_options){ .timeout_ms = 10000 };
	qemu->source.is_mutable = runs;
	/* resuming it is not what this is about */
	qemu->guest.state = GUEST_RUNNING;
	CHECK_OK(qmp_open(f->path, &qemu->opt, &qemu->guest.qmp));
	qemu->map.memory.slots = calloc(1, sizeof(struct mem_slot));
	qemu->map.memory.slots[0] = (struct mem_slot){ .paddr = 0x1000, .size = SIZE };
	qemu->map.memory.num_slots = 1;
	return qemu;
}

static void check_read(struct qemu *qemu, uint64_t paddr, size_t len, size_t in_file)
{
	static char buf[SIZE];

	CHECK_OK(qemu_peek_read(&qemu->source, paddr, buf, len));
	CHECK(!memcmp(buf, memory + in_file, len));
}

static void test_paused(void)
{
	struct qemu *qemu;
	struct fake f;

	/* the file never changes: it is memory from the start of whatever is saved */
	FAKE_START(&f, STEP_GREET, ADD_FD(SIZE),
		   SAVE("\"val\":4096,\"size\":258048,\"filename\":\"/proc/self/fd/21\""),
		   SAVE("\"val\":262144,\"size\":262144,"), SAVE("\"val\":8192,\"size\":300000,"),
		   REMOVE_FD);
	qemu = open_qemu(&f, false);
	check_read(qemu, 0x1000, 8, 0);
	check_read(qemu, 0x3000, 4096, 0x2000);
	check_read(qemu, PIECE, 100, 0);
	check_read(qemu, PIECE - 1, 1, PIECE - 0x1001);
	check_read(qemu, 0x2000, 300000, 0);
	poll(NULL, 0, 250);
	check_read(qemu, 0x1000, 8, 0);
	CHECK_ERR(qemu_peek_read(&qemu->source, 0xffc, memory, 1), GDUMP_ERR_NODATA,
		  "no memory at 0xffc");
	qemu_peek_close(qemu);
	source_close(&qemu->source);
	fake_end(&f);
}

/* What a running guest had a moment ago is of no use later. */
static void test_running(void)
{
	struct qemu *qemu;
	struct fake f;

	FAKE_START(&f, STEP_GREET, ADD_FD(SIZE), SAVE("\"val\":4096,"), SAVE("\"val\":4096,"),
		   SAVE("\"val\":4096,"), REMOVE_FD);
	qemu = open_qemu(&f, true);
	check_read(qemu, 0x1000, 8, 0);
	poll(NULL, 0, 250);
	check_read(qemu, 0x1000, 8, 0);
	qemu->source.is_mutable = false;        /* paused by now */
	check_read(qemu, 0x1000, 8, 0);
	qemu_peek_close(qemu);
	source_close(&qemu->source);
	fake_end(&f);
}

static void test_short(void)
{
	struct qemu *qemu;
	struct fake f;
	char c;

	FAKE_START(&f, STEP_GREET, ADD_FD(1000), SAVE("\"val\":4096,"), REMOVE_FD);
	qemu = open_qemu(&f, false);
	CHECK_ERR(qemu_peek_read(&qemu->source, 0x1000, &c, 1), GDUMP_ERR_REMOTE,
		  "1000 bytes instead of 258048");
	qemu_peek_close(qemu);
	source_close(&qemu->source);
	fake_end(&f);
}

/* Where QEMU cannot open the file, it is asked for a dump. */
static void test_refused(void)
{
	struct qemu *qemu;
	struct fake f;
	char c;

	FAKE_START(&f, STEP_GREET, ADD_FD(SIZE), { .expect = "pmemsave", .reply =
		   REFUSE("GenericError", "Could not open '/proc/self/fd/21': Permission denied") },
		   REMOVE_FD, { .expect = "getfd", .reply = OK }, { .expect =
		   "\"detach\":false,\"begin\":4096,\"length\":258048", .reply =
		   REFUSE("GenericError", "no") }, { .expect = "getfd", .reply = OK },
		   { .expect = "dump-guest-memory", .reply = REFUSE("GenericError", "no") });
	qemu = open_qemu(&f, false);
	CHECK_ERR(qemu_peek_read(&qemu->source, 0x1000, &c, 1), GDUMP_ERR_REMOTE, "refused dump");
	CHECK_ERR(qemu_peek_read(&qemu->source, 0x1000, &c, 1), GDUMP_ERR_REMOTE, "refused dump");
	qemu->guest.may_be_protected = true;
	CHECK_ERR(qemu_peek_read(&qemu->source, 0x1000, &c, 1), GDUMP_ERR_UNSUPPORTED,
		  "only as a whole");
	qemu_peek_close(qemu);
	source_close(&qemu->source);
	fake_end(&f);
}

/* QEMU 7.2 would keep the file open. */
static void test_not_running(void)
{
	struct qemu *qemu;
	struct fake f;
	char c;

	FAKE_START(&f, STEP_GREET, { .expect = "getfd", .reply = OK }, { .expect =
		   "dump-guest-memory", .reply = REFUSE("GenericError", "no") });
	qemu = open_qemu(&f, false);
	qemu->guest.state = GUEST_NOT_RUNNING;
	CHECK_ERR(qemu_peek_read(&qemu->source, 0x1000, &c, 1), GDUMP_ERR_REMOTE, "refused dump");
	qemu_peek_close(qemu);
	source_close(&qemu->source);
	fake_end(&f);
}

int main(void)
{
	for (size_t i = 0; i < SIZE; i++)
		memory[i] = (char)(i * 31 + i / 997);
	test_paused();
	test_running();
	test_short();
	test_refused();
	test_not_running();
	return check_done();
}
