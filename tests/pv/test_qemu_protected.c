/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_qemu_protected MKPV - dumps that QEMU makes of a protected guest
 *
 * A fake monitor gives what mkpv has made; what is decrypted of our file is what went in.
 */
#include "../unit/fake_monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SIZE = 0x80000, LARGE = 0x400000 };

static char dir[40] = "/tmp/gd-test-qpv.XXXXXX";
static const char *mkpv, *wrapper;

#define COMMAND(name, reply_) { .expect = name, .reply = reply_ }
#define STATUS(status, running) COMMAND("query-status", \
	"{\"return\": {\"running\": " running ", \"status\": \"" status "\"}, \"id\": @}\n")
#define PROPERTY(name, value) COMMAND(name, "{\"return\": \"" value "\", \"id\": @}\n")
#define MTREE MTREE_TO("07ffff")
#define MTREE_TO(last) COMMAND("info mtree", "{\"return\": \"FlatView #0\\r\\n AS \\\"memory\\\", root: " \
	"s390.ram\\r\\n Root memory region: s390.ram\\r\\n" \
	"  0000000000000000-0000000000" last " (prio 0, ram): s390.ram KVM\\r\\n\\r\\n\", \"id\": @}\n")
#define QUERY_DUMP(status) COMMAND("query-dump", \
	"{\"return\": {\"status\": \"" status "\"}, \"id\": @}\n")

static bool run(const char *args)
{
	char command[400];

	snprintf(command, sizeof(command), "cd %s && %s '%s' %s", dir, wrapper ? wrapper : "", mkpv,
		 args);
	return CHECK(!system(command));
}

static char *path_of(const char *name)
{
	static char paths[4][80];
	static int i;
	char *path = paths[i++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static char *load(const char *name, size_t *len)
{
	FILE *f = fopen(path_of(name), "re");
	char *buf = malloc(2 * LARGE);

	*len = f ? fread(buf, 1, 2 * LARGE, f) : 0;
	CHECK(*len && *len < 2 * LARGE);
	if (f)
		fclose(f);
	return buf;
}

/* Play a guest whose dump is @name, until it is dumped to "out" or refused. */
static struct gdump_error *dump(const char *name, const char *format)
{
	const struct gdump_open_options open = { .size = sizeof(open), .pause_guest = true };
	const struct gdump_write_options write = { .size = sizeof(write), .format = format,
						   .resume_guest = true };
	size_t len;
	char *file = load(name, &len), where[80];
	struct gdump *g = NULL;
	struct gdump_error *err;
	struct fake f;
	/* what is not protected is searched for VMCOREINFO, but this QEMU does not save memory */
	const bool is_plain = !strcmp(name, "plain");
	const struct step refused = COMMAND("add-fd",
		"{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": @}\n");
	struct step steps[] = {
		STEP_GREET, STATUS("running", "true"),
		COMMAND("query-migrate", "{\"return\": {}, \"id\": @}\n"), QUERY_DUMP("none"),
		PROPERTY("confidential-guest-support", "/objects/pv0"),
		PROPERTY("\"type\"", "s390-pv-guest"), MTREE,
		COMMAND("query-memdev", "{\"return\": [], \"id\": @}\n"),
		COMMAND("\"stop\"", OK), STATUS("paused", "false"), MTREE,
		COMMAND("getfd", OK),
		{ .expect = "dump-guest-memory", .reply = OK, .to_fd = file, .to_fd_len = len },
		refused,
		QUERY_DUMP("completed"), STATUS("paused", "false"), COMMAND("\"cont\"", OK),
	};
	const size_t num = sizeof(steps) / sizeof(*steps) - !is_plain;

	if (!is_plain)
		memmove(&steps[num - 3], &steps[num - 2], 3 * sizeof(*steps));
	fake_listen(&f);
	fake_play(&f, steps, num);
	snprintf(where, sizeof(where), "qmp:%s", f.path);
	err = gdump_open(where, &open, &g);
	if (!err)
		err = gdump_write(g, NULL, path_of("out"), &write);
	gdump_close(g);
	fake_end(&f);
	free(file);
	return err;
}

static void compare(const char *name, const char *other, const char *key)
{
	const struct gdump_open_options opt = { .size = sizeof(opt),
						.key_file = key ? path_of(key) : NULL };
	struct gdump *a = NULL, *b = NULL;
	unsigned char *x = malloc(SIZE), *y = malloc(SIZE);
	struct gdump_register p, q;

	CHECK_OK(gdump_open(path_of(name), &opt, &a));
	CHECK_OK(gdump_open(path_of(other), NULL, &b));
	if (a && b) {
		CHECK_OK(gdump_read(a, 0, x, SIZE));
		CHECK_OK(gdump_read(b, 0, y, SIZE));
		CHECK(!memcmp(x, y, SIZE));
		CHECK_INT(gdump_info(a)->num_cpus, 3);
		for (size_t i = 0; gdump_register_at(b, 2, i, &q); i++)
			CHECK(gdump_register_at(a, 2, i, &p) && p.value == q.value);
	}
	gdump_close(a);
	gdump_close(b);
	free(x);
	free(y);
}

static void no_file(void)
{
	CHECK(access(path_of("out"), F_OK) && errno == ENOENT);
	CHECK(access(path_of("out.incomplete"), F_OK) && errno == ENOENT);
}

static void test_good(void)
{
	CHECK_OK(dump("sealed", "elf"));
	compare("out", "plain", "key");
	unlink(path_of("out"));
}

/* QEMU 7.2 goes on when the firmware has refused. */
static void test_refused(void)
{
	static const char *const changes[] = { "no-compl", "no-meta", "no-meta no-compl" };
	char args[80];

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		snprintf(args, sizeof(args), "seal plain key changed %s", changes[i]);
		if (!run(args))
			return;
		CHECK_ERR(dump("changed", "elf"), GDUMP_ERR_PROTECTED, "has no completion data");
		no_file();
	}
	CHECK_ERR(dump("sealed", "kdump"), GDUMP_ERR_USAGE, "it can be dumped as plain ELF only");
	no_file();
}

/* It could be protected, but has not gone into that mode: a guest as any other. */
static void test_not_protected(void)
{
	CHECK_OK(dump("plain", "elf"));
	compare("out", "plain", NULL);
	unlink(path_of("out"));
}

static bool die(void *arg, uint64_t done, uint64_t total)
{
	(void)arg, (void)done, (void)total;
	kill(getpid(), SIGKILL);
	return true;
}

static void dump_and_die(const char *where, int guard_fd)
{
	const struct gdump_open_options open = { .size = sizeof(open), .pause_guest = true,
						 .guard_fd = guard_fd };
	const struct gdump_write_options write = { .size = sizeof(write), .format = "elf",
						   .progress = die };
	struct gdump *g = NULL;
	struct gdump_error *err = gdump_open(where, &open, &g);

	if (!err)
		err = gdump_write(g, NULL, path_of("out"), &write);
	fprintf(stderr, "%s\n", err ? gdump_error_message(err) : "it was not killed");
	_exit(1);
}

/* Whoever reads the dump is killed: the guard reads it to its end, as QEMU 7.2 could not let
 * the guest run otherwise, and then lets it go on.
 */
static void test_killed(void)
{
	size_t len;
	char *file = load("large", &len), where[80];
	const struct step steps[] = {
		STEP_GREET, STATUS("running", "true"),
		COMMAND("query-migrate", "{\"return\": {}, \"id\": @}\n"), QUERY_DUMP("none"),
		PROPERTY("confidential-guest-support", "/objects/pv0"),
		PROPERTY("\"type\"", "s390-pv-guest"), MTREE_TO("3fffff"),
		COMMAND("query-memdev", "{\"return\": [], \"id\": @}\n"),
		COMMAND("\"stop\"", OK), STATUS("paused", "false"), MTREE_TO("3fffff"),
		COMMAND("getfd", OK),
		{ .expect = "dump-guest-memory", .reply = OK, .to_fd = file, .to_fd_len = len,
		  .beside = true },
		COMMAND("\"closefd\",\"arguments\":{\"fdname\":\"guestdump\"}",
			REFUSE("GenericError", "File descriptor named 'guestdump' not found")),
		COMMAND("\"cont\"", OK),
	};
	int control[2], status;
	pid_t guard, worker;
	struct fake f;

	fake_listen(&f);
	snprintf(where, sizeof(where), "qmp:%s", f.path);
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control));
	guard = fork();
	if (!guard) {
		close(control[1]);
		_exit(gdump_guard(control[0]));
	}
	close(control[0]);
	worker = fork();
	if (!worker)
		dump_and_die(where, control[1]);
	close(control[1]);
	fake_play(&f, steps, sizeof(steps) / sizeof(*steps));
	CHECK_INT(waitpid(worker, &status, 0), worker);
	CHECK(WIFSIGNALED(status));
	CHECK_INT(waitpid(guard, &status, 0), guard);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	fake_end(&f);
	free(file);
	unlink(path_of("out.incomplete"));
}

static void save_key(void)
{
	FILE *f = fopen(path_of("key"), "we");

	CHECK(f && fwrite("0123456789abcdef0123456789abcdef", 32, 1, f) == 1);
	if (f)
		fclose(f);
}

int main(int argc, char **argv)
{
	static char path[4096];

	if (argc != 2 || !realpath(argv[1], path))
		return 2;
	mkpv = path;
	wrapper = getenv("MESON_EXE_WRAPPER");
	CHECK(mkdtemp(dir));
	save_key();
	if (run("plain plain 5 3 0:0x80000") && run("seal plain key sealed")) {
		test_good();
		test_refused();
		test_not_protected();
	}
	if (run("plain plain 6 1 0:0x400000") && run("seal plain key large"))
		test_killed();
	for (const char *const *p = (const char *const[]){ "plain", "key", "sealed", "changed", "large",
							    "out", NULL }; *p; p++)
		unlink(path_of(*p));
	rmdir(dir);
	return check_done();
}
